"""Libraries that nothing links, in packages of which something links another one.

A package of libraries is needed for those that its users link or open by name, which the loader's
module finds (``elf/``). Where it finds one of a package, the others are spare (a decoder beside
its encoder), and ``tight`` leaves them out. Where it finds none, what uses the package is no ELF
file and names the library in a way that is not seen (a typelib, a foreign function interface): all
of it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgslim.choices import Level
from imgslim.model import Entry, Need, Package, Problem, Severity, unique_size_bytes
from imgslim.runtimes.base import KeptPaths
from imgslim.world import World

_VERSIONED = re.compile(r"(?:/usr)?/lib(?:32|64|/[^/]+-linux-[^/]+)?/lib[^/]+\.so(?:\.\d+)+")
"""A library for others: where every loader looks, under the name that they link (Debian policy
8.1 and 8.2: run-time libraries carry the soname's version; plug-ins lie in directories below)."""

_NAMES_SHOWN = 8


class SpareLibraries:
    """The libraries that wait, by package, for a sibling that something links."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._trims = world.choices.level is Level.TIGHT
        self._waiting: dict[str, dict[str, Need]] = {}

    def defers(self, package: Package, entry: Entry, need: Need) -> bool:
        """Whether ``need``, which is for ``entry`` of ``package``, has to wait."""
        if not self._trims or not self._is_library(entry):
            return False
        self._waiting.setdefault(package.key, {})[entry.path] = need
        return True

    def settle(self, kept: KeptPaths) -> Iterator[Need]:
        """The libraries of packages of which nothing else brought one."""
        for needs in self._waiting.values():
            if not self._is_linked(needs, kept):
                yield from needs.values()

    def conclude(self, kept: KeptPaths) -> Iterator[Problem]:
        """One problem for all that is left out, with its price."""
        found = [self._world.rootfs.entries[p] for needs in self._waiting.values() for p in needs]
        left = [entry for entry in found if entry.is_file and entry.path not in kept]
        if not left:
            return
        names = [entry.path.rpartition("/")[2] for entry in left]
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        yield Problem(
            "left-out-by-level",
            Severity.INFO,
            "",
            f"left out libraries that no kept file links or names, beside others of their "
            f"packages: {', '.join(names[:_NAMES_SHOWN])}{more}",
            f"add --keep {left[0].path} if something opens it by a name that it computes",
            unique_size_bytes(left),
            tuple(entry.path for entry in left),
        )

    def _is_library(self, entry: Entry) -> bool:
        target = self._world.rootfs.lookup(entry.path) if entry.is_symlink else entry
        if target is None or not target.is_file:
            return False
        return all(_VERSIONED.fullmatch(path) for path in (entry.path, target.path))

    def _is_linked(self, needs: dict[str, Need], kept: KeptPaths) -> bool:
        entries = (self._world.rootfs.entries[path] for path in needs)
        return any(entry.is_file and entry.path in kept for entry in entries)
