"""Entry points: plugins that code finds by the name of their group (packaging.python.org,
"Entry points specification")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgslim.model import Distribution
from imgslim.runtimes.python.tables import hidden
from imgslim.world import World

_LOOKUP_MODULES = frozenset(
    ("importlib", "importlib_metadata", "pkg_resources", "stevedore", "entrypoints", "pluggy")
)


class PluginGroups:
    """The plugin groups that reached code names.

    ``literals`` are the string constants of the user's own code. Of distributions, those are
    searched that look up entry points at all.
    """

    def __init__(self) -> None:
        self.literals: set[str] = set()
        self._loaders: dict[str, Distribution] = {}
        self._contents: dict[str, bytes] = {}
        self._answers: dict[tuple[str, str], str | None] = {}

    def note(self, dist: Distribution, data: bytes, names: set[str]) -> None:
        """One more source of a reached distribution, with the names that it may import."""
        if dist.metadata_path in self._loaders or names.isdisjoint(_LOOKUP_MODULES):
            return
        if any(marker in data for marker in hidden().plugin_markers):
            self._loaders[dist.metadata_path] = dist

    def match(
        self, world: World, unreached: Iterable[Distribution]
    ) -> Iterator[tuple[Distribution, str, str]]:
        """Those of ``unreached`` that advertise a group which reached code names: distribution,
        group, and the path of the metadata of the distribution that names it."""
        for dist in unreached:
            groups = {point.group for point in dist.entry_points}
            for group in sorted(filter(hidden().is_plugin_group, groups)):
                because = self._loader_of(world, group)
                if because is not None:
                    yield dist, group, because

    def _loader_of(self, world: World, group: str) -> str | None:
        if group in self.literals:
            return "<plugin groups>"
        for key, dist in self._loaders.items():
            if self._names_group(world, dist, group):
                return key
        return None

    def _names_group(self, world: World, dist: Distribution, group: str) -> bool:
        key = (dist.metadata_path, group)
        if key not in self._answers:
            word = group.encode()
            quoted = (b'"%b"' % word, b"'%b'" % word)
            found = None
            for path in dist.files:
                entry = world.rootfs.get(path) if path.endswith(".py") else None
                if entry is None or not entry.is_file:
                    continue
                data = world.rootfs.read_bytes(entry)
                if any(text in data for text in quoted):
                    found = path
                    break
            self._answers[key] = found
        return self._answers[key] is not None
