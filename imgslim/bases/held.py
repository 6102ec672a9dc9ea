"""Which entries of a plan another image has already, exactly as they are to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from imgslim.model import Entry, Keep, paths_by_inode
from imgslim.rootfs import Rootfs

_CHUNK_BYTES = 1 << 20

_SOURCE = ".py"


def held_paths(rootfs: Rootfs, keeps: Iterable[Keep], base: Rootfs) -> frozenset[str]:
    """The paths of ``keeps`` (of ``rootfs``) at which ``base`` has the same, in the terms of
    ``held_entries``; what a build strips is never the same."""
    rows = {keep.entry.path: keep for keep in keeps}

    def is_same(entry: Entry, other: Entry) -> bool:
        return _is_same_file(rootfs, rows[entry.path], base, other)

    return held_entries([keep.entry for keep in rows.values()], base, is_same)


def held_entries(
    wanted: Sequence[Entry], base: Rootfs, is_same: Callable[[Entry, Entry], bool]
) -> frozenset[str]:
    """The paths of ``wanted`` at which ``base`` has the same: kind, mode, owner, size, content,
    link target, extended attributes, and hard-link partners. ``is_same`` compares the content of a
    wanted file with that of the base's.

    Times may differ: no program can tell one build of a package from another by them. The one
    exception is a Python source with bytecode beside it, which holds the source's time (PEP 552,
    timestamp-based): a differing one would be compiled at each start.
    """
    held = {entry.path for entry in wanted if _is_held(entry, base, is_same)}
    bytecode = {_source_of(path) for path in (*(row.path for row in wanted), *base.entries)}
    for entry in wanted:
        path = entry.path
        if path in held and path in bytecode and path.endswith(_SOURCE):
            other = base.entries[path]
            if int(other.mtime) != int(entry.mtime):
                held.discard(path)
    for names in _linked(wanted):
        inodes = {base.entries[path].inode for path in names if path in held}
        if len(inodes) != 1 or not held.issuperset(names):
            held.difference_update(names)
    return frozenset(held)


def with_parents(paths: Iterable[str]) -> frozenset[str]:
    """``paths`` and the directories above them: what is put into a directory states that, too."""
    found = set(paths)
    for path in tuple(found):
        while path != "/":
            path = path.rpartition("/")[0] or "/"
            found.add(path)
    return frozenset(found)


def _is_held(entry: Entry, base: Rootfs, is_same: Callable[[Entry, Entry], bool]) -> bool:
    other = base.entries.get(entry.path)
    if other is None or _facts(entry) != _facts(other):
        return False
    return not entry.is_file or is_same(entry, other)


def _is_same_file(rootfs: Rootfs, keep: Keep, base: Rootfs, other: Entry) -> bool:
    entry = keep.entry
    if keep.strip:
        return False
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


def _linked(wanted: Iterable[Entry]) -> Iterator[list[str]]:
    return (group for group in paths_by_inode(wanted).values() if len(group) > 1)
