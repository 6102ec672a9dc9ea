"""rpm's SQLite database: where it is, and its rows.

Sources: rpm's ``lib/backend/sqlite.c`` (table ``Packages(hnum, blob)``, one table of keys and
header numbers an index; rpm writes through a WAL); Fedora's changes "Sqlite Rpmdb" and
"RelocateRPMToUsr"; sqlite.org, "Write-Ahead Logging" (a WAL belongs to the database's content).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import WeakKeyDictionary

from imgslim.model import Entry
from imgslim.packages.rpm_header import DamagedHeaderError, Header, parse_header
from imgslim.rootfs import Rootfs

DIRECTORIES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm")
"""Fedora since 36 and SUSE; everyone before; rpm-ostree."""

DATABASES = tuple(f"{directory}/rpmdb.sqlite" for directory in DIRECTORIES)

OLDER = tuple(
    f"{directory}/{name}" for directory in DIRECTORIES for name in ("Packages", "Packages.db")
)
"""What has the packages in rpm's other back ends: Berkeley DB (until RHEL 8) and ndb (SUSE)."""

SIDE_FILES = ("-wal", "-journal", "-shm")
"""What SQLite keeps beside a database (sqlite.org, "Temporary Files Used By SQLite")."""

UNREADABLE = (sqlite3.Error, DamagedHeaderError)
"""What a database that is none raises."""


@dataclass(frozen=True, slots=True)
class Row:
    """An installed package: ``number`` is rpm's own (``hnum``) in the database at ``path``."""

    path: str
    number: int
    header: Header


def find_databases(rootfs: Rootfs) -> dict[str, Entry]:
    """The SQLite databases in the image by the path that rpm uses, each once."""
    found: dict[str, Entry] = {}
    for path in DATABASES:
        entry = rootfs.lookup(path)
        if entry is not None and entry.is_file and entry not in found.values():
            found[path] = entry
    return found


def find_older(rootfs: Rootfs) -> dict[str, Entry]:
    """Databases of older kinds by the path that rpm uses, where no SQLite database is beside them
    (rpm leaves them there when it converts)."""
    found: dict[str, Entry] = {}
    for path in OLDER:
        entry = rootfs.lookup(path)
        is_converted = rootfs.lookup(f"{path.rpartition('/')[0]}/rpmdb.sqlite") is not None
        if entry and entry.is_file and not is_converted and entry not in found.values():
            found[path] = entry
    return found


@contextmanager
def database_copy(rootfs: Rootfs, path: str) -> Iterator[Path]:
    """The database on this machine, with what is still in its journal, while the context is."""
    with TemporaryDirectory(prefix="imgslim-rpm-") as folder:
        copy = Path(folder) / "rpmdb.sqlite"
        for suffix in ("", *SIDE_FILES[:2]):
            entry = rootfs.lookup(f"{path}{suffix}")
            if entry is not None and entry.size_bytes:
                copy.with_name(copy.name + suffix).write_bytes(rootfs.read_bytes(entry))
        yield copy


_known: WeakKeyDictionary[Rootfs, dict[str, tuple[Row, ...]]] = WeakKeyDictionary()
"""What was read already: the reader of packages, the check for damage and the cut all ask."""


def read_rows(rootfs: Rootfs, path: str) -> tuple[Row, ...]:
    """Every package in a database, in the order of their numbers; read once for each ``rootfs``.
    Raises one of UNREADABLE."""
    known = _known.setdefault(rootfs, {})
    if path not in known:
        known[path] = _read_rows(rootfs, path)
    return known[path]


def _read_rows(rootfs: Rootfs, path: str) -> tuple[Row, ...]:
    with database_copy(rootfs, path) as copy, closing(sqlite3.connect(copy)) as database:
        database.execute("PRAGMA trusted_schema = OFF")
        rows = database.execute("SELECT hnum, blob FROM Packages ORDER BY hnum").fetchall()
    if not all(isinstance(blob, bytes) for _, blob in rows):
        raise DamagedHeaderError("a header is no blob")
    return tuple(Row(path, int(number), parse_header(blob)) for number, blob in rows)
