"""Content digests of regular files, read in pieces: no file is ever whole in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from imgslim.model import Entry, Keep
from imgslim.rootfs import Rootfs

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


def digests_of_keeps(rootfs: Rootfs, keeps: Iterable[Keep]) -> dict[str, str]:
    """The digest that each kept file has in the slim image, by path; names of one file are read
    once. A file that the build strips has none: nobody knows its bytes before."""
    digests: dict[str, str] = {}
    known: dict[tuple[int, int], str] = {}
    for keep in keeps:
        entry = keep.entry
        if not entry.is_file or keep.strip:
            continue
        if keep.content is not None:
            digests[entry.path] = digest_of_bytes(keep.content)
            continue
        if entry.inode not in known:
            known[entry.inode] = digest_of_file(rootfs, entry)
        digests[entry.path] = known[entry.inode]
    return digests
