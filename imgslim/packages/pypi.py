"""Installed Python distributions, whoever installed them.

Sources: packaging.python.org, "Recording installed projects" (dist-info, RECORD, entry points,
direct_url.json), "Core metadata", "Dependency specifiers" (markers) and "Names and normalization";
setuptools' documentation of the egg formats (egg-info, eggs, egg-link, installed-files.txt).
"""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from imgslim.model import Distribution, Entry, EntryPoint, Package
from imgslim.packages.paths import PathMap
from imgslim.rootfs import Rootfs

OwnerOf = Callable[[str], Package | None]

_SUFFIXES = (".dist-info", ".egg-info", ".egg")
_SITE_NAMES = ("site-packages", "dist-packages")
_VERSIONED_LIB = re.compile(r"/(?:python|pypy)(\d+\.\d+)[a-z]?/")
_INTERPRETER = re.compile(r"/python(\d+\.\d+)$")
_EXTRA_ONLY = re.compile(r"""^\s*\(?\s*extra\s*==\s*['"][^'"]*['"]\s*\)?\s*$""")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(.*)", re.DOTALL)
_UNSAFE_NAME = re.compile(r"[-_.]+")
_NEWEST_PYTHON = "3.14"
"""Assumed for markers where no interpreter is in sight: most of them exclude new versions."""


def normalise_name(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return _UNSAFE_NAME.sub("-", name).lower()


def read_distributions(
    rootfs: Rootfs, owner_of: OwnerOf = lambda path: None, machine: str = "x86_64"
) -> tuple[Distribution, ...]:
    """Every installed distribution, sorted by the path of its metadata.

    ``owner_of`` gives the system package of a path, ``machine`` what the image's ``uname -m``
    would say (for markers). Metadata that another distribution's RECORD lists is vendored code,
    not an installation, and left out. Damaged metadata gives what can be read of it.
    """
    reader = _Reader(rootfs, owner_of, Markers(machine))
    found = [reader.read(entry) for entry in _metadata_entries(rootfs)]
    foreign = {path for distribution in found for path in _beyond_metadata(distribution)}
    return tuple(
        distribution
        for distribution in found
        if foreign.isdisjoint(_metadata_files(rootfs, distribution.metadata_path))
    )


def _metadata_entries(rootfs: Rootfs) -> list[Entry]:
    entries = [
        entry
        for path, entry in rootfs.entries.items()
        if path.endswith(_SUFFIXES) and not entry.is_symlink
    ]
    return sorted(entries, key=lambda entry: entry.path)


def _beyond_metadata(distribution: Distribution) -> Iterator[str]:
    prefix = f"{distribution.metadata_path}/"
    return (path for path in distribution.files if "-info/" in path and not path.startswith(prefix))


def _metadata_files(rootfs: Rootfs, metadata: str) -> list[str]:
    return [metadata, *(f"{metadata}/{name}" for name in rootfs.children(metadata))]


class Markers:
    """Environment markers evaluated for a Linux image, without any extra."""

    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._known: dict[tuple[str, str], bool] = {}

    def hold(self, marker: str, python: str) -> bool:
        """Whether a marker applies to Python ``python`` ("3.11"); an unreadable one does."""
        if _EXTRA_ONLY.match(marker):
            return False
        key = (marker, python)
        if key not in self._known:
            self._known[key] = self._evaluate(marker, python)
        return self._known[key]

    def _evaluate(self, marker: str, python: str) -> bool:
        from packaging.markers import InvalidMarker, Marker, UndefinedComparison

        try:
            return Marker(marker).evaluate(self._environment(python))
        except (InvalidMarker, UndefinedComparison, ValueError):
            return True

    def _environment(self, python: str) -> dict[str, str]:
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{python}.0",
            "os_name": "posix",
            "platform_machine": self._machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": "linux",
            "extra": "",
        }


@dataclass(frozen=True, slots=True)
class _Metadata:
    """Where one distribution's metadata lies: ``directory`` "" for a single file."""

    path: str
    directory: str
    header: str
    site_path: str


