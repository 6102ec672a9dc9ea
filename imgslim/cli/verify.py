"""``imgslim verify``."""

from __future__ import annotations

import sys

import click

from imgslim.cli import options
from imgslim.cli.progress import ProgressBar
from imgslim.errors import UsageError
from imgslim.output import STANDARD_OUTPUT, check_output, write_output

EPILOG = """\
\b
Examples:
  imgslim analyze app:latest --format json -o plan.json
  imgslim verify app:slim --plan plan.json
  docker save app:slim | imgslim verify - --plan plan.json
  imgslim verify app:slim --plan plan.json --base python:3.12-slim
  imgslim verify slim.tar --plan plan.json --format json | jq '.verification.differences'
"""


@click.command("verify", epilog=EPILOG)
@options.image_argument
@click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    required=True,
    help="The plan of the fat image, as analyze --format json writes it; - reads standard input.",
)
@click.option(
    "--base",
    metavar="IMAGE",
    help="The image that rewrite --base built upon: what it has beside the plan is expected too.",
)
@options.source_options
@options.format_option
@options.output_options
@options.voice_options
def command(
    image: str,
    plan_file: str,
    base: str | None,
    platform: str | None,
    check_digests: bool,
    output_format: str,
    output: str,
    force: bool,
    color: str,
    verbose: bool,
    quiet: bool,
) -> None:
    """Compare IMAGE, a built slim image, with its plan, entry by entry.

    Every path: kind, mode, owner, size, time, content, link target, hard links, capabilities. And
    every field of the config. What no Dockerfile can say is a closed list (docs/copies.md); any
    other difference is printed, with what most likely made it, and ends with exit code 13. The fat
    image is not read.
    """
    if image == plan_file == "-":
        raise UsageError("standard input cannot be both image and plan", hint="name a file")
    check_output(output, force=force)
    from imgslim.dirt import cover_image
    from imgslim.pipeline import check_verified, expect_over, verify
    from imgslim.reports import json
    from imgslim.reports.verification import render_verification
    from imgslim.verify.planfile import load_plan

    planned = load_plan(plan_file)
    with (
        ProgressBar(quiet=quiet) as on_progress,
        expect_over(planned, base, platform=platform, on_progress=on_progress) as expected,
    ):
        found, result = verify(
            image, expected, platform=platform, check_digests=check_digests, on_progress=on_progress
        )
    if output_format == "json":
        shown, _ = cover_image(found, ())
        report = json.render_verification(shown, expected, result)
    else:
        to_file = output != STANDARD_OUTPUT
        look = options.look_for(sys.stdout, color, verbose=verbose, to_file=to_file)
        report = render_verification(result, look)
    write_output(report, output, force=force)
    check_verified(found.reference, result)
