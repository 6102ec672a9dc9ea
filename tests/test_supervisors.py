"""Supervisors: what their configuration names is run, kept and followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.model import ImageConfig, Origin, OriginKind, Plan
from imgslim.plan import build_plan
from imgslim.roots import resolve_roots
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.script import ScriptRuntime
from imgslim.runtimes.shell import ShellRuntime
from imgslim.runtimes.supervisors import SupervisorRuntime
from imgslim.runtimes.supervisors.cron import table_commands
from imgslim.runtimes.supervisors.execline import sequences
from imgslim.runtimes.supervisors.ini import parse_environment
from imgslim.runtimes.supervisors.tables import crontabs
from imgslim.world import World
from tests.scripts import OF_THE_PLAN, kept, program, script, system
from tests.worlds import File, Link, Tree, make_world

RUNTIMES = (CommandRuntime, SupervisorRuntime, ShellRuntime, ScriptRuntime)


def planned(
    tmp_path: Path,
    command: str,
    tree: Tree,
    programs: tuple[str, ...] = (),
    *,
    env: tuple[tuple[str, str], ...] = (),
    working_dir: str = "",
) -> Plan:
    config = ImageConfig(cmd=tuple(command.split()), env=env, working_dir=working_dir)
    world = make_world(tmp_path, {**system(*programs), **tree}, config=config)
    return plan_over(world)


def plan_over(world: World) -> Plan:
    commands, findings = resolve_roots(world)
    runtimes = [runtime(world) for runtime in RUNTIMES]
    return build_plan(world, commands, findings, runtimes, lambda path: PACKAGED)


PACKAGED = Origin(OriginKind.PACKAGE, "")


def codes(plan: Plan) -> set[tuple[str, str]]:
    return {(p.code, p.path) for p in plan.problems if p.code not in OF_THE_PLAN}


def text(plan: Plan) -> str:
    return "\n".join(problem.message for problem in plan.problems)


SUPERVISORD = "/usr/bin/supervisord"
CONF = "/etc/supervisor/supervisord.conf"


@pytest.mark.parametrize(
    ("where", "command"),
    [
        (CONF, "supervisord"),
        ("/etc/supervisord.conf", "supervisord -n"),
        ("/usr/etc/supervisord.conf", "supervisord"),
        ("/srv/supervisord.conf", "supervisord"),
        ("/srv/etc/supervisord.conf", "supervisord"),
        ("/opt/x.conf", "supervisord -n -c /opt/x.conf"),
        ("/opt/x.conf", "supervisord -c/opt/x.conf"),
        ("/opt/x.conf", "supervisord --configuration=/opt/x.conf"),
        ("/opt/x.conf", "supervisord --configuration /opt/x.conf"),
        ("/opt/x.conf", "python3 -m supervisor.supervisord -c /opt/x.conf"),
        ("/opt/x.conf", "python3 /usr/bin/supervisord -c /opt/x.conf"),
        ("/opt/x.conf", "sh /opt/start"),
    ],
)
def test_the_configuration_is_found_where_supervisord_looks(
    tmp_path: Path, where: str, command: str
) -> None:
    plan = planned(
        tmp_path,
        command,
        {
            where: "[supervisord]\n[program:a]\ncommand=worker\n",
            "/etc/other.conf": "x",
            "/opt/start": "exec supervisord -c /opt/x.conf",
        },
        ("supervisord", "worker", "python3", "idle"),
        working_dir="/srv",
    )
    assert {where, "/usr/bin/worker"} <= kept(plan)
    assert not {"/usr/bin/idle", "/etc/other.conf"} & kept(plan)


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ("[program:web]\ncommand=tool --port 80 ; a comment", "/usr/bin/tool"),
        ("[eventlistener:x]\ncommand=tool", "/usr/bin/tool"),
        ("[fcgi-program:x]\ncommand=tool\nsocket=tcp://x:9", "/usr/bin/tool"),
        ("[program:tool]\ncommand=%(program_name)s", "/usr/bin/tool"),
        ("[program:x]\ncommand=%(ENV_WHICH)s", "/usr/bin/tool"),
        ("[program:x]\ncommand=%(here)s/run/own", "/etc/supervisor/run/own"),
        ("[program:x]\ncommand=./own\ndirectory=%(here)s/run", "/etc/supervisor/run/own"),
        ("[program:x]\ncommand=tool%(process_num)02d\nnumprocs=2", "/usr/bin/tool01"),
        (
            "[program:x]\ncommand=tool%(process_num)d\nnumprocs=1\nnumprocs_start=7",
            "/usr/bin/tool7",
        ),
        ("[program:x]\ncommand=env A=b tool", "/usr/bin/tool"),
        ("[program:x]\ncommand='/opt/a b/tool' -x", "/opt/a b/tool"),
        ('[program:x]\ncommand=bash -c "tool && true"', "/usr/bin/tool"),
        ('[program:x]\ncommand=hidden\nenvironment=PATH="/opt/hidden"', "/opt/hidden/hidden"),
        ("[program:x]\ncommand=%(ENV_T)s\nenvironment=T=tool", "/usr/bin/tool"),
        ("[program:x]\ncommand=tool --file /srv/data", "/srv/data"),
        ('[program:x]\ncommand=true\nenvironment=A="/srv/data",B=c', "/srv/data"),
        ("[program:x]\ncommand=true\nuser=www", "/etc/passwd"),
        ("[program:x]\ncommand=true\nstdout_logfile=/srv/logs/x.log", "/srv/logs"),
        ("[program:x]\nautostart=false\ncommand=tool", "/usr/bin/tool"),
        ("[supervisord]\nenvironment=W=tool\n[program:x]\ncommand=%(ENV_W)s", "/usr/bin/tool"),
    ],
)
def test_what_a_section_names_is_kept(tmp_path: Path, section: str, wanted: str) -> None:
    tree: dict[str, object] = {
        CONF: section,
        "/etc/supervisor/run/own": program(),
        "/opt/a b/tool": program(),
        "/opt/hidden/hidden": program(),
        "/srv/data": "data",
        "/srv/logs/old": "x",
        "/etc/passwd": "root:x:0:0::/:/bin/sh",
    }
    plan = planned(
        tmp_path,
        "supervisord",
        tree,  # type: ignore[arg-type]
        ("supervisord", "tool", "true", "tool00", "tool01", "tool7"),
        env=(("WHICH", "tool"),),
    )
    assert wanted in {keep.entry.path for keep in plan.keeps}
    assert codes(plan) == set()


def test_includes_are_relative_to_the_main_file_and_a_section_may_come_in_parts(
    tmp_path: Path,
) -> None:
    plan = planned(
        tmp_path,
        "supervisord",
        {
            CONF: "[include]\nfiles = conf.d/*.conf\n  %(ENV_MORE)s/*.ini\n"
            "[program:x]\ncommand=no\n",
            "/etc/supervisor/conf.d/a.conf": "[program:a]\ncommand=one\n",
            "/etc/supervisor/conf.d/b.off": "[program:b]\ncommand=two\n",
            "/more/c.ini": "[program:x]\ncommand=three\n",
        },
        ("supervisord", "one", "two", "three", "no"),
        env=(("MORE", "/more"),),
    )
    assert {"/usr/bin/one", "/usr/bin/three", "/etc/supervisor/conf.d/a.conf"} <= kept(plan)
    assert not {"/usr/bin/two", "/usr/bin/no", "/etc/supervisor/conf.d/b.off"} & kept(plan)


def test_a_shell_is_followed_with_the_directory_and_the_variables_of_its_program(
    tmp_path: Path,
) -> None:
    plan = planned(
        tmp_path,
        "supervisord",
        {
            CONF: "[program:x]\ncommand=bash -c 'while true; do ./work; done'\n"
            "directory=/srv/w\nenvironment=TOOL=one\n[program:y]\ncommand=./start\ndirectory=/srv/w\n",
            "/srv/w/work": script(". ./lib.sh\n$TOOL"),
            "/srv/w/lib.sh": "two\n",
            "/srv/w/start": script("exec three"),
        },
        ("supervisord", "one", "two", "three", "true"),
    )
    assert {"/srv/w/work", "/srv/w/lib.sh"} <= kept(plan)
    assert {"/usr/bin/one", "/usr/bin/two", "/usr/bin/three"} <= kept(plan)
    assert codes(plan) == set()


def test_what_a_supervisor_cannot_start_is_said(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        "supervisord",
        {CONF: "[program:x]\ncommand=gone\n[program:y]\ncommand=%(ENV_NOBODY)s\n"},
        ("supervisord",),
    )
    assert codes(plan) == {("missing-command", CONF), ("unresolved-command", CONF)}
    assert "program:x runs gone" in text(plan)


def test_a_supervisor_without_its_configuration_is_said(tmp_path: Path) -> None:
    plan = planned(tmp_path, "supervisord -n", {}, ("supervisord",))
    assert codes(plan) == {("supervisor-configuration", "")}


def test_a_supervisor_that_nobody_can_read_is_said(tmp_path: Path) -> None:
    plan = planned(tmp_path, "monit -I", {}, ("monit",))
    assert codes(plan) == {("supervisor-configuration", "/usr/bin/monit")}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ('A="b",C=d', [("A", "b"), ("C", "d")]),
        ("A='b,c',D=/e/f.g", [("A", "b,c"), ("D", "/e/f.g")]),
        ("", []),
        ('A="b', []),
    ],
)
def test_variables_of_a_program(given: str, read: list[tuple[str, str]]) -> None:
    assert list(parse_environment(given)) == read


@pytest.mark.parametrize(
    ("command", "top"),
    [
        ("runsvdir -P /etc/service", "/etc/service"),
        ("runsvdir /opt/services log", "/opt/services"),
        ("s6-svscan -t0 /opt/services", "/opt/services"),
        ("s6-svscan -c 100 /opt/services", "/opt/services"),
        ("svscan /service", "/service"),
        ("runsvdir-start", "/etc/service"),
        ("my_init", "/etc/service"),
    ],
)
def test_services_run_in_their_own_directories(tmp_path: Path, command: str, top: str) -> None:
    plan = planned(
        tmp_path,
        command,
        {
            f"{top}/web/run": script("exec one -c ./settings"),
            f"{top}/web/settings": "x",
            f"{top}/web/log/run": script("exec two"),
            f"{top}/web/finish": script("exec three"),
            "/etc/my_init.d/10-first": script("four"),
            "/etc/other/run": script("five"),
        },
        (command.split()[0], "one", "two", "three", "four", "five"),
    )
    assert {f"/usr/bin/{name}" for name in ("one", "two", "three")} <= kept(plan)
    assert f"{top}/web/settings" in kept(plan)
    assert ("/usr/bin/four" in kept(plan)) == (command == "my_init")
    assert "/usr/bin/five" not in kept(plan)
    assert codes(plan) == set()


def test_a_linked_service_is_followed_where_it_lies(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        "runsvdir /etc/service",
        {"/etc/service/web": Link("/etc/sv/web"), "/etc/sv/web/run": script("exec one")},
        ("runsvdir", "one"),
    )
    assert {"/etc/service/web", "/etc/sv/web/run", "/usr/bin/one"} <= kept(plan)


def test_no_service_where_one_is_named_is_said(tmp_path: Path) -> None:
    plan = planned(tmp_path, "runsvdir /etc/service", {}, ("runsvdir",))
    assert codes(plan) == {("supervisor-configuration", "")}


def test_an_overlay_of_s6(tmp_path: Path) -> None:
    execline = "#!/command/execlineb -P"
    sources = "/etc/s6-overlay/s6-rc.d"
    plan = planned(
        tmp_path,
        "/init four",
        {
            "/init": script("exec /bin/true"),
            "/bin/true": program(),
            "/command/execlineb": program(),
            "/etc/s6-overlay/config": "x",
            f"{sources}/web/type": "longrun",
            f"{sources}/web/run": script('s6-setuidgid www one -g "daemon off;"', execline),
            f"{sources}/first/type": "oneshot",
            f"{sources}/first/up": "foreground { two /srv/data }\nthree\n",
            f"{sources}/user/contents.d/web": "",
            "/etc/cont-init.d/10-x": script("five", "#!/usr/bin/with-contenv sh"),
            "/srv/data": "x",
        },
        (
            "s6-setuidgid",
            "with-contenv",
            "foreground",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
        ),
    )
    wanted = {f"/usr/bin/{name}" for name in ("one", "two", "three", "four", "five")}
    assert wanted <= kept(plan)
    more = {"/command/execlineb", "/srv/data", f"{sources}/user/contents.d/web"}
    assert {*more, "/usr/bin/s6-setuidgid", "/usr/bin/with-contenv"} <= kept(plan)
    assert "/usr/bin/six" not in kept(plan)
    assert codes(plan) == set()


def test_another_program_named_init_is_no_supervisor(tmp_path: Path) -> None:
    plan = planned(tmp_path, "/init", {"/init": program(), "/etc/x/run": script("one")}, ("one",))
    assert "/usr/bin/one" not in kept(plan)
    assert codes(plan) == set()


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("a b\nc", [("a", "b", "c")]),
        ("if { x y } z # w\n", [("x", "y"), ("if", "z")]),
        ('a "b \\" c" \\#d', [("a", 'b " c', "#d")]),
        ("a { b { c } d }", [("c",), ("b", "d"), ("a",)]),
        ('a "{" b', [("a", "{", "b")]),
        ("a } b", [("a",)]),
        ("a { b", [("b",), ("a",)]),
    ],
)
def test_words_of_execline(source: str, read: list[tuple[str, ...]]) -> None:
    assert list(sequences(source)) == read


@pytest.mark.parametrize(
    ("kind", "line", "user", "command"),
    [
        ("system", "17 * * * * root a b", "root", "a b"),
        ("system", "17 *\t* * *\troot\ta && b", "root", "a && b"),
        ("system", "@daily root a", "root", "a"),
        ("system", "*/5 0-6 1,2 jan mon-fri www a", "www", "a"),
        ("system", "0 0 * * * root a $(date +\\%F)%input", "root", "a $(date +%F)"),
        ("system", "-* * * * * root a", "root", "a"),
        ("users", "* * * * * a b", "", "a b"),
        ("users", "@reboot a", "", "a"),
        ("anacron", "7 10 cron.weekly a", "", "a"),
        ("anacron", "@monthly 15 x a", "", "a"),
        ("operands", "*/10 * * * * * * a b", "", "a b"),
        ("operands", "*/10 * * * * job b", "", "job b"),
        ("operands", "@every 5m a", "", "a"),
    ],
)
def test_lines_of_a_table(kind: str, line: str, user: str, command: str) -> None:
    (started,) = table_commands(f"# x\n\n{line}\n", crontabs()[kind], "/t")
    assert (started.user, started.argv) == (user, ("/bin/sh", "-c", command))


@pytest.mark.parametrize(
    ("command", "tree"),
    [
        ("cron -f", {"/etc/crontab": "1 * * * * root job\n"}),
        ("cron -f", {"/etc/cron.d/x": "PATH=/opt\n1 * * * * root /usr/bin/job\n"}),
        ("crond -f", {"/var/spool/cron/crontabs/root": "1 * * * * job\n"}),
        ("crond -f -c /opt/tabs", {"/opt/tabs/root": "1 * * * * job\n"}),
        ("supercronic -quiet tab", {"/srv/tab": "*/2 * * * * job\n"}),
        ("anacron -d", {"/etc/anacrontab": "1 2 name job\n"}),
        ("cron", {"/etc/crontab": "1 * * * * root run-parts /etc/cron.daily\n"}),
        ("cron", {"/etc/crontab": "SHELL=/bin/bash\n1 * * * * root cd /srv; . ./sub.sh\n"}),
        ("honcho start", {"/srv/Procfile": "# x\nweb: exec job --port $PORT\n"}),
        ("foreman start -f dev.procfile", {"/srv/dev.procfile": "a: job\n"}),
        ("overmind start --procfile=/p/P", {"/p/P": "a: job\n"}),
        ("honcho -d sub start", {"/srv/sub/Procfile": "a: $J\n", "/srv/sub/.env": "J=job\n"}),
    ],
)
def test_jobs_and_processes_are_run(tmp_path: Path, command: str, tree: Tree) -> None:
    more = {"/etc/cron.daily/job": script("job"), "/srv/sub.sh": "job\n", "/etc/cron.daily/.x": "x"}
    name = command.split()[0]
    plan = planned(
        tmp_path, command, {**more, **tree}, (name, "job", "run-parts", "idle"), working_dir="/srv"
    )
    assert {"/usr/bin/job", *tree} <= kept(plan)
    assert "/usr/bin/idle" not in kept(plan)
    assert codes(plan) == set()


def test_jobs_of_the_package_manager_are_left_out_and_named(tmp_path: Path) -> None:
    status = "".join(
        f"Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
        for name in ("apt", "rotor")
    )
    plan = planned(
        tmp_path,
        "cron -f",
        {
            "/etc/crontab": "1 * * * * root run-parts /etc/cron.daily\n",
            "/etc/cron.daily/apt-compat": script("apt-get update"),
            "/etc/cron.daily/rotor": script("rotor"),
            "/var/lib/dpkg/status": status,
            "/var/lib/dpkg/info/apt.list": "/etc/cron.daily/apt-compat\n/usr/bin/apt-get\n",
            "/var/lib/dpkg/info/rotor.list": "/etc/cron.daily/rotor\n/usr/bin/rotor\n",
        },
        ("cron", "run-parts", "apt-get", "rotor"),
    )
    assert {"/etc/cron.daily/rotor", "/usr/bin/rotor"} <= kept(plan)
    assert not {"/etc/cron.daily/apt-compat", "/usr/bin/apt-get"} & kept(plan)
    assert "/etc/cron.daily/apt-compat" in text(plan)


def test_a_file_that_is_no_table_of_anything_breaks_nothing(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        "supervisord",
        {CONF: File(b"\xff\xfe[program:x\n\0command=\n]]%(%s"), "/etc/crontab": File(b"\xff\0*\n")},
        ("supervisord",),
    )
    assert CONF in kept(plan)
