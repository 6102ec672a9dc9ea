"""Options that several commands share, each defined once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from imgslim.choices import Choices, Level

if TYPE_CHECKING:
    from imgslim.reports.console import Look

F = TypeVar("F", bound=Callable[..., Any])

PIPED_WIDTH = 100
"""Columns of a report that goes to a file or a pipe, unless COLUMNS says otherwise."""

image_argument = click.argument("image", metavar="IMAGE")

also_run_option = click.option(
    "--also-run",
    metavar="CMD",
    multiple=True,
    help="Another command that the image runs: a worker, a migration, a probe, sh. Repeatable.",
)
level_option = click.option(
    "--level",
    type=click.Choice([level.value for level in Level]),
    default=Level.BALANCED.value,
    show_default=True,
    help="safe: whole distributions and standard library. balanced: without tests and large parts "
    "that nothing reaches. tight: the reached modules alone.",
)
keep_option = click.option(
    "--keep",
    metavar="PATH|GLOB",
    multiple=True,
    help="Keep this too, with what it needs: a path, a glob, or a package as deb:NAME, apk:NAME, "
    "pypi:NAME. Repeatable.",
)
drop_option = click.option(
    "--drop",
    metavar="PATH|GLOB",
    multiple=True,
    help="Leave this out, and what only it needs. Where kept files need it, that is an error "
    "without --force. Repeatable.",
)
strip_option = click.option(
    "--strip",
    is_flag=True,
    help="Remove from programs and libraries what only debuggers read, with the image's own "
    "strip, where that is safe.",
)
bytecode_option = click.option(
    "--no-bytecode",
    "bytecode",
    flag_value=False,
    default=True,
    help="Leave out compiled Python sources (__pycache__): smaller, slower to start.",
)
platform_option = click.option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    help="Which image of a multi-platform index. Default: this machine's.",
)
check_digests_option = click.option(
    "--check-digests",
    is_flag=True,
    help="Also hash every layer; otherwise those that stream past and all JSON are checked.",
)
format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people, or for programs (docs/json.md).",
)
output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="-",
    help="Write there instead of to standard output (-). An existing file is not overwritten.",
)
overwrite_option = click.option("--force", is_flag=True, help="Let --output overwrite a file.")
force_option = click.option(
    "--force",
    is_flag=True,
    help="Let --output overwrite a file, and let --drop leave out what is needed.",
)
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, help="No progress and no notes on standard error."
)
verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Every row, every problem, the chain of every unit."
)
color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours in tables. auto: on a terminal, unless NO_COLOR is set.",
)


def combined(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """One decorator of several; ``--help`` lists them in the given order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


source_options: Callable[[Any], Any] = combined([platform_option, check_digests_option])
output_options: Callable[[Any], Any] = combined([output_option, overwrite_option])
plan_output_options: Callable[[Any], Any] = combined([output_option, force_option])
voice_options: Callable[[Any], Any] = combined([color_option, verbose_option, quiet_option])


def choice_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options of the user's decisions about the plan; ``function`` gets them as ``choices``."""

    @wraps(function)
    def with_choices(
        *,
        level: str,
        keep: tuple[str, ...],
        drop: tuple[str, ...],
        strip: bool,
        bytecode: bool,
        **others: Any,
    ) -> None:
        function(choices=Choices(Level(level), keep, drop, bytecode, strip), **others)

    options = [level_option, keep_option, drop_option, strip_option, bytecode_option]
    return combined(options)(with_choices)


def look_for(stream: TextIO, color: str, *, verbose: bool, to_file: bool = False) -> Look:
    """How a report looks that goes to ``stream`` (or to a file in its place)."""
    from imgslim.reports.console import Look

    on_terminal = stream.isatty() and not to_file
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    width = shutil.get_terminal_size((PIPED_WIDTH, 24)).columns
    if not on_terminal and "COLUMNS" not in os.environ:
        width = PIPED_WIDTH
    colour = color == "always" or (color == "auto" and on_terminal and not plain)
    return Look(width, colour, verbose)


def say(text: str, *, quiet: bool) -> None:
    """Print notes on standard error, unless the user wants none."""
    if not quiet and text:
        sys.stderr.flush()
        click.echo(text, nl=False, err=True)
