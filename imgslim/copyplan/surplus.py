"""Where a draft has too many COPY lines: move the least of it to where it costs no layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from imgslim.copyplan.choice import Kept, below_or_same
from imgslim.copyplan.draft import MAX_COPIES, Draft
from imgslim.copyplan.steps import PlainCopy
from imgslim.model import Group

SCATTERED_COPIES = 8
"""COPY lines of files for one reason; more (a licence text in each of 40 directories) are one
list in the gathered tree instead of as many layers."""


def move_scattered(kept: Kept, draft: Draft, plain: list[PlainCopy]) -> list[PlainCopy]:
    """Gather what one reason scatters over many directories; the COPY lines that are left."""
    files = [copy for copy in _movable(kept, plain) if not copy.is_directory]
    per_reason = Counter(_reason(copy) for copy in files)
    gone = {copy.sources for copy in files if per_reason[_reason(copy)] > SCATTERED_COPIES}
    return _without(kept, draft, plain, gone)


def move_surplus(kept: Kept, draft: Draft, plain: list[PlainCopy]) -> list[PlainCopy]:
    """Where there are too many COPY lines, list what the surplus brings with what COPY cannot
    say: the lightest files first, then the lightest directories. The lines that are left."""
    movable = _movable(kept, plain)
    movable.sort(key=lambda copy: (copy.is_directory, copy.size_bytes, copy.sources))
    gone = {copy.sources for copy in movable[: max(0, len(plain) - MAX_COPIES)]}
    return _without(kept, draft, plain, gone)


def _movable(kept: Kept, plain: Sequence[PlainCopy]) -> list[PlainCopy]:
    return [copy for copy in plain if _can_gather(kept, copy.sources)]


def _without(
    kept: Kept, draft: Draft, plain: Sequence[PlainCopy], gone: Collection[tuple[str, ...]]
) -> list[PlainCopy]:
    for sources in sorted(gone):
        for path in sources:
            _list(kept, draft, path)
    return [copy for copy in plain if copy.sources not in gone]


def list_surplus_trees(kept: Kept, draft: Draft) -> None:
    """Where there would be too many trees, what the smallest hold is listed instead."""
    sizes = {path: sum(1 for _ in kept.below(path)) for path, _ in draft.trees}
    movable = [path for path in sizes if _can_gather(kept, [path])]
    movable.sort(key=lambda path: (sizes[path], path))
    gone = set(movable[: max(0, len(sizes) - MAX_COPIES)])
    for path in sorted(gone):
        _list(kept, draft, path)
    draft.trees = [tree for tree in draft.trees if tree[0] not in gone]


def _list(kept: Kept, draft: Draft, path: str) -> None:
    """Gather a file, or all that is kept below a directory, by name."""
    known = {entry.path for entry in draft.directories}
    for keep in (kept.keeps[path], *kept.below(path)):
        if not keep.entry.is_directory:
            draft.loose.append(keep)
        elif keep.entry.path not in known:
            draft.directories.append(keep.entry)


def _reason(copy: PlainCopy) -> tuple[Group, str]:
    return copy.contents[0].group, copy.contents[0].reason


def _can_gather(kept: Kept, paths: Sequence[str]) -> bool:
    """Whether a running stage sees these paths and all below them as they are."""
    return not any(
        kept.is_hidden(path) or any(below_or_same(hard, path) for hard in kept.unreadable)
        for path in paths
    )
