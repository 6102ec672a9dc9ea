"""Where a specifier leads: Node's resolution, for both kinds of modules.

The rules are those of nodejs.org/api/modules.html ("All together"), packages.html and esm.html
("Resolution Algorithm Specification"). Where versions of Node.js, or a transpiler, differ, all
answers are given: one too many costs bytes, one too few a route.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from imgslim.commands import join
from imgslim.rootfs import Rootfs
from imgslim.runtimes.node.packages import Manifest, PackageTree, package_name
from imgslim.runtimes.node.tables import node_table
from imgslim.world import World

_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Target:
    """A file or directory that a specifier leads to: ``asked`` as looked up, links unresolved,
    ``path`` the canonical one."""

    asked: str
    path: str


class Resolver:
    """Resolution in one image."""

    def __init__(self, world: World, tree: PackageTree) -> None:
        self._rootfs: Rootfs = world.rootfs
        self._tree = tree

    def resolve(self, specifier: str, origin: str) -> tuple[Target, ...]:
        """The files that ``specifier`` may load when the file ``origin`` (canonical) has it."""
        directory = posixpath.dirname(origin)
        specifier = specifier.partition("?")[0]
        if specifier.startswith("file://"):
            specifier = specifier.removeprefix("file://")
        found: Iterable[Target] = ()
        if is_path(specifier):
            found = self.load(join(directory, specifier))
        elif specifier.startswith("#"):
            found = self._imports(specifier, origin)
        elif specifier and not is_built_in(specifier):
            found = self._package(specifier, origin)
        return tuple(dict.fromkeys(found))

    def load(self, path: str) -> Iterator[Target]:
        """A file, with one of the known extensions, or a directory's main file."""
        path = self._normal(path)
        for candidate in _file_candidates(path):
            target = self._file(candidate)
            if target is not None:
                yield target
                return
        entry = self._rootfs.lookup(path)
        if entry is None or not entry.is_directory:
            return
        manifest = self._tree.manifest(entry.path)
        mains = [] if manifest is None else [manifest.text(key) for key in node_table().mains]
        for main in (*(m for m in mains if m), "index"):
            found = next(self._candidates(join(path, main)), None)
            if found is not None:
                yield found
                if main != "index":
                    continue
                return

    def _candidates(self, path: str) -> Iterator[Target]:
        path = self._normal(path)
        for candidate in (*_file_candidates(path), *_file_candidates(f"{path}/index")):
            target = self._file(candidate)
            if target is not None:
                yield target

    def _normal(self, path: str) -> str:
        return posixpath.normpath(path) if ".." in path else path

    def _file(self, path: str) -> Target | None:
        entry = self._rootfs.lookup(path)
        return Target(path, entry.path) if entry is not None and entry.is_file else None

    def _package(self, specifier: str, origin: str) -> Iterator[Target]:
        name, subpath = package_name(specifier)
        yield from self._itself(name, subpath, origin)
        for place in self._tree.find(name, posixpath.dirname(origin)):
            entry = self._rootfs.lookup(place)
            manifest = None if entry is None else self._tree.manifest(entry.path)
            found = list(self._in_package(place, manifest, subpath))
            yield from found
            if found:
                return

    def _itself(self, name: str, subpath: str, origin: str) -> Iterator[Target]:
        """packages.html, "Self-referencing a package using its name"."""
        scope = self._tree.scope(origin)
        if scope is not None and scope.name == name and scope.fields.get("exports") is not None:
            yield from self._in_package(scope.directory, scope, subpath)

    def _in_package(self, place: str, manifest: Manifest | None, subpath: str) -> Iterator[Target]:
        exports = None if manifest is None else manifest.fields.get("exports")
        found = []
        if exports is not None:
            for path in matched_paths(exports, subpath or "."):
                found += list(self.load(join(place, path)))
        yield from found
        if not found:
            yield from self.load(join(place, subpath) if subpath else place)

    def _imports(self, specifier: str, origin: str) -> Iterator[Target]:
        scope = self._tree.scope(origin)
        if scope is None:
            return
        for path in matched_paths(scope.table("imports"), specifier):
            if path.startswith("./"):
                yield from self.load(join(scope.directory, path))
            elif not path.startswith("#"):
                yield from self.resolve(path, join(scope.directory, "package.json"))

    def entries_of(self, manifest: Manifest) -> Iterator[Target]:
        """What a package offers without a subpath: its main files."""
        yield from self._in_package(manifest.directory, manifest, "")

    def unknown(self, specifier: str, origin: str) -> bool:
        """Whether a bare specifier names a package that is nowhere to be found."""
        name, _ = package_name(specifier)
        return not self._tree.find(name, posixpath.dirname(origin))


def is_bare(specifier: str) -> bool:
    """Whether a specifier names a package (esm.html, Terminology): also ``.prisma/client``."""
    return not is_path(specifier) and specifier[:1] not in ("", "#") and not is_built_in(specifier)


def is_path(specifier: str) -> bool:
    """Whether a specifier is a path, relative or absolute."""
    return specifier.startswith(("./", "../", "/")) or specifier in (".", "..")


def is_built_in(specifier: str) -> bool:
    """A module of Node.js itself (``module.builtinModules``)."""
    return specifier.startswith("node:") or specifier.split("/")[0] in node_table().built_in


def matched_paths(table: Any, key: str) -> tuple[str, ...]:
    """The paths of ``exports`` or ``imports`` for a subpath, under any of the conditions that Node
    sets (packages.html, PACKAGE_IMPORTS_EXPORTS_RESOLVE)."""
    if not isinstance(table, Mapping) or not any(name[:1] in ".#" for name in table):
        return tuple(_targets(table, "")) if key == "." else ()
    if key in table and "*" not in key:
        return tuple(_targets(table[key], ""))
    for pattern in sorted(table, key=lambda name: (-len(name.partition("*")[0]), -len(name))):
        before, star, after = pattern.partition("*")
        is_folder = not star and pattern.endswith("/")
        fits = (star or is_folder) and key.startswith(before) and key.endswith(after)
        if fits and len(key) >= len(before) + len(after) and key != before:
            part = key[len(before) : len(key) - len(after)]
            ends = part if is_folder else ""
            return tuple(f"{path}{ends}" for path in _targets(table[pattern], part))
    return ()


def _targets(value: Any, part: str, depth: int = 0) -> Iterator[str]:
    """Every target that some set of Node's conditions picks."""
    if isinstance(value, str):
        yield value.replace("*", part)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for each in value:
            yield from _targets(each, part, depth + 1)
    elif isinstance(value, Mapping) and depth < _MAX_DEPTH:
        known = node_table().conditions
        for condition, each in value.items():
            if condition in known:
                yield from _targets(each, part, depth + 1)
                if condition == "default":
                    return


def _file_candidates(path: str) -> Iterable[str]:
    yield path
    yield from (f"{path}{extension}" for extension in node_table().extensions)
    stem, dot, extension = path.rpartition(".")
    for other in node_table().transpiled.get(f".{extension}" if dot else "", ()):
        yield f"{stem}{other}"
