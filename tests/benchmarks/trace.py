"""Which files an image reads: every route of a fixture under strace.

strace comes with its own loader and libraries, mounted read-only, so that it runs in any image of
this machine's architecture, one without a shell or a libc included. It needs Debian's package
``strace`` (``apt-get install strace``) and an engine that sees this machine's files.

strace runs as root and starts the program as the image's user (``-u``), so that set-user-ID
programs get their privileges under it (ptrace(2)). That takes a user with a row in /etc/passwd and
with the group of that row; others run strace themselves.

Not seen: what the kernel opens by itself is taken from the executed file (its ``#!`` line, its
PT_INTERP), so not of a script that was made at run time.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from fixtures.build import Fixture, Route
from imgslim.model import Entry, ImageConfig
from imgslim.rootfs import Rootfs
from tests.containers import NO_ANSWER, Answer, Running, created, run_to_the_end, started

OPENING = frozenset({"open", "openat", "openat2"})
EXECUTING = frozenset({"execve", "execveat"})
LOOKING = frozenset(
    [
        "readlink",
        "readlinkat",
        "stat",
        "lstat",
        "newfstatat",
        "statx",
        "access",
        "faccessat",
        "faccessat2",
    ]
)

STARTING = frozenset({"clone", "clone3", "fork", "vfork"})
MOVING = frozenset({"chdir", "fchdir"})

_TRACER = "/.tracer"
_OUTPUT = "/.traced"
_NO_FILES = ("/proc", "/sys", "/dev", _TRACER, _OUTPUT)

_CALL = re.compile(r"(\w+)\((.*)\) += (\d+)(?:<([^<>]*)>(?:\(deleted\))?)?$")
"""A successful call in strace's output: name, arguments, result and, of a file, its path."""

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_DIRECTORY = re.compile(r"(?:AT_FDCWD|\d+)<([^<>]*)>")
_WORKING_DIRECTORY = re.compile(r"AT_FDCWD<([^<>]*)>")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}

