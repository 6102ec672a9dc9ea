"""Paths as package databases write them, turned into those of the merged tree."""

from __future__ import annotations

from imgslim.rootfs import Rootfs


class PathMap:
    """Recorded path → canonical path in the tree, or None where nothing is.

    A database names files as the package ships them (``/bin/ls``); on a merged-/usr system they
    lie behind links (``/usr/bin/ls``; Debian bug #134758, traps.md 25). Directories are resolved
    once each: a database names every file of the image.
    """

    def __init__(self, rootfs: Rootfs) -> None:
        self._entries = rootfs.entries
        self._rootfs = rootfs
        self._directories: dict[str, str] = {}

    def find(self, path: str) -> str | None:
        entry = self._entries.get(path)
        if entry is not None:
            return entry.path
        directory, _, name = path.rpartition("/")
        canonical = self._directories.get(directory)
        if canonical is None:
            resolved = self._rootfs.resolve(directory or "/").path
            canonical = self._directories[directory] = "" if resolved == "/" else resolved
        entry = self._entries.get(f"{canonical}/{name}")
        return None if entry is None else entry.path
