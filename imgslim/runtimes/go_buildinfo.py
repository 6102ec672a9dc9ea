"""What a Go binary says about its own build, as Go's debug/buildinfo reads it.

Both formats: strings inline behind the header (Go 1.18 and later), and pointers to Go strings
(before). Checked against `go version -m`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf.parse import ElfReader, damage, is_elf, open_file

_MAGIC = b"\xff Go buildinf:"
_ALIGN = 16
_HEADER_BYTES = 32
_CHUNK_BYTES = 1 << 20
_LARGEST_STRING_BYTES = 16 << 20
_FRAME_BYTES = 16
"""Module data stands between two markers of this size (cmd/go/internal/modload, infoStart)."""


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """``version`` as ``go1.26.8``; ``path`` of the main package; ``module`` of the main module
    ("" without modules) and ``module_version``; ``dependencies`` as (module, version or replacement
    directory); ``settings`` by key."""

    version: str
    path: str
    module: str
    dependencies: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    module_version: str = ""

    def setting(self, key: str) -> str:
        return dict(self.settings).get(key, "")


def read_build_info(rootfs: Rootfs, entry: Entry) -> BuildInfo | None:
    """The build information of an ELF binary, None when it is not one of Go's."""
    if not is_elf(rootfs, entry):
        return None
    try:
        raw = _read_raw(_Binary(ElfReader(open_file(rootfs, entry))))
    except damage():
        return None
    return parse_build_info(*raw) if raw and raw[0] else None


def parse_build_info(version: str, text: str) -> BuildInfo:
    """Parse the module text: tab-separated rows ``path``, ``mod``, ``dep``, ``=>``, ``build``
    (runtime/debug, ParseBuildInfo)."""
    path = module = module_version = ""
    dependencies: list[tuple[str, str]] = []
    settings: list[tuple[str, str]] = []
    for line in text.splitlines():
        word, *fields = line.split("\t")
        fields += [""] * (2 - len(fields))
        match word:
            case "path":
                path = fields[0]
            case "mod":
                module, module_version = fields[:2]
            case "dep":
                dependencies.append((fields[0], fields[1]))
            case "=>" if dependencies:
                dependencies[-1] = (dependencies[-1][0], fields[0])
            case "build":
                key, _, value = fields[0].partition("=")
                settings.append((key, value.strip('"')))
    return BuildInfo(version, path, module, tuple(dependencies), tuple(settings), module_version)


class _Binary:
    """An ELF file by virtual addresses: what the format's pointers and offsets count in."""

    def __init__(self, elf: ElfReader) -> None:
        self._elf = elf

    def data_range(self) -> tuple[int, int]:
        """(address, bytes) that should hold the build information: its own section (Go's linker
        makes one since 1.13), and only without any sections the first writable data segment."""
        sections = self._elf.sections()
        if sections:
            return next(self._named(sections, ".go.buildinfo"), (0, 0))
        for segment in self._elf.segments:
            if segment["p_type"] == "PT_LOAD" and segment["p_flags"] & 3 == 2:
                return segment["p_vaddr"], segment["p_filesz"]
        return 0, 0

    def _named(self, sections: list[Any], name: str) -> Iterator[tuple[int, int]]:
        table = sections[self._elf.header["e_shstrndx"]]
        strings = self._elf.read(table["sh_offset"], table["sh_size"])
        for section in sections:
            if strings.startswith(name.encode() + b"\0", section["sh_name"]):
                yield section["sh_addr"], section["sh_size"]

    def read(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes at an address. Raises LookupError when nothing is mapped there."""
        return self._elf.read(self._elf.offset_of(address), min(size, _LARGEST_STRING_BYTES))


def _read_raw(binary: _Binary) -> tuple[str, str] | None:
    """(version, module text without its frame), or None without build information."""
    start, size = binary.data_range()
    address = _find_magic(binary, start, size)
    if address is None:
        return None
    header = binary.read(address, _HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        return None
    if header[15] & 2:
        version, address = _inline_string(binary, address + _HEADER_BYTES)
        module, _ = _inline_string(binary, address)
    else:
        order: Any = "big" if header[15] & 1 else "little"
        width = header[14]
        if width not in (4, 8):
            return None

        def pointer(raw: bytes) -> int:
            return int.from_bytes(raw[:width], order)

        version = _go_string(binary, pointer(header[16:]), width, pointer)
        module = _go_string(binary, pointer(header[16 + width :]), width, pointer)
    framed = len(module) > 2 * _FRAME_BYTES and module[-_FRAME_BYTES - 1 : -_FRAME_BYTES] == b"\n"
    text = module[_FRAME_BYTES:-_FRAME_BYTES] if framed else b""
    return version.decode("utf-8", "replace"), text.decode("utf-8", "replace")


def _find_magic(binary: _Binary, start: int, size: int) -> int | None:
    """The first aligned magic in a range: aligned, it never lies across two chunks."""
    begin = -(-start // _ALIGN) * _ALIGN
    while begin < start + size:
        chunk = binary.read(begin, min(_CHUNK_BYTES, start + size - begin))
        at = chunk.find(_MAGIC)
        while at >= 0:
            if at % _ALIGN == 0:
                return begin + at
            at = chunk.find(_MAGIC, at + 1)
        begin += _CHUNK_BYTES
    return None


def _inline_string(binary: _Binary, address: int) -> tuple[bytes, int]:
    """A string behind its length as a varint, and the address after it."""
    length = shift = 0
    for byte in binary.read(address, 10):
        address += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return (binary.read(address, length) if length else b""), address + length


def _go_string(binary: _Binary, address: int, width: int, pointer: Callable[[bytes], int]) -> bytes:
    if not address:
        return b""
    header = binary.read(address, 2 * width)
    length = pointer(header[width:])
    return binary.read(pointer(header), length) if length else b""
