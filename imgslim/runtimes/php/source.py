"""What a PHP source names: classes, files that it includes, programs that it starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from imgslim.runtimes.php.tables import php_table
from imgslim.runtimes.syntax_trees import parser

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LARGEST_SOURCE_BYTES = 4 << 20
_NAMES = frozenset({"qualified_name", "namespace_name", "name"})
_INCLUDES = frozenset(
    {
        "include_expression",
        "include_once_expression",
        "require_expression",
        "require_once_expression",
    }
)
_CONSTANT = frozenset({"string_content", "nowdoc_string", "escape_sequence", "heredoc_start"})
_STRINGS = frozenset({"string", "encapsed_string", "heredoc", "nowdoc"})
_CALLS = frozenset({"function_call_expression", "object_creation_expression"})
_DEFINITIONS = frozenset(
    {"php_tag", "comment", "namespace_use_declaration", "function_definition", "const_declaration"}
    | {"declare_statement", "empty_statement", "namespace_name"}
)
_WORD = re.compile(r"[\w./+-]+")
_CLASS = re.compile(r"\\?[A-Za-z_]\w*(?:\\[A-Za-z_]\w*)+")


@dataclass(slots=True)
class Facts:
    """``names``: qualified names, also in strings; ``includes``: literal files of include and
    require; ``commands``: literal command lines, and whether that is all of each; ``strings``:
    first words of all strings, filled where the source starts programs; ``starts``: whether it
    does."""

    names: set[str] = field(default_factory=set)
    includes: set[str] = field(default_factory=set)
    commands: set[tuple[str, bool]] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)
    starts: bool = False


@cache
def _parser() -> Parser:
    import tree_sitter_php

    return parser(tree_sitter_php.language_php())


def read_source(source: bytes) -> Facts:
    """The facts of one source; what cannot be read as PHP gives none."""
    facts = Facts()
    strings: set[str] = set()
    for node in _walk(_parser().parse(source).root_node):
        kind = node.type
        if kind in _STRINGS:
            text = _literal(node)
            strings.update(_WORD.findall(text)[:1])
            if _CLASS.fullmatch(text):
                facts.names.add(text.lstrip("\\"))
        elif kind in ("qualified_name", "namespace_name") and not _is_own(node):
            facts.names.add(_text(node).lstrip("\\"))
        elif kind == "namespace_use_declaration":
            facts.names.update(_grouped(node))
        elif kind in _INCLUDES:
            facts.includes.update(_included(node))
        elif kind == "shell_command_expression":
            facts.starts = True
            facts.commands.add((_literal(node), _is_whole(node)))
        elif kind in _CALLS and _starts_programs(node):
            facts.starts = True
            facts.commands.update(_first_arguments(node))
    if facts.starts:
        facts.strings = strings
    return facts


def only_defines(source: bytes) -> bool:
    """Whether running a source does no more than to define functions and constants: it needs no
    other file then."""
    root = _parser().parse(source).root_node
    return not root.has_error and all(_defines(node) for node in root.named_children)


def _defines(node: Node) -> bool:
    kind = node.type
    if kind in _DEFINITIONS:
        return True
    if kind == "namespace_definition":
        body = node.child_by_field_name("body")
        return body is None or all(_defines(child) for child in body.named_children)
    if kind == "if_statement":
        body = node.child_by_field_name("body")
        parts = [child for child in node.named_children if child.type.startswith("else")]
        return body is not None and not parts and all(_defines(c) for c in body.named_children)
    if kind == "expression_statement" and node.named_children:
        called = node.named_children[0]
        return called.type == "function_call_expression" and _text(called).startswith("define(")
    return False


def _walk(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.named_children))


def _is_own(node: Node) -> bool:
    """Whether a name is what the source says of itself: ``namespace A\\B;``."""
    return node.parent is not None and node.parent.type == "namespace_definition"


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _literal(node: Node) -> str:
    """What is constant at the start of a string; a variable ends it."""
    parts: list[str] = []
    for child in node.named_children:
        if child.type in ("string_content", "nowdoc_string"):
            parts.append(_text(child))
        elif child.type == "escape_sequence":
            parts.append(_text(child).replace("\\\\", "\\").replace("\\n", "\n"))
        elif child.type in ("heredoc_body", "nowdoc_body"):
            parts.append(_literal(child))
        else:
            break
    return "".join(parts)


def _grouped(node: Node) -> Iterator[str]:
    """``use A\\{B, C}``."""
    group = next((c for c in node.named_children if c.type == "namespace_use_group"), None)
    top = next((c for c in node.named_children if c.type == "namespace_name"), None)
    for clause in group.named_children if group is not None and top is not None else ():
        name = next((c for c in clause.named_children if c.type in _NAMES), None)
        if name is not None and top is not None:
            yield f"{_text(top)}\\{_text(name)}".lstrip("\\")


def _included(node: Node) -> Iterator[str]:
    """A literal that stands alone: it is looked for in the include path."""
    inner = node.named_children[0] if node.named_children else None
    while inner is not None and inner.type == "parenthesized_expression":
        inner = inner.named_children[0] if inner.named_children else None
    if inner is not None and inner.type in _STRINGS:
        yield _literal(inner)


def _starts_programs(node: Node) -> bool:
    name = next((child for child in node.named_children if child.type in _NAMES), None)
    if name is None:
        return False
    word = _text(name).rpartition("\\")[2]
    if node.type == "object_creation_expression":
        return word in php_table().classes
    return word.lower() in php_table().functions


def _first_arguments(node: Node) -> Iterator[tuple[str, bool]]:
    """The command that a call is given: the start of a string, or the first string of a list."""
    arguments = next((child for child in node.named_children if child.type == "arguments"), None)
    first = arguments.named_children[0] if arguments and arguments.named_children else None
    if first is None:
        return
    string = next((n for n in _walk(first) if n.type in _STRINGS), None)
    if string is not None:
        is_all = first.named_children[:1] == [string]
        yield _literal(string), is_all and _is_whole(string)


def _is_whole(node: Node) -> bool:
    """Whether nothing in a string is filled in."""
    return all(
        _is_whole(child) if child.type.endswith("_body") else child.type in _CONSTANT
        for child in node.named_children
    )
