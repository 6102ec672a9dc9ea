"""System packages that hold Python modules, which imports lead to.

Debian and others cut Python's distributions into packages that depend on one another. What a
program imports of them, and what their metadata says that they require, the Python module finds as
in any other image; what else a package depends on of that kind is for building, for tests or for an
extra that nothing here uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgslim.choices import Level
from imgslim.model import Package
from imgslim.world import World

_SITE_PATH = re.compile(r"(?P<top>/.*/python3?(?:\.\d+)?/(?:site|dist)-packages/[^/]+)(?:/.*)?")
_NONE: frozenset[str] = frozenset()


class SitePackages:
    """The files of packages that beyond ``safe`` imports alone keep."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[str, frozenset[str]] = {}

    def imported(self, package: Package) -> frozenset[str]:
        """The files of ``package`` about which the Python module decides: those of a distribution,
        and those below a module that is all the package's own. One that adds to the module of
        another package is loaded by that, in ways of its own."""
        if self._world.choices.level is Level.SAFE:
            return _NONE
        if package.key not in self._known:
            self._known[package.key] = frozenset(self._decided(package))
        return self._known[package.key]

    def _decided(self, package: Package) -> Iterator[str]:
        files = frozenset(package.files)
        for path in package.files:
            match = _SITE_PATH.fullmatch(path)
            if match is None:
                continue
            top = match["top"]
            is_module = path == top and path.endswith((".py", ".so"))
            if is_module or f"{top}/__init__.py" in files or self._is_distributed(path):
                yield path

    def _is_distributed(self, path: str) -> bool:
        return self._world.packages.distribution_owner(path) is not None
