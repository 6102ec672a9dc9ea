"""Which unit of an environment a module name leads to: a distribution, or a bare module.

Sources: docs.python.org, "The import system" (search path, regular and namespace packages),
Lib/site.py (``.pth`` files), setuptools' editable finders, PEP 420, PEP 660.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from imgslim.model import Distribution
from imgslim.runtimes.python.layout import Environment
from imgslim.runtimes.python.source import literal_mapping
from imgslim.world import World

_CODE_SUFFIXES = (".py", ".so", ".pyc")
_EDITABLE_FINDER = "__editable___"


@dataclass(frozen=True, slots=True)
class Unit:
    """What is kept or left as a whole: a distribution, or a module or package that none owns.

    ``key`` is unique: the metadata's path, or that of the module.
    """

    key: str
    distribution: Distribution | None = field(default=None, compare=False)

    @property
    def label(self) -> str:
        if self.distribution is None:
            return f"Python module {posixpath.basename(self.key)}"
        return f"distribution {self.distribution.name} {self.distribution.version}"


@dataclass(frozen=True, slots=True)
class PathFile:
    """A ``.pth`` file: the directories (or zip files) that it adds, and the code that it runs."""

    path: str
    places: tuple[str, ...]
    code: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that an import loads: the file (of a namespace: its directory) and its unit."""

    path: str
    unit: Unit


