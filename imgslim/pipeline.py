"""The jobs, each a straight line over the stages: analyze an image, render its Dockerfile, verify
what was built of it, compare two images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from imgslim.bases import Base, Overlay, built_keeps, lay_over
from imgslim.bases.proposals import Candidate, Proposal, compare_bases, possible_bases
from imgslim.choices import Choices
from imgslim.comparison import Comparison, Side, compare_images
from imgslim.decisions import BROKEN, NextLevel, keeping, risks_of
from imgslim.deployments import load_services, select_services
from imgslim.dirt import cover_image
from imgslim.dockerfile import (
    dockerfile_problems,
    render_dockerfile,
    render_on_base,
    sidecar_keeps,
)
from imgslim.dockerfile.source import Head
from imgslim.engine import connect
from imgslim.errors import BrokenPlanError, UsageError, VerificationError
from imgslim.layers import OnProgress, load_layers
from imgslim.model import Image, Keep, Layer, Origin, Plan, Problem
from imgslim.packages import load_packages, unread_databases
from imgslim.plan import build_plan
from imgslim.provenance import classify
from imgslim.rootfs import Rootfs
from imgslim.roots import resolve_roots
from imgslim.runtimes.base import Runtime
from imgslim.runtimes.registry import start_runtimes
from imgslim.sources import open_image
from imgslim.verify import Verification, verify_image
from imgslim.verify.allowed import foreseen
from imgslim.verify.digests import digests_of_keeps
from imgslim.verify.expected import Expected, expected_of, on_base
from imgslim.verify.over import over
from imgslim.world import World

_SMALL_BASE = 3
"""How many times as large as the plan an image may be that shares no layer with the fat one."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """One image with its plan; ``world.rootfs`` is the merged tree, readable while it is open."""

    image: Image
    layers: tuple[Layer, ...]
    world: World
    plan: Plan
    next_level: NextLevel | None = None


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """One image, read but not yet judged."""

    image: Image
    layers: tuple[Layer, ...]
    world: World


@contextmanager
def open_world(
    location: str,
    choices: Choices | None = None,
    *,
    platform: str | None = None,
    check_digests: bool = False,
    on_progress: OnProgress | None = None,
) -> Iterator[OpenedImage]:
    """Open the image at ``location`` and merge it; temporary files live as long as this.

    Raises the errors of ``imgslim.errors`` for the location, for a damaged image, and for
    deployment files of ``choices`` that do not run it.
    """
    choices = choices or Choices()
    deployed = load_services(choices)
    with open_image(
        location, platform=platform, check_digests=check_digests, on_progress=on_progress
    ) as image:
        services = select_services(deployed, image, choices.services)
        layers = load_layers(image, on_progress=on_progress)
        with Rootfs.of_layers(layers) as rootfs:
            packages = load_packages(rootfs)
            world = World(
                rootfs,
                image.config,
                image.platform,
                packages,
                image.history,
                choices,
                services,
            )
            yield OpenedImage(image, layers, world)


@contextmanager
def analyze(
    location: str,
    choices: Choices | None = None,
    *,
    also_run: Sequence[str] = (),
    weigh_next: bool = False,
    platform: str | None = None,
    check_digests: bool = False,
    on_progress: OnProgress | None = None,
) -> Iterator[Analysis]:
    """Open the image at ``location`` and derive its plan; temporary files live as long as this.

    ``also_run`` are further commands that the image runs. With ``weigh_next`` the plan of the next
    level is derived, too, where that may differ. Raises the errors of ``imgslim.errors``: for the
    location, for a damaged image, for an entrypoint that is not there, for choices that name
    nothing.
    """
    with open_world(
        location, choices, platform=platform, check_digests=check_digests, on_progress=on_progress
    ) as opened:
        plan = derive_plan(opened.world, also_run)
        after = weigh_next_level(opened.world, plan, also_run) if weigh_next else None
        yield Analysis(opened.image, opened.layers, opened.world, plan, after)


@dataclass(frozen=True, slots=True)
class Judged:
    """Who put each path into an image, and the runtimes that had a word in it: for one plan."""

    runtimes: Sequence[Runtime]
    origin_of: Callable[[str], Origin]


def judge(world: World) -> Judged:
    """Start the runtimes on ``world`` and ask them for their claims."""
    runtimes = start_runtimes(world)
    claims = [claim for runtime in runtimes for claim in runtime.claims()]
    return Judged(runtimes, classify(world, claims))


def derive_plan(world: World, also_run: Sequence[str] = (), judged: Judged | None = None) -> Plan:
    """What ``world`` needs at run time. Raises EntrypointError, UnsupportedImageError."""
    judged = judged or judge(world)
    commands, findings = resolve_roots(world, also_run)
    unread = unread_databases(world.rootfs)
    found = [*findings, *unread]
    return build_plan(world, commands, found, judged.runtimes, judged.origin_of)


def weigh_next_level(world: World, plan: Plan, also_run: Sequence[str] = ()) -> NextLevel | None:
    """What the level after that of ``plan`` would save; None after the last one, and where no
    level makes a difference."""
    level = world.choices.level.next
    if level is None or not plan.has_levels:
        return None
    after = _with(world, level=level)
    saves = plan.slim_size_bytes - derive_plan(after, also_run).slim_size_bytes
    return NextLevel(level, saves, risks_of(after.choices, world.choices))


def cost_of_keeping(world: World, plan: Plan, pattern: str, also_run: Sequence[str] = ()) -> int:
    """The bytes by which ``--keep pattern`` would make the image of ``plan`` larger."""
    larger = derive_plan(replace(world, choices=keeping(world, pattern)), also_run)
    return larger.slim_size_bytes - plan.slim_size_bytes


def _with(world: World, **choices: Any) -> World:
    return replace(world, choices=replace(world.choices, **choices))


def check_drops(plan: Plan) -> None:
    """Raise BrokenPlanError where the user's ``--drop`` leaves out what ``plan`` needs."""
    broken = [problem for problem in plan.problems if problem.code == BROKEN]
    if broken:
        more = f" (and {len(broken) - 1:,} more)" if len(broken) > 1 else ""
        raise BrokenPlanError(
            f"{broken[0].path} {broken[0].message}{more}", hint=broken[0].resolution
        )


