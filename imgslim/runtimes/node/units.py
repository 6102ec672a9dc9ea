"""The files of installed packages, and which of them a level leaves out."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from imgslim.choices import Level
from imgslim.model import Entry
from imgslim.runtimes.elf import elf_facts
from imgslim.runtimes.node.packages import FOLDER, Manifest, PackageTree, is_third_party
from imgslim.runtimes.node.tables import Left, node_table
from imgslim.world import World

_MUSL = re.compile(r"(?:-|linux)musl(?:eabihf)?$")
_PREBUILDS = "prebuilds/"
_NEVER = re.compile(r"(?:^|/)(?:licen[cs]e|copying|notice)[^/]*$", re.IGNORECASE)
"""Licence texts stay with what they are for."""


class Units:
    """What lies in each package directory, by the platform and the level of one image."""

    def __init__(self, world: World, tree: PackageTree) -> None:
        self._world = world
        self._tree = tree

    @cached_property
    def files(self) -> Mapping[str, tuple[Entry, ...]]:
        """The files and links of each package, by its directory."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for path, entry in self._world.rootfs.entries.items():
            if is_third_party(path) and not entry.is_directory:
                top = self._tree.top(path)
                if path != top:
                    found[top].append(entry)
        return {top: tuple(entries) for top, entries in found.items()}

    @cached_property
    def names(self) -> frozenset[str]:
        """The names by which the packages with files are looked up."""
        return frozenset(top.rpartition(f"/{FOLDER}/")[2] for top in self.files)

    @cached_property
    def is_musl(self) -> bool:
        """Whether the programs of the image are built for musl."""
        rootfs = self._world.rootfs
        for path in ("/usr/local/bin/node", "/usr/bin/node"):
            entry = rootfs.lookup(path)
            facts = None if entry is None else elf_facts(rootfs, entry)
            if facts is not None and facts.interpreter:
                return "musl" in facts.interpreter
        return any(rootfs.glob("/lib/ld-musl-*.so.1"))

    def fits(self, manifest: Manifest) -> bool:
        """Whether a package is for this platform (npm's os, cpu and libc)."""
        libc = "musl" if self.is_musl else "glibc"
        given = (("os", "linux"), ("cpu", self._architecture), ("libc", libc))
        if not all(_allows(manifest.words(key), value) for key, value in given):
            return False
        other = bool(_MUSL.search(manifest.name)) and not self.is_musl
        return not (other and manifest.words("os"))

    def split(self, top: str) -> tuple[list[Entry], list[tuple[Entry, Left | None]]]:
        """The files of a package that are kept, and those that the level leaves out, each with the
        row that says so (None: they are of another platform)."""
        entries = self.files.get(top, ())
        if self._world.choices.level is Level.SAFE:
            return list(entries), []
        names = frozenset(self._world.rootfs.children(top))
        rows = [r for r in node_table().left_out if not r.beside or names & set(r.beside)]
        kept: list[Entry] = []
        left: list[tuple[Entry, Left | None]] = []
        for entry in entries:
            place = entry.path[len(top) + 1 :]
            row = next((r for r in rows if r.paths.fullmatch(place)), None)
            if not self._is_of_platform(place):
                left.append((entry, None))
            elif row is not None and not _NEVER.search(place):
                left.append((entry, row))
            else:
                kept.append(entry)
        return kept, left

    def _is_of_platform(self, place: str) -> bool:
        """prebuildify: ``prebuilds/linux-x64/node.napi.glibc.node``; node-gyp-build picks by
        platform, architectures (several joined by ``+``), runtime and libc."""
        before, inside, rest = place.partition(_PREBUILDS)
        if not inside or (before and not before.endswith("/")) or "/" not in rest:
            return True
        folder, _, name = rest.partition("/")
        platform, _, architectures = folder.partition("-")
        tags = posixpath.basename(name).split(".")
        wrong = "glibc" if self.is_musl else "musl"
        return (
            platform == "linux"
            and self._architecture in architectures.split("+")
            and wrong not in tags
            and "electron" not in tags
        ) or not name.endswith(".node")

    @property
    def _architecture(self) -> str:
        name = self._world.platform.architecture
        return node_table().architectures.get(name, name)


def is_code(path: str) -> bool:
    """Whether a file is a JavaScript or TypeScript source."""
    return path.endswith(node_table().sources)


def in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """By path, so that reasons do not depend on the order of layers."""
    yield from sorted(entries, key=lambda entry: entry.path)


def _allows(words: Iterable[str], value: str) -> bool:
    """docs.npmjs.com, package.json, os: names, or names to exclude with a ``!``."""
    named = [word for word in words if word != "any"]
    if f"!{value}" in named:
        return False
    positive = [word for word in named if not word.startswith("!")]
    return not positive or value in positive
