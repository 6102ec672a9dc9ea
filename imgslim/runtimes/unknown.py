"""Programs of a kind that no module understands: what errs toward keeping for them.

Such a program may start a shell (npm does for every script), and the user's own sources in its
language may start programs that are installed beside it, or read files that packages brought. So
may a native program of the user's own, of which those sources are seldom left.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from imgslim.commands import existing_paths, resolve_command
from imgslim.model import Entry, Finding, Group, Need
from imgslim.packages.asked import asked_packages
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.distro import is_of_libc, stands_alone
from imgslim.runtimes.elf.embedded import embedded_files
from imgslim.runtimes.elf.sections import read_layout
from imgslim.runtimes.literal_starts import programs_by_name
from imgslim.tables import building_commands, load_table
from imgslim.world import World

_DOUBLE_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\.){2,300}\"")
_STRING = re.compile(
    rf"{_DOUBLE_QUOTED.pattern}|'(?:[^'\\\n]|\\.){{2,300}}'|`(?:[^`\\\n]|\\.){{2,300}}`"
    r"|%x\{[^}\n]+\}|\[\[[^\n]{2,300}?\]\]"
)
_WORD = re.compile(r"[A-Za-z][\w.+-]*")
_LARGEST_SOURCE_BYTES = 1 << 20
_NAMED = "file named by a program"


def is_understood(world: World, entry: Entry, runtimes: Sequence[Runtime]) -> bool:
    """Whether the first of ``runtimes`` that describes a program's file knows all it needs.

    A program of the base system that needs nothing but its libraries is known, too.
    """
    owner = world.packages.owner(entry.path)
    if owner is not None and (stands_alone(owner) or is_of_libc(owner)):
        return True
    runtime = _describing(entry, runtimes)
    return runtime is not None and runtime.understands


def _describing(entry: Entry, runtimes: Iterable[Runtime]) -> Runtime | None:
    return next((runtime for runtime in runtimes if runtime.describe(entry)), None)


class UnknownPrograms(Runtime):
    """The shell, and what the user's sources and native programs name in so many words."""

    name = "unknown programs"

    def __init__(self, world: World, known: Sequence[Runtime]) -> None:
        super().__init__(world)
        self._known = known
        self._seen: set[str] = set()
        self._run: list[str] = []
        self._sources: list[Entry] = []
        table = load_table("unknown")["sources"]
        self._double_quoted = tuple(table["double_quoted"])
        self._read_by = {name: tuple(ends) for name, ends in table["read_by"].items()}
        read = itertools.chain.from_iterable(self._read_by.values())
        self._suffixes = (*table["suffixes"], *self._double_quoted, *read)
        self._running: set[str] = set()
        self._foreign = tuple(table["of_others"])

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        entry = self.world.rootfs.lookup(path)
        if entry is None or path in self._seen:
            return
        self._seen.add(path)
        if is_understood(self.world, entry, self._known):
            runtime = _describing(entry, self._known)
            self._running.update([runtime.name] if runtime else ())
            return
        self._run.append(path)
        reason = "shell for programs that no module knows"
        yield Need("/bin/sh", Group.PROGRAM, reason, path, optional=True)
        if self.world.packages.owner(path) is None:
            yield from self._embedded(entry)

    def _embedded(self, entry: Entry) -> Iterator[Finding]:
        """The files whose paths are in a native program: those that it runs with what they need."""
        layout = read_layout(self.world.rootfs, entry)
        if layout is None:
            return
        ignored = tuple(f"{top}/" for top in load_table("native")["strings"]["ignored"])
        for found in embedded_files(self.world.rootfs, entry, layout):
            if not self.world.rootfs.canonical(found).startswith(ignored):
                yield from self._named_path(found, entry.path)

    def _named_path(self, path: str, because: str) -> Iterator[Finding]:
        """A package's file; one of a toolchain's cache may be where the program was compiled."""
        entry = self.world.rootfs.lookup(path)
        if entry is None or not entry.is_file or self.world.packages.owner(entry.path) is None:
            return
        if entry.is_executable:
            yield from resolve_command(self.world, (path,), because)
        yield Need(path, Group.SYSTEM, _NAMED, because, optional=True)

    def restarted(self, world: World, others: Sequence[Runtime]) -> Runtime:
        return type(self)(world, others)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if (
            entry.is_file
            and entry.path.endswith(self._suffixes)
            and entry.size_bytes <= _LARGEST_SOURCE_BYTES
            and not any(part in entry.path for part in self._foreign)
            and self.world.packages.owner(entry.path) is None
        ):
            self._sources.append(entry)
        return ()

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        if not self._run:
            return
        sources, self._sources = self._sources, []
        read = [self._read_by.get(name, ()) for name in self._running]
        others = tuple(itertools.chain.from_iterable(read))
        for entry in (source for source in sources if not source.path.endswith(others)):
            text = self.world.rootfs.read_bytes(entry).decode("utf-8", "replace")
            strings = self._quotes(entry).findall(text)
            yield from self._named_programs(entry, strings)
            yield from self._asked_programs(entry, text)
            paths = (existing_paths(self.world.rootfs, string[1:-1]) for string in strings)
            for path in dict.fromkeys(itertools.chain.from_iterable(paths)):
                yield from self._named_path(path, entry.path)

    def _quotes(self, entry: Entry) -> re.Pattern[str]:
        return _DOUBLE_QUOTED if entry.path.endswith(self._double_quoted) else _STRING

    def _named_programs(self, entry: Entry, strings: Sequence[str]) -> Iterator[Finding]:
        """Tools that build are meant where somebody asked for them and a string starts with one."""
        words = {word for string in strings for word in _WORD.findall(string)}
        firsts = {found[0] for string in strings if (found := _WORD.search(string, 1))}
        building = words & building_commands()
        meant = {w for w in building & firsts if self._is_asked_for(self.world.which(w))}
        said = "has the names of installed programs in its strings"
        return programs_by_name(self.world, sorted(words - building | meant), entry.path, said)

    def _asked_programs(self, entry: Entry, text: str) -> Iterator[Finding]:
        """A language's own function may start the program of its name: Octave's and R's ``zip``.
        One that somebody installed by name, in whose source its name stands, is meant."""
        words = (set(_WORD.findall(text)) & self._asked_names) - building_commands()
        names = [word for word in sorted(words) if self._is_asked_for(self.world.which(word))]
        said = "has the names of programs that were installed by name"
        return programs_by_name(self.world, names, entry.path, said)

    def _is_asked_for(self, path: str | None) -> bool:
        owner = None if path is None else self.world.packages.owner(path)
        return owner is not None and not owner.essential and owner.key in self._asked

    @cached_property
    def _asked_names(self) -> frozenset[str]:
        """The names of their files: most words of a source are none, and need no search in PATH."""
        packages = self.world.packages.packages
        files = itertools.chain.from_iterable(packages[key].files for key in self._asked)
        return frozenset(path.rpartition("/")[2] for path in files)

    @cached_property
    def _asked(self) -> frozenset[str]:
        return asked_packages(self.world.rootfs, self.world.packages.packages) or frozenset()
