"""Installed gems: their specifications, directories and extensions, and what each can be loaded as.

Layout: RubyGems' ``Gem::Specification`` and ``Gem::BasicSpecification`` (``stub:`` lines,
``full_require_paths``, ``extension_dir``); Bundler's ``bundler/gems`` for gems from git.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.ruby.source import arguments_of, calls_in, evaluate
from imgslim.world import World

_STUB = re.compile(rb"^# stub: (\S+) (\S+) (\S+) (.*)$", re.MULTILINE)
_HEAD_BYTES = 1024
_CODE = (".rb", ".so")
_RUNTIME = ("add_runtime_dependency", "add_dependency", "add_development_dependency")


@dataclass(frozen=True, slots=True)
class Gem:
    """One installed gem. ``directory`` holds its files ("" for one whose files lie in a directory
    of the interpreter), ``home`` the directory of all that RubyGems put beside it."""

    name: str
    version: str
    platform: str
    spec_path: str
    home: str
    directory: str
    require_paths: tuple[str, ...]
    extensions: tuple[str, ...] = ()
    from_git: bool = False

    @property
    def label(self) -> str:
        return f"gem {self.name} {self.version}".rstrip()

    @property
    def key(self) -> str:
        return f"gem:{self.name}@{self.version}" if self.version else f"gem:{self.name}"

    @property
    def full_name(self) -> str:
        return self.directory.rpartition("/")[2] or _full_name(
            self.name, self.version, self.platform
        )

    @property
    def load_path(self) -> tuple[str, ...]:
        places = [f"{self.directory}/{part}".rstrip("/.") for part in self.require_paths]
        return (*self.extensions, *(places if self.directory else ()))


class GemIndex:
    """The gems of one image."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rootfs = world.rootfs
        self.gems: tuple[Gem, ...] = tuple(_find_gems(world.rootfs))
        self.by_name: dict[str, list[Gem]] = defaultdict(list)
        for gem in self.gems:
            self.by_name[gem.name].append(gem)

    @cached_property
    def homes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(gem.home for gem in self.gems))

    @cached_property
    def _by_directory(self) -> dict[str, Gem]:
        found = {}
        for gem in self.gems:
            for place in (gem.directory, *gem.extensions):
                if place:
                    found[place] = gem
        return found

    def gem_of(self, path: str) -> Gem | None:
        """The gem in whose directory, or among whose extensions, a path lies."""
        if not self._by_directory:
            return None
        while path:
            gem = self._by_directory.get(path)
            if gem is not None:
                return gem
            path = path.rpartition("/")[0]
        return None

    @cached_property
    def features(self) -> dict[str, tuple[Gem, ...]]:
        """What may be required, without its suffix, and the gems that have it."""
        found: dict[str, dict[Gem, None]] = defaultdict(dict)
        for gem in self.gems:
            for place in gem.load_path:
                for entry in self._rootfs.walk(place):
                    if entry.path.endswith(_CODE) and not entry.is_directory:
                        found[entry.path[len(place) + 1 : -3]][gem] = None
        return {feature: tuple(gems) for feature, gems in found.items()}

    def files(self, gem: Gem) -> Iterator[Entry]:
        """All that belongs to a gem: its directory, its extensions, its specification."""
        for place in (gem.directory, *gem.extensions):
            if place:
                yield from self._rootfs.walk(place)
        entry = self._rootfs.get(gem.spec_path)
        if entry is not None:
            yield entry

    def dependencies(self, gem: Gem) -> tuple[str, ...]:
        """The names of what a gem needs at run time."""
        entry = self._rootfs.get(gem.spec_path)
        return read_dependencies(self._rootfs.read_bytes(entry)) if entry is not None else ()


def read_dependencies(data: bytes) -> tuple[str, ...]:
    """The run-time dependencies that a gemspec declares. RubyGems before 3.5 wrote them with
    ``add_runtime_dependency`` and once more, with those for development, for itself of old."""
    found: dict[str, dict[str, None]] = {name: {} for name in _RUNTIME}
    for name, node in calls_in(data):
        if name in found:
            arguments = arguments_of(node)
            value = evaluate(arguments[0]) if arguments else None
            if value is not None and value.complete and value.text:
                found[name][value.text] = None
    runtime, plain, development = (found[name] for name in _RUNTIME)
    return tuple({**runtime, **{name: None for name in plain if name not in development}})


def _find_gems(rootfs: Rootfs) -> Iterator[Gem]:
    for path, entry in rootfs.entries.items():
        if not path.endswith(".gemspec") or not entry.is_file:
            continue
        directory = path.rpartition("/")[0]
        if directory.endswith(("/specifications", "/specifications/default")):
            gem = _installed(rootfs, path, directory)
            if gem is not None:
                yield gem
        elif directory.rpartition("/")[0].endswith("/bundler/gems"):
            yield _from_git(rootfs, path, directory)


def _installed(rootfs: Rootfs, path: str, directory: str) -> Gem | None:
    home = directory.partition("/specifications")[0]
    stub = _STUB.search(rootfs.read_bytes(rootfs.entries[path], _HEAD_BYTES))
    if stub is None:
        return None
    name, version, platform, paths = (part.decode("utf-8", "replace") for part in stub.groups())
    full = _full_name(name, version, platform)
    top = f"{home}/gems/{full}"
    is_there = bool(rootfs.children(top))
    extensions = tuple(_extensions(rootfs, f"{home}/extensions", full))
    requires = tuple(paths.split("\0")) if is_there else ()
    return Gem(name, version, platform, path, home, top if is_there else "", requires, extensions)


def _from_git(rootfs: Rootfs, path: str, directory: str) -> Gem:
    home = directory.rpartition("/bundler/")[0]
    name = path.rpartition("/")[2].removesuffix(".gemspec")
    full = directory.rpartition("/")[2]
    extensions = tuple(_extensions(rootfs, f"{home}/bundler/gems/extensions", full))
    return Gem(name, "", "ruby", path, home, directory, ("lib",), extensions, from_git=True)


def _extensions(rootfs: Rootfs, top: str, full_name: str) -> Iterator[str]:
    """``extensions/PLATFORM/ABI/NAME-VERSION`` (Gem::BasicSpecification#extension_dir)."""
    for platform in rootfs.children(top):
        for abi in rootfs.children(f"{top}/{platform}"):
            place = f"{top}/{platform}/{abi}/{full_name}"
            if rootfs.get(place) is not None:
                yield place


def _full_name(name: str, version: str, platform: str) -> str:
    return f"{name}-{version}" if platform in ("ruby", "") else f"{name}-{version}-{platform}"


def newest_first(gems: Iterable[Gem]) -> list[Gem]:
    """Gems by descending version, as far as the numbers in it tell."""
    return sorted(
        gems, key=lambda gem: [int(n) for n in re.findall(r"\d+", gem.version)], reverse=True
    )
