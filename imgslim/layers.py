"""Index a layer's tar: one pass over its headers, contents read later by offset.

Sources: the OCI image spec's layer.md (whiteouts, extended attributes), POSIX.1 pax and GNU tar
headers as the standard library's ``tarfile`` reads them.
"""

from __future__ import annotations

import io
import math
import os
import posixpath
import struct
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Self, cast

from imgslim.errors import ArchiveError
from imgslim.model import Entry, Image, Kind, Layer, LayerBlob, Traits, owned_by

OnProgress = Callable[[str, int, int | None], None]
"""Called with a phase's name, its bytes done, and its bytes in all where that is known."""

WHITEOUT_PREFIX = ".wh."
OPAQUE_MARKER = ".wh..wh..opq"
AUFS_METADATA_PREFIX = ".wh..wh."
XATTR_PREFIX = "SCHILY.xattr."

MAX_HEADER_BYTES = 1 << 20
"""The longest pax or GNU long-name header that engines take (Go's archive/tar,
``maxSpecialFileSize``); a larger one is damage, not worth the memory."""

MAX_PATH_BYTES = 4096
"""Linux's PATH_MAX: an engine cannot create a longer one."""

_MODES = tuple(range(0o10000))
"""So that entries share these numbers, of which Python makes a new one each time."""

_PROGRESS_STEP = 512
"""Members between two reports of progress."""

_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.GNUTYPE_SPARSE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
    tarfile.CHRTYPE: Kind.CHAR_DEVICE,
    tarfile.BLKTYPE: Kind.BLOCK_DEVICE,
    tarfile.FIFOTYPE: Kind.FIFO,
}


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


def normalise(name: str) -> str:
    """Return a tar member's name as an absolute path; ``..`` cannot lead out of the root."""
    if "/." not in name and "//" not in name and name[:1] not in ("", "/", "."):
        return "/" + name.rstrip("/")
    if name.startswith("./") and "/." not in name[1:] and "//" not in name:
        return name[1:].rstrip("/") or "/"
    return posixpath.normpath("/" + name).replace("//", "/", 1)


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
        if kind not in _ORDINARY or sum(buf) - sum(chksum) + _BLANK_CHECKSUM != _octal(chksum):
            raise ValueError("not an ordinary header")
        member = cls(name.partition(b"\0")[0].decode(encoding, errors))
        member.mode, member.uid, member.gid, member.size, member.mtime = map(_octal, numbers)
        member.type = kind
        if linkname[0]:
            member.linkname = linkname.partition(b"\0")[0].decode(encoding, errors)
        if kind in _DEVICES:
            member.devmajor, member.devminor = _octal(major), _octal(minor)
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


def _octal(field: bytes) -> int:
    """A number in octal digits, 0 for an empty field; ValueError for any other."""
    digits = field.partition(b"\0")[0].strip()
    if digits and not digits.isdigit():
        raise ValueError("not octal digits")
    return int(digits or b"0", 8)


def walk_tar(path: str | Path, start: int, size_bytes: int) -> Iterator[tarfile.TarInfo]:
    """Yield the members of the tar at ``path[start : start + size_bytes]``, contents unread.

    Their ``offset_data`` counts from the start of the host file. Raises ``tarfile.ReadError``, the
    message without the name of the tar, for every damage: ``tarfile`` itself ends silently on a
    bad header inside an archive, where only zero blocks may end it.
    """
    end = start + size_bytes
    with _HeaderReader(io.FileIO(path)) as host_file:
        host_file.seek(start)
        try:
            archive = tarfile.TarFile(
                fileobj=host_file,
                encoding="utf-8",
                errors="surrogateescape",
                tarinfo=_QuickHeader,
            )
            passed = start
            while (member := archive.next()) is not None:
                # tarfile remembers every member it has read: 1.5 kB each, never used here.
                archive.members.clear()  # type: ignore[attr-defined]
                if not passed < archive.offset <= end or member.size < 0:
                    raise tarfile.ReadError(f"{member.name!r} claims to be {member.size:,} bytes")
                passed = archive.offset
                yield member
        except (ValueError, ArithmeticError, LookupError, RecursionError) as error:
            # What tarfile lets through of headers that are no numbers, no sparse map, no text.
            raise tarfile.ReadError(f"a damaged header ({type(error).__name__})") from error
    _check_end(path, start, archive.offset, end)


def _check_end(path: str | Path, start: int, offset: int, end: int) -> None:
    with FileSlice(path, offset, max(0, end - offset)) as rest:
        block = rest.read(tarfile.BLOCKSIZE)
    if block != bytes(tarfile.BLOCKSIZE):
        what = "it ends" if len(block) < tarfile.BLOCKSIZE else "there is a damaged header"
        raise tarfile.ReadError(
            f"{what} at byte {offset - start:,}, before the end-of-archive blocks"
        )


