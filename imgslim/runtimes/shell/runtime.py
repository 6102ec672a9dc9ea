"""From what a script says to what it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from imgslim.commands import (
    Argv,
    is_system_directory,
    join,
    locate,
    may_be_absent,
    name_of,
    resolve_command,
    tree_needs,
    word_needs,
)
from imgslim.environment import is_search_path, variable_needs
from imgslim.model import Entry, Finding, Group, Need, Problem, Scope, Severity
from imgslim.runtimes.base import Runtime
from imgslim.runtimes.script import is_own_script, program_of, read_shebang
from imgslim.runtimes.shell.facts import Facts, Mention, Run
from imgslim.runtimes.shell.interpreter import Interpreter
from imgslim.runtimes.shell.scope import Alternatives, Word
from imgslim.runtimes.shell.scope import Scope as Names
from imgslim.tables import load_table
from imgslim.world import World

_PROFILE = "/etc/profile"
"""What a login shell reads first (bash(1), dash(1), INVOCATION)."""

_MAX_WALKS = 8
"""Different arguments with which one script is followed: it may call itself with ever more."""

_LARGEST_SCRIPT_BYTES = 4 * 1024 * 1024
"""Beyond this a shell script is an archive that unpacks itself."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a shell is started: with a string, with a file, or (neither) with its standard input."""

    string: str | None = None
    script: str | None = None
    name: str = ""
    arguments: Argv = ()
    login: bool = False


@dataclass(frozen=True, slots=True)
class _Job:
    """One walk: the source, what asks for it, and whether it is known to run."""

    source: bytes
    names: Names
    label: str
    shell: str
    runs: bool


