"""A host directory as a merged tree, so that real loaders and our rules see the same files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from imgslim.model import Entry, ImageConfig, Kind, Platform, Traits
from imgslim.rootfs import Rootfs
from imgslim.world import PackageIndex, World

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
}


class DiskRootfs(Rootfs):
    """The merged tree of a directory, without a tar of it."""

    def __init__(self, top: Path, tops: Iterable[str], base: Mapping[str, Entry]) -> None:
        self._top = str(top).rstrip("/")
        entries = {**base, "/": _entry("/", top)}
        for start in tops:
            entries.update({entry.path: entry for entry in _walk(self._top, start)})
        super().__init__(entries, [])

    def pread(self, entry: Entry, offset: int, size: int) -> bytes:
        with Path(self._top + entry.path).open("rb") as file:
            file.seek(offset)
            return file.read(size)


def disk_world(
    top: Path,
    *tops: str,
    base: Mapping[str, Entry] | None = None,
    config: ImageConfig | None = None,
) -> World:
    """A World over ``top``, of the whole or of the directories ``tops`` in it.

    ``base`` holds entries of the same ``top`` that are known already.
    """
    rootfs = DiskRootfs(top, tops or ("",), base or {})
    return World(rootfs, config or ImageConfig(), Platform("linux", "amd64"), PackageIndex())


def _walk(top: str, start: str) -> Iterator[Entry]:
    parent = start
    while parent:
        yield _entry(parent, Path(top + parent))
        parent = parent.rpartition("/")[0]
    if Path(top + start).is_symlink():
        return
    for directory, names, files in os.walk(top + start):
        for name in [*names, *files]:
            path = Path(directory) / name
            if stat.S_IFMT(path.lstat().st_mode) in _KINDS:
                yield _entry(str(path)[len(top) :], path)


def _entry(path: str, file: Path) -> Entry:
    status = file.lstat()
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        size_bytes=status.st_size if kind is Kind.FILE else 0,
        mtime=status.st_mtime,
        traits=Traits(
            status.st_uid,
            status.st_gid,
            link_target=str(file.readlink()) if kind is Kind.SYMLINK else "",
        ),
        layer_index=status.st_dev,
        data_offset=status.st_ino,
    )
