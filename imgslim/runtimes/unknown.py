"""Programs of a kind that no module understands: what errs toward keeping for them.

Such a program may start a shell (npm does for every script), and the user's own sources in its
language may start programs that are installed beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from imgslim.model import Entry, Finding, Group, Need
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.distro import is_of_libc, stands_alone
from imgslim.runtimes.literal_starts import programs_by_name
from imgslim.tables import building_commands, load_table
from imgslim.world import World

_STRING = re.compile(r"\"[^\"\n]{2,300}\"|'[^'\n]{2,300}'|`[^`\n]{2,300}`|%x\{[^}\n]+\}")
_WORD = re.compile(r"[A-Za-z][\w.+-]*")
_LARGEST_SOURCE_BYTES = 1 << 20


def is_understood(world: World, entry: Entry, runtimes: Sequence[Runtime]) -> bool:
    """Whether the first of ``runtimes`` that describes a program's file knows all it needs.

    A program of the base system that needs nothing but its libraries is known, too.
    """
    owner = world.packages.owner(entry.path)
    if owner is not None and (stands_alone(owner) or is_of_libc(owner)):
        return True
    runtime = next((runtime for runtime in runtimes if runtime.describe(entry)), None)
    return runtime is not None and runtime.understands


class UnknownPrograms(Runtime):
    """The shell, and the programs that the user's sources name in so many words."""

    name = "unknown programs"

    def __init__(self, world: World, known: Sequence[Runtime]) -> None:
        super().__init__(world)
        self._known = known
        self._run: list[str] = []
        self._sources: list[Entry] = []
        table = load_table("unknown")["sources"]
        self._suffixes = tuple(table["suffixes"])
        self._foreign = tuple(table["of_others"])

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        entry = self.world.rootfs.lookup(path)
        if entry is None or path in self._run or is_understood(self.world, entry, self._known):
            return
        self._run.append(path)
        reason = "shell for programs that no module knows"
        yield Need("/bin/sh", Group.PROGRAM, reason, path, optional=True)

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
        for entry in sources:
            yield from self._named_programs(entry)

    def _named_programs(self, entry: Entry) -> Iterator[Finding]:
        text = self.world.rootfs.read_bytes(entry).decode("utf-8", "replace")
        words = {word for string in _STRING.findall(text) for word in _WORD.findall(string)}
        said = "has the names of installed programs in its strings"
        names = sorted(words - building_commands())
        return programs_by_name(self.world, names, entry.path, said)
