"""Files that the slim image has under another path: the renames of a build, the tree after them.

One kind is known: bytecode in the place of its source (``Keep.moved_from``). The build does it by a
rule, directory by directory, instead of by names; here the rule is applied to the merged tree, so
that all further steps start from what the build has then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from imgslim.copyplan.choice import below_or_same
from imgslim.model import Entry, Keep
from imgslim.rootfs import Rootfs

CACHE = "__pycache__"
TAGS = ".cpython-*.pyc"
"""What follows the stem of a source in the names of all its bytecode (PEP 3147, PEP 488)."""


@dataclass(frozen=True, slots=True)
class Moves:
    """In ``roots`` and all directories below, ``__pycache__/NAME<suffix>`` becomes ``NAME.pyc``
    in place of ``NAME.py``, which with all its other bytecode goes: but for the sources ``left``,
    paths of files, or of directories with all below them (those end in a slash)."""

    suffix: str
    roots: tuple[str, ...]
    left: tuple[str, ...]
    count: int


def plan_moves(rootfs: Rootfs, keeps: Iterable[Keep]) -> tuple[Moves, ...]:
    """The rules that bring about every ``moved_from`` of ``keeps``."""
    wanted: dict[str, dict[str, Keep]] = {}
    stay = set()
    for keep in keeps:
        if keep.moved_from:
            stem = keep.entry.path.rpartition("/")[2].removesuffix(".pyc")
            suffix = keep.moved_from.rpartition("/")[2][len(stem) :]
            wanted.setdefault(suffix, {})[keep.entry.path[:-1]] = keep
        else:
            stay.add(keep.entry.path)
    return tuple(_moves(rootfs, suffix, rows, stay) for suffix, rows in sorted(wanted.items()))


def _moves(rootfs: Rootfs, suffix: str, wanted: Mapping[str, Keep], stay: set[str]) -> Moves:
    roots = _roots(sorted({path.rpartition("/")[0] for path in wanted}))
    left = [path for path in _sources(rootfs, roots, suffix) if path in stay]
    return Moves(suffix, roots, tuple(_joined(left, wanted, roots)), len(wanted))


def _roots(directories: Sequence[str]) -> tuple[str, ...]:
    """The topmost ones; a shell's ``*/`` leads into no hidden directory."""
    found: list[str] = []
    for path in directories:
        above = (root for root in found if below_or_same(path, root))
        if not any("/." not in path[len(root) :] for root in above):
            found.append(path)
    return tuple(found)


def _sources(rootfs: Rootfs, roots: Iterable[str], suffix: str) -> Iterator[str]:
    """What the rule takes for sources with bytecode."""
    for root in roots:
        pending = [root]
        while pending:
            here = pending.pop()
            names = rootfs.children(here)
            for name in names:
                entry = rootfs.entries[f"{here}/{name}"]
                if entry.is_directory and not name.startswith("."):
                    pending.append(entry.path)
            for name in rootfs.children(f"{here}/{CACHE}"):
                source = f"{here}/{name.removesuffix(suffix)}.py"
                if name.startswith(".") or not name.endswith(suffix):
                    continue
                pair = rootfs.get(f"{here}/{CACHE}/{name}"), rootfs.get(source)
                if all(e is not None and e.is_file for e in pair) and not rootfs.get(f"{source}c"):
                    yield source


def _joined(left: Iterable[str], moved: Iterable[str], roots: Iterable[str]) -> Iterator[str]:
    """``left``, with a directory for all its files where nothing in or below it is moved."""
    busy = set()
    for path in moved:
        path = path.rpartition("/")[0]
        while path not in busy:
            busy.add(path)
            path = path.rpartition("/")[0]
    found = set()
    for path in left:
        parts = path.split("/")[:-1]
        above = ("/".join(parts[: depth + 1]) for depth in range(1, len(parts)))
        inside = (top for top in above if any(below_or_same(top, root) for root in roots))
        free = next((top for top in inside if top not in busy), None)
        found.add(path if free is None else f"{free}/")
    yield from sorted(found)


def moved_tree(rootfs: Rootfs, moves: Iterable[Moves]) -> Rootfs:
    """The tree after ``moves``, as the build has it."""
    entries = dict(rootfs.entries)
    for move in moves:
        caches = set()
        for source in list(_sources(rootfs, move.roots, move.suffix)):
            if source.startswith(tuple(top for top in move.left if top.endswith("/"))):
                continue
            if source not in move.left:
                caches.add(_move(rootfs, entries, source, move.suffix))
        for cache in caches:
            if not any(f"{cache}/{name}" in entries for name in rootfs.children(cache)):
                del entries[cache]
    return rootfs.with_entries(entries)


def _move(rootfs: Rootfs, entries: dict[str, Entry], source: str, suffix: str) -> str:
    directory, _, name = source.rpartition("/")
    cache, stem = f"{directory}/{CACHE}", name[:-3]
    entries[f"{source}c"] = replace(entries[f"{cache}/{stem}{suffix}"], path=f"{source}c")
    del entries[source]
    for other in rootfs.children(cache):
        if other.startswith(stem) and fnmatchcase(other[len(stem) :], TAGS):
            entries.pop(f"{cache}/{other}", None)
    return cache


def placed_tree(rootfs: Rootfs, keeps: Iterable[Keep]) -> Rootfs:
    """The tree with the moved files of ``keeps`` at their new paths, and nothing else changed: for
    steps that bring them from outside the build."""
    moved = {keep.entry.path: keep.entry for keep in keeps if keep.moved_from}
    return rootfs.with_entries({**rootfs.entries, **moved}) if moved else rootfs