class ShellRuntime(Runtime):
    """Follows shells: their scripts with the arguments they get, and scripts the app may run."""

    name = "shell"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._walked: Counter[str] = Counter()
        self._applets: dict[str, bytes] = {}

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        """What a shell does with the string or the script that it is given."""
        if not argv or not is_shell(argv[0], path):
            return
        invocation = parse_invocation(argv)
        if invocation.login:
            yield Need(_PROFILE, Group.SYSTEM, "login shells", because, optional=True)
            yield from self._script(_PROFILE, _PROFILE, ((),), path)
        if invocation.string is not None:
            names = self._names(invocation.name, (_words(invocation.arguments),))
            source = invocation.string.encode("utf-8", "surrogateescape")
            yield from self._walk(_Job(source, names, because, path, runs=True))
        elif invocation.script is not None:
            yield from self._run_script(invocation, path, because)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        """What a shell script of the app's own runs, if something should call it."""
        suffixes = tuple(load_table("shell")["shells"]["suffixes"])
        looks_like_one = entry.is_executable or entry.path.endswith(suffixes)
        if not looks_like_one or not is_own_script(self.world, entry):
            return
        if entry.path in self._walked:
            return
        shell = self._shell_of(entry)
        if shell is not None:
            yield from self._script(entry.path, entry.path, None, shell, runs=False)

    def describe(self, entry: Entry) -> str | None:
        """``bash script``."""
        shell = self._shell_of(entry, described=True)
        return None if shell is None else f"{name_of(shell)} script"

    def _shell_of(self, entry: Entry, *, described: bool = False) -> str | None:
        """The shell that a script is for: by its shebang, else by its suffix."""
        shebang = read_shebang(self.world, entry)
        if shebang is not None:
            program = program_of(self.world, shebang, entry.path)
            if program is None:
                return None
            canonical = self.world.rootfs.resolve(program).path
            return (program if described else canonical) if is_shell(program, canonical) else None
        suffixes = tuple(load_table("shell")["shells"]["suffixes"])
        if entry.is_file and entry.path.endswith(suffixes):
            found = locate(self.world, "/bin/sh")
            return None if found is None else self.world.rootfs.resolve(found).path
        return None

    def _run_script(self, invocation: Invocation, shell: str, because: str) -> Iterator[Finding]:
        word = invocation.script or ""
        path = join(self.world.working_dir, word)
        if self.world.rootfs.lookup(path) is None:
            path = locate(self.world, word) or path
        if self.world.rootfs.lookup(path) is None:
            if "$" not in word:
                yield Problem(
                    "missing-script",
                    Severity.WARNING,
                    path,
                    f"is not in the image, though {because} has {name_of(shell)} run it",
                    "nothing to keep",
                )
            return
        yield Need(path, Group.PROGRAM, "scripts that run", because)
        yield from self._script(path, word, (_words(invocation.arguments),), shell)

    def _script(
        self,
        path: str,
        name: str,
        params: Alternatives | None,
        shell: str,
        *,
        runs: bool = True,
    ) -> Iterator[Finding]:
        entry = self.world.rootfs.lookup(path)
        if entry is None or not entry.is_file or entry.size_bytes > _LARGEST_SCRIPT_BYTES:
            return
        self._walked[entry.path] += 1
        if self._walked[entry.path] > _MAX_WALKS:
            return
        source = self.world.rootfs.read_bytes(entry)
        yield from self._walk(_Job(source, self._names(name, params), path, shell, runs))

    def _names(self, name: str, params: Alternatives | None) -> Names:
        """What a shell knows when it starts: the config's variables and directory."""
        variables: dict[str, tuple[Word, ...]] = {
            key: (Word(value),) for key, value in self.world.config.env
        }
        variables["PATH"] = (Word(":".join(self.world.search_path)),)
        return Names(name, params, (self.world.working_dir,), variables)

    def _walk(self, job: _Job) -> Iterator[Finding]:
        interpreter = Interpreter(self.world, job.names, job.label)
        try:
            facts = interpreter.run(job.source)
        except RecursionError:
            facts = interpreter.facts
            facts.broken[job.label] = None
        for path, _ in facts.sources:
            self._walked.setdefault(self.world.rootfs.resolve(path).path, 0)
        for path, script in facts.sources:
            yield Need(path, Group.PROGRAM, "scripts that are sourced", script, optional=True)
        for mention in facts.mentions:
            yield from self._mentioned(mention)
        yield from self._runs(facts, job)
        yield from _doubts(facts, job)

    def _mentioned(self, mention: Mention) -> Iterator[Finding]:
        if mention.variable:
            yield from variable_needs(
                self.world, mention.variable, mention.text, mention.script, mention.place
            )
            if is_search_path(mention.variable):
                yield from self._searched(mention)
        elif len(mention.text.split()) > 1:
            yield from word_needs(self.world, mention.text.split(), mention.script, mention.place)
        else:
            yield from word_needs(self.world, [mention.text], mention.script, mention.place)

    def _searched(self, mention: Mention) -> Iterator[Finding]:
        """A search path that only a script sets is unknown to the loader's module: keep it all."""
        for part in mention.text.split(":"):
            path = join(mention.place.directories[0], part)
            entry = self.world.rootfs.lookup(path) if part else None
            if entry is not None and entry.is_directory and not is_system_directory(entry):
                reason = f"search path {mention.variable} set by a script"
                yield Need(path, Group.LIBRARY, reason, mention.script, Scope.TREE, optional=True)

    def _runs(self, facts: Facts, job: _Job) -> Iterator[Finding]:
        missing: dict[str, list[str]] = {}
        building: dict[str, list[str]] = {}
        avoided = frozenset(() if job.runs else load_table("shell")["building"]["commands"])
        resolved = {
            run: tuple(resolve_command(self.world, run.argv, run.script, run.place))
            for run in facts.runs
        }
        understood = {(run.script, run.spot) for run, found in resolved.items() if found}
        for run, found in resolved.items():
            name = run.argv[0]
            if found and name_of(name) in avoided:
                building.setdefault(run.script, []).append(f"{name} (line {run.line})")
            elif found:
                yield from found
            elif (run.script, run.spot) not in understood:
                yield from self._not_found(run, job, missing)
        yield from _listed_problems("commands-not-in-image", "runs", missing, _MISSING)
        yield from _listed_problems("commands-not-followed", "runs", building, _NOT_FOLLOWED)

    def _not_found(self, run: Run, job: _Job, missing: dict[str, list[str]]) -> Iterator[Finding]:
        name = run.argv[0]
        if not may_be_absent(run.argv):
            yield from word_needs(self.world, run.argv[1:], run.script, run.place)
        yield from tree_needs(self.world, run.argv, run.script)
        if not run.sure:
            yield _unresolved(" ".join(run.argv), run.script, run.line, runs=job.runs)
        elif not self._is_applet(name, job.shell) and not name.startswith("-"):
            missing.setdefault(run.script, []).append(f"{name} (line {run.line})")

    def _is_applet(self, name: str, shell: str) -> bool:
        """Whether the shell's multi-call binary has a program of this name without a link.

        busybox can run those by itself (FEATURE_SH_STANDALONE); its names lie in it as a list of
        NUL-terminated strings (include/applet_tables.h).
        """
        if name_of(shell) not in load_table("shell")["shells"]["multi_call"]:
            return False
        if shell not in self._applets:
            entry = self.world.rootfs.lookup(shell)
            content = b"" if entry is None else self.world.rootfs.read_bytes(entry)
            self._applets[shell] = content
        return b"\0" + name.encode("utf-8", "surrogateescape") + b"\0" in self._applets[shell]


