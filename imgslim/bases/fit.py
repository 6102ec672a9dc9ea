"""Whether what is kept of one image can run on, and be laid over, another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from imgslim.errors import BaseImageError
from imgslim.model import Image, Plan
from imgslim.rootfs import Rootfs
from imgslim.tables import load_table

_HINT = "choose a base of the same kind as the one IMAGE was built from, or none"


def check_fit(image: Image, plan: Plan, base: Image, base_rootfs: Rootfs) -> None:
    """Raise BaseImageError with the first reason why ``base`` cannot carry ``plan`` of ``image``:
    another platform, C library or Python, or a directory where the other has a link."""
    reason = (
        _other_platform(image, base)
        or _other_libc(plan, base, base_rootfs)
        or _other_python(plan, base, base_rootfs)
        or _other_kind(plan, base, base_rootfs)
    )
    if reason:
        raise BaseImageError(f"{base.reference} cannot be the base: {reason}", hint=_HINT)


def libcs_of(paths: Iterable[str]) -> frozenset[str]:
    """The C libraries whose dynamic loaders are among ``paths``."""
    rows = load_table("bases")["libc"]
    names = {path.rpartition("/")[2] for path in paths if "/ld" in path}
    return frozenset(
        row["name"]
        for row in rows
        if any(fnmatchcase(name, loader) for name in names for loader in row["loaders"])
    )


def pythons_of(paths: Iterable[str]) -> dict[str, set[str]]:
    """The minor versions of Python whose standard libraries are among ``paths``, by prefix."""
    rows = load_table("bases")["python"]
    patterns = [re.compile(row["standard_library"]) for row in rows]
    sources = [path for path in paths if path.endswith("/os.py")]
    found: dict[str, set[str]] = {}
    for match in (pattern.fullmatch(path) for pattern in patterns for path in sources):
        if match:
            found.setdefault(match["prefix"], set()).add(match["version"])
    return found


def _other_platform(image: Image, base: Image) -> str:
    ours, theirs = image.platform, base.platform
    same = (ours.os, ours.architecture) == (theirs.os, theirs.architecture)
    variants = {ours.variant, theirs.variant} - {""}
    return "" if same and len(variants) < 2 else f"it is {theirs}, the image {ours}"


def _other_libc(plan: Plan, base: Image, rootfs: Rootfs) -> str:
    ours = libcs_of(keep.entry.path for keep in plan.keeps)
    theirs = libcs_of(rootfs.entries)
    if not ours or not theirs or ours <= theirs:
        return ""
    return f"the programs need {' and '.join(sorted(ours))}, it has {' and '.join(sorted(theirs))}"


def _other_python(plan: Plan, base: Image, rootfs: Rootfs) -> str:
    """Two of one prefix have the same programs (``python3``) and would be mixed."""
    ours = pythons_of(keep.entry.path for keep in plan.keeps)
    theirs = pythons_of(rootfs.entries)
    for prefix in sorted(ours.keys() & theirs.keys()):
        if not ours[prefix] & theirs[prefix]:
            mine, other = (", ".join(sorted(found[prefix])) for found in (ours, theirs))
            return f"the image runs Python {mine} in {prefix}, it has {other} there"
    return ""


def _other_kind(plan: Plan, base: Image, rootfs: Rootfs) -> str:
    """Laying a link over a directory would hide what the directory holds, and the reverse would
    write through the link: no builder does either exactly."""
    for keep in plan.keeps:
        entry, other = keep.entry, rootfs.entries.get(keep.entry.path)
        if other is not None and entry.is_directory != other.is_directory:
            return f"{entry.path} is a {other.kind} there and a {entry.kind} in the image"
    return ""
