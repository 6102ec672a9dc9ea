"""Stored files: the members of layers that hold bytes, and their names in the merged tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imgslim.model import Entry, Kind, Layer, paths_by_inode
from imgslim.rootfs import Rootfs

Inode = int


@dataclass(frozen=True, slots=True)
class Names:
    """The paths in the merged tree at which stored files are: ``several`` by inode where that is
    not just the path in the layer."""

    entries: Mapping[str, Entry]
    several: Mapping[Inode, tuple[str, ...]] = field(repr=False)

    def of(self, stored: Entry) -> tuple[str, ...]:
        """All names of a stored file, sorted; none for one that later layers hide."""
        several = self.several.get(stored.inode)
        if several is not None:
            return several
        # A path that the tree has as another file, and no other name: hidden.
        found = self.entries.get(stored.path)
        is_there = found is stored or (found is not None and found.inode == stored.inode)
        return (stored.path,) if is_there else ()


def stored_files(layers: Sequence[Layer]) -> Iterator[Entry]:
    """Every stored file, base first."""
    for layer in layers:
        for entry in layer.entries:
            if entry.kind is Kind.FILE:
                yield entry


def find_names(layers: Sequence[Layer], rootfs: Rootfs) -> Names:
    """Where the stored files of ``layers`` are in the tree that they merge to.

    Usually each is where its layer has it, and nothing is looked for. Hard links, and files below
    what is a link in another layer, are found by one walk over the tree.
    """
    entries = rootfs.entries
    moved: set[Inode] = set()
    for layer in layers:
        for entry in layer.entries:
            if entry.kind is Kind.FILE:
                found = entries.get(entry.path)
                if found is not entry and (found is None or found.inode != entry.inode):
                    moved.add(entry.inode)
            elif entry.kind is Kind.HARD_LINK:
                linked = entries.get(rootfs.canonical(entry.path))
                if linked is not None:
                    moved.add(linked.inode)
    there = (entry for entry in entries.values() if entry.inode in moved) if moved else ()
    names = paths_by_inode(there)
    return Names(entries, {inode: tuple(sorted(names.get(inode, ()))) for inode in moved})
