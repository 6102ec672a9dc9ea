"""Which package each file is of: of a system's database, of a language's metadata, or one that a
file is by itself (a Java archive, a Go program)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgslim.model import Entry, Origin, OriginKind, Package
from imgslim.packages.cpan import read_cpan
from imgslim.packages.jars import JAR_SUFFIXES, name_jar
from imgslim.packages.npm import read_npm
from imgslim.runtimes.go_buildinfo import BuildInfo, read_build_info
from imgslim.runtimes.ruby.gems import Gem, GemIndex
from imgslim.world import World

_LEAST_GO_BYTES = 500_000
"""Below it no file is asked whether it is a Go program: the Go runtime alone, stripped, is twice
that (``package main; func main() {}``)."""


class Ownership:
    """The owners of the files of one image; ``versions`` and ``modules`` (of Go programs, as
    MODULE@VERSION) of those that were met, by key.

    The first of these that claims a file has it: a system package, a Python distribution, a CPAN
    distribution, the npm package or gem around it; and of files that nobody else put there, the
    file itself. A language's package that a system package brought is that system package's.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._packages = world.packages
        self._tops: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.modules: dict[str, tuple[str, ...]] = {}
        gems = GemIndex(world).gems
        for key, version, top in _directories(read_npm(world.rootfs), gems):
            self.versions[key] = version
            self._tops[top] = key
        self._specs = {gem.spec_path: gem.key for gem in gems}
        self._listed: dict[str, str] = {}
        for package in read_cpan(world.rootfs):
            self.versions[package.key] = package.version
            self._listed.update(dict.fromkeys(package.files, package.key))
        self._inside: dict[str, str] = {"": ""}

    def owner(self, path: str, directory: str, entry: Entry, origin: Origin) -> str:
        """The key of a file's owner, "" for nobody."""
        package = self._packages.owner(path)
        if package is not None:
            self.versions[package.key] = package.version
            return package.key
        distribution = self._packages.distribution_owner(path)
        if distribution is not None:
            self.versions[distribution.key] = distribution.version
            return distribution.key
        if path in self._listed:
            return self._listed[path]
        if self._tops:
            key = self._specs.get(path) or self._around(directory)
            if key:
                return key
        if origin.kind is OriginKind.USER:
            return self._by_itself(path, entry)
        return ""

    def _around(self, directory: str) -> str:
        """The innermost npm package or gem whose directory this or one above it is."""
        key = self._inside.get(directory)
        if key is None:
            own = self._tops.get(directory)
            key = own if own is not None else self._around(directory.rpartition("/")[0])
            self._inside[directory] = key
        return key

    def _by_itself(self, path: str, entry: Entry) -> str:
        if path.endswith(JAR_SUFFIXES):
            name, version = name_jar(self._world.rootfs, entry)
            key = f"jar:{name}@{version}" if version else f"jar:{name}"
            self.versions[key] = version
            return key
        if entry.is_executable and entry.size_bytes >= _LEAST_GO_BYTES:
            info = read_build_info(self._world.rootfs, entry)
            if info is not None:
                key = f"go:{info.module or path.rpartition('/')[2]}"
                self.versions[key] = info.module_version
                self.modules[key] = tuple(dict.fromkeys((*self.modules.get(key, ()), *_of(info))))
                return key
        return ""


def _of(info: BuildInfo) -> Iterator[str]:
    return (f"{module}@{version}" for module, version in info.dependencies)


def _directories(
    packages: Iterable[Package], gems: Iterable[Gem]
) -> Iterator[tuple[str, str, str]]:
    """(key, version, directory) of each npm package and gem, with the directories of a gem's
    extensions."""
    for package in packages:
        yield package.key, package.version, package.database.rpartition("/")[0]
    for gem in gems:
        for directory in (gem.directory, *gem.extensions):
            if directory:
                yield gem.key, gem.version, directory
