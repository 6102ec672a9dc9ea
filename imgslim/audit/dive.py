"""How dive counts the paths of an image, so that its score can be told apart from the truth.

dive's ``filetree.Efficiency`` (dive/filetree/efficiency.go, v0.13.2-0.20250516191726) sums over the
leaves of each layer's tree by path: the smallest of a path's sizes is what an image without waste
would have, all of them are what is stored, and a path with two or more is wasted as a whole. A
whiteout is a leaf, too: of size 0 for a file, of the directory's whole content for a directory
(``StackTreeRange`` of the layers below). What that counts twice or not at all is named by
``efficiency.measure_efficiency``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from imgslim.layers import AUFS_METADATA_PREFIX, WHITEOUT_PREFIX
from imgslim.model import Kind, Layer

_NO_SIZE = -1
"""``EfficiencyData.minDiscoveredSize`` before the first size is known."""

_UNSEEN = f"/{AUFS_METADATA_PREFIX}"


@dataclass(slots=True)
class Counted:
    """One path: the smallest of its sizes, their sum, and how many leaves have it. ``is_deleted``:
    one of these is a whiteout; ``deleted_bytes`` of the sum are those of a directory that it
    deletes."""

    least_bytes: int = 0
    sum_bytes: int = 0
    leaves: int = 0
    is_deleted: bool = False
    deleted_bytes: int = 0

    def add(self, size_bytes: int) -> None:
        self.least_bytes = min(self.least_bytes, size_bytes) if self.leaves else size_bytes
        self.sum_bytes += size_bytes
        self.leaves += 1


@dataclass(frozen=True, slots=True)
class DiveCount:
    """Dive's view of ``paths``; ``unread`` are paths of layers that it stops reading."""

    paths: Mapping[str, Counted]
    unread: frozenset[str] = field(default_factory=frozenset)


def count_as_dive(layers: Sequence[Layer], asked: Set[str]) -> DiveCount:
    """Count ``asked`` paths (and those that dive passes over) as dive does.

    A path that one layer alone names, once, is its size and need not be asked.
    """
    found: dict[str, Counted] = {}
    unread: set[str] = set()
    stops: set[str] = set()
    below = _Below(layers)
    for layer in layers:
        sizes = below.sizes_of_deleted(layer)
        missing = _first_missing(layer.whiteouts, sizes)
        end = None if missing is None else _order_of_whiteout(missing)
        if missing is not None:
            stops.add(missing)
        leaves = _leaves(layer, asked if end is None else None)
        for path, size in leaves:
            if end is not None and _order(path) >= end:
                unread.add(path)
                found.setdefault(path, Counted())
            elif path in asked:
                found.setdefault(path, Counted()).add(size)
        for path in layer.whiteouts:
            if end is None or _order_of_whiteout(path) < end:
                counted = found.setdefault(path, Counted())
                counted.add(sizes[path])
                counted.is_deleted = True
                counted.deleted_bytes += sizes[path]
        below.apply(layer)
    for path in stops - found.keys():
        # It has noted the path, and no size of it yet.
        found[path] = Counted(least_bytes=_NO_SIZE)
    return DiveCount(found, frozenset(unread | stops))


def _leaves(layer: Layer, asked: Set[str] | None) -> Iterator[tuple[str, int]]:
    """The paths of a layer with nothing below them and their sizes, whiteouts left out; of them
    those that are ``asked`` (None: all). Of a path that it holds twice, the last one's."""
    parents = _parents_in(layer)
    last: dict[str, int] = {}
    for entry in layer.entries:
        path = entry.path
        if asked is not None and path not in asked:
            continue
        if path not in parents and _UNSEEN not in path and path != "/":
            last[path] = entry.size_bytes if entry.kind is Kind.FILE else 0
    for path in layer.opaques:
        if path not in parents and path != "/":
            last.setdefault(path, 0)
    return iter(last.items())


def _parents_in(layer: Layer) -> set[str]:
    parents: set[str] = set()
    named = (entry.path for entry in layer.entries if _UNSEEN not in entry.path)
    for path in (*layer.opaques, *layer.whiteouts):
        _note_parents(path, parents)
    for path in named:
        _note_parents(path, parents)
    return parents


def _note_parents(path: str, parents: set[str]) -> None:
    while (path := path.rpartition("/")[0]) and path not in parents:
        parents.add(path)


def _first_missing(whiteouts: Iterable[str], sizes: Mapping[str, int]) -> str | None:
    """Where dive stops reading a layer: at the first whiteout of a path that it does not find in
    the layers below, in the order of its walk (``GetNode`` fails, and with it the visit)."""
    missing = [path for path in whiteouts if path not in sizes]
    return min(missing, key=_order_of_whiteout, default=None)


def _order(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _order_of_whiteout(path: str) -> tuple[str, ...]:
    parent, _, name = path.rpartition("/")
    return (*parent.split("/"), f"{WHITEOUT_PREFIX}{name}")


class _Below:
    """The stacked tree of the layers so far, as dive has it: by the paths that layers name, links
    not followed, and only where whiteouts of any layer ask for it."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._deleted = {path for layer in layers for path in layer.whiteouts}
        self._asked: dict[str, bool] = {"": False}
        self._nodes: dict[str, tuple[int, bool]] = {}

    def sizes_of_deleted(self, layer: Layer) -> dict[str, int]:
        """For each whiteout of ``layer`` whose path is there: the bytes of the directory that it
        deletes, 0 for a file, and for a directory that no layer names itself."""
        nodes = self._nodes
        wanted = {path: 0 for path in layer.whiteouts if path in nodes}
        directories = {path for path in wanted if nodes[path][1]}
        if directories:
            for path, (size, _) in nodes.items():
                above = path if size else ""
                while above:
                    if above in directories:
                        wanted[above] += size
                    above = above.rpartition("/")[0]
        return wanted

    def apply(self, layer: Layer) -> None:
        if not self._deleted:
            return
        gone = set(layer.whiteouts)
        if gone and self._nodes:
            self._nodes = {
                path: node for path, node in self._nodes.items() if not _is_in(path, gone)
            }
        self._nodes.update(self._nodes_of(layer))

    def _nodes_of(self, layer: Layer) -> dict[str, tuple[int, bool]]:
        nodes: dict[str, tuple[int, bool]] = {}
        for entry in layer.entries:
            path = entry.path
            if self._is_asked(path) and _UNSEEN not in path:
                nodes[path] = (
                    entry.size_bytes if entry.kind is Kind.FILE else 0,
                    entry.kind is Kind.DIRECTORY,
                )
        for path in (*nodes, *layer.opaques):
            while self._is_asked(path := path.rpartition("/")[0]) and path not in nodes:
                nodes[path] = (0, False)
        return nodes

    def _is_asked(self, path: str) -> bool:
        """Whether a whiteout of some layer is at a path or above it."""
        if path in self._deleted:
            return True
        directory = path.rpartition("/")[0]
        known = self._asked.get(directory)
        if known is None:
            known = self._asked[directory] = self._is_asked(directory)
        return known


def _is_in(path: str, tops: Set[str]) -> bool:
    while path:
        if path in tops:
            return True
        path = path.rpartition("/")[0]
    return False
