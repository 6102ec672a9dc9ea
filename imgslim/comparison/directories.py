"""The directories where growth gathers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imgslim.comparison.changes import DirectoryGrowth, PathChange
from imgslim.paths import above

NAMED_SHARE = 0.02
"""A directory is named when this share of all bytes that came or went did so in it, beyond the
directories named in it."""


@dataclass(slots=True)
class _Sum:
    growth: int = 0
    moved: int = 0
    paths: int = 0

    def add(self, other: _Sum, sign: int = 1) -> None:
        self.growth += sign * other.growth
        self.moved += sign * other.moved
        self.paths += sign * other.paths


def gather_growth(changes: Iterable[PathChange]) -> tuple[DirectoryGrowth, ...]:
    """The directories that say something: hierarchical heavy hitters, as the audit's, over the
    bytes that came and went. So what moved from one directory to another shows in both.

    The most own growth, of either sign, comes first.
    """
    sums: dict[str, _Sum] = {}
    for change in changes:
        if change.growth_bytes:
            one = _Sum(change.growth_bytes, abs(change.growth_bytes), 1)
            for directory in above(change.path):
                sums.setdefault(directory, _Sum()).add(one)
    rows = _named(sums, {path: _Sum(s.growth, s.moved, s.paths) for path, s in sums.items()})
    return tuple(sorted(rows, key=lambda row: (-abs(row.own_growth_bytes), row.path)))


def _named(sums: dict[str, _Sum], rest: dict[str, _Sum]) -> Iterator[DirectoryGrowth]:
    if not sums:
        return
    threshold = max(1.0, sums["/"].moved * NAMED_SHARE)
    for path in sorted(sums, key=lambda path: 1 if path == "/" else -path.count("/")):
        own = rest[path]
        if not own.moved or (own.moved < threshold and path != "/"):
            continue
        yield DirectoryGrowth(path, sums[path].growth, own.growth, own.paths)
        for parent in above(path):
            rest[parent].add(own, -1)
