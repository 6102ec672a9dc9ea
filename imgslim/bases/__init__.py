"""The slim image laid over another image instead of an empty one: what of the plan that image holds
already, what is left to copy, and whether it can run there at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from imgslim.bases.fit import check_fit
from imgslim.bases.held import held_paths, with_parents
from imgslim.bases.undone import config_problems_of_base, database_problems
from imgslim.model import Entry, Image, Keep, Plan, Problem, unique_size_bytes
from imgslim.rootfs import Rootfs


@dataclass(frozen=True, slots=True)
class Base:
    """An image to build upon. ``size_bytes`` are the regular files of all its layers."""

    image: Image
    rootfs: Rootfs
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """What a plan puts over a base. ``plan`` keeps only what is to be copied, with the directories
    above it; ``held`` are the base's entries that are as planned; ``replaced`` are paths at which
    the base has another file or link."""

    base: Base
    plan: Plan
    held: Mapping[str, Entry]
    replaced: frozenset[str]
    problems: tuple[Problem, ...]

    @property
    def copied_bytes(self) -> int:
        return self.plan.slim_size_bytes

    @property
    def size_bytes(self) -> int:
        """Of the result: the base and what is copied."""
        return self.base.size_bytes + self.copied_bytes


def lay_over(image: Image, rootfs: Rootfs, plan: Plan, base: Base) -> Overlay:
    """Compare ``plan`` of the fat ``image`` with ``base``, entry for entry.

    Raises BaseImageError, with the reason, where the result could not run or not be exact.
    """
    check_fit(image, plan, base.image, base.rootfs)
    held = held_paths(rootfs, plan.keeps, base.rootfs)
    keeps = plan.by_path
    copied = with_parents(path for path in keeps if path not in held)
    left = tuple(keep for path, keep in keeps.items() if path in copied or path == "/")
    replaced = (path for path in copied if path in base.rootfs.entries)
    return Overlay(
        base,
        replace(plan, keeps=left),
        {path: base.rootfs.entries[path] for path in held},
        frozenset(path for path in replaced if not keeps[path].entry.is_directory),
        (*config_problems_of_base(image.config, base.image.config), *database_problems(left)),
    )


def held_bytes(overlay: Overlay) -> int:
    """Bytes of the plan's files that the base holds."""
    return unique_size_bytes(overlay.held.values())


def built_keeps(plan: Plan, overlay: Overlay) -> tuple[Keep, ...]:
    """The kept entries as they are in the result: what is held has the base's time."""

    def as_built(keep: Keep) -> Keep:
        held = overlay.held.get(keep.entry.path)
        is_copied = keep.entry.path in copied
        if held is None or is_copied:
            return keep
        return replace(keep, entry=replace(keep.entry, mtime=held.mtime))

    copied = {keep.entry.path for keep in overlay.plan.keeps}
    return tuple(map(as_built, plan.keeps))
