"""A walk over a shell script that notes what it can run and read, without running anything.

Every branch is taken: both sides of a condition, every case, each loop once, functions where they
are called and, if nothing calls them, at the end. What a script says comes out as ``Facts``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from imgslim.commands import Place, join, name_of
from imgslim.runtimes.shell import builtins, statements, streams
from imgslim.runtimes.shell.alternatives import glued, split
from imgslim.runtimes.shell.facts import Facts, Mention, Run, Unresolved
from imgslim.runtimes.shell.printing import Output, note_printed
from imgslim.runtimes.shell.scope import (
    GLOB_CHARACTERS,
    MAX_ITEMS,
    Alternatives,
    Environment,
    Fields,
    Scope,
    Word,
    distinct,
)
from imgslim.runtimes.shell.syntax import WORD_TYPES, first_error, functions_in, parse_shell
from imgslim.runtimes.shell.words import Expander
from imgslim.runtimes.syntax_trees import line_of, text_of
from imgslim.world import World

if TYPE_CHECKING:
    from tree_sitter import Node

T = TypeVar("T")

_MAX_CALLS = 12
"""Calls of one function that are followed with arguments of their own."""

_MAX_VISITS = 60_000
"""Steps of one walk after which loops, functions and ``eval`` are followed once only."""

_PARSE_VISITS = 20
"""Steps that reading a text for ``eval`` counts for."""

_RUN_VISITS = 10
"""Steps that one more reading of a command counts for."""

_MAX_DEPTH = 16
"""Functions and sourced files inside each other that are followed."""


class Interpreter:
    """One shell process: a script or a ``-c`` string, and what it sources."""

    def __init__(self, world: World, scope: Scope, script: str, line: int = 1) -> None:
        """``line`` is where in ``script`` the text stands that will be walked over."""
        self.world = world
        self.scope = scope
        self.facts = Facts()
        self.script = script
        self.output: Output | None = None
        self._line = line
        self._words = Expander(scope, self._substitute)
        self._prefix: dict[str, tuple[Word, ...]] = {}
        self._incomplete = False
        self._visits = 0
        self._guessing = False
        self._is_idle = False
        self._calls: dict[str, set[Fields | None]] = {}
        self._depth = 0
        self._sourced: set[str] = set()

    def run(self, source: bytes) -> Facts:
        """Walk over a whole script, then over the functions that nothing called."""
        self.interpret(source, line=self._line)
        self.scope.params = None
        self._is_idle = True
        with self.scope.conditionally():
            for name in [name for name in self.scope.functions if name not in self._calls]:
                self.call(name, None)
        self.facts.functions = self.scope.functions
        return self.facts

    def interpret(self, source: bytes, line: int = 1, *, whole: bool = True) -> None:
        """Walk over ``source``, which starts at ``line``, in the present scope, as ``eval`` and
        ``.`` do. ``whole``: it is a text as it stands in the image, with no guesses in it."""
        if self._depth >= _MAX_DEPTH:
            return
        before, self._line = self._line, line
        self._visits += _PARSE_VISITS
        self._depth += 1
        root = parse_shell(source)
        if root.has_error and whole:
            self.facts.broken.setdefault(self.script, line + first_error(root) - 1)
        for name, body in functions_in(root):
            self.scope.functions.setdefault(name, body)
        self.visit(root)
        self._depth -= 1
        self._line = before

    def visit(self, node: Node) -> None:
        """One node: statements by their handler, words as mentions, anything else by its parts."""
        self._visits += 1
        handler = statements.HANDLERS.get(node.type)
        if handler is not None:
            handler(self, node)
        elif node.type in WORD_TYPES:
            self.mention(self._words.values(node))
        else:
            for child in node.named_children:
                self.visit(child)

    def guess(self, node: Node) -> None:
        """A part that is no shell as a whole: its lines, each by itself, may be."""
        if self._guessing or self.is_long:
            return
        self._guessing = True
        with self.scope.conditionally():
            for number, line in enumerate((node.text or b"").split(b"\n")):
                root = parse_shell(line)
                if line.strip() and not root.has_error:
                    self.interpret(line, line=self.line(node) + number, whole=False)
        self._guessing = False

    def affordable(self, rounds: Sequence[T], node: Node) -> Iterator[T]:
        """The ``rounds`` of a repeated part, until this walk has become long, which is said."""
        for index, item in enumerate(rounds):
            if index and self.is_long:
                self.unresolved(node)
                return
            yield item

    @property
    def is_long(self) -> bool:
        """Whether this walk has gone through so much that nothing is followed a second time."""
        return self._visits >= _MAX_VISITS

    def place(self) -> Place:
        """The directories and PATH that a command would be looked up in here."""
        return _place(self.scope.directories, self.scope.lookup("PATH") or ())

    def mention(self, words: Sequence[Word], variable: str = "", *, relative: bool = False) -> None:
        """Note words that may name paths; unknown ones for the known paths in them. Those without
        a slash are none, unless they are ``relative``."""
        for word in words:
            if "/" in word.text or variable or relative:
                note = Mention(word.text, self.place(), self.script, variable)
                self.facts.mentions[note] = None

    def fields(self, nodes: Sequence[Node]) -> Alternatives:
        """The lists of words that a sequence of words may become."""
        return self._words.fields(nodes)

    def values(self, node: Node) -> tuple[Word, ...]:
        """What a word may be where it is not split."""
        return self._words.values(node)

    def prefixed(self, name: str, default: str | None) -> str | None:
        """The value that ``NAME=VALUE`` before the present command gives it."""
        return next((word.text for word in self._prefix.get(name, ()) if word.known), default)

    def _substitute(self, node: Node) -> tuple[Word, ...]:
        return streams.substitute(self, node)

    def globbed(self, word: Word) -> list[Word]:
        """The existing paths that a pattern matches, as the shell writes them; else the word."""
        text = word.text
        if not word.known or not GLOB_CHARACTERS & set(text) or "\n" in text:
            return [word]
        if text.startswith("/"):
            found = islice(self.world.rootfs.glob(text), MAX_ITEMS)
            return [Word(entry.path) for entry in found] or [word]
        if not word.pattern:
            return [word]
        start = "./" if text.startswith("./") else ""
        names: list[str] = []
        for directory in self.scope.directories:
            below = directory.rstrip("/") + "/"
            paths = (e.path for e in self.world.rootfs.glob(join(directory, text)))
            names += [start + p.removeprefix(below) for p in islice(paths, MAX_ITEMS)]
        return [Word(name) for name in dict.fromkeys(names)] or [word]

    @contextmanager
    def subshell(self) -> Iterator[None]:
        """Changes to names and directories inside stay inside."""
        before = self.scope
        self.scope = self._words.scope = before.copy()
        try:
            yield
        finally:
            self.scope = self._words.scope = before

    def assign(self, name: str, values: Sequence[Word], *, append: bool = False) -> None:
        """``NAME=VALUE``, and a note of it."""
        if append:
            old = self.scope.lookup(name) or (Word(""),)
            values = distinct(
                word for a in old for b in values for word in glued(((a,),), ((b,),))[0]
            )
        self.scope.assign(name, values)
        self.mention(values, variable=name)

    def visit_all(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self.visit(node)

    def command(self, node: Node) -> None:
        name = node.child_by_field_name("name")
        for child in node.named_children:
            if child.type == "variable_assignment":
                self._prefix_assignment(child, name)
            elif child.type not in (*WORD_TYPES, "command_name", "herestring_redirect"):
                self.visit(child)
        if name is None:
            return
        words = [c for c in node.named_children if c.type in WORD_TYPES]
        self._words.unset.clear()
        head = self.fields([name.named_children[0] if name.named_child_count else name])
        sure = not self._words.unset
        rest = self.fields(words)
        incomplete = bool(self._words.unset)
        texts = [t for c in node.named_children for t in streams.herestring(self, c)]
        with streams.reading(self, texts or None):
            for fields in distinct((*a, *b) for a in head for b in rest):
                self._incomplete = incomplete
                self.execute(fields, node, sure=sure)
        self._prefix = {}

    def _prefix_assignment(self, node: Node, name: Node | None) -> None:
        """``NAME=VALUE command``. The grammar also reads a line above as such: that one stays."""
        if name is None or node.end_point[0] < name.start_point[0]:
            statements.assignment(self, node)
            return
        value = node.child_by_field_name("value")
        target = node.child_by_field_name("name")
        if value is not None and target is not None and value.type != "array":
            values = self._prefix[text_of(target)] = self.values(value)
            self.mention(values, variable=text_of(target))

    def execute(
        self, fields: Fields, node: Node, *, sure: bool = True, external: bool = False
    ) -> None:
        """One command with its words known: a function, a built-in, or a program that runs.

        ``external``: functions are passed over (``exec``, ``command``).
        """
        while fields and fields[0].known and not fields[0].text:
            fields = fields[1:]
        if not fields:
            if not sure:
                self.unresolved(node)
            return
        name = fields[0]
        if not name.known:
            self._execute_unknown(fields, node, sure=sure)
            return
        if name.text in self.scope.aliases and not external:
            words = split(Word(self.scope.aliases[name.text]), None)
            if words and words[0].text != name.text and self._depth < _MAX_DEPTH:
                self._depth += 1
                self.execute((*words, *fields[1:]), node, sure=sure)
                self._depth -= 1
                return
        if name.text in self.scope.functions and not external:
            arguments = tuple(item for word in fields[1:] for item in self.globbed(word))
            self.mention(arguments)
            self.call(name.text, arguments)
            return
        note_printed(self, fields)
        effect = builtins.EFFECTS.get(name.text)
        if effect is not None:
            effect(self, fields, node)
        elif builtins.is_builtin(name.text):
            self.mention(fields[1:])
        else:
            self.run_program(fields, node, sure=sure)

    def run_program(self, fields: Fields, node: Node, *, sure: bool) -> None:
        names = self.globbed(fields[0])
        words = [names[0], *(item for word in fields[1:] for item in self.globbed(word))]
        argv = tuple(word.text for word in words)
        if name_of(argv[0]) in ("which", "whereis"):
            self.facts.checked |= {(self.script, word) for word in argv[1:]}
        if name_of(argv[0]) == "tee":
            streams.write_texts(self, self._paths(words[1:]), self.scope.stdin)
        argv = argv[: len(argv) - streams.run_written(self, words, node)]
        if not argv:
            return
        self._visits += _RUN_VISITS
        run = Run(
            argv,
            self._prefixed_place(),
            self.script,
            self.line(node),
            node.start_byte,
            sure,
            not self._incomplete,
            self._environment(),
            self.scope.stdin,
            self._guessing,
        )
        self.facts.runs[run] = None

    def _paths(self, words: Sequence[Word]) -> list[str]:
        directory = self.scope.directories[0]
        return [join(directory, w.text) for w in words if w.known and w.text[:1] != "-"]

    def _environment(self) -> Environment:
        """What a program that is started here inherits, ``NAME=VALUE`` before it included."""
        environment = self.scope.environment()
        if not self._prefix:
            return environment
        variables = {**dict(environment.variables), **self._prefix}
        return replace(environment, variables=tuple(sorted(variables.items())))

    def _prefixed_place(self) -> Place:
        values = self._prefix.get("PATH")
        return _place(self.scope.directories, values) if values else self.place()

    def line(self, node: Node) -> int:
        """The line of the script that a node stands on."""
        return self._line + line_of(node) - 1

    def _execute_unknown(self, fields: Fields, node: Node, *, sure: bool) -> None:
        """A name that is known in part may still match files: each of them may run."""
        matches = builtins.matching_files(self, fields[0].text)
        for path in matches:
            self.run_program((Word(path), *fields[1:]), node, sure=True)
        if not matches:
            self.mention(fields[1:])
            # An unset name is taken as empty as well: that reading is reported, if it fails.
            if sure:
                self.unresolved(node)

    def unresolved(self, node: Node) -> None:
        """Note a command whose name cannot be told; in a function that nothing calls it is none."""
        if self._is_idle:
            return
        text = text_of(node).partition("\n")[0]
        self.facts.unresolved[Unresolved(text, self.script, self.line(node))] = None

    def unset_only(self, node: Node) -> None:
        """The words of the present command are empty: unresolved if something unset makes it so."""
        if self._incomplete:
            self.unresolved(node)

    def call(self, name: str, arguments: Fields | None) -> None:
        """Walk over a function's body with its own parameters, once for the same ones."""
        seen = self._calls.setdefault(name, set())
        if arguments in seen or len(seen) >= (1 if self.is_long else _MAX_CALLS):
            return
        if self._depth >= _MAX_DEPTH:
            return
        seen.add(arguments)
        before = self.scope.params
        self.scope.params = None if arguments is None else (arguments,)
        self._depth += 1
        self.visit(self.scope.functions[name])
        self._depth -= 1
        self.scope.params = before

    def source(self, path: str, arguments: Fields = ()) -> None:
        """Walk over a file that ``.`` reads, in this scope, once."""
        if path in self.scope.written:
            for text in self.scope.written[path]:
                self.interpret(text.encode("utf-8", "surrogateescape"))
        entry = self.world.rootfs.lookup(path)
        if entry is None or not entry.is_file:
            return
        self.facts.sources[path, self.script] = None
        if entry.path in self._sourced:
            return
        self._sourced.add(entry.path)
        before = self.script, self.scope.source, self.scope.params
        self.script = self.scope.source = path
        if arguments:
            self.scope.params = (arguments,)
        self.interpret(self.world.rootfs.read_bytes(entry))
        self.script, self.scope.source, params = before
        if arguments:
            self.scope.params = params


@lru_cache(maxsize=64)
def _place(directories: tuple[str, ...], values: tuple[Word, ...]) -> Place:
    parts = [part for value in values for part in value.text.split(":") if "$" not in part]
    return Place(directories, tuple(dict.fromkeys(join(directories[0], part) for part in parts)))
