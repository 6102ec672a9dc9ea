"""What bytes are compressed with, and the plain bytes out of them.

gzip of several members (RFC 1952, 2.2; estargz), zstd of several frames and with skippable ones
(RFC 8878, 3.1.2; zstd:chunked).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Protocol

from imgslim.errors import ArchiveError

SNIFF_BYTES = 512
_MAX_WINDOW = 1 << 31
"""zstd --long=31, the largest window that the format's tools write."""


class Compression(StrEnum):
    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


_MAGIC = (
    (b"\x1f\x8b", Compression.GZIP),
    (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
)
_UNREADABLE = (
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x9d", "compress"),
)
_SKIPPABLE_FIRST_BYTES = range(0x50, 0x60)
_SKIPPABLE_REST = b"\x2a\x4d\x18"


def detect_compression(head: bytes, what: str) -> Compression:
    """How the bytes that begin with ``head`` are compressed.

    ``what`` names them in errors. Raises ArchiveError for a compression that no engine's layers
    have (the OCI image spec's layer.md knows plain tar, gzip and zstd).
    """
    for magic, compression in _MAGIC:
        if head.startswith(magic):
            return compression
    if head[1:4] == _SKIPPABLE_REST and head[0] in _SKIPPABLE_FIRST_BYTES:
        return Compression.ZSTD
    for magic, name in _UNREADABLE:
        if head.startswith(magic):
            raise ArchiveError(
                f"{what} is compressed with {name}, which imgslim does not read",
                hint="compress it with gzip or zstd, or not at all",
            )
    return Compression.NONE


def is_tar(head: bytes) -> bool:
    """Whether ``head`` (512 bytes) is a tar header, by its checksum, or an empty tar's zeros."""
    if len(head) < 512:
        return False
    if not any(head):
        return True
    try:
        stated = int(head[148:156].strip(b"\0 ") or b"x", 8)
    except ValueError:
        return False
    return stated == sum(head[:148]) + 8 * 0x20 + sum(head[156:512])


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def decompress(chunks: Iterable[bytes], compression: Compression, what: str) -> Iterator[bytes]:
    """Yield the plain bytes of ``chunks``; all members and frames of them, one after the other.

    Raises ArchiveError, naming ``what``, for damaged data and where it ends too early.
    """
    if compression is Compression.NONE:
        yield from chunks
        return
    new_decoder = _decoder_factory(compression)
    decoder = new_decoder()
    begun = False
    for data in chunks:
        while data:
            if not begun and not data.strip(b"\0"):
                # Padding after the last member; gzip(1) passes over it, too.
                break
            begun = True
            try:
                plain = decoder.decompress(data)
            except Exception as error:
                raise _damaged(compression, what, str(error)) from error
            if plain:
                yield plain
            data = b""
            if decoder.eof:
                data, decoder, begun = decoder.unused_data, new_decoder(), False
    if begun:
        raise _damaged(compression, what, "it ends too early")


def _decoder_factory(compression: Compression) -> Callable[[], _Decoder]:
    if compression is Compression.GZIP:
        return lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    import zstandard

    context = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    return lambda: context.decompressobj()


def _damaged(compression: Compression, what: str, why: str) -> ArchiveError:
    return ArchiveError(
        f"{what} is damaged {compression} data: {why}",
        hint="it was cut off or changed on the way; save, pull or copy it again",
    )
