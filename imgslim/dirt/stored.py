"""Files that layers store: which are in the tree, and which layer took the others away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from imgslim.model import Entry, Kind, Layer
from imgslim.rootfs import Merge, Rootfs

Inode = int


@dataclass(frozen=True, slots=True)
class Life:
    """A stored file that the merged tree lacks. ``path`` is where it was (canonical), ``last`` the
    last layer in whose tree it is (-1: in none, the same layer stores another in its place),
    ``by_layer`` the one that took it away, ``how`` ``deleted`` or ``overwritten``."""

    path: str
    last: int
    by_layer: int
    how: str


def dead_files(layers: Iterable[Layer], rootfs: Rootfs) -> list[Entry]:
    """The stored regular files that no path of the merged tree has any more, as their layer has
    them."""
    tree = rootfs.entries
    elsewhere = [
        entry
        for layer in layers
        for entry in layer.entries
        if entry.kind is Kind.FILE and tree.get(entry.path) is not entry
    ]
    wanted = {entry.inode for entry in elsewhere}
    alive = {e.inode for e in tree.values() if e.is_file and e.inode in wanted} if wanted else ()
    return [entry for entry in elsewhere if entry.inode not in alive]


def lives_of(layers: Sequence[Layer], dead: Iterable[Entry]) -> Mapping[Inode, Life]:
    """What became of the stored files ``dead``, by inode: one more merge of the layers, and a look
    through the tree after each."""
    waiting = {entry.inode: entry for entry in dead}
    if not waiting:
        return {}
    paths: dict[Inode, str] = {}
    found: dict[Inode, Life] = {}
    merged = Merge()
    for index, layer in enumerate(layers):
        merged.apply(layer)
        tree = merged.entries
        here = {entry.inode: path for path, entry in tree.items() if entry.inode in waiting}
        for inode in [inode for inode in paths if inode not in here]:
            how = "overwritten" if paths[inode] in tree else "deleted"
            found[inode] = Life(paths.pop(inode), index - 1, index, how)
            del waiting[inode]
        paths.update(here)
    for inode, entry in waiting.items():
        # A tar may hold a path twice: its last member counts.
        found[inode] = Life(entry.path, -1, entry.layer_index, "overwritten")
    return found
