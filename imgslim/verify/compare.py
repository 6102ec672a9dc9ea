"""An image's merged tree against what a plan expects, entry by entry.

What is compared is what COPY and its builders keep (docs/copies.md): times in whole seconds, of
extended attributes ``security.capability`` alone, no mode of a link (Linux has none, symlink(7)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from imgslim.model import Entry, Kind, paths_by_inode
from imgslim.rootfs import Rootfs
from imgslim.verify.differences import NOTHING, Aspect, Mismatch
from imgslim.verify.digests import digest_of_file, digest_of_mapped
from imgslim.verify.expected import ExpectedPath

OnPath = Callable[[int], None]
"""Called with the bytes of each path that is compared."""


def compare_trees(
    expected: Mapping[str, ExpectedPath], rootfs: Rootfs, on_path: OnPath | None = None
) -> Iterator[Mismatch]:
    """Every mismatch of the planned paths, and every path that is not planned, sorted by path."""
    digests: dict[int, str] = {}
    for path in sorted({*expected, *rootfs.entries}):
        wanted, given = expected.get(path), rootfs.get(path)
        if wanted is None:
            yield Mismatch(path, Aspect.PRESENCE, NOTHING, _kind(given), None, given)
        elif given is None:
            entry = wanted.entry
            yield Mismatch(path, Aspect.PRESENCE, _kind(entry), NOTHING, entry, None)
        else:
            for aspect, planned, found in _compare_path(wanted, given, rootfs, digests):
                yield Mismatch(path, aspect, planned, found, wanted.entry, given)
        if on_path:
            on_path(given.size_bytes if given else 0)
    yield from _compare_links(expected, rootfs)


_Row = tuple[Aspect, str, str]


def _compare_path(
    wanted: ExpectedPath, given: Entry, rootfs: Rootfs, digests: dict[int, str]
) -> Iterator[_Row]:
    entry = wanted.entry
    if entry.kind is not given.kind:
        yield Aspect.KIND, _kind(entry), _kind(given)
        return
    rows = [
        (Aspect.OWNER, f"{entry.uid}:{entry.gid}", f"{given.uid}:{given.gid}"),
        (Aspect.LINK_TARGET, entry.link_target, given.link_target),
        (Aspect.DEVICE, device_text(entry), device_text(given)),
        (Aspect.CAPABILITY, capability(entry), capability(given)),
    ]
    if entry.kind is not Kind.SYMLINK:
        rows.append((Aspect.MODE, f"{entry.mode:04o}", f"{given.mode:04o}"))
    if not (wanted.untimed or given.is_implied or is_same_second(entry, given)):
        rows.append((Aspect.MTIME, time_text(entry), time_text(given)))
    if entry.is_file:
        compare = _compare_stripped if wanted.mapped else _compare_content
        rows.append(compare(wanted, given, rootfs, digests))
    yield from (row for row in rows if row[1] != row[2])


def _compare_content(
    wanted: ExpectedPath, given: Entry, rootfs: Rootfs, digests: dict[int, str]
) -> _Row:
    """A difference in size says enough; only else is the content read, once for all its names."""
    size_bytes = wanted.entry.size_bytes
    if size_bytes != given.size_bytes or not wanted.digest:
        return Aspect.SIZE, f"{size_bytes:,} B", f"{given.size_bytes:,} B"
    if given.inode not in digests:
        digests[given.inode] = digest_of_file(rootfs, given)
    return Aspect.CONTENT, wanted.digest, digests[given.inode]


def _compare_stripped(
    wanted: ExpectedPath, given: Entry, rootfs: Rootfs, digests: dict[int, str]
) -> _Row:
    """Nobody knows before what a strip leaves, or whether it refuses the file: it is the fat
    image's, or no larger and what a process maps of it is."""
    size_bytes = wanted.entry.size_bytes
    planned = f"an ELF file of at most {size_bytes:,} B that maps the same"
    if given.size_bytes == size_bytes:
        row = _compare_content(wanted, given, rootfs, digests)
        if row[1] == row[2]:
            return row
    mapped = digest_of_mapped(rootfs, given)
    if not mapped:
        return Aspect.STRIPPED, planned, f"{given.size_bytes:,} B that are no ELF file"
    if given.size_bytes > size_bytes:
        return Aspect.STRIPPED, planned, f"{given.size_bytes:,} B"
    if mapped != wanted.mapped:
        return Aspect.STRIPPED, planned, f"{given.size_bytes:,} B that map something else"
    return Aspect.STRIPPED, planned, planned


def _compare_links(expected: Mapping[str, ExpectedPath], rootfs: Rootfs) -> Iterator[Mismatch]:
    """A mismatch for each file that became several, and for files that became one.

    Names that are not in the image, or are something else there, were said already.
    """
    present = {
        path: (wanted.entry, rootfs.entries[path])
        for path, wanted in expected.items()
        if wanted.entry.is_file and path in rootfs.entries and rootfs.entries[path].is_file
    }
    planned = _groups({path: wanted for path, (wanted, _) in present.items()})
    found = _groups({path: given for path, (_, given) in present.items()})
    for names, files in _torn(planned, found):
        yield Mismatch(names[0], Aspect.HARD_LINKS, _one(names), files, *present[names[0]])
    for names, files in _torn(found, planned):
        yield Mismatch(names[0], Aspect.HARD_LINKS, files, _one(names), *present[names[0]])


_Groups = Mapping[str, tuple[str, ...]]


def _groups(entries: Mapping[str, Entry]) -> _Groups:
    """For each path the sorted names of its file."""
    names = paths_by_inode(entries[path] for path in sorted(entries))
    return {path: tuple(group) for group in names.values() for path in group}


def _torn(groups: _Groups, others: _Groups) -> Iterator[tuple[tuple[str, ...], str]]:
    """The groups whose names are of several files in ``others``, with how many, in words."""
    for names in dict.fromkeys(groups.values()):
        count = len({others[name] for name in names})
        if count > 1:
            yield names, f"{count:,} files"


def _one(names: Sequence[str]) -> str:
    return f"one file with {', '.join(names[1:])}"


def _kind(entry: Entry | None) -> str:
    return NOTHING if entry is None else entry.kind.value


def device_text(entry: Entry) -> str:
    """The major and minor number of a device."""
    return f"{entry.device[0]}, {entry.device[1]}"


def capability(entry: Entry) -> str:
    """The file's capabilities as the kernel stores them, in hex; "none"."""
    value = dict(entry.xattrs).get("security.capability", b"")
    return value.hex() or "none"


def is_same_second(wanted: Entry, given: Entry) -> bool:
    """Docker and BuildKit cut the part of a time below the second, buildah rounds it."""
    return math.floor(given.mtime) in (math.floor(wanted.mtime), math.ceil(wanted.mtime))


def time_text(entry: Entry) -> str:
    """The modification time in whole seconds, as RFC 3339 writes it."""
    seconds = math.floor(entry.mtime)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"@{seconds}"  # of a year that no calendar has
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
