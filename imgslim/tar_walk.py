"""A tar on disk: a window on its bytes, and the walk of ``tarfile`` over its members.

Source: POSIX.1 pax and GNU tar headers as the standard library's ``tarfile`` reads them.
"""

from __future__ import annotations

import io
import os
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from imgslim.plain_headers import octal

MAX_HEADER_BYTES = 1 << 20
"""The longest pax or GNU long-name header that engines take (Go's archive/tar,
``maxSpecialFileSize``); a larger one is damage, not worth the memory."""


class FileSlice(io.RawIOBase):
    """A window on a host file, read with ``pread``: no shared position, one system call a read."""

    def __init__(self, path: str | Path, offset: int, size_bytes: int) -> None:
        super().__init__()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._offset = offset
        self._size_bytes = size_bytes
        self._position = 0

    def read(self, size: int | None = -1) -> bytes:
        left = self._size_bytes - self._position
        wanted = left if size is None or size < 0 else min(size, left)
        data = self.pread(self._position, wanted)
        self._position += len(data)
        return data

    def pread(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes at ``offset`` of the window, leaving the position alone."""
        size = min(size, self._size_bytes - offset)
        if size <= 0:
            return b""
        data = os.pread(self._fd, size, self._offset + offset)
        if len(data) == size or not data:
            return data
        parts = [data]
        got = len(data)
        while got < size and (data := os.pread(self._fd, size - got, self._offset + offset + got)):
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}
        self._position = max(0, start[whence] + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()


class _HeaderReader(io.BufferedReader):
    """A host file from which only headers are read: a damaged size cannot take all memory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims to be {size:,} bytes long")
        return super().read(size)


class _QuickHeader(tarfile.TarInfo):
    """A member whose header is read in one go, where it is an ordinary one: ``tarfile`` itself
    takes each field by several calls, which is half the time of a walk over many small files."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """What ``TarInfo.frombuf`` gives, owners' names left out. A header with numbers in base
        256, old sparse maps or anything damaged is left to it."""
        try:
            return cls._of_ordinary(bytes(buf), encoding, errors)
        except (ValueError, struct.error):
            return super().frombuf(buf, encoding, errors)

    @classmethod
    def _of_ordinary(cls, buf: bytes, encoding: str, errors: str) -> Self:
        name, *numbers, chksum, kind, linkname, major, minor, prefix = _HEADER.unpack(buf)
        if kind not in _ORDINARY or sum(buf) - sum(chksum) + _BLANK_CHECKSUM != octal(chksum):
            raise ValueError("not an ordinary header")
        member = cls(name.partition(b"\0")[0].decode(encoding, errors))
        member.mode, member.uid, member.gid, member.size, member.mtime = map(octal, numbers)
        member.type = kind
        if linkname[0]:
            member.linkname = linkname.partition(b"\0")[0].decode(encoding, errors)
        if kind in _DEVICES:
            member.devmajor, member.devminor = octal(major), octal(minor)
        if kind == tarfile.AREGTYPE and member.name.endswith("/"):
            member.type = tarfile.DIRTYPE
        if member.type == tarfile.DIRTYPE:
            member.name = member.name.rstrip("/")
        if prefix[0] and kind not in tarfile.GNU_TYPES:
            above = prefix.partition(b"\0")[0].decode(encoding, errors)
            member.name = f"{above}/{member.name}"
        return member


_HEADER = struct.Struct("100s 8s 8s 8s 12s 12s 8s 1s 100s 72x 8s 8s 155s 12x")
"""The fields of POSIX.1's ustar header that are read: magic and owners' names are passed over."""

_BLANK_CHECKSUM = 8 * ord(" ")
_DEVICES = (tarfile.CHRTYPE, tarfile.BLKTYPE)
_ORDINARY = frozenset(
    {
        *(tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE),
        *(*_DEVICES, tarfile.FIFOTYPE, tarfile.XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    }
)


class TarWalk:
    """A walk over the members of the tar at ``path[start : start + size_bytes]``, contents unread,
    by ``tarfile``. Close it, or use ``with``. Raises ``tarfile.ReadError``, the message without
    the name of the tar, for every damage: ``tarfile`` itself ends silently on a bad header inside
    an archive, where only zero blocks may end it.
    """

    def __init__(self, path: str | Path, start: int, size_bytes: int) -> None:
        self._path = path
        self._start = start
        self._end = start + size_bytes
        self._host_file = _HeaderReader(io.FileIO(path))
        self._archive: tarfile.TarFile | None = None
        self.offset = start

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._host_file.close()

    @property
    def has_global_headers(self) -> bool:
        """Whether a pax header that has been read speaks of all members after it."""
        return self._archive is not None and bool(self._archive.pax_headers)

    def next(self) -> tarfile.TarInfo | None:
        """The member at ``offset``, which then is that of the one after it; None at the end. Its
        ``offset_data`` counts from the start of the host file."""
        try:
            archive = self._opened()
            member = archive.next()
        except (ValueError, ArithmeticError, LookupError, RecursionError) as error:
            # What tarfile lets through of headers that are no numbers, no sparse map, no text.
            raise tarfile.ReadError(f"a damaged header ({type(error).__name__})") from error
        # tarfile remembers every member it has read: 1.5 kB each, never used here.
        archive.members.clear()  # type: ignore[attr-defined]
        if member is None:
            _check_end(self._path, self._start, archive.offset, self._end)
        elif not self.offset < archive.offset <= self._end or member.size < 0:
            raise tarfile.ReadError(f"{member.name!r} claims to be {member.size:,} bytes")
        self.offset = archive.offset
        return member

    def _opened(self) -> tarfile.TarFile:
        if self._archive is None:
            self._host_file.seek(self.offset)
            self._archive = tarfile.TarFile(
                fileobj=self._host_file,
                encoding="utf-8",
                errors="surrogateescape",
                tarinfo=_QuickHeader,
            )
        elif self._archive.firstmember is None:  # type: ignore[attr-defined]
            self._archive.offset = self.offset
        return self._archive


def walk_tar(path: str | Path, start: int, size_bytes: int) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, as ``TarWalk`` gives and raises."""
    with TarWalk(path, start, size_bytes) as walk:
        while (member := walk.next()) is not None:
            yield member


def _check_end(path: str | Path, start: int, offset: int, end: int) -> None:
    with FileSlice(path, offset, max(0, end - offset)) as rest:
        block = rest.read(tarfile.BLOCKSIZE)
    if block != bytes(tarfile.BLOCKSIZE):
        what = "it ends" if len(block) < tarfile.BLOCKSIZE else "there is a damaged header"
        raise tarfile.ReadError(
            f"{what} at byte {offset - start:,}, before the end-of-archive blocks"
        )
