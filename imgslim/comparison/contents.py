"""Which files at one path of both images differ in content, where their sizes tell nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imgslim.comparison.sides import Side
from imgslim.layers import OnProgress
from imgslim.model import Entry

_PIECE_BYTES = 1 << 20

_Inodes = tuple[tuple[int, int], tuple[int, int]]


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
