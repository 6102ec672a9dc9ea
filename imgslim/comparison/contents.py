"""Which files at one path have the same content, where their sizes tell nothing."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from imgslim.comparison.sides import Scope, Side
from imgslim.layers import OnProgress
from imgslim.model import Entry, Layer

_PIECE_BYTES = 1 << 20

_Inodes = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Contents:
    """``same`` are the paths of files that have one content in both images. ``read_files`` files
    were read for that, ``read_bytes`` in each image."""

    same: frozenset[str]
    read_files: int
    read_bytes: int


def compare_contents(
    before: Side,
    after: Side,
    trees: tuple[Mapping[str, Entry], Mapping[str, Entry]],
    on_progress: OnProgress | None = None,
) -> Contents:
    """Compare the files that have a path and a size in common, byte by byte.

    Bytes at the same place of a layer that both images have (by its diff_id, the digest of its
    tar: OCI image spec, config.md) are the same without a look. Names of one file are read once.
    """
    pairs = [
        (entry, other)
        for path, entry in trees[0].items()
        if entry.is_file and (other := trees[1].get(path)) is not None
        if other.is_file and other.size_bytes == entry.size_bytes
    ]
    verdicts: dict[_Inodes, bool] = {
        (one.inode, two.inode): True
        for one, two in pairs
        if not one.size_bytes or _is_shared(before, one, after, two)
    }
    unread = {(one.inode, two.inode): (one, two) for one, two in pairs}
    # In the order of the first image's layers: a spooled archive is read from front to end.
    todo = [unread[key] for key in sorted(unread.keys() - verdicts.keys())]
    total = sum(one.size_bytes for one, _ in todo)
    done = 0
    for one, two in todo:
        verdicts[one.inode, two.inode] = _is_equal(before, one, after, two)
        done += one.size_bytes
        if on_progress:
            on_progress("comparing contents", done, total)
    same = frozenset(one.path for one, two in pairs if verdicts[one.inode, two.inode])
    return Contents(same, len(todo), total)


def repeated_bytes(side: Side, scope: Scope, known: Container[str]) -> tuple[int, ...]:
    """For each layer, the bytes of files that a layer below it stores at the same path already:
    new in them is at most the mode, the owner or the time. Layers whose diff_id is ``known`` are
    not read: 0."""
    below: dict[str, Entry] = {}
    found = []
    for layer in side.layers:
        files = _files_in(layer, side, scope)
        pairs = [(below[path], entry) for path, entry in files.items() if path in below]
        is_asked = layer.blob.diff_id not in known
        found.append(_same_bytes(side, pairs) if is_asked else 0)
        below |= files
    return tuple(found)


def _files_in(layer: Layer, side: Side, scope: Scope) -> dict[str, Entry]:
    files = ((side.rootfs.canonical(one.path), one) for one in layer.entries if one.is_file)
    return {path: entry for path, entry in files if path in scope}


def _same_bytes(side: Side, pairs: Iterable[tuple[Entry, Entry]]) -> int:
    return sum(
        two.size_bytes
        for one, two in pairs
        if one.size_bytes == two.size_bytes and _is_equal(side, one, side, two)
    )


def _is_shared(before: Side, one: Entry, after: Side, two: Entry) -> bool:
    diff_id = before.image.layers[one.layer_index].diff_id
    is_same_layer = diff_id == after.image.layers[two.layer_index].diff_id != ""
    return is_same_layer and one.data_offset == two.data_offset


def _is_equal(before: Side, one: Entry, after: Side, two: Entry) -> bool:
    return all(
        before.rootfs.pread(one, offset, _PIECE_BYTES)
        == after.rootfs.pread(two, offset, _PIECE_BYTES)
        for offset in _offsets(one.size_bytes)
    )


def _offsets(size_bytes: int) -> Iterable[int]:
    return range(0, size_bytes, _PIECE_BYTES)
