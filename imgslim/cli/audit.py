"""``imgslim audit``."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from imgslim.choices import Choices
from imgslim.cli import options
from imgslim.cli.dirt import look_for_dirt, secrets_option
from imgslim.cli.progress import ProgressBar
from imgslim.output import STANDARD_OUTPUT, check_output, write_output

if TYPE_CHECKING:
    from imgslim.audit import Audit
    from imgslim.audit.paths import PathList
    from imgslim.dirt import Dirt
    from imgslim.model import Image
    from imgslim.reports.audit_tables import View
    from imgslim.reports.console import Look

EPILOG = """\
\b
Examples:
  imgslim audit app:latest
  imgslim audit app:latest --by package --top 40 --under /usr
  docker save app:latest | imgslim audit - --base python:3.12
  imgslim audit app.tar --format json | jq '.audit.wasted[:5]'
"""

FORMATS = ("table", "json", "markdown", "csv", "html")

by_option = click.option(
    "--by",
    cls=options.RunOption,
    type=click.Choice(["layer", "package", "kind", "dir", "advice", "dirt"]),
    help="One table in place of the overview.",
)
top_option = click.option(
    "--top",
    cls=options.RunOption,
    metavar="N",
    type=click.IntRange(min=1),
    help="Rows of each table. Default: 8, with --by 20; html: 30; csv and json: all.",
)
under_option = click.option(
    "--under",
    cls=options.RunOption,
    metavar="PATH",
    default="/",
    help="Weigh only what is below this directory.",
)
base_option = click.option(
    "--base",
    cls=options.RunOption,
    metavar="IMAGE",
    help="The image that IMAGE was built upon. Default: as its labels say, or the one in the "
    "engine with whose layers it starts.",
)
duplicates_option = click.option(
    "--duplicates",
    cls=options.RunOption,
    is_flag=True,
    help="Also look for the same content in several files: reads those of equal size.",
)
format_option = click.option(
    "--format",
    "output_format",
    cls=options.RunOption,
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="For people, for programs (docs/json.md), for a pull request, for a spreadsheet, "
    "for a browser (needs imgslim[html]).",
)


@click.command("audit", cls=options.ConfiguredCommand, epilog=EPILOG)
@options.image_argument
@by_option
@top_option
@under_option
@base_option
@duplicates_option
@options.also_run_option
@options.choice_options
@options.source_options
@format_option
@secrets_option
@options.output_options
@options.voice_options
def command(
    image: str,
    by: str | None,
    top: int | None,
    under: str,
    base: str | None,
    duplicates: bool,
    also_run: tuple[str, ...],
    choices: Choices,
    platform: str | None,
    check_digests: bool,
    secrets: bool,
    output_format: str,
    output: str,
    force: bool,
    color: str,
    verbose: bool,
    quiet: bool,
) -> None:
    """Say what inflates IMAGE, why it is there, and what of it a slim image would drop.

    Every stored byte counts once: by layer with the instruction that made it, by kind (docs,
    caches, toolchains …), by package (deb, apk, rpm, PyPI, npm, gem, CPAN, jar, Go program),
    by directory; what a later layer deletes or overwrites counts apart, with both instructions. An
    image of which nothing says what it runs is weighed too, without what is needed.
    Advice names edits of the Dockerfile, each with the bytes that it saves on this very image.
    And what should be in no image: setuid programs, files that everyone may write, histories,
    private keys, logins, tokens in the config or the history; also what a later layer deleted;
    and whether the slim image would keep it.
    """
    check_output(output, force=force)
    from imgslim.audit import MAX_FILES
    from imgslim.audit.paths import NO_PATHS, list_paths
    from imgslim.auditing import audit, plan_if_any
    from imgslim.pipeline import judge, open_world
    from imgslim.reports.audit_html import check_extra
    from imgslim.reports.audit_map import MAP_FILES
    from imgslim.reports.audit_tables import View

    is_page = output_format == "html"
    if is_page:
        check_extra()
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
        judged = judge(opened.world)
        planned = plan_if_any(opened.world, also_run, judged)
        dirt, covered, layers = look_for_dirt(
            opened, judged, planned.plan, on_progress, secrets=secrets
        )
        found = audit(
            replace(opened, image=covered, layers=layers),
            also_run,
            judged=judged,
            planned=planned,
            base=base,
            under=under,
            max_files=MAP_FILES if is_page else MAX_FILES,
            with_duplicates=duplicates,
            platform=platform,
            on_progress=on_progress,
        )
        paths = NO_PATHS
        if is_page:
            paths = list_paths(opened.world.rootfs, planned.plan, found.wasted, found.under)
    if not found.has_plan:
        options.say(f"imgslim: note: nothing is marked as needed: {found.no_plan}\n", quiet=quiet)
    to_file = output != STANDARD_OUTPUT
    look = options.look_for(sys.stdout, color, verbose=verbose, to_file=to_file)
    view = View(by or "", top)
    report = _render(output_format, covered, found, dirt, paths, view, look)
    write_output(report, output, force=force)


def _render(
    output_format: str,
    image: Image,
    audit: Audit,
    dirt: Dirt,
    paths: PathList,
    view: View,
    look: Look,
) -> str:
    from imgslim.reports import audit_csv, audit_html, audit_json, audit_markdown, audit_text

    match output_format:
        case "json":
            return audit_json.render_audit(image, audit, dirt)
        case "markdown":
            return audit_markdown.render_audit(image, audit, dirt, view)
        case "csv":
            return audit_csv.render_audit(audit, dirt, view)
        case "html":
            return audit_html.render_audit(image, audit, dirt, view, paths)
        case _:
            return audit_text.render_audit(image, audit, dirt, look, view)
