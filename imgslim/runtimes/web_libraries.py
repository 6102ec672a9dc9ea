"""Packages of JavaScript and styles for browsers: of those only what something leads to is served.

A package that uses one links into it from its own tree (Debian's JavaScript policy), and so do the
routes that hand it out; a server that hands out all of them names the directory in its
configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from imgslim.choices import Level
from imgslim.model import Entry, Package, Problem, Severity, unique_size_bytes
from imgslim.runtimes.base import KeptPaths
from imgslim.tables import load_table
from imgslim.world import World

_NAMES_SHOWN = 6


class WebLibraries:
    """Which packages are such libraries, by the table ``[web_libraries]`` of ``packages.toml``;
    none at ``safe``."""

    def __init__(self, world: World) -> None:
        self._world = world
        table = load_table("packages")["web_libraries"]
        self._names: tuple[str, ...] = tuple(table["packages"])
        self._words = tuple(word.encode() for word in table["words"])
        self._largest_bytes: int = table["largest_bytes"]
        self._naming: dict[str, bool] = {}
        self._waiting: dict[str, Package] = {}

    def waits(self, package: Package, asker: Package | None) -> bool:
        """Whether of ``package`` nothing but what is reached by itself is kept, though ``asker``
        depends on it; ``None`` asks for a package of which a file is kept."""
        if self._world.choices.level is Level.SAFE or not self._is_library(package):
            return False
        if asker is not None and not self._is_library(asker) and self._names_place(asker):
            return False
        self._waiting[package.key] = package
        return True

    def conclude(self, kept: KeptPaths, given: Iterable[str]) -> Iterator[Problem]:
        """One problem for what is left out of all of them but those that are ``given`` whole."""
        without = [p for key, p in self._waiting.items() if key not in given]
        left = {package.name: list(self._left(package, kept)) for package in without}
        names = sorted(name for name, entries in left.items() if entries)
        if not names:
            return
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        yield Problem(
            "left-out-by-level",
            Severity.INFO,
            next(p for p in without if p.name == names[0]).database,
            f"left out what nothing links to of libraries for browsers: "
            f"{', '.join(names[:_NAMES_SHOWN])}{more}",
            f"add --keep deb:{names[0]} if something hands it out by a name that it computes",
            unique_size_bytes(entry for entries in left.values() for entry in entries),
        )

    def _left(self, package: Package, kept: KeptPaths) -> Iterator[Entry]:
        for path in package.files:
            entry = self._world.rootfs.entries[path]
            if entry.is_file and path not in kept and not path.startswith("/usr/share/doc/"):
                yield entry

    def _is_library(self, package: Package) -> bool:
        return any(fnmatchcase(package.name, pattern) for pattern in self._names)

    def _names_place(self, package: Package) -> bool:
        """Whether a file of a package has the directory of such libraries in its text."""
        if package.key not in self._naming:
            entries = (self._world.rootfs.entries[path] for path in package.files)
            self._naming[package.key] = any(self._has_words(entry) for entry in entries)
        return self._naming[package.key]

    def _has_words(self, entry: Entry) -> bool:
        if not entry.is_file or entry.size_bytes > self._largest_bytes:
            return False
        if entry.path.startswith("/usr/share/doc/"):
            return False
        data = self._world.rootfs.read_bytes(entry)
        return any(word in data for word in self._words)
