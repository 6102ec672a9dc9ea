"""What a shell script's names may stand for at one point of it: values, parameters, directories.

Nothing is run, so a name can have several possible values: an assignment inside a condition, a loop
or after ``&&`` adds one, any other replaces them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from imgslim.tables import load_table

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_ALTERNATIVES = 16
"""Possible values that are followed for one name or one command; more add little and cost time."""

MAX_ITEMS = 256
"""Words or lines that a loop goes over one by one, and files that one pattern may match."""

GLOB_CHARACTERS = frozenset("*?[")

_MOST_ELEMENTS = 1024
"""Elements of an array that are followed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Word:
    """A word after expansion; parts that are not known stand there as they are written.

    ``pattern``: an unquoted part of it may match names of files.
    """

    text: str
    known: bool = True
    pattern: bool = False


Fields = tuple[Word, ...]
Alternatives = tuple[Fields, ...]
"""The possible results of an expansion, each a list of words."""

EMPTY = Word("")

LONGEST_TEXT = 64 * 1024
"""Characters of one value that are followed; a longer one counts as not known."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a process gets from the shell that starts it: exported variables and functions, the
    directories that it may start in (the first that fits)."""

    variables: tuple[tuple[str, tuple[Word, ...]], ...] = ()
    functions: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()


def distinct(items: Iterable[T], limit: int = MAX_ALTERNATIVES) -> tuple[T, ...]:
    """The first ``limit`` different items, in order."""
    return tuple(islice(dict.fromkeys(items), limit))


@dataclass(slots=True)
class Scope:
    """The names of one shell process. ``params`` is None when nobody knows the arguments."""

    name: str
    params: Alternatives | None
    directories: tuple[str, ...]
    variables: dict[str, tuple[Word, ...]] = field(default_factory=dict)
    arrays: dict[str, Alternatives] = field(default_factory=dict)
    keys: dict[str, Fields] = field(default_factory=dict)
    """The subscripts that an associative array is given."""
    functions: dict[str, Node] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    written: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What the script itself writes into files: path → texts."""
    exported: set[str] = field(default_factory=set)
    exported_functions: set[str] = field(default_factory=set)
    homes: Mapping[str, str] = field(default_factory=dict)
    """Home directories by user, "" for the one that runs the shell."""
    source: str = ""
    """The file that is read now, when it is another one than ``name``."""
    exports_all: bool = False
    conditions: int = 0
    loops: int = 0
    stdin: tuple[str, ...] = ()
    """The texts that standard input may give, as far as they are known."""
    earlier: tuple[str, ...] = ()
    """The directories before the last ``cd``."""

    def copy(self) -> Scope:
        """A subshell: it knows what its parent knows, and its changes stay its own."""
        return replace(
            self,
            variables=dict(self.variables),
            arrays=dict(self.arrays),
            keys=dict(self.keys),
            exported=set(self.exported),
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
        if name == "BASH_SOURCE" and self.source:
            return (Word(self.source), Word(self.name))
        if name in ("0", "BASH_SOURCE", "BASH_ARGV0"):
            return (Word(self.name),)
        if name == "PWD":
            return tuple(Word(directory) for directory in self.directories)
        if name == "HOME" and "" in self.homes:
            return (Word(self.homes[""]),)
        if name in load_table("shell")["variables"]["set_by_shell"]:
            return (Word(f"${name}", known=False),)
        return None

    def separators(self) -> str | None:
        """The characters of IFS; None for the blanks that it holds by default."""
        values = self.variables.get("IFS", ())
        return next((value.text for value in values if value.known and value.text), None)

    def assign(self, name: str, values: Iterable[Word]) -> None:
        """Set a variable, or add to what it may be when this happens under a condition."""
        new = distinct(values)
        if self.conditions:
            new = distinct((*new, *(self.lookup(name) or (EMPTY,))))
        self.variables[name] = new
        self.arrays.pop(name, None)
        if self.exports_all:
            self.exported.add(name)

    def assign_array(self, name: str, values: Alternatives, *, append: bool = False) -> None:
        old = self.arrays.get(name, ((),))
        new = distinct((*a, *b) for a in old for b in values) if append else distinct(values)
        if self.conditions or append:
            new = distinct((*new, *old)) if self.conditions else new
        new = tuple(fields[:_MOST_ELEMENTS] for fields in new)
        self.arrays[name] = new
        self.variables.pop(name, None)

    def assign_element(self, name: str, key: Word, values: Iterable[Word]) -> None:
        """``NAME[KEY]=VALUE``: one more element; where it stands is not followed."""
        self.assign_array(name, tuple((value,) for value in values), append=True)
        self.keys[name] = distinct((*self.keys.get(name, ()), key))

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
        self.earlier = self.directories
        self.directories = distinct((*new, *self.directories)) if self.conditions else new

    def environment(self) -> Environment:
        """What a process that starts here inherits."""
        names = sorted(name for name in self.exported if name in self.variables)
        return Environment(
            tuple((name, self.variables[name]) for name in names),
            tuple(sorted(self.exported_functions)),
            self.directories,
        )
