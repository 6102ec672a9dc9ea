"""Commands inside commands, interpreters of scripts, and the paths that words name."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from imgslim.commands import existing_paths, inner_commands, split_words
from imgslim.model import Severity
from imgslim.runtimes.script import Shebang, parse_shebang
from tests.scripts import codes, kept, plan_of, program, script, world_of
from tests.worlds import Dir, File, Link, Tree, make_world


@pytest.mark.parametrize(
    ("line", "inner"),
    [
        ("env -i A=1 B=2 app x", ["app x"]),
        ("env -u A -C /d --unset=B - app", ["app"]),
        ("env -S 'A=1 app -x' y", ["app -x y"]),
        ("env '-Sapp -x' y", ["app -x y"]),
        ("nice -n 5 app", ["app"]),
        ("nice -n5 app -n 3", ["app -n 3"]),
        ("timeout --signal=KILL -k 5 10s app", ["app"]),
        ("tini -g -p SIGTERM -- app -x", ["app -x"]),
        ("dumb-init --rewrite 15:3 app", ["app"]),
        ("gosu postgres:postgres app", ["app"]),
        ("su-exec 1000 app -x", ["app -x"]),
        ("setpriv --reuid=1 --regid 2 --clear-groups app", ["app"]),
        ("chroot --userspec=x /jail app", ["app"]),
        ("sudo -E -u www-data HOME=/x app", ["app"]),
        ("su - user -c 'app -x | y'", ["/bin/sh -c 'app -x | y'"]),
        ("runuser -u user -- app", ["app"]),
        ("xargs -0 -n1 -P 4 app", ["app"]),
        ("find . -name '*.x' -exec app {} + -exec other {} ';'", ["app '{}'", "other '{}'"]),
        ("flock -n /lock app", ["app"]),
        ("flock /lock -c 'app x'", ["/bin/sh -c 'app x'"]),
        ("ionice -c2 -n 7 app", ["app"]),
        ("stdbuf -oL app", ["app"]),
        ("strace -f -o out app", ["app"]),
        ("wait-for-it.sh db:5432 -t 30 -- app -x", ["app -x"]),
        ("wait-for-it.sh db:5432", []),
        ("dockerize -wait tcp://db:1 -timeout 5s app", ["app"]),
        ("s6-setuidgid user app", ["app"]),
        ("chpst -u app -e /env app", ["app"]),
        ("/lib64/ld-linux-x86-64.so.2 --library-path /l /app", ["/app"]),
        ("busybox sed x", ["sed x"]),
        ("start-stop-daemon --start --exec /app -- -x", ["/app -x"]),
        ("uv run --no-sync app", ["app"]),
        ("opentelemetry-instrument --service_name x app", ["app"]),
        ("newrelic-admin run-program app", ["app"]),
        ("app --env x", []),
        ("env", []),
    ],
)
def test_wrappers_hold_other_commands(line: str, inner: list[str]) -> None:
    argv = shlex.split(line)
    found = inner_commands(argv, argv[0] if "/" in argv[0] else f"/usr/bin/{argv[0]}")
    assert [shlex.join(words) for words in found] == inner


def test_a_chain_of_wrappers_keeps_every_link_of_it(tmp_path: Path) -> None:
    tree: Tree = {"/opt/app": program(), "/sbin/init-link": Link("/usr/bin/tini")}
    world = world_of(
        tmp_path,
        tree,
        programs=("tini", "gosu"),
        entrypoint=("/sbin/init-link", "--"),
        cmd=("env", "A=1", "gosu", "app", "/opt/app"),
    )
    found = kept(plan_of(world))
    assert {"/sbin/init-link", "/usr/bin/tini", "/usr/bin/env", "/usr/bin/gosu"} <= found
    assert "/opt/app" in found


def test_a_wrapped_command_that_is_missing_is_a_warning(tmp_path: Path) -> None:
    world = world_of(tmp_path, {}, programs=("tini",), entrypoint=("tini", "--", "nowhere"))
    problems = [p for p in plan_of(world).problems if p.code == "missing-command"]
    assert [p.severity for p in problems] == [Severity.WARNING]
    assert "nowhere" in problems[0].message


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("/srv/a", ["/srv/a"]),
        ("--opt=/srv/a", ["/srv/a"]),
        ("-c/srv/a", ["/srv/a"]),
        ("@/srv/a", ["/srv/a"]),
        ("/srv/a:/srv/b,/none", ["/srv/a", "/srv/b"]),
        ("-javaagent:/srv/a=port:/srv/b", ["/srv/a", "/srv/b"]),
        ("see /srv/a.", ["/srv/a"]),
        ("file:///srv/a", ["/srv/a"]),
        ("http://host/srv/a", []),
        ("x/srv/a", []),
        ("/", []),
        ("/srv/with space", ["/srv/with space"]),
        ("a" * 10_000 + "/srv/a", []),
    ],
)
def test_existing_paths_are_found_in_text(tmp_path: Path, text: str, paths: list[str]) -> None:
    world = make_world(tmp_path, {"/srv/a": "a", "/srv/b": "b", "/srv/with space": "c"})
    assert list(existing_paths(world.rootfs, text)) == paths


def test_relative_words_are_files_of_the_working_directory(tmp_path: Path) -> None:
    tree: Tree = {"/app/main.conf": "x", "/app/deep/data": "y"}
    world = world_of(
        tmp_path, tree, programs=("run",), cmd=("run", "main.conf", "deep"), working_dir="/app"
    )
    found = kept(plan_of(world))
    assert "/app/main.conf" in found
    assert "/app/deep/data" not in found


def test_broken_quoting_is_split_at_blanks() -> None:
    assert split_words("it's x") == ["it's", "x"]


@pytest.mark.parametrize(
    ("head", "shebang"),
    [
        (b"#!/bin/sh\necho", Shebang("/bin/sh")),
        (b"#! /bin/sh -eu \n", Shebang("/bin/sh", "-eu")),
        (b"#!\t/usr/bin/env\t-S a b\n", Shebang("/usr/bin/env", "-S a b")),
        (b"#!/bin/sh", Shebang("/bin/sh")),
        (b"#!/bin/sh\r\n", Shebang("/bin/sh\r")),
        (b"#!\n", None),
        (b"\x7fELF", None),
        (b"echo", None),
    ],
)
def test_shebangs_are_read_as_the_kernel_reads_them(head: bytes, shebang: Shebang | None) -> None:
    assert parse_shebang(head) == shebang


@pytest.mark.parametrize(
    ("shebang", "found"),
    [
        ("#!/usr/bin/perl -w", {"/usr/bin/perl"}),
        ("#!/usr/bin/env perl", {"/usr/bin/env", "/usr/bin/perl"}),
        ("#!/usr/bin/env -S perl -w", {"/usr/bin/env", "/usr/bin/perl"}),
    ],
)
def test_a_script_brings_its_interpreter_run_or_only_kept(
    tmp_path: Path, shebang: str, found: set[str]
) -> None:
    tree: Tree = {"/app/task": script("1;", shebang)}
    world = world_of(tmp_path, tree, programs=("perl", "main"), cmd=("main",))
    assert found <= kept(plan_of(world, ("/app/task",)))
    assert found <= kept(plan_of(world, user=("/app/task",)))


def test_scripts_inside_packages_bring_no_interpreter_until_they_run(tmp_path: Path) -> None:
    path = "/app/node_modules/x/bin/tool"
    world = world_of(
        tmp_path,
        {path: script("1;", "#!/usr/bin/perl")},
        programs=("perl", "main"),
        cmd=("main",),
    )
    assert "/usr/bin/perl" not in kept(plan_of(world, user=(path,)))
    assert "/usr/bin/perl" in kept(plan_of(world, (path,), user=(path,)))


@pytest.mark.parametrize("shebang", ["#!/opt/gone", "#!/usr/bin/env gone", "#!/bin/sh\r"])
def test_a_missing_interpreter_is_a_warning_on_the_script(tmp_path: Path, shebang: str) -> None:
    world = world_of(tmp_path, {"/entry": script("x", shebang)}, entrypoint=("/entry",))
    problems = {p.code: p for p in plan_of(world).problems}
    assert problems["missing-interpreter"].severity is Severity.WARNING
    assert problems["missing-interpreter"].path == "/entry"


def test_a_script_without_a_shebang_is_the_shells(tmp_path: Path) -> None:
    tree: Tree = {"/entry": script("/raw"), "/raw": File("a\n", mode=0o755)}
    world = world_of(tmp_path, tree, programs=("a",), entrypoint=("/entry",))
    assert "/usr/bin/a" in kept(plan_of(world))
    world = world_of(tmp_path, tree, programs=("a",), entrypoint=("/raw",))
    plan = plan_of(world)
    assert "/usr/bin/a" in kept(plan)
    assert "no-shebang" in codes(plan)


def test_interpreters_that_name_each_other_end(tmp_path: Path) -> None:
    tree: Tree = {"/a": script("", "#!/b"), "/b": script("", "#!/a")}
    assert kept(plan_of(world_of(tmp_path, tree, entrypoint=("/a",)))) >= {"/a"}


def test_a_directory_is_no_program(tmp_path: Path) -> None:
    tree: Tree = {"/usr/local/bin/app": Dir(), "/usr/bin/app": program()}
    assert "/usr/bin/app" in kept(plan_of(world_of(tmp_path, tree, cmd=("app",))))
