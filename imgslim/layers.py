"""Index a layer's tar: one pass over its headers, contents read later by offset.

Sources: the OCI image spec's layer.md (whiteouts, extended attributes), POSIX.1 pax and GNU tar
headers as the standard library's ``tarfile`` reads them.
"""

from __future__ import annotations

import math
import tarfile
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from imgslim.errors import ArchiveError
from imgslim.model import Entry, Image, Kind, Layer, LayerBlob, Traits
from imgslim.plain_headers import PlainHeaders, owned_by
from imgslim.plain_headers import normalise as normalise
from imgslim.tar_walk import FileSlice as FileSlice
from imgslim.tar_walk import TarWalk
from imgslim.tar_walk import walk_tar as walk_tar

OnProgress = Callable[[str, int, int | None], None]
"""Called with a phase's name, its bytes done, and its bytes in all where that is known."""

WHITEOUT_PREFIX = ".wh."
OPAQUE_MARKER = ".wh..wh..opq"
AUFS_METADATA_PREFIX = ".wh..wh."
XATTR_PREFIX = "SCHILY.xattr."

MAX_PATH_BYTES = 4096
"""Linux's PATH_MAX: an engine cannot create a longer one."""

_PROGRESS_STEP = 512
"""Members between two reports of progress."""

_MANY_BYTES = 64 << 10
_NEAR_BYTES = 4 << 10
"""How much is read for the sake of the headers in it: behind a large file there is one alone."""

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
    try:
        for entry in _entries(index, blob):
            if "/.wh." in entry.path:
                name = entry.path.rpartition("/")[2]
                if name.startswith(WHITEOUT_PREFIX):
                    _note_whiteout(entry.path, name, whiteouts, opaques)
                    continue
            entries.append(entry)
            if len(entries) % _PROGRESS_STEP == 0:
                report(entry.data_offset)
    except tarfile.TarError as error:
        raise ArchiveError(
            f"layer {blob.diff_id or blob.digest} is damaged: {error}",
            hint="save or pull the image again",
        ) from error
    size_bytes = sum(entry.size_bytes for entry in entries if entry.kind is Kind.FILE)
    return Layer(index, blob, size_bytes, tuple(entries), tuple(whiteouts), tuple(opaques))


def _entries(index: int, blob: LayerBlob) -> Iterator[Entry]:
    """The members of a layer, whiteouts too: ordinary ones by their headers alone, any other by
    ``tarfile``. Raises ``tarfile.ReadError`` for damage."""
    start, end = blob.tar_offset, blob.tar_offset + blob.tar_size_bytes
    plain = PlainHeaders(index).entry
    with (
        FileSlice(blob.tar_path, start, blob.tar_size_bytes) as layer,
        TarWalk(blob.tar_path, start, blob.tar_size_bytes) as walk,
    ):
        headers = _Headers(layer)
        while True:
            here = walk.offset - start
            entry = plain(headers.at(here), here + tarfile.BLOCKSIZE)
            after = walk.offset + tarfile.BLOCKSIZE
            if entry is not None:
                after += -entry.size_bytes // tarfile.BLOCKSIZE * -tarfile.BLOCKSIZE
            if entry is not None and after <= end and not walk.has_global_headers:
                walk.offset = after
                yield entry
            elif (member := walk.next()) is not None:
                yield _entry(index, member, start)
            else:
                return


class _Headers:
    """The headers of a layer: many with one read where they lie close together."""

    def __init__(self, layer: FileSlice) -> None:
        self._layer = layer
        self._data = b""
        self._start = 0

    def at(self, offset: int) -> bytes:
        """The 512 bytes at ``offset``, fewer at the end of the layer."""
        first = offset - self._start
        header = self._data[first : first + tarfile.BLOCKSIZE]
        if len(header) == tarfile.BLOCKSIZE:
            return header
        is_near = first - len(self._data) <= _NEAR_BYTES
        self._data = self._layer.pread(offset, _MANY_BYTES if is_near else _NEAR_BYTES)
        self._start = offset
        return self._data[: tarfile.BLOCKSIZE]


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


def _entry(index: int, member: tarfile.TarInfo, start: int) -> Entry:
    path = normalise(member.name)
    if len(path) > MAX_PATH_BYTES:
        raise tarfile.ReadError(f"a path of {len(path):,} characters")
    kind = _KINDS.get(member.type)
    if kind is None:
        raise tarfile.ReadError(f"{path} is of the unknown type {member.type!r}")
    return Entry(
        path,
        kind,
        member.mode & 0o7777,
        member.size if kind is Kind.FILE else 0,
        member.mtime if math.isfinite(member.mtime) else 0,
        _traits(path, kind, member),
        index,
        member.offset_data - start,
    )


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
