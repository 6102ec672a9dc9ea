"""Names of files in the strings of an ELF file: what it may open without a header saying so.

Only what lies in mapped sections that hold no code is read: constants of the program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf.sections import Layout

_MOST_BYTES = 128 << 20
"""Constants read of one file; data that is linked in (a model, an archive) can be more."""

_PART_BYTES = 4 << 20
_LONGEST_NAME_BYTES = 512

_NO_STRINGS = (".eh_frame", ".gcc_except_table", ".gopclntab", ".rela", ".dyn", ".hash", ".gnu")
"""Sections of numbers, and the loader's own tables: what is imported is known from elsewhere."""

_SUFFIX = re.compile(rb"\.so")
_REST = re.compile(rb"\.so[\w.%]*")
_STEM = re.compile(rb"[\w.+%-]+\Z")
_LIBRARY = re.compile(rb"lib[A-Za-z0-9_+-]+\Z")
"""The end of a longer text: Rust and Go store strings one after the other, without an end."""

_NAME = re.compile(rb"[\w.+-]+\.so(?:\.\d+)*")
_VERSION = re.compile(rb"\.so(?:\.\d+)*")
_FORMAT = re.compile(rb"[\w.+-]{5,}%[\w.+%-]*\.so[\w.%]*")
"""A printf(3) format of a shared object's name with enough of it to tell whose it is."""

_CONVERSION = re.compile(r"%[-+ 0#]*\d*(?:\.\d+)?(?:hh|h|ll|l|z)?[a-z]")
_PATH = re.compile(rb"/[!-~]{2,250}\0")
_PRINTABLE = range(0x21, 0x7F)


@dataclass(frozen=True, slots=True)
class Strings:
    """``names`` of shared objects, ``globs`` of such names, and absolute ``paths``."""

    names: frozenset[str]
    globs: frozenset[str]
    paths: frozenset[str]


def read_strings(rootfs: Rootfs, entry: Entry, layout: Layout) -> Strings:
    """The names in the constants of a regular file; the whole of it where it has no sections."""
    names: set[bytes] = set()
    paths: set[bytes] = set()
    for data in constants(rootfs, entry, layout):
        names.update(_shared_objects(data))
        paths.update(_absolute(data))
    formats = {name for name in names if b"%" in name}
    globs = (_CONVERSION.sub("*", text) for text in _texts(formats))
    return Strings(
        frozenset(_texts(names - formats)),
        frozenset(glob for glob in globs if "%" not in glob),
        frozenset(_texts(paths)),
    )


def _shared_objects(data: bytes) -> Iterator[bytes]:
    """Names of shared objects, and formats of such names, found by their ``.so``: searching for
    a constant is ten times as fast as trying each word."""
    for suffix in _SUFFIX.finditer(data):
        start = suffix.start()
        stem = _STEM.search(data[max(0, start - _LONGEST_NAME_BYTES) : start])
        if stem is None:
            continue
        begin, end = start - len(stem[0]), _end(_REST, data, start)
        if data[end : end + 1] == b"\0" and (begin == 0 or data[begin - 1] not in _PRINTABLE):
            word = data[begin:end]
            if _NAME.fullmatch(word) or _FORMAT.fullmatch(word):
                yield word
                continue
        if library := _LIBRARY.search(stem[0]):
            yield library[0] + data[start : _end(_VERSION, data, start)]


def _end(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    match = pattern.match(data, start)
    return match.end() if match is not None else start


def _absolute(data: bytes) -> Iterator[bytes]:
    for path in _PATH.finditer(data):
        if path.start() == 0 or data[path.start() - 1] not in _PRINTABLE:
            yield path[0][:-1]


def _texts(found: Iterable[bytes]) -> Iterator[str]:
    return (text.decode("ascii") for text in found if text.isascii())


def constants(rootfs: Rootfs, entry: Entry, layout: Layout) -> Iterator[bytes]:
    """The constants of a program in pieces that overlap by the length of a name, so that none is
    cut."""
    left = _MOST_BYTES
    for start, end in _ranges(layout):
        end = min(end, start + left)
        left -= max(0, end - start)
        while start < end:
            size = min(_PART_BYTES, end - start)
            yield rootfs.pread(entry, start, size + _LONGEST_NAME_BYTES)
            start += size


def _ranges(layout: Layout) -> list[tuple[int, int]]:
    if not layout.sections:
        return [(segment.offset, segment.end) for segment in layout.segments]
    return [
        (section.offset, section.end)
        for section in layout.sections
        if section.is_mapped and not section.is_code and not section.name.startswith(_NO_STRINGS)
    ]
