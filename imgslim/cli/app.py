"""The group of commands, and the one place where errors become exit codes."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from imgslim import __version__
from imgslim.cli.overview import COMMANDS, OVERVIEW
from imgslim.errors import ImgslimError, Interrupted, UsageError
from imgslim.output import ReaderGone

DEBUG_VARIABLE = "IMGSLIM_DEBUG"
_TERMINATING = ("SIGTERM", "SIGHUP")
_SIGPIPE_EXIT_CODE = 141
"""128 + SIGPIPE, as a shell reports a program whose reader went away."""


class LazyGroup(click.Group):
    """Imports a command's module when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"imgslim.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def get_help(self, ctx: click.Context) -> str:
        return OVERVIEW.rstrip("\n")


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, "-V", "--version", message="imgslim %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A fat container image in, a slim multi-stage Dockerfile out."""
    if ctx.invoked_subcommand is None:
        click.echo(OVERVIEW, nl=False, err=True)
        ctx.exit(UsageError.exit_code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return the exit code; every failure is one line and a hint."""
    try:
        with _termination_cleans_up():
            # click hands back the code of its own Exit, and what a command returns: nothing.
            exit_code = cli.main(list(arguments), prog_name="imgslim", standalone_mode=False)
            sys.stdout.flush()
        return exit_code or 0
    except click.ClickException as error:
        return _report(_usage_message(error), _usage_hint(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _report("interrupted", "", Interrupted.exit_code)
    except (ReaderGone, BrokenPipeError):
        return _SIGPIPE_EXIT_CODE
    except ImgslimError as error:
        return _report(str(error), error.hint, error.exit_code)
    except MemoryError:
        return _report("out of memory", "give the process more, and try again", 1)
    except Exception as error:
        return _report_fault(error, arguments)


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    return message[:1].lower() + message[1:]


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "imgslim"
    return f"see {path} --help"


def _report(message: str, hint: str, exit_code: int) -> int:
    text = " ".join(message.split())
    click.echo(f"imgslim: error: {text}", err=True)
    if hint:
        click.echo(f"  hint: {' '.join(hint.split())}", err=True)
    return exit_code


def _report_fault(error: Exception, arguments: Sequence[str]) -> int:
    """An exception that nobody foresaw is imgslim's fault, and says so."""
    wants_trace = os.environ.get(DEBUG_VARIABLE) or {"-v", "--verbose"} & set(arguments)
    if wants_trace:
        traceback.print_exception(error)
    hint = (
        "this is a bug in imgslim: please report it with the traceback above"
        if wants_trace
        else f"this is a bug in imgslim: set {DEBUG_VARIABLE}=1 for the traceback and report it"
    )
    detail = str(error).splitlines()[0] if str(error) else ""
    return _report(f"unexpected {type(error).__name__}: {detail}".rstrip(": "), hint, 1)


@contextmanager
def _termination_cleans_up() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that temporary files go."""
    before: list[tuple[int, Callable[[int, FrameType | None], object] | int | None]] = []
    for name in _TERMINATING:
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) is signal.SIG_IGN:
            continue  # not on this system, or started by nohup
        before.append((number, signal.signal(number, _terminate)))
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise click.exceptions.Exit(128 + number)
