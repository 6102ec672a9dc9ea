"""The check as a job: open the image, learn what its limits ask for, and hold it against them."""

from __future__ import annotations

from collections.abc import Sequence

from imgslim.audit import audit_image
from imgslim.auditing import Planned, plan_if_any
from imgslim.choices import Choices
from imgslim.dirt import Dirt, SecretScanner, cover_image, find_dirt, nothing_more, with_verdicts
from imgslim.dirt.model import DirtKind
from imgslim.errors import UsageError
from imgslim.layers import OnProgress, load_layers
from imgslim.limits import Checked, Facts, Limits, Reference, check_limits
from imgslim.limits.forbidden import DIRT_KINDS, FILE_KINDS, has_counted_path
from imgslim.limits.measures import GROWTH, REMOVABLE
from imgslim.pipeline import Judged, OpenedImage, derive_plan, judge, open_world
from imgslim.sources import open_image


def check(
    location: str,
    limits: Limits,
    choices: Choices,
    *,
    also_run: Sequence[str] = (),
    against: str | None = None,
    platform: str | None = None,
    check_digests: bool = False,
    on_progress: OnProgress | None = None,
) -> Checked:
    """Hold the image at ``location`` against ``limits``, growth against the image ``against``.

    Only what a limit asks for is done: the plan is derived for what is removable or needed, and to
    say whether the slim image keeps a finding, contents are read where secrets in files are
    forbidden. Raises the errors of
    ``imgslim.errors``: for the locations, for damaged images, UsageError for limits that lack a
    reference or a scanner, and for an image without a plan where removable bytes are limited.
    """
    _check_reference(location, limits, against)
    scanner = SecretScanner() if DirtKind.SECRET in limits.kinds else None
    reference = None if against is None else _refer(against, platform, on_progress)
    with open_world(
        location, choices, platform=platform, check_digests=check_digests, on_progress=on_progress
    ) as opened:
        find_more = scanner.in_text if scanner else nothing_more
        image, layers = cover_image(opened.image, opened.layers, find_more)
        judged = judge(opened.world)
        dirt = _dirt(opened, limits, scanner, judged, on_progress)
        planned = _plan(opened, limits, also_run, judged, dirt)
        audit = audit_image(opened.world, layers, judged.origin_of, planned.plan)
        dirt = dirt and with_verdicts(dirt, opened.world.rootfs, planned.plan)
    outcomes = check_limits(limits, Facts(audit, dirt, reference))
    return Checked(location, image, outcomes, reference, planned.why_not)


def _check_reference(location: str, limits: Limits, against: str | None) -> None:
    limited = [rule for rule in GROWTH if rule in limits.amounts]
    if limited and against is None:
        raise UsageError(
            f"{limited[0]} needs an image to compare with", hint="name it: --against IMAGE"
        )
    if against is not None and not limited:
        raise UsageError(
            "--against is for a limit on growth, and there is none",
            hint=f"give --{GROWTH[0]} SIZE or --{GROWTH[1]} N",
        )
    if location == against == "-":
        raise UsageError("standard input cannot be both images", hint="name a file for one")


def _refer(location: str, platform: str | None, on_progress: OnProgress | None) -> Reference:
    with open_image(location, platform=platform, on_progress=on_progress) as image:
        layers = load_layers(image, on_progress=on_progress)
        size_bytes = sum(layer.size_bytes for layer in layers)
        return Reference(location, size_bytes, frozenset(b.diff_id for b in image.layers))


def _dirt(
    opened: OpenedImage,
    limits: Limits,
    scanner: SecretScanner | None,
    judged: Judged,
    on_progress: OnProgress | None,
) -> Dirt | None:
    if limits.kinds.isdisjoint(DIRT_KINDS):
        return None
    return find_dirt(
        opened.image,
        opened.layers,
        opened.world,
        scanner,
        origin_of=judged.origin_of,
        on_progress=on_progress,
    )


def _plan(
    opened: OpenedImage,
    limits: Limits,
    also_run: Sequence[str],
    judged: Judged,
    dirt: Dirt | None,
) -> Planned:
    if not limits.amounts.keys().isdisjoint(REMOVABLE):
        return Planned(derive_plan(opened.world, also_run, judged))
    asks = not set(limits.forbidden).isdisjoint(FILE_KINDS)
    if asks or (dirt is not None and has_counted_path(limits, dirt)):
        return plan_if_any(opened.world, also_run, judged)
    return Planned(None)
