"""The string table of extensions made by Cython, where it is compressed.

From 3.2 on Cython stores the strings of a module, names of imports among them, as one table without
separators, compressed with zlib, bz2 or zstd (Cython/Utility/StringTools.c, ``DecompressString``),
or, from 3.3 on, by a scheme of its own (Cython/LZSS.py, ``DecompressString_LZSS``): groups of eight
items behind a byte of flags; a set bit stands for a literal byte, a clear one for a copy of what
came before, told by its distance and length.
"""

from __future__ import annotations

import bz2
import re
import zlib
from collections.abc import Callable, Iterator

MARKER = b"LZSS string data decompression failed"
"""The message that every extension with Cython's own compression holds."""

LIBRARY_MARKER = b"CYTHON_COMPRESS_STRINGS"
"""Part of the message that every extension with a library's compression holds."""

_STREAM = re.compile(
    rb"(?P<zlib>x[\x01\x5e\x9c\xda])|(?P<bz2>BZh[1-9]1AY&SY)|(?P<zstd>\x28\xb5\x2f\xfd)"
)
"""How streams start: RFC 1950 (2.2), bzip2's magic and its first block's, RFC 8878 (3.1.1)."""

_START = re.compile(rb"(?<=\0)[^\0]")
"""Constants before the table end in a NUL or in padding."""

_SHORTEST_BYTES = 200
"""Cython compresses only where that saves as much (Cython/Compiler/Code.py)."""

_LARGEST_BYTES = 16 << 20
_SHORTEST_COPY = 3


def cython_tables(constants: bytes) -> Iterator[bytes]:
    """The decompressed string tables in the constants of an extension."""
    if MARKER in constants:
        yield from _own_tables(constants)
    if LIBRARY_MARKER in constants:
        for match in _STREAM.finditer(constants):
            data = constants[match.start() : match.start() + _LARGEST_BYTES]
            yield from _inflated(_DECOMPRESS[match.lastgroup or ""], data)


def _inflate_zlib(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, _LARGEST_BYTES)


def _inflate_bz2(data: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, _LARGEST_BYTES)


def _inflate_zstd(data: bytes) -> bytes:
    import zstandard

    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except zstandard.ZstdError as error:
        raise ValueError from error


_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": _inflate_zlib,
    "bz2": _inflate_bz2,
    "zstd": _inflate_zstd,
}


def _inflated(decompress: Callable[[bytes], bytes], data: bytes) -> Iterator[bytes]:
    """What a stream at the start of ``data`` holds, if there is one."""
    try:
        table = decompress(data)
    except (ValueError, OSError, EOFError, zlib.error):
        return
    if len(table) >= _SHORTEST_BYTES:
        yield table


def _own_tables(constants: bytes) -> Iterator[bytes]:
    for match in _START.finditer(constants):
        first = constants[match.start()]
        # Nothing comes before the first bytes that could be copied: they are literal.
        if first & 0b111 == 0b111:
            table = _decompress(constants, match.start())
            if len(table) >= _SHORTEST_BYTES:
                yield table


def _decompress(data: bytes, position: int) -> bytes:
    """What starts at ``position``, up to where it cannot be such a table any more. The size is not
    stored with it: a little of what follows may come out as noise."""
    out = bytearray()
    end = len(data) - 4
    while position < end and len(out) < _LARGEST_BYTES:
        flags, position = data[position], position + 1
        for bit in range(8):
            if position >= end:
                break
            if flags >> bit & 1:
                literal = data[position]
                if literal < 9:
                    return bytes(out)
                out.append(literal)
                position += 1
                continue
            distance, length, position = _copy(data, position)
            start = len(out) - distance - length
            if start < 0:
                return bytes(out)
            out += out[start : start + length]
    return bytes(out)


def _copy(data: bytes, position: int) -> tuple[int, int, int]:
    """One copy: how far before the end of what is out its source ends, its length in bytes, and
    the position behind it."""
    low, high = data[position], data[position + 1]
    if low < 0x80:
        return low, high + _SHORTEST_COPY, position + 2
    low &= 0x7F
    if high < 0x80:
        return 0x80 + ((high << 2 & 0x180) | low), (high & 0x1F) + _SHORTEST_COPY, position + 2
    distance = 0x80 + ((high & 0x7F) << 7 | low)
    return distance, data[position + 2] + _SHORTEST_COPY, position + 3
