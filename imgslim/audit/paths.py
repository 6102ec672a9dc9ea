"""Every path of an image with its bytes and what becomes of it: for a page to search in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain

from imgslim.audit.model import Verdict, WastedFile
from imgslim.audit.needed import Fate
from imgslim.model import Entry, Plan, paths_by_inode
from imgslim.paths import above
from imgslim.rootfs import Rootfs

MAX_PATHS = 200_000
"""Paths that a page finds; of an image with more, those with the most bytes."""


@dataclass(frozen=True, slots=True)
class PathAudit:
    """A path of the merged tree, or a file that later layers hide. ``size_bytes`` of a directory
    are those of all that is below it, hidden files included; hard links count at their first path.
    ``verdict`` is that of a file (None: it is none)."""

    path: str
    size_bytes: int
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class PathList:
    """The paths in the order of their names, directory by directory; of ``total`` that there are,
    the root not counted."""

    rows: tuple[PathAudit, ...]
    total: int


NO_PATHS = PathList((), 0)


def list_paths(
    rootfs: Rootfs, plan: Plan | None, wasted: Collection[WastedFile], under: str = "/"
) -> PathList:
    """Every path below the canonical directory ``under``: of the merged tree under ``plan`` (None:
    there is none), and the ``wasted`` files of an audit of it."""
    fate = Fate(plan)
    start = "/" if under == "/" else f"{under}/"
    inside = [entry for path, entry in rootfs.entries.items() if path.startswith(start)]
    files = [entry for entry in inside if entry.is_file]
    sizes = _sums(files, wasted)
    names = paths_by_inode(files)
    rows = [
        PathAudit(file.path, file.size_bytes, fate.verdict(file.path, names[file.inode]))
        for file in files
    ]
    rows += [
        PathAudit(entry.path, sizes.get(entry.path, 0), None)
        for entry in inside
        if not entry.is_file and entry.path != "/"
    ]
    rows += [PathAudit(file.path, file.size_bytes, Verdict.HIDDEN) for file in wasted]
    shown = nlargest(MAX_PATHS, rows, key=lambda row: row.size_bytes)
    shown.sort(key=lambda row: row.path.split("/"))
    return PathList(tuple(shown), len(rows))


def _sums(files: Iterable[Entry], wasted: Iterable[WastedFile]) -> dict[str, int]:
    """The bytes below each directory that has any; of hard links at the first path."""
    first: dict[int, Entry] = {}
    for file in sorted(files, key=lambda file: file.path):
        first.setdefault(file.inode, file)
    sums: dict[str, int] = defaultdict(int)
    for path, size in chain(
        ((file.path, file.size_bytes) for file in first.values()),
        ((file.path, file.size_bytes) for file in wasted),
    ):
        for directory in above(path):
            sums[directory] += size
    return sums
