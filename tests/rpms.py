"""rpm databases for table tests: packages in, the bytes of an ``rpmdb.sqlite`` out."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

_KEYS = {
    "Name": 1000,
    "Basenames": 1117,
    "Requirename": 1049,
    "Providename": 1047,
    "Dirnames": 1118,
}
_EMPTY = (
    *("Group", "Conflictname", "Obsoletename", "Triggername", "Installtid", "Sigmd5", "Sha1header"),
    *("Filetriggername", "Transfiletriggername"),
    *("Recommendname", "Suggestname", "Supplementname", "Enhancename"),
)
INDEXES = (*_KEYS, *_EMPTY)
"""The tables beside the packages: rpm 4.18 opens a database that has all of them."""

_INT32, _CHAR, _INT16, _STRING, _BIN, _STRINGS = 4, 1, 3, 6, 7, 8
_WIDTHS = {_INT32: "I", _INT16: "H", _CHAR: "B"}
_REGION = 63


@dataclass(frozen=True)
class RpmFile:
    """A file as a package lists it; ``content`` "" means that no digest is recorded."""

    path: str
    content: str = ""
    flags: int = 0
    state: int = 0
    mode: int = 0o100644


@dataclass(frozen=True)
class Rpm:
    """``requires`` are names, or names with rpm's flags of a dependency."""

    name: str
    files: Sequence[RpmFile | str] = ()
    requires: Sequence[str | tuple[str, int]] = ()
    provides: Sequence[str] = ()
    version: str = "1.0"
    release: str = "1"
    epoch: int | None = None
    arch: str = "x86_64"
    has_signed_states: bool = False

    @property
    def rows(self) -> list[RpmFile]:
        return [RpmFile(row) if isinstance(row, str) else row for row in self.files]


Value = str | Sequence[str] | Sequence[int]


def header(rpm: Rpm) -> bytes:
    """The package's header as rpm's database holds it: a signed region, and what the installation
    adds behind it."""
    rows = rpm.rows
    directories = list(dict.fromkeys(row.path.rpartition("/")[0] + "/" for row in rows))
    wanted = [(row, 0) if isinstance(row, str) else row for row in rpm.requires]
    digests = [sha256(row.content.encode()).hexdigest() if row.content else "" for row in rows]
    signed: list[tuple[int, int, Value]] = [
        (1000, _STRING, rpm.name),
        (1001, _STRING, rpm.version),
        (1002, _STRING, rpm.release),
        (1022, _STRING, rpm.arch),
        (1047, _STRINGS, [rpm.name, *rpm.provides]),
    ]
    signed += [(1003, _INT32, [rpm.epoch])] if rpm.epoch is not None else []
    if wanted:
        signed.append((1048, _INT32, [flags for _, flags in wanted]))
        signed.append((1049, _STRINGS, [name for name, _ in wanted]))
        signed.append((1050, _STRINGS, ["" for _ in wanted]))
    added: list[tuple[int, int, Value]] = [(1008, _INT32, [1_700_000_000])]
    if rows:
        signed += [
            (1028, _INT32, [len(row.content) for row in rows]),
            (1030, _INT16, [row.mode for row in rows]),
            (1035, _STRINGS, digests),
            (1037, _INT32, [row.flags for row in rows]),
            (1116, _INT32, [directories.index(r.path.rpartition("/")[0] + "/") for r in rows]),
            (1117, _STRINGS, [row.path.rpartition("/")[2] for row in rows]),
            (1118, _STRINGS, directories),
            (5011, _INT32, [8]),
        ]
        states = (1029, _CHAR, [row.state for row in rows])
        (signed if rpm.has_signed_states else added).append(states)
    return _packed(sorted(signed), added)


def _packed(
    signed: Sequence[tuple[int, int, Value]], added: Sequence[tuple[int, int, Value]]
) -> bytes:
    index, data = [], bytearray()
    for tag, kind, value in signed:
        index.append(_put(data, tag, kind, value))
    region = struct.pack(">2IiI", _REGION, _BIN, len(data), 16)
    data += struct.pack(">2IiI", _REGION, _BIN, -16 * (len(index) + 1), 16)
    for tag, kind, value in added:
        index.append(_put(data, tag, kind, value))
    return struct.pack(">2I", len(index) + 1, len(data)) + region + b"".join(index) + bytes(data)


def _put(data: bytearray, tag: int, kind: int, value: Value) -> bytes:
    if kind in (_STRING, _STRINGS):
        texts = [value] if isinstance(value, str) else [str(text) for text in value]
        offset, count = len(data), len(texts)
        data += b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts)
    else:
        layout = _WIDTHS[kind]
        data += b"\0" * (-len(data) % struct.calcsize(layout))
        offset, count = len(data), len(value)
        data += struct.pack(f">{count}{layout}", *value)
    return struct.pack(">2IiI", tag, kind, offset, count)


def rpm_database(*rpms: Rpm) -> bytes:
    """The bytes of a database of these packages, numbered from 1."""
    return database_of(header(rpm) for rpm in rpms)


def database_of(headers: Iterable[bytes]) -> bytes:
    """The bytes of a database of these headers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rpmdb.sqlite"
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA synchronous = OFF")
            _create(database)
            _insert(database, headers)
        return path.read_bytes()


def journalled_database(first: Sequence[Rpm], then: Sequence[Rpm]) -> tuple[bytes, bytes]:
    """A database of ``first`` alone, and the journal (WAL) beside it that brings ``then``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rpmdb.sqlite"
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = OFF")
            _create(database)
            _insert(database, map(header, first))
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA wal_autocheckpoint = 0")
            _insert(database, map(header, then))
            return path.read_bytes(), path.with_name("rpmdb.sqlite-wal").read_bytes()


def _create(database: sqlite3.Connection) -> None:
    database.execute(
        "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)"
    )
    for name in INDEXES:
        database.execute(
            f"CREATE TABLE '{name}' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER"
            " NOT NULL, FOREIGN KEY (hnum) REFERENCES 'Packages'(hnum))"
        )
        database.execute(f"CREATE INDEX '{name}_key_idx' ON '{name}'(key ASC)")
    database.commit()


def _insert(database: sqlite3.Connection, headers: Iterable[bytes]) -> None:
    for blob in headers:
        cursor = database.execute("INSERT INTO Packages (blob) VALUES (?)", (blob,))
        for table, tag in _KEYS.items():
            rows = [(key, cursor.lastrowid, at) for at, key in enumerate(strings_of(blob, tag))]
            database.executemany(f"INSERT INTO '{table}' VALUES (?, ?, ?)", rows)
    database.commit()


def strings_of(blob: bytes, wanted: int) -> list[str]:
    """The strings of one tag in a header."""
    count, _ = struct.unpack_from(">2I", blob)
    for tag, kind, offset, number in struct.iter_unpack(">2IiI", blob[8 : 8 + 16 * count]):
        if tag == wanted and kind in (_STRING, _STRINGS):
            start = 8 + 16 * count + offset
            return [text.decode() for text in blob[start:].split(b"\0", number)[:number]]
    return []


def read_database(content: bytes) -> dict[str, list[tuple[object, ...]]]:
    """The rows of each table of a database's bytes, and that it is sound."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rpmdb.sqlite"
        path.write_bytes(content)
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            found = {}
            for table in ("Packages", *INDEXES):
                found[table] = database.execute(f"SELECT * FROM '{table}'").fetchall()
            return found
