"""What an expression of a JavaScript source is worth, as far as its text alone tells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imgslim.runtimes.syntax_trees import text_of

if TYPE_CHECKING:
    from tree_sitter import Node

HERE = "__dirname"
CWD = "process.cwd()"

_MOST = 8
_DEEPEST = 12
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]+)\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.|\n))")

_WRAPPED = frozenset(
    ("parenthesized_expression", "await_expression", "as_expression", "non_null_expression",
     "satisfies_expression", "spread_element")
)  # fmt: skip
_ALIKE = frozenset(("fileURLToPath", "pathToFileURL", "String", "normalize", "realpathSync"))


@dataclass(frozen=True, slots=True)
class Value:
    """A text, or with ``complete`` unset its beginning. ``base``: what it is relative to,
    ``HERE`` (the directory of the source), ``CWD``, or "" (nothing said)."""

    text: str
    complete: bool = True
    base: str = ""

    @property
    def based(self) -> bool:
        return bool(self.base)


UNKNOWN = Value("", complete=False)


def evaluate(
    node: Node, variables: Mapping[str, Any] | None = None, depth: int = 0
) -> tuple[Value, ...]:
    """The values that an expression may have; ``UNKNOWN`` where nothing is known."""
    names = variables or {}
    if depth > _DEEPEST:
        return (UNKNOWN,)
    kind = node.type
    if kind == "string":
        return (Value(_string(node)),)
    if kind == "template_string":
        return _template(node, names, depth)
    if kind == "identifier":
        return _identifier(node, names, depth)
    if kind == "member_expression":
        return _member(node, names, depth)
    if kind == "binary_expression":
        return _binary(node, names, depth)
    if kind == "ternary_expression":
        branches = (node.child_by_field_name(f) for f in ("consequence", "alternative"))
        return _united(evaluate(b, names, depth + 1) for b in branches if b is not None)
    if kind in _WRAPPED and node.named_children:
        return evaluate(node.named_children[0], names, depth + 1)
    if kind == "call_expression":
        return _called(node, names, depth)
    if kind == "new_expression":
        return _constructed(node, names, depth)
    return (UNKNOWN,)


def arguments_of(call: Node) -> list[Node]:
    """The argument nodes of a call or a ``new``, comments left out."""
    arguments = call.child_by_field_name("arguments")
    if arguments is None or arguments.type != "arguments":
        return []
    return [child for child in arguments.named_children if child.type != "comment"]


def function_name(call: Node) -> str:
    """The last name of what a call calls: ``join`` of ``path.join(…)``."""
    function = call.child_by_field_name("function")
    if function is None:
        return ""
    if function.type == "member_expression":
        function = function.child_by_field_name("property") or function
    return text_of(function)


def options_of(arguments: Sequence[Node]) -> frozenset[str]:
    """The keys, not set to false, of the object that a call gets as its last argument."""
    if not arguments or arguments[-1].type != "object":
        return frozenset()
    keys = set()
    for pair in arguments[-1].named_children:
        key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
        if key is not None and value is not None and value.type != "false":
            keys.add(text_of(key).strip("\"'"))
        elif pair.type == "shorthand_property_identifier":
            keys.add(text_of(pair))
    return frozenset(keys)


def words_of(
    arguments: Sequence[Node], variables: Mapping[str, Any], *, line: bool
) -> Iterator[tuple[str, ...]]:
    """The words that a function which starts programs is given, as far as they are known: one
    text for a shell (``line``), else a program and the leading known members of its list."""
    for value in evaluate(arguments[0], variables):
        if value.based or (not value.complete and not line):
            continue
        rest: list[str] = []
        if not line and len(arguments) > 1 and arguments[1].type == "array":
            for member in arguments[1].named_children:
                known = evaluate(member, variables)[0]
                if not known.complete or known.based:
                    break
                rest.append(known.text)
        yield (value.text, *rest)


def _string(node: Node) -> str:
    return _unescaped(text_of(node)[1:-1])


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code:
        number = int(code, 16)
        return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"
    return _ESCAPES.get(match[4], "" if match[4] == "\n" else match[4])


def _template(node: Node, names: Mapping[str, Any], depth: int) -> tuple[Value, ...]:
    found: tuple[Value, ...] = (Value(""),)
    for child in node.children:
        if child.type in ("string_fragment", "escape_sequence"):
            piece: tuple[Value, ...] = (Value(_unescaped(text_of(child))),)
        elif child.type == "template_substitution" and child.named_children:
            piece = evaluate(child.named_children[0], names, depth + 1)
        else:
            continue
        found = _products(found, piece)
    return found


def _products(first: Sequence[Value], second: Sequence[Value]) -> tuple[Value, ...]:
    return _united((_joined(a, b),) for a in first for b in second)


def _joined(first: Value, second: Value) -> Value:
    if not first.complete:
        return first
    if second.based:
        return second if not first.text or first.text == "file://" else UNKNOWN
    return replace(first, text=first.text + second.text, complete=second.complete)


def _identifier(node: Node, names: Mapping[str, Any], depth: int) -> tuple[Value, ...]:
    name = text_of(node)
    value = names.get(name)
    if value is not None and value.id != node.id:
        return evaluate(value, names, depth + 3)
    if name == "__dirname":
        return (Value("", base=HERE),)
    if name == "__filename":
        return (Value("/__filename", base=HERE),)
    return (UNKNOWN,)


def _member(node: Node, names: Mapping[str, Any], depth: int) -> tuple[Value, ...]:
    whole = text_of(node)
    if whole == "import.meta.dirname":
        return (Value("", base=HERE),)
    if whole in ("import.meta.url", "import.meta.filename"):
        return (Value("/__filename", base=HERE),)
    owner, key = node.child_by_field_name("object"), node.child_by_field_name("property")
    if owner is not None and key is not None and text_of(key) in ("pathname", "href"):
        return evaluate(owner, names, depth + 1)
    return (UNKNOWN,)


def _binary(node: Node, names: Mapping[str, Any], depth: int) -> tuple[Value, ...]:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    sign = node.child_by_field_name("operator")
    if left is None or right is None or sign is None:
        return (UNKNOWN,)
    first, second = evaluate(left, names, depth + 1), evaluate(right, names, depth + 1)
    if text_of(sign) == "+":
        return _products(first, second)
    if text_of(sign) in ("||", "??"):
        return _united((first, second))
    return (UNKNOWN,)


def _called(node: Node, names: Mapping[str, Any], depth: int) -> tuple[Value, ...]:
    name = function_name(node)
    arguments = arguments_of(node)
    if text_of(node).replace(" ", "") == "process.cwd()":
        return (Value("", base=CWD),)
    if name in ("join", "resolve") and arguments and _is_of_path(node):
        return _paths(arguments, names, depth, from_cwd=name == "resolve")
    if name in _ALIKE and arguments:
        return evaluate(arguments[0], names, depth + 1)
    if name == "dirname" and arguments:
        return tuple(_parent(value) for value in evaluate(arguments[0], names, depth + 1))
    return (UNKNOWN,)


def _is_of_path(node: Node) -> bool:
    """Not an array's ``join``, nor ``Promise.resolve`` or ``require.resolve``."""
    function = node.child_by_field_name("function")
    owner = function.child_by_field_name("object") if function is not None else None
    return owner is None or "path" in text_of(owner).lower()


