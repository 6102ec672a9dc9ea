"""A walk over a shell script that notes what it can run and read, without running anything.

Every branch is taken: both sides of a condition, every case, each loop once, functions where they
are called and, if nothing calls them, at the end. What a script says comes out as ``Facts``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from imgslim.commands import Place, join
from imgslim.runtimes.shell import builtins
from imgslim.runtimes.shell.facts import Facts, Mention, Run, Unresolved
from imgslim.runtimes.shell.scope import Alternatives, Fields, Scope, Word, distinct
from imgslim.runtimes.shell.syntax import WORD_TYPES, functions_in, line_of, parse_shell, text_of
from imgslim.runtimes.shell.words import Expander
from imgslim.world import World

if TYPE_CHECKING:
    from tree_sitter import Node

_MAX_CALLS = 12
"""Calls of one function that are followed with arguments of their own."""

_MAX_DEPTH = 16
"""Functions and sourced files inside each other that are followed."""


class Interpreter:
    """One shell process: a script or a ``-c`` string, and what it sources."""

    def __init__(self, world: World, scope: Scope, script: str) -> None:
        self.world = world
        self.scope = scope
        self.facts = Facts()
        self.script = script
        self._words = Expander(scope, self.substitute)
        self._calls: dict[str, set[Fields | None]] = {}
        self._depth = 0
        self._sourced: set[str] = set()

    def run(self, source: bytes) -> Facts:
        """Walk over a whole script, then over the functions that nothing called."""
        self.interpret(source)
        self.scope.params = None
        with self.scope.conditionally():
            for name in [name for name in self.scope.functions if name not in self._calls]:
                self.call(name, None)
        return self.facts

    def interpret(self, source: bytes) -> None:
        """Walk over ``source`` in the present scope, as ``eval`` and ``.`` do."""
        root = parse_shell(source)
        if root.has_error:
            self.facts.broken[self.script] = None
        for name, body in functions_in(root):
            self.scope.functions.setdefault(name, body)
        self.visit(root)

    def visit(self, node: Node) -> None:
        """One node: statements by their handler, words as mentions, anything else by its parts."""
        handler = _HANDLERS.get(node.type)
        if handler is not None:
            handler(self, node)
        elif node.type in WORD_TYPES:
            self.mention(self._words.values(node))
        else:
            for child in node.named_children:
                self.visit(child)

    def place(self) -> Place:
        """The directories and PATH that a command would be looked up in here."""
        return _place(self.scope.directories, self.scope.lookup("PATH") or ())

    def mention(self, words: Sequence[Word], variable: str = "") -> None:
        """Note words that may name paths; unknown ones for the known paths in them."""
        for word in words:
            if "/" in word.text or variable:
                note = Mention(word.text, self.place(), self.script, variable)
                self.facts.mentions[note] = None

    def fields(self, nodes: Sequence[Node]) -> Alternatives:
        """The lists of words that a sequence of words may become."""
        return self._words.fields(nodes)

    def values(self, node: Node) -> tuple[Word, ...]:
        """What a word may be where it is not split."""
        return self._words.values(node)

    # Statements

    def _list(self, node: Node) -> None:
        operators = {child.type for child in node.children if not child.is_named}
        first, *others = node.named_children
        self.visit(first)
        if operators & {"&&", "||"}:
            with self.scope.conditionally():
                self._visit_all(others)
        else:
            self._visit_all(others)

    def _visit_all(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self.visit(node)

    def _branches(self, node: Node) -> None:
        first, *others = node.named_children
        self.visit(first)
        with self.scope.conditionally():
            self._visit_all(others)

    def _loop(self, node: Node) -> None:
        with self.scope.conditionally(loop=True):
            self._visit_all(node.named_children)

    def _for(self, node: Node) -> None:
        variable, *words = node.named_children
        body = words.pop() if words and words[-1].type == "do_group" else None
        over_parameters = not any(child.type == "in" for child in node.children)
        if over_parameters and self.scope.params is not None:
            found: Alternatives = self.scope.params
        else:
            found = self.fields(words) if words else ((Word("$@", known=False),),)
        items = [item for fields in found for word in fields for item in self.globbed(word)]
        self.mention(items)
        if items:
            self.scope.variables[text_of(variable)] = distinct(items)
        if body is not None:
            self._loop(body)

    def globbed(self, word: Word) -> list[Word]:
        """The existing paths that an absolute pattern matches; else the word itself."""
        if not word.known or not word.text.startswith("/") or not set("*?[") & set(word.text):
            return [word]
        return [Word(entry.path) for entry in self.world.rootfs.glob(word.text)] or [word]

    def _case(self, node: Node) -> None:
        for child in node.named_children:
            if child.type == "case_item":
                patterns = {field.id for field in child.children_by_field_name("value")}
                with self.scope.conditionally():
                    self._visit_all([n for n in child.named_children if n.id not in patterns])
            else:
                self.visit(child)

    def _subshell(self, node: Node) -> None:
        with self.subshell():
            self._visit_all(node.named_children)

    @contextmanager
    def subshell(self) -> Iterator[None]:
        """Changes to names and directories inside stay inside."""
        before = self.scope
        self.scope = self._words.scope = before.copy()
        try:
            yield
        finally:
            self.scope = self._words.scope = before

    def _pipeline(self, node: Node) -> None:
        stages = node.named_children
        piped = builtins.listed(self, stages[0]) if stages else ()
        for stage in stages:
            with self.subshell():
                self.scope.piped = piped
                self.visit(stage)
        if len(stages) > 1 and builtins.reads_script(stages[-1]):
            self._feed(builtins.printed(self, stages[0]))

    def _feed(self, texts: Sequence[Word]) -> None:
        """Text on the standard input of a shell is a script."""
        for text in texts:
            with self.subshell():
                self.interpret(text.text.encode("utf-8", "surrogateescape"))

    def _redirected(self, node: Node) -> None:
        body = node.child_by_field_name("body")
        for child in node.named_children:
            self.visit(child)
        heredocs = [
            text_of(part)
            for child in node.named_children
            if child.type == "heredoc_redirect"
            for part in child.named_children
            if part.type == "heredoc_body"
        ]
        commands = [body, *(n for h in node.named_children for n in h.named_children)]
        if heredocs and any(n is not None and builtins.reads_script(n) for n in commands):
            self._feed([Word(text) for text in heredocs])

    def _heredoc(self, node: Node) -> None:
        self.mention([Word(text_of(node))])
        for child in node.named_children:
            if child.type in WORD_TYPES:
                self.values(child)

    def _assignment(self, node: Node) -> None:
        target = node.child_by_field_name("name")
        value = node.child_by_field_name("value")
        if target is None:
            return
        append = any(child.type == "+=" for child in node.children)
        name = text_of(target)
        if value is not None and value.type == "array":
            found = self.fields(value.named_children)
            self.scope.assign_array(name, found, append=append)
            self.mention([word for fields in found for word in fields])
            return
        values = self.values(value) if value is not None else (Word(""),)
        if target.type == "subscript":
            self.mention(values)
            return
        self.assign(name, values, append=append)

    def assign(self, name: str, values: Sequence[Word], *, append: bool = False) -> None:
        """``NAME=VALUE``, and a note of it."""
        if append:
            old = self.scope.lookup(name) or (Word(""),)
            values = distinct(
                Word(a.text + b.text, a.known and b.known) for a in old for b in values
            )
        self.scope.assign(name, values)
        self.mention(values, variable=name)

    def _declaration(self, node: Node) -> None:
        for child in node.named_children:
            if child.type == "variable_assignment":
                self._assignment(child)

    def _unset(self, node: Node) -> None:
        if not self.scope.conditions:
            for child in node.named_children:
                self.scope.variables.pop(text_of(child), None)

    def _nothing(self, node: Node) -> None:
        """Function bodies are walked when they are called; comments never."""

    # Commands

    def _command(self, node: Node) -> None:
        name = node.child_by_field_name("name")
        for child in node.named_children:
            if child.type == "variable_assignment":
                self._prefix_assignment(child, name)
            elif child.type not in WORD_TYPES and child.type != "command_name":
                self.visit(child)
        if name is None:
            return
        words = [name, *(c for c in node.named_children if c.type in WORD_TYPES)]
        self._words.unset.clear()
        head = self.fields([name.named_children[0] if name.named_child_count else name])
        sure = not self._words.unset
        rest = self.fields(words[1:])
        for fields in distinct((*a, *b) for a in head for b in rest):
            self.execute(fields, node, sure=sure)
        if not sure and all(not any(word.text for word in fields) for fields in head) and not rest:
            self.unresolved(node)

    def _prefix_assignment(self, node: Node, name: Node | None) -> None:
        """``NAME=VALUE command``. The grammar also reads a line above as such: that one stays."""
        if name is None or node.end_point[0] < name.start_point[0]:
            self._assignment(node)
            return
        value = node.child_by_field_name("value")
        target = node.child_by_field_name("name")
        if value is not None and target is not None and value.type != "array":
            self.mention(self.values(value), variable=text_of(target))

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
        if name.text in self.scope.functions and not external:
            arguments = tuple(item for word in fields[1:] for item in self.globbed(word))
            self.mention(arguments)
            self.call(name.text, arguments)
            return
        effect = builtins.EFFECTS.get(name.text)
        if effect is not None:
            effect(self, fields, node)
        elif builtins.is_builtin(name.text):
            self.mention(fields[1:])
        else:
            self._note_run(fields, node, sure=sure)

    def _note_run(self, fields: Fields, node: Node, *, sure: bool) -> None:
        words = [fields[0], *(item for word in fields[1:] for item in self.globbed(word))]
        argv = tuple(word.text for word in words)
        run = Run(argv, self.place(), self.script, line_of(node), node.start_byte, sure)
        self.facts.runs[run] = None

    def _execute_unknown(self, fields: Fields, node: Node, *, sure: bool) -> None:
        """A name that is known in part may still match files: each of them may run."""
        matches = builtins.matching_files(self, fields[0].text)
        for path in matches:
            self._note_run((Word(path), *fields[1:]), node, sure=True)
        if not matches:
            self.mention(fields[1:])
            # An unset name is taken as empty as well: that reading is reported, if it fails.
            if sure:
                self.unresolved(node)

    def unresolved(self, node: Node) -> None:
        """Note a command whose name cannot be told."""
        text = text_of(node).partition("\n")[0]
        self.facts.unresolved[Unresolved(text, self.script, line_of(node))] = None

    def call(self, name: str, arguments: Fields | None) -> None:
        """Walk over a function's body with its own parameters, once for the same ones."""
        seen = self._calls.setdefault(name, set())
        if arguments in seen or len(seen) >= _MAX_CALLS or self._depth >= _MAX_DEPTH:
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
        entry = self.world.rootfs.lookup(path)
        if entry is None or not entry.is_file:
            return
        self.facts.sources[path, self.script] = None
        if entry.path in self._sourced or self._depth >= _MAX_DEPTH:
            return
        self._sourced.add(entry.path)
        script, params = self.script, self.scope.params
        self.script = path
        if arguments:
            self.scope.params = (arguments,)
        self._depth += 1
        self.interpret(self.world.rootfs.read_bytes(entry))
        self._depth -= 1
        self.script, self.scope.params = script, params if arguments else self.scope.params

    def substitute(self, node: Node) -> tuple[Word, ...]:
        """What ``$(…)`` may print, where that is plain; its commands are noted in any case."""
        with self.subshell():
            *before, last = node.named_children or [node]
            if last is node:
                return (Word(text_of(node), known=False),)
            self._visit_all(before)
            return builtins.printed(self, last) or (Word(text_of(node), known=False),)


@lru_cache(maxsize=64)
def _place(directories: tuple[str, ...], values: tuple[Word, ...]) -> Place:
    parts = [part for value in values for part in value.text.split(":") if "$" not in part]
    return Place(directories, tuple(dict.fromkeys(join(directories[0], part) for part in parts)))


_HANDLERS: dict[str, Callable[[Interpreter, Node], None]] = {
    "list": Interpreter._list,
    "if_statement": Interpreter._branches,
    "elif_clause": Interpreter._branches,
    "while_statement": Interpreter._loop,
    "c_style_for_statement": Interpreter._loop,
    "for_statement": Interpreter._for,
    "case_statement": Interpreter._case,
    "subshell": Interpreter._subshell,
    "pipeline": Interpreter._pipeline,
    "redirected_statement": Interpreter._redirected,
    "heredoc_body": Interpreter._heredoc,
    "variable_assignment": Interpreter._assignment,
    "declaration_command": Interpreter._declaration,
    "unset_command": Interpreter._unset,
    "function_definition": Interpreter._nothing,
    "comment": Interpreter._nothing,
    "heredoc_start": Interpreter._nothing,
    "command": Interpreter._command,
}