def rewrite(analysis: Analysis, source: Head | None = None, *, sidecar: str = "") -> str:
    """The text of the slim image's Dockerfile, from the fat image or behind the user's own stages.
    ``sidecar`` is the name that a tar beside it would have ("": there can be none). Raises
    UnsupportedImageError, DockerfileError."""
    image, rootfs = analysis.image, analysis.world.rootfs
    return render_dockerfile(image, rootfs, analysis.plan, source, sidecar=sidecar)


def sidecar_of(analysis: Analysis, overlay: Overlay | None = None) -> tuple[Keep, ...]:
    """What that tar has to hold, upon a base or none; nothing where none is needed."""
    image, rootfs = analysis.image, analysis.world.rootfs
    if overlay is None:
        return sidecar_keeps(image, rootfs, analysis.plan)
    return sidecar_keeps(image, rootfs, overlay.plan, overlay.replaced)


@contextmanager
def open_base(
    location: str, *, platform: str | None = None, on_progress: OnProgress | None = None
) -> Iterator[Base]:
    """The image to build a slim one upon, in place of an empty one, readable while it is open."""
    with open_image(location, platform=platform, on_progress=on_progress) as image:
        layers = load_layers(image, on_progress=on_progress)
        with Rootfs.of_layers(layers) as rootfs:
            yield Base(image, rootfs, sum(layer.size_bytes for layer in layers))


def overlay_on(analysis: Analysis, base: Base) -> Overlay:
    """What of the plan ``base`` lacks. Raises BaseImageError where it cannot carry the plan."""
    return lay_over(analysis.image, analysis.world.rootfs, analysis.plan, base)


def propose_base(
    analysis: Analysis, *, on_progress: OnProgress | None = None
) -> tuple[Proposal, ...]:
    """The engine's images as bases of the plan, compared, the best first. Raises EngineError."""
    limit_bytes = _SMALL_BASE * analysis.plan.slim_size_bytes
    diff_ids = tuple(layer.diff_id for layer in analysis.image.layers)
    with connect() as engine:
        names = {image.tags[0]: image for image in engine.images()}
    candidates = (
        Candidate(name, image.id, image.size_bytes, image.diff_ids) for name, image in names.items()
    )

    def weigh(reference: str) -> tuple[int, int]:
        with open_base(f"docker-daemon:{reference}", on_progress=on_progress) as base:
            return base.size_bytes, overlay_on(analysis, base).copied_bytes

    image_id = analysis.image.image_id
    return compare_bases(possible_bases(candidates, image_id, diff_ids, limit_bytes), weigh)


