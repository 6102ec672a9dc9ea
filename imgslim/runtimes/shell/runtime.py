"""From what a script says to what it needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from imgslim.commands import (
    Argv,
    Place,
    inner_commands,
    join,
    locate,
    may_be_absent,
    name_of,
    resolve_command,
    tree_needs,
    word_needs,
)
from imgslim.model import Command, Entry, Finding, Group, Need, Problem, Severity
from imgslim.runtimes.base import Runtime
from imgslim.runtimes.distro import stands_alone
from imgslim.runtimes.script import is_own_script, program_of, read_shebang
from imgslim.runtimes.shell.facts import Facts, Run, at_line
from imgslim.runtimes.shell.homes import homes_of
from imgslim.runtimes.shell.interpreter import Interpreter
from imgslim.runtimes.shell.invocation import (
    Inner,
    Invocation,
    code_on_stdin,
    inner_of,
    is_shell,
    parse_invocation,
)
from imgslim.runtimes.shell.mentions import Mentions
from imgslim.runtimes.shell.problems import (
    MISSING,
    NOT_FOLLOWED,
    doubts,
    listed_problems,
    unresolved,
)
from imgslim.runtimes.shell.scope import Alternatives, Environment, Word
from imgslim.runtimes.shell.scope import Scope as Names
from imgslim.runtimes.trimmed import trimmed_programs
from imgslim.tables import building_commands, load_table
from imgslim.world import World
from imgslim.wrappers import runs_inner

if TYPE_CHECKING:
    from tree_sitter import Node

_UNKNOWN = re.compile(r"[$`]")
"""What is left of an expansion whose value is not known."""

_MAX_NESTED = 12
"""Shells inside each other that are followed with what the outer ones set."""

_PROFILE = "/etc/profile"  # a login shell reads it first (bash(1), dash(1), INVOCATION)

_MAX_WALKS = 8  # of a script, with different arguments
_MAX_WITHIN = 3  # of it inside itself: each time it may append to all that the one before had set

_LARGEST_SCRIPT_BYTES = 4 << 20  # beyond, it is an archive that unpacks itself


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who starts a shell: ``label`` is its path or word, ``line`` where in it; whether it is known
    to run; what it hands on; the scripts ``within`` which it runs."""

    label: str
    line: int = 1
    runs: bool = True
    environment: Environment | None = None
    functions: Mapping[str, Node] = field(default_factory=dict)
    depth: int = 0
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Job:
    """One walk over ``source``, which is (a part of) the script ``label``."""

    source: bytes
    names: Names
    label: str
    shell: str
    caller: _Caller
    line: int = 1

    @property
    def runs(self) -> bool:
        return self.caller.runs


