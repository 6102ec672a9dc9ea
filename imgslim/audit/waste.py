"""Bytes that are stored in vain: which later layer undoes each hidden file, and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from imgslim.audit.model import How, Undone, WastedFile
from imgslim.model import Entry, Kind, Layer
from imgslim.paths import above
from imgslim.rootfs import Rootfs

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Hidden:
    """A stored file that is not in the merged tree, under its canonical path."""

    entry: Entry
    path: str
    by_layer: int | None
    how: How


def find_waste(
    hidden: Sequence[Entry], layers: Sequence[Layer], rootfs: Rootfs
) -> tuple[Hidden, ...]:
    """What undid each of ``hidden``, which are stored files of ``layers`` without a name in the
    tree that these merge to.

    A file that a later layer stores again at the same size is compared with that one, byte for
    byte: a changed mode or owner, or a copy that changed nothing.
    """
    paths = [rootfs.canonical(entry.path) for entry in hidden]
    wanted = {path for named in paths for path in (named, *above(named))}
    first = min((entry.layer_index for entry in hidden), default=len(layers))
    steps = {layer.index: _step(layer, rootfs, wanted) for layer in layers[first:]}
    found = []
    for entry, path in zip(hidden, paths, strict=True):
        by_layer, how = _undone_by(path, entry.layer_index, steps, len(layers))
        if how is How.OVERWRITTEN and by_layer is not None:
            how = _overwritten(entry, steps[by_layer].written[path], rootfs)
        found.append(Hidden(entry, path, by_layer, how))
    return tuple(found)


def sum_up(wasted: Iterable[WastedFile]) -> tuple[Undone, ...]:
    """``wasted`` by the two instructions and the way, largest first."""
    groups: dict[tuple[int, int | None, How], list[WastedFile]] = {}
    for file in wasted:
        groups.setdefault((file.layer_index, file.by_layer, file.how), []).append(file)
    found = (
        Undone(
            *key,
            size_bytes=sum(file.size_bytes for file in files),
            file_count=len(files),
            example=max(files, key=lambda file: file.size_bytes).path,
        )
        for key, files in groups.items()
    )
    return tuple(sorted(found, key=lambda row: (-row.size_bytes, row.layer_index, row.example)))


@dataclass(frozen=True, slots=True)
class _Step:
    """What a layer does to the paths that are asked about, by canonical path; of a path that it
    holds twice, the last."""

    deleted: Set[str]
    emptied: Set[str]
    written: Mapping[str, Entry]


def _step(layer: Layer, rootfs: Rootfs, wanted: Set[str]) -> _Step:
    named = ((rootfs.canonical(entry.path), entry) for entry in layer.entries)
    return _Step(
        deleted=frozenset(rootfs.canonical(path) for path in layer.whiteouts) & wanted,
        emptied=frozenset(rootfs.canonical(path) for path in layer.opaques) & wanted,
        written={path: entry for path, entry in named if path in wanted},
    )


def _undone_by(
    path: str, index: int, steps: Mapping[int, _Step], end: int
) -> tuple[int | None, How]:
    parents = tuple(above(path))
    for later in range(index + 1, end):
        step = steps[later]
        if path in step.deleted or any(p in step.deleted or p in step.emptied for p in parents):
            return later, How.OVERWRITTEN if path in step.written else How.DELETED
        if path in step.written:
            return later, How.OVERWRITTEN
        if any(p in step.written and not step.written[p].is_directory for p in parents):
            return later, How.DELETED
    # A tar may hold a path twice: its last member counts.
    return (index, How.OVERWRITTEN) if path in steps[index].written else (None, How.DELETED)


def _overwritten(entry: Entry, by: Entry, rootfs: Rootfs) -> How:
    if by.kind is not Kind.FILE or by.size_bytes != entry.size_bytes or by.inode == entry.inode:
        return How.OVERWRITTEN
    if not all(one == other for one, other in _chunks(entry, by, rootfs)):
        return How.OVERWRITTEN
    return How.REPEATED if _facts(entry) == _facts(by) else How.CHANGED


def _chunks(entry: Entry, other: Entry, rootfs: Rootfs) -> Iterator[tuple[bytes, bytes]]:
    for start in range(0, entry.size_bytes, _CHUNK_BYTES):
        yield rootfs.pread(entry, start, _CHUNK_BYTES), rootfs.pread(other, start, _CHUNK_BYTES)


def _facts(entry: Entry) -> tuple[object, ...]:
    return entry.mode, entry.uid, entry.gid, entry.xattrs
