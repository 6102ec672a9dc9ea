"""One command that a supervisor starts, with the directory and the variables that it gives it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from imgslim.commands import Argv, Place, join, locate, resolve_command
from imgslim.environment import is_search_path, searched_needs, variable_needs
from imgslim.model import Command, Finding, Group, Need, Problem, Severity
from imgslim.runtimes.shell.invocation import Inner, inner_of, is_shell
from imgslim.runtimes.shell.scope import Environment
from imgslim.world import World

_SHELL = "/bin/sh"
_ACCOUNTS = ("/etc/passwd", "/etc/group")


@dataclass(frozen=True, slots=True)
class Started:
    """``argv`` is what runs; ``because`` the file that says so and ``what`` its name there.

    ``user`` is a name or "" (as the supervisor itself); ``directory`` may be relative to the
    image's own working directory.
    """

    argv: Argv
    because: str
    what: str = ""
    directory: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    user: str = ""


def started_needs(world: World, started: Started) -> Iterator[Finding]:
    """What a started command needs: its program followed like any other command, in its directory
    and with its variables. One that is not in the image is a problem."""
    place = _place(world, started)
    if started.user and not started.user.isdigit():
        for path in _ACCOUNTS:
            yield Need(path, Group.SYSTEM, "users", started.because, optional=True)
    for name, value in started.variables:
        yield from variable_needs(world, name, value, started.because, place)
        if is_search_path(name) and name != "PATH":
            because = started.because
            yield from searched_needs(world, name, value, because, place, by="a supervisor")
    found = list(resolve_command(world, started.argv, started.because, place))
    if not found:
        yield _missing(started)
    elif _needs_context(world, started) and _runs_a_shell(world, started.argv, place):
        yield from _in_context(world, started, place)
    else:
        yield from found


def _place(world: World, started: Started) -> Place:
    home = join(world.working_dir, started.directory or ".")
    directories = tuple(dict.fromkeys((world.rootfs.resolve(home).path, world.working_dir)))
    path = dict(started.variables).get("PATH")
    if not path:
        return Place(directories, world.search_path)
    return Place(directories, tuple(join(home, part) for part in path.split(":")))


def _needs_context(world: World, started: Started) -> bool:
    home = join(world.working_dir, started.directory or ".")
    return home != join("/", world.working_dir) or bool(started.variables)


def _runs_a_shell(world: World, argv: Argv, place: Place) -> bool:
    found = locate(world, argv[0], place)
    if found is None:
        return False
    outer = Inner(argv, world.rootfs.resolve(found).path, place, Environment())
    return any(
        inner.path and is_shell(inner.argv[0], inner.path) for inner in inner_of(world, outer)
    )


def _in_context(world: World, started: Started, place: Place) -> Iterator[Finding]:
    """A shell is followed from the directory and with the variables that it starts with: as
    inside of a shell that sets them, which is how its reader knows of such things."""
    found = locate(world, _SHELL)
    if found is None:
        yield from resolve_command(world, started.argv, started.because, place)
        return
    program, *words = started.argv
    program = program if "/" not in program else locate(world, program, place) or program
    steps = [f"cd {shlex.quote(place.directories[0])}"]
    steps += [f"export {name}={shlex.quote(value)}" for name, value in started.variables]
    steps.append(f"exec {shlex.join([program, *words])}")
    yield Need(found, Group.PROGRAM, "programs that run", started.because)
    argv = (_SHELL, "-c", "; ".join(steps))
    yield Command(argv, world.rootfs.resolve(found).path, started.because)


def _missing(started: Started) -> Problem:
    name = started.argv[0] if started.argv else ""
    unknown = "$" in name or "%(" in name or not name
    return Problem(
        "unresolved-command" if unknown else "missing-command",
        Severity.WARNING,
        started.because,
        f"{started.what or 'it'} runs {name or 'nothing'}"
        + (", which cannot be told" if unknown else ", which is not in the image"),
        "nothing is kept for it; name what it runs with --also-run"
        if unknown
        else "nothing to keep",
    )
