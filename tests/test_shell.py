"""What shell scripts run, source and read is kept, and what cannot be told is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.model import Severity
from tests.scripts import codes, kept, plan_of, program, script, world_of
from tests.worlds import File, Link, Tree

PROGRAMS = (
    "a",
    "b",
    "c",
    "gosu",
    "tini",
    "find",
    "xargs",
    "timeout",
    "nohup",
    "diff",
    "cat",
    "sort",
    "unused",
)


def needs_of(
    tmp_path: Path,
    text: str,
    tree: Tree | None = None,
    cmd: tuple[str, ...] = (),
    env: tuple[tuple[str, str], ...] = (),
    shebang: str = "#!/bin/sh",
    working_dir: str = "",
) -> set[str]:
    """What an entrypoint script keeps, less the script and its shell."""
    world = world_of(
        tmp_path,
        {"/entry.sh": script(text, shebang), **(tree or {})},
        programs=PROGRAMS,
        # Not as cmd: that is kept whatever the script does with it.
        entrypoint=("/entry.sh", *cmd),
        env=env,
        working_dir=working_dir,
    )
    return kept(plan_of(world)) - {"/entry.sh", "/bin/sh", "/bin/bash"}


@pytest.mark.parametrize(
    "text",
    [
        "a; b",
        "a | b",
        "a && b || true",
        "if a; then b; fi",
        "if false; then a; elif a; then :; else b; fi",
        "while a; do b; done",
        "until a; do b & done",
        'for x in 1 2; do a "$x"; done; ( b )',
        'case "$1" in x) a;; *) b;; esac',
        "echo $(a) `b`",
        'x="$(a)"; export Y="$(b)"',
        "f() { a; }\nb",
        "f() { a; }\nf; exec b",
        "! a; { b; }",
        "exec a <<X\n$(b)\nX",
        "sh <<X\na\nb\nX",
        "cat <<'X' | sh\na\nb\nX",
        "echo 'a; b' | sh",
        "trap 'a' EXIT; b",
        "eval 'a; b'",
        "sh -c 'a && b'",
        "bash -euo pipefail -c 'a; \"$@\"' name b",
        "command a; time b",
        "a 2>/dev/null >&2; exec -a name b",
        "env X=1 a; nohup b",
        "gosu user a; timeout -k 5 10 b",
        "find . -type f -exec a {} \\; ; echo | xargs -n 1 b",
        "diff <(a) <(b)",
        '[ -n "$(a)" ] && b',
        "coproc a; b",
        "X=1 \\\n a; b",
        "a\n}}} ) broken\nb",
    ],
)
def test_commands_are_found_wherever_they_stand(tmp_path: Path, text: str) -> None:
    found = needs_of(tmp_path, text)
    assert {"/usr/bin/a", "/usr/bin/b"} <= found
    assert not {"/usr/bin/c", "/usr/bin/unused"} & found


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('APP=/srv/x\nexec "$APP/bin/run"', "/srv/x/bin/run"),
        ('exec "${HOME_DIR:-/srv/x}/bin/run"', "/srv/x/bin/run"),
        ('exec "$BASE/bin/run"', "/srv/x/bin/run"),
        (': "${D:=/srv/x}"; $D/bin/run', "/srv/x/bin/run"),
        ("cd /srv/x && exec ./bin/run", "/srv/x/bin/run"),
        ("cd /srv; cd x; bin/run", "/srv/x/bin/run"),
        ("export PATH=/srv/x/bin:$PATH\nrun", "/srv/x/bin/run"),
        ('export A=1 B="2"\nexport PATH="/srv/x/bin:$PATH"\nrun', "/srv/x/bin/run"),
        ('"$(dirname "$0")/srv/x/bin/run"', "/srv/x/bin/run"),
        ('"${0%/*}/srv/x/bin/run"', "/srv/x/bin/run"),
        ('D="$(cd "$(dirname "$0")" && pwd)"; exec "$D/srv/x/bin/run"', "/srv/x/bin/run"),
        ('if test -n "$Q"; then R=/srv/x; else R=/none; fi; $R/bin/run', "/srv/x/bin/run"),
        ('set -- /srv/x/bin/run "$@"; exec "$@"', "/srv/x/bin/run"),
        ("CMD='/srv/x/bin/run -v'; exec $CMD", "/srv/x/bin/run"),
        ('N=run; /srv/x/bin/"$N"', "/srv/x/bin/run"),
        ("x=/srv/x/bin/run.sh; exec ${x%.sh}", "/srv/x/bin/run"),
        ('exec /srv/x/bin/$NAME_FROM_OUTSIDE"$(c)"', "/srv/x/bin/run"),
        ("cat /srv/x/data", "/srv/x/data"),
        ("echo hi > /srv/x/data", "/srv/x/data"),
        ("b < /srv/x/data", "/srv/x/data"),
        ("[ -f /srv/x/data ] || exit 1", "/srv/x/data"),
        ("CONF=/srv/x/data\nexport CONF", "/srv/x/data"),
        ("a --config=/srv/x/data", "/srv/x/data"),
        ("a -c/srv/x/data @/srv/x/data", "/srv/x/data"),
        ('a "file:///srv/x/data"', "/srv/x/data"),
        ("cat <<X > out\ninclude /srv/x/data;\nX", "/srv/x/data"),
        ("cd /srv/x; cat data", "/srv/x/data"),
        ("cp -a /srv/x /elsewhere", "/srv/x/data"),
    ],
)
def test_simply_computed_paths_are_found(tmp_path: Path, text: str, path: str) -> None:
    tree: Tree = {"/srv/x/bin/run": program(), "/srv/x/data": "content"}
    assert path in needs_of(tmp_path, text, tree, env=(("BASE", "/srv/x"),))


@pytest.mark.parametrize(
    "text",
    [
        'exec "$@"',
        "exec $*",
        '"$@"',
        'exec tini -- "$@"',
        'set -euo pipefail\nexec "$@"',
        'set -eo pipefail -u\nexec "$@"',
        'set -e\nif [ "${1#-}" != "$1" ]; then\n  set -- a "$@"\nfi\nexec "$@"',
        'main() { exec "$@"; }\nmain "$@"',
        'f() { shift; exec "$@"; }; f x "$@"',
        'if [ "$1" = b ]; then exec gosu nobody "$0" "$@"; fi; exec "$@"',
        'exec "$1" --flag',
        'sh -c "$*"',
    ],
)
def test_the_images_cmd_reaches_the_script_as_its_arguments(tmp_path: Path, text: str) -> None:
    assert "/usr/bin/b" in needs_of(tmp_path, text, cmd=("b", "--port", "80"))


def test_options_alone_as_cmd_go_to_the_program_that_the_script_puts_before_them(
    tmp_path: Path,
) -> None:
    text = 'if [ "${1:0:1}" = - ]; then set -- a "$@"; fi\nexec "$@"'
    assert "/usr/bin/a" in needs_of(tmp_path, text, cmd=("-c", "x"))


def test_bash_arrays_hold_a_command(tmp_path: Path) -> None:
    text = 'cmd=(gosu app)\ncmd+=(b "$@")\nexec "${cmd[@]}" "${@:2}"'
    found = needs_of(tmp_path, text, cmd=("x",), shebang="#!/bin/bash")
    assert {"/usr/bin/gosu", "/usr/bin/b"} <= found


def test_arguments_up_to_a_separator_are_shifted_away(tmp_path: Path) -> None:
    text = 'while [ $# -gt 0 ]; do case "$1" in --) shift; break;; *) shift;; esac; done\nexec "$@"'
    assert "/usr/bin/b" in needs_of(tmp_path, text, cmd=("host:80", "-t", "5", "--", "b"))


def test_sourced_files_are_kept_and_their_names_are_known(tmp_path: Path) -> None:
    tree: Tree = {
        "/opt/lib.sh": ". /opt/env-$MODE.sh\nstart() { exec $PROGRAM; }\n",
        "/opt/env-prod.sh": "PROGRAM=/opt/run\n",
        "/opt/run": program(),
    }
    found = needs_of(tmp_path, '. "$(dirname "$0")/opt/lib.sh"\nstart', tree)
    assert {"/opt/lib.sh", "/opt/env-prod.sh", "/opt/run"} <= found


def test_a_loop_over_a_directory_runs_and_sources_its_scripts(tmp_path: Path) -> None:
    text = 'for f in /init.d/*.sh; do if [ -x "$f" ]; then "$f"; else . "$f"; fi; done'
    tree: Tree = {"/init.d/1.sh": script("a"), "/init.d/2.sh": File("b\n"), "/init.d/x": "no"}
    found = needs_of(tmp_path, text, tree)
    assert {"/init.d/1.sh", "/init.d/2.sh", "/usr/bin/a", "/usr/bin/b"} <= found


def test_files_that_find_lists_into_a_reading_loop_are_run(tmp_path: Path) -> None:
    text = (
        'find "/init.d/" -type f -print | sort -V | while read -r f; do\n'
        'case "$f" in *.envsh) . "$f";; *.sh) "$f";; esac; done'
    )
    tree: Tree = {"/init.d/1.sh": script("a"), "/init.d/2.envsh": File("b\n")}
    found = needs_of(tmp_path, text, tree)
    assert {"/init.d/1.sh", "/init.d/2.envsh", "/usr/bin/a", "/usr/bin/b"} <= found


def test_run_parts_runs_what_is_in_its_directory(tmp_path: Path) -> None:
    tree: Tree = {"/usr/bin/run-parts": program(), "/etc/boot.d/one": script("a")}
    assert {"/etc/boot.d/one", "/usr/bin/a"} <= needs_of(tmp_path, "run-parts /etc/boot.d", tree)


def test_a_library_path_that_only_the_script_sets_is_kept_whole(tmp_path: Path) -> None:
    text = "export LD_LIBRARY_PATH=/opt/lib:/usr/lib:$LD_LIBRARY_PATH\nexec a"
    tree: Tree = {"/opt/lib/libx.so.1": "x", "/usr/lib/liby.so.1": "y"}
    found = needs_of(tmp_path, text, tree)
    assert "/opt/lib/libx.so.1" in found
    assert "/usr/lib/liby.so.1" not in found


def test_what_is_removed_or_only_checked_for_is_no_need(tmp_path: Path) -> None:
    tree: Tree = {"/usr/bin/rm": program(), "/srv/default.conf": "x"}
    found = needs_of(tmp_path, "rm -f /srv/default.conf\ncommand -v unused", tree)
    assert not {"/srv/default.conf", "/usr/bin/unused"} & found


def test_builtins_functions_and_aliases_bring_no_program_of_their_name(tmp_path: Path) -> None:
    names = ("echo", "printf", "test", "[", "kill", "helper")
    tree: Tree = {f"/usr/bin/{name}": program() for name in names}
    text = "helper() { :; }\nhelper; echo x; printf y; test 1; [ 1 ]; kill 1"
    assert needs_of(tmp_path, text, tree) == set()


def test_a_script_run_relative_to_its_directory_hands_on_absolute_words(tmp_path: Path) -> None:
    tree: Tree = {"/srv/x/inner.sh": script("b"), "/srv/x/conf": "c"}
    found = needs_of(tmp_path, "cd /srv/x\nsh inner.sh\na conf", tree, working_dir="/work")
    assert {"/srv/x/inner.sh", "/usr/bin/b", "/srv/x/conf"} <= found


def test_links_to_the_shell_and_the_script_stay(tmp_path: Path) -> None:
    tree: Tree = {
        "/opt/app/start": script('exec "$(dirname "$(readlink -f "$0")")/run"'),
        "/opt/app/run": program(),
        "/usr/bin/readlink": program(),
        "/usr/local/bin/start": Link("../../../opt/app/start"),
    }
    world = world_of(tmp_path, tree, entrypoint=("start",))
    found = kept(plan_of(world))
    assert {"/usr/local/bin/start", "/opt/app/start", "/opt/app/run"} <= found


def test_a_database_entrypoint_with_its_own_functions(tmp_path: Path) -> None:
    text = """
