"""The two images of a comparison, cut to what was asked for."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imgslim.errors import PathNotFoundError, UsageError
from imgslim.model import Entry, Image, Layer
from imgslim.rootfs import Rootfs
from imgslim.world import World


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two images, opened; ``world.rootfs`` is readable."""

    image: Image
    layers: tuple[Layer, ...]
    world: World

    @property
    def rootfs(self) -> Rootfs:
        return self.world.rootfs


@dataclass(frozen=True, slots=True)
class Scope:
    """The directories (or files) ``tops`` with all below them, by canonical path."""

    tops: frozenset[str]

    @property
    def is_everything(self) -> bool:
        return "/" in self.tops

    def __contains__(self, path: str) -> bool:
        return self.is_everything or any(
            path == top or path.startswith(f"{top}/") for top in self.tops
        )

    def of(self, rootfs: Rootfs) -> Mapping[str, Entry]:
        """The entries of a tree that are in the scope."""
        if self.is_everything:
            return rootfs.entries
        return {path: entry for path, entry in rootfs.entries.items() if path in self}


def scope_under(path: str, sides: Iterable[Side]) -> Scope:
    """What lies below ``path``, links followed in each image by itself: where ``/lib`` is a
    directory in one and a link in the other, both are meant.

    Raises UsageError for a relative path, PathNotFoundError for one that is in no image.
    """
    if not path.startswith("/"):
        raise UsageError(f"--under {path!r} is no absolute path", hint=f"write --under /{path}")
    wanted = posixpath.normpath(f"/{path.lstrip('/')}")
    found = (side.rootfs.resolve(wanted) for side in sides)
    tops = frozenset(resolved.path for resolved in found if resolved.entry is not None)
    if not tops:
        raise PathNotFoundError(f"neither image has {wanted}", hint="check the path")
    return Scope(tops)
