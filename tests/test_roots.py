"""From the config to the programs that run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgslim.choices import Choices, Level
from imgslim.errors import EntrypointError, UnsupportedImageError, UsageError
from imgslim.model import Healthcheck, ImageConfig, Need, Problem, Scope, Severity
from imgslim.pipeline import derive_plan
from imgslim.roots import resolve_roots
from tests.elves import elf
from tests.scripts import codes, kept, plan_of, program, script, world_of
from tests.worlds import Dir, File, Link, Tree, make_world


@pytest.mark.parametrize(
    ("config", "argv", "path"),
    [
        ({"cmd": ("app", "x")}, ("app", "x"), "/usr/bin/app"),
        ({"entrypoint": ("app",), "cmd": ("x",)}, ("app", "x"), "/usr/bin/app"),
        ({"entrypoint": (), "cmd": ("app",)}, ("app",), "/usr/bin/app"),
        ({"entrypoint": ("/opt/app",)}, ("/opt/app",), "/opt/app"),
        ({"cmd": ("./app",), "working_dir": "/opt"}, ("./app",), "/opt/app"),
        ({"cmd": ("app",), "env": (("PATH", "/opt:/usr/bin"),)}, ("app",), "/opt/app"),
        (
            {"cmd": ("app",), "env": (("PATH", ":/usr/bin"),), "working_dir": "/opt"},
            ("app",),
            "/opt/app",
        ),
        ({"cmd": ("linked",)}, ("linked",), "/opt/app"),
    ],
)
def test_entrypoint_and_cmd(
    tmp_path: Path, config: dict[str, Any], argv: tuple[str, ...], path: str
) -> None:
    tree: Tree = {"/opt/app": program(), "/usr/bin/linked": Link("/opt/app")}
    commands, _ = resolve_roots(world_of(tmp_path, tree, programs=("app",), **config))
    assert [(command.argv, command.path) for command in commands] == [(argv, path)]


def test_shell_form_runs_what_the_string_says(tmp_path: Path) -> None:
    world = world_of(
        tmp_path, {}, programs=("a", "b"), entrypoint=("/bin/sh", "-c", "exec a"), cmd=("b",)
    )
    assert {"/bin/sh", "/usr/bin/a"} <= kept(plan_of(world))
    assert "/usr/bin/b" not in kept(plan_of(world))


def test_every_link_on_the_way_to_a_program_stays(tmp_path: Path) -> None:
    tree: Tree = {
        "/bin2": Link("usr/bin"),
        "/usr/bin/py": Link("py3"),
        "/usr/bin/py3": program(),
    }
    found = kept(plan_of(world_of(tmp_path, tree, cmd=("/bin2/py",))))
    assert {"/bin2", "/usr/bin/py", "/usr/bin/py3"} <= found


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"cmd": ("gunicron",)}, ("gunicron", "/usr/bin", "gunicorn")),
        ({"entrypoint": ("/opt/none",)}, ("/opt/none", "not in the image")),
        ({"entrypoint": ("/opt/data",)}, ("not executable",)),
        ({"entrypoint": ("/opt",)}, ("directory",)),
        ({"entrypoint": ("/opt/dangling",)}, ("/opt/away",)),
    ],
)
def test_a_program_that_is_not_there_is_an_error_that_helps(
    tmp_path: Path, config: dict[str, Any], words: tuple[str, ...]
) -> None:
    tree: Tree = {"/opt/data": "x", "/opt/dangling": Link("away")}
    with pytest.raises(EntrypointError) as caught:
        resolve_roots(world_of(tmp_path, tree, programs=("gunicorn",), **config))
    text = f"{caught.value} {caught.value.hint}"
    assert all(word in text for word in words), text
    assert "\n" not in text


STATUS = {"/var/lib/dpkg/status": "Package: a\nStatus: install ok installed\nVersion: 1\n"}


def test_a_system_that_runs_nothing_asks_for_a_command(tmp_path: Path) -> None:
    world = world_of(tmp_path, STATUS, programs=("a",))
    with pytest.raises(UnsupportedImageError) as caught:
        resolve_roots(world)
    assert "--also-run" in caught.value.hint
    commands, _ = resolve_roots(world, ("a",))
    assert [command.path for command in commands] == ["/usr/bin/a"]


@pytest.mark.parametrize("level", Level)
def test_of_data_that_nothing_runs_every_file_is_kept(tmp_path: Path, level: Level) -> None:
    tree: Tree = {
        "/site/index.html": "page",
        "/site/latest": Link("2024"),
        "/site/.git/HEAD": "ref: refs/heads/main\n",
        "/site/__pycache__/a.cpython-311.pyc": "bytecode without its source",
        "/root/.cache/pip/http/wheel": "wheel",
        "/app/target/.rustc_info.json": "",
        "/app/target/release/deps/object": "object",
        "/uploads": Dir(0o1777, 5),
    }
    world = make_world(tmp_path, tree, choices=Choices(level))
    plan = derive_plan(world)
    assert {keep.entry.path for keep in plan.keeps} == set(world.rootfs.entries)
    assert plan.drops == ()
    said = {problem.code: problem for problem in plan.problems}
    assert "every file is kept" in said["runs-nothing"].resolution
    world.rootfs.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a 'x y'", {"/usr/bin/a"}),
        ("sh", {"/bin/sh"}),
        ("sh -c 'a && exec b'", {"/bin/sh", "/usr/bin/a", "/usr/bin/b"}),
    ],
)
def test_also_run(tmp_path: Path, text: str, found: set[str]) -> None:
    world = world_of(tmp_path, {}, programs=("main", "a", "b"), cmd=("main",))
    plan = plan_of(world, (text,))
    assert found <= kept(plan)
    assert any(program.label == f"<also-run {text}>" for program in plan.programs)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a && b", UsageError),
        ("it's", UsageError),
        ("", UsageError),
        ("nowhere", EntrypointError),
    ],
)
def test_also_run_that_cannot_be(tmp_path: Path, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        resolve_roots(world_of(tmp_path, {}, programs=("main", "a", "b"), cmd=("main",)), (text,))


@pytest.mark.parametrize(
    ("test", "shell", "found"),
    [
        (("CMD", "probe", "-q"), None, {"/usr/bin/probe"}),
        (("CMD-SHELL", "probe || exit 1"), None, {"/usr/bin/probe", "/bin/sh"}),
        (("CMD-SHELL", "probe"), ("/bin/bash", "-c"), {"/usr/bin/probe", "/bin/bash"}),
        (("NONE",), None, set()),
        ((), None, set()),
    ],
)
def test_healthcheck(
    tmp_path: Path, test: tuple[str, ...], shell: tuple[str, ...] | None, found: set[str]
) -> None:
    world = world_of(
        tmp_path,
        {},
        programs=("main", "probe"),
        cmd=("main",),
        healthcheck=Healthcheck(test),
        shell=shell,
    )
    assert kept(plan_of(world)) == {"/usr/bin/main", *found}


def test_a_missing_probe_is_said(tmp_path: Path) -> None:
    world = world_of(
        tmp_path,
        {},
        programs=("main",),
        cmd=("main",),
        healthcheck=Healthcheck(("CMD", "curl", "http://x")),
    )
    assert "missing-healthcheck" in codes(plan_of(world))


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("app", set()),
        ("1000:1000", set()),
        ("app:staff", set()),
        ("nobody-here", {"unknown-user"}),
        ("app:none", {"unknown-group"}),
    ],
)
def test_user(tmp_path: Path, user: str, expected: set[str]) -> None:
    tree: Tree = {"/etc/passwd": "app:x:1:1::/:/bin/sh\n", "/etc/group": "staff:x:1:\n"}
    world = world_of(tmp_path, tree, programs=("main",), cmd=("main",), user=user)
    assert codes(plan_of(world)) == expected


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("CONFIG", "/etc/app.conf", {"/etc/app.conf"}),
        ("MIXED", "x=/etc/app.conf,/opt/certs", {"/etc/app.conf"}),
        ("URL", "file:///etc/app.conf", {"/etc/app.conf"}),
        ("SSL_CERT_DIR", "/opt/certs", {"/opt/certs/one.pem"}),
        ("SOME_DIR", "/opt/certs", set()),
        ("PYTHONPATH", "/opt/certs", set()),
        ("LD_LIBRARY_PATH", "/opt/certs", set()),
        ("TZDIR", "/usr", set()),
        ("LD_PRELOAD", "/opt/certs/one.pem libother.so", {"/opt/certs/one.pem"}),
        ("EDITOR", "probe -x", {"/usr/bin/probe"}),
        ("CC", "/usr/bin/probe", set()),
        (
            "GUNICORN_CMD_ARGS",
            "-c conf.py -x '/etc/app.conf'",
            {"/app/conf.py", "/etc/app.conf"},
        ),
        ("JAVA_TOOL_OPTIONS", "-javaagent:/etc/app.conf=x", {"/etc/app.conf"}),
        ("PATH", "/opt/certs:/usr/bin", set()),
        ("BASH_ENV", "/none", set()),
    ],
)
def test_variables_name_files(tmp_path: Path, name: str, value: str, found: set[str]) -> None:
    tree: Tree = {"/etc/app.conf": "x", "/opt/certs/one.pem": "y", "/app/conf.py": "z"}
    world = world_of(
        tmp_path,
        tree,
        programs=("main", "probe"),
        cmd=("/usr/bin/main",),
        env=((name, value),),
        working_dir="/app",
    )
    assert kept(plan_of(world)) - {"/usr/bin/main"} == found


def test_a_variables_directory_is_kept_alone(tmp_path: Path) -> None:
    world = world_of(
        tmp_path, {"/data": Dir()}, programs=("main",), cmd=("main",), env=(("HOME", "/data"),)
    )
    _, findings = resolve_roots(world)
    needs = [finding for finding in findings if isinstance(finding, Need)]
    assert ("/data", Scope.PATH, "<env HOME>") in [(n.path, n.scope, n.because) for n in needs]


def test_a_lambda_handler_is_no_path_but_its_module_is(tmp_path: Path) -> None:
    tree: Tree = {
        "/lambda-entrypoint.sh": script("exec /var/runtime/bootstrap"),
        "/var/runtime/bootstrap": program(),
        "/var/task/pkg/app.py": "x",
    }
    world = world_of(
        tmp_path,
        tree,
        entrypoint=("/lambda-entrypoint.sh",),
        cmd=("pkg.app.handler",),
        env=(("LAMBDA_TASK_ROOT", "/var/task"),),
    )
    plan = plan_of(world)
    assert {"/var/runtime/bootstrap", "/var/task/pkg/app.py"} <= kept(plan)
    assert "lambda-handler" in codes(plan)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"cmd": ("app.handler",), "env": (("LAMBDA_TASK_ROOT", "/var/task"),)}, "Lambda handler"),
        ({"cmd": ("web",), "labels": (("io.buildpacks.stack.id", "x"),)}, "process type"),
    ],
)
def test_a_word_that_only_a_platform_knows_is_explained(
    tmp_path: Path, config: dict[str, Any], word: str
) -> None:
    with pytest.raises(UnsupportedImageError) as caught:
        resolve_roots(world_of(tmp_path, {}, **config))
    assert word in str(caught.value)


METADATA = """
[[processes]]
type = "web"
command = ["serve"]
args = ["--port", "80"]
direct = true
default = true

