"""The headers of ordinary tar members, without the machinery of ``tarfile``, which takes several
times as long for each: an image may have a million. Whatever is out of the ordinary is left to it.

Source: POSIX.1, "pax", the ustar interchange format, as far as ``tarfile`` follows it.
"""

from __future__ import annotations

import posixpath
import struct
from tarfile import BLOCKSIZE
from zlib import adler32

from imgslim.model import Entry, Kind, Traits

_KINDS = {b"0": Kind.FILE, b"5": Kind.DIRECTORY, b"2": Kind.SYMLINK, b"1": Kind.HARD_LINK}

_FIELDS = struct.Struct("100s 24s 12s 12s 8s c 100s 88x 155s 12x")
"""Name; mode, uid and gid; size; time; checksum; type; target of a link; prefix of the name. Magic,
owners' names and devices are passed over."""

_BLANK_CHECKSUM = 8 * ord(" ")
_ADLER_MODULUS = 65_521
_MOST_REMEMBERED = 10_000


class PlainHeaders:
    """Makes entries of the headers of layer ``index``. What headers have in common is parsed once
    and shared by the entries: most differ in nothing but name, size and checksum."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._facts: dict[bytes, tuple[int, Traits, int]] = {}
        self._sums: dict[bytes, int] = {}

    def entry(self, header: bytes, data_offset: int) -> Entry | None:
        """The entry of a member whose header is these 512 bytes, its content at ``data_offset`` of
        the layer; None for what is no ordinary header of a file, a directory or a link."""
        if len(header) != BLOCKSIZE:
            return None
        name, numbers, size, mtime, checksum, flag, target, prefix = _FIELDS.unpack(header)
        kind = _KINDS.get(flag)
        if kind is None or not size[:11].isdigit() or size[11] not in b"\0 ":
            return None
        try:
            # The low half of an Adler-32 is one more than the sum of all bytes, as ustar has it.
            if adler32(header) & 0xFFFF != (self._sums.get(checksum) or self._sum(checksum)):
                return None
            mode, traits, seconds = self._facts.get(numbers + mtime) or self._fact(numbers, mtime)
            size_bytes = int(size[:11], 8)
        except ValueError:
            return None
        path = _text(name)
        if prefix[0]:
            path = f"{_text(prefix)}/{path}"
        if kind is not Kind.FILE:
            size_bytes = 0
            if kind is Kind.SYMLINK:
                traits = Traits(traits.uid, traits.gid, _text(target))
            elif kind is Kind.HARD_LINK:
                traits = Traits(traits.uid, traits.gid, normalise(_text(target)))
        return Entry(
            normalise(path), kind, mode, size_bytes, seconds, traits, self._index, data_offset
        )

    def _sum(self, field: bytes) -> int:
        """What the low half of the header's Adler-32 is when its checksum is right."""
        wanted = (1 + octal(field) - _BLANK_CHECKSUM + sum(field)) % _ADLER_MODULUS
        return self._sums.setdefault(field, wanted)

    def _fact(self, numbers: bytes, mtime: bytes) -> tuple[int, Traits, int]:
        mode, uid, gid = octal(numbers[:8]), octal(numbers[8:16]), octal(numbers[16:])
        if len(self._facts) >= _MOST_REMEMBERED:
            self._facts.clear()
        fact = self._facts[numbers + mtime] = mode & 0o7777, owned_by(uid, gid), octal(mtime)
        return fact


_OWNED: dict[tuple[int, int], Traits] = {}


def owned_by(uid: int, gid: int) -> Traits:
    """The traits of what has an owner and nothing else that is special; the same object each time,
    as long as owners are few."""
    found = _OWNED.get((uid, gid))
    if found is None:
        if len(_OWNED) >= _MOST_REMEMBERED:
            _OWNED.clear()
        found = _OWNED[uid, gid] = Traits(uid, gid)
    return found


def octal(field: bytes) -> int:
    """A number in octal digits, 0 for an empty field; ValueError for any other."""
    digits = field.partition(b"\0")[0].strip()
    if digits and not digits.isdigit():
        raise ValueError("not octal digits")
    return int(digits or b"0", 8)


def normalise(name: str) -> str:
    """Return a tar member's name as an absolute path; ``..`` cannot lead out of the root."""
    if "/." not in name and "//" not in name and name[:1] not in ("", "/", "."):
        return "/" + name.rstrip("/")
    if name.startswith("./") and "/." not in name[1:] and "//" not in name:
        return name[1:].rstrip("/") or "/"
    return posixpath.normpath("/" + name).replace("//", "/", 1)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
