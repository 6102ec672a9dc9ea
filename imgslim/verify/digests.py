"""Content digests of regular files, read in pieces: no file is ever whole in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imgslim.model import Entry, Keep
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf.sections import read_layout

_PIECE_BYTES = 1 << 20


def digest_of_bytes(data: bytes) -> str:
    """``sha256:`` and the hex digest, as the OCI image spec's descriptor.md writes digests."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_of_file(rootfs: Rootfs, entry: Entry) -> str:
    """The digest of a regular file's content; holes of a sparse one are zeros."""
    state = hashlib.sha256()
    for offset in range(0, entry.size_bytes, _PIECE_BYTES):
        state.update(rootfs.pread(entry, offset, _PIECE_BYTES))
    return f"sha256:{state.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Digests:
    """Of kept files by path: ``content`` the digest of what each has in the slim image before
    anything strips it, ``mapped`` of those that something may strip that of what is then left."""

    content: Mapping[str, str]
    mapped: Mapping[str, str]


def digest_of_mapped(rootfs: Rootfs, entry: Entry) -> str:
    """The digest of what a process maps of an ELF file; "" of what is none that can be read.

    Its mapped sections with their names and contents, and where its segments are loaded: what
    strip, binutils' or LLVM's, has to leave as it is. Headers and gaps between sections are
    written anew.
    """
    layout = read_layout(rootfs, entry)
    if layout is None:
        return ""
    state = hashlib.sha256(f"{layout.type} {layout.bits}\0".encode())
    for segment in layout.segments:
        state.update(f"{segment.address} {segment.is_writable}\0".encode())
    for section in layout.sections:
        if section.is_mapped:
            state.update(f"{section.name} {section.stored_bytes}\0".encode())
            for offset in range(section.offset, section.end, _PIECE_BYTES):
                size_bytes = min(_PIECE_BYTES, section.end - offset)
                state.update(rootfs.pread(entry, offset, size_bytes))
    return f"sha256:{state.hexdigest()}"


def digests_of_keeps(rootfs: Rootfs, keeps: Iterable[Keep]) -> Digests:
    """The digests of kept files in the slim image; names of one file are read once."""
    content: dict[str, str] = {}
    mapped: dict[str, str] = {}
    known: dict[int, str] = {}
    for keep in keeps:
        entry = keep.entry
        if not entry.is_file:
            continue
        if keep.content is not None:
            content[entry.path] = digest_of_bytes(keep.content)
            continue
        if entry.inode not in known:
            known[entry.inode] = digest_of_file(rootfs, entry)
        content[entry.path] = known[entry.inode]
        if keep.strip or keep.strippable:
            mapped[entry.path] = digest_of_mapped(rootfs, entry)
    return Digests(content, mapped)
