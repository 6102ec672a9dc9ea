"""Index a layer's tar: one pass over its headers, contents read later by offset.

Sources: the OCI image spec's layer.md (whiteouts, extended attributes), POSIX.1 pax and GNU tar
headers as the standard library's ``tarfile`` reads them.
"""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
from collections.abc import Callable
from pathlib import Path

from imgslim.errors import ArchiveError
from imgslim.model import Entry, Image, Kind, Layer, LayerBlob

WHITEOUT_PREFIX = ".wh."
OPAQUE_MARKER = ".wh..wh..opq"
AUFS_METADATA_PREFIX = ".wh..wh."
XATTR_PREFIX = "SCHILY.xattr."

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
    if name.startswith("./") and "/." not in name[1:] and "//" not in name:
        return name[1:].rstrip("/") or "/"
    return posixpath.normpath("/" + name).replace("//", "/", 1)


def load_layers(
    image: Image, *, on_progress: Callable[[int], None] | None = None
) -> tuple[Layer, ...]:
    """Index every layer of ``image``; ``on_progress`` gets the tar bytes passed since the last call.

    Raises ArchiveError for a layer that is damaged or lacks its end-of-archive blocks.
    """
    return tuple(_load_layer(index, blob, on_progress) for index, blob in enumerate(image.layers))


def _load_layer(index: int, blob: LayerBlob, on_progress: Callable[[int], None] | None) -> Layer:
    entries: list[Entry] = []
    whiteouts: list[str] = []
    opaques: list[str] = []
    passed = 0
    with FileSlice(blob.tar_path, blob.tar_offset, blob.tar_size_bytes) as window:
        try:
            archive = tarfile.TarFile(fileobj=window, encoding="utf-8", errors="surrogateescape")
            while (member := archive.next()) is not None:
                # tarfile remembers every member it has read: 1.5 kB each, never used here.
                archive.members = []  # type: ignore[attr-defined]
                path = normalise(member.name)
                name = path.rpartition("/")[2]
                if name.startswith(WHITEOUT_PREFIX):
                    _note_whiteout(path, name, whiteouts, opaques)
                else:
                    entries.append(_entry(index, path, member))
                if on_progress and len(entries) % 512 == 0:
                    on_progress(archive.offset - passed)
                    passed = archive.offset
        except (tarfile.TarError, ValueError) as error:
            raise _damaged(blob, str(error)) from error
        _check_end(blob, window, archive.offset)
    if on_progress:
        on_progress(blob.tar_size_bytes - passed)
    size_bytes = sum(entry.size_bytes for entry in entries if entry.kind is Kind.FILE)
    return Layer(index, blob, size_bytes, tuple(entries), tuple(whiteouts), tuple(opaques))


def _note_whiteout(path: str, name: str, whiteouts: list[str], opaques: list[str]) -> None:
    parent = path.rpartition("/")[0]
    if name == OPAQUE_MARKER:
        opaques.append(parent or "/")
    elif not name.startswith(AUFS_METADATA_PREFIX):
        whiteouts.append(f"{parent}/{name.removeprefix(WHITEOUT_PREFIX)}")


def _entry(index: int, path: str, member: tarfile.TarInfo) -> Entry:
    kind = _KINDS.get(member.type)
    if kind is None:
        raise tarfile.ReadError(f"member {path} is of unknown type {member.type!r}")
    target = ""
    if kind is Kind.SYMLINK:
        target = member.linkname
    elif kind is Kind.HARD_LINK:
        target = normalise(member.linkname)
    headers = member.pax_headers
    xattrs = (
        tuple(
            (key.removeprefix(XATTR_PREFIX), value.encode("utf-8", "surrogateescape"))
            for key, value in sorted(headers.items())
            if key.startswith(XATTR_PREFIX)
        )
        if headers
        else ()
    )
    is_file = kind is Kind.FILE
    sparse = member.sparse
    return Entry(
        path=path,
        kind=kind,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        size_bytes=member.size if is_file else 0,
        mtime=member.mtime,
        link_target=target,
        xattrs=xattrs,
        layer_index=index,
        data_offset=member.offset_data if is_file else -1,
        inode=(index, member.offset_data),
        device=(member.devmajor, member.devminor)
        if kind in (Kind.CHAR_DEVICE, Kind.BLOCK_DEVICE)
        else (0, 0),
        sparse=None if sparse is None else tuple((start, size) for start, size in sparse),
    )


def _check_end(blob: LayerBlob, window: FileSlice, offset: int) -> None:
    """``tarfile`` ends silently on a bad header inside an archive: only zero blocks end a tar."""
    block = window.pread(offset, tarfile.BLOCKSIZE)
    if block != bytes(tarfile.BLOCKSIZE):
        what = "it ends" if len(block) < tarfile.BLOCKSIZE else "there is a damaged header"
        raise _damaged(blob, f"{what} at byte {offset:,}, before the end-of-archive blocks")


def _damaged(blob: LayerBlob, why: str) -> ArchiveError:
    return ArchiveError(
        f"layer {blob.diff_id or blob.digest} is damaged: {why}",
        hint="save or pull the image again",
    )
