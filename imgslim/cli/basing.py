"""``imgslim rewrite --base``: the slim image upon another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from imgslim.cli import options

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
    """The Dockerfile: upon a base, or from scratch; behind the user's own, if there is one.
    ``sidecar`` is the name of the tar that can lie beside it."""
    from imgslim.pipeline import rewrite, rewrite_on_base

    if overlay:
        return rewrite_on_base(analysis, overlay, source, sidecar=sidecar)
    return rewrite(analysis, source, sidecar=sidecar)


def problems_of(
    analysis: Analysis, overlay: Overlay | None, *, lasting: bool = False
) -> tuple[Problem, ...]:
    """What that Dockerfile cannot say, bring or take away; of a ``lasting`` one also what later
    builds may lack."""
    from imgslim.pipeline import unsayable, unsayable_on_base

    if overlay:
        return unsayable_on_base(analysis, overlay, lasting=lasting)
    return unsayable(analysis, lasting=lasting)


def problems_of_archive(overlay: Overlay | None) -> tuple[Problem, ...]:
    """What an archive brings of the base beside the plan; nothing runs while it is written."""
    from imgslim.bases.undone import TRIGGER

    return tuple(one for one in overlay.problems if one.code != TRIGGER) if overlay else ()


def expected_of(analysis: Analysis, overlay: Overlay | None) -> Expected:
    """What the built image must be."""
    from imgslim.pipeline import expect, expect_on_base

    return expect_on_base(analysis, overlay) if overlay else expect(analysis)
