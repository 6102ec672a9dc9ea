"""What a walk over a shell script finds."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgslim.commands import Place


@dataclass(frozen=True, slots=True)
class Run:
    """A command that a script may run: one reading of the words at ``spot`` (a byte offset).

    ``sure``: all of its name is known and set.
    """

    argv: tuple[str, ...]
    place: Place
    script: str
    line: int
    spot: int
    sure: bool = True


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
    """What a script says, in order and once each; ``broken`` are scripts not fully understood."""

    runs: dict[Run, None] = field(default_factory=dict)
    mentions: dict[Mention, None] = field(default_factory=dict)
    sources: dict[tuple[str, str], None] = field(default_factory=dict)
    unresolved: dict[Unresolved, None] = field(default_factory=dict)
    broken: dict[str, None] = field(default_factory=dict)
