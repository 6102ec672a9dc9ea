"""``imgslim rewrite``."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from imgslim.choices import Choices
from imgslim.cli import options
from imgslim.cli.progress import ProgressBar
from imgslim.errors import UsageError
from imgslim.output import check_output, write_output

if TYPE_CHECKING:
    from imgslim.pipeline import Analysis
    from imgslim.reports.console import Look

EPILOG = """\
\b
Examples:
  imgslim rewrite app:latest -o Dockerfile.slim
  imgslim rewrite app:latest --also-run sh --build -t app:slim
  imgslim rewrite app.tar | docker build -t app:slim -

The Dockerfile copies from the fat image, which the engine must know by the name after FROM.
"""


@click.command("rewrite", epilog=EPILOG)
@options.image_argument
@options.also_run_option
@options.choice_options
@click.option("--build", is_flag=True, help="Also build the image, with the local engine.")
@click.option("-t", "--tag", metavar="TAG", help="The name of the built image.")
@options.source_options
@options.plan_output_options
@options.voice_options
def command(
    image: str,
    also_run: tuple[str, ...],
    choices: Choices,
    build: bool,
    tag: str | None,
    platform: str | None,
    check_digests: bool,
    output: str,
    force: bool,
    color: str,
    verbose: bool,
    quiet: bool,
) -> None:
    """Write the slim multi-stage Dockerfile of IMAGE.

    It goes to standard output or to --output, the sizes and what could not be decided to standard
    error. With --build the engine builds it, and the measured size stands beside the predicted one.
    An archive is loaded into the engine for that, and removed again if it was not there before.
    """
    if build and not tag:
        raise UsageError("--build needs a name for the image", hint="add -t NAME:TAG")
    if tag and not build:
        raise UsageError("-t names the image that --build makes", hint="add --build, or drop -t")
    check_output(output, force=force)
    from imgslim.pipeline import analyze, check_drops, rewrite, unsayable
    from imgslim.reports.text import render_analysis, render_brief

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
        dockerfile = rewrite(analysis)
        on_progress.stop()
        look = options.look_for(sys.stderr, color, verbose=verbose)
        render = render_analysis if verbose else render_brief
        problems = (*unsayable(analysis), *analysis.plan.problems)
        plan = replace(analysis.plan, problems=problems)
        options.say(render(analysis.image, plan, look, analysis.next_level), quiet=quiet)
        if not force:
            check_drops(plan)
        write_output(dockerfile, output, force=force)
        if tag:
            _build(image, analysis, dockerfile, tag, look, quiet=quiet)


def _build(
    location: str, analysis: Analysis, dockerfile: str, tag: str, look: Look, *, quiet: bool
) -> None:
    from imgslim.build import build_slim
    from imgslim.reports.text import render_built

    def on_line(line: str) -> None:
        options.say(f"  {line}\n", quiet=not look.verbose)

    built = build_slim(location, analysis.image, dockerfile, tag, on_line)
    report = render_built(tag, built.image_id, built.size_bytes, analysis.plan, look)
    options.say(report, quiet=quiet)
