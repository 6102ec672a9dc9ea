"""``imgslim rewrite``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from imgslim.choices import Choices
from imgslim.cli import archiving, basing, options, sidecar
from imgslim.cli.progress import ProgressBar
from imgslim.errors import UsageError
from imgslim.output import check_output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from imgslim.bases import Overlay
    from imgslim.model import Problem
    from imgslim.pipeline import Analysis
    from imgslim.reports.console import Look

EPILOG = """\
\b
Examples:
  imgslim rewrite app:latest -o Dockerfile.slim
  imgslim rewrite app:latest --also-run sh --build -t app:slim
  imgslim rewrite app.tar | docker build -t app:slim -
  imgslim rewrite app:latest --source Dockerfile -o Dockerfile.slim
  imgslim rewrite app:latest -o slim.tar && docker load -i slim.tar

The Dockerfile copies from the fat image, which the engine must know by the name after FROM.
"""


@click.command("rewrite", cls=options.ConfiguredCommand, epilog=EPILOG)
@options.image_argument
@options.also_run_option
@options.choice_options
@click.option(
    "--build",
    cls=options.RunOption,
    is_flag=True,
    help="Also build the image, with the local engine.",
)
@click.option(
    "-t",
    "--tag",
    cls=options.RunOption,
    metavar="TAG",
    help="The name of the built image, or of the one in an archive. Default there: the fat image's "
    "with the tag slim.",
)
@archiving.archive_options
@click.option(
    "--no-verify",
    "verifies",
    cls=options.RunOption,
    flag_value=False,
    default=True,
    help="Do not compare the built image with the plan.",
)
@click.option(
    "--source",
    type=click.Path(),
    metavar="DOCKERFILE",
    help="The Dockerfile that IMAGE was built from: it is kept as it is, and continued, so that it "
    "builds both from then on.",
)
@click.option(
    "--target",
    metavar="STAGE",
    help="The stage of --source that IMAGE was built from. Default: the last.",
)
@basing.base_option
@options.source_options
@options.plan_output_options
@options.voice_options
def command(
    image: str,
    also_run: tuple[str, ...],
    choices: Choices,
    build: bool,
    tag: str | None,
    as_archive: bool,
    compress: str | None,
    verifies: bool,
    source: str | None,
    target: str | None,
    base: str | None,
    platform: str | None,
    check_digests: bool,
    output: str,
    force: bool,
    color: str,
    verbose: bool,
    quiet: bool,
) -> None:
    """Write the slim multi-stage Dockerfile of IMAGE, or the slim image itself as an archive.

    It goes to standard output or to --output, the sizes and what could not be decided to standard
    error. With --build the engine builds it, the measured size stands beside the predicted one, and
    the built image is compared with the plan, entry by entry (see imgslim verify).
    An archive is loaded into the engine for that, and removed again if it was not there before.
    """
    order = archiving.archive_order(
        output, force=force, as_archive=as_archive, compress=compress, tag=tag
    )
    _check(build=build, tag=tag, source=source, target=target, archive=order is not None)
    check_output(output, force=force)
    from imgslim.dockerfile.source import load_source
    from imgslim.pipeline import analyze

    head = load_source(source, target or "") if source else None
    look = options.look_for(sys.stderr, color, verbose=verbose)
    goal = _Goal(output, force, tag, verifies, look, quiet)
    with (
        ProgressBar(quiet=quiet) as on_progress,
        analyze(
            image,
            replace(choices, strip_on_host=order is not None),
            also_run=also_run,
            weigh_next=not quiet,
            platform=platform,
            check_digests=check_digests,
            on_progress=on_progress,
        ) as analysis,
        basing.overlaid(
            analysis, base, platform=platform, on_progress=on_progress, quiet=quiet
        ) as overlay,
    ):
        if order:
            on_progress.stop()
            _report(analysis, basing.problems_of_archive(overlay), goal)
            written = archiving.save(analysis, order, overlay, quiet=quiet)
            options.say(archiving.note(written, output, look), quiet=quiet)
            return
        name = sidecar.name_beside(output)
        dockerfile = basing.dockerfile_of(analysis, overlay, head, name)
        problems = basing.problems_of(analysis, overlay, lasting=head is not None)
        on_progress.stop()
        _report(analysis, problems, goal)
        files = sidecar.write(dockerfile, output, analysis, overlay, head, force=force, quiet=quiet)
        if build:
            _build(image, analysis, overlay, dockerfile, files, goal)


@dataclass(frozen=True, slots=True)
class _Goal:
    """Where the result goes, and what is said of it."""

    output: str
    force: bool
    tag: str | None
    verifies: bool
    look: Look
    quiet: bool


def _check(
    *, build: bool, tag: str | None, source: str | None, target: str | None, archive: bool
) -> None:
    """Raise UsageError for options that do not go together."""
    if build and not tag:
        raise UsageError("--build needs a name for the image", hint="add -t NAME:TAG")
    if archive and (build or source):
        raise UsageError(
            f"an archive needs no Dockerfile, which {'--build' if build else '--source'} is about",
            hint="write the archive alone (docker load -i FILE), or the Dockerfile",
        )
    if tag and not (build or archive):
        raise UsageError(
            "-t names the image that --build makes, or that of an archive",
            hint="add --build or --archive, or drop -t",
        )
    if target and not source:
        raise UsageError("--target names a stage of --source", hint="add --source DOCKERFILE")
    if build and source:
        raise UsageError(
            "--build has no context for the Dockerfile of --source",
            hint="write it with -o, then: docker build -f FILE -t NAME CONTEXT",
        )


def _report(analysis: Analysis, unsayable: Sequence[Problem], goal: _Goal) -> None:
    """Say what the plan is, and what its form cannot bring. Raises BrokenPlanError."""
    from imgslim.dirt import cover_plan
    from imgslim.pipeline import check_drops
    from imgslim.reports.text import render_analysis, render_brief

    look = goal.look
    render = render_analysis if look.verbose else render_brief
    plan = replace(analysis.plan, problems=(*unsayable, *analysis.plan.problems))
    shown = cover_plan(plan, analysis.image)
    options.say(render(analysis.image, shown, look, analysis.next_level), quiet=goal.quiet)
    if not goal.force:
        check_drops(plan)


def _build(
    location: str,
    analysis: Analysis,
    overlay: Overlay | None,
    dockerfile: str,
    files: Sequence[Path],
    goal: _Goal,
) -> None:
    """Build the image, weigh it, compare it with the plan."""
    from imgslim.build import build_slim
    from imgslim.dirt import covering
    from imgslim.pipeline import check_verified
    from imgslim.reports.text import render_built
    from imgslim.reports.verification import render_differences

    def on_line(line: str) -> None:
        options.say(f"  {clean(line)}\n", quiet=not look.verbose)

    look, tag = goal.look, goal.tag or ""
    clean = covering(analysis.image)
    expected = basing.expected_of(analysis, overlay) if goal.verifies else None
    predicted = overlay.size_bytes if overlay else analysis.plan.slim_size_bytes
    built = build_slim(location, analysis.image, dockerfile, tag, on_line, expected, files=files)
    report = render_built(tag, built.image_id, built.size_bytes, predicted, look)
    options.say(report, quiet=goal.quiet)
    if built.verification is not None:
        options.say(
            render_differences(built.verification, look),
            quiet=goal.quiet and built.verification.is_as_planned,
        )
        check_verified(tag, built.verification)
