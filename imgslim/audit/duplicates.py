"""The same content stored several times, at several paths or in several layers."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from imgslim.audit.model import Copy, Duplicate
from imgslim.audit.stored import Names
from imgslim.layers import OnProgress
from imgslim.model import Entry
from imgslim.rootfs import Rootfs

_HEAD_BYTES = 4096
"""Of files of one size, the first bytes are compared before the rest is read."""

_CHUNK_BYTES = 1 << 20
_PROGRESS_STEP = 64


def find_duplicates(
    stored: Iterable[Entry],
    names: Names,
    rootfs: Rootfs,
    on_progress: OnProgress | None = None,
) -> tuple[Duplicate, ...]:
    """Groups of stored files with the same content, by what all copies but one take.

    Hard links are one stored file. Empty files are no duplicates. Contents are read only where
    sizes are equal, and beyond their first bytes only where these are.
    """
    by_size: dict[int, list[Entry]] = defaultdict(list)
    for entry in stored:
        if entry.size_bytes:
            by_size[entry.size_bytes].append(entry)
    alike = [entries for entries in by_size.values() if len(entries) > 1]
    by_size.clear()
    groups = []
    for done, entries in enumerate(alike):
        if on_progress and done % _PROGRESS_STEP == 0:
            on_progress("comparing contents", done, len(alike))
        groups += [_duplicate(same, names) for same in _same(entries, rootfs)]
    return tuple(sorted(groups, key=_rank))


def _rank(group: Duplicate) -> tuple[int, int, str]:
    return -group.size_bytes * (len(group.copies) - 1), -group.size_bytes, group.copies[0].path


def _same(entries: Sequence[Entry], rootfs: Rootfs) -> Iterator[list[Entry]]:
    by_head: dict[bytes, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_head[rootfs.read_bytes(entry, _HEAD_BYTES)].append(entry)
    for head in by_head.values():
        if len(head) < 2:
            continue
        if head[0].size_bytes <= _HEAD_BYTES:
            yield head
            continue
        by_digest: dict[bytes, list[Entry]] = defaultdict(list)
        for entry in head:
            by_digest[_digest(entry, rootfs)].append(entry)
        yield from (same for same in by_digest.values() if len(same) > 1)


def _digest(entry: Entry, rootfs: Rootfs) -> bytes:
    digest = hashlib.sha256(usedforsecurity=False)
    for start in range(0, entry.size_bytes, _CHUNK_BYTES):
        digest.update(rootfs.pread(entry, start, _CHUNK_BYTES))
    return digest.digest()


def _duplicate(same: Sequence[Entry], names: Names) -> Duplicate:
    copies = []
    for entry in same:
        found = names.of(entry)
        copies.append(Copy(found[0] if found else entry.path, entry.layer_index, not found))
    copies.sort(key=lambda copy: (copy.hidden, copy.path, copy.layer_index))
    return Duplicate(same[0].size_bytes, tuple(copies))
