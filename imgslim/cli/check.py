"""``imgslim check``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from imgslim.choices import Choices
from imgslim.cli import options
from imgslim.cli.limits import limit_options, limits_of, read_dive_ci
from imgslim.cli.progress import ProgressBar
from imgslim.output import STANDARD_OUTPUT, check_output, write_output

if TYPE_CHECKING:
    from imgslim.limits import Checked
    from imgslim.limits.dive_ci import DiveRules
    from imgslim.reports.console import Look

_BROKEN = 1
"""The exit code of linters, and of dive, where a rule does not hold."""

EPILOG = """\
\b
Examples:
  imgslim check app:latest --max-size 300MB --forbid toolchain --forbid private-key
  imgslim check app:latest --against app:released --max-growth-percent 5
  docker save app:latest | imgslim check - --max-waste-percent 5 --max-removable 50MB
  imgslim check app:latest --dive-ci .dive-ci
  imgslim check app.tar --format junit -o imgslim.xml
"""


@click.command("check", cls=options.ConfiguredCommand, epilog=EPILOG)
@options.image_argument
@limit_options
@options.also_run_option
@options.choice_options
@options.source_options
@click.option(
    "--format",
    "output_format",
    cls=options.RunOption,
    type=click.Choice(["table", "json", "junit", "sarif"]),
    default="table",
    show_default=True,
    help="For people, for programs (docs/json.md), for a test report, for code scanning.",
)
@options.output_options
@options.voice_options
def command(
    image: str,
    against: str | None,
    forbid: tuple[str, ...],
    forbid_always: tuple[str, ...],
    dive_ci: str | None,
    no_dive_ci: bool,
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
    **amounts: float | None,
) -> None:
    """Hold IMAGE against limits, for CI: exit with 1, and the reasons, where one does not hold.

    Limits on size, growth, waste and what could be removed; kinds of files and of dirt that must
    not be there. They are options, or keys of the table [check] of imgslim.toml. Sizes are bytes
    of regular files in all layers, not compressed; MB is 1000 * 1000 bytes, MiB 1024 * 1024.
    """
    check_output(output, force=force)
    dive_path, dive = read_dive_ci(dive_ci, without=no_dive_ci)
    limits = limits_of(amounts, forbid, forbid_always, dive)
    options.say(_notes_on(dive_path, dive), quiet=quiet)
    from imgslim.checking import check
    from imgslim.reports.check_words import broken_lines

    with ProgressBar(quiet=quiet) as on_progress:
        checked = check(
            image,
            limits,
            choices,
            also_run=also_run,
            against=against,
            platform=platform,
            check_digests=check_digests,
            on_progress=on_progress,
        )
    to_file = output != STANDARD_OUTPUT
    look = options.look_for(sys.stdout, color, verbose=verbose, to_file=to_file)
    write_output(_report(checked, output_format, look), output, force=force)
    if output_format != "table" or to_file:
        options.say(broken_lines(checked), quiet=quiet)
    if checked.broken:
        raise click.exceptions.Exit(_BROKEN)


def _notes_on(path: str, dive: DiveRules | None) -> str:
    if dive is None:
        return ""
    lines = (f"limits from {path}", *dive.notes)
    return "".join(f"imgslim: note: {line}\n" for line in lines)


def _report(checked: Checked, output_format: str, look: Look) -> str:
    from imgslim.reports import check_json, check_junit, check_sarif, check_text

    match output_format:
        case "json":
            return check_json.render_check(checked)
        case "junit":
            return check_junit.render_check(checked)
        case "sarif":
            return check_sarif.render_check(checked)
        case _:
            return check_text.render_check(checked, look)
