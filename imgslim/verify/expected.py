"""What a plan expects of the slim image, whether the plan was just derived or read from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imgslim.model import Entry, Image, ImageConfig, Plan, Platform, Problem
from imgslim.rootfs import Rootfs
from imgslim.verify.digests import Digests


@dataclass(frozen=True, slots=True)
class ExpectedPath:
    """One path of the slim image. ``entry`` is the fat image's, with the size that the file is to
    have; ``digest`` that of its content ("": not to be compared). ``stripped``: the plan's form of
    the image strips it. ``mapped`` ("": no form may strip it) is the digest of what a process maps
    of it, which holds whatever strip was at work, and none: its size is the largest then."""

    entry: Entry
    digest: str = ""
    stripped: bool = False
    mapped: str = ""
    untimed: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """The slim image that a plan means.

    ``paths`` holds every path, by path; entries that share an ``inode`` are one file. ``config``
    and ``platform`` are the fat image's, ``reference`` and ``image_id`` name it. ``unsayable`` is
    what was said before the build that the Dockerfile cannot bring. ``base`` is the config of the
    image in place of scratch (None: scratch), whose labels and variables no instruction removes.
    """

    reference: str
    image_id: str
    platform: Platform
    config: ImageConfig
    paths: Mapping[str, ExpectedPath]
    unsayable: tuple[Problem, ...] = ()
    base: ImageConfig | None = None


def expected_of(
    image: Image, plan: Plan, digests: Digests, unsayable: Sequence[Problem] = ()
) -> Expected:
    """What ``plan`` of the fat ``image`` expects; ``digests`` as ``digests_of_keeps`` gives."""
    paths = {}
    untimed = untimed_directories(plan)
    for keep in plan.keeps:
        entry = keep.entry
        if keep.content is not None:
            entry = replace(
                entry, size_bytes=len(keep.content), traits=replace(entry.traits, sparse=None)
            )
        path = entry.path
        digest, mapped = digests.content.get(path, ""), digests.mapped.get(path, "")
        stripped = bool(keep.strip)
        paths[path] = ExpectedPath(entry, digest, stripped, mapped, path in untimed)
    return Expected(
        image.reference, image.image_id, image.platform, image.config, paths, tuple(unsayable)
    )


def untimed_directories(plan: Plan) -> frozenset[str]:
    """The directories of the fat image of which no layer tells the time: no layer names them, or
    a later one puts something into them without naming them. An engine gives them the time at
    which it unpacks the layer (measured: Docker's overlay2, containers/storage)."""
    entries = {row.entry.path: row.entry for rows in (plan.keeps, plan.drops) for row in rows}
    untimed = {path for path, entry in entries.items() if entry.is_implied}
    for path, entry in entries.items():
        parent = entries.get(path.rpartition("/")[0] or "/")
        if parent is not None and parent.layer_index < entry.layer_index:
            untimed.add(parent.path)
    return frozenset(untimed)


def on_base(expected: Expected, base: Image, rootfs: Rootfs) -> Expected:
    """The same image built upon ``base``, with the merged tree ``rootfs``, in place of scratch:
    its paths are there too. Their content is that of layers which both images share."""
    own = {
        path: ExpectedPath(replace(entry, layer_index=-1 - entry.layer_index))
        for path, entry in rootfs.entries.items()
        if path not in expected.paths
    }
    return replace(expected, paths={**own, **expected.paths}, base=base.config)
