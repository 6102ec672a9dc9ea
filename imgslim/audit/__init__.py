"""What inflates an image: layers, directories, files, packages, and bytes that are stored in vain.

Sizes are bytes of regular files, files that share an inode once. ``kept_bytes`` is what of it the
plan keeps, None without a plan (an image that runs nothing can be audited all the same).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from imgslim.model import Entry, Image, Kind, Layer, Plan, unique_size_bytes
from imgslim.rootfs import Rootfs
from imgslim.world import PackageIndex

DIRECTORY_SHARE = 0.02
"""A directory is named when it holds this share of the image beyond the directories named in it."""

MAX_FILES = 100
"""Files that an audit lists."""

Inodes = frozenset[tuple[int, int]]
"""The kept files: bytes are kept when any of the names of their inode is."""


@dataclass(frozen=True, slots=True)
class LayerAudit:
    """One layer: the instruction that made it, its bytes, and what became of them.

    ``wasted_bytes`` are those that a later layer deletes or overwrites; ``kept_bytes`` those that
    the plan keeps.
    """

    index: int
    diff_id: str
    instruction: str
    size_bytes: int
    stored_size_bytes: int
    file_count: int
    wasted_bytes: int
    kept_bytes: int | None


@dataclass(frozen=True, slots=True)
class WastedFile:
    """A file whose bytes are in the image but not in its tree.

    ``how`` is ``deleted`` or ``overwritten``, by the layer ``by_layer`` (None: not found out).
    """

    path: str
    size_bytes: int
    layer_index: int
    by_layer: int | None
    how: str


@dataclass(frozen=True, slots=True)
class DirectoryAudit:
    """A directory: all its bytes, and ``own_bytes``, those outside the directories listed below it.

    Every byte counts as own in exactly one listed directory, so that column adds up.
    """

    path: str
    size_bytes: int
    own_bytes: int
    file_count: int
    kept_bytes: int | None


@dataclass(frozen=True, slots=True)
class FileAudit:
    """A file of the merged tree, and the package or distribution that owns it ("": nobody)."""

    path: str
    size_bytes: int
    layer_index: int
    owner: str
    kept: bool | None


@dataclass(frozen=True, slots=True)
class PackageAudit:
    """An installed package (``deb:NAME``, ``apk:NAME``, ``pypi:NAME``)."""

    key: str
    version: str
    size_bytes: int
    file_count: int
    kept_bytes: int | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that weighs, largest first; layers in their order, base first.

    ``stored_bytes`` sums all layers, ``size_bytes`` the merged tree.
    """

    layers: tuple[LayerAudit, ...]
    directories: tuple[DirectoryAudit, ...]
    files: tuple[FileAudit, ...]
    packages: tuple[PackageAudit, ...]
    wasted: tuple[WastedFile, ...]
    stored_bytes: int
    size_bytes: int
    kept_bytes: int | None


def audit_image(
    image: Image,
    layers: Sequence[Layer],
    rootfs: Rootfs,
    packages: PackageIndex,
    plan: Plan | None = None,
) -> Audit:
    """Weigh an image. ``layers`` are its indexed layers, ``rootfs`` their merged tree."""
    kept = (
        None
        if plan is None
        else frozenset(keep.entry.inode for keep in plan.keeps if keep.entry.kind is Kind.FILE)
    )
    files = [entry for entry in rootfs.entries.values() if entry.kind is Kind.FILE]
    wasted = _wasted(layers, files, rootfs)
    return Audit(
        layers=tuple(_layer(layer, wasted, kept) for layer in layers),
        directories=_directories(files, kept),
        files=_files(files, packages, kept),
        packages=_packages(rootfs, packages, kept),
        wasted=tuple(sorted(wasted, key=lambda file: (-file.size_bytes, file.path))),
        stored_bytes=sum(layer.size_bytes for layer in layers),
        size_bytes=unique_size_bytes(files),
        kept_bytes=None if plan is None else plan.slim_size_bytes,
    )


