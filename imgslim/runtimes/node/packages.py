"""npm packages in an image: their manifests, and where a name leads.

Sources: nodejs.org/api/packages.html (fields of package.json), nodejs.org/api/modules.html
("Loading from node_modules folders", "Loading from the global folders"), docs.npmjs.com
(package.json: bin, scripts, os, cpu, libc, workspaces).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from imgslim.commands import join
from imgslim.rootfs import Rootfs
from imgslim.runtimes.node.tables import node_table
from imgslim.world import World

FOLDER = "node_modules"
_INSIDE = f"/{FOLDER}/"
_LARGEST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """A package.json: ``directory`` is the canonical one that holds it, ``fields`` its object."""

    directory: str
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.text("name")

    @property
    def version(self) -> str:
        return self.text("version")

    @property
    def label(self) -> str:
        return f"{self.name or posixpath.basename(self.directory)} {self.version}".strip()

    def text(self, key: str) -> str:
        value = self.fields.get(key)
        return value if isinstance(value, str) else ""

    def table(self, key: str) -> Mapping[str, Any]:
        value = self.fields.get(key)
        return value if isinstance(value, dict) else {}

    def words(self, key: str) -> tuple[str, ...]:
        value = self.fields.get(key)
        values = value if isinstance(value, list) else [value]
        return tuple(word for word in values if isinstance(word, str))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of the packages that an installation for production brings or expects."""
        keys = ("dependencies", "optionalDependencies", "peerDependencies")
        return tuple(dict.fromkeys(name for key in keys for name in self.table(key)))

    def insists_on(self, name: str) -> bool:
        """Whether an installation for production brings a package whatever else is installed:
        all of ``wanted`` but optional peers (docs.npmjs.com, peerDependenciesMeta)."""
        is_own = name in self.table("dependencies")
        return name in self.wanted and (is_own or name not in self.table("peerDependenciesMeta"))

    @property
    def only_for_development(self) -> frozenset[str]:
        return frozenset(self.table("devDependencies")) - frozenset(self.wanted)

    @property
    def programs(self) -> Mapping[str, str]:
        """``bin``: the commands of the package and their files, relative to it."""
        value = self.fields.get("bin")
        if isinstance(value, str):
            return {self.name.rpartition("/")[2]: value}
        return {name: path for name, path in self.table("bin").items() if isinstance(path, str)}


def is_third_party(path: str) -> bool:
    """Whether a path lies in a ``node_modules`` folder."""
    return _INSIDE in path


def is_manager(directory: str) -> bool:
    """Whether a package is a package manager: kept whole, for nobody needs less of one."""
    return posixpath.basename(directory) in node_table().manager_packages


def package_name(specifier: str) -> tuple[str, str]:
    """The package of a bare specifier, and the subpath in it ("" or ``./…``).

    ``@scope/name/x`` → ``@scope/name``, ``./x`` (esm.html, PACKAGE_RESOLVE).
    """
    parts = specifier.split("/")
    count = 2 if specifier.startswith("@") else 1
    rest = "/".join(parts[count:])
    return "/".join(parts[:count]), f"./{rest}" if rest else ""


class PackageTree:
    """The packages of one image, looked up as Node does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rootfs: Rootfs = world.rootfs
        self._manifests: dict[str, Manifest | None] = {}
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}

    def manifest(self, directory: str) -> Manifest | None:
        """The package.json in a directory; None without one, or where it is damaged."""
        if directory not in self._manifests:
            self._manifests[directory] = self._read(directory)
        return self._manifests[directory]

    def scope(self, path: str) -> Manifest | None:
        """The nearest package.json around a file (packages.html, LOOKUP_PACKAGE_SCOPE)."""
        directory = path
        while directory not in ("", "/"):
            directory = directory.rpartition("/")[0]
            if directory.endswith(f"/{FOLDER}"):
                return None
            manifest = self.manifest(directory or "/")
            if manifest is not None:
                return manifest
        return None

    def top(self, path: str) -> str:
        """The directory of the third-party package that a canonical path belongs to, "" for none:
        what follows the last ``node_modules``, also where no package.json lies in it."""
        before, inside, rest = path.rpartition(_INSIDE)
        if not inside:
            return ""
        parts = rest.split("/")
        count = 2 if rest.startswith("@") else 1
        return f"{before}{_INSIDE}{'/'.join(parts[:count])}" if len(parts) >= count else ""

    def find(self, name: str, directory: str) -> tuple[str, ...]:
        """The directories (links unresolved) in which a package is looked for from a canonical
        directory and that are there, the nearest first."""
        key = name, directory
        if key not in self._found:
            self._found[key] = tuple(self._candidates(name, directory))
        return self._found[key]

    def installed(self, name: str, directory: str) -> Manifest | None:
        """The manifest of the package that a name leads to from a directory."""
        for place in self.find(name, directory)[:1]:
            return self.manifest(self._rootfs.resolve(place).path)
        return None

    def _candidates(self, name: str, directory: str) -> Iterator[str]:
        for place in (*_folders_above(directory), *self._global_folders):
            path = join(place, name)
            entry = self._rootfs.lookup(path)
            if entry is not None and entry.is_directory:
                yield path

    @cached_property
    def _global_folders(self) -> tuple[str, ...]:
        """NODE_PATH, and what a distribution's Node.js looks through by itself."""
        named = [
            join(self._world.working_dir, part)
            for name, value, _ in self._world.variables
            if name == "NODE_PATH"
            for part in value.split(":")
            if part
        ]
        built_in = [e.path for path in node_table().global_folders for e in self._rootfs.glob(path)]
        return tuple(dict.fromkeys((*named, *built_in)))

    def _read(self, directory: str) -> Manifest | None:
        entry = self._rootfs.get(join(directory, "package.json"))
        if entry is not None and entry.is_symlink:
            entry = self._rootfs.lookup(entry.path)
        if entry is None or not entry.is_file or entry.size_bytes > _LARGEST_BYTES:
            return None
        fields = self._rootfs.read_json(entry)
        return Manifest(directory, fields) if isinstance(fields, dict) else None


def _folders_above(directory: str) -> Iterator[str]:
    """modules.html, NODE_MODULES_PATHS: no ``node_modules/node_modules``."""
    while True:
        if posixpath.basename(directory) != FOLDER:
            yield join(directory, FOLDER)
        if directory in ("", "/"):
            return
        directory = directory.rpartition("/")[0]
