"""Keeping single modules: the file of one, the packages around it and the data beside it."""

from __future__ import annotations

import fnmatch
import posixpath

from imgslim.model import Distribution, Group
from imgslim.runtimes.python.modules import Target, Unit
from imgslim.runtimes.python.package_data import PackageData
from imgslim.runtimes.python.reach import ImportClosure
from imgslim.runtimes.python.search import Search
from imgslim.runtimes.python.startup import StartUp
from imgslim.runtimes.python.tables import hidden, tight
from imgslim.runtimes.python.waste import is_waste
from imgslim.world import World

INITS = ("/__init__.py", "/__init__.pyc")

_READS_CONFIGURATION = ("sysconfig", "distutils.sysconfig")
"""Modules that import the file of the build's configuration (Lib/sysconfig.py, _init_posix)."""


class TakingClosure(ImportClosure):
    """What reaching a module or a whole package keeps; what leads to them, ``ModuleClosure``."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._taken: set[str] = set()
        self._data = PackageData(world)
        self._wholes: set[str] = set()
        self._infixes: dict[tuple[str, bool], None] = {}
        self._packages: dict[str, Search] = {}
        self._full: set[tuple[str, str]] = set()
        self._startup = StartUp()
        self._carriers: dict[tuple[str, str], str] = {}

    def _try_infix(self, search: Search, name: str, key: tuple[str, bool], because: str) -> None:
        infix, whole = key
        module = f"{name}.{infix}"
        if search.index.file_of(module) is None:
            return
        if whole:
            self._take_whole(search, module, because)
        else:
            self._reach_module(search, module, because)

    def _reach_target(self, search: Search, target: Target, because: str) -> None:
        self._reach(target.unit, because)
        self._take(search, target.path, because)

    def _reach_module(
        self, search: Search, module: str, because: str, *, named: bool = False
    ) -> None:
        module = self._carried(search, module, because) or module
        key = (search.index.environment.prefix, module)
        if key in self._full and not named:
            return
        self._full.add(key)
        for path in search.index.standard(module):
            self._take(search, path, because)
        for target in search.index.resolve(module):
            if named:
                self._named.add(target.path)
            self._reach_target(search, target, because)

    def _carried(self, search: Search, module: str, because: str) -> str:
        """The full name of a module that only the distribution of the file ``because`` has, in a
        directory that it puts on the search path itself (``pkg/_vendor``, poetry-core); or ""."""
        index, top = search.index, module.partition(".")[0]
        dist = self._world.packages.distribution_owner(because)
        if dist is None or top in index.stdlib or top in index.providers:
            return ""
        key = (dist.metadata_path, top)
        if key not in self._carriers:
            ends = (f"/{top}.py", *(f"/{top}{init}" for init in INITS))
            names = (index.name_of(path) for path in dist.files if path.endswith(ends))
            inner = (name for name in names if name and "." in name)
            self._carriers[key] = min(inner, key=len, default="")
        carrier = self._carriers[key]
        return carrier + module.removeprefix(top) if carrier else ""

    def _take(self, search: Search, path: str, because: str) -> None:
        """Keep one module's file, and with the first of a directory the data in it."""
        entry = self._world.rootfs.get(path)
        if path in self._taken or entry is None or entry.is_directory:
            return
        self._taken.add(path)
        dist = self._world.packages.distribution_owner(path)
        if dist is not None:
            self._reach(Unit(dist.metadata_path, dist), because)
        group, reason = self._unit_of(search, path, dist)
        self._need(path, reason, because, group=group)
        directory = posixpath.dirname(path)
        if search.index.name_of(f"{directory}/__init__.py"):
            for found in self._data.beside(directory, self._top_of(search, path)):
                self._need(found, reason, because, group=group)
        name = search.index.name_of(path) or ""
        if path.endswith(INITS):
            self._packages.setdefault(name, search)
            for key in tuple(self._infixes):
                self._try_infix(search, name, key, path)
        if name in _READS_CONFIGURATION:
            self._take_configuration(search, path)
        for module in tight().also.get(name, ()):
            self._take_whole(search, module, path)
        for module in tight().beside.get(name, ()):
            self._reach_module(search, module, path)

    def _take_configuration(self, search: Search, because: str) -> None:
        """``_sysconfigdata__linux_x86_64-linux-gnu``: no identifier, yet imported."""
        for directory in search.index.environment.base.stdlib:
            for name in fnmatch.filter(self._world.rootfs.children(directory), tight().data):
                self._take(search, f"{directory}/{name}", because)

    def _unit_of(self, search: Search, path: str, dist: Distribution | None) -> tuple[Group, str]:
        if dist is not None:
            return Group.DEPENDENCY, Unit(dist.metadata_path, dist).label
        if search.index.is_standard(path):
            return Group.RUNTIME, f"{search.index.environment.base.label} standard library"
        return Group.DEPENDENCY, "Python modules that no distribution owns"

    def _take_named_data(self, search: Search, path: str, because: str) -> None:
        dist = self._world.packages.distribution_owner(path)
        group, reason = self._unit_of(search, path, dist)
        self._need(path, reason, because, group=group)

    def _top_of(self, search: Search, path: str) -> str:
        root = search.index.root_of(path) or ""
        return f"{root}/{path[len(root) + 1 :].partition('/')[0]}"

    def _take_whole(
        self, search: Search, package: str, because: str, *, named: bool = False
    ) -> None:
        """Keep a package with all that lies below it, tests left out; ``named``: by the user's own
        code."""
        if package in self._wholes:
            return
        self._wholes.add(package)
        self._reach_module(search, package, because)
        for place in search.index.places(package):
            for entry in self._world.rootfs.walk(place):
                below = entry.path[len(place) + 1 :]
                if (
                    entry.is_directory
                    or hidden().is_left_out(below)
                    or is_waste(self._world, entry.path)
                ):
                    continue
                if "__pycache__/" not in below:
                    self._take(search, entry.path, because)
                    if named:
                        self._startup.add_file(entry.path)
