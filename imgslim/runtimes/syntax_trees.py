"""What every reader of sources asks of tree-sitter: a grammar, the nodes that a query finds.

tree-sitter and the grammars are imported late: most images are analysed for something else, and it
costs time (30 ms for the shell's).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Query


@dataclass(frozen=True, slots=True)
class Grammar:
    """The grammar of a language, and what is asked of every source in it."""

    language: Language
    query: Query


def grammar(pointer: object, query: str) -> Grammar:
    """The grammar that the binding of a language hands over, with a query (tree-sitter's documents,
    "Query Syntax")."""
    from tree_sitter import Query

    language = _language(pointer)
    return Grammar(language, Query(language, query))


def parser(pointer: object) -> Parser:
    """A parser for the grammar that the binding of a language hands over."""
    from tree_sitter import Parser

    return Parser(_language(pointer))


def captures(data: bytes, asked: Grammar) -> dict[str, list[Node]]:
    """The nodes of a source by the names that the query gives them, in the order of the text."""
    from tree_sitter import Parser, QueryCursor

    root = Parser(asked.language).parse(data).root_node
    found = QueryCursor(asked.query).captures(root)
    return {name: sorted(nodes, key=lambda node: node.start_byte) for name, nodes in found.items()}


def text_of(node: Node | None) -> str:
    """The source of a node, undecodable bytes as surrogate escapes; "" for none."""
    return (node.text or b"").decode("utf-8", "surrogateescape") if node is not None else ""


def line_of(node: Node) -> int:
    """The line that a node starts on, from 1."""
    return int(node.start_point[0]) + 1


def _language(pointer: object) -> Language:
    from tree_sitter import Language

    with warnings.catch_warnings():
        # Perl's binding hands over a plain pointer, which py-tree-sitter takes and frowns upon.
        warnings.simplefilter("ignore", DeprecationWarning)
        return Language(pointer)
