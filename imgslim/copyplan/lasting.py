"""Make the steps of one image suit the next build of it: by pattern what is called by a version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from imgslim.copyplan.choice import Kept
from imgslim.copyplan.patterns import family, is_versioned, may_vanish, patterns_of
from imgslim.copyplan.steps import PlainCopy
from imgslim.model import Entry, Group, Keep


def join_versions(
    kept: Kept, files: dict[tuple[str, Group], list[Keep]], loose: list[Keep]
) -> None:
    """Move from ``files`` (by directory and group) to ``loose`` what is called by its version and
    has links to it there, and what lies in a directory that is: one pattern says them all, and a
    link is none that COPY could name. So too what a later version may lack: a COPY would fail."""
    gathered = {keep.entry.path for keep in loose}
    for key, keeps in files.items():
        renamed = is_versioned(key[0])
        gone = {
            keep.entry.path
            for keep in keeps
            if renamed
            or may_vanish(keep.entry.path)
            or not gathered.isdisjoint(family(kept.rootfs, keep.entry.path))
        }
        loose += [keep for keep in keeps if keep.entry.path in gone]
        files[key] = [keep for keep in keeps if keep.entry.path not in gone]


def with_patterns(kept: Kept, copy: PlainCopy) -> PlainCopy:
    """A plain COPY of files with the patterns that match just these."""
    if not kept.lasting or copy.is_directory:
        return copy
    return replace(copy, patterns=patterns_of(kept.rootfs, copy.sources))


def gathered_patterns(
    kept: Kept,
    units: Iterable[Sequence[Entry]],
    directories: Iterable[Entry],
    removed: Iterable[str],
) -> Mapping[str, str]:
    """The patterns of what is gathered, and of what is removed from copied trees. The names of one
    file have none: they go together."""
    if not kept.lasting:
        return {}
    single = [unit[0].path for unit in units if len(unit) == 1]
    above = [entry.path for entry in directories]
    return {
        **patterns_of(kept.rootfs, removed),
        **patterns_of(kept.rootfs, kept.stripped),
        **patterns_of(kept.rootfs, above),
        **patterns_of(kept.rootfs, single, above),
    }
