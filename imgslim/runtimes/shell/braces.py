"""Brace expansion (bash(1), EXPANSION): ``{a,b}`` inside a word, and ``{1..3}`` by itself.

It comes before all other expansions and looks at unquoted text only. dash and busybox's ash have
none; a script for them that writes a list in braces is one for bash in fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from imgslim.runtimes.shell.syntax import pieces
from imgslim.runtimes.syntax_trees import text_of

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_WORDS = 256
"""Words that one pair of braces may become; a longer list counts for its first ones."""

_MAX_TOKENS = 500
"""A word of more parts is generated text, not a list of names."""

_SEQUENCE = re.compile(r"\{(?:(-?\d+)\.\.(-?\d+)|([A-Za-z])\.\.([A-Za-z]))(?:\.\.(-?\d+))?\}")
_TOKENS = re.compile(r"\\.|[{},]|[^\\{},]+|\\", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Mark:
    """An unquoted ``{``, ``,`` or ``}``."""

    text: str


def brace_words(node: Node) -> list[list[str | Node]]:
    """The words that the braces in a concatenation make, each a list of texts and nodes.

    One word, with all of its parts, where there are no braces that expand.
    """
    tokens: list[str | Node | _Mark] = []
    for part in pieces(node):
        if isinstance(part, str) or part.type == "word" or not part.is_named:
            text = part if isinstance(part, str) else text_of(part)
            tokens += [_Mark(t) if t in ("{", "}", ",") else t for t in _TOKENS.findall(text)]
        else:
            tokens.append(part)
    if len(tokens) > _MAX_TOKENS:
        return [_plain(tokens)]
    return [list(word) for word in islice(_expand(tokens), MAX_WORDS)]


def _expand(tokens: Sequence[str | Node | _Mark]) -> Iterator[list[str | Node]]:
    """Every word that ``tokens`` stand for; braces without a comma stay as they are."""
    for start, token in enumerate(tokens):
        if not (isinstance(token, _Mark) and token.text == "{"):
            continue
        parts = _list_at(tokens, start)
        if parts is None:
            continue
        choices, end = parts
        for choice in choices:
            for tail in _expand([*choice, *tokens[end + 1 :]]):
                yield [*_plain(tokens[:start]), *tail]
        return
    yield _plain(tokens)


def _list_at(
    tokens: Sequence[str | Node | _Mark], start: int
) -> tuple[list[list[str | Node | _Mark]], int] | None:
    """The choices between the brace at ``start`` and its partner, and where that stands."""
    depth = 0
    choices: list[list[str | Node | _Mark]] = [[]]
    for index in range(start + 1, len(tokens)):
        token = tokens[index]
        if isinstance(token, _Mark):
            if token.text == "}" and depth == 0:
                return (choices, index) if len(choices) > 1 else None
            if token.text == "," and depth == 0:
                choices.append([])
                continue
            depth += {"{": 1, "}": -1}.get(token.text, 0)
        choices[-1].append(token)
    return None


def _plain(tokens: Sequence[str | Node | _Mark]) -> list[str | Node]:
    return [token.text if isinstance(token, _Mark) else token for token in tokens]


def sequence(text: str) -> list[str]:
    """The members of ``{1..10..2}`` or ``{a..e}``; [] when it is none."""
    match = _SEQUENCE.fullmatch(text)
    if match is None:
        return []
    first, last, low, high, step = match.groups()
    start, end = (int(first), int(last)) if first is not None else (ord(low), ord(high))
    stride = abs(int(step or 1)) or 1
    numbers = range(start, end + 1, stride) if start <= end else range(start, end - 1, -stride)
    if first is None:
        return [chr(number) for number in numbers]
    padded = any(re.match(r"-?0\d", number) for number in (first, last))
    width = max(len(first), len(last)) if padded else 0
    return [f"{number:0{width}d}" for number in islice(numbers, MAX_WORDS)]
