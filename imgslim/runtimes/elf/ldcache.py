"""``/etc/ld.so.cache``: the libraries that ldconfig found, as the glibc loader reads them.

Format: glibc's sysdeps/generic/dl-cache.h (``glibc-ld.so.cache1.1``, alone or behind the old
``ld.so-1.7.0`` table).
"""

from __future__ import annotations

import struct

_OLD_MAGIC = b"ld.so-1.7.0\0"
_NEW_MAGIC = b"glibc-ld.so.cache1.1"
_OLD_ENTRY_BYTES = 12
_NEW_HEADER_BYTES = 48
_NEW_ENTRY = "iIIIQ"
"""flags, offset of the soname, offset of the path, an unused OS version, hardware bits."""


def parse_cache(data: bytes) -> dict[str, tuple[str, ...]]:
    """The paths by soname, in the cache's order; empty for what is no cache (or a damaged one).

    All variants of a soname are there: other classes and machines, and hwcaps subdirectories.
    """
    start = _new_table(data)
    if start is None:
        return {}
    # The low two bits of the flags' byte say the byte order; caches before 2.33 have 0 there.
    order = ">" if data[start + 28] & 3 == 3 else "<"
    try:
        (count,) = struct.unpack_from(order + "I", data, start + 20)
        paths: dict[str, tuple[str, ...]] = {}
        for index in range(count):
            at = start + _NEW_HEADER_BYTES + index * struct.calcsize(order + _NEW_ENTRY)
            _, name, path, _, _ = struct.unpack_from(order + _NEW_ENTRY, data, at)
            soname = _text(data, start + name)
            paths[soname] = (*paths.get(soname, ()), _text(data, start + path))
    except (struct.error, ValueError):
        return {}
    return paths


def _new_table(data: bytes) -> int | None:
    """Where the new format starts, which is also what its string offsets count from."""
    if data.startswith(_NEW_MAGIC):
        return 0
    if not data.startswith(_OLD_MAGIC) or len(data) < len(_OLD_MAGIC) + 4:
        return None
    (count,) = struct.unpack_from("<I", data, len(_OLD_MAGIC))
    end = len(_OLD_MAGIC) + 4 + count * _OLD_ENTRY_BYTES
    start = (end + 7) // 8 * 8
    return start if data.startswith(_NEW_MAGIC, start) else None


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("utf-8", "surrogateescape")
