"""The runtime module of supervisors: what they start is a root like the image's own command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from imgslim.commands import Argv, join, locate, name_of, resolve_command
from imgslim.model import Entry, Finding, Problem, Severity
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.elf import elf_facts
from imgslim.runtimes.script import is_script_for
from imgslim.runtimes.supervisors.cron import left_out_jobs, read_crontabs
from imgslim.runtimes.supervisors.execline import script_commands, script_of
from imgslim.runtimes.supervisors.ini import read_supervisord
from imgslim.runtimes.supervisors.procfile import read_procfile
from imgslim.runtimes.supervisors.services import read_service, read_services
from imgslim.runtimes.supervisors.started import Started, started_needs
from imgslim.runtimes.supervisors.tables import Supervisor, find_supervisor
from imgslim.world import World

_EXECLINE = "execlineb"
_PYTHON = "python"


class SupervisorRuntime(Runtime):
    """Reads the configuration of each supervisor that runs."""

    name = "supervisors"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._seen: set[Argv] = set()
        self._has_cron = False

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        """What a supervisor's configuration starts, each with all that says so."""
        words = tuple(argv)
        if not words or (path, *words) in self._seen:
            return
        self._seen.add((path, *words))
        if name_of(path) == _EXECLINE:
            yield from self._execline(words, because)
            return
        found = self._supervisor(words, path)
        if found is None:
            return
        row, arguments = found
        for finding in self._read(row, words[0], arguments, path, because):
            if isinstance(finding, Started):
                yield from started_needs(self.world, finding)
            else:
                yield finding

    def _supervisor(self, words: Argv, path: str) -> tuple[Supervisor, Argv] | None:
        """The row and its own arguments: by the word, by the file, or as a module of Python."""
        for name in (name_of(words[0]), name_of(path)):
            row = find_supervisor(self.world, name)
            if row is not None:
                return row, words[1:]
        if not name_of(path).startswith(_PYTHON):
            return None
        for index, word in enumerate(words[1:], start=1):
            if not word.startswith("-"):
                row = find_supervisor(self.world, name_of(word))
                return None if row is None else (row, words[index + 1 :])
        return None

    def _read(
        self, row: Supervisor, word: str, words: Argv, path: str, because: str
    ) -> Iterator[Finding | Started]:
        if row.runs_arguments and words:
            yield from resolve_command(self.world, words, because)
        match row.reads:
            case "supervisord":
                program = locate(self.world, word) or path
                yield from read_supervisord(self.world, words, program, because)
            case "services":
                given = () if row.runs_arguments else words
                yield from read_services(self.world, row, given, because)
            case "service":
                for directory in words[:1]:
                    yield from read_service(
                        self.world, join(self.world.working_dir, directory), because
                    )
            case "crontabs":
                self._has_cron = True
                yield from read_crontabs(self.world, row, words, because)
            case "procfile":
                yield from read_procfile(self.world, row, words, because)
            case _:
                yield _unread(path, because)

    def _execline(self, words: Argv, because: str) -> Iterator[Finding]:
        text, script = script_of(words)
        if text:
            yield from script_commands(self.world, text, because)
        elif script:
            path = join(self.world.working_dir, script)
            yield from script_commands(self.world, self.world.rootfs.read_text(path), path)

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        return left_out_jobs(self.world, kept) if self._has_cron else ()

    def describe(self, entry: Entry) -> str | None:
        """Scripts of execline and supervisors that are programs; what one is written in (Python)
        has the word on it."""
        if not entry.is_file or entry.size_bytes < len("#!/x"):
            return None
        row = find_supervisor(self.world, name_of(entry.path)) if entry.is_executable else None
        if row is not None and row.reads != "nothing" and elf_facts(self.world.rootfs, entry):
            return "supervisor, whose configuration is followed"
        return "execline script" if is_script_for(self.world, entry, _EXECLINE) else None


def _unread(path: str, because: str) -> Problem:
    return Problem(
        "supervisor-configuration",
        Severity.WARNING,
        path,
        f"starts programs by a configuration that is not read ({because} runs it)",
        "name each of those programs with --also-run",
    )
