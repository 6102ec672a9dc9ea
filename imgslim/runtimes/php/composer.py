"""Composer's projects: packages, which of them are for development alone, what they autoload.

Sources: getcomposer.org, "The composer.json schema", "Runtime Composer"; composer's
AutoloadGenerator (the files under ``vendor/composer``) and installed.json of both of its versions.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from imgslim.model import Claim, Entry, Origin, OriginKind
from imgslim.rootfs import Rootfs

INSTALLED = "/composer/installed.json"
_LARGEST_BYTES = 64 << 20
_CLASS_MAP = re.compile(r"^\s*'([^']+)' => \$vendorDir \. '([^']+)',$", re.MULTILINE)
"""The lines of a file that AutoloadGenerator writes, always in this form."""


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package: ``directory`` is canonical; ``prefixes`` are the namespaces and class
    prefixes that lead to it, ``mapped`` its directories and files that autoload rules name,
    ``files`` those that every start loads, ``programs`` of ``bin``."""

    name: str
    version: str
    directory: str
    for_development: bool = False
    requires: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    mapped: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Project:
    """What composer installed in one ``vendor`` directory."""

    rootfs: Rootfs
    vendor: str
    _data: Mapping[str, Any] = field(repr=False)

    @property
    def root(self) -> str:
        """Where composer.json lies."""
        for directory in (
            posixpath.dirname(self.vendor),
            posixpath.dirname(posixpath.dirname(self.vendor)),
        ):
            if self.rootfs.get(f"{directory}/composer.json") is not None:
                return directory
        return posixpath.dirname(self.vendor)

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        return read_object(self.rootfs, f"{self.root}/composer.json")

    @cached_property
    def packages(self) -> Mapping[str, Package]:
        found = (self._package(row) for row in self._data["packages"] if isinstance(row, dict))
        return {package.name: package for package in found if package is not None}

    @cached_property
    def _development(self) -> frozenset[str]:
        names = self._data.get("dev-package-names")
        if isinstance(names, list):
            return frozenset(name for name in names if isinstance(name, str))
        lock = read_object(self.rootfs, f"{self.root}/composer.lock")
        rows = lock.get("packages-dev")
        return (
            frozenset(r["name"] for r in rows if _is_row(r))
            if isinstance(rows, list)
            else frozenset()
        )

    @property
    def development_sources(self) -> tuple[str, ...]:
        """Directories that only the project's own development loads."""
        mapped = _mapped(self.manifest.get("autoload-dev"))
        return tuple(
            posixpath.normpath(f"{self.root}/{path}") for path in mapped if path.strip("./")
        )

    def _package(self, row: Mapping[str, Any]) -> Package | None:
        name = row.get("name")
        if not isinstance(name, str):
            return None
        place = row.get("install-path")
        path = (
            f"{self.vendor}/composer/{place}" if isinstance(place, str) else f"{self.vendor}/{name}"
        )
        resolved = self.rootfs.resolve(path)
        if resolved.entry is None or not resolved.entry.is_directory:
            return None
        top, autoload = resolved.path, row.get("autoload")
        files = autoload.get("files") if isinstance(autoload, dict) else None
        programs = row.get("bin")
        return Package(
            name,
            str(row.get("version", "")).removeprefix("v"),
            top,
            name in self._development,
            frozenset(_keys(row.get("require"))),
            tuple(_prefixes(autoload)),
            tuple(posixpath.normpath(f"{top}/{path}") for path in _mapped(autoload)),
            tuple(posixpath.normpath(f"{top}/{path}") for path in _strings(files)),
            tuple(_strings([programs] if isinstance(programs, str) else programs)),
        )

    @cached_property
    def class_map(self) -> Mapping[str, str]:
        """The package of each class (in lower case) that composer's own map has, by its name."""
        tops = {package.directory: name for name, package in self.packages.items()}
        text = self.rootfs.read_text(f"{self.vendor}/composer/autoload_classmap.php")
        found: dict[str, str] = {}
        for name, path in _CLASS_MAP.findall(text):
            parts = path.strip("/").split("/")
            package = tops.get(f"{self.vendor}/{'/'.join(parts[:2])}")
            if package is not None:
                found[name.replace("\\\\", "\\").lower()] = package
        return found

    def closure(self, names: Iterable[str]) -> set[str]:
        """Packages with all that they require."""
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name in self.packages and name not in found:
                found.add(name)
                pending += self.packages[name].requires
        return found


def find_project(rootfs: Rootfs, entry: Entry) -> Project | None:
    """The project whose ``vendor/composer/installed.json`` is ``entry``."""
    if not entry.is_file or entry.size_bytes > _LARGEST_BYTES or not entry.path.endswith(INSTALLED):
        return None
    vendor = entry.path.removesuffix(INSTALLED)
    data = rootfs.read_json(entry)
    if isinstance(data, list):  # composer 1
        data = {"packages": data}
    is_one = isinstance(data, dict) and isinstance(data.get("packages"), list)
    return Project(rootfs, vendor, data) if is_one else None


def projects_of(rootfs: Rootfs) -> Iterator[Project]:
    """All projects of an image."""
    for path, entry in rootfs.entries.items():
        if path.endswith(INSTALLED):
            project = find_project(rootfs, entry)
            if project is not None:
                yield project


def package_claims(project: Project) -> Iterator[Claim]:
    """The directories of packages that lie in ``vendor``; a link out of it leads to the user's."""
    for package in project.packages.values():
        if package.directory.startswith(f"{project.vendor}/"):
            unit = f"composer:{package.name}@{package.version}"
            yield Claim(package.directory, Origin(OriginKind.DISTRIBUTION, unit))
            for program in package.programs:
                shim = f"{project.vendor}/bin/{posixpath.basename(program)}"
                if project.rootfs.get(shim) is not None:
                    yield Claim(shim, Origin(OriginKind.DISTRIBUTION, unit))


def without_packages(data: bytes, names: set[str]) -> bytes:
    """installed.json as if ``names`` had not been installed: what discovers packages there
    (plug-ins, service providers) must not find those that are left out."""
    known = json.loads(data)
    rows = known if isinstance(known, list) else known["packages"]
    rows[:] = [row for row in rows if not (_is_row(row) and row["name"] in names)]
    if isinstance(known, dict) and isinstance(known.get("dev-package-names"), list):
        known["dev-package-names"] = [n for n in known["dev-package-names"] if n not in names]
    return json.dumps(known, indent=4, ensure_ascii=False).encode() + b"\n"


def read_object(rootfs: Rootfs, path: str) -> Mapping[str, Any]:
    """A JSON object; an empty one for anything else."""
    entry = rootfs.lookup(path)
    if entry is None or not entry.is_file or entry.size_bytes > _LARGEST_BYTES:
        return {}
    data = rootfs.read_json(entry)
    return data if isinstance(data, dict) else {}


def _is_row(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("name"), str)


def _keys(value: object) -> Iterator[str]:
    yield from value if isinstance(value, dict) else ()


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))


def _prefixes(autoload: object) -> Iterator[str]:
    rules = autoload if isinstance(autoload, dict) else {}
    for kind in ("psr-4", "psr-0"):
        yield from _keys(rules.get(kind))


def _mapped(autoload: object) -> Iterator[str]:
    rules = autoload if isinstance(autoload, dict) else {}
    for kind in ("psr-4", "psr-0"):
        value = rules.get(kind)
        for path in value.values() if isinstance(value, dict) else ():
            yield from _strings([path] if isinstance(path, str) else path)
    for kind in ("classmap", "files"):
        yield from _strings(rules.get(kind))
