"""rpm's database in its SQLite form; older kinds stay whole.

Scanners read the packages from ``Packages`` and their files from the headers in it (syft's
rpm-db-cataloger, Trivy's fanal/analyzer/pkg/rpm). A header is signed, and rpm passes over one whose
digest is wrong, so its list of files stays; which of them are gone says the list of states, which
rpm itself adds when it installs, as it does for documentation under ``--nodocs``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from imgslim.databases.kept import SCANNERS, Kept, owning
from imgslim.model import Group, Problem, Severity
from imgslim.packages.paths import PathMap
from imgslim.packages.rpm import rpm_keys
from imgslim.packages.rpm_database import (
    DIRECTORIES,
    SIDE_FILES,
    UNREADABLE,
    Row,
    database_copy,
    find_databases,
    find_older,
    read_rows,
)
from imgslim.packages.rpm_header import NORMAL, NOT_INSTALLED
from imgslim.rootfs import Rootfs

_WRITTEN_BY = slice(96, 100)
"""In SQLite's file header (fileformat2.html, 1.3): the version of the library that wrote last."""


def add_rpm(kept: Kept) -> None:
    """Add rpm's database, cut to the packages that own a kept file or link."""
    rootfs = kept.world.rootfs
    for path in find_older(rootfs):
        _keep_whole(kept, path, "is of an older kind (Berkeley DB or ndb)")
    databases = _rows(rootfs)
    for path in find_databases(rootfs).keys() - databases.keys():
        _keep_whole(kept, path, "is damaged")
    packages = kept.packages_of("rpm")
    own = tuple(f"{rootfs.resolve(path).path}/" for path in DIRECTORIES)
    files = {
        key: [path for path in package.files if not path.startswith(own)]
        for key, package in packages.items()
    }
    keys = owning(kept, files)
    for path, rows in databases.items():
        wanted = {row.number: row for key, row in rows.items() if key in keys}
        _add(kept, path, wanted, len(rows))


def _rows(rootfs: Rootfs) -> dict[str, dict[str, Row]]:
    """The packages of each readable database by their keys."""
    found: dict[str, dict[str, Row]] = {}
    rows: list[Row] = []
    for path in find_databases(rootfs):
        try:
            rows += read_rows(rootfs, path)
        except UNREADABLE:
            continue
        found[path] = {}
    for key, row in zip(rpm_keys(rows), rows, strict=True):
        found[row.path][key] = row
    return found


def _add(kept: Kept, path: str, wanted: Mapping[int, Row], total: int) -> None:
    rootfs = kept.world.rootfs
    paths = PathMap(rootfs)
    blobs = {number: _with_states(kept, row, paths) for number, row in wanted.items()}
    is_whole = len(wanted) == total and all(
        blob == wanted[number].header.blob for number, blob in blobs.items()
    )
    try:
        kept.add_cut(path, SCANNERS, partial(_cut, rootfs, path, blobs, is_whole))
    except sqlite3.Error as error:
        _keep_whole(kept, path, f"is damaged ({error})")
        return
    entry = rootfs.lookup(path)
    keep = kept.keeps.get(entry.path) if entry is not None else None
    if keep is not None and keep.content is not None:
        # A journal of the fat image's database would be played into this one.
        for suffix in SIDE_FILES:
            kept.remove(rootfs.resolve(f"{path}{suffix}").path)


def _with_states(kept: Kept, row: Row, paths: PathMap) -> bytes:
    """The header in which the files that are gone count as not installed."""
    gone: dict[int, int] = {}
    for index, file in enumerate(row.header.files()):
        if file.state == NORMAL and file.path != "/":
            found = paths.find(file.path)
            if found is not None and found not in kept.keeps:
                gone[index] = NOT_INSTALLED
    return row.header.with_states(gone)


def _cut(
    rootfs: Rootfs, path: str, blobs: Mapping[int, bytes], is_whole: bool, fat: bytes
) -> bytes:
    """The bytes of the database with these headers by their numbers alone; ``fat`` where that is
    the same, and none without a header."""
    if not blobs:
        return b""
    has_journal = any(
        entry is not None and entry.size_bytes
        for entry in (rootfs.lookup(f"{path}{suffix}") for suffix in SIDE_FILES[:2])
    )
    if is_whole and not has_journal:
        return fat
    with database_copy(rootfs, path) as source, TemporaryDirectory(prefix="imgslim-") as folder:
        target = Path(folder) / "rpmdb.sqlite"
        with closing(sqlite3.connect(target, isolation_level=None)) as database:
            _write(database, source, blobs)
        content = bytearray(target.read_bytes())
    # What is written depends on the content alone, not on this machine's library.
    content[_WRITTEN_BY] = fat[_WRITTEN_BY]
    return bytes(content)


def _write(database: sqlite3.Connection, source: Path, blobs: Mapping[int, bytes]) -> None:
    """Fill an empty database with the tables of ``source``, of each table the rows of packages in
    ``blobs``. Without triggers and views: rpm makes none, and none is to run here."""
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("ATTACH ? AS fat", (str(source),))
    for pragma in ("page_size", "user_version", "application_id"):
        (value,) = database.execute(f"PRAGMA fat.{pragma}").fetchone()
        database.execute(f"PRAGMA main.{pragma} = {int(value)}")
    database.execute("PRAGMA main.journal_mode = OFF")
    database.execute("BEGIN")
    schema = database.execute(
        "SELECT type, name, sql FROM fat.sqlite_master WHERE type IN ('table', 'index')"
        " AND sql IS NOT NULL AND rootpage > 0 AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
    ).fetchall()
    database.execute("CREATE TEMP TABLE stay (hnum INTEGER PRIMARY KEY)")
    database.executemany("INSERT INTO stay VALUES (?)", [(number,) for number in sorted(blobs)])
    for _, name, sql in (row for row in schema if row[0] == "table"):
        database.execute(sql)
        if name == "Packages":
            rows = sorted(blobs.items())
            database.executemany("INSERT INTO main.Packages (hnum, blob) VALUES (?, ?)", rows)
        else:
            _fill(database, name)
    for _, _, sql in (row for row in schema if row[0] == "index"):
        database.execute(sql)
    database.execute("COMMIT")


def _fill(database: sqlite3.Connection, table: str) -> None:
    quoted = '"' + table.replace('"', '""') + '"'
    columns = [row[1] for row in database.execute(f"PRAGMA fat.table_info({quoted})")]
    where = " WHERE hnum IN (SELECT hnum FROM temp.stay)" if "hnum" in columns else ""
    database.execute(f"INSERT INTO main.{quoted} SELECT * FROM fat.{quoted}{where} ORDER BY rowid")


def _keep_whole(kept: Kept, path: str, why: str) -> None:
    entry = kept.world.rootfs.lookup(path)
    kept.add(path, Group.PACKAGE, "package database, whole", SCANNERS)
    kept.problems.append(
        Problem(
            "whole-package-database",
            Severity.WARNING,
            path,
            f"rpm's database {why}, and is not cut to what is kept",
            "kept whole: scanners find all packages of the fat image in the slim one",
            entry.size_bytes if entry is not None else 0,
        )
    )
