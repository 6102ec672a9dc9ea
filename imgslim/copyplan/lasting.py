"""Make the steps of one image suit the next build of it: by pattern what is called by a version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from imgslim.copyplan.choice import Kept
from imgslim.copyplan.patterns import (
    called_by_version,
    family,
    is_versioned,
    may_vanish,
    patterns_of,
)
from imgslim.copyplan.steps import CopyPlan, PlainCopy
from imgslim.model import Entry, Group, Keep, Problem, Severity

_NAMES_SHOWN = 5


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


def named_by_version(copies: CopyPlan) -> list[Problem]:
    """A note on directories which the steps name by a version that a later build may not have.

    COPY brings the content of a directory that a pattern names, not the directory, and with a slash
    behind the pattern it finds nothing (measured on Docker's legacy builder); a pattern for each
    file in it would leave out what the next version adds. So the build stops where it is gone.
    """
    found = dict.fromkeys(
        directory
        for path, pattern in _directories_named(copies)
        if (directory := called_by_version(path, pattern))
    )
    if not found:
        return []
    names = [*list(found)[:_NAMES_SHOWN], *([f"{len(found)} in all"] * (len(found) > _NAMES_SHOWN))]
    return [
        Problem(
            "versioned-directory",
            Severity.INFO,
            next(iter(found)),
            f"a build with another version may lack what is copied by name: {', '.join(names)}",
            "that build stops and says so: run imgslim again for it",
        )
    ]


def _directories_named(copies: CopyPlan) -> Iterator[tuple[str, str]]:
    """Each directory that a step names or names a path in, as it is and as the step has it."""
    gathered = copies.gathered
    for copy in copies.plain:
        for path in copy.sources:
            pattern = copy.patterns.get(path, path)
            yield (path, pattern) if copy.is_directory else (_parent(path), _parent(pattern))
    for tree in gathered.trees:
        yield tree.path, tree.path
    for unit in (*gathered.units, *gathered.moved):
        for entry in unit:
            yield _parent(entry.path), _parent(gathered.patterns.get(entry.path, entry.path))
    for entry in (*gathered.directories, *gathered.stated):
        yield entry.path, gathered.patterns.get(entry.path, entry.path)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
