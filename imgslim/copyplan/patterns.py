"""Names that carry a version, as patterns under which the next build has them, too.

A pattern is a path in which ``*`` stands for what changes. It is used only where, in the image at
hand, it matches nothing but what is kept: today's result is the same as by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from imgslim.copyplan.words import is_simple
from imgslim.globs import glob_regex
from imgslim.rootfs import Rootfs
from imgslim.tables import load_table


@dataclass(frozen=True, slots=True)
class Convention:
    """How a name carries its version: ``name`` has the group ``version``."""

    name: re.Pattern[str]
    is_directory: bool


@cache
def _conventions() -> tuple[Convention, ...]:
    rows = load_table("versions")["versioned"]
    return tuple(Convention(re.compile(row["name"]), row.get("directory", False)) for row in rows)


@cache
def _optional() -> tuple[re.Pattern[str], ...]:
    rows = load_table("versions")["optional"]
    return tuple(
        re.compile("/" + glob_regex(path.lstrip("/"))) for row in rows for path in row["paths"]
    )


@cache
def _called() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(row["name"]) for row in load_table("versions")["called"])


def called_by_version(path: str, pattern: str) -> str:
    """The topmost directory of ``path`` whose name has a version in it which its ``pattern`` still
    has; "" where there is none."""
    names, said = path.split("/"), pattern.split("/")
    for depth, (name, word) in enumerate(zip(names, said, strict=False), 1):
        if name == word and any(row.fullmatch(name) for row in _called()):
            return "/".join(names[:depth])
    return ""


def may_vanish(path: str) -> bool:
    """Whether a later version may lack this path, and nothing that runs misses it."""
    return any(pattern.fullmatch(path) for pattern in _optional())


def is_versioned(directory: str) -> bool:
    """Whether a directory, or one above it, is called by the version of what it holds."""
    rows = [row for row in _conventions() if row.is_directory]
    return any(row.name.fullmatch(name) for name in directory.split("/") for row in rows)


def globs_of(name: str, *, is_directory: bool = False) -> Iterator[str]:
    """The patterns of a versioned name, the most general one first."""
    for row in _conventions():
        match = row.name.fullmatch(name)
        if match is None or row.is_directory != is_directory or not is_simple(name):
            continue
        start, end = match.span("version")
        parts = match["version"].split(".")
        for known in range(len(parts)):
            yield f"{name[:start]}{''.join(part + '.' for part in parts[:known])}*{name[end:]}"


def family(rootfs: Rootfs, path: str) -> list[str]:
    """A path and its siblings that differ in no more than the version, as links to it do."""
    parent, _, name = path.rpartition("/")
    glob = next(globs_of(name), name)
    return [f"{parent}/{other}" for other in _matches(rootfs, parent, glob)]


def pattern_of(rootfs: Rootfs, path: str, members: Collection[str]) -> str:
    """The most general exact pattern of a path, or the path itself.

    In the name it may match what is in ``members``; in a versioned directory above, only that
    directory. In a versioned directory all files of it are one pattern where all are members.
    """
    parent, _, name = path.rpartition("/")
    above = _above(rootfs, parent)
    globs = [*globs_of(name), *globs_of(name, is_directory=True)]
    if above != parent:
        globs = ["*", *globs]
    for glob in globs:
        found = _matches(rootfs, parent, glob)
        hidden = glob.startswith("*") and any(other.startswith(".") for other in found)
        if found and not hidden and all(f"{parent}/{other}" in members for other in found):
            return f"{above}/{glob}"
    return f"{above}/{name}" if is_simple(name) else path


def patterns_of(rootfs: Rootfs, paths: Iterable[str], others: Iterable[str] = ()) -> dict[str, str]:
    """The pattern of each path that has one; it may match any of ``paths`` and ``others``."""
    wanted = frozenset(paths)
    members = wanted.union(others)
    patterns = {path: pattern_of(rootfs, path, members) for path in sorted(wanted)}
    return {path: pattern for path, pattern in patterns.items() if pattern != path}


def _above(rootfs: Rootfs, directory: str) -> str:
    """A directory's path with versioned components as patterns that match nothing else."""
    parts = directory.split("/")
    for depth, part in enumerate(parts):
        parent = "/".join(directory.split("/")[:depth])
        for glob in globs_of(part, is_directory=True):
            if _matches(rootfs, parent, glob) == [part]:
                parts[depth] = glob
                break
    return "/".join(parts)


def _matches(rootfs: Rootfs, parent: str, glob: str) -> Sequence[str]:
    """The names in a directory that a pattern matches; a leading dot too, as Go's does, and a
    shell's does not (POSIX.1 2.13.3)."""
    names = rootfs.children(parent or "/")
    return [name for name in names if fnmatchcase(name, glob)]