class _Reader:
    """Reads one distribution after the other, remembering what they share."""

    def __init__(self, rootfs: Rootfs, owner_of: OwnerOf, markers: Markers) -> None:
        self._rootfs = rootfs
        self._owner_of = owner_of
        self._markers = markers
        self._paths = PathMap(rootfs)
        self._pythons: dict[str, str] = {}

    def read(self, entry: Entry) -> Distribution:
        metadata = self._locate(entry)
        fields = parse_header(self._rootfs.read_text(metadata.header) if metadata.header else "")
        fallback_name, fallback_version = split_metadata_name(metadata.path)
        files = tuple(dict.fromkeys(self._files(entry, metadata)))
        return Distribution(
            name=normalise_name(fields.get("name", [fallback_name])[0]),
            version=fields.get("version", [fallback_version])[0],
            metadata_path=metadata.path,
            site_path=metadata.site_path,
            files=files,
            requires=tuple(dict.fromkeys(self._requires(metadata, fields))),
            entry_points=tuple(parse_entry_points(self._text(metadata, "entry_points.txt"))),
            top_level=self._top_level(metadata, files),
        )

    def _locate(self, entry: Entry) -> _Metadata:
        path, site = entry.path, posixpath.dirname(entry.path)
        if path.endswith(".egg") and entry.is_directory:
            directory = f"{path}/EGG-INFO"
            return _Metadata(directory, directory, f"{directory}/PKG-INFO", path)
        if path.endswith(".egg"):
            return _Metadata(path, "", "", site)
        if not entry.is_directory:
            return _Metadata(path, "", path, site)
        header = "METADATA" if path.endswith(".dist-info") else "PKG-INFO"
        return _Metadata(path, path, f"{path}/{header}", site)

    def _text(self, metadata: _Metadata, name: str) -> str:
        return self._rootfs.read_text(f"{metadata.directory}/{name}") if metadata.directory else ""

    def _files(self, entry: Entry, metadata: _Metadata) -> Iterator[str]:
        """RECORD, else installed-files.txt, else the system package's list, else the top-level
        names beside the metadata. A project's own egg-info (a development install) owns nothing:
        what lies beside it is the user's source."""
        if entry.path.endswith(".egg"):
            yield from (e.path for e in self._rootfs.walk(entry.path) if not e.is_directory)
            return
        own = [e.path for e in self._rootfs.walk(metadata.path) if not e.is_directory]
        record = self._text(metadata, "RECORD")
        listed = self._text(metadata, "installed-files.txt")
        package = self._owner_of(own[0] if own else metadata.path)
        if record:
            yield from own
            yield from self._recorded(metadata.site_path, record_paths(record))
        elif listed:
            yield from own
            yield from self._recorded(metadata.path, listed.splitlines())
        elif package is not None:
            yield from _code_of(package, metadata.site_path, self._rootfs)
        elif posixpath.basename(metadata.site_path) in _SITE_NAMES:
            yield from own
            yield from self._beside(metadata)

    def _recorded(self, base: str, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            path = f"{base}/{name}" if not name.startswith("/") else name
            found = self._paths.find(posixpath.normpath(path) if "./" in path else path)
            if found is not None:
                yield found

    def _beside(self, metadata: _Metadata) -> Iterator[str]:
        site = metadata.site_path
        names = set(self._declared_top_level(metadata))
        for name in self._rootfs.children(site):
            if module_name(name) in names and not name.endswith(_SUFFIXES):
                yield from (e.path for e in self._rootfs.walk(f"{site}/{name}") if e.is_file)

    def _declared_top_level(self, metadata: _Metadata) -> tuple[str, ...]:
        declared = self._text(metadata, "top_level.txt").split()
        if declared or not metadata.directory:
            name = split_metadata_name(metadata.path)[0]
            return tuple(declared) or (name.replace("-", "_"), name.lower().replace("-", "_"))
        sources = self._text(metadata, "SOURCES.txt").splitlines()
        return tuple(sorted({module_name(line.split("/")[0]) for line in sources if "/" in line}))

    def _top_level(self, metadata: _Metadata, files: Iterable[str]) -> tuple[str, ...]:
        declared = self._text(metadata, "top_level.txt").split()
        prefix = f"{metadata.site_path}/"
        below = (path[len(prefix) :] for path in files if path.startswith(prefix))
        names = {module_name(path.split("/")[0]) for path in below if _is_code(path)}
        return tuple(sorted({*declared, *names} - {""}))

    def _requires(self, metadata: _Metadata, fields: Mapping[str, list[str]]) -> Iterator[str]:
        python = self._python_version(metadata.site_path)
        lines = fields.get("requires-dist") or egg_requirements(
            self._text(metadata, "requires.txt")
        )
        for line in lines:
            requirement, _, marker = line.partition(";")
            match = _REQUIREMENT.match(requirement)
            if match and (not marker.strip() or self._markers.hold(marker, python)):
                yield normalise_name(match.group(1))

    def _python_version(self, site: str) -> str:
        """X.Y from ``lib/pythonX.Y/`` in the path, else of the interpreter that the prefix's (or
        the system's) ``python3`` is: Debian's dist-packages serve any 3.x."""
        if site not in self._pythons:
            self._pythons[site] = self._find_python(site)
        return self._pythons[site]

    def _find_python(self, site: str) -> str:
        versioned = _VERSIONED_LIB.search(f"{site}/")
        if versioned:
            return versioned.group(1)
        prefix = site.partition("/lib/")[0]
        for directory in (f"{prefix}/bin", "/usr/local/bin", "/usr/bin"):
            match = _INTERPRETER.search(self._rootfs.resolve(f"{directory}/python3").path)
            if match:
                return match.group(1)
        return _NEWEST_PYTHON


def parse_header(text: str) -> dict[str, list[str]]:
    """The headers of a metadata file (an RFC 822 block) by lower-case name, unfolded."""
    fields: dict[str, list[str]] = {}
    values: list[str] | None = None
    for line in text.split("\n"):
        if not line.strip():
            break
        if line[0] in " \t":
            if values:
                values[-1] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        values = fields.setdefault(name.strip().lower(), []) if colon else None
        if values is not None:
            values.append(value.strip())
    return fields


def record_paths(text: str) -> Iterator[str]:
    """The paths in a RECORD: the first column of a CSV (PEP 376, PEP 627)."""
    if '"' not in text:
        for line in text.splitlines():
            path = line.partition(",")[0]
            if path:
                yield path
        return
    try:
        for row in csv.reader(text.splitlines()):
            if row and row[0]:
                yield row[0]
    except csv.Error:
        return


def parse_entry_points(text: str) -> Iterator[EntryPoint]:
    """The rows of an ``entry_points.txt``; extras in brackets are left out of the value."""
    group = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
            continue
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            yield EntryPoint(group, name.strip(), value.partition("[")[0].strip())


def egg_requirements(text: str) -> Iterator[str]:
    """The requirements of an egg's ``requires.txt`` as Requires-Dist lines: sections are
    ``[extra]``, ``[:marker]`` or ``[extra:marker]``; those of an extra are left out."""
    extra, marker = "", ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            extra, _, marker = line[1:-1].partition(":")
        elif line and not extra:
            yield f"{line}; {marker}" if marker else line


def split_metadata_name(path: str) -> tuple[str, str]:
    """(name, version) from ``name-version[-pyX.Y].dist-info`` and its like."""
    if path.endswith("/EGG-INFO"):
        path = posixpath.dirname(path)
    stem = posixpath.splitext(posixpath.basename(path))[0]
    name, _, rest = stem.partition("-")
    return name, rest.partition("-py")[0].partition("-")[0]


def module_name(file_name: str) -> str:
    """The importable name of a file or directory in a site directory ("" for none)."""
    name = file_name.partition(".")[0]
    return name if name.isidentifier() and name != "__pycache__" else ""


def _is_code(path: str) -> bool:
    """A module or something in a package: not metadata, ``.pth`` files or data files."""
    first, slash, _ = path.partition("/")
    return not first.endswith(_SUFFIXES) and (bool(slash) or path.endswith((".py", ".so", ".pyc")))


def _code_of(package: Package, site: str, rootfs: Rootfs) -> Sequence[str]:
    """A system package's files that belong to its distribution: those below the site directory
    and its commands; documentation stays the package's alone."""
    return [
        path
        for path in package.files
        if path.startswith((f"{site}/", "/usr/bin/", "/usr/sbin/"))
        and not rootfs.entries[path].is_directory
    ]
