"""What native code opens by name: libraries and files that only its strings tell of.

A library that another one of its own package names is kept: such siblings belong together (cuDNN's
parts, MKL's variants, a plug-in and its loader). So is one that lies where the asking file's own
RUNPATH leads, and one that costs nothing. Anything else that exists may be meant, or be the name
of a function's default: it is listed with its price, and kept at the safe level.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from imgslim.choices import Level
from imgslim.model import Entry, Group, Need, Problem, Scope, Severity, unique_size_bytes
from imgslim.runtimes.base import KeptPaths
from imgslim.runtimes.elf.loader import Loader
from imgslim.runtimes.elf.parse import ElfFacts, elf_facts
from imgslim.runtimes.elf.sections import read_layout
from imgslim.runtimes.elf.strings import Strings, read_strings
from imgslim.tables import load_table
from imgslim.world import World

_OPENED = "shared library opened by name"
_NAMED = "file named in a program's strings"

_OWN_TREE_DEPTH = 3
"""A directory at least this deep is a program's own; /usr/lib or /var/lib is a place."""

_NAMES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A path that ``asker`` names, and what it is: a library, or any file."""

    path: str
    asker: str
    is_library: bool


@cache
def openers() -> frozenset[str]:
    """The imports that say that a file opens libraries by name."""
    return frozenset(load_table("native")["strings"]["openers"])


class Opened:
    """The names in strings of what one image keeps. ``loader`` gives the loader of the moment."""

    def __init__(self, world: World, loader: Callable[[], Loader]) -> None:
        self._world = world
        self._loader = loader
        self._index: dict[str, list[str]] | None = None
        self._candidates: dict[str, _Candidate] = {}
        self._strings: dict[str, Strings | None] = {}
        self._keeps_all = world.choices.level is Level.SAFE

    def libraries(self, entry: Entry, facts: ElfFacts) -> Iterator[Need]:
        """The libraries that a kept file opens by name, as far as it is sure; others are noted."""
        if openers().isdisjoint(facts.imports) or facts.is_libc:
            return
        strings = self._strings_of(entry)
        if strings is None:
            return
        own = self._loader().own_directories(entry, facts)
        named = map(self._world.rootfs.canonical, self._named(entry, facts, strings))
        for path in dict.fromkeys(named):
            target = self._world.rootfs.lookup(path)
            if target is None or target.path == entry.path:
                continue
            is_sure = self._are_siblings(entry.path, path, own) or _is_surely_opened(path)
            if self._keeps_all or is_sure:
                yield _library(path, entry.path)
            else:
                self._candidates.setdefault(path, _Candidate(path, entry.path, True))

    def files(self, entry: Entry, facts: ElfFacts) -> Iterator[Need]:
        """Notes the files that a program which runs names by their absolute path."""
        strings = self._strings_of(entry)
        for path in sorted(strings.paths - {facts.interpreter}) if strings is not None else ():
            path = self._world.rootfs.canonical(path)
            found = self._world.rootfs.lookup(path)
            if found is None or not _is_telling(found, path, facts):
                continue
            if self._keeps_all:
                yield _file(path, entry.path)
            else:
                self._candidates.setdefault(path, _Candidate(path, entry.path, False))

    def free(self, kept: KeptPaths) -> Iterator[Need]:
        """Libraries whose files are all kept: only a link is missing, so they are kept too."""
        for candidate in self._candidates.values():
            is_open = candidate.is_library and not self._is_kept(candidate.path, kept)
            if is_open and not self._unkept(candidate, kept):
                yield _library(candidate.path, candidate.asker)

    def problems(self, kept: KeptPaths) -> Iterator[Problem]:
        """One problem for each file that names what is left out, with what keeping it costs."""
        by_asker: dict[tuple[str, bool], list[_Candidate]] = {}
        for candidate in self._candidates.values():
            if self._is_left_out(candidate, kept):
                key = (candidate.asker, candidate.is_library)
                by_asker.setdefault(key, []).append(candidate)
        for (asker, are_libraries), candidates in sorted(by_asker.items()):
            entries = [e for c in candidates for e in self._unkept(c, kept)]
            yield _problem(asker, are_libraries, candidates, entries)

    def _strings_of(self, entry: Entry) -> Strings | None:
        if entry.path not in self._strings:
            layout = read_layout(self._world.rootfs, entry)
            self._strings[entry.path] = (
                None if layout is None else read_strings(self._world.rootfs, entry, layout)
            )
        return self._strings[entry.path]

    def _named(self, entry: Entry, facts: ElfFacts, strings: Strings) -> Iterator[str]:
        """Existing libraries for the same loader that ``strings`` can mean: where a search finds
        them, beside the file, anywhere in its package."""
        for name in sorted(strings.names):
            if name == facts.soname or name in facts.needed:
                continue
            found = self._found(name, entry, facts)
            beside = [path for path in self._by_name(name) if self._is_near(entry.path, path)]
            yield from (path for path in (*found, *beside) if self._fits(path, facts))
        for glob in sorted(strings.globs):
            matches = re.compile(fnmatch.translate(glob)).match
            for name in filter(matches, self._by_names()):
                near = (path for path in self._by_name(name) if self._is_near(entry.path, path))
                yield from (path for path in near if self._fits(path, facts))
        for path in sorted(strings.paths):
            if ".so" in path and self._fits(path, facts):
                yield path

    def _found(self, name: str, entry: Entry, facts: ElfFacts) -> list[str]:
        """Where a search finds a library; its versions, where none has the name without one: some
        append it at run time (.NET's pal_icushim.c)."""
        found = list(self._loader().opened(name, entry, facts))
        if found or not name.endswith(".so"):
            return found
        versions = self._versions.get(name, ())
        return [path for each in versions for path in self._loader().opened(each, entry, facts)]

    @cached_property
    def _versions(self) -> dict[str, list[str]]:
        """The names of libraries that end in a version, by the name without it."""
        found: dict[str, list[str]] = {}
        for name in sorted(self._by_names()):
            stem, _, version = name.rpartition(".so.")
            if stem and all(part.isdigit() for part in version.split(".")):
                found.setdefault(f"{stem}.so", []).append(name)
        return found

    def _is_near(self, asker: str, path: str) -> bool:
        same_directory = posixpath.dirname(path) == posixpath.dirname(asker)
        return same_directory or self._unit(path) == self._unit(asker)

    def _are_siblings(self, asker: str, path: str, own: Sequence[str]) -> bool:
        target = self._world.rootfs.lookup(path)
        units = {self._unit(path), self._unit(target.path) if target else ""}
        return self._unit(asker) in units or posixpath.dirname(path) in own

    def _unit(self, path: str) -> str:
        """The distribution or package of a path; of one that none owns, its directory."""
        packages = self._world.packages
        owner = packages.distribution_owner(path) or packages.owner(path)
        return posixpath.dirname(path) if owner is None else owner.key

    def _by_names(self) -> dict[str, list[str]]:
        if self._index is None:
            self._index = {}
            for path in self._world.rootfs.entries:
                if ".so" in path:
                    self._index.setdefault(posixpath.basename(path), []).append(path)
        return self._index

    def _by_name(self, name: str) -> Sequence[str]:
        return self._by_names().get(name, ())

    def _fits(self, path: str, facts: ElfFacts) -> bool:
        entry = self._world.rootfs.lookup(path)
        found = elf_facts(self._world.rootfs, entry) if entry is not None else None
        return found is not None and found.target == facts.target

    def _is_kept(self, path: str, kept: KeptPaths) -> bool:
        """Whether a path can be opened: all links on the way and its target are kept."""
        resolved = self._world.rootfs.resolve(path)
        return resolved.path in kept and all(link in kept for link in resolved.links)

    def _is_left_out(self, candidate: _Candidate, kept: KeptPaths) -> bool:
        entry = self._world.rootfs.lookup(candidate.path)
        if entry is not None and entry.is_directory:
            return bool(self._unkept(candidate, kept))
        return not self._is_kept(candidate.path, kept)

    def _unkept(self, candidate: _Candidate, kept: KeptPaths) -> list[Entry]:
        """The files that keeping a candidate would add: it, what is below it, its libraries."""
        rootfs = self._world.rootfs
        entry = rootfs.lookup(candidate.path)
        if entry is None:
            return []
        found = [e for e in rootfs.walk(entry.path) if e.is_file]
        facts = elf_facts(rootfs, entry)
        if facts is not None and facts.is_dynamic:
            found += [mapped.entry for mapped in self._loader().load(entry, facts).mapped]
        return [e for e in found if e.path not in kept]


def _is_surely_opened(path: str) -> bool:
    """Whether who opens a library by name cannot do without it."""
    name = posixpath.basename(path)
    return any(fnmatch.fnmatchcase(name, each) for each in _surely_opened())


@cache
def _surely_opened() -> Sequence[str]:
    return tuple(load_table("native")["strings"]["surely_opened"])


def _is_telling(entry: Entry, path: str, facts: ElfFacts) -> bool:
    """Whether a path in a program's strings is worth a question. A program that needs no library
    has its libc's strings, too: of those only programs count."""
    if any(_is_below(each, top) for each in (path, entry.path) for top in _ignored()):
        return False
    if entry.is_directory:
        return bool(facts.needed) and not any(map(_is_place, (path, entry.path)))
    return entry.is_executable or (entry.is_file and bool(facts.needed))


def _is_place(directory: str) -> bool:
    name = posixpath.basename(directory)
    shared = load_table("native")["strings"]["places"]
    is_shared = any(fnmatch.fnmatchcase(name, pattern) for pattern in shared)
    return is_shared or directory.count("/") < _OWN_TREE_DEPTH


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


@cache
def _ignored() -> Sequence[str]:
    return tuple(load_table("native")["strings"]["ignored"])


def _library(path: str, because: str) -> Need:
    return Need(path, Group.LIBRARY, _OPENED, because, optional=True)


def _file(path: str, because: str) -> Need:
    return Need(path, Group.SYSTEM, _NAMED, because, Scope.TREE, optional=True)


def _problem(
    asker: str, are_libraries: bool, candidates: Iterable[_Candidate], left_out: Sequence[Entry]
) -> Problem:
    paths = sorted({candidate.path for candidate in candidates})
    shown = ", ".join(paths[:_NAMES_SHOWN])
    more = f" and {len(paths) - _NAMES_SHOWN} more" if len(paths) > _NAMES_SHOWN else ""
    what = "libraries that it may open by name" if are_libraries else "files that it may use"
    return Problem(
        "libraries-by-name" if are_libraries else "files-by-name",
        Severity.INFO,
        asker,
        f"has the names of {what} in its strings: {shown}{more}",
        f"left out; --keep {paths[0]} keeps it, --level safe all of them",
        unique_size_bytes(left_out),
        tuple(sorted({entry.path for entry in left_out if entry.is_file})),
    )
