"""Truthful package databases: scanners find in the slim image the packages that own a kept file
or link, and none that is gone (trap 27).

The databases' files are cut to that, and kept with their owner, mode and time. In a Dockerfile
``filters`` says how, for the image's own shell; a slim archive holds ``Keep.content``.
"""

from __future__ import annotations

from collections.abc import Iterable

from imgslim.databases.apk import add_apk
from imgslim.databases.dpkg import add_dpkg
from imgslim.databases.kept import Kept
from imgslim.databases.languages import add_metadata
from imgslim.databases.rpm import add_rpm
from imgslim.model import Keep, Problem
from imgslim.world import World

_KINDS = (add_metadata, add_dpkg, add_apk, add_rpm)
"""One function a kind; a system package may own what a language's metadata adds."""


def with_databases(
    world: World, keeps: Iterable[Keep]
) -> tuple[tuple[Keep, ...], tuple[Problem, ...]]:
    """``keeps`` with the package databases that make them known, sorted by path, and what there is
    to say of them."""
    kept = Kept(world, keeps)
    for add in _KINDS:
        add(kept)
    return tuple(kept.keeps[path] for path in sorted(kept.keeps)), tuple(kept.problems)