def rewrite_on_base(
    analysis: Analysis, overlay: Overlay, source: Head | None = None, *, sidecar: str = ""
) -> str:
    """The text of the Dockerfile that builds the slim image upon another; ``source``, ``sidecar``
    and what is raised as for ``rewrite``."""
    image, rootfs = analysis.image, analysis.world.rootfs
    return render_on_base(image, rootfs, overlay, source, sidecar=sidecar)


def unsayable_on_base(
    analysis: Analysis, overlay: Overlay, *, lasting: bool = False
) -> tuple[Problem, ...]:
    """What no Dockerfile can say or bring of the plan, or take away of the base; ``lasting`` as for
    ``unsayable``."""
    copied = replace(analysis, plan=overlay.plan)
    return (*unsayable(copied, overlay.replaced, lasting=lasting), *overlay.problems)


def expect_on_base(analysis: Analysis, overlay: Overlay) -> Expected:
    """What the image that is built of the plan upon a base must be."""
    plan = replace(analysis.plan, keeps=built_keeps(analysis.plan, overlay))
    digests = digests_of_keeps(analysis.world.rootfs, plan.keeps)
    problems = unsayable_on_base(analysis, overlay)
    expected = expected_of(analysis.image, plan, digests, problems)
    return on_base(expected, overlay.base.image, overlay.base.rootfs)


@contextmanager
def expect_over(
    expected: Expected,
    location: str | None,
    *,
    platform: str | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[Expected]:
    """What a plan that was read from a file expects of an image that is built upon the one at
    ``location`` (None: from scratch). Raises the errors of ``imgslim.errors`` for it."""
    if not location:
        yield expected
        return
    with open_base(location, platform=platform, on_progress=on_progress) as base:
        yield over(expected, base.image, base.rootfs)


def unsayable(
    analysis: Analysis, replaced: frozenset[str] = frozenset(), *, lasting: bool = False
) -> tuple[Problem, ...]:
    """What no Dockerfile can say or bring of the plan, such as a newline in an ENV value, where
    something else is at the paths ``replaced``; of a ``lasting`` one also what later builds may
    lack."""
    rootfs, plan = analysis.world.rootfs, analysis.plan
    files = dockerfile_problems(analysis.image, rootfs, plan, replaced, lasting=lasting)
    return (*files, *foreseen(analysis.image, analysis.plan.keeps))


def expect(analysis: Analysis) -> Expected:
    """What the image that is built of the plan must be; every kept file is read for its digest."""
    problems = unsayable(analysis)
    digests = digests_of_keeps(analysis.world.rootfs, analysis.plan.keeps)
    return expected_of(analysis.image, analysis.plan, digests, problems)


def verify(
    location: str,
    expected: Expected,
    *,
    platform: str | None = None,
    check_digests: bool = False,
    on_progress: OnProgress | None = None,
) -> tuple[Image, Verification]:
    """Compare the slim image at ``location`` with what its plan expects; the fat one is not read.

    Raises the errors of ``imgslim.errors`` for the location and for a damaged image.
    """
    with open_image(
        location, platform=platform, check_digests=check_digests, on_progress=on_progress
    ) as image:
        layers = load_layers(image, on_progress=on_progress)
        with Rootfs.of_layers(layers) as rootfs:
            return image, verify_image(expected, image, rootfs, on_progress)


def check_verified(reference: str, result: Verification) -> None:
    """Raise VerificationError where the image ``reference`` is not as planned."""
    if result.differences:
        raise VerificationError(
            f"{reference} is not as planned (differences: {len(result.differences):,})",
            hint="each is named above with what most likely made it; docs/copies.md says more",
        )


def compare(
    before: str,
    after: str,
    *,
    under: str = "/",
    platform: str | None = None,
    check_digests: bool = False,
    on_progress: OnProgress | None = None,
) -> tuple[Image, Image, Comparison]:
    """What differs between the images at two locations, or what of it lies ``under`` a path; no
    plan is derived. Secrets in the config and the history come out covered.

    Raises the errors of ``imgslim.errors`` for the locations, for damaged images, and for a path
    that neither has.
    """
    if before == after == "-":
        raise UsageError("standard input cannot be both images", hint="name a file for one")
    sides, covered = list[Side](), list[Image]()
    with ExitStack() as stack:
        for location in (before, after):
            world = open_world(
                location, platform=platform, check_digests=check_digests, on_progress=on_progress
            )
            opened = stack.enter_context(world)
            image, layers = cover_image(opened.image, opened.layers)
            sides.append(Side(opened.image, layers, opened.world))
            covered.append(image)
        comparison = compare_images(*sides, under=under, on_progress=on_progress)
    return covered[0], covered[1], comparison