def _layer(layer: Layer, wasted: Iterable[WastedFile], kept: Inodes | None) -> LayerAudit:
    files = [entry for entry in layer.entries if entry.kind is Kind.FILE]
    return LayerAudit(
        index=layer.index,
        diff_id=layer.blob.diff_id,
        instruction=instruction(layer.blob.created_by),
        size_bytes=layer.size_bytes,
        stored_size_bytes=layer.blob.stored_size_bytes,
        file_count=sum(entry.kind is not Kind.DIRECTORY for entry in layer.entries),
        wasted_bytes=sum(file.size_bytes for file in wasted if file.layer_index == layer.index),
        kept_bytes=_kept_bytes(files, kept),
    )


def _kept_bytes(files: Iterable[Entry], kept: Inodes | None) -> int | None:
    if kept is None:
        return None
    return unique_size_bytes([entry for entry in files if entry.inode in kept])


_NOP = re.compile(r"^/bin/sh -c #\(nop\)\s+")
_RUN = re.compile(r"^(?:RUN )?(?:\|\d+ .*? )?/bin/(?:sh|bash) (?:-o \S+ |-\S+ )*-c ")
_BUILDKIT = re.compile(r"\s+# buildkit$")


def instruction(created_by: str) -> str:
    """A history row as the Dockerfile instruction that it was.

    Builders store ``/bin/sh -c #(nop) CMD […]`` (legacy), ``RUN /bin/sh -c … # buildkit``
    (BuildKit), both with build arguments as ``|2 NAME=VALUE …`` before the shell.
    """
    text = " ".join(_BUILDKIT.sub("", created_by).split())
    if _NOP.match(text):
        return _NOP.sub("", text)
    return _RUN.sub("RUN ", text)


def _wasted(layers: Sequence[Layer], files: Iterable[Entry], rootfs: Rootfs) -> list[WastedFile]:
    """Files of a layer whose inode no path of the merged tree has any more."""
    alive = {entry.inode for entry in files}
    undo: list[_Undo] | None = None
    wasted = []
    for layer in layers:
        for entry in layer.entries:
            if entry.kind is not Kind.FILE or entry.inode in alive:
                continue
            if undo is None:
                undo = [_undo_of(later, rootfs) for later in layers]
            path = rootfs.canonical(entry.path)
            by_layer, how = _undone_by(path, layer.index, undo)
            wasted.append(WastedFile(path, entry.size_bytes, layer.index, by_layer, how))
    return wasted


@dataclass(frozen=True, slots=True)
class _Undo:
    """What a layer takes away from those below it, by canonical path."""

    deleted: frozenset[str]
    emptied: frozenset[str]
    written: Mapping[str, Kind]


def _undo_of(layer: Layer, rootfs: Rootfs) -> _Undo:
    return _Undo(
        deleted=frozenset(rootfs.canonical(path) for path in layer.whiteouts),
        emptied=frozenset(rootfs.canonical(path) for path in layer.opaques),
        written={rootfs.canonical(entry.path): entry.kind for entry in layer.entries},
    )


def _undone_by(path: str, index: int, undo: Sequence[_Undo]) -> tuple[int | None, str]:
    above = _parents(path)
    for later in range(index + 1, len(undo)):
        step = undo[later]
        if path in step.deleted or any(p in step.deleted or p in step.emptied for p in above):
            how = "overwritten" if path in step.written else "deleted"
            return later, how
        if path in step.written:
            return later, "overwritten"
        if any(step.written.get(p, Kind.DIRECTORY) is not Kind.DIRECTORY for p in above):
            return later, "deleted"
    # A tar may hold a path twice: its last member counts.
    return (index, "overwritten") if path in undo[index].written else (None, "deleted")


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) or "/" for depth in range(len(parts) - 1, 0, -1)]


