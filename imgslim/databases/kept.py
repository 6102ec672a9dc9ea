"""What is kept, while package databases are added to it, and which packages that makes true."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from imgslim.model import Entry, Group, Keep, Package, Problem
from imgslim.world import World

REASON = "package database, cut to what is kept"

SCANNERS = "<package scanners>"
"""Who asks for a package database: no file of the image does."""

PARENT_REASON = "parent directory"
"""Of a directory that is kept for what lies in it."""

_BY_THE_USER = "<keep "
"""Starts the reason's asker of what a ``--keep`` names: that stays as the user wants it."""


class Kept:
    """The kept paths of one plan; every path that is added brings its parents and links."""

    def __init__(self, world: World, keeps: Iterable[Keep]) -> None:
        self.world = world
        self.keeps = {keep.entry.path: keep for keep in keeps}
        self.problems: list[Problem] = []

    def packages_of(self, database: str) -> dict[str, Package]:
        """The image's packages of one database (``deb``, ``apk``, ``rpm``) by their keys."""
        packages = self.world.packages.packages.values()
        return {p.key: p for p in packages if p.key.startswith(f"{database}:")}

    def has_file(self, path: str) -> bool:
        """Whether a canonical path is kept and is no directory."""
        keep = self.keeps.get(path)
        return keep is not None and not keep.entry.is_directory

    def add(self, path: str, group: Group, reason: str, because: str) -> None:
        """Keep what ``path`` leads to, if it is in the image and not kept yet."""
        resolved = self.world.rootfs.resolve(path)
        if resolved.entry is None:
            return
        entries = self.world.rootfs.entries
        for entry in (*(entries[link] for link in resolved.links), resolved.entry):
            self._put(Keep(entry, group, reason, because))

    def add_cut(self, path: str, because: str, cut: Callable[[bytes], bytes]) -> None:
        """Keep the database file that ``path`` leads to as ``cut`` makes it, or leave it out where
        nothing remains. What the user asked for by ``--keep`` stays whole."""
        entry = self.world.rootfs.lookup(path)
        if entry is None or not entry.is_file:
            return
        known = self.keeps.get(entry.path)
        if known is not None and known.because.startswith(_BY_THE_USER):
            return
        fat = self.world.rootfs.read_bytes(entry)
        content = cut(fat)
        if content:
            self.add(path, Group.PACKAGE, REASON, because)
            changed = None if content == fat else content
            self.keeps[entry.path] = replace(self.keeps[entry.path], content=changed)
        elif known is not None:
            self.keeps[entry.path] = replace(known, content=b"")

    def remove(self, path: str) -> list[Keep]:
        """Take ``path`` and all below it away; nothing where the user asked for any of it."""
        entries = self.world.rootfs.walk(path)
        gone = [self.keeps[entry.path] for entry in entries if entry.path in self.keeps]
        if any(keep.because.startswith(_BY_THE_USER) for keep in gone):
            return []
        for keep in gone:
            del self.keeps[keep.entry.path]
        return gone

    def _put(self, keep: Keep) -> None:
        if keep.entry.path in self.keeps:
            return
        self._put_parents(keep.entry)
        self.keeps[keep.entry.path] = keep

    def _put_parents(self, entry: Entry) -> None:
        path = entry.path
        while path != "/":
            child, path = path, path.rpartition("/")[0] or "/"
            if path in self.keeps:
                return
            parent = self.world.rootfs.entries[path]
            self.keeps[path] = Keep(parent, Group.DIRECTORY, PARENT_REASON, child)


def owning(kept: Kept, files_of: Mapping[str, Collection[str]]) -> set[str]:
    """The packages that own a kept file or link. A file of several packages (the copyright text of
    one that is there for two architectures) counts for those of which something else is kept, and
    for all of them when there is none; a link where packages have a common directory (``/lib`` on a
    merged-/usr system) is nobody's."""
    owners: dict[str, list[str]] = {}
    for key, files in files_of.items():
        for path in files:
            if kept.has_file(path):
                owners.setdefault(path, []).append(key)
    for path in [path for path, keys in owners.items() if len(keys) > 1]:
        target = kept.world.rootfs.lookup(path)
        if target is not None and target.is_directory:
            del owners[path]
    found = {keys[0] for keys in owners.values() if len(keys) == 1}
    for keys in owners.values():
        if found.isdisjoint(keys):
            found.update(keys)
    return found
