"""Package databases that the build cuts: which of them it can, and what is left out otherwise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from imgslim.copyplan.choice import below_or_same
from imgslim.databases.filters import Filter, derive_filters
from imgslim.databases.kept import PARENT_REASON
from imgslim.model import Keep, Problem, Severity
from imgslim.rootfs import Rootfs


@dataclass(frozen=True, slots=True)
class Cuts:
    """``keeps`` without what no build can cut, and ``filters`` for the rest."""

    keeps: tuple[Keep, ...]
    filters: tuple[Filter, ...]
    problems: tuple[Problem, ...]


def plan_cuts(
    rootfs: Rootfs, keeps: tuple[Keep, ...], *, can_cut: bool, hidden: Sequence[str]
) -> Cuts:
    """How the ``content`` of ``keeps`` comes about in a build: by a shell, where there is one
    (``can_cut``) and it sees the file (in none of the trees in ``hidden``)."""
    changed = [keep for keep in keeps if keep.content is not None]
    if not changed:
        return Cuts(keeps, (), ())
    seen = [keep for keep in changed if not _is_below(keep.entry.path, hidden)]
    filters, unsayable = derive_filters(rootfs, seen if can_cut else ())
    cut = {path for one in filters for path in one.paths} - unsayable
    left_out = [keep for keep in changed if keep.entry.path not in cut]
    if not left_out:
        return Cuts(keeps, filters, ())
    why = "needs a shell, and the image has none" if not can_cut else "cannot be done in a build"
    rest = _without(keeps, {keep.entry.path for keep in left_out})
    return Cuts(rest, filters, (_problem(left_out, why),))


def _is_below(path: str, tops: Sequence[str]) -> bool:
    return any(below_or_same(path, top) for top in tops)


def _without(keeps: Sequence[Keep], paths: Collection[str]) -> tuple[Keep, ...]:
    """The rest, without the directories that were there for these paths alone."""
    rest = [keep for keep in keeps if keep.entry.path not in paths]
    needed = {"/"}
    for keep in rest:
        if keep.reason != PARENT_REASON:
            path = keep.entry.path
            while path not in needed:
                needed.add(path)
                path = path.rpartition("/")[0] or "/"
    return tuple(keep for keep in rest if keep.entry.path in needed)


def _problem(left_out: Sequence[Keep], why: str) -> Problem:
    first = min(keep.entry.path for keep in left_out)
    more = f" (with {len(left_out) - 1:,} more)" if len(left_out) > 1 else ""
    return Problem(
        "uncut-database",
        Severity.WARNING,
        first,
        f"package database{more}: cutting it to what is kept {why}",
        "the Dockerfile leaves it out, and scanners miss its packages; a slim archive has it",
        sum(keep.size_bytes for keep in left_out),
    )
