"""What strace wrote about a run, read as the paths that the run touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.trace import (
    Account,
    Trace,
    account,
    looked_at_paths,
    parse_folder,
    parse_processes,
    unescape,
    used_files,
)
from tests.elves import elf
from tests.worlds import File, Link, Member, make_world


def trace(*lines: str) -> Trace:
    return parse_processes({7: lines}, "/start")


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('open("/a", O_RDONLY) = 3</a>', "/a"),
        ('openat(AT_FDCWD</app>, "x", O_RDONLY|O_CLOEXEC) = 3</app/x>', "/app/x"),
        ('openat(5</app/lib>, "x", O_RDONLY)      = 3</app/lib/x>', "/app/lib/x"),
        ('openat2(AT_FDCWD</app>, "x", {flags=O_RDONLY, resolve=0}, 24) = 3</x>', "/x"),
        ('openat(AT_FDCWD</app>, "/lib/l.so", O_RDONLY) = 3</usr/lib/l.so.1>', "/usr/lib/l.so.1"),
        ('openat(AT_FDCWD</app>, "x", O_RDONLY) = 3</tmp/x>(deleted)', "/tmp/x"),
        (r'openat(AT_FDCWD</app>, "/a<\303\274>\"", O_RDONLY) = 3</a\74\303\274\76\">', '/a<ü>"'),
        ('openat(AT_FDCWD</app>, "O_PATH", O_RDONLY) = 3</app/O_PATH>', "/app/O_PATH"),
    ],
)
def test_an_opened_file_is_the_one_that_the_call_returned(line: str, path: str) -> None:
    assert trace(line).opened == {path}


def test_the_name_by_which_a_file_was_opened_is_looked_at() -> None:
    found = trace('openat(AT_FDCWD</app>, "lib/l.so", O_RDONLY) = 3</usr/lib/l.so.1>')
    assert found.looked_at == {"/app/lib/l.so"}


@pytest.mark.parametrize(
    "line",
    [
        'openat(AT_FDCWD</app>, "x", O_RDONLY|O_PATH) = 3</app/x>',
        'stat("x", {st_mode=S_IFREG|0644, st_size=4, ...}) = 0',
        'newfstatat(AT_FDCWD</app>, "x", {st_mode=S_IFREG|0644, ...}, 0) = 0',
        'newfstatat(4</app>, "x", {st_mode=S_IFREG|0644, ...}, 0) = 0',
        'statx(AT_FDCWD</app>, "x", AT_STATX_SYNC_AS_STAT, STATX_ALL, {stx_mask=STATX_ALL}) = 0',
        'readlink("x", "target", 4096)           = 6',
        'access("x", X_OK)                       = 0',
        'faccessat2(AT_FDCWD</app>, "x", R_OK, AT_EACCESS) = 0',
    ],
)
def test_a_look_opens_nothing(line: str) -> None:
    found = parse_processes({7: [line]}, "/app")
    assert found == Trace(looked_at=frozenset({"/app/x"}))


@pytest.mark.parametrize(
    "line",
    [
        "",
        'newfstatat(3</app/x>, "", {st_mode=S_IFREG|0644, ...}, AT_EMPTY_PATH) = 0',
        'openat(AT_FDCWD</app>, "x", O_RDONLY) = -1 ENOENT (No such file or directory)',
        'openat(AT_FDCWD</app>, "x", O_RDONLY <unfinished ...>',
        "+++ exited with 0 +++",
    ],
)
def test_what_names_no_path_or_fails_is_left_out(line: str) -> None:
    assert trace(line) == Trace()


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        (['execve("/bin/x", ["x"], 0x7f /* 9 vars */) = 0'], "/bin/x"),
        (['execveat(AT_FDCWD</app>, "x", ["x"], 0x7f, 0) = 0'], "/app/x"),
        (['execve("./x", ["x"], 0x7f /* 9 vars */) = 0'], "/start/./x"),
        (['execve("./x", ["./x"], 0x7f) = 0', 'access(AT_FDCWD</a>, "b") = 0'], "/a/./x"),
        (['chdir("down") = 0', 'execve("./x", ["./x"], 0x7f) = 0'], "/start/down/./x"),
        (["fchdir(3</else>) = 0", 'execve("x", ["(x) = 3"], 0x7f) = 0'], "/else/x"),
    ],
)
def test_an_executed_path_starts_where_the_process_is(lines: list[str], path: str) -> None:
    assert trace(*lines).executed == {path}


@pytest.mark.parametrize("order", [(7, 8, 9), (9, 8, 7)])
def test_a_child_starts_where_its_parent_was(order: tuple[int, ...]) -> None:
    parent = ['chdir("/a") = 0', "vfork() = 8", 'chdir("/b") = 0', "clone3({flags=0}, 88) = 9"]
    child = ['execve("./x", ["./x"], 0x7f) = 0']
    outputs = {7: parent, 8: child, 9: child}
    found = parse_processes({pid: outputs[pid] for pid in order}, "/start")
    assert found.executed == {"/a/./x", "/b/./x"}


def test_a_folder_holds_a_file_for_each_process(tmp_path: Path) -> None:
    (tmp_path / "main.7").write_text('chdir("/a") = 0\nvfork() = 8\n')
    (tmp_path / "main.8").write_text('execve("./x", ["./x"], 0x7f) = 0\n')
    (tmp_path / "health check.1.12").write_text('open("/h", O_RDONLY) = 3</h>\n')
    found = parse_folder(tmp_path, "/")
    assert found.executed == {"/a/./x"}
    assert found.opened == {"/h"}


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/plain", "/plain"),
        (r"/\303\274", "/ü"),
        (r"/\3771", "/\udcff1"),
        (r"/a\tb\nc\\d\"e", '/a\tb\nc\\d"e'),
        (r"/a\74b\76", "/a<b>"),
    ],
)
def test_escapes(written: str, path: str) -> None:
    assert unescape(written) == path


def test_only_regular_files_of_the_image_are_used(tmp_path: Path) -> None:
    tree: dict[str, Member] = {"/app/a": "a", "/app/l": Link("a"), "/proc/x": "x"}
    rootfs = make_world(tmp_path, tree).rootfs
    found = Trace(opened=frozenset({"/app", "/app/a", "/app/made-later", "/proc/x", "pipe:[1]"}))
    assert set(used_files(rootfs, found)) == {"/app/a"}
    seen = Trace(looked_at=frozenset({"/app/l", "/app/made-later", "/proc/x"}))
    assert set(looked_at_paths(rootfs, seen)) == {"/app/l", "/app/a"}


def test_what_the_kernel_opens_for_a_program_is_used(tmp_path: Path) -> None:
    tree: dict[str, Member] = {
        "/app/start": File("#! /bin/sh -e\n", mode=0o755),
        "/bin/sh": Link("dash"),
        "/bin/dash": File(elf(interpreter="/lib64/ld.so.2"), mode=0o755),
        "/lib64/ld.so.2": File(elf(), mode=0o755),
        "/app/read-only": "#!/bin/other\n",
        "/bin/other": "",
    }
    rootfs = make_world(tmp_path, tree).rootfs
    found = Trace(opened=frozenset({"/app/read-only"}), executed=frozenset({"/app/start"}))
    expected = {"/app/start", "/bin/dash", "/lib64/ld.so.2", "/app/read-only"}
    assert set(used_files(rootfs, found)) == expected


PASSWD = """\
root:x:0:0:root:/root:/bin/sh
app:x:1000:50:An app:/home/app:/bin/sh
torn
"""


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", None),
        ("root", None),
        ("0", None),
        ("app", Account("app", "/home/app")),
        ("1000", Account("app", "/home/app")),
        ("app:50", Account("app", "/home/app")),
        ("app:51", None),
        ("1001", None),
        ("torn", None),
    ],
)
def test_whom_strace_can_start_a_program_as(user: str, expected: Account | None) -> None:
    assert account(user, PASSWD) == expected
