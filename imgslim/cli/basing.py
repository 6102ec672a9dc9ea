"""``imgslim rewrite --base``: the slim image upon another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from imgslim.cli import options
from imgslim.errors import UsageError

if TYPE_CHECKING:
    from imgslim.bases import Overlay
    from imgslim.dockerfile.source import Head
    from imgslim.layers import OnProgress
    from imgslim.model import Problem
    from imgslim.pipeline import Analysis
    from imgslim.verify import Expected

AUTO = "auto"

base_option = click.option(
    "--base",
    metavar="IMAGE",
    help="Build upon this image in place of an empty one, and copy only what it lacks. "
    "auto: compare the engine's images and take the one with the smallest sum.",
)


def check_base(base: str | None, *, archive: bool, source: bool) -> None:
    """Raise UsageError for what does not go together with ``--base`` yet."""
    if not base:
        return
    if archive:
        raise UsageError(
            "--base is of the Dockerfile that is written: an archive has no base yet",
            hint="write the Dockerfile (-o Dockerfile.slim), build it, and save that image",
        )
    if source:
        raise UsageError(
            "--base and --source do not go together: what a base holds changes with its next build",
            hint="write one of the two",
        )


@contextmanager
def overlaid(
    analysis: Analysis,
    base: str | None,
    *,
    platform: str | None,
    on_progress: OnProgress,
    quiet: bool,
) -> Iterator[Overlay | None]:
    """What of the plan goes over ``base``; None without one."""
    from imgslim.pipeline import open_base, overlay_on, propose_base
    from imgslim.reports.bases import render_overlay, render_proposals

    if base == AUTO:
        proposals = propose_base(analysis, on_progress=on_progress)
        options.say(render_proposals(proposals, analysis.plan), quiet=quiet)
        base = proposals[0].reference if proposals and proposals[0].reason == "" else None
    if not base:
        yield None
        return
    with open_base(base, platform=platform, on_progress=on_progress) as opened:
        overlay = overlay_on(analysis, opened)
        options.say(render_overlay(overlay, analysis.plan), quiet=quiet)
        yield overlay


def dockerfile_of(
    analysis: Analysis, overlay: Overlay | None, source: Head | None, sidecar: str = ""
) -> str:
    """The Dockerfile: upon a base, or from scratch (behind the user's own, if there is one).
    ``sidecar`` is the name of the tar that can lie beside it."""
    from imgslim.pipeline import rewrite, rewrite_on_base

    if overlay:
        return rewrite_on_base(analysis, overlay, sidecar=sidecar)
    return rewrite(analysis, source, sidecar=sidecar)


def problems_of(analysis: Analysis, overlay: Overlay | None) -> tuple[Problem, ...]:
    """What that Dockerfile cannot say, bring or take away."""
    from imgslim.pipeline import unsayable, unsayable_on_base

    return unsayable_on_base(analysis, overlay) if overlay else unsayable(analysis)


def expected_of(analysis: Analysis, overlay: Overlay | None) -> Expected:
    """What the built image must be."""
    from imgslim.pipeline import expect, expect_on_base

    return expect_on_base(analysis, overlay) if overlay else expect(analysis)