_SHEBANG_BYTES = 256
"""The kernel's BINPRM_BUF_SIZE: no longer ``#!`` line is read."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Absolute paths that a program named with success, by what it did with them."""

    opened: frozenset[str] = frozenset()
    executed: frozenset[str] = frozenset()
    looked_at: frozenset[str] = frozenset()

    def __or__(self, other: Trace) -> Trace:
        return Trace(
            self.opened | other.opened,
            self.executed | other.executed,
            self.looked_at | other.looked_at,
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """What every route answered under strace, and what all of them together touched."""

    answers: dict[str, Answer]
    trace: Trace


def parse_processes(outputs: Mapping[int, Sequence[str]], start: str) -> Trace:
    """What the processes of one container did, from what ``strace -ff -y -z`` wrote of each.

    ``outputs`` are lines by process id, ``start`` is where a process that none of the others
    started is, unless its first calls show another working directory.
    """
    calls = {pid: [m for m in map(_CALL.match, lines) if m] for pid, lines in outputs.items()}
    children = {int(m[3]) for of in calls.values() for m in of if m[1] in STARTING}
    trace = Trace()
    pending = [(pid, _first_directory(calls[pid], start)) for pid in calls if pid not in children]
    while pending:
        pid, directory = pending.pop()
        process = _Process(directory)
        for call in calls.pop(pid, ()):
            process.take(call[1], call[2], call[4] or "")
            if call[1] in STARTING:
                pending.append((int(call[3]), process.directory))
        trace |= process.trace()
    return trace


class _Process:
    """One process while its calls are read: where it is and what it has named so far."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._opened: set[str] = set()
        self._executed: set[str] = set()
        self._looked_at: set[str] = set()

    def take(self, name: str, arguments: str, result: str) -> None:
        """A successful call; ``result`` is the path of the file that it returned, or ""."""
        if shown := _WORKING_DIRECTORY.match(arguments):
            self.directory = unescape(shown[1])
        path = self._named(arguments)
        if name in MOVING:
            moved = _DIRECTORY.match(arguments)
            self.directory = unescape(moved[1]) if moved else path
        elif name in EXECUTING:
            self._executed.add(path)
        elif name in OPENING or name in LOOKING:
            self._looked_at.add(path)
            if name in OPENING and "O_PATH" not in arguments.rpartition('"')[2]:
                self._opened.add(unescape(result))

    def _named(self, arguments: str) -> str:
        """The absolute path that a call names; "" for an open file named by number alone."""
        string = _STRING.search(arguments)
        if string is None or not string[1]:
            return ""
        opened = _DIRECTORY.match(arguments)
        return posixpath.join(
            unescape(opened[1]) if opened else self.directory, unescape(string[1])
        )

    def trace(self) -> Trace:
        return Trace(
            *(frozenset(p - {""}) for p in (self._opened, self._executed, self._looked_at))
        )


def _first_directory(calls: Sequence[re.Match[str]], start: str) -> str:
    shown = next((m for call in calls if (m := _WORKING_DIRECTORY.match(call[2]))), None)
    return unescape(shown[1]) if shown else start


def unescape(text: str) -> str:
    """A path as strace writes it, with octal and C escapes, as imgslim has it (PEP 383)."""

    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8)]) if code.isdigit() else _LETTERS.get(code, code)

    return os.fsdecode(_ESCAPE.sub(plain, os.fsencode(text)))


def parse_folder(folder: Path, start: str) -> Trace:
    """The trace of one container, whose files ``LABEL.PID`` are in ``folder``."""
    outputs = {}
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        outputs[int(path.suffix[1:])] = text.split("\n")
    return parse_processes(outputs, start)


def used_files(rootfs: Rootfs, trace: Trace) -> dict[str, Entry]:
    """The regular files of the image that were opened or executed, by canonical path.

    With an executed file comes what the kernel opens for it: the interpreter of its ``#!`` line
    (execve(2)) or the loader in its PT_INTERP, and theirs in turn.
    """
    files: dict[str, Entry] = {}
    pending = [(path, False) for path in trace.opened] + [(path, True) for path in trace.executed]
    executed: set[str] = set()
    while pending:
        path, runs = pending.pop()
        entry = None if _is_no_file(path) else rootfs.lookup(path)
        if entry is None or not entry.is_file:
            continue
        files[entry.path] = entry
        if runs and entry.path not in executed:
            executed.add(entry.path)
            pending += [(interpreter, True) for interpreter in _interpreters(rootfs, entry)]
    return files


def looked_at_paths(rootfs: Rootfs, trace: Trace) -> dict[str, Entry]:
    """Entries of the image that a look, or the way to an opened file, passed: links included."""
    found: dict[str, Entry] = {}
    for path in trace.looked_at | trace.opened | trace.executed:
        if not _is_no_file(path):
            resolved = rootfs.resolve(path)
            passed = [*resolved.links, *([resolved.path] if resolved.entry else [])]
            found |= {name: rootfs.entries[name] for name in passed}
    return found


def _is_no_file(path: str) -> bool:
    return not path.startswith("/") or f"{path}/".startswith(tuple(f"{top}/" for top in _NO_FILES))


def _interpreters(rootfs: Rootfs, entry: Entry) -> Iterator[str]:
    start = rootfs.pread(entry, 0, _SHEBANG_BYTES)
    if start.startswith(b"#!"):
        words = start[2:].split(b"\n")[0].split()
        yield from (os.fsdecode(word) for word in words[:1])
    elif start.startswith(b"\x7fELF"):
        yield from _elf_interpreter(rootfs, entry, start)


def _elf_interpreter(rootfs: Rootfs, entry: Entry, start: bytes) -> Iterator[str]:
    """PT_INTERP's path, read apart from imgslim's own reader, which is what is judged here."""
    wide, order = start[4] == 2, "little" if start[5] == 1 else "big"

    def number(data: bytes, at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little" if order == "little" else "big")

    table = number(start, 32, 8) if wide else number(start, 28, 4)
    size, count = number(start, 54 if wide else 42, 2), number(start, 56 if wide else 44, 2)
    for index in range(count):
        header = rootfs.pread(entry, table + index * size, size)
        if number(header, 0, 4) == 3:  # PT_INTERP
            place = number(header, 8, 8) if wide else number(header, 4, 4)
            length = number(header, 32, 8) if wide else number(header, 16, 4)
            yield os.fsdecode(rootfs.pread(entry, place, length).rstrip(b"\0"))


@dataclass(frozen=True, slots=True)
class Account:
    """A row of passwd(5): a name, and the directory that an engine sets HOME to."""

    name: str
    home: str


def account(user: str, passwd: str) -> Account | None:
    """Whom ``user`` (``NAME|UID[:GROUP]``, as in the config) means; None for root, for nobody in
    ``passwd`` and, since strace takes it from there, for a group that is named besides."""
    name, _, group = user.partition(":")
    for line in passwd.splitlines():
        row = line.split(":")
        if len(row) < 7 or name not in (row[0], row[2]) or row[2] == "0":
            continue
        return Account(row[0], row[5]) if group in ("", row[0], row[3]) else None
    return None


class Tracer:
    """strace, ready to be mounted into containers; ``folder`` gets it and what it writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = folder / "program"
        self._loader = _install(self._program)
        self._account: Account | None = None

    def record(self, fixture: Fixture, config: ImageConfig, passwd: str) -> Recording:
        """Ask the fat image every route of ``fixture``, and run its health check once; ``passwd``
        is the text of its /etc/passwd."""
        self._account = account(config.user, passwd)
        output = self._folder / fixture.name
        answers = (self._serve if fixture.port else self._run)(fixture, config, output)
        trace = Trace()
        for folder in [output] if fixture.port else output.iterdir():
            trace |= parse_folder(folder, config.working_dir or "/")
        return Recording(answers, trace)

    def _serve(self, fixture: Fixture, config: ImageConfig, output: Path) -> dict[str, Answer]:
        main = self._arguments("main", [*(config.entrypoint or ()), *(config.cmd or ())])
        with created(
            fixture.tag, _asking(main), [*fixture.options, *self._options(output)]
        ) as container:
            server = started(container, fixture.port)
            if server is None:
                return {route.name: NO_ANSWER for route in fixture.routes}
            answers = {route.name: self._ask(server, route) for route in fixture.routes}
            if check := health_check(config):
                self._ask(server, Route("health", (), exec=check))
        return answers

    def _ask(self, server: Running, route: Route) -> Answer:
        if route.exec:
            loader, *words = self._arguments(route.name, route.exec)
            route = replace(route, exec=(f"{_TRACER}/{self._loader}", loader, *words))
        return server.ask(route)

    def _run(self, fixture: Fixture, config: ImageConfig, output: Path) -> dict[str, Answer]:
        runs = {(route.run, route.stdin): route for route in fixture.routes}

        def answer(route: Route) -> Answer:
            words = [*(config.entrypoint or ()), *(route.run or config.cmd or ())]
            traced = replace(route, run=tuple(self._arguments("main", words)))
            options = [*fixture.options, *self._options(output / route.name)]
            with created(fixture.tag, traced, options) as container:
                return run_to_the_end(container, traced)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            said = dict(zip(runs, pool.map(answer, runs.values()), strict=True))
        return {route.name: said[route.run, route.stdin] for route in fixture.routes}

    def _options(self, output: Path) -> list[str]:
        output.mkdir(parents=True)
        output.chmod(0o1777)
        mounts = [f"{self._program}:{_TRACER}:ro", f"{output}:{_OUTPUT}"]
        return [
            "--cap-add=SYS_PTRACE",
            *(word for mount in mounts for word in ("--volume", mount)),
            *(("--user=0",) if self._account else ()),
            f"--entrypoint={_TRACER}/{self._loader}",
        ]

    def _arguments(self, label: str, words: Iterable[str]) -> list[str]:
        """The loader's arguments that run ``words`` under strace."""
        calls = ",".join(sorted(OPENING | EXECUTING | LOOKING | STARTING | MOVING))
        options = ["-ff", "-qq", "-y", "-z", "-e", "signal=none", "-e", f"trace={calls}"]
        if self._account:
            options += ["-u", self._account.name, "-E", f"HOME={self._account.home}"]
        strace = [f"{_TRACER}/strace", *options, "-o", f"{_OUTPUT}/{label}", "--", *words]
        return ["--library-path", _TRACER, *strace]


def health_check(config: ImageConfig) -> tuple[str, ...]:
    """The words of the health check, () without one (Docker's HEALTHCHECK instruction)."""
    kind, *words = config.healthcheck.test if config.healthcheck else ("NONE",)
    match kind:
        case "CMD":
            return tuple(words)
        case "CMD-SHELL":
            return (*(config.shell or ("/bin/sh", "-c")), *words)
    return ()


def _asking(words: Sequence[str]) -> Route:
    return Route("start", (), run=tuple(words))


def _install(folder: Path) -> str:
    """Copy strace with all that it loads into ``folder``; the name of the loader among it."""
    strace = shutil.which("strace")
    if strace is None:
        raise SystemExit("strace is not installed: apt-get install strace")
    folder.mkdir(parents=True)
    shown = subprocess.run(["ldd", strace], capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"(/\S+) \(0x", shown)
    for path in (strace, *libraries):
        shutil.copy(path, folder)
    for path in folder.iterdir():
        path.chmod(0o755)
    return next(Path(path).name for path in libraries if Path(path).name.startswith("ld-"))
