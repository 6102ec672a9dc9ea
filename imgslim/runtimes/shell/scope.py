"""What a shell script's names may stand for at one point of it: values, parameters, directories.

Nothing is run, so a name can have several possible values: an assignment inside a condition, a loop
or after ``&&`` adds one, any other replaces them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from imgslim.tables import load_table

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_ALTERNATIVES = 16
"""Possible values that are followed for one name or one command; more add little and cost time."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Word:
    """A word after expansion; parts that are not known stand there as they are written."""

    text: str
    known: bool = True


Fields = tuple[Word, ...]
Alternatives = tuple[Fields, ...]
"""The possible results of an expansion, each a list of words."""

EMPTY = Word("")


def distinct(items: Iterable[T]) -> tuple[T, ...]:
    """The first ``MAX_ALTERNATIVES`` different items, in order."""
    return tuple(islice(dict.fromkeys(items), MAX_ALTERNATIVES))


@dataclass(slots=True)
class Scope:
    """The names of one shell process. ``params`` is None when nobody knows the arguments."""

    name: str
    params: Alternatives | None
    directories: tuple[str, ...]
    variables: dict[str, tuple[Word, ...]] = field(default_factory=dict)
    arrays: dict[str, Alternatives] = field(default_factory=dict)
    functions: dict[str, Node] = field(default_factory=dict)
    conditions: int = 0
    loops: int = 0
    piped: tuple[Word, ...] = ()
    """What ``read`` may get from the pipe before it."""

    def copy(self) -> Scope:
        """A subshell: it knows what its parent knows, and its changes stay its own."""
        return Scope(
            self.name,
            self.params,
            self.directories,
            dict(self.variables),
            dict(self.arrays),
            self.functions,
            self.conditions,
            self.loops,
            self.piped,
        )

    @contextmanager
    def conditionally(self, *, loop: bool = False) -> Iterator[None]:
        """What happens inside may also not happen; in a ``loop`` any number of times."""
        self.conditions += 1
        self.loops += loop
        try:
            yield
        finally:
            self.conditions -= 1
            self.loops -= loop

    def lookup(self, name: str) -> tuple[Word, ...] | None:
        """The values that a variable may have; None: nothing sets it."""
        if name in self.variables:
            return self.variables[name]
        if name in ("0", "BASH_SOURCE", "BASH_ARGV0"):
            return (Word(self.name),)
        if name == "PWD":
            return tuple(Word(directory) for directory in self.directories)
        if name in load_table("shell")["variables"]["set_by_shell"]:
            return (Word(f"${name}", known=False),)
        return None

    def assign(self, name: str, values: Iterable[Word]) -> None:
        """Set a variable, or add to what it may be when this happens under a condition."""
        new = distinct(values)
        if self.conditions:
            new = distinct((*new, *(self.lookup(name) or (EMPTY,))))
        self.variables[name] = new
        self.arrays.pop(name, None)

    def assign_array(self, name: str, values: Alternatives, *, append: bool = False) -> None:
        old = self.arrays.get(name, ((),))
        new = distinct((*a, *b) for a in old for b in values) if append else distinct(values)
        if self.conditions or append:
            new = distinct((*new, *old)) if self.conditions else new
        self.arrays[name] = new
        self.variables.pop(name, None)

    def set_params(self, values: Alternatives | None) -> None:
        """What ``set --`` leaves as the positional parameters."""
        if values is None or not self.conditions:
            self.params = values
        elif self.params is not None:
            self.params = distinct((*values, *self.params))
        else:
            self.params = values

    def shift(self, count: int) -> None:
        """Drop the first parameters; inside a loop any number of them may go."""
        if self.params is None:
            return
        if self.loops:
            tails = [p[i:] for p in self.params for i in range(len(p) + 1)]
        else:
            tails = [p[count:] for p in self.params]
        self.params = distinct((*self.params, *tails) if self.conditions else tails)

    def change_directory(self, directories: Iterable[str]) -> None:
        new = distinct(directories)
        self.directories = distinct((*new, *self.directories)) if self.conditions else new
