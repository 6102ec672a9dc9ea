"""What a Ruby source names: features and gems that it loads, programs, libraries.

Read from the syntax tree of the tree-sitter grammar.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from imgslim.runtimes.literal_starts import Start
from imgslim.runtimes.ruby.tables import ruby_table
from imgslim.runtimes.syntax_trees import Grammar, captures, grammar, line_of, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_LARGEST_BYTES = 4 << 20
_QUERY = """
(call method: (identifier) @name) @call
(subshell) @shell
(string) @string
(string_array (bare_string) @string)
"""
_MARKERS = (b"require", b"autoload", b"load", b"gem", b"find_files", b"_lib", b"dlopen", b"dlload")
_STARTERS = (
    b"system",
    b"exec",
    b"spawn",
    b"popen",
    b"Open3",
    b"`",
    b"%x",
    b"which",
    b" sh ",
    b"sh(",
)
_HERE = frozenset(("__dir__", "__FILE__"))
_TRANSPARENT = frozenset(("freeze", "to_s", "dup", "strip", "to_path", "realpath"))


@dataclass(frozen=True, slots=True)
class Text:
    """What an expression is worth: a text, or with ``complete`` unset its beginning; ``here``: it
    begins with the place of the source itself."""

    text: str
    complete: bool = True
    here: bool = False


_UNKNOWN = Text("", complete=False)


@dataclass(slots=True)
class Facts:
    """What one source says, each with its line. ``dynamic`` are requires of which nothing is
    known, ``starts_unknown`` whether a program is started that no literal names."""

    features: list[tuple[Text, int]] = field(default_factory=list)
    gems: list[tuple[str, int]] = field(default_factory=list)
    files: list[tuple[str, int]] = field(default_factory=list)
    libraries: list[tuple[str, int]] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    dynamic: list[int] = field(default_factory=list)
    strings: dict[str, int] = field(default_factory=dict)
    starts_unknown: bool = False
    uses_bundler: bool = False


def is_worth_reading(data: bytes) -> bool:
    """Whether a source has any word that matters here: a filter, no more."""
    return any(marker in data for marker in (*_MARKERS, *_STARTERS))


def read_source(data: bytes) -> Facts:
    """The facts of a Ruby source."""
    facts = Facts()
    if not data or len(data) > _LARGEST_BYTES or not is_worth_reading(data):
        return facts
    found = captures(data, _grammar())
    starts = any(marker in data for marker in _STARTERS)
    for node in found.get("call", ()):
        _call(node, facts)
    for node in found.get("shell", ()):
        _start((evaluate(node),), facts, line_of(node), shell=True)
    if starts:
        for node in found.get("string", ()):
            text = evaluate(node)
            if text.complete and text.text:
                facts.strings.setdefault(text.text, line_of(node))
    facts.uses_bundler = b"bundler" in data or b"Bundler" in data
    return facts


def _call(node: Node, facts: Facts) -> None:
    name = text_of(node.child_by_field_name("method"))
    kind = ruby_table().calls.get(name)
    if kind is None:
        return
    arguments = arguments_of(node)
    if not arguments:
        return
    line = line_of(node)
    values = tuple(evaluate(argument) for argument in arguments)
    if kind == "feature":
        value = values[1] if name == "autoload" and len(values) > 1 else values[0]
        called = text_of(arguments[0].child_by_field_name("method"))
        is_stub = ruby_table().calls.get(called) == "gem"
        _feature(value, facts, line, is_stub=is_stub)
    elif kind == "relative" and values[0].text:
        facts.features.append((Text(values[0].text, values[0].complete, here=True), line))
    elif kind == "gem" and values[0].complete and values[0].text:
        facts.gems.append((values[0].text, line))
    elif kind == "files" and values[0].complete and values[0].text:
        facts.files.append((values[0].text, line))
    elif kind == "library":
        facts.libraries += [(text, line) for text in _texts(arguments)]
    elif kind == "program" and values[0].complete and values[0].text:
        facts.starts.append(Start((values[0].text,), in_shell=False, line=line))
    elif kind == "line":
        _start(_words(arguments), facts, line, shell=False)


def _feature(value: Text, facts: Facts, line: int, *, is_stub: bool) -> None:
    if value.text or value.here:
        facts.features.append((value, line))
    elif not value.complete and not is_stub:
        facts.dynamic.append(line)


def _words(arguments: list[Node]) -> tuple[Text, ...]:
    """The words of a program: an argument each, a list in their place; an environment before them
    and options behind are no words (Process.spawn)."""
    found: list[Text] = []
    for argument in arguments:
        if argument.type in ("hash", "pair", "block_argument", "hash_splat_argument"):
            continue
        if argument.type in ("array", "string_array"):
            found += [evaluate(member) for member in argument.named_children]
        else:
            found.append(evaluate(argument))
    return tuple(found)


def _start(values: tuple[Text, ...], facts: Facts, line: int, *, shell: bool) -> None:
    if not values:
        return
    first = values[0]
    text = first.text.lstrip()
    if not first.complete:
        text = text.rpartition(" ")[0]
    if not text or first.here:
        facts.starts_unknown = True
        return
    if shell or len(values) == 1:
        facts.starts.append(Start((text,), in_shell=True, line=line))
        return
    words: list[str] = []
    for value in values:
        if not value.complete:
            break
        words.append(value.text)
    facts.starts.append(Start(tuple(words), in_shell=False, line=line))


def _texts(arguments: list[Node]) -> Iterator[str]:
    for argument in arguments:
        pending = [argument]
        while pending:
            node = pending.pop()
            if node.type in ("string", "bare_string"):
                value = evaluate(node)
                if value.complete:
                    yield value.text
            else:
                pending += reversed(node.named_children)


def evaluate(node: Node) -> Text:
    """What an expression is worth."""
    kind = node.type
    if kind in ("string", "bare_string", "subshell"):
        return _string(node)
    if kind in ("simple_symbol", "bare_symbol"):
        return Text(text_of(node).lstrip(":"))
    if text_of(node) in _HERE:
        return Text("", here=True)
    if kind == "parenthesized_statements" and node.named_children:
        return evaluate(node.named_children[-1])
    if kind == "binary":
        return _joined([evaluate(child) for child in node.named_children[:2]])
    if kind == "call":
        return _called(node)
    return _UNKNOWN


def _string(node: Node) -> Text:
    parts: list[Text] = []
    for child in node.named_children:
        if child.type == "string_content":
            parts.append(Text(text_of(child)))
        elif child.type == "escape_sequence":
            parts.append(Text(text_of(child)[1:]))
        elif child.type == "interpolation" and child.named_children:
            parts.append(evaluate(child.named_children[0]))
        else:
            parts.append(_UNKNOWN)
    return _joined(parts)


def _joined(parts: list[Text], sign: str = "") -> Text:
    found = ""
    here = bool(parts) and parts[0].here
    for position, part in enumerate(parts):
        found += (sign if position and found else "") + part.text
        if not part.complete or (part.here and position):
            return Text(found, complete=False, here=here)
    return Text(found, here=here)


def _called(node: Node) -> Text:
    name = text_of(node.child_by_field_name("method"))
    receiver = node.child_by_field_name("receiver")
    arguments = arguments_of(node)
    if name in _TRANSPARENT and receiver is not None:
        return evaluate(receiver)
    if receiver is not None and text_of(receiver) == "File" and arguments:
        values = [evaluate(argument) for argument in arguments]
        if name == "join":
            return _joined(values, "/")
        if name == "expand_path":
            based = values[1] if len(values) > 1 else _UNKNOWN
            return Text(values[0].text, values[0].complete, here=based.here or values[0].here)
        if name == "dirname":
            return values[0] if values[0].here else _UNKNOWN
    return _UNKNOWN


def arguments_of(call: Node) -> list[Node]:
    """The argument nodes of a call, comments left out."""
    arguments = call.child_by_field_name("arguments")
    if arguments is None:
        return []
    return [child for child in arguments.named_children if child.type != "comment"]


def calls_in(data: bytes) -> Iterator[tuple[str, Node]]:
    """Every call of a source with the name of what it calls, in the order of the text."""
    if not data or len(data) > _LARGEST_BYTES:
        return
    for node in captures(data, _grammar()).get("call", ()):
        yield text_of(node.child_by_field_name("method")), node


@cache
def _grammar() -> Grammar:
    import tree_sitter_ruby

    return grammar(tree_sitter_ruby.language(), _QUERY)