class ShellRuntime(Runtime):
    """Follows shells: their scripts with the arguments they get, and scripts the app may run."""

    name = "shell"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._walked: Counter[str] = Counter()
        self._walks: set[object] = set()
        self._mentions = Mentions(world)
        self._followed: set[tuple[str, Argv]] = set()
        self._applets: dict[str, bytes] = {}
        self._running: set[str] = set()

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        """What a shell does with the string or the script that it is given."""
        owner = self.world.packages.owner(path)
        if owner is not None and not stands_alone(owner):
            self._running.add(owner.key)
        if not argv or not is_shell(argv[0], path):
            return
        invocation = parse_invocation(argv)
        # One that a script started is followed there, with what that script had set.
        if self._key(invocation) not in self._followed:
            yield from self._start(invocation, path, _Caller(because))

    def _key(self, invocation: Invocation) -> tuple[str, Argv]:
        script = join(self.world.working_dir, invocation.script or "")
        return invocation.string or self.world.rootfs.resolve(script).path, invocation.arguments

    def _start(self, invocation: Invocation, path: str, caller: _Caller) -> Iterator[Finding]:
        """A shell (``path``) starts."""
        if invocation.login:
            yield Need(_PROFILE, Group.SYSTEM, "login shells", caller.label, optional=True)
            yield from self._script(_PROFILE, _PROFILE, ((),), path, caller)
        if invocation.string is not None:
            names = self._names(invocation.name, (_words(invocation.arguments),), caller)
            source = invocation.string.encode("utf-8", "surrogateescape")
            yield from self._walk(_Job(source, names, caller.label, path, caller, caller.line))
        elif invocation.script is not None:
            yield from self._run_script(invocation, path, caller)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        """What a shell script of the app's own runs, if something should call it."""
        suffixes = tuple(load_table("shell")["shells"]["suffixes"])
        looks_like_one = entry.is_executable or entry.path.endswith(suffixes)
        if not looks_like_one or entry.path in self._walked:
            return
        if not (is_own_script(self.world, entry) or self._helps(entry)):
            return
        shell = self._shell_of(entry)
        if shell is not None:
            caller = _Caller(entry.path, runs=False)
            yield from self._script(entry.path, entry.path, None, shell, caller)

    def _helps(self, entry: Entry) -> bool:
        """Whether a script is of a package whose program runs."""
        owner = self.world.packages.owner(entry.path)
        return owner is not None and owner.key in self._running

    def describe(self, entry: Entry) -> str | None:
        """``bash script``."""
        shell = self._shell_of(entry, described=True)
        return None if shell is None else f"{name_of(shell)} script"

    @cached_property
    def _homes(self) -> Mapping[str, str]:
        return homes_of(self.world)

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

    def _run_script(self, invocation: Invocation, shell: str, caller: _Caller) -> Iterator[Finding]:
        word, because = invocation.script or "", caller.label
        directories = caller.environment.directories if caller.environment else ()
        paths = [join(directory, word) for directory in directories or (self.world.working_dir,)]
        path = next((p for p in paths if self.world.rootfs.lookup(p) is not None), paths[0])
        if self.world.rootfs.lookup(path) is None:
            path = locate(self.world, word) or path
        if self.world.rootfs.lookup(path) is None:
            if not _UNKNOWN.search(word) and "{" not in word:
                yield Problem(
                    "missing-script",
                    Severity.WARNING,
                    path,
                    f"is not in the image, though {because} has {name_of(shell)} run it",
                    "nothing to keep",
                )
            return
        yield Need(path, Group.PROGRAM, "scripts that run", because)
        yield from self._script(path, word, (_words(invocation.arguments),), shell, caller)

    def _script(
        self,
        path: str,
        name: str,
        params: Alternatives | None,
        shell: str,
        caller: _Caller,
    ) -> Iterator[Finding]:
        entry = self.world.rootfs.lookup(path)
        if entry is None or not entry.is_file or entry.size_bytes > _LARGEST_SCRIPT_BYTES:
            return
        self._walked[entry.path] += 1
        within = (*caller.within, entry.path)
        if self._walked[entry.path] > _MAX_WALKS or within.count(entry.path) > _MAX_WITHIN:
            return
        caller = replace(caller, within=within)
        source = self.world.rootfs.read_bytes(entry)
        yield from self._walk(_Job(source, self._names(name, params, caller), path, shell, caller))

    def _names(self, name: str, params: Alternatives | None, caller: _Caller) -> Names:
        """What a shell knows when it starts: the variables and directory that it is given."""
        variables = {
            key: tuple(map(Word, values)) for key, values in self.world.values_at_start.items()
        }
        variables["PATH"] = (Word(":".join(self.world.search_path)),)
        names = Names(name, params, (self.world.working_dir,), variables, homes=self._homes)
        environment = caller.environment
        if environment is not None:
            variables.update(environment.variables)
            names.directories = environment.directories or names.directories
            for function in environment.functions:
                if function in caller.functions:
                    names.functions[function] = caller.functions[function]
                    names.exported_functions.add(function)
        names.exported.update(variables)
        return names

    def _walk(self, job: _Job) -> Iterator[Finding]:
        key = (job.source, job.label, job.names.params, job.names.environment(), job.runs)
        if key in self._walks:
            return
        self._walks.add(key)
        interpreter = Interpreter(self.world, job.names, job.label, job.line)
        try:
            facts = interpreter.run(job.source)
        except RecursionError:
            facts = interpreter.facts
            facts.broken[job.label] = job.line
        for path, _ in facts.sources:
            self._walked.setdefault(self.world.rootfs.resolve(path).path, 0)
        for path, script in facts.sources:
            yield Need(path, Group.PROGRAM, "scripts that are sourced", script, optional=True)
        left_out = trimmed_programs(self.world, job.label)
        for mention in facts.mentions:
            if name_of(mention.text.partition(" ")[0]) not in left_out:
                found = self._mentions.needs(
                    mention
                )  # it may hold a pipeline: $(… | /bin/perl -e …)
                yield from (each for each in found if name_of(each.path) not in left_out)
        yield from self._runs(facts, job)
        yield from doubts(facts, runs=job.runs)

    def _runs(self, facts: Facts, job: _Job) -> Iterator[Finding]:
        missing: dict[str, list[str]] = {}
        building: dict[str, list[str]] = {}
        avoided = frozenset() if job.runs else building_commands()
        avoided |= trimmed_programs(self.world, job.label)
        resolved = self._resolved(facts.runs)
        understood = {(run.script, run.spot) for run, found in resolved.items() if found}
        for run, found in resolved.items():
            name = run.argv[0]
            if found and name_of(name) in avoided:
                building.setdefault(run.script, []).append(f"{name} (line {run.line})")
            elif found:
                yield from self._inside(run, found, facts, job)
                yield from found
            elif (run.script, run.spot) not in understood:
                yield from self._not_found(run, facts, job, missing)
        yield from listed_problems("commands-not-in-image", "runs", missing, MISSING)
        yield from listed_problems("commands-not-followed", "runs", building, NOT_FOLLOWED)

    def _resolved(self, runs: Iterable[Run]) -> dict[Run, tuple[Finding, ...]]:
        """What each run resolves to; a name that is nowhere is looked for once."""
        absent: set[tuple[str, Place]] = set()
        resolved: dict[Run, tuple[Finding, ...]] = {}
        for run in runs:
            name = run.argv[0], run.place
            resolved[run] = ()
            if name not in absent:
                found = resolve_command(self.world, run.argv, run.script, run.place)
                resolved[run] = tuple(at_line(finding, run.line) for finding in found)
                absent |= set() if resolved[run] else {name}
        return resolved

    def _inside(
        self, run: Run, found: Iterable[Finding], facts: Facts, job: _Job
    ) -> Iterator[Finding]:
        """The shells that a command starts, with what this script hands on to them."""
        if job.caller.depth >= _MAX_NESTED:
            return
        path = next(finding.path for finding in found if isinstance(finding, Command))
        for inner in inner_of(
            self.world, Inner(run.argv, path, run.place, run.environment, run.stdin)
        ):
            caller = _Caller(
                run.script,
                run.line,
                job.runs,
                inner.environment,
                facts.functions,
                job.caller.depth + 1,
                job.caller.within,
            )
            yield from self._inner(inner, run, caller)

    def _inner(self, inner: Inner, run: Run, caller: _Caller) -> Iterator[Finding]:
        if not inner.path:
            if _UNKNOWN.search(inner.argv[0]) and inner.argv != run.argv:
                yield unresolved(" ".join(run.argv), run.script, run.line, runs=caller.runs)
            return
        if is_shell(inner.argv[0], inner.path):
            yield from self._inner_shell(inner, run, caller)
            return
        is_empty = runs_inner(inner.argv, inner.path) and not any(
            inner_commands(inner.argv, inner.path)
        )
        if is_empty and not run.complete:
            yield unresolved(" ".join(run.argv), run.script, run.line, runs=caller.runs)
        for text in inner.stdin:
            words = code_on_stdin(inner.argv, text)
            if words is not None:
                yield Command(words, inner.path, run.script)

    def _inner_shell(self, inner: Inner, run: Run, caller: _Caller) -> Iterator[Finding]:
        invocation = parse_invocation(inner.argv)
        unknown = _UNKNOWN.search(invocation.script or "") is not None
        if unknown or (not run.complete and not (invocation.string or invocation.script)):
            yield unresolved(" ".join(run.argv), run.script, run.line, runs=caller.runs)
            return
        if caller.runs:
            self._followed.add(self._key(invocation))
        if invocation.string is None and invocation.script is None:
            for text in inner.stdin:
                names = self._names(invocation.name, (_words(invocation.arguments),), caller)
                source = text.encode("utf-8", "surrogateescape")
                # A text of several lines is a here-document, below its command.
                line = run.line + ("\n" in text)
                yield from self._walk(_Job(source, names, run.script, inner.path, caller, line))
        yield from self._start(invocation, inner.path, caller)

    def _not_found(
        self, run: Run, facts: Facts, job: _Job, missing: dict[str, list[str]]
    ) -> Iterator[Finding]:
        name = run.argv[0]
        if run.guess:
            return
        if not may_be_absent(run.argv):
            yield from word_needs(self.world, run.argv[1:], run.script, run.place)
        yield from tree_needs(self.world, run.argv, run.script)
        if not run.sure:
            yield unresolved(" ".join(run.argv), run.script, run.line, runs=job.runs)
        elif (run.script, name) in facts.checked or name.startswith("-"):
            return
        elif not self._is_applet(name, job.shell):
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
            self._applets[shell] = self.world.rootfs.read_bytes(entry) if entry else b""
        return b"\0" + name.encode("utf-8", "surrogateescape") + b"\0" in self._applets[shell]


def _words(arguments: Argv) -> tuple[Word, ...]:
    return tuple(Word(argument) for argument in arguments)
