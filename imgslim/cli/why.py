"""``imgslim why``."""

from __future__ import annotations

import sys

import click

from imgslim.choices import Choices
from imgslim.cli import options
from imgslim.cli.progress import ProgressBar
from imgslim.output import STANDARD_OUTPUT, check_output, write_output

EPILOG = """\
\b
Examples:
  imgslim why app:latest /usr/lib/x86_64-linux-gnu/libssl.so.3
  imgslim why app:latest '/opt/app/**/*.so'
  imgslim why app.tar pypi:numpy --level tight
  imgslim why app.tar deb:perl-base --format json
"""


@click.command("why", cls=options.ConfiguredCommand, epilog=EPILOG)
@options.image_argument
@click.argument("path", metavar="PATH")
@options.also_run_option
@options.choice_options
@options.source_options
@options.format_option
@options.output_options
@options.voice_options
def command(
    image: str,
    path: str,
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
    """Say why PATH of IMAGE is kept, or why it is left out.

    PATH is a path, a directory, a glob, or a package: deb:NAME, apk:NAME,
    pypi:NAME, npm:NAME. Of a kept path, the chain that leads to it from what the image
    runs; of one that is left out, the reason, and what --keep would cost. Of
    several paths, what is kept and left out, largest first.
    """
    check_output(output, force=force)
    from imgslim.dirt import cover_image, cover_plan
    from imgslim.matches import require_match
    from imgslim.pipeline import analyze, cost_of_keeping
    from imgslim.reports import json, why

    with (
        ProgressBar(quiet=quiet) as on_progress,
        analyze(
            image,
            choices,
            also_run=also_run,
            platform=platform,
            check_digests=check_digests,
            on_progress=on_progress,
        ) as analysis,
    ):
        world, plan = analysis.world, analysis.plan
        match = require_match(world, path)

        def price(pattern: str) -> int:
            return cost_of_keeping(world, plan, pattern, also_run)

        answer = why.explain(world, cover_plan(plan, analysis.image), match, price)
        shown, _ = cover_image(analysis.image, ())
    if output_format == "json":
        report = json.render_why(shown, match, answer)
    else:
        to_file = output != STANDARD_OUTPUT
        look = options.look_for(sys.stdout, color, verbose=verbose, to_file=to_file)
        report = why.render_why(match, answer, look)
    write_output(report, output, force=force)