file_env() { local var="$1"; export "$var"="${!var:-${2:-}}"; }
run_files() {
    local f
    for f; do
        case "$f" in
            *.sh) if [ -x "$f" ]; then "$f"; else . "$f"; fi ;;
            *.sql.gz) a -c "$f" | query ;;
        esac
    done
}
query() {
    local runner=( b -v STOP=1 --username "$DB_USER" )
    runner+=( --dbname "$DB" )
    HOST= "${runner[@]}" "$@"
}
main() {
    if [ "${1:0:1}" = '-' ]; then
        set -- server "$@"
    fi
    if [ "$1" = 'server' ] && [ "$(id -u)" = 0 ]; then
        exec gosu db "$BASH_SOURCE" "$@"
    fi
    file_env DB_USER db
    eval 'setup --user="$DB_USER" --pw=<(c) '"$SETUP_ARGS"' "$@"'
    PGUSER="${PGUSER:-$DB_USER}" \\
    control -o "$(printf '%q ' "$@")" start
    run_files /init.d/*
    exec "$@"
}
if ! (return 0 2>/dev/null); then
    main "$@"
fi"""
    programs = ("server", "setup", "control", "id")
    tree: Tree = {
        **{f"/usr/bin/{name}": program() for name in programs},
        "/init.d/1.sh": script("sort"),
        "/init.d/2.sh": File("xargs nohup"),
    }
    env = (("PATH", "/usr/local/bin:/usr/bin:/bin"),)
    found = needs_of(tmp_path, text, tree, ("server",), env, "#!/usr/bin/env bash")
    wanted = (*programs, "a", "b", "c", "gosu", "env", "bash", "sort", "xargs", "nohup")
    assert {f"/usr/bin/{name}" for name in wanted if name != "bash"} <= found
    assert "/usr/bin/unused" not in found


def test_busybox_links_and_applets_without_links(tmp_path: Path) -> None:
    tree: Tree = {
        "/bin/busybox": File(b"\x7fELF\0sed\0awk\0", mode=0o755),
        "/bin/sh": Link("busybox"),
        "/bin/sed": Link("/bin/busybox"),
        "/entry": script("sed -n 1p; awk x; busybox sh -c 'nowhere'"),
    }
    plan = plan_of(world_of(tmp_path, tree, entrypoint=("/entry",)))
    assert {"/bin/busybox", "/bin/sh", "/bin/sed"} <= kept(plan)
    said = " ".join(p.message for p in plan.problems if p.code == "commands-not-in-image")
    assert "nowhere" in said
    assert "awk" not in said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("true\n\n$CMD", 3),
        ("true\nread CMD\nexec $CMD", 3),
        ('eval "$THING_$(a)"\nexec "$(c)" x', 2),
    ],
)
def test_a_command_that_only_a_run_knows_is_a_warning_with_its_line(
    tmp_path: Path, text: str, line: int
) -> None:
    world = world_of(tmp_path, {"/entry.sh": script(text)}, entrypoint=("/entry.sh",))
    warnings = [p for p in plan_of(world).problems if p.code == "unresolved-command"]
    assert warnings
    assert {(p.severity, p.path) for p in warnings} == {(Severity.WARNING, "/entry.sh")}
    assert any(f"line {line + 1}:" in p.message for p in warnings)


def test_an_empty_cmd_and_unset_options_are_no_problem(tmp_path: Path) -> None:
    text = '$PREFIX a $OPTS\nexec "$@"'
    world = world_of(
        tmp_path, {"/entry.sh": script(text)}, programs=("a",), entrypoint=("/entry.sh",)
    )
    plan = plan_of(world)
    assert "/usr/bin/a" in kept(plan)
    assert codes(plan) == set()


def test_one_reading_of_a_command_that_is_there_is_enough(tmp_path: Path) -> None:
    text = 'if [ "$1" = web ]; then shift; set -- a "$@"; fi\nexec "$@"'
    world = world_of(
        tmp_path,
        {"/entry.sh": script(text)},
        programs=("a",),
        entrypoint=("/entry.sh",),
        cmd=("web", "80"),
    )
    assert codes(plan_of(world)) == set()


def test_missing_commands_and_broken_syntax_are_only_said(tmp_path: Path) -> None:
    world = world_of(
        tmp_path, {"/entry.sh": script("nowhere\nif (( ]] done\na")}, entrypoint=("/entry.sh",)
    )
    said = {p.code: p.severity for p in plan_of(world).problems}
    assert said["commands-not-in-image"] is Severity.INFO
    assert said["shell-syntax"] is Severity.INFO


def test_a_users_script_that_nothing_runs_brings_its_programs_but_no_build_tools(
    tmp_path: Path,
) -> None:
    tree: Tree = {"/app/task.sh": script("a\ngcc -o x x.c\nexec $WHAT")}
    world = world_of(tmp_path, tree, programs=("a", "gcc", "main"), cmd=("main",))
    plan = plan_of(world, user=("/app/task.sh",))
    assert {"/usr/bin/a", "/bin/sh"} <= kept(plan)
    assert "/usr/bin/gcc" not in kept(plan)
    assert {p.severity for p in plan.problems if p.path == "/app/task.sh"} == {Severity.INFO}
    assert "/usr/bin/gcc" in kept(plan_of(world, ("/app/task.sh",), ("/app/task.sh",)))


def test_a_script_that_calls_itself_and_functions_that_recurse_end(tmp_path: Path) -> None:
    text = 'f() { f "$@" x; b; }\nf\n/entry.sh "$@" more\nexec "$0" "$@"\n. /entry.sh'
    assert "/usr/bin/b" in needs_of(tmp_path, text)
