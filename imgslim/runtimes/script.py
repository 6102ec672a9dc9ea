"""Scripts: a file that starts with ``#!`` is run by the interpreter that it names.

The rules are those of Linux's binfmt_script (fs/binfmt_script.c, execve(2) "Interpreter scripts").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from imgslim.commands import Argv, inner_commands, join, locate, name_of
from imgslim.model import Command, Entry, Finding, Group, Need, Problem, Severity
from imgslim.runtimes.base import Runtime
from imgslim.runtimes.shims import manager_of
from imgslim.world import World

HEAD_BYTES = 256
"""What the kernel reads of a file to find its interpreter (BINPRM_BUF_SIZE)."""

_MAX_INTERPRETERS = 5
"""Interpreters that are scripts themselves: the kernel follows four, then gives ELOOP."""

_REASON = "interpreters of scripts"

PACKAGE_DIRECTORIES = ("/node_modules/", "/site-packages/", "/dist-packages/", "/lib/python3.")
"""Below these a language's packages lie: their scripts run when something calls them."""

_NEVER_RUN = "/hooks/"
_SAMPLE = ".sample"
"""githooks(5): a hook runs under its exact name; ``git init`` leaves samples beside that."""


@dataclass(frozen=True, slots=True)
class Shebang:
    """The first line of a script: the interpreter, and one argument that holds all the rest."""

    interpreter: str
    argument: str = ""

    def argv(self, script: str, arguments: Sequence[str] = ()) -> Argv:
        """The words with which the kernel starts the interpreter."""
        words = (self.interpreter, self.argument, script)
        return (*(word for word in words if word), *arguments)


def parse_shebang(head: bytes) -> Shebang | None:
    """The shebang in the first ``HEAD_BYTES`` of a file; None when it has none."""
    if not head.startswith(b"#!"):
        return None
    line = head[2:HEAD_BYTES].split(b"\n", 1)[0].strip(b" \t")
    interpreter, _, argument = line.replace(b"\t", b" ", 1).partition(b" ")
    if not interpreter:
        return None
    words = (part.decode("utf-8", "surrogateescape") for part in (interpreter, argument.strip()))
    return Shebang(*words)


def read_shebang(world: World, entry: Entry) -> Shebang | None:
    """The shebang of a regular file."""
    if not entry.is_file or entry.size_bytes < len("#!/x"):
        return None
    return parse_shebang(world.rootfs.read_bytes(entry, HEAD_BYTES))


def is_script_for(world: World, entry: Entry, *words: str) -> bool:
    """Whether the first line of a script has one of ``words``: the interpreter may be called
    through ``env`` or a wrapper, or have a version in its name."""
    shebang = read_shebang(world, entry)
    parts = () if shebang is None else (shebang.interpreter, shebang.argument)
    return any(word in part for word in words for part in parts)


def program_of(world: World, shebang: Shebang, script: str) -> str | None:
    """The path of the program that in the end reads the script, ``env`` looked through.

    None when it is not in the image.
    """
    found = locate(world, shebang.interpreter)
    if found is None:
        return None
    inner = list(inner_commands(shebang.argv(script), world.rootfs.resolve(found).path))
    return locate(world, inner[0][0]) if inner and inner[0][0] != script else found


def is_own_script(world: World, entry: Entry) -> bool:
    """Whether a kept file is neither a package's nor a distribution's: the app may run it."""
    return (
        entry.is_file
        and world.packages.owner(entry.path) is None
        and world.packages.distribution_owner(entry.path) is None
        and not any(directory in entry.path for directory in PACKAGE_DIRECTORIES)
        and not (_NEVER_RUN in entry.path and entry.path.endswith(_SAMPLE))
        and manager_of(world, entry.path) is None
    )


class ScriptRuntime(Runtime):
    """Brings the interpreter of every script that runs, or that the app itself may run."""

    name = "script"

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        """Running a script is running its interpreter with the script and the arguments."""
        entry = self.world.rootfs.lookup(path)
        if entry is None or not entry.is_file or manager_of(self.world, path) is not None:
            return
        head = self.world.rootfs.read_bytes(entry, HEAD_BYTES)
        script = self._as_called(argv, path)
        shebang = parse_shebang(head)
        if shebang is None:
            if entry.size_bytes and _is_text(head):
                yield from self._without_shebang(script, argv, because)
            return
        found = locate(self.world, shebang.interpreter)
        program = program_of(self.world, shebang, script)
        if found is None or program is None:
            yield _missing_interpreter(shebang, script, Severity.WARNING)
        if found is not None and self._ends(shebang):
            yield Need(found, Group.PROGRAM, _REASON, script)
            words = Shebang(found, shebang.argument).argv(script, argv[1:])
            yield Command(words, self.world.rootfs.resolve(found).path, script)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        """The interpreter of an executable script of the app's own, if it is there."""
        if not entry.is_executable or not is_own_script(self.world, entry):
            return
        shebang = read_shebang(self.world, entry)
        if shebang is None:
            return
        program = program_of(self.world, shebang, entry.path)
        if program is None:
            yield _missing_interpreter(shebang, entry.path, Severity.INFO)
            return
        for path in dict.fromkeys((join("/", shebang.interpreter), program)):
            yield Need(path, Group.PROGRAM, _REASON, entry.path, optional=True)

    def describe(self, entry: Entry) -> str | None:
        """``script for NAME``."""
        shebang = read_shebang(self.world, entry)
        if shebang is None:
            return None
        program = program_of(self.world, shebang, entry.path)
        return f"script for {name_of(program or shebang.interpreter)}"

    def _as_called(self, argv: Sequence[str], path: str) -> str:
        """The script's path as its interpreter sees it: links matter for ``$0``."""
        found = locate(self.world, argv[0]) if argv and argv[0] else None
        return found if found and self.world.rootfs.resolve(found).path == path else path

    def _ends(self, shebang: Shebang | None) -> bool:
        """Whether the chain of interpreters ends at a program."""
        for _ in range(_MAX_INTERPRETERS):
            if shebang is None:
                return True
            entry = self.world.rootfs.lookup(join("/", shebang.interpreter))
            shebang = None if entry is None else read_shebang(self.world, entry)
        return False

    def _without_shebang(self, script: str, argv: Sequence[str], because: str) -> Iterator[Finding]:
        """Shells and execvp(3) hand such a file to sh; the kernel, so an engine, refuses it."""
        if because.startswith("<"):
            yield Problem(
                "no-shebang",
                Severity.WARNING,
                script,
                "is run but has no #! line; an engine cannot start it by itself",
                "taken as a script for /bin/sh",
            )
        found = locate(self.world, "/bin/sh")
        shell = None if found is None else self.world.rootfs.lookup(found)
        if found is None or shell is None:
            return
        yield Need(found, Group.PROGRAM, _REASON, script)
        # A shell that is itself such a file would be handed to itself without end.
        head = self.world.rootfs.read_bytes(shell, HEAD_BYTES)
        if parse_shebang(head) is not None or not _is_text(head):
            yield Command((found, script, *argv[1:]), shell.path, script)


def _missing_interpreter(shebang: Shebang, script: str, severity: Severity) -> Problem:
    return Problem(
        "missing-interpreter",
        severity,
        script,
        f"cannot run: its interpreter ({' '.join(shebang.argv('')).strip()}) is not in the image",
        "nothing to keep",
    )


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and not head.startswith(b"\x7fELF")