[[processes]]
type = "worker"
command = "cd jobs && exec work"
direct = false
"""


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"entrypoint": ("/cnb/process/web",)}, "/layers/bp/app/bin/serve"),
        ({"entrypoint": ("/cnb/lifecycle/launcher",)}, "/layers/bp/app/bin/serve"),
        ({"entrypoint": ("/cnb/lifecycle/launcher",), "cmd": ("worker",)}, "/usr/bin/work"),
        ({"entrypoint": ("/cnb/lifecycle/launcher",), "cmd": ("other", "x")}, "/usr/bin/other"),
    ],
)
def test_a_buildpacks_process_is_looked_up(
    tmp_path: Path, config: dict[str, Any], found: str
) -> None:
    tree: Tree = {
        "/cnb/lifecycle/launcher": program(),
        "/cnb/process/web": Link("/cnb/lifecycle/launcher"),
        "/layers/config/metadata.toml": METADATA,
        "/layers/bp/app/bin/serve": program(),
    }
    plan = plan_of(world_of(tmp_path, tree, programs=("work", "other"), **config))
    assert {"/cnb/lifecycle/launcher", found} <= kept(plan)
    assert "buildpack-process" in codes(plan)


def test_a_buildpacks_unknown_process_is_a_warning(tmp_path: Path) -> None:
    tree: Tree = {
        "/cnb/lifecycle/launcher": program(),
        "/layers/config/metadata.toml": File("broken ["),
    }
    _, findings = resolve_roots(world_of(tmp_path, tree, entrypoint=("/cnb/lifecycle/launcher",)))
    problems = [finding for finding in findings if isinstance(finding, Problem)]
    assert [problem.severity for problem in problems] == [Severity.WARNING]


def test_the_cmd_is_kept_where_the_entrypoint_may_run_its_arguments(tmp_path: Path) -> None:
    tree = {"/init": File(elf(), mode=0o755), "/usr/bin/server": File(elf(), mode=0o755)}
    for entrypoint, expected in ((("/init",), True), (("/init", "-c", "x"), False)):
        config = ImageConfig(entrypoint=entrypoint, cmd=("server", "-v"))
        commands, _ = resolve_roots(make_world(tmp_path, tree, config=config))
        runs = [command.path for command in commands]
        assert ("/usr/bin/server" in runs) is expected
