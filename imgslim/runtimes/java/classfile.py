"""What a class file says in its constant pool (The Java Virtual Machine Specification, chapter 4).

Only names and strings are read; no code is. A damaged file says nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\xca\xfe\xba\xbe"

_UTF8, _STRING, _MODULE = 1, 8, 19
_SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4}
_SIZES |= {19: 2, 20: 2}
"""Bytes of each kind of constant after its tag (JVMS table 4.4-A)."""

_WIDE = frozenset((5, 6))
"""Constants that count for two (JVMS 4.4.5)."""

_STATIC_PHASE = 0x0040
"""A ``requires static``: needed to compile, not to run (JVMS 4.7.25)."""

_SYSTEM_CLASS = re.compile(
    rb"(?:java|javax|jdk|sun|com[/.]sun|org[/.]ietf[/.]jgss|netscape[/.]javascript)[/.]"
    rb"(?:[a-z_0-9]+[/.])*[A-Z][\w$]*"
)
"""Classes of the JDK in internal form (JVMS 4.2.1), and as ``Class.forName`` takes them: after the
packages a capital, which tells them from properties (``java.awt.headless``)."""

_PATH = re.compile(rb"\x01([\x00-\x0f][\x00-\xff])(/[a-z][!-~]*/[ -~]+)", re.DOTALL)


def system_classes(data: bytes) -> Iterator[str]:
    """The JDK's classes that a class file or a text names, with slashes: ``java/util/List``."""
    for name in _SYSTEM_CLASS.findall(data):
        yield name.decode("ascii", "replace").replace(".", "/")


def absolute_paths(data: bytes) -> Iterator[str]:
    """The UTF-8 constants that start as an absolute path of two parts or more does."""
    for match in _PATH.finditer(data):
        (size,) = struct.unpack(">H", match[1])
        yield match[2][:size].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Pool:
    """A constant pool: by index the tag of each constant and the bytes after it. Its methods
    raise LookupError for an index that holds nothing of the kind."""

    constants: dict[int, tuple[int, bytes]]

    def text(self, index: int) -> str:
        """A modified UTF-8 constant."""
        tag, value = self.constants[index]
        if tag != _UTF8:
            raise LookupError(index)
        return value.decode("utf-8", "replace")

    def class_name(self, index: int) -> str:
        """The name of a class, with slashes, or of a module."""
        return self.text(_index(self.constants[index][1]))

    def member(self, index: int) -> tuple[str, str]:
        """The class and the name of a method that code refers to."""
        value = self.constants[index][1]
        name = self.constants[_index(value[2:])][1]
        return self.class_name(_index(value)), self.text(_index(name))

    def string(self, index: int) -> tuple[str, ...]:
        """The string at an index that code loads from; nothing for another constant."""
        tag, value = self.constants[index]
        return (self.text(_index(value)),) if tag == _STRING else ()

    @property
    def strings(self) -> tuple[str, ...]:
        return tuple(text for index in self.constants for text in self.string(index))


def read_strings(data: bytes) -> tuple[str, ...]:
    """The strings that a class file's code loads; nothing for what is none."""
    try:
        pool, _ = read_pool(data)
        return pool.strings
    except (struct.error, LookupError):
        return ()


def required_modules(data: bytes) -> tuple[str, ...]:
    """The modules that a ``module-info.class`` requires to run (JVMS 4.7.25); empty for a class
    without a Module attribute. Raises ValueError for a damaged one."""
    try:
        pool, offset = read_pool(data)
        attribute = _module_attribute(data, offset, pool)
        return tuple(_requires(attribute, pool)) if attribute else ()
    except (struct.error, LookupError) as error:
        raise ValueError("damaged module-info.class") from error


def read_pool(data: bytes) -> tuple[Pool, int]:
    """The constants of a class file, and the offset of what follows them. Raises LookupError or
    struct.error for a damaged one."""
    if not data.startswith(MAGIC):
        raise LookupError("not a class file")
    (count,) = struct.unpack_from(">H", data, 8)
    offset, index = 10, 1
    pool: dict[int, tuple[int, bytes]] = {}
    while index < count:
        tag = data[offset]
        start = offset + 1
        if tag == _UTF8:
            start += 2
            size = struct.unpack_from(">H", data, offset + 1)[0]
        else:
            size = _SIZES[tag]
        pool[index] = (tag, data[start : start + size])
        offset = start + size
        index += 2 if tag in _WIDE else 1
    return Pool(pool), offset


def _index(value: bytes) -> int:
    return int.from_bytes(value[:2], "big")


def _module_attribute(data: bytes, offset: int, pool: Pool) -> bytes:
    """A module's class has no interfaces, fields and methods (JVMS 4.1)."""
    (attributes,) = struct.unpack_from(">H", data, offset + 12)
    offset += 14
    for _ in range(attributes):
        name, size = struct.unpack_from(">HI", data, offset)
        offset += 6
        if pool.text(name) == "Module":
            return data[offset : offset + size]
        offset += size
    return b""


def _requires(attribute: bytes, pool: Pool) -> Iterator[str]:
    (count,) = struct.unpack_from(">H", attribute, 6)
    for number in range(count):
        index, flags, _ = struct.unpack_from(">HHH", attribute, 8 + 6 * number)
        if pool.constants[index][0] == _MODULE and not flags & _STATIC_PHASE:
            yield pool.class_name(index)
