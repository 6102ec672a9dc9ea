"""What detectors may look at: the merged tree, the config, and who owns what."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from imgslim.choices import Choices
from imgslim.model import Distribution, Entry, HistoryRow, ImageConfig, Package, Platform
from imgslim.model.service import Service
from imgslim.rootfs import Rootfs

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What an engine sets where the config has no PATH (runc's default, moby's DefaultPathEnv)."""


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """The system packages and Python distributions of an image, and the owner of each path."""

    packages: Mapping[str, Package] = field(default_factory=dict)
    distributions: tuple[Distribution, ...] = ()
    _owners: Mapping[str, str] = field(default_factory=dict, repr=False)
    _distribution_owners: Mapping[str, Distribution] = field(default_factory=dict, repr=False)

    @classmethod
    def build(
        cls, packages: Iterable[Package], distributions: Iterable[Distribution]
    ) -> PackageIndex:
        by_key = {package.key: package for package in packages}
        owners = {path: key for key, package in by_key.items() for path in package.files}
        found = tuple(distributions)
        by_path = {path: dist for dist in found for path in (*dist.files, dist.metadata_path)}
        return cls(by_key, found, owners, by_path)

    def within(self, paths: Container[str]) -> PackageIndex:
        """The same with those of the files that are in ``paths``; a distribution without its
        metadata is none."""

        def of(files: Iterable[str]) -> tuple[str, ...]:
            return tuple(path for path in files if path in paths)

        packages = [
            replace(package, files=of(package.files), conffiles=of(package.conffiles))
            for package in self.packages.values()
        ]
        distributions = [
            replace(dist, files=of(dist.files))
            for dist in self.distributions
            if dist.metadata_path in paths
        ]
        return PackageIndex.build(packages, distributions)

    def owner(self, path: str) -> Package | None:
        """The system package that owns a canonical path."""
        key = self._owners.get(path)
        return None if key is None else self.packages[key]

    def distribution_owner(self, path: str) -> Distribution | None:
        """The Python distribution that owns a canonical path."""
        return self._distribution_owners.get(path)


@dataclass(frozen=True, slots=True)
class World:
    """One image, ready to be asked. Detectors get this, never a tar and never the host.
    ``services`` are the containers of the user's deployment files that run it."""

    rootfs: Rootfs
    config: ImageConfig
    platform: Platform
    packages: PackageIndex
    history: tuple[HistoryRow, ...] = ()
    choices: Choices = field(default_factory=Choices)
    services: tuple[Service, ...] = ()

    @property
    def variables(self) -> Iterator[tuple[str, str, str]]:
        """Name and value of each variable that a container may have, and who sets it: the config,
        or a service (as in ``Need.because``)."""
        for name, value in self.config.env:
            yield name, value, f"<env {name}>"
        for service in self.services:
            for name, value in service.env:
                yield name, value, service.label()

    @property
    def values_at_start(self) -> Mapping[str, tuple[str, ...]]:
        """The values that each variable may have when a container starts, the config's first; ""
        where only a service sets it."""
        values = {name: {value: None} for name, value in self.config.env}
        for service in self.services:
            for name, value in service.env:
                values.setdefault(name, {"": None})[value] = None
        return {name: tuple(found) for name, found in values.items()}

    def without(self, paths: Container[str]) -> World:
        """The image as if ``paths`` were not in it."""
        rootfs = self.rootfs.without(paths)
        return replace(self, rootfs=rootfs, packages=self.packages.within(rootfs.entries))

    @property
    def search_path(self) -> tuple[str, ...]:
        """The directories of PATH; an empty one means the working directory (POSIX 8.3)."""
        value = self.config.env_value("PATH") or DEFAULT_PATH
        return tuple(part or self.working_dir for part in value.split(":"))

    @property
    def working_dir(self) -> str:
        return self.config.working_dir or "/"

    def which(self, command: str) -> str | None:
        """The path (links unresolved) that running ``command`` finds, as execvp(3) searches.

        A word with a slash is taken from the working directory; None when nothing executable
        is there.
        """
        if "/" in command:
            places = [self.rootfs.resolve(command, base=self.working_dir, follow_last=False).path]
        else:
            places = [
                self.rootfs.resolve(f"{directory}/{command}", follow_last=False).path
                for directory in self.search_path
            ]
        for path in places:
            entry: Entry | None = self.rootfs.lookup(path)
            if entry is not None and entry.is_executable:
                return path
        return None
