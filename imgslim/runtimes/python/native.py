"""The modules that a compiled extension imports, as far as the names in it tell.

Code in C imports by name (PyImport_ImportModule), and so does what Cython, mypyc and pyo3 make of
Python. The names stand in the file as text: ended by a NUL, or, by Cython 3.2 and later, all
strings of a module one after the other without anything between them, perhaps compressed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf.sections import read_layout
from imgslim.runtimes.python.cython_strings import cython_tables
from imgslim.runtimes.python.modules import ModuleIndex
from imgslim.runtimes.python.tables import tight

_NAME = re.compile(rb"[A-Za-z_]\w*")
_DOTTED = re.compile(rb"([A-Za-z_]\w{0,59})\.(?=([A-Za-z_][\w.]{0,150}))")
_LEADING_DOTS = re.compile(rb"(?<!\.)(\.{1,5})([A-Za-z_][\w.]*)")
_CONSTANTS = (".rodata", ".data", ".init_array", ".tbss")
_LARGEST_BYTES = 64 << 20
"""Constants read of one extension; what is linked in beside them can be more."""

_LONGEST = 60
"""Letters of a text beyond which it may be several names."""

_SHORTEST_TABLE = 4000
"""Bytes from which a text with spaces may be a table of strings."""

_SHORTEST = 4
"""Letters of a sibling's name that is looked for in the middle of other text."""


@dataclass(frozen=True, slots=True)
class Words:
    """The text in an extension's constants: whole words, both sides of every dot within a name
    (perhaps with more glued to their ends), and each longer text."""

    words: frozenset[str]
    dotted: frozenset[tuple[str, str]]
    texts: tuple[bytes, ...]
    tables: tuple[bytes, ...] = ()
    """Those of ``texts`` that are Cython's tables of names, one after the other."""


def read_words(rootfs: Rootfs, entry: Entry) -> Words:
    """The words in the constants of an ELF file; none of what is no such file."""
    words: set[bytes] = set()
    dotted: set[tuple[bytes, bytes]] = set()
    texts: list[bytes] = []
    found: list[bytes] = []
    for constants in _constants(rootfs, entry):
        tables = list(cython_tables(constants))
        found += tables
        for text in (*constants.split(b"\0"), *tables):
            if len(text) < 2 or not (text.isascii() or text in tables):
                continue
            if _NAME.fullmatch(text):
                words.add(text)
            elif b" " in text and len(text) < _SHORTEST_TABLE and text not in tables:
                continue  # a message or documentation
            elif b"." in text:
                dotted.update(_DOTTED.findall(text))
            if len(text) > _LONGEST:
                texts.append(text)
    pairs = ((first.decode("ascii"), rest.decode("ascii")) for first, rest in dotted)
    names = frozenset(w.decode("ascii") for w in words)
    return Words(names, frozenset(pairs), tuple(texts), tuple(found))


def _constants(rootfs: Rootfs, entry: Entry) -> Iterator[bytes]:
    """What an ELF file has of constants; all of it where it has no sections."""
    layout = read_layout(rootfs, entry)
    if layout is None:
        return
    places = [
        (section.offset, section.size)
        for section in layout.sections
        if section.name.startswith(_CONSTANTS) and section.has_content
    ]
    for offset, size in places if layout.sections else [(0, entry.size_bytes)]:
        yield rootfs.pread(entry, offset, min(size, _LARGEST_BYTES))


def native_imports(
    index: ModuleIndex, found: Words, name: str, required: Iterable[str] = ()
) -> Iterator[str]:
    """The modules that the extension module ``name`` with the words ``found`` may import: those
    of the standard library, of other packages by their full names, and its own package's.

    ``required`` are the top-level names of what its distribution requires: they are looked for in
    the middle of other text as well.
    """
    package = name.rpartition(".")[0]
    yield from sorted(found.words & index.stdlib)
    for top in sorted(index.stdlib - tight().tools):
        if any(top.encode() in table for table in found.tables):
            yield top
    yield from sorted(top for top in found.words & index.providers.keys() if len(top) >= _SHORTEST)
    for top in required:
        if any(top.encode() in text for text in found.texts):
            yield top
    tops = {top for top in index.providers if len(top) >= _SHORTEST}
    for first, rest in sorted(found.dotted):
        yield from _absolute(index, first, rest, tops)
        yield from _relative(index, first, rest, package)
    for source in dict.fromkeys((package, *_dotted_relatives(index, found, name))):
        yield source
        for member in sorted(_members(index, source)) if source else ():
            glued = len(member) >= _SHORTEST and any(member.encode() in t for t in found.texts)
            if member in found.words or glued:
                yield f"{source}.{member}"


def _dotted_relatives(index: ModuleIndex, found: Words, name: str) -> Iterator[str]:
    """``from ..utils import x`` by Cython 3.3: the name with its dots, then the members' names."""
    for text in found.texts:
        for dots, rest in set(_LEADING_DOTS.findall(text)):
            above = name.split(".")[: -len(dots)]
            if above:
                source = _longest(index, ".".join(above), rest.decode("ascii"))
                if source.count(".") >= len(above):
                    yield source


def _absolute(index: ModuleIndex, first: str, rest: str, tops: set[str]) -> Iterator[str]:
    if first in index.stdlib:
        yield f"{first}.{rest}"
    if first in index.providers:
        yield _longest(index, first, rest)
    for start in range(1, len(first)):
        if first[start:] in tops:
            yield _longest(index, first[start:], rest)


def _relative(index: ModuleIndex, first: str, rest: str, package: str) -> Iterator[str]:
    """``from ..utils import x`` holds the name without its dots: tried from each package around."""
    while package:
        if first in _members(index, package):
            found = _longest(index, f"{package}.{first}", rest)
            if found.count(".") > package.count(".") + 1:
                yield found
        package = package.rpartition(".")[0]


def _longest(index: ModuleIndex, module: str, rest: str) -> str:
    """The deepest module below ``module`` that the text ``rest``, perhaps with more glued to its
    end, can mean."""
    for part in rest.split("."):
        members = _members(index, module)
        if part in members:
            module = f"{module}.{part}"
            continue
        glued = [member for member in members if part.startswith(member)]
        return f"{module}.{max(glued, key=len)}" if glued else module
    return module


def _members(index: ModuleIndex, package: str) -> frozenset[str]:
    known = index.member_names.get(package)
    if known is None:
        known = index.member_names[package] = frozenset(index.members(package))
    return known
