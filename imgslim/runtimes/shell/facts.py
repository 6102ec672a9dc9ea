"""What a walk over a shell script finds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imgslim.commands import Place
from imgslim.model import Finding, Problem
from imgslim.runtimes.shell.scope import Environment

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True, slots=True)
class Run:
    """A command that a script may run: one reading of the words at ``spot`` (a byte offset).

    ``sure``: all of its name is known and set. ``complete``: no word of it is a variable that
    nothing sets. ``stdin`` are the known texts that it may read from its standard input.
    ``guess``: it stands in a part of the script that could not be read as a whole.
    """

    argv: tuple[str, ...]
    place: Place
    script: str
    line: int
    spot: int
    sure: bool = True
    complete: bool = True
    environment: Environment = field(default_factory=Environment)
    stdin: tuple[str, ...] = ()
    guess: bool = False


@dataclass(frozen=True, slots=True)
class Mention:
    """A text in a script that may hold paths; ``variable`` is the one that it is given to."""

    text: str
    place: Place
    script: str
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A command whose name depends on what only a run knows."""

    text: str
    script: str
    line: int


@dataclass(slots=True)
class Facts:
    """What a script says, in order and once each.

    ``broken`` are scripts not fully understood, with the line, ``checked`` (script, name) pairs of
    commands that a script asks for before it runs them, ``functions`` all that it defines.
    """

    runs: dict[Run, None] = field(default_factory=dict)
    mentions: dict[Mention, None] = field(default_factory=dict)
    sources: dict[tuple[str, str], None] = field(default_factory=dict)
    unresolved: dict[Unresolved, None] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    checked: set[tuple[str, str]] = field(default_factory=set)
    functions: dict[str, Node] = field(default_factory=dict)


def at_line(finding: Finding, line: int) -> Finding:
    """A finding with the line of the script that asks for it."""
    return finding if isinstance(finding, Problem) else replace(finding, line=line)
