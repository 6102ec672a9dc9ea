"""``imgslim analyze``."""

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
  imgslim analyze app:latest
  imgslim analyze app.tar --verbose | less
  imgslim analyze app:latest --also-run 'python manage.py migrate'
  imgslim analyze app:latest --level tight --keep /opt/app/plugins --keep-package tzdata
  imgslim analyze app:latest --compose compose.yaml --k8s deploy/worker.yaml
  imgslim analyze app:latest --format json -o plan.json
"""


@click.command("analyze", cls=options.ConfiguredCommand, epilog=EPILOG)
@options.image_argument
@options.also_run_option
@options.choice_options
@options.source_options
@options.format_option
@options.plan_output_options
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
    """Say what IMAGE runs, what that needs, and what is left out.

    For each program of the image: the file that it is, and what kind of file. Then what it needs,
    by reason; what nothing needs, by where it came from; the predicted size; and what could not be
    decided, with its price. Nothing of the image is executed.
    """
    check_output(output, force=force)
    from imgslim.dirt import cover_image, cover_plan
    from imgslim.pipeline import analyze, check_drops, expect
    from imgslim.reports import json, text

    with (
        ProgressBar(quiet=quiet) as on_progress,
        analyze(
            image,
            choices,
            also_run=also_run,
            weigh_next=not quiet,
            platform=platform,
            check_digests=check_digests,
            on_progress=on_progress,
        ) as analysis,
    ):
        found, _ = cover_image(analysis.image, ())
        plan, after = cover_plan(analysis.plan, analysis.image), analysis.next_level
        expected = expect(analysis) if output_format == "json" else None
    if expected is not None:
        report = json.render_analysis(found, plan, after, expected)
    else:
        to_file = output != STANDARD_OUTPUT
        look = options.look_for(sys.stdout, color, verbose=verbose, to_file=to_file)
        report = text.render_analysis(found, plan, look, after)
    write_output(report, output, force=force)
    if not force:
        check_drops(plan)
