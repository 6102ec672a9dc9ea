"""Statements of a shell script: conditions, loops, assignments. Every branch is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from imgslim.runtimes.shell import builtins, streams
from imgslim.runtimes.shell.scope import (
    MAX_ALTERNATIVES,
    MAX_ITEMS,
    Alternatives,
    Word,
    distinct,
)
from imgslim.runtimes.syntax_trees import text_of

if TYPE_CHECKING:
    from tree_sitter import Node

    from imgslim.runtimes.shell.interpreter import Interpreter

T = TypeVar("T")


def _list(shell: Interpreter, node: Node) -> None:
    operators = {child.type for child in node.children if not child.is_named}
    first, *others = node.named_children or [node]
    if first is node:
        return
    shell.visit(first)
    if shell.output is not None and "||" in operators:
        shell.output.or_unknown |= shell.output.unknown
    if operators & {"&&", "||"}:
        with shell.scope.conditionally():
            shell.visit_all(others)
    else:
        shell.visit_all(others)


def _branches(shell: Interpreter, node: Node) -> None:
    first, *others = node.named_children or [node]
    if first is node:
        return
    shell.visit(first)
    with shell.scope.conditionally():
        shell.visit_all(others)


def _loop(shell: Interpreter, node: Node) -> None:
    """A loop's body once; where it reads more lines than a name has values, once for some."""
    lines = [line for text in shell.scope.stdin for line in text.split("\n") if line.strip()]
    many = _some_of(lines) if len(lines) > MAX_ALTERNATIVES else []
    parts: list[list[str] | None] = [["\n".join(some)] for some in many]
    for texts in shell.affordable(parts or [None], node):
        with shell.scope.conditionally(loop=True), streams.reading(shell, texts):
            shell.visit_all(node.named_children)


def _for(shell: Interpreter, node: Node) -> None:
    if not node.named_children:
        return
    variable, *words = node.named_children
    body = words.pop() if words and words[-1].type == "do_group" else None
    over_parameters = not any(child.type == "in" for child in node.children)
    if over_parameters and shell.scope.params is not None:
        found: Alternatives = shell.scope.params
    else:
        found = shell.fields(words) if words else ((Word("$@", known=False),),)
    items = [item for fields in found for word in fields for item in shell.globbed(word)]
    shell.mention(items)
    for some in shell.affordable(_some_of(_worth_following(items)) or [()], node):
        if some:
            shell.scope.variables[text_of(variable)] = tuple(some)
        if body is not None:
            with shell.scope.conditionally(loop=True):
                shell.visit_all(body.named_children)


def _case(shell: Interpreter, node: Node) -> None:
    for child in node.named_children:
        if child.type == "case_item":
            patterns = {field.id for field in child.children_by_field_name("value")}
            with shell.scope.conditionally():
                shell.visit_all([n for n in child.named_children if n.id not in patterns])
        else:
            shell.visit(child)


def _subshell(shell: Interpreter, node: Node) -> None:
    with shell.subshell():
        shell.visit_all(node.named_children)


def assignment(shell: Interpreter, node: Node) -> None:
    target = node.child_by_field_name("name")
    value = node.child_by_field_name("value")
    if target is None:
        return
    append = any(child.type == "+=" for child in node.children)
    name = text_of(target)
    if value is not None and value.type == "array":
        _array(shell, name, value, append=append)
        return
    values = shell.values(value) if value is not None else (Word(""),)
    if target.type == "subscript" and target.named_child_count > 1:
        shell.mention(values)
        array, key = (text_of(target.named_children[i]) for i in (0, -1))
        shell.scope.assign_element(array, Word(key), values)
        return
    shell.assign(name, values, append=append)


def _array(shell: Interpreter, name: str, value: Node, *, append: bool) -> None:
    """``NAME=(…)``, also with ``[KEY]=VALUE`` elements."""
    found = shell.fields(value.named_children)
    pairs = [re.match(r"\[([^]]*)\]=", word.text) for fields in found for word in fields]
    keys = [pair[1] for pair in pairs if pair is not None]
    if keys:
        shell.scope.keys[name] = distinct(Word(key) for key in keys)
        found = distinct(
            tuple(Word(re.sub(r"^\[[^]]*\]=", "", w.text), w.known) for w in fields)
            for fields in found
        )
    shell.scope.assign_array(name, found, append=append)
    shell.mention([word for fields in found for word in fields])


def _declaration(shell: Interpreter, node: Node) -> None:
    command = text_of(node.children[0])
    words = [c for c in node.named_children if c.type != "variable_assignment"]
    names = [
        Word(text_of(target))
        for child in node.named_children
        if child.type == "variable_assignment"
        for target in child.named_children[:1]
    ]
    for child in node.named_children:
        if child.type == "variable_assignment":
            assignment(shell, child)
    for fields in shell.fields(words):
        builtins.EFFECTS[command](shell, (Word(command), *fields, *names), node)


def _unset(shell: Interpreter, node: Node) -> None:
    if not shell.scope.conditions:
        for child in node.named_children:
            shell.scope.variables.pop(text_of(child), None)


def _nothing(shell: Interpreter, node: Node) -> None:
    """Function bodies are walked when they are called; comments never."""


def _error(shell: Interpreter, node: Node) -> None:
    shell.visit_all(node.named_children)
    shell.guess(node)


def _command(shell: Interpreter, node: Node) -> None:
    shell.command(node)


def _worth_following(items: Sequence[Word]) -> Sequence[Word]:
    """The different items, of plain numbers only a few: they name no files or commands."""
    different = list(dict.fromkeys(items))
    numbers = [item for item in different if re.fullmatch(r"-?\d+", item.text)]
    return distinct(numbers) if len(numbers) == len(different) else different


def _some_of(items: Sequence[T]) -> list[Sequence[T]]:
    """``items`` in parts of as many as a name has values; the first ``MAX_ITEMS`` of them."""
    starts = range(0, min(len(items), MAX_ITEMS), MAX_ALTERNATIVES)
    return [items[start : start + MAX_ALTERNATIVES] for start in starts]


HANDLERS: dict[str, Callable[[Interpreter, Node], None]] = {
    "list": _list,
    "if_statement": _branches,
    "elif_clause": _branches,
    "while_statement": _loop,
    "c_style_for_statement": _loop,
    "for_statement": _for,
    "case_statement": _case,
    "subshell": _subshell,
    "pipeline": streams.pipeline,
    "redirected_statement": streams.redirected,
    "heredoc_redirect": streams.redirect,
    "file_redirect": streams.redirect,
    "variable_assignment": assignment,
    "declaration_command": _declaration,
    "unset_command": _unset,
    "function_definition": _nothing,
    "comment": _nothing,
    "ERROR": _error,
    "heredoc_start": _nothing,
    "command": _command,
}
