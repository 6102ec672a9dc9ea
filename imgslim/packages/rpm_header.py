"""rpm's package headers, as its database holds them.

Source: rpm's manual, "The Header Structure" (format_header): an index of 16-byte rows (tag, type,
offset, count), then the data, integers big-endian; the database leaves the magic out. Tags and
flags: rpm's ``rpmtag.h``, ``rpmds.h`` and ``rpmfiles.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from imgslim.packages.checksums import Checksum


class Tag(IntEnum):
    """The tags that are read."""

    IMMUTABLE = 63
    NAME = 1000
    VERSION = 1001
    RELEASE = 1002
    EPOCH = 1003
    ARCH = 1022
    OLD_FILENAMES = 1027
    FILE_STATES = 1029
    FILE_DIGESTS = 1035
    FILE_FLAGS = 1037
    PROVIDE_NAME = 1047
    REQUIRE_FLAGS = 1048
    REQUIRE_NAME = 1049
    DIR_INDEXES = 1116
    BASE_NAMES = 1117
    DIR_NAMES = 1118
    FILE_DIGEST_ALGORITHM = 5011


CONFIG = 1 << 0
"""``RPMFILE_CONFIG``: a file that the administrator may edit."""

NORMAL = 0
NOT_INSTALLED = 2
"""``rpmfileState``: rpm writes the second for files that it does not unpack (documentation under
``--nodocs``), looks for none of them in ``rpm -V``, and finds none of them by ``rpm -qf``."""

_WIDTHS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q"}
_STRINGS = (6, 8, 9)
_ALGORITHMS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
"""OpenPGP's numbers (RFC 4880, 9.4), which rpm uses; without one MD5 is meant."""


_Value = TypeVar("_Value", int, str)


class DamagedHeaderError(ValueError):
    """The bytes are no header: a length or an offset leads out of it."""


@dataclass(frozen=True, slots=True)
class _Row:
    type: int
    offset: int
    count: int
    is_signed: bool


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file as a package lists it: the path as it was built, the state as rpm installed it."""

    path: str
    flags: int
    state: int
    checksum: Checksum | None


@dataclass(frozen=True, slots=True)
class Header:
    """One package's header: its bytes, and where each tag is in them."""

    blob: bytes
    data_offset: int
    rows: Mapping[int, _Row]

    def strings(self, tag: Tag) -> list[str]:
        """The strings of a tag, undecodable bytes as surrogate escapes; empty without it."""
        row = self.rows.get(tag)
        if row is None or row.type not in _STRINGS:
            return []
        found = self.blob[self.data_offset + row.offset :].split(b"\0", row.count)[: row.count]
        return [text.decode("utf-8", "surrogateescape") for text in found]

    def string(self, tag: Tag) -> str:
        """The string of a tag, "" without it."""
        return next(iter(self.strings(tag)), "")

    def numbers(self, tag: Tag) -> tuple[int, ...]:
        """The numbers of a tag; empty without it. Raises DamagedHeaderError."""
        row = self.rows.get(tag)
        if row is None or row.type not in _WIDTHS:
            return ()
        try:
            layout = f">{row.count}{_WIDTHS[row.type]}"
            return struct.unpack_from(layout, self.blob, self.data_offset + row.offset)
        except (struct.error, MemoryError, OverflowError) as error:
            raise DamagedHeaderError(f"tag {tag} leads out of the header") from error

    @property
    def version(self) -> str:
        """``[EPOCH:]VERSION-RELEASE``, as rpm's ``%{EVR}``."""
        epoch = "".join(f"{number}:" for number in self.numbers(Tag.EPOCH)[:1])
        return f"{epoch}{self.string(Tag.VERSION)}-{self.string(Tag.RELEASE)}"

    def files(self) -> Iterator[FileRow]:
        """The files in the header's order, which is that of the states. Raises
        DamagedHeaderError."""
        paths = self._paths()
        algorithm = _ALGORITHMS.get(next(iter(self.numbers(Tag.FILE_DIGEST_ALGORITHM)), 1), "")
        digests = _padded(self.strings(Tag.FILE_DIGESTS), len(paths), "")
        flags = _padded(list(self.numbers(Tag.FILE_FLAGS)), len(paths), 0)
        states = _padded(list(self.numbers(Tag.FILE_STATES)), len(paths), NORMAL)
        for path, flag, state, digest in zip(paths, flags, states, digests, strict=True):
            checksum = (algorithm, digest) if algorithm and digest else None
            yield FileRow(path, flag, state, checksum)

    def with_states(self, states: Mapping[int, int]) -> bytes:
        """The header's bytes with other states for the files of these numbers. Where the states
        are part of what is signed, or not recorded, they stay: rpm passes over a header whose
        digest is wrong."""
        row = self.rows.get(Tag.FILE_STATES)
        if row is None or row.is_signed or _WIDTHS.get(row.type) != "B":
            return self.blob
        blob = bytearray(self.blob)
        for index, state in states.items():
            if index < row.count:
                blob[self.data_offset + row.offset + index] = state
        return bytes(blob)

    def _paths(self) -> list[str]:
        names = self.strings(Tag.BASE_NAMES)
        directories = self.strings(Tag.DIR_NAMES)
        try:
            pairs = zip(self.numbers(Tag.DIR_INDEXES), names, strict=True)
            return [directories[index] + name for index, name in pairs] or self.strings(
                Tag.OLD_FILENAMES
            )
        except (IndexError, ValueError) as error:
            raise DamagedHeaderError("the list of files is not whole") from error


def parse_header(blob: bytes) -> Header:
    """Read a header's index. Of a tag that is there twice, what the installation added counts.
    Raises DamagedHeaderError."""
    try:
        count, size = struct.unpack_from(">2I", blob)
    except struct.error as error:
        raise DamagedHeaderError("too short for a header") from error
    data_offset = 8 + 16 * count
    if data_offset + size > len(blob):
        raise DamagedHeaderError("shorter than it says")
    rows = list(struct.iter_unpack(">2IiI", blob[8:data_offset]))
    signed = _signed_rows(blob, data_offset, rows[0]) if rows else 0
    found: dict[int, _Row] = {}
    for number, (tag, kind, offset, length) in enumerate(rows):
        if not 0 <= offset <= size:
            raise DamagedHeaderError(f"tag {tag} leads out of the header")
        found[tag] = _Row(kind, offset, length, number < signed)
    return Header(blob, data_offset, found)


def _signed_rows(blob: bytes, data_offset: int, first: tuple[int, int, int, int]) -> int:
    """The number of rows in the immutable region, which the package's signature is of: the region's
    trailer has it, negative and in bytes. All rows of a header without one count as outside."""
    tag, _, offset, _ = first
    if tag != Tag.IMMUTABLE:
        return 0
    try:
        _, _, length, _ = struct.unpack_from(">2IiI", blob, data_offset + offset)
    except struct.error as error:
        raise DamagedHeaderError("the region's trailer is missing") from error
    return -int(length) // 16


def _padded(values: list[_Value], count: int, filler: _Value) -> list[_Value]:
    return (values + [filler] * (count - len(values)))[:count]
