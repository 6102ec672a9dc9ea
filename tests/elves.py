"""Small ELF files made by hand, so that table tests need no compiler and no second architecture."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

X86_64, AARCH64, I386 = 62, 183, 3
GLIBC = "/lib64/ld-linux-x86-64.so.2"
MUSL = "/lib/ld-musl-x86_64.so.1"

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 10, 14, 15, 29
_DT_FLAGS_1 = 0x6FFFFFFB
_HEADER_BYTES, _SEGMENT_BYTES, _SEGMENTS = 64, 56, 5


def elf(
    *needed: str,
    interpreter: str = "",
    soname: str = "",
    rpath: str = "",
    runpath: str = "",
    imports: Sequence[str] = (),
    dlopens: Sequence[str] = (),
    machine: int = X86_64,
    flags: int = 0,
    static: bool = False,
    data: bytes = b"",
) -> bytes:
    """A 64-bit little-endian ELF file without sections, mapped at its file offsets.

    ``static`` leaves the dynamic segment out and makes it an ET_EXEC; ``data`` is a writable
    segment of its own, aligned to 16.
    """
    strings = b"\0"
    tags: list[tuple[int, int]] = []

    def add(tag: int, text: str) -> None:
        nonlocal strings
        tags.append((tag, len(strings)))
        strings += text.encode() + b"\0"

    for name in needed:
        add(_DT_NEEDED, name)
    for tag, text in ((_DT_SONAME, soname), (_DT_RPATH, rpath), (_DT_RUNPATH, runpath)):
        if text:
            add(tag, text)
    strings += b"".join(name.encode() + b"\0" for name in imports)
    note = _dlopen_note(dlopens) if dlopens else b""
    start = _HEADER_BYTES + _SEGMENT_BYTES * _SEGMENTS
    parts = {
        _PT_INTERP: interpreter.encode() + b"\0" if interpreter else b"",
        _PT_NOTE: note,
    }
    body, segments = b"", []
    for kind, content in parts.items():
        body += b"\0" * (-(start + len(body)) % 8)
        if content:
            segments.append((kind, 4, start + len(body), len(content)))
            body += content
    at = start + len(body)
    body += strings
    tags += [(_DT_STRTAB, at), (_DT_STRSZ, len(strings)), (_DT_FLAGS_1, flags), (0, 0)]
    body += b"\0" * (-(start + len(body)) % 16)
    if not static:
        dynamic = b"".join(struct.pack("<qQ", *tag) for tag in tags)
        segments.append((_PT_DYNAMIC, 6, start + len(body), len(dynamic)))
        body += dynamic
    body += b"\0" * (-(start + len(body)) % 16)
    text_size = start + len(body)
    if data:
        segments.append((_PT_LOAD, 6, text_size, len(data)))
    segments.insert(0, (_PT_LOAD, 5, 0, text_size))
    table = b"".join(
        struct.pack("<IIQQQQQQ", kind, rights, offset, offset, offset, size, size, 8)
        for kind, rights, offset, size in segments
    )
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        2 if static else 3,
        machine,
        1,
        0,
        _HEADER_BYTES,
        0,
        0,
        _HEADER_BYTES,
        _SEGMENT_BYTES,
        len(segments),
        64,
        0,
        0,
    )
    return header + table.ljust(_SEGMENT_BYTES * _SEGMENTS, b"\0") + body + data


def _dlopen_note(sonames: Sequence[str]) -> bytes:
    payload = json.dumps([{"soname": list(sonames), "priority": "recommended"}]).encode() + b"\0"
    padded = payload + b"\0" * (-len(payload) % 4)
    return struct.pack("<III", 4, len(payload), 0x407C0C0A) + b"FDO\0" + padded
