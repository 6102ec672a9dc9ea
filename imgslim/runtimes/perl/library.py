"""What of a Perl's search path is kept, as modules are asked for."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache, cached_property

from imgslim.choices import Level
from imgslim.globs import any_of
from imgslim.model import Entry, Group, Need
from imgslim.rootfs import Rootfs
from imgslim.runtimes.base import KeptPaths
from imgslim.runtimes.perl.layout import PerlHome
from imgslim.tables import load_table

_DOCUMENTS = ".pod"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the core library that goes beyond ``safe``: the fields are explained in
    ``perl.toml``, a module "" is none."""

    unit: str
    files: re.Pattern[str]
    module: str
    words: frozenset[str]
    unless_file: str


@cache
def parts() -> tuple[Part, ...]:
    """The rows ``[[part]]`` of ``perl.toml``."""
    return tuple(
        Part(
            unit=row["unit"],
            files=any_of(row["files"]),
            module=row.get("of", ""),
            words=frozenset(row.get("words", ())),
            unless_file=row.get("unless_file", ""),
        )
        for row in load_table("perl")["part"]
    )


@cache
def always() -> re.Pattern[str]:
    """What every Perl loads."""
    return any_of(load_table("perl")["interpreter"]["always"])


class Library:
    """The search path of one Perl."""

    def __init__(self, rootfs: Rootfs, home: PerlHome, level: Level, more: Sequence[str]) -> None:
        self.home = home
        self._rootfs = rootfs
        self._level = level
        self._more = tuple(more)
        self.used: set[str] = set()
        self.reason = f"Perl {home.version} library"

    @cached_property
    def search_path(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._more, *self.home.search_path)))

    @cached_property
    def _core(self) -> list[tuple[str, Entry]]:
        """Files and links of the core library, with their names in it, in the order of @INC."""
        tops = self.search_path
        found = []
        for top in self.home.core:
            for entry in self._rootfs.walk(top):
                inner = any(entry.path.startswith(f"{t}/") for t in tops if len(t) > len(top))
                if not entry.is_directory and not inner:
                    found.append((entry.path[len(top) + 1 :], entry))
        return found

    def is_core(self, path: str) -> bool:
        return any(path.startswith(f"{top}/") for top in self.home.core)

    def is_below(self, path: str) -> bool:
        return any(path.startswith(f"{top}/") for top in self.search_path)

    def needs(self, because: str) -> Iterator[Need]:
        """What every program of this Perl needs at this level."""
        seen: set[str] = set()
        for name, entry in self._core:
            if self._level is Level.SAFE or (self._is_plain(name) and name not in seen):
                yield self.need(entry.path, because)
            seen.add(name)

    def copies(self, kept: KeptPaths, because: str) -> Iterator[Need]:
        """The other copies of kept files of the core library: Debian's libperl does not look in
        perl-base, where its program finds the first ones (its @INC, ``perl -V``)."""
        names = {name for name, entry in self._core if entry.path in kept}
        for name, entry in self._core:
            if name in names and entry.path not in kept:
                yield self.need(entry.path, because)

    def _is_plain(self, name: str) -> bool:
        if always().fullmatch(name) or any(p.files.fullmatch(name) for p in self._staying):
            return True
        is_left_out = name.endswith(_DOCUMENTS) or self.part_of(name) is not None
        return self._level is Level.BALANCED and not is_left_out

    def part_of(self, name: str) -> Part | None:
        """The part that a file of the core library belongs to; None for what always stays."""
        return next((part for part in self._parts if part.files.fullmatch(name)), None)

    @cached_property
    def _parts(self) -> tuple[Part, ...]:
        return tuple(part for part in parts() if part not in self._staying)

    @cached_property
    def _staying(self) -> tuple[Part, ...]:
        """The parts that this version of Perl reads by itself."""
        names = {name for name, _ in self._core}
        return tuple(part for part in parts() if part.unless_file in names)

    def use(self, part: Part, because: str) -> Iterator[Need]:
        """A part that is asked for, less its documents."""
        if part.unit not in self.used:
            self.used.add(part.unit)
            for name, entry in self._core:
                if part.files.fullmatch(name) and not name.endswith(_DOCUMENTS):
                    yield self.need(entry.path, because)

    def find(self, name: str) -> Entry | None:
        """The file that ``require`` of a name with slashes loads."""
        for top in self.search_path:
            entry = self._rootfs.lookup(f"{top}/{name}")
            if entry is not None and entry.is_file:
                return entry
        return None

    def autoloaded(self, module: str) -> Iterator[Entry]:
        """``auto/MODULE/``: the extension of a module, and what AutoSplit cut off it; of several
        with one name that beside the module's own file (XSLoader), else the first (DynaLoader).
        Headers are for building others."""
        name = module.replace("::", "/")
        own = self.find(f"{name}.pm")
        first = [top for top in self.search_path if own and own.path == f"{top}/{name}.pm"]
        found: dict[str, Entry] = {}
        for top in (*first, *self.search_path):
            for child in self._rootfs.children(f"{top}/auto/{name}"):
                entry = self._rootfs.get(f"{top}/auto/{name}/{child}")
                if entry is not None and not entry.is_directory and not child.endswith(".h"):
                    found.setdefault(child, entry)
        yield from found.values()

    def below(self, prefix: str) -> Iterator[str]:
        """The modules of the core library right below a name (``Digest::``)."""
        start = prefix.replace("::", "/")
        for name, _ in self._core:
            rest = name[len(start) :]
            if name.startswith(start) and rest.endswith(".pm") and "/" not in rest:
                yield name[:-3].replace("/", "::")

    def worded(self, modules: Container[str], words: Set[str]) -> Iterator[Part]:
        """The parts that a loaded module is told to read, in so many words."""
        for part in self._parts:
            if part.module in modules and not part.words.isdisjoint(words):
                yield part

    @cached_property
    def added(self) -> dict[str, str]:
        """The modules of all directories but the core's: their names and paths."""
        found: dict[str, str] = {}
        for top in self.search_path:
            if top in self.home.core:
                continue
            for entry in self._rootfs.walk(top):
                path = entry.path
                if path.endswith(".pm") and not self.is_core(path):
                    found.setdefault(path[len(top) + 1 : -3].replace("/", "::"), path)
        return found

    def need(self, path: str, because: str) -> Need:
        """A file of the library."""
        return Need(path, Group.RUNTIME, self.reason, because, optional=True)

    def left_out(self, kept: KeptPaths) -> Iterator[tuple[str, Entry]]:
        """The files of the core library that are not kept, with the part they belong to."""
        for name, entry in self._core:
            if entry.path not in kept:
                part = self.part_of(name)
                other = "documents" if name.endswith(_DOCUMENTS) else "modules that nothing loads"
                yield (part.unit if part is not None else other), entry