class ModuleIndex:
    """The modules that an environment's site directories and ``.pth`` files offer."""

    def __init__(
        self, world: World, environment: Environment, extra_roots: Sequence[str] = ()
    ) -> None:
        self._world = world
        self._rootfs = world.rootfs
        self.environment = environment
        self.path_files = tuple(self._read_path_files())
        self._finders = dict(self._editable_finders())
        added = [place for file in self.path_files for place in file.places]
        self.roots = tuple(dict.fromkeys((*extra_roots, *environment.site_paths, *added)))
        self.distributions = tuple(
            dist for dist in world.packages.distributions if dist.site_path in self.roots
        )
        self._files: dict[str, str | None] = {}
        self._extensions: dict[str, dict[str, str]] = {}
        self.member_names: dict[str, frozenset[str]] = {}
        self._units = {d.metadata_path: Unit(d.metadata_path, d) for d in self.distributions}
        self.by_name = {d.name: self._units[d.metadata_path] for d in self.distributions[::-1]}
        self._mapped = {name: path for mapping in self._finders.values() for name, path in mapping}
        self.stdlib = frozenset(self._stdlib_names())
        self.providers: dict[str, dict[str, Unit]] = {}
        for name, unit in self._offers():
            self.providers.setdefault(name, {})[unit.key] = unit

    def unit_at(self, path: str) -> Unit | None:
        """The distribution of this environment that owns a path."""
        dist = self._world.packages.distribution_owner(path)
        return None if dist is None else self._units.get(dist.metadata_path)

    def root_of(self, path: str) -> str | None:
        """The directory of the search path that a path lies below; the deepest one."""
        fitting = [root for root in self.roots if path.startswith(f"{root}/")]
        return max(fitting, key=len, default=None)

    @cached_property
    def stdlib_prefixes(self) -> tuple[str, ...]:
        """What the paths of the standard library start with."""
        return tuple(f"{directory}/" for directory in self.environment.base.stdlib)

    def is_standard(self, path: str) -> bool:
        """Whether a path is the standard library's: site-packages may lie below it."""
        return path.startswith(self.stdlib_prefixes) and "-packages/" not in path

    def name_of(self, path: str) -> str | None:
        """The dotted name by which a file of the search path is imported; a package's file has
        its package's. None for what is no module."""
        directory, _, file = path.rpartition("/")
        stem = module_name(file)
        root = self.root_of(path)
        if root is None:
            fitting = [p for p in self.stdlib_prefixes if path.startswith(p)]
            root = max(fitting, key=len, default="").rstrip("/")
            directory = directory.replace(f"{root}/lib-dynload", root)
        if not stem or not root:
            return None
        packages = [part for part in directory[len(root) + 1 :].split("/") if part]
        if not all(part.isidentifier() for part in packages):
            return None
        return ".".join(packages if stem == "__init__" else [*packages, stem]) or None

    def standard(self, module: str) -> tuple[str, ...]:
        """The files of the standard library that importing ``module`` loads."""
        parts = module.split(".")
        if parts[0] not in self.stdlib or not all(parts):
            return ()
        for directory in self.environment.base.stdlib:
            for place in (directory, f"{directory}/lib-dynload"):
                files, _ = self._walk(f"{place}/{parts[0]}", parts)
                if files:
                    return tuple(files)
        return ()

    def file_of(self, module: str) -> str | None:
        """The file (of a namespace package: the directory) of exactly that module."""
        if module not in self._files:
            found = [*self.standard(module), *(target.path for target in self.resolve(module))]
            exact = [p for p in found if self._is_called(p, module)]
            self._files[module] = exact[0] if exact else None
        return self._files[module]

    def _is_called(self, path: str, module: str) -> bool:
        tail = "/" + module.replace(".", "/")
        stem = path.removesuffix("/__init__.py").removesuffix("/__init__.pyc")
        directory, _, name = stem.rpartition("/")
        return f"{directory}/{name.partition('.')[0]}".endswith(tail)

    def places(self, package: str) -> tuple[str, ...]:
        """The directories of a package: one, or several of a namespace; none of a module."""
        found: dict[str, None] = {}
        parts = package.split(".")
        if parts[0] in self.stdlib:
            tops = [f"{directory}/{parts[0]}" for directory in self.environment.base.stdlib]
        else:
            mapped = [self._mapped[parts[0]]] if parts[0] in self._mapped else []
            tops = [*mapped, *(f"{root}/{parts[0]}" for root in self.roots)]
        for top in tops:
            entry = self._rootfs.lookup("/".join([top, *parts[1:]]))
            if entry is not None and entry.is_directory:
                found[entry.path] = None
        return tuple(found)

    def members(self, package: str) -> Iterator[str]:
        """The names of a package's modules; of ``""``: the standard library's."""
        if not package:
            yield from sorted(self.stdlib)
        for place in self.places(package) if package else ():
            yield from filter(None, (module_name(c) for c in self._rootfs.children(place)))

    def resolve(self, module: str) -> Iterator[Target]:
        """All that importing ``module`` loads: each package on the way and the deepest part of
        the name that is a module. The first directory with a regular one ends the search."""
        parts = module.split(".")
        if not parts[0] or not all(parts):
            return
        top = parts[0]
        mapped = [self._mapped[top]] if top in self._mapped else []
        for start in (*mapped, *(f"{root}/{top}" for root in self.roots)):
            files, namespace = self._walk(start, parts)
            yield from self._targets(files, namespace, top)
            if files and posixpath.dirname(files[0]) in (start, posixpath.dirname(start)):
                return

    def _walk(self, first: str, parts: list[str]) -> tuple[list[str], str]:
        """The files of ``parts`` from ``first`` on, and the namespace directory where they end."""
        files: list[str] = []
        here, namespace = first, ""
        for depth in range(len(parts)):
            if depth:
                here = f"{here}/{parts[depth]}"
            init = self._first(f"{here}/__init__")
            if init is not None:
                files.append(init)
                namespace = ""
                continue
            module = self._first(here)
            if module is not None:
                files.append(module)
                return files, ""
            entry = self._rootfs.lookup(here)
            if entry is None or not entry.is_directory:
                return files, ""
            here = entry.path
            namespace = here if depth == len(parts) - 1 else ""
        return files, namespace

    def _first(self, stem: str) -> str | None:
        """The file of a module: an extension of any ABI tag, source, or bytecode, in the order of
        importlib's own finder (Lib/importlib/_bootstrap_external.py, _get_supported_file_loaders).
        """
        directory, _, name = stem.rpartition("/")
        extension = self._extensions_in(directory).get(name)
        if extension is not None:
            return f"{directory}/{extension}"
        entries = self._rootfs.entries
        return next((stem + suffix for suffix in (".py", ".pyc") if stem + suffix in entries), None)

    def _extensions_in(self, directory: str) -> dict[str, str]:
        known = self._extensions.get(directory)
        if known is None:
            names = self._rootfs.children(directory)
            found = {name.partition(".")[0]: name for name in names if name.endswith(".so")}
            known = self._extensions[directory] = found
        return known

    def _targets(self, files: list[str], namespace: str, top: str) -> Iterator[Target]:
        for path in files:
            unit = self.unit_at(path) or self._bare(path)
            yield Target(path, unit)
        if namespace:
            prefix = f"{namespace}/"
            for unit in self.providers.get(top, {}).values():
                dist = unit.distribution
                if dist is None or any(path.startswith(prefix) for path in dist.files):
                    yield Target(namespace, unit)

    def _bare(self, path: str) -> Unit:
        """The outermost regular package that holds an unowned file, or the file itself."""
        found = path
        directory = posixpath.dirname(path)
        while directory not in self.roots and self._first(f"{directory}/__init__"):
            found, directory = directory, posixpath.dirname(directory)
        return Unit(found)

    def _offers(self) -> Iterator[tuple[str, Unit]]:
        for dist in self.distributions:
            names = {*dist.top_level, *self._heads(dist)}
            unit = self._units[dist.metadata_path]
            yield from ((name, unit) for name in names if name not in self.stdlib)
        for file in self.path_files:
            owner = self.unit_at(file.path)
            if owner is not None:
                names = {name for place in file.places for name in self._importable(place)}
                yield from ((module_name(name), owner) for name in names)
        for finder, mapping in self._finders.items():
            owner = self.unit_at(finder)
            yield from ((name, owner or Unit(path)) for name, path in mapping)
        yield from self._bare_offers()

    def _heads(self, dist: Distribution) -> set[str]:
        cut = len(dist.site_path) + 1
        prefix = f"{dist.site_path}/"
        heads = {path[cut:].partition("/")[0] for path in dist.files if path.startswith(prefix)}
        return {name for head in heads if (name := module_name(head))}

    def _bare_offers(self) -> Iterator[tuple[str, Unit]]:
        owned = {path for dist in self.distributions for path in self._top_paths(dist)}
        for root in self.roots:
            is_site = root in self.environment.site_paths
            names = self._rootfs.children(root) if is_site else self._importable(root)
            for child in names:
                path = f"{root}/{child}"
                name = module_name(child)
                if name and name not in self.stdlib and path not in owned:
                    entry = self._rootfs.lookup(path)
                    if entry is not None and (entry.is_directory or child.endswith(_CODE_SUFFIXES)):
                        yield name, Unit(path)

    def _top_paths(self, dist: Distribution) -> set[str]:
        cut = len(dist.site_path) + 1
        return {path[: cut + len(path[cut:].partition("/")[0])] for path in dist.files}

    def _importable(self, place: str) -> Iterator[str]:
        for child in self._rootfs.children(place):
            name = module_name(child)
            if name and (
                child.endswith(_CODE_SUFFIXES) or self._first(f"{place}/{child}/__init__")
            ):
                yield child

    def _stdlib_names(self) -> Iterator[str]:
        yield from sys.builtin_module_names
        directories = self.environment.base.stdlib
        for directory in (*directories, *(f"{path}/lib-dynload" for path in directories)):
            for child in self._rootfs.children(directory):
                name = module_name(child)
                if name and not child.endswith("-packages"):
                    yield name
        if not any(self._first(f"{directory}/os") for directory in directories):
            yield from sys.stdlib_module_names

    def _read_path_files(self) -> Iterator[PathFile]:
        for site in self.environment.site_paths:
            for name in self._rootfs.children(site):
                if name.endswith(".pth") and not name.startswith("."):
                    yield self._read_path_file(site, f"{site}/{name}")

    def _read_path_file(self, site: str, path: str) -> PathFile:
        """site.py, addpackage: lines that start with ``import`` are run, others are paths."""
        places, code = [], []
        for line in self._rootfs.read_text(path).splitlines():
            if line.startswith(("import ", "import\t")):
                code.append(line)
            elif line.strip() and not line.startswith("#"):
                entry = self._rootfs.lookup(posixpath.join(site, line.strip()))
                if entry is not None and entry.path != "/":
                    places.append(entry.path)
        return PathFile(path, tuple(places), "\n".join(code).encode("utf-8", "surrogateescape"))

    def _editable_finders(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
        """setuptools' finders: the file, and its rows of (top-level module, path of its code)."""
        for site in self.environment.site_paths:
            for child in self._rootfs.children(site):
                entry = self._rootfs.lookup(f"{site}/{child}")
                if child.startswith(_EDITABLE_FINDER) and child.endswith(".py") and entry:
                    mapping = literal_mapping(self._rootfs.read_bytes(entry), "MAPPING")
                    yield entry.path, tuple(mapping.items())

    def editable_units(self) -> Iterator[Unit]:
        """Distributions that are links to a source tree: the user's own project, under work."""
        sites = self.environment.site_paths
        for file in self.path_files:
            unit = self.unit_at(file.path)
            outside = any(not p.startswith(f"{site}/") for p in file.places for site in sites)
            if unit is not None and (outside or _EDITABLE_FINDER.encode() in file.code):
                yield unit
        for dist in self.distributions:
            if dist.site_path not in sites and not dist.files:
                yield self._units[dist.metadata_path]


def module_name(child: str) -> str:
    """The importable name of a directory's member, "" if it has none."""
    name, dot, rest = child.partition(".")
    if dot and not rest.endswith(("py", "so", "pyc")):
        return ""
    return name if name.isidentifier() and name != "__pycache__" else ""