def _directories(files: Sequence[Entry], kept: Inodes | None) -> tuple[DirectoryAudit, ...]:
    """The directories that say something: hierarchical heavy hitters over the tree of bytes.

    From the leaves up, a directory is named when what it holds beyond those already named in it
    reaches a share of the whole: so neither /usr with everything in it, nor each of a thousand
    small directories, but the places where bytes gather.
    """
    sizes, counts, keeps = _tree_sums(files, kept)
    threshold = max(1.0, sizes.get("/", 0) * DIRECTORY_SHARE)
    rest = dict(sizes)
    named = []
    for path in sorted(sizes, key=lambda path: -path.count("/") if path != "/" else 1):
        own = rest[path]
        if own < threshold and path != "/":
            continue
        if own:
            kept_bytes = None if kept is None else keeps.get(path, 0)
            named.append(DirectoryAudit(path, sizes[path], own, counts[path], kept_bytes))
        for parent in _parents(path) if path != "/" else ():
            rest[parent] -= own
    return tuple(sorted(named, key=lambda directory: (-directory.own_bytes, directory.path)))


def _tree_sums(
    files: Iterable[Entry], kept: Inodes | None
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Bytes, file counts and kept bytes below each directory, an inode at its first path only."""
    direct: dict[str, list[int]] = {}
    seen: set[tuple[int, int]] = set()
    for entry in files:
        if entry.inode in seen:
            continue
        seen.add(entry.inode)
        total = direct.setdefault(entry.path.rpartition("/")[0] or "/", [0, 0, 0])
        total[0] += entry.size_bytes
        total[1] += 1
        total[2] += entry.size_bytes if kept and entry.inode in kept else 0
    sizes: dict[str, int] = {}
    counts: dict[str, int] = {}
    keeps: dict[str, int] = {}
    for directory, (size, count, keep) in direct.items():
        for path in (directory, *(_parents(directory) if directory != "/" else ())):
            sizes[path] = sizes.get(path, 0) + size
            counts[path] = counts.get(path, 0) + count
            keeps[path] = keeps.get(path, 0) + keep
    return sizes, counts, keeps


def _files(
    files: Iterable[Entry], packages: PackageIndex, kept: Inodes | None
) -> tuple[FileAudit, ...]:
    largest = sorted(files, key=lambda entry: (-entry.size_bytes, entry.path))[:MAX_FILES]
    return tuple(
        FileAudit(
            entry.path,
            entry.size_bytes,
            entry.layer_index,
            _owner(entry.path, packages),
            None if kept is None else entry.inode in kept,
        )
        for entry in largest
    )


def _owner(path: str, packages: PackageIndex) -> str:
    if package := packages.owner(path):
        return package.key
    distribution = packages.distribution_owner(path)
    return distribution.key if distribution else ""


def _packages(
    rootfs: Rootfs, packages: PackageIndex, kept: Inodes | None
) -> tuple[PackageAudit, ...]:
    rows = [(p.key, p.version, p.files) for p in packages.packages.values()]
    # A distribution that a system package brought is that package's.
    rows += [
        (dist.key, dist.version, dist.files)
        for dist in packages.distributions
        if packages.owner(dist.metadata_path) is None
        and not any(packages.owner(path) for path in dist.files[:1])
    ]
    weigh = _weigher(rootfs, kept)
    found = [PackageAudit(key, version, *weigh(paths)) for key, version, paths in rows]
    return tuple(sorted(found, key=lambda package: (-package.size_bytes, package.key)))


def _weigher(
    rootfs: Rootfs, kept: Inodes | None
) -> Callable[[Iterable[str]], tuple[int, int, int | None]]:
    def weigh(paths: Iterable[str]) -> tuple[int, int, int | None]:
        entries = [e for path in set(paths) if (e := rootfs.get(path)) and e.kind is Kind.FILE]
        return unique_size_bytes(entries), len(entries), _kept_bytes(entries, kept)

    return weigh
