"""The container of the JDK's own classes, ``lib/modules``: which module holds what.

The format is the JDK's own (JEP 220; OpenJDK, src/java.base/share/classes/jdk/internal/jimage,
BasicImageReader, ImageHeader, ImageLocation): a header, tables of hashes and offsets, locations as
streams of attributes, strings, then the content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.java.classfile import required_modules

_MAGIC = 0xCAFEDADA
_HEADER_BYTES = 28
_VERSION = 0x10000
"""Major 1, minor 0: the only one so far (ImageHeader)."""

_END, _MODULE, _PARENT, _BASE, _EXTENSION, _OFFSET, _COMPRESSED, _UNCOMPRESSED = range(8)
_LARGEST_INDEX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class SystemModules:
    """The modules of one image: their bytes in it, the module of each package (with slashes), and
    what each requires. ``requires`` is empty where the image is compressed."""

    sizes_bytes: dict[str, int]
    packages: dict[str, str]
    requires: dict[str, tuple[str, ...]]

    def closure(self, modules: set[str]) -> set[str]:
        """``modules`` that are in the image, with all that they require."""
        found: set[str] = set()
        pending = [module for module in modules if module in self.sizes_bytes]
        while pending:
            module = pending.pop()
            if module not in found:
                found.add(module)
                pending += self.requires.get(module, ())
        return found & self.sizes_bytes.keys()


@dataclass(frozen=True, slots=True)
class _Location:
    """One resource: where its content starts behind the index, its bytes stored and as they are."""

    module: str
    parent: str
    name: str
    offset: int
    compressed_bytes: int
    size_bytes: int


def read_modules(rootfs: Rootfs, entry: Entry) -> SystemModules | None:
    """The modules in a ``lib/modules`` file; None for another format or a damaged file."""
    head = rootfs.read_bytes(entry, _HEADER_BYTES)
    if len(head) < _HEADER_BYTES:
        return None
    order = next((o for o in "<>" if struct.unpack_from(f"{o}I", head)[0] == _MAGIC), "")
    if not order:
        return None
    _, version, _, _, length, locations, strings = struct.unpack(f"{order}7I", head)
    size = _HEADER_BYTES + 8 * length + locations + strings
    if version != _VERSION or size > min(entry.size_bytes, _LARGEST_INDEX_BYTES):
        return None
    index = rootfs.pread(entry, 0, size)
    try:
        found = list(_locations(index, order, length, locations))
    except (struct.error, LookupError):
        return None
    return _collected(rootfs, entry, size, found)


def _locations(index: bytes, order: str, length: int, size: int) -> Iterator[_Location]:
    start = _HEADER_BYTES + 8 * length
    strings = index[start + size :]
    offsets = struct.unpack_from(f"{order}{length}I", index, _HEADER_BYTES + 4 * length)
    for offset in offsets:
        values = _attributes(index, start + offset)
        yield _Location(
            _text(strings, values.get(_MODULE, 0)),
            _text(strings, values.get(_PARENT, 0)),
            f"{_text(strings, values.get(_BASE, 0))}.{_text(strings, values.get(_EXTENSION, 0))}",
            values.get(_OFFSET, 0),
            values.get(_COMPRESSED, 0),
            values.get(_UNCOMPRESSED, 0),
        )


def _attributes(index: bytes, offset: int) -> dict[int, int]:
    """Each attribute is a byte of kind and length, then a big-endian number (ImageLocation)."""
    values: dict[int, int] = {}
    while index[offset] >> 3 != _END:
        size = (index[offset] & 7) + 1
        values[index[offset] >> 3] = int.from_bytes(index[offset + 1 : offset + 1 + size], "big")
        offset += 1 + size
    return values


def _text(strings: bytes, offset: int) -> str:
    return strings[offset : strings.index(b"\0", offset)].decode("utf-8", "replace")


def _collected(
    rootfs: Rootfs, entry: Entry, start: int, locations: list[_Location]
) -> SystemModules:
    sizes: dict[str, int] = {}
    packages: dict[str, str] = {}
    requires: dict[str, tuple[str, ...]] = {}
    for place in locations:
        if not place.module or place.module in ("modules", "packages"):
            continue
        stored = place.compressed_bytes or place.size_bytes
        sizes[place.module] = sizes.get(place.module, 0) + stored
        if place.name.endswith(".class") and place.parent:
            packages[place.parent] = place.module
        if place.name == "module-info.class" and not place.compressed_bytes:
            content = rootfs.pread(entry, start + place.offset, place.size_bytes)
            try:
                requires[place.module] = required_modules(content)
            except ValueError:
                continue
    return SystemModules(sizes, packages, requires)
