"""What no running program reads of a distribution: headers, sources of extensions, stubs, tests."""

from __future__ import annotations

import posixpath

from imgslim.choices import Level
from imgslim.model import Distribution
from imgslim.runtimes.python.tables import hidden, tight
from imgslim.world import World


def is_waste(world: World, path: str) -> bool:
    """Whether the level leaves out a file of a kept distribution, by its suffix."""
    level = world.choices.level
    if level is Level.SAFE or not path.endswith(tight().waste[level is Level.TIGHT]):
        return False
    dist = world.packages.distribution_owner(path)
    if dist is None or dist.name in tight().compiling:
        return False
    if path.endswith(".pyi"):
        return _has_module(world, path)
    return not path.endswith(".po") or world.rootfs.get(f"{path[:-3]}.mo") is not None


def _has_module(world: World, path: str) -> bool:
    """A stub beside its module is for type checkers; one that lazy loaders read names
    ``attach_stub`` in the module (scientific-python.org, SPEC 1)."""
    directory, _, name = path.rpartition("/")
    stem = name.removesuffix(".pyi")
    source = world.rootfs.get(f"{directory}/{stem}.py")
    if source is not None:
        return b"attach_stub" not in world.rootfs.read_bytes(source)
    return any(
        child.startswith(f"{stem}.") for child in world.rootfs.children(directory) if child != name
    )


def test_tree(dist: Distribution, path: str) -> str | None:
    """The outermost directory of tests around a file of a distribution, or a test file itself;
    None for what is no test."""
    cut = len(dist.site_path) + 1
    below = path[cut:]
    if not path.startswith(f"{dist.site_path}/") or not hidden().is_left_out(below):
        return None
    parts = below.split("/")
    for depth, part in enumerate(parts[:-1], start=1):
        if part in hidden().test_directories:
            return posixpath.join(dist.site_path, *parts[:depth])
    return path
