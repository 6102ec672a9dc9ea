"""How shells are started, and which commands start them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imgslim.commands import (
    Argv,
    Place,
    find_wrapper,
    inner_commands,
    locate,
    name_of,
    place_inside,
)
from imgslim.runtimes.script import read_shebang
from imgslim.runtimes.shell.scope import Environment, Word
from imgslim.tables import load_table
from imgslim.world import World
from imgslim.wrappers import settings_of

_MAX_WRAPPERS = 8
"""Commands inside each other (tini, gosu, env …) that are looked into."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a shell is started: with a string, with a file, or (neither) with its standard input."""

    string: str | None = None
    script: str | None = None
    name: str = ""
    arguments: Argv = ()
    login: bool = False


@dataclass(frozen=True, slots=True)
class Inner:
    """A command that runs in the end: ``path`` is its canonical file, "" where it is not found."""

    argv: Argv
    path: str
    place: Place
    environment: Environment
    stdin: tuple[str, ...] = ()


def inner_of(world: World, outer: Inner, depth: int = _MAX_WRAPPERS) -> Iterator[Inner]:
    """``outer``, the commands inside it and the interpreters of scripts, in that order."""
    yield outer
    if depth <= 0 or not outer.path:
        return
    wrapper = find_wrapper(name_of(outer.argv[0])) or find_wrapper(name_of(outer.path))
    for argv in inner_commands(outer.argv, outer.path):
        place = place_inside(world, outer.place, outer.argv, outer.path, argv)
        found = locate(world, argv[0], place)
        path = world.rootfs.resolve(found).path if found else ""
        if not found and wrapper is not None and wrapper.applet:
            path = outer.path
        variables, _ = settings_of(outer.argv, outer.path, argv)
        environment = _with(outer.environment, variables, place)
        stdin = () if wrapper is not None and wrapper.takes_input else outer.stdin
        yield from inner_of(world, Inner(argv, path, place, environment, stdin), depth - 1)
    entry = world.rootfs.lookup(outer.path)
    shebang = None if entry is None else read_shebang(world, entry)
    if shebang is not None:
        found = locate(world, shebang.interpreter)
        script = locate(world, outer.argv[0], outer.place) or outer.path
        if found is not None:
            argv = shebang.argv(script, outer.argv[1:])
            path = world.rootfs.resolve(found).path
            yield from inner_of(world, replace(outer, argv=argv, path=path), depth - 1)


def _with(environment: Environment, variables: Mapping[str, str], place: Place) -> Environment:
    if not variables and place.directories == environment.directories:
        return environment
    values = dict(environment.variables)
    values.update({name: (Word(value),) for name, value in variables.items()})
    return replace(
        environment, variables=tuple(sorted(values.items())), directories=place.directories
    )


def code_on_stdin(argv: Argv, text: str) -> Argv | None:
    """The words with which an interpreter that reads ``text`` from its standard input would be
    given it as an argument; None when it does not read a program there."""
    rows = load_table("shell")["reads_program"]
    for row in rows:
        if any(fnmatch.fnmatchcase(name_of(argv[0]), name) for name in row["names"]):
            options = [word for word in argv[1:] if word != "-"]
            if all(word.startswith("-") and word not in row["other"] for word in options):
                return (argv[0], *options, row["option"], text)
    return None


def is_shell(word: str, path: str) -> bool:
    """Whether a command whose first word is ``word`` and whose file is ``path`` is a shell."""
    names = load_table("shell")["shells"]["names"]
    return name_of(word).removeprefix("-") in names or name_of(path) in names


def parse_invocation(argv: Sequence[str]) -> Invocation:
    """How a shell reads its own arguments (POSIX sh, OPTIONS; bash(1), INVOCATION)."""
    value_options = load_table("shell")["shells"]["value_options"]
    rest = list(argv[1:])
    login, string, stdin = argv[0].startswith("-"), False, False
    while rest and rest[0][:1] in ("-", "+") and len(rest[0]) > 1:
        option = rest.pop(0)
        if option == "--":
            break
        if option.startswith("--"):
            login |= option == "--login"
            if option in value_options:
                del rest[:1]
            continue
        login |= "l" in option[1:]
        string |= option[0] == "-" and "c" in option[1:]
        stdin |= option[0] == "-" and "s" in option[1:]
        if option in value_options or option[-1] in "oO":
            del rest[:1]
    if string:
        text, *others = rest or [""]
        name, *arguments = others or [argv[0]]
        return Invocation(string=text, name=name, arguments=tuple(arguments), login=login)
    if stdin or not rest or rest[0] == "-":
        return Invocation(name=argv[0], arguments=tuple(rest), login=login)
    return Invocation(script=rest[0], name=rest[0], arguments=tuple(rest[1:]), login=login)
