"""The outer tar of an archive: blobs that are written, hashed and compressed as they come.

A blob is named by its digest, which is known when its last byte is: its header is written then,
into a block that was left for it. Hashing and writing have a thread of their own, so that they run
while the next members are made ready.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from imgslim.archive.members import END_OF_TAR, padding
from imgslim.sources.compression import Compression

CHUNK_BYTES = 1 << 20
_AHEAD = 4
"""Chunks that wait for the writing thread: what an archive takes of memory, beside its plan."""

_GZIP = zlib.MAX_WBITS | 16
"""With gzip's header, which zlib fills with no name and no time (zlib.h, ``deflateInit2``)."""


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Plain:
    """The compressor that does nothing."""

    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def compressor(compression: Compression) -> _Compressor:
    """A fresh one, at its library's usual level, on one thread: the same bytes every time."""
    match compression:
        case Compression.GZIP:
            return zlib.compressobj(wbits=_GZIP)
        case Compression.ZSTD:
            import zstandard

            return zstandard.ZstdCompressor().compressobj()
    return _Plain()


def compressed(chunks: Iterable[bytes], compression: Compression) -> Iterator[bytes]:
    """The compressed bytes of ``chunks``."""
    packer = compressor(compression)
    for chunk in chunks:
        if data := packer.compress(chunk):
            yield data
    yield packer.flush()


@dataclass(frozen=True, slots=True)
class Blob:
    """A written blob: digest and size of the stored bytes, ``diff_id`` of the plain ones."""

    digest: str
    size_bytes: int
    diff_id: str

    @property
    def name(self) -> str:
        """Where it lies in the archive."""
        return f"blobs/{self.digest.replace(':', '/')}"


class ArchiveTar:
    """The archive while it is written to ``file``, which must be seekable and empty.

    ``mtime`` is that of its members. What is written is whole after ``finish``.
    """

    def __init__(self, file: BinaryIO, mtime: int) -> None:
        self._file = file
        self._mtime = mtime
        for directory in ("blobs", "blobs/sha256"):
            file.write(self._header(directory, 0, tarfile.DIRTYPE, 0o755))

    def add(self, name: str, data: bytes) -> None:
        """Write a file of that name."""
        self._file.write(self._header(name, len(data)) + data + padding(len(data)))

    def add_document(self, data: bytes) -> Blob:
        """Write ``data`` as a blob."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        blob = Blob(digest, len(data), digest)
        self.add(blob.name, data)
        return blob

    def add_blob(
        self,
        pieces: Iterable[bytes],
        compression: Compression,
        report: Callable[[int], None] | None = None,
    ) -> Blob:
        """Write what the pieces make together; memory holds a few chunks of it. ``report`` gets
        the plain bytes that went on their way since it was called last."""
        start = self._file.tell()
        self._file.write(bytes(tarfile.BLOCKSIZE))
        sink = _Sink(self._file, compressor(compression))
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1) as worker:
            for chunk in _chunks(pieces):
                waiting.append(worker.submit(sink.write, chunk))
                if report:
                    report(len(chunk))
                if len(waiting) > _AHEAD:
                    waiting.popleft().result()
            while waiting:
                waiting.popleft().result()
        blob = sink.finish()
        self._file.write(padding(blob.size_bytes))
        self._file.seek(start)
        self._file.write(self._header(blob.name, blob.size_bytes))
        self._file.seek(0, os.SEEK_END)
        return blob

    def finish(self) -> None:
        self._file.write(END_OF_TAR)
        self._file.flush()

    def _header(
        self, name: str, size_bytes: int, kind: bytes = tarfile.REGTYPE, mode: int = 0o644
    ) -> bytes:
        """One block in every case: GNU's format has sizes beyond 8 GiB in it, pax beside it."""
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.size, info.mtime = kind, mode, size_bytes, self._mtime
        return info.tobuf(tarfile.GNU_FORMAT)


class _Sink:
    """Where the chunks of one blob go, one at a time."""

    def __init__(self, file: BinaryIO, packer: _Compressor) -> None:
        self._file = file
        self._packer = packer
        self._plain = hashlib.sha256()
        self._stored = self._plain if isinstance(packer, _Plain) else hashlib.sha256()
        self._size_bytes = 0

    def write(self, chunk: bytes) -> None:
        self._plain.update(chunk)
        self._store(self._packer.compress(chunk))

    def finish(self) -> Blob:
        self._store(self._packer.flush())
        plain, stored = (f"sha256:{sum_.hexdigest()}" for sum_ in (self._plain, self._stored))
        return Blob(stored, self._size_bytes, plain)

    def _store(self, data: bytes) -> None:
        if self._stored is not self._plain:
            self._stored.update(data)
        self._file.write(data)
        self._size_bytes += len(data)


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces worth a system call."""
    held: list[bytes] = []
    size_bytes = 0
    for piece in pieces:
        held.append(piece)
        size_bytes += len(piece)
        if size_bytes >= CHUNK_BYTES:
            yield b"".join(held)
            held, size_bytes = [], 0
    if held:
        yield b"".join(held)
