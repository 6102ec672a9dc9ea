"""Expansion of shell words without a shell (POSIX XCU 2.6, bash(1) EXPANSION).

Each function gives the possible results; a part whose value is not known stays as written.
"""

from __future__ import annotations

import codecs
import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from imgslim.runtimes.shell.scope import EMPTY, Alternatives, Fields, Scope, Word, distinct
from imgslim.runtimes.shell.syntax import pieces, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

Substitute = Callable[["Node"], tuple[Word, ...]]
"""What a command substitution may print."""

_LITERALS = frozenset(
    ("number", "test_operator", "extglob_pattern", "regex", "variable_name", "heredoc_content")
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
        return distinct(_joined(fields) for fields in self.expand(node, quoted=True))

    def expand(self, node: Node, *, quoted: bool = False) -> Alternatives:
        """The possible words that one word of the source becomes."""
        kind = node.type
        if kind == "word":
            return ((Word(self._literal(text_of(node))),),)
        if kind in ("concatenation", "string", "translated_string", "command_name"):
            return self._parts(node, quoted=quoted or kind.endswith("string"))
        if kind == "raw_string":
            return ((Word(text_of(node)[1:-1]),),)
        if kind == "ansi_c_string":
            return ((Word(_ansi_c(text_of(node)[2:-1])),),)
        if kind == "string_content":
            return ((Word(re.sub(r'\\([$`"\\\n])', r"\1", text_of(node))),),)
        if kind == "simple_expansion":
            return self._simple(node, quoted)
        if kind == "expansion":
            return self._parameter(node, quoted)
        if kind == "command_substitution":
            return _as_fields(self._substitute(node), quoted)
        if kind == "process_substitution":
            self._substitute(node)
        if kind == "array":
            return self.fields(node.named_children)
        if kind in _LITERALS:
            return ((Word(text_of(node)),),)
        return ((Word(text_of(node), known=False),),)

    def _parts(self, node: Node, *, quoted: bool) -> Alternatives:
        """A string or concatenation; an empty string is a word, an empty expansion none."""
        is_string = node.type.endswith("string")
        result: Alternatives = ((EMPTY,),) if is_string else ((),)
        whole_list = is_string and _is_list(node)
        if whole_list:
            result = ((),)
        for part in pieces(node):
            if isinstance(part, str):
                unescaped = re.sub(r"\\\n", "", part)
                result = _glued(result, ((Word(unescaped),),))
            elif part.is_named:
                result = _glued(result, self._part(part, node, quoted))
            elif not (is_string and text_of(part).strip() in ('"', "$")):
                result = _glued(result, ((Word(text_of(part)),),))
            elif is_string and len(text_of(part)) > 1:
                # The grammar gives a closing quote the blanks before it.
                result = _glued(result, ((Word(text_of(part).rstrip('"$')),),))
        return result

    def _part(self, part: Node, whole: Node, quoted: bool) -> Alternatives:
        """A part of a word. One that nothing sets is empty, or in a path what a user may give."""
        unset_before = len(self.unset)
        found = self.expand(part, quoted=quoted)
        if len(self.unset) > unset_before and "/" in text_of(whole):
            return distinct((*found, (Word(text_of(part), known=False),)))
        return found

    def _literal(self, text: str) -> str:
        if text == "~" or text.startswith("~/"):
            home = self.scope.lookup("HOME")
            if home and home[0].known:
                text = home[0].text + text[1:]
        return re.sub(r"\\(\n|.)", lambda m: "" if m[1] == "\n" else m[1], text)

    def _simple(self, node: Node, quoted: bool) -> Alternatives:
        dollar, name = text_of(node.children[0]), text_of(node.children[-1])
        blanks = dollar[: len(dollar) - len(dollar.lstrip())]
        found = self._variable(name, quoted)
        return _glued(((Word(blanks),),), found) if blanks else found

    def _variable(self, name: str, quoted: bool) -> Alternatives:
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
        return _as_fields(values, quoted)

    def _all_parameters(self, name: str, quoted: bool) -> Alternatives:
        if self.scope.params is None:
            return ((Word(f"${name}", known=False),),)
        if name == "*" and quoted:
            return distinct((_joined(fields),) for fields in self.scope.params)
        return self.scope.params

    def _parameter_number(self, number: int, quoted: bool) -> Alternatives:
        if self.scope.params is None:
            return ((Word(f"${number}", known=False),),)
        values = (p[number - 1] if number <= len(p) else EMPTY for p in self.scope.params)
        return _as_fields(distinct(values), quoted)

    def _parameter(self, node: Node, quoted: bool) -> Alternatives:
        """``${NAME}`` with its operators (POSIX XCU 2.6.2; bash(1), Parameter Expansion)."""
        inner = list(node.children[1:-1])
        unknown = ((Word(text_of(node), known=False),),)
        prefix = text_of(inner.pop(0)) if inner and not inner[0].is_named else ""
        if not inner or prefix == "#":
            return unknown
        target, *rest = inner
        if prefix == "!":
            return self._indirect(target, quoted) if not rest else unknown
        found, is_set = self._target(target, quoted)
        if not rest:
            return found
        operator, operand = text_of(rest[0]), rest[1:]
        if operator in (":-", "-", ":=", "="):
            default = self._operand(operand, quoted)
            if operator.endswith("=") and not is_set:
                self.scope.assign(text_of(target), distinct(_joined(f) for f in default))
            return _or_default(found, is_set, default)
        if operator in (":+", "+"):
            return distinct((*self._operand(operand, quoted), ()))
        if operator in (":?", "?"):
            return found
        if operator == ":":
            return self._slice(target, found, operand) or unknown
        return self._edited(found, operator, operand, unknown)

    def _target(self, target: Node, quoted: bool) -> tuple[Alternatives, bool]:
        """The values of what stands first in ``${…}``, and whether it is set at all."""
        if target.type == "subscript":
            name, index = text_of(target.named_children[0]), text_of(target.named_children[-1])
            if name in self.scope.arrays:
                found = self.scope.arrays[name]
                if index == "*" and quoted:
                    return distinct((_joined(fields),) for fields in found), True
                if index in ("@", "*"):
                    return found, True
                return tuple((Word(text_of(target), known=False),) for _ in found[:1]), True
            if index not in ("0", "@", "*"):
                return ((Word(f"${{{text_of(target)}}}", known=False),),), True
            return self._target(target.named_children[0], quoted)
        name = text_of(target)
        if name in ("@", "*"):
            return self._variable(name, quoted), self.scope.params != ((),)
        if name.isdigit() and name != "0":
            params = self.scope.params
            is_set = params is None or any(len(p) >= int(name) for p in params)
            return self._variable(name, quoted), is_set
        is_set = name in self.scope.arrays or self.scope.lookup(name) is not None
        return self._variable(name, quoted), is_set

    def _operand(self, nodes: Sequence[Node], quoted: bool) -> Alternatives:
        result: Alternatives = ((EMPTY,),) if quoted else ((),)
        for node in nodes:
            result = _glued(result, self.expand(node, quoted=quoted))
        if quoted:
            return result
        return distinct(
            tuple(word for field in fields for word in _split(field)) for fields in result
        )

    def _indirect(self, target: Node, quoted: bool) -> Alternatives:
        names = self.scope.lookup(text_of(target)) or ()
        found = [
            fields
            for name in names
            if name.known and name.text
            for fields in self._variable(name.text, quoted)
        ]
        return distinct(found) or ((Word(f"${{!{text_of(target)}}}", known=False),),)

    def _slice(self, target: Node, found: Alternatives, operand: Sequence[Node]) -> Alternatives:
        """``${@:2}``, ``${array[@]:1}``: words from one on; () where it is no plain number."""
        numbers = [text_of(node).strip() for node in operand if text_of(node).strip() != ":"]
        if not numbers or not all(re.fullmatch(r"\d+", number) for number in numbers):
            return ()
        start = int(numbers[0])
        length = int(numbers[1]) if len(numbers) > 1 else None
        if text_of(target) in ("@", "*"):
            if self.scope.params is None:
                return ()
            first = max(start - 1, 0)
            return distinct(
                p[first:][:length] if length is not None else p[first:] for p in self.scope.params
            )
        if target.type == "subscript":
            return distinct(f[start:][:length] for f in found)
        cut = slice(start, None if length is None else start + length)
        return distinct(tuple(Word(w.text[cut], w.known) for w in fields) for fields in found)

    def _edited(
        self, found: Alternatives, operator: str, operand: Sequence[Node], unknown: Alternatives
    ) -> Alternatives:
        """``${X%pattern}`` and its kin, for values that are known."""
        edit = _EDITS.get(operator)
        pattern = "".join(
            _joined(self.expand(node, quoted=True)[0]).text for node in operand if node.is_named
        )
        if edit is None or any(not word.known for fields in found for word in fields):
            return unknown
        return distinct(tuple(Word(edit(w.text, pattern)) for w in fields) for fields in found)


def _is_list(node: Node) -> bool:
    """Whether a string is just ``"$@"`` or ``"${array[@]}"``: no words give no word."""
    named = node.named_children
    return len(named) == 1 and (
        text_of(named[0]).strip() == "$@"
        or re.match(r"\$\{(\w+\[)?@", text_of(named[0])) is not None
    )


def _or_default(found: Alternatives, is_set: bool, default: Alternatives) -> Alternatives:
    """``found``, with the default in the place of what is empty or unset."""
    if not is_set:
        return default
    kept = [fields for fields in found if any(word.text for word in fields)]
    return distinct(kept) if len(kept) == len(found) else distinct((*kept, *default))


def _glued(left: Alternatives, right: Alternatives) -> Alternatives:
    """Concatenation: the last word of one side and the first of the other become one."""
    if len(left) == len(right) == 1:
        return (_glue(left[0], right[0]),)
    return distinct(_glue(a, b) for a in left for b in right)


def _glue(left: Fields, right: Fields) -> Fields:
    if not left or not right:
        return left or right
    middle = Word(left[-1].text + right[0].text, left[-1].known and right[0].known)
    return (*left[:-1], middle, *right[1:])


def _joined(fields: Fields) -> Word:
    if len(fields) == 1:
        return fields[0]
    return Word(" ".join(word.text for word in fields), all(word.known for word in fields))


def _as_fields(values: Iterable[Word], quoted: bool) -> Alternatives:
    return distinct((value,) if quoted else _split(value) for value in values)


def _split(value: Word) -> Fields:
    """Field splitting by blanks (POSIX XCU 2.6.5, the default IFS)."""
    if not value.known:
        return (value,)
    return tuple(Word(part) for part in value.text.split())


def _ansi_c(text: str) -> str:
    try:
        return codecs.decode(text.encode("latin-1", "backslashreplace"), "unicode_escape")
    except ValueError:
        return text


def _without_suffix(text: str, pattern: str, *, longest: bool) -> str:
    places = range(len(text) + 1) if longest else range(len(text), -1, -1)
    return next((text[:i] for i in places if fnmatch.fnmatchcase(text[i:], pattern)), text)


def _without_prefix(text: str, pattern: str, *, longest: bool) -> str:
    places = range(len(text), -1, -1) if longest else range(len(text) + 1)
    return next((text[i:] for i in places if fnmatch.fnmatchcase(text[:i], pattern)), text)


_EDITS: dict[str, Callable[[str, str], str]] = {
    "%": lambda text, pattern: _without_suffix(text, pattern, longest=False),
    "%%": lambda text, pattern: _without_suffix(text, pattern, longest=True),
    "#": lambda text, pattern: _without_prefix(text, pattern, longest=False),
    "##": lambda text, pattern: _without_prefix(text, pattern, longest=True),
    ",,": lambda text, _: text.lower(),
    "^^": lambda text, _: text.upper(),
}