def _paths(
    arguments: Sequence[Node], names: Mapping[str, Any], depth: int, *, from_cwd: bool
) -> tuple[Value, ...]:
    found: tuple[Value, ...] = (Value(""),)
    for position, argument in enumerate(arguments):
        pieces = evaluate(argument, names, depth + 1)
        if position:
            pieces = tuple(v if v.based or not v.text else _below(v) for v in pieces)
        found = _products(found, pieces)
    return tuple(_from_cwd(value) for value in found) if from_cwd else found


def _from_cwd(value: Value) -> Value:
    """``path.resolve`` of what is relative."""
    if value.based or not value.text or value.text.startswith("/"):
        return value
    return replace(value, text=f"/{value.text}", base=CWD)


def _below(value: Value) -> Value:
    return replace(value, text=f"/{value.text.lstrip('/')}")


def _parent(value: Value) -> Value:
    if not value.complete:
        return value
    if value.base and not value.text.strip("/"):
        return replace(value, text="/..")
    before, slash, last = value.text.rstrip("/").rpartition("/")
    if not slash and not value.base:
        return UNKNOWN
    return replace(value, text=f"{value.text}/.." if last == ".." else before)


def _constructed(node: Node, names: Mapping[str, Any], depth: int) -> tuple[Value, ...]:
    """``new URL(path, import.meta.url)``."""
    constructor = node.child_by_field_name("constructor")
    arguments = arguments_of(node)
    if constructor is None or text_of(constructor).rpartition(".")[2] != "URL":
        return (UNKNOWN,)
    if len(arguments) < 2:
        return evaluate(arguments[0], names, depth + 1) if arguments else (UNKNOWN,)
    bases = [_parent(base) for base in evaluate(arguments[1], names, depth + 1) if base.based]
    pieces = evaluate(arguments[0], names, depth + 1)
    return _united((_joined(b, _below(p)),) for b in bases for p in pieces) or (UNKNOWN,)


def _united(groups: Any) -> tuple[Value, ...]:
    found = dict.fromkeys(value for group in groups for value in group)
    return tuple(found)[:_MOST] or (UNKNOWN,)
