"""The package database of Fedora, RHEL, SUSE and their kin, in its SQLite form.

Sources: rpm's manual ("Dependencies", "Rich dependencies", "More on dependencies": file and soname
provides, dependencies of scriptlets); ``rpmds.h`` (the flags of a dependency), ``rpmfiles.h`` (the
states of a file).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from imgslim.model import Package
from imgslim.packages.checksums import Checksum, LazyChecksums
from imgslim.packages.paths import PathMap
from imgslim.packages.relations import Candidate, Installed
from imgslim.packages.rpm_database import UNREADABLE, Row, find_databases, read_rows
from imgslim.packages.rpm_header import CONFIG, NORMAL, FileRow, Tag
from imgslim.rootfs import Rootfs
from imgslim.tables import load_table

_EVERYWHERE = ("noarch", "")

_NOT_AT_RUN_TIME = (
    1 << 5  # %posttrans
    | 1 << 7  # %pretrans
    | 1 << 8  # the interpreter of a scriptlet
    | 0b11111 << 9  # %pre, %post, %preun, %postun, %verifyscript
    | 0b111 << 16  # triggers
    | 0b11 << 20  # %preuntrans, %postuntrans
    | 1 << 24  # rpmlib(...): what rpm itself must be able to do
    | 1 << 28  # config(...): of the package's own configuration
)
"""``rpmsenseFlags``. What is needed at run time as well has a row of its own without them."""

_WORDS = re.compile(r"\S+")
_CONDITIONS = frozenset(("if", "unless", "without"))
_OPERATORS = frozenset(("and", "or", "with", "else")) | _CONDITIONS
_COMPARISONS = frozenset(("<", "<=", "=", ">=", ">"))


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    row: FileRow


def read_rpm(rootfs: Rootfs) -> tuple[Package, ...]:
    """Every package in the image's SQLite databases, sorted by key; empty without one, and where
    one cannot be read (``unreadable_databases`` names it)."""
    rows: list[Row] = []
    files: list[list[_File]] = []
    paths = PathMap(rootfs)
    for path in find_databases(rootfs):
        try:
            some = read_rows(rootfs, path)
            files += [[*_found(row.header.files(), paths)] for row in some]
        except UNREADABLE:
            continue
        rows += some
    keys = rpm_keys(rows)
    installed = Installed()
    for row, key in zip(rows, keys, strict=True):
        candidate = Candidate(key, row.header.string(Tag.ARCH))
        installed.add(row.header.string(Tag.NAME), candidate, _provided(row))
    owners = {file.path: key for key, some in zip(keys, files, strict=True) for file in some}
    packages = [
        _package(row, key, some, _dependencies(row, installed, owners, paths))
        for row, key, some in zip(rows, keys, files, strict=True)
    ]
    return tuple(sorted(packages, key=lambda package: package.key))


def unreadable_databases(rootfs: Rootfs) -> Iterator[str]:
    """SQLite databases that are damaged, by the path that rpm uses."""
    for path in find_databases(rootfs):
        try:
            for row in read_rows(rootfs, path):
                _ = [*row.header.files()]
        except UNREADABLE:
            yield path


def rpm_keys(rows: Sequence[Row]) -> list[str]:
    """A key for each package: ``rpm:NAME``, as ``rpm -q`` understands the rest. Of several of one
    name, the newest of the machine's own architecture has it; others are ``rpm:NAME.ARCH``, and
    ``rpm:NAME-VERSION-RELEASE.ARCH`` where that is not enough."""
    native = _native_architecture(rows)
    by_name: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        by_name.setdefault(row.header.string(Tag.NAME), []).append(index)
    keys = [""] * len(rows)
    taken: set[str] = set()
    for name, indexes in by_name.items():
        for index in sorted(indexes, key=lambda at: _preference(rows[at], native)):
            header = rows[index].header
            suffix = f".{header.string(Tag.ARCH)}"
            choices = ("", suffix, f"-{header.version}{suffix}", f"#{rows[index].number}")
            keys[index] = next(key for c in choices if (key := f"rpm:{name}{c}") not in taken)
            taken.add(keys[index])
    return keys


def parse_rich(dependency: str) -> Iterator[str]:
    """The names in a rich dependency, ``(a >= 1 and (b or c))``; not those that are a condition
    or excluded.

    >>> list(parse_rich("(langpack-en if langpacks else (all(x) or none))"))
    ['langpack-en', 'all(x)', 'none']
    """
    skips = [False]
    is_version = False
    for word in _WORDS.findall(dependency):
        name = word.lstrip("(")
        skips += [skips[-1]] * (len(word) - len(name))
        closing = max(0, name.count(")") - name.count("("))
        name = name[: len(name) - closing] if closing else name
        if name in _COMPARISONS:
            is_version = True
            continue
        if name in _OPERATORS:
            skips[-1] = skips[-2:][0] if name == "else" else skips[-1] or name in _CONDITIONS
        elif name and not is_version and not skips[-1]:
            yield name
        is_version = False
        del skips[max(1, len(skips) - closing) :]


def _found(rows: Iterable[FileRow], paths: PathMap) -> Iterator[_File]:
    """Those of the files that rpm installed, and that are there."""
    for row in rows:
        path = paths.find(row.path) if row.state == NORMAL and row.path != "/" else None
        if path is not None:
            yield _File(path, row)


def _native_architecture(rows: Iterable[Row]) -> str:
    counts = Counter(row.header.string(Tag.ARCH) for row in rows)
    return next((name for name, _ in counts.most_common() if name not in _EVERYWHERE), "")


def _preference(row: Row, native: str) -> tuple[bool, int]:
    is_native = row.header.string(Tag.ARCH) in (native, *_EVERYWHERE)
    return not is_native, -row.number


def _provided(row: Row) -> list[str]:
    name = row.header.string(Tag.NAME)
    return [other for other in row.header.strings(Tag.PROVIDE_NAME) if other != name]


def _dependencies(
    row: Row, installed: Installed, owners: Mapping[str, str], paths: PathMap
) -> tuple[str, ...]:
    """The keys of the packages that satisfy what a package requires at run time."""
    names = row.header.strings(Tag.REQUIRE_NAME)
    flags = row.header.numbers(Tag.REQUIRE_FLAGS)
    wanted = [
        name
        for index, name in enumerate(names)
        if not (flags[index] if index < len(flags) else 0) & _NOT_AT_RUN_TIME
    ]
    single = [part for name in wanted for part in _parts(name)]
    architecture = row.header.string(Tag.ARCH)
    found: dict[str, None] = {}
    for name in dict.fromkeys(single):
        key = installed.find(name, architecture)
        if key is None and name.startswith("/"):
            key = owners.get(paths.find(name) or "")
        if key is not None:
            found[key] = None
    return tuple(found)


def _parts(name: str) -> Iterable[str]:
    return parse_rich(name) if name.startswith("(") else (name,)


def _package(row: Row, key: str, files: Sequence[_File], depends: Sequence[str]) -> Package:
    header = row.header
    name = header.string(Tag.NAME)
    base = load_table("packages")["base"]["rpm"]
    return Package(
        key=key,
        name=name,
        version=header.version,
        architecture=header.string(Tag.ARCH) or "noarch",
        files=tuple(dict.fromkeys(file.path for file in files)),
        depends=tuple(other for other in depends if other != key),
        essential=any(fnmatchcase(name, pattern) for pattern in base),
        checksums=LazyChecksums({}, lambda: _checksums(files)),
        conffiles=tuple(file.path for file in files if file.row.flags & CONFIG),
        database=row.path,
    )


def _checksums(files: Iterable[_File]) -> dict[str, Checksum]:
    return {file.path: file.row.checksum for file in files if file.row.checksum is not None}
