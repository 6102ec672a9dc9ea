"""``imgslim audit``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from imgslim.choices import Choices
from imgslim.cli import options
from imgslim.cli.progress import ProgressBar
from imgslim.errors import EntrypointError, UnsupportedImageError
from imgslim.output import STANDARD_OUTPUT, check_output, write_output

if TYPE_CHECKING:
    from imgslim.model import Plan
    from imgslim.world import World

EPILOG = """\
\b
Examples:
  imgslim audit app:latest
  docker save app:latest | imgslim audit -
  imgslim audit app.tar --format json | jq '.audit.wasted[:5]'
"""


@click.command("audit", cls=options.ConfiguredCommand, epilog=EPILOG)
@options.image_argument
@options.also_run_option
@options.choice_options
@options.source_options
@options.format_option
@options.output_options
@options.voice_options
def command(
    image: str,
    also_run: tuple[str, ...],
    choices: Choices,
    platform: str | None,
    check_digests: bool,
    output_format: str,
    output: str,
    force: bool,
    color: str,
    verbose: bool,
    quiet: bool,
) -> None:
    """Say what inflates IMAGE, and what of it a slim image would drop.

    The layers with the instruction that made each; bytes that a later layer deletes or overwrites;
    the directories where bytes gather; the largest files; the largest packages (dpkg, apk, PyPI).
    An image of which nothing says what it runs is weighed too, without the column of what would
    be dropped.
    """
    check_output(output, force=force)
    from imgslim.audit import audit_image
    from imgslim.pipeline import open_world
    from imgslim.reports import audit_text, json

    with (
        ProgressBar(quiet=quiet) as on_progress,
        open_world(
            image,
            choices,
            platform=platform,
            check_digests=check_digests,
            on_progress=on_progress,
        ) as opened,
    ):
        world, found = opened.world, opened.image
        plan = _plan_if_any(world, also_run, quiet=quiet)
        audit = audit_image(found, opened.layers, world.rootfs, world.packages, plan)
    if output_format == "json":
        report = json.render_audit(found, audit)
    else:
        to_file = output != STANDARD_OUTPUT
        look = options.look_for(sys.stdout, color, verbose=verbose, to_file=to_file)
        report = audit_text.render_audit(found, audit, look)
    write_output(report, output, force=force)


def _plan_if_any(world: World, also_run: Sequence[str], *, quiet: bool) -> Plan | None:
    """The plan, or None with a word on standard error for an image that has none."""
    from imgslim.pipeline import derive_plan

    try:
        return derive_plan(world, also_run)
    except (EntrypointError, UnsupportedImageError) as error:
        options.say(f"imgslim: note: nothing is marked as dropped: {error}\n", quiet=quiet)
        return None
