"""The layout of an ELF file: its sections, its segments, and how much of the file they explain.

Sections are for linkers and debuggers; a program that was stripped of their headers has none
(System V ABI, gabi chapter 4, "Sections").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf.parse import ElfReader, damage, is_elf, open_file

_ALLOC, _EXECUTE = 2, 4
_SEGMENT_WRITE = 2
_NOBITS = 8
_DT_STRTAB = 5
_SECTION = {64: "IIQQQQIIQQ", 32: "10I"}
_DYNAMIC = {64: "qQ", 32: "iI"}
"""Elf64_Shdr and Elf32_Shdr, Elf64_Dyn and Elf32_Dyn."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section. Offset and size are bytes in the file; one without content takes none."""

    name: str
    type: int
    flags: int
    offset: int
    size: int
    alignment: int

    @property
    def is_mapped(self) -> bool:
        """Whether a process sees it: SHF_ALLOC."""
        return bool(self.flags & _ALLOC)

    @property
    def is_code(self) -> bool:
        return bool(self.flags & _EXECUTE)

    @property
    def has_content(self) -> bool:
        """Whether the file holds it: not SHT_NOBITS."""
        return self.type != _NOBITS

    @property
    def stored_bytes(self) -> int:
        return self.size if self.has_content else 0

    @property
    def end(self) -> int:
        return self.offset + self.stored_bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """One PT_LOAD segment: bytes of the file that are mapped at an address."""

    offset: int
    address: int
    size: int
    is_writable: bool

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Layout:
    """One ELF file as it lies on the disk. ``sections`` are without the first, empty one;
    ``header_end`` is where the ELF header ends, ``segments_at`` where the table of segments starts,
    ``end`` where the last thing that any header names ends. ``strings_at`` is where the dynamic
    string table lies in the file (-1: none)."""

    type: str
    bits: int
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    header_end: int
    segments_at: int
    end: int
    strings_at: int

    def named(self, name: str) -> Section | None:
        """The first section of that name."""
        return next((section for section in self.sections if section.name == name), None)

    @property
    def mapped_end(self) -> int:
        """Where what a process maps ends in the file."""
        return max((segment.end for segment in self.segments), default=self.header_end)


def read_layout(rootfs: Rootfs, entry: Entry) -> Layout | None:
    """The layout of a regular file of the image; None for what is not (readable) ELF."""
    if not is_elf(rootfs, entry):
        return None
    try:
        return _layout(ElfReader(open_file(rootfs, entry)))
    except damage():
        return None


def _layout(elf: ElfReader) -> Layout:
    header = elf.header
    sections = _sections(elf)
    segments = tuple(
        Segment(s["p_offset"], s["p_vaddr"], s["p_filesz"], bool(s["p_flags"] & _SEGMENT_WRITE))
        for s in elf.segments
        if s["p_type"] == "PT_LOAD"
    )
    ends = [
        header["e_ehsize"],
        header["e_phoff"] + header["e_phnum"] * header["e_phentsize"],
        header["e_shoff"] + header["e_shnum"] * header["e_shentsize"],
        *(section.end for section in sections),
        *(segment["p_offset"] + segment["p_filesz"] for segment in elf.segments),
    ]
    return Layout(
        type=str(header["e_type"]),
        bits=elf.bits,
        sections=sections,
        segments=segments,
        header_end=header["e_ehsize"],
        segments_at=header["e_phoff"],
        end=max(ends),
        strings_at=_strings_at(elf),
    )


def _sections(elf: ElfReader) -> tuple[Section, ...]:
    start, count = elf.header["e_shoff"], elf.header["e_shnum"]
    if not start or not count:
        return ()
    # By hand: there are thirty in each file, and pyelftools takes 40 us for one.
    rows = list(_rows(elf, start, count, _SECTION[elf.bits]))
    _, _, _, _, offset, size, *_ = rows[elf.header["e_shstrndx"]]
    names = elf.read(offset, size)
    return tuple(
        Section(
            name=names[name : names.index(b"\0", name)].decode("latin-1"),
            type=kind,
            flags=flags,
            offset=offset,
            size=size,
            alignment=alignment,
        )
        for name, kind, flags, _, offset, size, _, _, alignment, _ in rows[1:]
    )


def _strings_at(elf: ElfReader) -> int:
    for segment in elf.segments:
        if segment["p_type"] == "PT_DYNAMIC":
            format_ = _DYNAMIC[elf.bits]
            count = segment["p_filesz"] // struct.calcsize(f"={format_}")
            for tag, value in _rows(elf, segment["p_offset"], count, format_):
                if tag == _DT_STRTAB:
                    return elf.offset_of(value)
    return -1


def _rows(elf: ElfReader, start: int, count: int, format_: str) -> Iterator[tuple[int, ...]]:
    order = f"{'<' if elf.little_endian else '>'}{format_}"
    size = struct.calcsize(order)
    data = elf.read(start, count * size)
    return struct.iter_unpack(order, data[: len(data) // size * size])
