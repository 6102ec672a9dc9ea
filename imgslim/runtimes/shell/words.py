"""Expansion of shell words without a shell (POSIX XCU 2.6, bash(1) EXPANSION).

Each function gives the possible results; a part whose value is not known stays as written.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from imgslim.runtimes.shell.alternatives import as_fields, glued, joined
from imgslim.runtimes.shell.braces import brace_words, sequence
from imgslim.runtimes.shell.parameters import parameter
from imgslim.runtimes.shell.scope import (
    EMPTY,
    GLOB_CHARACTERS,
    Alternatives,
    Scope,
    Word,
    distinct,
)
from imgslim.runtimes.shell.syntax import pieces
from imgslim.runtimes.syntax_trees import text_of

if TYPE_CHECKING:
    from tree_sitter import Node

Substitute = Callable[["Node"], tuple[Word, ...]]
"""What a command substitution may print."""

_LITERALS = frozenset(
    ("number", "test_operator", "regex", "variable_name", "heredoc_content", "file_descriptor")
)


class Expander:
    """Expands words in ``scope``; ``unset`` lists the names met that nothing sets."""

    def __init__(self, scope: Scope, substitute: Substitute) -> None:
        self.scope = scope
        self.unset: list[str] = []
        self._substitute = substitute

    def fields(self, nodes: Iterable[Node]) -> Alternatives:
        """The lists of words that a sequence of words may become."""
        result: Alternatives = ((),)
        for node in nodes:
            found = self.expand(node)
            if len(found) == len(result) == 1:
                result = ((*result[0], *found[0]),)
            else:
                result = distinct((*a, *b) for a in result for b in found)
        return result

    def values(self, node: Node) -> tuple[Word, ...]:
        """What a word may be where it is not split: an assignment, a redirection, a test."""
        return distinct(joined(fields) for fields in self.expand(node, quoted=True))

    def expand(self, node: Node, *, quoted: bool = False) -> Alternatives:
        """The possible words that one word of the source becomes."""
        kind = node.type
        if kind in ("word", "extglob_pattern"):
            return ((self._word(text_of(node), quoted),),)
        if kind == "concatenation":
            return self._concatenation(node, quoted)
        if kind in ("string", "translated_string", "command_name"):
            return self._parts(node, list(pieces(node)), quoted=quoted or kind.endswith("string"))
        if kind == "raw_string":
            return ((Word(text_of(node)[1:-1]),),)
        if kind == "ansi_c_string":
            return ((Word(_ansi_c(text_of(node)[2:-1])),),)
        if kind == "string_content":
            return ((Word(re.sub(r'\\([$`"\\\n])', r"\1", text_of(node))),),)
        if kind == "simple_expansion":
            return self._simple(node, quoted)
        if kind == "expansion":
            return parameter(self, node, quoted=quoted)
        return self._special(node, quoted)

    def _special(self, node: Node, quoted: bool) -> Alternatives:
        """Substitutions, arithmetic, arrays, and what is no word of its own."""
        kind, text = node.type, text_of(node)
        if kind == "command_substitution":
            return self._split(self._substitute(node), quoted)
        if kind == "process_substitution":
            self._substitute(node)
        elif kind == "arithmetic_expansion":
            self._substitutions_in(node)
        elif kind == "array":
            return self.fields(node.named_children)
        elif kind == "brace_expression":
            return (tuple(Word(member) for member in sequence(text)) or (Word(text),),)
        elif kind in _LITERALS:
            return ((Word(text),),)
        return ((Word(text, known=False),),)

    def _substitutions_in(self, node: Node) -> None:
        for child in node.named_children:
            if child.type == "command_substitution":
                self._substitute(child)
            else:
                self._substitutions_in(child)

    def _concatenation(self, node: Node, quoted: bool) -> Alternatives:
        """A word of several parts: its braces first, unless it is where braces do not count."""
        if quoted or not any(c.type in ("word", "brace_expression") for c in node.named_children):
            return self._parts(node, list(pieces(node)), quoted=quoted)
        result: Alternatives = ((),)
        for word in brace_words(node):
            found = self._parts(node, word, quoted=quoted)
            result = distinct((*a, *b) for a in result for b in found)
        return result

    def _parts(self, node: Node, parts: list[str | Node], *, quoted: bool) -> Alternatives:
        """A string or concatenation; an empty string is a word, an empty expansion none."""
        is_string = node.type.endswith("string")
        result: Alternatives = ((EMPTY,),) if is_string and not _is_list(node) else ((),)
        for index, part in enumerate(parts):
            if isinstance(part, str):
                text = re.sub(r"\\\n", "", part)
                word = Word(text) if is_string else self._word(text, quoted, first=index == 0)
                result = glued(result, ((word,),))
            elif part.type == "brace_expression" and not quoted:
                members = sequence(text_of(part)) or [text_of(part)]
                result = (
                    tuple(w for m in members for f in glued(result, ((Word(m),),)) for w in f),
                )
            elif part.is_named:
                result = glued(result, self._part(part, node, quoted))
            elif not (is_string and text_of(part).strip() in ('"', "$")):
                result = glued(result, ((Word(text_of(part)),),))
            elif is_string and len(text_of(part)) > 1:
                # The grammar gives a closing quote the blanks before it.
                result = glued(result, ((Word(text_of(part).rstrip('"$')),),))
        return result

    def _part(self, part: Node, whole: Node, quoted: bool) -> Alternatives:
        """A part of a word. One that nothing sets is empty, or in a path what a user may give."""
        unset_before = len(self.unset)
        found = self.expand(part, quoted=quoted)
        if len(self.unset) > unset_before and "/" in text_of(whole):
            return distinct((*found, (Word(text_of(part), known=False),)))
        return found

    def _word(self, text: str, quoted: bool, *, first: bool = True) -> Word:
        """Unquoted text: ``~`` and backslashes replaced."""
        pattern = not quoted and bool(GLOB_CHARACTERS & set(text))
        if first and text.startswith("~"):
            text = self._home(text)
        return Word(
            re.sub(r"\\(\n|.)", lambda m: "" if m[1] == "\n" else m[1], text), True, pattern
        )

    def _home(self, text: str) -> str:
        """``~`` and ``~USER`` (POSIX XCU 2.6.1)."""
        user, slash, rest = text[1:].partition("/")
        home = self.scope.lookup("HOME") if not user else None
        if home and home[0].known:
            return home[0].text + slash + rest
        return self.scope.homes[user] + slash + rest if user in self.scope.homes else text

    def _simple(self, node: Node, quoted: bool) -> Alternatives:
        dollar, name = text_of(node.children[0]), text_of(node.children[-1])
        blanks = dollar[: len(dollar) - len(dollar.lstrip())]
        found = self.variable(name, quoted=quoted)
        return glued(((Word(blanks),),), found) if blanks else found

    def variable(self, name: str, *, quoted: bool) -> Alternatives:
        """``$NAME``, also a parameter's number, ``@`` and ``*``."""
        if name in ("@", "*"):
            return self._all_parameters(name, quoted)
        if name.isdigit() and name != "0":
            return self._parameter_number(int(name), quoted)
        if name in self.scope.arrays:
            return distinct(fields[:1] for fields in self.scope.arrays[name])
        values = self.scope.lookup(name)
        if values is None:
            self.unset.append(name)
            values = (EMPTY,)
        return self._split(values, quoted)

    def _all_parameters(self, name: str, quoted: bool) -> Alternatives:
        if self.scope.params is None:
            return ((Word(f"${name}", known=False),),)
        if name == "*" and quoted:
            return distinct((joined(fields),) for fields in self.scope.params)
        return self.scope.params

    def _parameter_number(self, number: int, quoted: bool) -> Alternatives:
        if self.scope.params is None:
            return ((Word(f"${number}", known=False),),)
        values = (p[number - 1] if number <= len(p) else EMPTY for p in self.scope.params)
        return self._split(distinct(values), quoted)

    def _split(self, values: Iterable[Word], quoted: bool) -> Alternatives:
        if quoted:
            return distinct((Word(value.text, value.known),) for value in values)
        return as_fields(values, self.scope.separators())


def _is_list(node: Node) -> bool:
    """Whether a string is just ``"$@"`` or ``"${array[@]}"``: no words give no word."""
    named = node.named_children
    return len(named) == 1 and (
        text_of(named[0]).strip() == "$@"
        or re.match(r"\$\{!?(\w+\[)?@", text_of(named[0])) is not None
    )


def _ansi_c(text: str) -> str:
    try:
        return codecs.decode(text.encode("latin-1", "backslashreplace"), "unicode_escape")
    except ValueError:
        return text
