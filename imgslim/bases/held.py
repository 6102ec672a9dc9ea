"""Which entries of a plan another image has already, exactly as they are to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from imgslim.model import Entry, Keep
from imgslim.rootfs import Rootfs

_CHUNK_BYTES = 1 << 20

_SOURCE = ".py"


def held_paths(rootfs: Rootfs, keeps: Iterable[Keep], base: Rootfs) -> frozenset[str]:
    """The paths of ``keeps`` (of ``rootfs``) at which ``base`` has the same: kind, mode, owner,
    size, content, link target, extended attributes, and hard-link partners.

    Times may differ: no program can tell one build of a package from another by them. The one
    exception is a Python source with bytecode beside it, which holds the source's time (PEP 552,
    timestamp-based): a differing one would be compiled at each start.
    """
    rows = list(keeps)
    held = {keep.entry.path for keep in rows if _is_held(rootfs, keep, base)}
    bytecode = {_source_of(path) for path in (*(k.entry.path for k in rows), *base.entries)}
    for keep in rows:
        path = keep.entry.path
        if path in held and path in bytecode and path.endswith(_SOURCE):
            other = base.entries[path]
            if int(other.mtime) != int(keep.entry.mtime):
                held.discard(path)
    for names in _linked(rows):
        inodes = {base.entries[path].inode for path in names if path in held}
        if len(inodes) != 1 or not held.issuperset(names):
            held.difference_update(names)
    return frozenset(held)


def _is_held(rootfs: Rootfs, keep: Keep, base: Rootfs) -> bool:
    entry, other = keep.entry, base.entries.get(keep.entry.path)
    if other is None or keep.strip or _facts(entry) != _facts(other):
        return False
    if not entry.is_file:
        return True
    if keep.content is not None:
        return other.size_bytes == len(keep.content) and base.read_bytes(other) == keep.content
    return entry.size_bytes == other.size_bytes and _same_content(rootfs, entry, base, other)


def _facts(entry: Entry) -> tuple[object, ...]:
    return (
        entry.kind,
        entry.mode if not entry.is_symlink else 0,
        entry.uid,
        entry.gid,
        entry.link_target,
        entry.device,
        frozenset(entry.xattrs),
    )


def _same_content(rootfs: Rootfs, entry: Entry, base: Rootfs, other: Entry) -> bool:
    offsets = range(0, entry.size_bytes, _CHUNK_BYTES)
    return all(
        rootfs.pread(entry, start, _CHUNK_BYTES) == base.pread(other, start, _CHUNK_BYTES)
        for start in offsets
    )


def _source_of(path: str) -> str:
    """The source that a file of bytecode was compiled from (PEP 3147), or ""."""
    directory, slash, name = path.rpartition("/__pycache__/")
    return f"{directory}/{name.split('.')[0]}{_SOURCE}" if slash and name.endswith(".pyc") else ""


def _linked(keeps: Sequence[Keep]) -> Iterator[list[str]]:
    names: dict[tuple[int, int], list[str]] = {}
    for keep in keeps:
        if keep.entry.is_file:
            names.setdefault(keep.entry.inode, []).append(keep.entry.path)
    return (group for group in names.values() if len(group) > 1)
