"""``imgslim diff``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from imgslim.cli import options
from imgslim.cli.progress import ProgressBar
from imgslim.output import STANDARD_OUTPUT, check_output, write_output

if TYPE_CHECKING:
    from imgslim.comparison import Comparison
    from imgslim.model import Image
    from imgslim.reports.console import Look

SHOWN_ROWS = 12

_DIFFERENT = 1
"""The exit code of ``git diff --exit-code`` (and of diff(1)) where something differs."""

EPILOG = """\
\b
Examples:
  imgslim diff app:yesterday app:latest
  imgslim diff app:latest app:slim --under /usr/lib --top 30
  docker save app:latest | imgslim diff release.tar - --format markdown
  imgslim diff a.tar b.tar --exit-code --quiet -o /dev/null || echo they differ
  imgslim diff a.tar b.tar --format json | jq '.diff.packages[]'
"""


@click.command("diff", epilog=EPILOG)
@click.argument("before", metavar="IMAGE_A")
@click.argument("after", metavar="IMAGE_B")
@click.option(
    "--under",
    metavar="PATH",
    default="/",
    help="Compare what lies below PATH alone, without the config.",
)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(min=1),
    default=SHOWN_ROWS,
    show_default=True,
    help="Rows of each table; JSON has all.",
)
@click.option(
    "--exit-code",
    "tells",
    is_flag=True,
    help="Exit with 1 where the images differ in more than modification times.",
)
@options.source_options
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="For people, for programs (docs/json.md), or for a comment on a change.",
)
@options.output_options
@options.voice_options
def command(
    before: str,
    after: str,
    under: str,
    top: int,
    tells: bool,
    platform: str | None,
    check_digests: bool,
    output_format: str,
    output: str,
    force: bool,
    color: str,
    verbose: bool,
    quiet: bool,
) -> None:
    """Say what differs from IMAGE_A to IMAGE_B, and which instruction brought the growth.

    Two builds of one image, or a fat image and its slim one: sizes; the layers side by side, those
    of one instruction as one; the directories where growth gathers; packages with their versions;
    paths that came, went or changed (content, size, mode, owner, kind, link target, time); the
    config, field by field. No plan is derived.
    """
    check_output(output, force=force)
    from imgslim.pipeline import compare

    with ProgressBar(quiet=quiet) as on_progress:
        images = compare(
            before,
            after,
            under=under,
            platform=platform,
            check_digests=check_digests,
            on_progress=on_progress,
        )
    to_file = output != STANDARD_OUTPUT
    look = options.look_for(sys.stdout, color, verbose=verbose, to_file=to_file)
    write_output(_report(images, output_format, look, top), output, force=force)
    if tells and images[2].is_different:
        raise click.exceptions.Exit(_DIFFERENT)


def _report(
    images: tuple[Image, Image, Comparison], output_format: str, look: Look, top: int
) -> str:
    from imgslim.reports import diff_json, diff_markdown, diff_text

    if output_format == "json":
        return diff_json.render_diff(*images)
    if output_format == "markdown":
        return diff_markdown.render_diff(*images, None if look.verbose else top)
    return diff_text.render_diff(*images, look, top)
