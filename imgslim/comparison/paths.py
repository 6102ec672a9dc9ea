"""The paths of two merged trees, each with what differs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping

from imgslim.comparison.changes import Aspect, Detail, How, PathChange
from imgslim.model import Entry, Kind, paths_by_inode
from imgslim.verify.compare import device_text, is_same_second, time_text

Tree = Mapping[str, Entry]

_NAMED_LINKS = 3
"""Names of a file that are listed in words."""


def compare_paths(
    before: Tree, after: Tree, same: Container[str], owner: Callable[[str], str]
) -> Iterator[PathChange]:
    """Every path that differs, sorted. ``same`` has the files with one content in both trees.

    Links have no mode (symlink(7)); a directory that no layer names has no time. Times are equal
    in whole seconds: builders cut or round what is below (docs/copies.md).
    """
    sizes_before, sizes_after = counted_sizes(before, after), counted_sizes(after, before)
    links = _link_details(before, after)
    for path in sorted({*before, *after}):
        one, two = before.get(path), after.get(path)
        details: tuple[Detail, ...] = ()
        if one is not None and two is not None:
            details = (*_details(one, two, path in same), *links.get(path, ()))
            if not details:
                continue
        there = two or one
        assert there is not None
        yield PathChange(
            path,
            How.CHANGED if details else How.ADDED if one is None else How.REMOVED,
            there.kind,
            one.size_bytes if one else 0,
            two.size_bytes if two else 0,
            sizes_after.get(path, 0) - sizes_before.get(path, 0),
            owner(path),
            one.layer_index if one else None,
            two.layer_index if two else None,
            details,
        )


def counted_sizes(entries: Tree, other: Tree) -> dict[str, int]:
    """The bytes of each file, those of several names at one of them: the first that is a file in
    the ``other`` tree, too, so that a name that comes or goes brings or takes nothing."""
    chosen: dict[int, tuple[bool, str]] = {}
    for path, entry in entries.items():
        if entry.is_file:
            rank = (not _is_file_in(other, path), path)
            chosen[entry.inode] = min(chosen.get(entry.inode, rank), rank)
    return {path: entries[path].size_bytes for _, path in chosen.values()}


def _is_file_in(entries: Tree, path: str) -> bool:
    entry = entries.get(path)
    return entry is not None and entry.is_file


def _details(one: Entry, two: Entry, is_same: bool) -> Iterator[Detail]:
    if one.kind is not two.kind:
        yield Detail(Aspect.KIND, one.kind, two.kind)
        return
    rows = [
        (Aspect.SIZE, str(one.size_bytes), str(two.size_bytes)),
        (Aspect.LINK_TARGET, one.link_target, two.link_target),
        (Aspect.OWNER, f"{one.uid}:{one.gid}", f"{two.uid}:{two.gid}"),
        (Aspect.DEVICE, device_text(one), device_text(two)),
    ]
    if one.kind is not Kind.SYMLINK:
        rows.append((Aspect.MODE, f"{one.mode:04o}", f"{two.mode:04o}"))
    if one.is_file and one.size_bytes == two.size_bytes and not is_same:
        yield Detail(Aspect.CONTENT)
    yield from (Detail(*row) for row in rows if row[1] != row[2])
    yield from _attribute_details(dict(one.xattrs), dict(two.xattrs))
    if not (one.is_implied or two.is_implied or is_same_second(one, two)):
        yield Detail(Aspect.MTIME, time_text(one), time_text(two))


def _attribute_details(one: Mapping[str, bytes], two: Mapping[str, bytes]) -> Iterator[Detail]:
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            yield Detail(name, one.get(name, b"").hex(), two.get(name, b"").hex())


def _link_details(before: Tree, after: Tree) -> dict[str, tuple[Detail, ...]]:
    """For each file that has other names than before, of the names that are files in both trees."""
    common = [path for path, one in before.items() if one.is_file and _is_file_in(after, path)]
    ordered = sorted(common)
    was, now = (paths_by_inode(tree[path] for path in ordered) for tree in (before, after))
    details: dict[str, tuple[Detail, ...]] = {}
    for path in common:
        one, two = was[before[path].inode], now[after[path].inode]
        if one != two:
            detail = Detail(Aspect.HARD_LINKS, _others(path, one), _others(path, two))
            details[path] = (detail,)
    return details


def _others(path: str, names: list[str]) -> str:
    if len(names) == 1:
        return "none"
    others = [name for name in names[: _NAMED_LINKS + 1] if name != path][:_NAMED_LINKS]
    more = len(names) - 1 - len(others)
    return ", ".join(others) + (f" and {more:,} more" if more else "")
