"""Pickles: loading one imports the modules of the objects in it, which no source may name.

A model that scikit-learn wrote is opened by joblib alone; Babel's locales are pickles.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.python.search import Source
from imgslim.runtimes.python.tables import hidden

_PROTOCOL = re.compile(rb"\x80[\x02-\x05]")
"""How each pickle since protocol 2 starts (Lib/pickletools.py, opcode PROTO)."""

_GLOBAL = re.compile(rb"c([A-Za-z_][\w.]*)\n[A-Za-z_][\w.]*\n")
"""The opcode GLOBAL: module and name, a line each."""

_STACK_GLOBAL = re.compile(rb"\x8c.([A-Za-z_][\w.]*)\x94?\x8c.[A-Za-z_][\w.]*\x94?\x93", re.DOTALL)
"""The opcode STACK_GLOBAL (protocol 4) after its two short strings."""

_FORMS = (_GLOBAL, _STACK_GLOBAL)


class Decompressor(Protocol):
    """Of zlib, bz2 and lzma alike."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_PACKED: tuple[tuple[bytes, Callable[[], Decompressor]], ...] = (
    *((start, zlib.decompressobj) for start in (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")),
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ", lzma.LZMADecompressor),
    (b"]\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE)),
)
"""How compressed pickles start, and what opens them (joblib/compressor.py)."""

_HEAD_BYTES = 8
_LARGEST_BYTES = 64 * 2**20
"""What of a file is looked through: the first object of a class comes before its many numbers."""


def pickle_sources(rootfs: Rootfs, entry: Entry, *, own: bool) -> Iterator[Source]:
    """What loading a regular file as a pickle imports, as code. Those that are not the user's
    ``own`` are looked into by their names."""
    if own:
        may_be_one = not entry.path.endswith(hidden().pickle_texts)
    else:
        may_be_one = entry.path.endswith(hidden().pickle_suffixes)
    modules = sorted(pickled_modules(rootfs, entry)) if may_be_one else []
    if modules:
        text = "".join(f"import {module}\n" for module in modules)
        yield Source(entry.path, None, text.encode(), own)


def pickled_modules(rootfs: Rootfs, entry: Entry) -> set[str]:
    """The modules that loading a regular file imports; none for one that is no pickle, be it bare
    or compressed as joblib does (joblib docs, "Persistence")."""
    start = rootfs.pread(entry, 0, _HEAD_BYTES)
    opened = next((opener for magic, opener in _PACKED if start.startswith(magic)), None)
    if opened is None and not _PROTOCOL.match(start):
        return set()
    data = _unpacked(rootfs.read_bytes(entry, _LARGEST_BYTES), opened)
    if not _PROTOCOL.match(data):
        return set()
    named = {match[1].decode() for form in _FORMS for match in form.finditer(data)}
    return named - {"__main__"}


def _unpacked(data: bytes, opener: Callable[[], Decompressor] | None) -> bytes:
    try:
        return data if opener is None else opener().decompress(data, _LARGEST_BYTES)
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
        return b""
