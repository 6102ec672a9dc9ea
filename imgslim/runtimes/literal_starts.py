"""Programs that sources of scripting languages start by literal words, and libraries by name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from imgslim.commands import resolve_command
from imgslim.model import Finding, Need, Problem, Severity
from imgslim.runtimes.named_libraries import library_needs
from imgslim.tables import building_commands
from imgslim.world import World

_META = re.compile(r"[*?{}\[\]<>()~&|\\$;'`\"\n#=%]")
"""What makes Ruby and Perl hand a line to /bin/sh (Ruby's process.c, rb_exec_fillarg; Perl's
doio.c, do_exec3)."""

_SHELL = "/bin/sh"
_NAME = re.compile(r"[A-Za-z][\w.+-]*")


@dataclass(frozen=True, slots=True)
class Start:
    """A program that a source starts: ``words`` as far as they are known, or one for a shell."""

    words: tuple[str, ...]
    in_shell: bool
    line: int


def start_findings(
    world: World, starts: Iterable[Start], path: str, *, own: bool
) -> Iterator[Finding]:
    """The commands that a source runs. Others than the app's ``own`` start tools that build only
    in order to build."""
    building = building_commands()
    for start in starts:
        words = words_of(start)
        if words and (own or words[0].rpartition("/")[2] not in building):
            yield from resolve_command(world, words, path)


def words_of(start: Start) -> tuple[str, ...]:
    """The words of a program, of a line those of the shell that reads it where one does."""
    if not start.in_shell:
        return start.words
    line = start.words[0].strip()
    if not line:
        return ()
    if _META.search(line):
        return (_SHELL, "-c", line)
    try:
        return tuple(shlex.split(line))
    except ValueError:
        return (_SHELL, "-c", line)


def named_programs(
    world: World, starts: Sequence[Start], texts: Iterable[str], path: str
) -> Iterator[Finding]:
    """The installed programs whose names stand in the strings of a source that starts programs."""
    known = building_commands() | {words[0] for start in starts if (words := words_of(start))}
    firsts = (text.split(" ", 1)[0] for text in texts)
    names = (first for first in firsts if _NAME.fullmatch(first) and first not in known)
    said = "starts programs, and has the names of installed ones in its strings"
    yield from programs_by_name(world, names, path, said)


def programs_by_name(world: World, names: Iterable[str], path: str, said: str) -> Iterator[Finding]:
    """What those of ``names`` need that are installed; ``said`` is how a source, at ``path``, has
    them."""
    found = [name for name in dict.fromkeys(names) if world.which(name)]
    for name in found:
        yield from resolve_command(world, (name,), path)
    if found:
        yield Problem(
            "programs-by-name",
            Severity.INFO,
            path,
            f"{said}: {', '.join(sorted(found))}",
            "kept, in case it starts them",
        )


def literal_library(world: World, name: str, path: str) -> Iterator[Need]:
    """A library by the name in a call: FFI maps it to ``libNAME.so`` (FFI.map_library_name),
    Fiddle and FFI::Platypus open what they are given."""
    stem = name if name.startswith("lib") else f"lib{name}"
    start = stem if ".so" in stem else f"{stem}.so"
    return library_needs(world, name, path, f"{re.escape(start)}.*")
