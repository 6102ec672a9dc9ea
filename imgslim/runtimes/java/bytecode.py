"""Methods of a class file: the strings that each loads and the methods that each calls.

Instructions are walked by their lengths (The Java Virtual Machine Specification, chapter 6), so
that operands are never taken for instructions; nothing is run.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from imgslim.runtimes.java.classfile import Pool, read_pool

_LDC, _LDC_W = 0x12, 0x13
_INVOKES = range(0xB6, 0xBA)
"""invokevirtual, invokespecial, invokestatic, invokeinterface."""

_TABLESWITCH, _LOOKUPSWITCH, _WIDE, _IINC = 0xAA, 0xAB, 0xC4, 0x84


def _lengths() -> bytes:
    """Bytes of each instruction with its operands; 0 for those of varying length (JVMS 6.5)."""
    lengths = bytearray([1] * 256)
    two = (0x10, 0x12, *range(0x15, 0x1A), *range(0x36, 0x3B), 0xA9, 0xBC)
    three = (0x11, 0x13, 0x14, 0x84, *range(0x99, 0xA9), *range(0xB2, 0xB9), 0xBB, 0xBD)
    three = (*three, 0xC0, 0xC1, 0xC6, 0xC7)
    for opcode in two:
        lengths[opcode] = 2
    for opcode in three:
        lengths[opcode] = 3
    lengths[0xC5] = 4
    for opcode in (0xB9, 0xBA, 0xC8, 0xC9):
        lengths[opcode] = 5
    for opcode in (_TABLESWITCH, _LOOKUPSWITCH, _WIDE):
        lengths[opcode] = 0
    return bytes(lengths)


_LENGTHS = _lengths()


@dataclass(frozen=True, slots=True)
class Method:
    """One method of ``owner`` (with slashes); ``calls`` are (class, name) pairs."""

    owner: str
    name: str
    strings: tuple[str, ...]
    calls: frozenset[tuple[str, str]]


def read_methods(data: bytes) -> tuple[Method, ...]:
    """The methods of a class file that have code; none of a damaged one."""
    try:
        pool, offset = read_pool(data)
        owner = pool.class_name(*struct.unpack_from(">H", data, offset + 2))
        (interfaces,) = struct.unpack_from(">H", data, offset + 6)
        offset = _skip_members(data, offset + 8 + 2 * interfaces)
        return tuple(_methods(data, offset, pool, owner))
    except (struct.error, LookupError):
        return ()


def _skip_members(data: bytes, offset: int) -> int:
    (count,) = struct.unpack_from(">H", data, offset)
    offset += 2
    for _ in range(count):
        (attributes,) = struct.unpack_from(">H", data, offset + 6)
        offset += 8
        for _ in range(attributes):
            offset += 6 + struct.unpack_from(">I", data, offset + 2)[0]
    return offset


def _methods(data: bytes, offset: int, pool: Pool, owner: str) -> Iterator[Method]:
    (count,) = struct.unpack_from(">H", data, offset)
    offset += 2
    for _ in range(count):
        name, _, attributes = struct.unpack_from(">HHH", data, offset + 2)
        offset += 8
        for _ in range(attributes):
            title, size = struct.unpack_from(">HI", data, offset)
            if pool.text(title) == "Code":
                (length,) = struct.unpack_from(">I", data, offset + 10)
                code = data[offset + 14 : offset + 14 + length]
                yield _method(code, pool, owner, pool.text(name))
            offset += 6 + size


def _method(code: bytes, pool: Pool, owner: str, name: str) -> Method:
    strings: list[str] = []
    calls: set[tuple[str, str]] = set()
    offset = 0
    while offset < len(code):
        opcode = code[offset]
        if opcode == _LDC:
            strings += pool.string(code[offset + 1])
        elif opcode == _LDC_W:
            strings += pool.string(*struct.unpack_from(">H", code, offset + 1))
        elif opcode in _INVOKES:
            calls.add(pool.member(*struct.unpack_from(">H", code, offset + 1)))
        offset += _LENGTHS[opcode] or _varying(code, offset)
    return Method(owner, name, tuple(dict.fromkeys(strings)), frozenset(calls))


def _varying(code: bytes, offset: int) -> int:
    """The length of a switch, padded to four bytes, or of a ``wide`` instruction."""
    opcode = code[offset]
    if opcode == _WIDE:
        return 6 if code[offset + 1] == _IINC else 4
    start = (offset + 4) & ~3
    if opcode == _LOOKUPSWITCH:
        return start + 8 + 8 * max(_number(code, start + 4), 0) - offset
    count = _number(code, start + 8) - _number(code, start + 4) + 1
    return start + 12 + 4 * max(count, 0) - offset


def _number(code: bytes, offset: int) -> int:
    return int.from_bytes(code[offset : offset + 4], "big", signed=True)
