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
from imgslim.cli.configured import ConfiguredCommand as ConfiguredCommand
from imgslim.cli.configured import RunOption as RunOption
from imgslim.errors import UsageError

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
    help="safe: whole packages and standard libraries. balanced: without tests and large parts "
    "that nothing reaches. tight: the reached modules alone, where imports can be followed.",
)
keep_option = click.option(
    "--keep",
    metavar="PATH|GLOB",
    multiple=True,
    help="Keep this too, with what it needs: a path or a glob. Repeatable.",
)
drop_option = click.option(
    "--drop",
    metavar="PATH|GLOB",
    multiple=True,
    help="Leave this out, and what only it needs. Where kept files need it, that is an error "
    "without --force. Repeatable.",
)
keep_package_option = click.option(
    "--keep-package",
    metavar="NAME",
    multiple=True,
    help="Keep all files of this package, with what they need: deb:tzdata, pypi:celery, or the "
    "bare name where one database alone has it. Repeatable.",
)
drop_package_option = click.option(
    "--drop-package",
    metavar="NAME",
    multiple=True,
    help="Leave out all files of this package, as --drop does. Repeatable.",
)
compose_option = click.option(
    "--compose",
    metavar="FILE",
    type=click.Path(),
    multiple=True,
    help="A Compose file whose services run IMAGE: their commands and healthchecks are programs "
    "of it, too. Repeatable: one project, as for docker compose -f.",
)
k8s_option = click.option(
    "--k8s",
    metavar="FILE",
    type=click.Path(),
    multiple=True,
    help="A Kubernetes manifest whose containers run IMAGE: their commands, probes and hooks are "
    "programs of it, too. Repeatable.",
)
service_option = click.option(
    "--service",
    metavar="NAME",
    multiple=True,
    help="The service of --compose, or the workload or container of --k8s, that runs IMAGE. "
    "Default: those whose image has its name. Repeatable.",
)
strip_option = click.option(
    "--strip/--no-strip",
    help="Remove from programs and libraries what only debuggers read, with the image's own "
    "strip (for an archive: this machine's), where that is safe.",
)
bytecode_option = click.option(
    "--bytecode/--no-bytecode",
    default=None,
    help="Without: leave out compiled Python sources (__pycache__): smaller, slower to start. "
    "Default: with, but at tight.",
)
sources_option = click.option(
    "--sources/--no-sources",
    default=True,
    help="Without: leave out Python sources whose bytecode is there, and keep that in their place: "
    "smaller; tracebacks lose their source lines, inspect.getsource finds nothing.",
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
    cls=RunOption,
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people, or for programs (docs/json.md).",
)
output_option = click.option(
    "-o",
    "--output",
    cls=RunOption,
    metavar="FILE",
    default="-",
    help="Write there instead of to standard output (-). An existing file is not overwritten.",
)
overwrite_option = click.option(
    "--force", cls=RunOption, is_flag=True, help="Let --output overwrite a file."
)
force_option = click.option(
    "--force",
    cls=RunOption,
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
        keep_package: tuple[str, ...],
        drop_package: tuple[str, ...],
        compose: tuple[str, ...],
        k8s: tuple[str, ...],
        service: tuple[str, ...],
        strip: bool,
        bytecode: bool | None,
        sources: bool,
        **others: Any,
    ) -> None:
        if bytecode is False and not sources:
            raise UsageError(
                "--no-sources keeps bytecode in place of sources, which --no-bytecode leaves out",
                hint="give one of the two",
            )
        choices = Choices(
            Level(level),
            keep,
            drop,
            bytecode,
            strip,
            keep_packages=keep_package,
            drop_packages=drop_package,
            compose=compose,
            kubernetes=k8s,
            services=service,
            sources=sources,
        )
        function(choices=choices, **others)

    return combined(
        [
            compose_option,
            k8s_option,
            service_option,
            level_option,
            keep_option,
            drop_option,
            keep_package_option,
            drop_package_option,
            strip_option,
            bytecode_option,
            sources_option,
        ]
    )(with_choices)


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
