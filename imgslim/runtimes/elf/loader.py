"""What a dynamic loader maps for a program, by its own search rules, all inside the image.

glibc: ld.so(8) and elf/dl-load.c (``_dl_map_object``): an RPATH counts for all that is loaded
through its owner and, of the program, for everything, unless the asking object has a RUNPATH; then
LD_LIBRARY_PATH, the RUNPATH, the cache, the built-in directories. musl: ldso/dynlink.c
(``load_library``): LD_LIBRARY_PATH first, RPATH and RUNPATH alike and inherited, one system path.
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf.ldcache import parse_cache
from imgslim.runtimes.elf.parse import ElfFacts, elf_facts
from imgslim.runtimes.elf.places import (
    Target,
    architecture,
    default_directories,
    has_only_musl,
    hwcaps_subdirectories,
    ld_so_conf,
    lib_names,
    musl_directories,
)

_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")
_MUSL_BUILTIN = re.compile(r"lib(c|pthread|rt|m|dl|util|xnet)\..*")
"""Names that musl answers itself (ldso/dynlink.c, ``reserved``)."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """An object in a process: ``path`` is how the loader opens it, ``entry`` the file behind."""

    path: str
    entry: Entry
    facts: ElfFacts
    asked_by: Mapped | None = None

    @property
    def origin(self) -> str:
        """``$ORIGIN``: of a program the directory of its real file, of a library that of the path
        by which it was opened (glibc's elf/dl-origin.c and dl-object.c)."""
        return posixpath.dirname(self.path)

    def chain(self) -> Iterator[Mapped]:
        """This object, who asked for it, who asked for that one, up to the program."""
        here: Mapped | None = self
        while here is not None:
            yield here
            here = here.asked_by


@dataclass(frozen=True, slots=True)
class Loading:
    """What one program or library brings into a process, itself left out.

    ``missing`` are the sonames that nothing answers, with the object that asked.
    """

    mapped: tuple[Mapped, ...]
    missing: tuple[tuple[str, Mapped], ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A search's answer: variants for other processors, then the one that always works."""

    variants: tuple[str, ...] = ()
    path: str | None = None


class Loader:
    """The loaders of one image. ``library_path`` is LD_LIBRARY_PATH, unexpanded, in order."""

    def __init__(
        self, rootfs: Rootfs, working_dir: str = "/", library_path: Sequence[str] = ()
    ) -> None:
        self._rootfs = rootfs
        self._working_dir = working_dir
        self._library_path = tuple(library_path)
        self._musl = has_only_musl(rootfs)
        self._musl_directories = musl_directories(rootfs)
        self._configured = tuple(dict.fromkeys(ld_so_conf(rootfs)))
        cache = rootfs.lookup("/etc/ld.so.cache")
        self._cache = parse_cache(rootfs.read_bytes(cache)) if cache else {}
        self._answers: dict[tuple[str, str, Target], _Found] = {}
        self._subdirectories: dict[str, tuple[str, ...]] = {}

    def load(self, entry: Entry, facts: ElfFacts, preload: Sequence[str] = ()) -> Loading:
        """Load a program, or a library that a program opens, as its loader would: breadth first,
        a name that something mapped answers is not searched again."""
        main = Mapped(entry.path, entry, facts)
        musl = self._runs_on_musl(facts)
        names = {posixpath.basename(facts.interpreter), facts.soname, entry.path}
        inodes = {entry.inode}
        mapped: list[Mapped] = []
        missing: list[tuple[str, Mapped]] = []
        queue: deque[tuple[str, Mapped]] = deque((name, main) for name in preload)
        queue.extend((name, main) for name in facts.needed)
        while queue:
            name, asker = queue.popleft()
            if name in names or (musl and _MUSL_BUILTIN.fullmatch(name)):
                continue
            names.add(name)
            found = self._search(name, asker, main, musl)
            if found.path is None:
                missing.append((name, asker))
            for path in (*found.variants, *filter(None, [found.path])):
                library = self._open(path, facts.target, asker)
                if library is None or library.entry.inode in inodes:
                    continue
                inodes.add(library.entry.inode)
                mapped.append(library)
                if not musl:
                    names.add(library.facts.soname)
                queue.extend((needed, library) for needed in library.facts.needed)
        return Loading(tuple(mapped), tuple(missing))

    def _runs_on_musl(self, facts: ElfFacts) -> bool:
        """Alpine's gcompat is a loader under glibc's name that is musl behind it."""
        if facts.is_musl or not facts.interpreter:
            return facts.is_musl or (self._musl and "libc.so.6" not in facts.needed)
        interpreter = self._open(facts.interpreter, facts.target, None)
        return interpreter is not None and interpreter.facts.is_musl

    def find(self, soname: str, target: Target, *, musl: bool = False) -> tuple[str, ...]:
        """The paths by which ``dlopen`` from nowhere in particular finds a library, all variants;
        empty when the system's own places do not have it."""
        directories = self._expand(self._library_path, "", target)
        found = self._in_system(soname, target, directories, musl, "", cut=False)
        return (*found.variants, *filter(None, [found.path]))

    def opened(self, name: str, entry: Entry, facts: ElfFacts) -> tuple[str, ...]:
        """The paths by which ``dlopen`` of a name without a slash finds a library when the given
        file calls it, all variants; RPATHs of the program that loaded the file are not known."""
        asker = Mapped(entry.path, entry, facts)
        found = self._search(name, asker, asker, self._runs_on_musl(facts))
        return (*found.variants, *filter(None, [found.path]))

    def own_directories(self, entry: Entry, facts: ElfFacts) -> tuple[str, ...]:
        """The directories of a file's RUNPATH, or else RPATH, ``$ORIGIN`` replaced."""
        owner = Mapped(entry.path, entry, facts)
        return tuple(self._own(owner, facts.runpath or facts.rpath))

    def _search(self, name: str, asker: Mapped, main: Mapped, musl: bool) -> _Found:
        target = main.facts.target
        if "/" in name:
            paths = self._expand([name], asker.origin, target)
            return next((_Found(path=p) for p in paths if self._open(p, target, None)), _Found())
        ambient = self._expand(self._library_path, main.origin, target)
        if musl:
            own = [d for m in asker.chain() for d in self._own(m, m.facts.runpath or m.facts.rpath)]
            directories = [*ambient, *own]
        else:
            inherited = [] if asker.facts.runpath else self._inherited(asker, main)
            directories = [*inherited, *ambient, *self._own(asker, asker.facts.runpath)]
        loader_directory = posixpath.dirname(main.facts.interpreter)
        cut = asker.facts.no_default_libraries
        return self._in_system(name, target, directories, musl, loader_directory, cut=cut)

    def _inherited(self, asker: Mapped, main: Mapped) -> list[str]:
        """RPATHs that count for what ``asker`` needs; one beside a RUNPATH is ignored."""
        owners = [m for m in (*asker.chain(), main) if not m.facts.runpath]
        return [d for owner in owners for d in self._own(owner, owner.facts.rpath)]

    def _own(self, owner: Mapped, directories: Sequence[str]) -> list[str]:
        return self._expand(directories, owner.origin, owner.facts.target)

    def _in_system(
        self,
        name: str,
        target: Target,
        directories: Sequence[str],
        musl: bool,
        loader_directory: str,
        *,
        cut: bool,
    ) -> _Found:
        """Search ``directories``, then the system's own; ``cut``: without the default ones."""
        if musl:
            return self._in_directories(name, target, [*directories, *self._musl_directories])
        early = self._in_directories(name, target, directories)
        if early.path is not None:
            return early
        default = default_directories(target, loader_directory)
        cached = self._in_cache(name, target, default if cut else ())
        late = cached
        if cached.path is None:
            system = [*self._configured, *default]
            allowed = [d for d in system if d not in default] if cut else system
            late = self._in_directories(name, target, allowed)
        variants = (*early.variants, *cached.variants, *late.variants)
        return _Found(tuple(dict.fromkeys(variants)), late.path)

    def _in_cache(self, name: str, target: Target, without: Sequence[str]) -> _Found:
        """The cache's answers: those in hwcaps directories are variants, the first other one is
        it. ``without``: directories whose entries DF_1_NODEFLIB hides."""
        variants: list[str] = []
        for path in self._cache.get(name, ()):
            if self._open(path, target, None) is None or posixpath.dirname(path) in without:
                continue
            directory = posixpath.dirname(path)
            if "/glibc-hwcaps/" not in path and not self._is_legacy_variant(directory):
                return _Found(tuple(variants), path)
            variants.append(path)
        return _Found(tuple(variants))

    def _is_legacy_variant(self, directory: str) -> bool:
        parent, _, name = directory.rpartition("/")
        return name in self._hwcaps(parent or "/")

    def _in_directories(self, name: str, target: Target, directories: Sequence[str]) -> _Found:
        variants: list[str] = []
        for directory in directories:
            found = self._in_directory(name, target, directory)
            variants.extend(found.variants)
            if found.path is not None:
                return _Found(tuple(dict.fromkeys(variants)), found.path)
        return _Found(tuple(dict.fromkeys(variants)))

    def _in_directory(self, name: str, target: Target, directory: str) -> _Found:
        key = (directory, name, target)
        known = self._answers.get(key)
        if known is None:
            places = [f"{directory}/{sub}/{name}" for sub in self._hwcaps(directory)]
            variants = tuple(p for p in places if self._open(p, target, None))
            plain = f"{directory}/{name}"
            path = plain if self._open(plain, target, None) else None
            known = self._answers[key] = _Found(variants, path)
        return known

    def _hwcaps(self, directory: str) -> tuple[str, ...]:
        known = self._subdirectories.get(directory)
        if known is None:
            known = hwcaps_subdirectories(self._rootfs, directory)
            self._subdirectories[directory] = known
        return known

    def _open(self, path: str, target: Target, asked_by: Mapped | None) -> Mapped | None:
        """The library at ``path`` if it is one for ``target``: a loader passes over others."""
        entry = self._rootfs.lookup(path)
        facts = elf_facts(self._rootfs, entry) if entry is not None else None
        if entry is None or facts is None or facts.target != target:
            return None
        return Mapped(path, entry, facts, asked_by)

    def _expand(self, directories: Sequence[str], origin: str, target: Target) -> list[str]:
        """Replace ``$ORIGIN``, ``$LIB`` and ``$PLATFORM`` (all that they can be); an empty element
        is the working directory (ld.so(8))."""
        meanings = {
            "ORIGIN": (origin,),
            "LIB": lib_names(target),
            "PLATFORM": architecture(target).platforms,
        }
        expanded = [text for element in directories for text in _substitute(element, meanings)]
        return [self._tidy(posixpath.join(self._working_dir, path)) for path in expanded]

    def _tidy(self, path: str) -> str:
        """``path`` without its dots, where that leads to the same place: ``..`` behind a link to a
        directory does not."""
        tidy = posixpath.normpath(path)
        if ".." not in path or self._rootfs.resolve(path).path == self._rootfs.resolve(tidy).path:
            return tidy
        return path


def _substitute(text: str, meanings: Mapping[str, Sequence[str]]) -> Iterator[str]:
    token = _TOKEN.search(text)
    if token is None:
        yield text
        return
    for meaning in meanings[token[1] or token[2]]:
        yield from _substitute(text[: token.start()] + meaning + text[token.end() :], meanings)
