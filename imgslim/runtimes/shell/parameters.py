"""``${NAME}`` and its operators (POSIX XCU 2.6.2; bash(1), Parameter Expansion)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from imgslim.runtimes.shell.alternatives import glued, joined, split
from imgslim.runtimes.shell.edits import edited
from imgslim.runtimes.shell.scope import EMPTY, Alternatives, Word, distinct
from imgslim.runtimes.syntax_trees import text_of

if TYPE_CHECKING:
    from tree_sitter import Node

    from imgslim.runtimes.shell.words import Expander

_LISTS = ("@", "*")


def parameter(words: Expander, node: Node, *, quoted: bool) -> Alternatives:
    """What an ``expansion`` node may become."""
    inner = list(node.children[1:-1])
    unknown = ((Word(text_of(node), known=False),),)
    prefix = text_of(inner.pop(0)) if inner and not inner[0].is_named else ""
    if not inner or prefix == "#":
        return unknown
    target, *rest = inner
    if prefix == "!":
        return _indirect(words, target, rest, quoted=quoted) or unknown
    found, is_set = _target(words, target, quoted=quoted)
    if not rest:
        return found
    return _operated(words, target, found, is_set, rest, quoted=quoted) or unknown


def _operated(
    words: Expander,
    target: Node,
    found: Alternatives,
    is_set: bool,
    rest: Sequence[Node],
    *,
    quoted: bool,
) -> Alternatives:
    """``found`` after the operator that ``rest`` starts with; () when that is not known."""
    operator, operand = text_of(rest[0]), rest[1:]
    if operator in (":-", "-", ":=", "="):
        default = _operand(words, operand, quoted=quoted)
        if operator.endswith("=") and not is_set:
            words.scope.assign(text_of(target), distinct(joined(f) for f in default))
        return _or_default(found, is_set, default)
    if operator in (":+", "+"):
        return distinct((*_operand(words, operand, quoted=quoted), ()))
    if operator in (":?", "?"):
        return found
    if operator == ":":
        return _slice(words, target, found, operand)
    return _edited(words, found, operator, operand)


def _target(words: Expander, target: Node, *, quoted: bool) -> tuple[Alternatives, bool]:
    """The values of what stands first in ``${…}``, and whether it is set at all."""
    scope = words.scope
    if target.type == "subscript":
        return _element(words, target, quoted=quoted)
    name = text_of(target)
    if name in _LISTS:
        return words.variable(name, quoted=quoted), scope.params != ((),)
    if name.isdigit() and name != "0":
        is_set = scope.params is None or any(len(p) >= int(name) for p in scope.params)
        return words.variable(name, quoted=quoted), is_set
    is_set = name in scope.arrays or scope.lookup(name) is not None
    return words.variable(name, quoted=quoted), is_set


def _element(words: Expander, target: Node, *, quoted: bool) -> tuple[Alternatives, bool]:
    """``NAME[INDEX]``: that element, or any of them where the index is no plain number."""
    scope = words.scope
    name, index = text_of(target.named_children[0]), text_of(target.named_children[-1])
    if name not in scope.arrays:
        if index in ("0", *_LISTS):
            return words.variable(name, quoted=quoted), scope.lookup(name) is not None
        return ((Word(f"${{{text_of(target)}}}", known=False),),), True
    found = scope.arrays[name]
    if index == "*" and quoted:
        return distinct((joined(fields),) for fields in found), True
    if index in _LISTS:
        return found, True
    if re.fullmatch(r"-?\d+", index) and name not in scope.keys:
        number = int(index)
        chosen = (f[number] if -len(f) <= number < len(f) else EMPTY for f in found)
        return distinct((word,) for word in chosen), True
    return distinct((word,) for fields in found for word in fields) or ((EMPTY,),), True


def _operand(words: Expander, nodes: Sequence[Node], *, quoted: bool) -> Alternatives:
    result: Alternatives = ((EMPTY,),) if quoted else ((),)
    for node in nodes:
        result = glued(result, words.expand(node, quoted=quoted))
    if quoted:
        return result
    separators = words.scope.separators()
    return distinct(
        tuple(part for word in fields for part in split(word, separators)) for fields in result
    )


def _indirect(words: Expander, target: Node, rest: Sequence[Node], *, quoted: bool) -> Alternatives:
    """``${!NAME}``, ``${!ARRAY[@]}`` and ``${!PREFIX@}``; () when it is not known."""
    scope = words.scope
    if target.type == "subscript":
        name = text_of(target.named_children[0])
        if name in scope.keys:
            return (scope.keys[name],)
        longest = max((len(fields) for fields in scope.arrays.get(name, ())), default=0)
        return (tuple(Word(str(number)) for number in range(longest)),)
    if rest and text_of(rest[0]) in _LISTS:
        found = (Word(name) for name in scope.variables if name.startswith(text_of(target)))
        return (tuple(found),)
    fields: list[tuple[Word, ...]] = []
    for name in (word.text for word in scope.lookup(text_of(target)) or () if word.known):
        if not name:
            continue
        values = words.variable(name, quoted=quoted)
        is_set = scope.lookup(name) is not None or name in scope.arrays
        fields += _operated(words, target, values, is_set, rest, quoted=quoted) if rest else values
    return distinct(fields)


def _slice(
    words: Expander, target: Node, found: Alternatives, operand: Sequence[Node]
) -> Alternatives:
    """``${@:2}``, ``${array[@]:1}``, ``${name: -1}``; () where it is no plain number."""
    numbers = [text_of(node).strip() for node in operand if text_of(node).strip() != ":"]
    if not numbers or not all(re.fullmatch(r"-?\d+", number) for number in numbers):
        return ()
    start = int(numbers[0])
    length = int(numbers[1]) if len(numbers) > 1 else None
    if text_of(target) in _LISTS:
        if words.scope.params is None or start < 0 or (length or 0) < 0:
            return ()
        first = max(start - 1, 0)
        return distinct(p[first:][:length] for p in words.scope.params)
    if target.type == "subscript" and text_of(target.named_children[-1]) in _LISTS:
        return distinct(f[start:][:length] for f in found)
    return distinct(
        tuple(Word(w.text[start:][:length], w.known) for w in fields) for fields in found
    )


def _edited(
    words: Expander, found: Alternatives, operator: str, operand: Sequence[Node]
) -> Alternatives:
    """``${X%pattern}`` and its kin; () for values that are not known."""
    if operator == "@":
        operator += "".join(text_of(node) for node in operand)
        operand = ()
    separator = [node for node in operand if not node.is_named and text_of(node) == "/"]
    before = list(takewhile(lambda node: node not in separator, operand))
    after = operand[len(before) + 1 :]
    pattern, replacement = (
        "".join(joined(words.expand(n, quoted=True)[0]).text for n in nodes if n.is_named)
        for nodes in (before, after)
    )
    result: list[tuple[Word, ...]] = []
    for fields in found:
        texts = [edited(w.text, operator, pattern, replacement) for w in fields if w.known]
        if len(texts) < len(fields) or None in texts:
            return ()
        result.append(tuple(Word(text) for text in texts if text is not None))
    return distinct(result)


def _or_default(found: Alternatives, is_set: bool, default: Alternatives) -> Alternatives:
    """``found``, with the default in the place of what is empty or unset."""
    if not is_set:
        return default
    kept = [fields for fields in found if any(word.text for word in fields)]
    return distinct(kept) if len(kept) == len(found) else distinct((*kept, *default))
