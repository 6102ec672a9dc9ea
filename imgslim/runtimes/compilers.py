"""A C compiler that runs in the container: headers, start files and static libraries for it.

They are left out of all other images. Varnish compiles its configuration at every start, others
extensions of their own (``cffi``, ``torch.compile``). Which headers they include is not known: kept
are those of the C library and of each kept package. Rules: ``[compilers]`` in
``data/packages.toml``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from imgslim.commands import name_of, resolve_command
from imgslim.model import Finding, Group, Need, Package
from imgslim.runtimes.trimmed import any_of
from imgslim.tables import load_table
from imgslim.world import World

_REASON = "headers and libraries for a compiler that runs"


class Compilers:
    """What the compilers of one image need beyond their own programs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._table = load_table("packages")["compilers"]
        self._compiler = ""
        self._done: set[str] = set()

    def command_needs(self, path: str) -> Iterator[Finding]:
        """The assembler and the linker, by whose names a compiler starts them."""
        name = name_of(path)
        if self._compiler or not any(fnmatchcase(name, p) for p in self._table["programs"]):
            return
        self._compiler = path
        for program in self._table["starts"]:
            yield from resolve_command(self._world, (program,), path)

    def settle(self, kept: Iterable[str]) -> Iterator[Need]:
        """The files for compiling of the C library and of the packages ``kept`` (keys)."""
        if not self._compiler:
            return
        libraries = (p for p in self._world.packages.packages.values() if self._is_of_libc(p))
        known = (self._world.packages.packages[key] for key in tuple(kept))
        wanted = any_of(self._table["files"])
        for package in (*libraries, *known):
            if package.key not in self._done:
                self._done.add(package.key)
                for path in filter(wanted.match, package.files):
                    yield Need(path, Group.PACKAGE, _REASON, self._compiler, optional=True)

    def _is_of_libc(self, package: Package) -> bool:
        return any(fnmatchcase(package.name, pattern) for pattern in self._table["libc"])
