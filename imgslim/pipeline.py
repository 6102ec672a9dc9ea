"""The two jobs, each a straight line over the stages: analyze an image, render its Dockerfile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from imgslim.choices import Choices
from imgslim.decisions import BROKEN, RISKS, NextLevel
from imgslim.dockerfile import dockerfile_problems, render_dockerfile
from imgslim.errors import BrokenPlanError
from imgslim.layers import OnProgress, load_layers
from imgslim.model import Image, Layer, Plan, Problem
from imgslim.packages import load_packages, unread_databases
from imgslim.plan import build_plan
from imgslim.provenance import classify
from imgslim.rootfs import Rootfs, merge_layers
from imgslim.roots import resolve_roots
from imgslim.runtimes.registry import start_runtimes
from imgslim.sources import open_image
from imgslim.world import World


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

    Raises the errors of ``imgslim.errors`` for the location and for a damaged image.
    """
    with open_image(
        location, platform=platform, check_digests=check_digests, on_progress=on_progress
    ) as image:
        layers = load_layers(image, on_progress=on_progress)
        with Rootfs(merge_layers(layers), [layer.blob for layer in layers]) as rootfs:
            packages = load_packages(rootfs)
            world = World(
                rootfs,
                image.config,
                image.platform,
                packages,
                image.history,
                choices or Choices(),
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


def derive_plan(world: World, also_run: Sequence[str] = ()) -> Plan:
    """What ``world`` needs at run time. Raises EntrypointError, UnsupportedImageError."""
    runtimes = start_runtimes(world)
    origin_of = classify(world, [claim for runtime in runtimes for claim in runtime.claims()])
    commands, findings = resolve_roots(world, also_run)
    unread = unread_databases(world.rootfs)
    return build_plan(world, commands, [*findings, *unread], runtimes, origin_of)


def weigh_next_level(world: World, plan: Plan, also_run: Sequence[str] = ()) -> NextLevel | None:
    """What the level after that of ``plan`` would save; None after the last one, and where no
    level makes a difference."""
    level = world.choices.level.next
    if level is None or not plan.has_levels:
        return None
    smaller = derive_plan(_with(world, level=level), also_run)
    return NextLevel(level, plan.slim_size_bytes - smaller.slim_size_bytes, RISKS[level])


def cost_of_keeping(world: World, plan: Plan, pattern: str, also_run: Sequence[str] = ()) -> int:
    """The bytes by which ``--keep pattern`` would make the image of ``plan`` larger."""
    kept = (*world.choices.keep, pattern)
    larger = derive_plan(_with(world, keep=kept), also_run)
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


def rewrite(analysis: Analysis) -> str:
    """The text of the slim image's Dockerfile. Raises UnsupportedImageError."""
    return render_dockerfile(analysis.image, analysis.world.rootfs, analysis.plan)


def unsayable(analysis: Analysis) -> tuple[Problem, ...]:
    """What no Dockerfile can say or bring of the plan, such as a newline in an ENV value."""
    return dockerfile_problems(analysis.image, analysis.world.rootfs, analysis.plan)