_MISSING = ("which are not in the image", "nothing to keep; the script may not come to them")
_NOT_FOLLOWED = (
    "but nothing is seen to run this script, and it looks like one that builds or deploys",
    "these programs are not kept for it; --also-run the script if it runs in the container",
)


def _listed_problems(
    code: str, verb: str, found: dict[str, list[str]], text: tuple[str, str]
) -> Iterator[Problem]:
    for script, names in found.items():
        path = "" if script.startswith("<") else script
        what = ", ".join(dict.fromkeys(names))
        yield Problem(code, Severity.INFO, path, f"{verb} {what}, {text[0]}", text[1])


def _doubts(facts: Facts, job: _Job) -> Iterator[Problem]:
    for spot in facts.unresolved:
        yield _unresolved(spot.text, spot.script, spot.line, runs=job.runs)
    for script in facts.broken:
        yield Problem(
            "shell-syntax",
            Severity.INFO,
            "" if script.startswith("<") else script,
            "has parts that could not be read as shell",
            "what could be read is followed",
        )


def _unresolved(text: str, script: str, line: int, *, runs: bool) -> Problem:
    return Problem(
        "unresolved-command",
        Severity.WARNING if runs else Severity.INFO,
        "" if script.startswith("<") else script,
        f"line {line}: cannot tell which program `{text}` runs",
        "nothing is kept for it; name what it runs with --also-run",
    )


def is_shell(word: str, path: str) -> bool:
    """Whether a command whose first word is ``word`` and whose file is ``path`` is a shell."""
    names = load_table("shell")["shells"]["names"]
    return name_of(word).removeprefix("-") in names or name_of(path) in names


def parse_invocation(argv: Sequence[str]) -> Invocation:
    """How a shell reads its own arguments (POSIX sh, OPTIONS; bash(1), INVOCATION)."""
    value_options = load_table("shell")["shells"]["value_options"]
    rest = list(argv[1:])
    login, string, stdin = argv[0].startswith("-"), False, False
    while rest and rest[0][:1] in ("-", "+") and len(rest[0]) > 1:
        option = rest.pop(0)
        if option == "--":
            break
        if option.startswith("--"):
            login |= option == "--login"
            if option in value_options:
                del rest[:1]
            continue
        login |= "l" in option[1:]
        string |= option[0] == "-" and "c" in option[1:]
        stdin |= option[0] == "-" and "s" in option[1:]
        if option in value_options or option[-1] in "oO":
            del rest[:1]
    if string:
        text, *others = rest or [""]
        name, *arguments = others or [argv[0]]
        return Invocation(string=text, name=name, arguments=tuple(arguments), login=login)
    if stdin or not rest or rest[0] == "-":
        return Invocation(name=argv[0], arguments=tuple(rest), login=login)
    return Invocation(script=rest[0], name=rest[0], arguments=tuple(rest[1:]), login=login)


def _words(arguments: Argv) -> tuple[Word, ...]:
    return tuple(Word(argument) for argument in arguments)
