"""A kept path as a member of a layer's tar: the bytes before its content, and their padding.

Source: POSIX.1 pax (what does not fit into ustar goes into extended records), star's
``SCHILY.xattr.`` records for extended attributes, as engines read them (OCI image spec, layer.md).
"""

from __future__ import annotations

import math
import struct
import tarfile

from imgslim.archive.layers import Member
from imgslim.layers import XATTR_PREFIX
from imgslim.model import Entry, Kind

END_OF_TAR = bytes(2 * tarfile.BLOCKSIZE)

_TYPES = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.DIRECTORY: tarfile.DIRTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.CHAR_DEVICE: tarfile.CHRTYPE,
    Kind.BLOCK_DEVICE: tarfile.BLKTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
}

_USTAR = struct.Struct("100s 7sx 7sx 7sx 11sx 11sx 8s c 100s 8s 32x 32x 8x 8x 155x 12x")
"""The block of POSIX.1's ustar: name, mode, owner, group, size, time, checksum, type, target,
magic with version; without the names of owner and group, device and prefix."""

_CHECKSUM_AT = 148
_MOST_ID = 0o7777777
_MOST_NUMBER = 0o77777777777


def header(member: Member, size_bytes: int, mtime: float) -> bytes:
    """The header blocks of a member with ``size_bytes`` of content; the same on every machine."""
    entry = member.keep.entry
    kind = tarfile.LNKTYPE if member.link_to else _TYPES[entry.kind]
    name = _name(entry.path) + ("/" if entry.is_directory else "")
    target = _name(member.link_to) if member.link_to else entry.link_target
    size_bytes = 0 if member.link_to else size_bytes
    if _is_plain(entry, name, target, size_bytes, mtime):
        return _plain_header(entry, kind, name, target, size_bytes, int(mtime))
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    info.devmajor, info.devminor = entry.device
    info.size, info.mtime = size_bytes, math.floor(mtime)
    info.pax_headers = _records(entry, mtime)
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size_bytes: int) -> bytes:
    """What fills the last block of a content."""
    return bytes(-size_bytes % tarfile.BLOCKSIZE)


def _name(path: str) -> str:
    """Relative, as engines write it."""
    return path[1:] or "."


def _records(entry: Entry, mtime: float) -> dict[str, str]:
    records = {
        f"{XATTR_PREFIX}{name}": value.decode("utf-8", "surrogateescape")
        for name, value in entry.xattrs
    }
    if mtime != math.floor(mtime):
        # Nanoseconds are what file systems have; never with an exponent.
        records["mtime"] = f"{mtime:.9f}".rstrip("0")
    return records


def _is_plain(entry: Entry, name: str, target: str, size_bytes: int, mtime: float) -> bool:
    return (
        not entry.xattrs
        and len(name) <= 100
        and len(target) <= 100
        and (name + target).isascii()
        and entry.uid <= _MOST_ID
        and entry.gid <= _MOST_ID
        and size_bytes <= _MOST_NUMBER
        and 0 <= mtime <= _MOST_NUMBER
        and mtime == int(mtime)
        and entry.kind is not Kind.CHAR_DEVICE
        and entry.kind is not Kind.BLOCK_DEVICE
    )


def _plain_header(
    entry: Entry, kind: bytes, name: str, target: str, size_bytes: int, mtime: int
) -> bytes:
    """What tarfile makes of nearly all members, byte for byte, in a quarter of its time: with it
    the headers of an image take longer than ``tar`` takes for the whole."""
    block = bytearray(
        _USTAR.pack(
            name.encode(),
            b"%07o" % entry.mode,
            b"%07o" % entry.uid,
            b"%07o" % entry.gid,
            b"%011o" % size_bytes,
            b"%011o" % mtime,
            b" " * 8,
            kind,
            target.encode(),
            b"ustar\x0000",
        )
    )
    block[_CHECKSUM_AT : _CHECKSUM_AT + 7] = b"%06o\0" % sum(block)
    return bytes(block)
