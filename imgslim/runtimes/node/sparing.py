"""What a package carries that only its builds need, where the image runs what is built already.

Rows: ``[[spare]]`` of ``node.toml``. A build of Next.js leaves lists of what its server loads
(``*.nft.json``, by @vercel/nft: ``files`` relative to the list) beside what it made; they have the
last word, and without them everything stays.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from imgslim.choices import Level
from imgslim.commands import join
from imgslim.runtimes.node.packages import Manifest, is_third_party
from imgslim.runtimes.node.tables import Left, Spare, node_table
from imgslim.world import World

SPARED = Left("what only builds need", re.compile(r"(?!)"), (), ())
"""The row of the files that are left out here."""

_LISTS = ".nft.json"


class Sparing:
    """Which dependencies and files of packages only a build would load, in one image."""

    def __init__(self, world: World, manifests: Mapping[str, Manifest]) -> None:
        self._world = world
        self._manifests = manifests
        self._commands: dict[str, set[str]] = defaultdict(set)
        self._built: dict[str, bool] = {}

    def note(self, manifest: Manifest | None, arguments: Sequence[str]) -> None:
        """A package's program runs with these arguments."""
        if manifest is not None:
            first = next((word for word in arguments if not word.startswith("-")), "")
            self._commands[manifest.name].add(first)

    def builds(self, manifest: Manifest) -> bool:
        """Whether a package's program is asked for more than to serve: it may build."""
        rows = (row for row in node_table().spare if row.package == manifest.name)
        return any(not self._commands[row.package] <= set(row.serves) for row in rows)

    def has_dependency(self, manifest: Manifest, name: str) -> bool:
        """Whether a package names another one only for its builds."""
        return any(r.names.fullmatch(name) for r in self.rows(manifest))

    def has_file(self, manifest: Manifest | None, path: str) -> bool:
        """Whether a file of a package is only for its builds."""
        if manifest is None or path in self._listed:
            return False
        place = path[len(manifest.directory) + 1 :]
        return any(r.paths.fullmatch(place) for r in self.rows(manifest))

    def rows(self, manifest: Manifest) -> list[Spare]:
        """The rows that hold for an installed package."""
        if self._world.choices.level is Level.SAFE:
            return []
        rows = (row for row in node_table().spare if row.package == manifest.name)
        return [row for row in rows if self._only_serves(row) and self._is_built(row, manifest)]

    def _only_serves(self, row: Spare) -> bool:
        """Whether all that runs the package serves what a build made: its program does with the
        words that the row has; a server of the app's own does in production."""
        commands = self._commands[row.package]
        if commands:
            return commands <= set(row.serves)
        return self._world.values_at_start.get("NODE_ENV") == ("production",)

    def _is_built(self, row: Spare, manifest: Manifest) -> bool:
        """Whether a build listed what of this very package its server loads, and no source is
        read in its place."""
        key = manifest.directory
        if key not in self._built:
            inside = f"{key}/"
            self._built[key] = any(path.startswith(inside) for path in self._listed) and not any(
                self._world.rootfs.lookup(join(directory, file)) is not None
                for directory in self._manifests
                for file in row.files
            )
        return self._built[key]

    @cached_property
    def _listed(self) -> frozenset[str]:
        """The canonical paths of the files that builds list, as far as they are there."""
        return frozenset(self._read_lists())

    def _read_lists(self) -> Iterator[str]:
        rootfs = self._world.rootfs
        servers = {name for row in node_table().spare for name in row.lists}
        lists = [p for p in rootfs.entries if p.endswith(_LISTS) and not is_third_party(p)]
        if not any(posixpath.basename(path) in servers for path in lists):
            return
        for path in lists:
            entry = rootfs.get(path)
            fields: Any = rootfs.read_json(entry) if entry is not None and entry.is_file else None
            files = fields.get("files") if isinstance(fields, dict) else None
            for file in files if isinstance(files, list) else ():
                found = rootfs.lookup(posixpath.normpath(join(posixpath.dirname(path), str(file))))
                if found is not None:
                    yield found.path
