"""The standard library of one Ruby: what is where on its load path, and which parts of it stay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from imgslim.choices import Level
from imgslim.model import Entry, Group, Need
from imgslim.rootfs import Rootfs
from imgslim.runtimes.base import KeptPaths
from imgslim.runtimes.ruby.layout import RubyHome
from imgslim.runtimes.ruby.tables import Part, ruby_table

_CODE = (".rb", ".so")
_WORDS = re.compile(rb"\0([a-z][a-zA-Z0-9_/]{1,60})(?=\0)")
_LARGEST_BYTES = 32 << 20


class Library:
    """What of a Ruby's load path is kept, as it is asked for."""

    def __init__(self, rootfs: Rootfs, home: RubyHome, level: Level) -> None:
        self.home = home
        self._rootfs = rootfs
        self._level = level
        self.used: set[str] = set()

    @property
    def reason(self) -> str:
        return f"Ruby {self.home.version} library"

    @cached_property
    def features(self) -> dict[str, list[str]]:
        """What may be required, without its suffix, and the files that provide it, in the order
        of the load path: the first is the one that Ruby loads."""
        found: dict[str, list[str]] = {}
        for name, entry in self._files:
            if entry.path.endswith(_CODE):
                found.setdefault(name, []).append(entry.path)
        return found

    @cached_property
    def _files(self) -> list[tuple[str, Entry]]:
        """Files and links on the load path with their names on it, code without its suffix."""
        tops = self.home.load_path
        found = []
        for top in tops:
            for entry in self._rootfs.walk(top):
                inner = any(entry.path.startswith(f"{t}/") for t in tops if len(t) > len(top))
                if not entry.is_directory and not inner:
                    name = entry.path[len(top) + 1 :]
                    found.append((name[:-3] if name.endswith(_CODE) else name, entry))
        return found

    def needs(self, because: str) -> Iterator[Need]:
        """What every program of this Ruby needs at this level."""
        if self._level is Level.SAFE:
            wanted = [entry for _, entry in self._files if self._is_standard(entry.path)]
            wanted += [e for e in self._of(ruby_table().always) if e not in wanted]
        else:
            wanted = list(self._of(ruby_table().always))
            if self._level is Level.BALANCED:
                wanted += [entry for name, entry in self._files if self._is_plain(name, entry.path)]
        yield from self._needs(wanted, because)
        specifications = f"{self.home.gem_home}/specifications/default"
        for entry in self._rootfs.walk(self._rootfs.resolve(specifications).path):
            yield self._need(entry.path, because)

    def _is_plain(self, name: str, path: str) -> bool:
        return self._is_standard(path) and self.part_of(name) is None

    def _is_standard(self, path: str) -> bool:
        return any(path.startswith(f"{top}/") for top in self.home.library)

    def part_of(self, name: str) -> Part | None:
        """The part that a feature belongs to."""
        return next((p for p in ruby_table().parts if p.features.fullmatch(name)), None)

    def _of(self, pattern: re.Pattern[str]) -> Iterator[Entry]:
        """The files whose names match, those left aside that an earlier directory hides."""
        seen: dict[str, str] = {}
        for name, entry in self._files:
            if pattern.fullmatch(name):
                ending = f"{name}{entry.path[-3:]}"
                if seen.setdefault(ending, entry.path) == entry.path:
                    yield entry

    def use(self, part: Part, because: str) -> Iterator[Need]:
        """A part that is asked for."""
        if part.unit not in self.used:
            self.used.add(part.unit)
            found = [e for e in self._of(part.features) if self._is_standard(e.path)]
            yield from self._needs(found, because)

    def _needs(self, entries: Iterable[Entry], because: str) -> Iterator[Need]:
        for entry in entries:
            yield self._need(entry.path, because)

    def _need(self, path: str, because: str) -> Need:
        return Need(path, Group.RUNTIME, self.reason, because, optional=True)

    def left_out(self, kept: KeptPaths) -> Iterator[tuple[str, Entry]]:
        """The files of the standard library that are not kept, with the part they belong to."""
        for name, entry in self._files:
            if self._is_standard(entry.path) and entry.path not in kept:
                part = self.part_of(name)
                yield (part.unit if part is not None else "modules that nothing requires"), entry


def words_in(rootfs: Rootfs, entry: Entry) -> Iterator[str]:
    """What may be features that an extension requires by name (``rb_require``): whole strings."""
    data = rootfs.read_bytes(entry, _LARGEST_BYTES)
    for word in set(_WORDS.findall(data)):
        yield word.decode("ascii")
