"""Shell source to a syntax tree, by the tree-sitter grammar for bash (POSIX shells are close)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from imgslim.runtimes.syntax_trees import line_of, parser, text_of

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

WORD_TYPES = frozenset(
    {
        "word",
        "number",
        "string",
        "raw_string",
        "ansi_c_string",
        "translated_string",
        "concatenation",
        "expansion",
        "simple_expansion",
        "brace_expression",
        "extglob_pattern",
        "arithmetic_expansion",
        "command_substitution",
        "process_substitution",
    }
)
"""The node types that stand for one word of a command."""


@cache
def _parser() -> Parser:
    import tree_sitter_bash

    return parser(tree_sitter_bash.language())


def parse_shell(source: bytes) -> Node:
    """The root of the tree; ``has_error`` tells whether all of ``source`` was understood."""
    for pattern, replacement in _SPELLINGS:
        source = pattern.sub(replacement, source)
    return _parser().parse(source).root_node


_SPELLINGS = (
    # The grammar knows `for NAME; do` only; POSIX also has it without the semicolon (XCU 2.9.4).
    (re.compile(rb"(?m)(^[ \t]*for[ \t]+[A-Za-z_]\w*)([ \t\n]+do\b)"), rb"\1;\2"),
    # `[[ a = 'b' && … ]]`: it takes what follows a quoted word after = for commands, but not after
    # ==, which means the same (bash(1), CONDITIONAL EXPRESSIONS).
    (re.compile(rb"(?<=\[\[ )([^\n\]=]*?) = (?=['\"])"), rb"\1 == "),
    (re.compile(rb"((?:&&|\|\|)[^\n\]=&|]*?) = (?=['\"][^\n]*\]\])"), rb"\1 == "),
)
"""What the grammar does not know, and another spelling of the same on the same line."""


def first_error(root: Node) -> int:
    """The line, from 1, of the first part of a tree that was not understood."""
    node = root
    while not node.is_missing and node.type != "ERROR":
        wrong = [child for child in node.children if child.has_error or child.is_missing]
        if not wrong:
            break
        node = wrong[0]
    return line_of(node)


def pieces(node: Node) -> Iterator[str | Node]:
    """The children of a string or heredoc body, and the text that the grammar leaves between."""
    source, start = node.text or b"", node.start_byte
    position = start
    for child in node.children:
        if child.start_byte > position:
            gap = source[position - start : child.start_byte - start]
            yield gap.decode("utf-8", "surrogateescape")
        yield child
        position = child.end_byte
    if node.end_byte > position:
        yield source[position - start :].decode("utf-8", "surrogateescape")


def functions_in(root: Node) -> Iterator[tuple[str, Node]]:
    """Every function definition with its body, also nested ones."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type == "function_definition":
            named = node.named_children
            if len(named) > 1:
                yield text_of(named[0]), named[-1]
        pending.extend(reversed(node.named_children))
