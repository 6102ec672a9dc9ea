"""The packages of two images, as their databases and metadata name them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from imgslim.comparison.changes import How, PackageChange
from imgslim.model import Entry, unique_size_bytes
from imgslim.packages.npm import read_npm
from imgslim.world import World

_NO_FILES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is installed, by key without a version (``deb:bash``, ``npm:left-pad``): the versions,
    sorted, the files, and the key of each file's owner."""

    versions: Mapping[str, tuple[str, ...]]
    files: Mapping[str, frozenset[str]]
    owners: Mapping[str, str]


def take_inventory(world: World) -> Inventory:
    """Every package of an image: system packages, Python distributions, npm packages. What a
    system package brought of the other two is the system package's."""
    versions: dict[str, list[str]] = {}
    files: dict[str, frozenset[str]] = {}
    owners: dict[str, str] = {}
    for key, version, paths in chain(_system_packages(world), _language_packages(world)):
        versions.setdefault(key, []).append(version)
        files[key] = files.get(key, _NO_FILES) | frozenset(paths)
        for path in paths:
            owners.setdefault(path, key)
    return Inventory({key: tuple(sorted(found)) for key, found in versions.items()}, files, owners)


_Installed = tuple[str, str, tuple[str, ...]]
"""Key, version and files."""


def _system_packages(world: World) -> Iterator[_Installed]:
    for package in world.packages.packages.values():
        yield package.key, package.version, package.files


def _language_packages(world: World) -> Iterator[_Installed]:
    for dist in world.packages.distributions:
        if not any(map(world.packages.owner, (dist.metadata_path, *dist.files[:1]))):
            yield dist.key, dist.version, (dist.metadata_path, *dist.files)
    for package in read_npm(world.rootfs):
        if not world.packages.owner(package.database):
            yield f"npm:{package.name}", package.version, package.files


def compare_packages(
    before: Inventory,
    after: Inventory,
    trees: tuple[Mapping[str, Entry], Mapping[str, Entry]],
) -> Iterator[PackageChange]:
    """Every package with other versions or bytes, sorted by key; of those with a file in one of
    the two trees, where those are not whole images."""
    for key in sorted({*before.versions, *after.versions}):
        one = _entries(before, key, trees[0])
        two = _entries(after, key, trees[1])
        sizes = unique_size_bytes(one), unique_size_bytes(two)
        versions = before.versions.get(key, ()), after.versions.get(key, ())
        if versions[0] == versions[1] and sizes[0] == sizes[1]:
            continue
        is_whole = "/" in trees[0] or "/" in trees[1]
        if one or two or is_whole:
            how = How.CHANGED if all(versions) else How.REMOVED if versions[0] else How.ADDED
            yield PackageChange(key, how, *versions, *sizes, sizes[1] - sizes[0])


def _entries(inventory: Inventory, key: str, entries: Mapping[str, Entry]) -> Iterable[Entry]:
    return [
        entry
        for path in inventory.files.get(key, _NO_FILES)
        if (entry := entries.get(path)) is not None
    ]
