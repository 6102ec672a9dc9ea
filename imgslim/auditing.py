"""The audit as a job: judge what the image runs, recognise its base, weigh it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgslim.audit import MAX_FILES, Audit, audit_image
from imgslim.audit.base_image import KnownImage, check_base, recognise_base
from imgslim.audit.model import BaseImage
from imgslim.audit.needed import explain_nothing
from imgslim.engine import EngineImage, connect
from imgslim.errors import (
    EngineError,
    EntrypointError,
    PathNotFoundError,
    UnsupportedImageError,
    UsageError,
)
from imgslim.layers import OnProgress
from imgslim.matches import near_hint
from imgslim.model import Image, Plan
from imgslim.pipeline import Judged, OpenedImage, derive_plan, judge
from imgslim.reports.why import line_finder
from imgslim.sources import open_image
from imgslim.sources.location import Transport, parse_location
from imgslim.world import World


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of an image; None where there is none, and ``why_not`` says why."""

    plan: Plan | None
    why_not: str = ""


def audit(
    opened: OpenedImage,
    also_run: Sequence[str] = (),
    *,
    judged: Judged | None = None,
    planned: Planned | None = None,
    base: str | None = None,
    under: str = "/",
    max_files: int = MAX_FILES,
    with_duplicates: bool = False,
    platform: str | None = None,
    on_progress: OnProgress | None = None,
) -> Audit:
    """Weigh an opened image, against its plan where it has one.

    ``judged`` is what ``judge`` says of it (None: it is asked), ``planned`` what ``plan_if_any``
    does (None: derived), ``base`` the location of the image
    that it was built upon (None: recognised); ``under`` a directory of the image that is weighed
    alone, of whose files the ``max_files`` largest are listed. Raises BaseImageError,
    PathNotFoundError, UsageError, and for ``base`` the errors of ``open_image``.
    """
    world = opened.world
    directory = _directory(world, under)
    known = find_base(opened.image, base, platform=platform)
    judged = judged or judge(world)
    planned = planned or plan_if_any(world, also_run, judged)
    plan = planned.plan
    return audit_image(
        world,
        opened.layers,
        judged.origin_of,
        plan,
        no_plan=planned.why_not,
        base=known,
        under=directory,
        max_files=max_files,
        explain=explain_nothing if plan is None else line_finder(plan),
        with_duplicates=with_duplicates,
        on_progress=on_progress,
    )


def find_base(image: Image, base: str | None, *, platform: str | None = None) -> BaseImage:
    """What ``image`` was built upon: ``base``, or one that its labels or the engine's images tell.
    Without an engine the labels alone do. Raises as ``audit`` does for ``base``."""
    if base is not None:
        return check_base(image, _named_image(base, platform))
    return recognise_base(image, _local_images())


def _named_image(location: str, platform: str | None) -> KnownImage:
    place = parse_location(location)
    if place.transport is Transport.DAEMON:
        # No need to have the engine write it out.
        with connect() as engine:
            return _known(engine.inspect(place.reference), location)
    with open_image(location, platform=platform) as image:
        names = (location, *image.tags)
        return KnownImage(names, image.image_id, tuple(blob.diff_id for blob in image.layers))


def _local_images() -> tuple[KnownImage, ...]:
    try:
        with connect() as engine:
            return tuple(map(_known, engine.images()))
    except EngineError:
        return ()


def _known(image: EngineImage, *names: str) -> KnownImage:
    return KnownImage((*names, *image.tags, *image.repo_digests), image.id, image.diff_ids)


def _directory(world: World, under: str) -> str:
    if not under.startswith("/"):
        raise UsageError(f"--under {under} is no absolute path", hint=f"say --under /{under}")
    resolved = world.rootfs.resolve(under)
    if resolved.entry is None:
        raise PathNotFoundError(f"{under} is not in the image", hint=near_hint(world, under))
    return resolved.path


def plan_if_any(world: World, also_run: Sequence[str], judged: Judged) -> Planned:
    """The plan of ``world``, or why there is none."""
    try:
        return Planned(derive_plan(world, also_run, judged))
    except (EntrypointError, UnsupportedImageError) as error:
        return Planned(None, str(error))
