"""Alpine's package database (also Wolfi's and Chainguard's).

Sources: Alpine's wiki, "Apk spec" (the installed database and its field letters); apk-tools'
``database.c`` (F, M, R, a, Z) and ``package.c`` (D and p, their prefixes and version constraints).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imgslim.model import Package
from imgslim.packages.checksums import Checksum, LazyChecksums
from imgslim.packages.paths import PathMap
from imgslim.packages.relations import Candidate, Installed
from imgslim.rootfs import Rootfs

DATABASES = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
"""apk-tools 2, and 3 on a merged-/usr system."""

BASE_PACKAGES = frozenset(
    (
        "alpine-base",
        "alpine-baselayout",
        "alpine-baselayout-data",
        "alpine-release",
        "apk-tools",
        "busybox",
        "busybox-binsh",
        "musl",
        "wolfi-base",
        "wolfi-baselayout",
    )
)
"""apk marks none as essential; these make up the base of a root file system (alpine-base's
dependencies in aports, and Wolfi's counterpart)."""

_PROTECTED = "/etc/"
"""apk keeps what an administrator changed below /etc (apk-protected_paths(5), its default)."""

_CONSTRAINT = re.compile(r"[=<>~@].*")
_ALGORITHMS = {"Q1": "sha1", "Q2": "sha256"}


@dataclass(slots=True)
class Record:
    """One package's lines: single-letter fields, and its (path, ``Z`` value) rows."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)


def read_apk(rootfs: Rootfs) -> tuple[Package, ...]:
    """Every package in the database, sorted by key; empty without one."""
    records: list[tuple[str, Record]] = []
    for path in dict.fromkeys(rootfs.canonical(path) for path in DATABASES):
        records.extend((path, record) for record in parse_installed(rootfs.read_text(path)))
    installed = Installed()
    for _, record in records:
        name = record.fields["P"]
        candidate = Candidate(f"apk:{name}", record.fields.get("A", ""))
        installed.add(name, candidate, parse_names(record.fields.get("p", "")))
    paths = PathMap(rootfs)
    owners = {file: record.fields["P"] for _, record in records for file, _ in record.files}
    found = [_package(*row, paths, installed, owners) for row in records]
    return tuple(sorted(found, key=lambda package: package.key))


def parse_installed(text: str) -> Iterator[Record]:
    """The packages of an ``installed`` database. ``F`` sets the directory of the ``R`` rows that
    follow, ``Z`` the checksum of the row before; lines that are none of this are passed over."""
    for block in text.split("\n\n"):
        record, directory = Record(), ""
        for line in block.split("\n"):
            letter, value = line[:1], line[2:]
            if line[1:2] != ":":
                continue
            if letter == "F":
                directory = f"/{value}" if value else ""
                record.files.append((directory or "/", ""))
            elif letter == "R":
                record.files.append((f"{directory}/{value}", ""))
            elif letter == "Z" and record.files:
                record.files[-1] = (record.files[-1][0], value)
            else:
                record.fields.setdefault(letter, value)
        if record.fields.get("P"):
            yield record


def parse_names(relations: str) -> Iterator[str]:
    """The names in a ``D`` or ``p`` field, ``so:`` and its like included, constraints cut off;
    conflicts (``!name``) are left out."""
    for word in relations.split():
        if not word.startswith("!"):
            yield _CONSTRAINT.sub("", word)


def parse_checksum(value: str) -> Checksum | None:
    """``Q1`` and base64 of a SHA-1 (``Q2``: SHA-256) as (algorithm, hex), or None."""
    algorithm = _ALGORITHMS.get(value[:2])
    if algorithm is None:
        return None
    try:
        return algorithm, base64.b64decode(value[2:], validate=True).hex()
    except binascii.Error:
        return None


def _package(
    database: str,
    record: Record,
    paths: PathMap,
    installed: Installed,
    owners: Mapping[str, str],
) -> Package:
    fields = record.fields
    name, architecture = fields["P"], fields.get("A", "")
    rows = [(found, z) for path, z in record.files if path != "/" and (found := paths.find(path))]
    wanted = [
        (owners.get(word, word) if word.startswith("/") else word,)
        for word in parse_names(fields.get("D", ""))
    ]
    key = f"apk:{name}"
    depends = installed.resolve(wanted, architecture)
    return Package(
        key=key,
        name=name,
        version=fields.get("V", ""),
        architecture=architecture,
        files=tuple(path for path, _ in rows),
        depends=tuple(other for other in depends if other != key),
        essential=name in BASE_PACKAGES,
        checksums=LazyChecksums({}, _decoder(rows)),
        conffiles=tuple(path for path, z in rows if z and path.startswith(_PROTECTED)),
        database=database,
    )


def _decoder(rows: Sequence[tuple[str, str]]) -> Callable[[], dict[str, Checksum]]:
    return lambda: {path: checksum for path, z in rows if (checksum := parse_checksum(z))}