def load_layers(image: Image, *, on_progress: OnProgress | None = None) -> tuple[Layer, ...]:
    """Index every layer of ``image``; progress counts the bytes of their tars.

    Raises ArchiveError for a layer that is damaged or lacks its end-of-archive blocks.
    """
    total = sum(blob.tar_size_bytes for blob in image.layers)
    layers: list[Layer] = []
    done = 0
    for index, blob in enumerate(image.layers):

        def report(passed: int, before: int = done) -> None:
            if on_progress:
                on_progress("reading layers", before + passed, total)

        layers.append(_load_layer(index, blob, report))
        done += blob.tar_size_bytes
    if on_progress:
        on_progress("reading layers", total, total)
    return tuple(layers)


def _load_layer(index: int, blob: LayerBlob, report: Callable[[int], None]) -> Layer:
    entries: list[Entry] = []
    whiteouts: list[str] = []
    opaques: list[str] = []
    start = blob.tar_offset
    try:
        for member in walk_tar(blob.tar_path, start, blob.tar_size_bytes):
            path = normalise(member.name)
            if len(path) > MAX_PATH_BYTES:
                raise tarfile.ReadError(f"a path of {len(path):,} characters")
            name = path.rpartition("/")[2]
            if name.startswith(WHITEOUT_PREFIX):
                _note_whiteout(path, name, whiteouts, opaques)
                continue
            entries.append(_entry(index, path, member, start))
            if len(entries) % _PROGRESS_STEP == 0:
                report(member.offset_data - start)
    except tarfile.TarError as error:
        raise ArchiveError(
            f"layer {blob.diff_id or blob.digest} is damaged: {error}",
            hint="save or pull the image again",
        ) from error
    size_bytes = sum(entry.size_bytes for entry in entries if entry.kind is Kind.FILE)
    return Layer(index, blob, size_bytes, tuple(entries), tuple(whiteouts), tuple(opaques))


def _note_whiteout(path: str, name: str, whiteouts: list[str], opaques: list[str]) -> None:
    parent = path.rpartition("/")[0]
    hidden = name.removeprefix(WHITEOUT_PREFIX)
    if name == OPAQUE_MARKER:
        opaques.append(parent or "/")
    elif hidden in ("", ".", ".."):
        # Engines refuse these: they would delete the directory itself, or its parent.
        raise tarfile.ReadError(f"{path} is a whiteout of nothing")
    elif not name.startswith(AUFS_METADATA_PREFIX):
        whiteouts.append(f"{parent}/{hidden}")


def _entry(index: int, path: str, member: tarfile.TarInfo, start: int) -> Entry:
    kind = _KINDS.get(member.type)
    if kind is None:
        raise tarfile.ReadError(f"{path} is of the unknown type {member.type!r}")
    return Entry(
        path,
        kind,
        _MODES[member.mode & 0o7777],
        member.size if kind is Kind.FILE else 0,
        _shared_time(member.mtime if math.isfinite(member.mtime) else 0),
        _traits(path, kind, member),
        index,
        member.offset_data - start,
    )


@lru_cache(maxsize=1024, typed=True)
def _shared_time(mtime: float) -> float:
    """The same object for the many files that were written in one second."""
    return mtime


def _traits(path: str, kind: Kind, member: tarfile.TarInfo) -> Traits:
    target = ""
    if kind is Kind.SYMLINK:
        target = member.linkname
    elif kind is Kind.HARD_LINK:
        target = normalise(member.linkname)
    is_device = kind is Kind.CHAR_DEVICE or kind is Kind.BLOCK_DEVICE
    xattrs = _xattrs(member.pax_headers) if member.pax_headers else ()
    if not (target or is_device or xattrs or member.sparse is not None):
        return owned_by(member.uid, member.gid)
    return Traits(
        member.uid,
        member.gid,
        target,
        xattrs,
        (member.devmajor, member.devminor) if is_device else (0, 0),
        None if member.sparse is None else _sparse_map(path, member),
    )


def _xattrs(headers: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    """The extended attributes, sorted; star's ``SCHILY.xattr.`` keys hold raw bytes."""
    return tuple(
        (key.removeprefix(XATTR_PREFIX), value.encode("utf-8", "surrogateescape"))
        for key, value in sorted(headers.items())
        if key.startswith(XATTR_PREFIX)
    )


def _sparse_map(path: str, member: tarfile.TarInfo) -> tuple[tuple[int, int], ...]:
    """The stored pieces of a sparse member, in order and within its size."""
    pieces: list[tuple[int, int]] = []
    reached = 0
    for start, size in cast("list[tuple[int, int]]", member.sparse):
        if not size:
            continue  # an unused slot, or the marker of the file's end
        if start < reached or size < 0 or start + size > member.size:
            raise tarfile.ReadError(f"the sparse map of {path} leads out of the file")
        reached = start + size
        pieces.append((start, size))
    return tuple(pieces)
