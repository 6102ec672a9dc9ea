"""What a Perl source names: modules, programs, libraries.

Read from the syntax tree of the tree-sitter grammar.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from imgslim.runtimes.literal_starts import Start
from imgslim.tables import load_table

if TYPE_CHECKING:
    from tree_sitter import Node, Query

_LARGEST_BYTES = 4 << 20
_MODULE = re.compile(r"[A-Za-z_]\w*(?:(?:::|')\w+)*")
_PREFIX = re.compile(r"[A-Za-z_]\w*(?:::\w+)*::")
_PATH_PREFIX = re.compile(r"(?:[A-Za-z_]\w*/)+")
_SHORT = re.compile(r"[A-Za-z]\w*(?:::\w+)*")
_SOURCE_NAME = re.compile(r"dbi:(\w+)", re.IGNORECASE)
_REQUIRE = re.compile(r"\brequire\s+([A-Za-z_]\w*(?:::\w+)*)\s*(?:;|$)")
_QUERY = """
(use_statement) @use
(require_expression) @require
(eval_expression) @eval
(function_call_expression) @call
(ambiguous_function_call_expression) @call
(command_string) @command
(string_literal) @string
(interpolated_string_literal) @string
(quoted_word_list) @words
(method_call_expression invocant: (bareword) @class)
(autoquoted_bareword) @bare
"""
_STRINGS = ("string_literal", "interpolated_string_literal", "command_string")


@dataclass(slots=True)
class Facts:
    """What one source says. ``modules`` are loaded, ``texts`` are the words of its strings, any of
    which may be a module's name; ``prefixes`` are strings that such a name may begin with
    (``"Digest::$name"``); ``files`` are required by path; ``dynamic`` the lines of requires of
    which nothing is known."""

    modules: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    prefixes: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    dynamic: list[int] = field(default_factory=list)
    starts_unknown: bool = False


def read_source(data: bytes) -> Facts:
    """The facts of a Perl source."""
    facts = Facts()
    if not data or len(data) > _LARGEST_BYTES:
        return facts
    captures = _captures(data)
    for node in captures.get("use", ()):
        _use(node, facts)
    for node in (*captures.get("require", ()), *captures.get("eval", ())):
        _require(node, facts)
    for node in captures.get("call", ()):
        _call(node, facts)
    for node in captures.get("command", ()):
        _start([node], facts)
    for node in captures.get("class", ()):
        facts.texts.setdefault(_text(node), _line(node))
    for node in (*captures.get("string", ()), *captures.get("bare", ())):
        _string(node, facts)
    for node in captures.get("words", ()):
        for word in _words_in(node):
            facts.texts.setdefault(word, _line(node))
    return facts


def _string(node: Node, facts: Facts) -> None:
    text, complete = literal(node)
    if complete:
        facts.texts.setdefault(text, _line(node))
    if _PREFIX.fullmatch(text):
        facts.prefixes.setdefault(text, _line(node))
    if match := _SOURCE_NAME.match(text):
        facts.texts.setdefault(match[1], _line(node))


def is_module_name(text: str) -> bool:
    """Whether a text may be the name of a module."""
    return len(text) < 120 and _SHORT.fullmatch(text) is not None


def literal(node: Node) -> tuple[str, bool]:
    """The text of a string and whether it is all of it: up to what is interpolated, else."""
    if node.type in ("autoquoted_bareword", "bareword"):
        return _text(node).lstrip("-"), True
    if node.type not in _STRINGS:
        return "", False
    content = next((c for c in node.named_children if c.type == "string_content"), None)
    if content is None:
        return "", True
    inner = [child for child in content.named_children if child.type != "escape_sequence"]
    raw = content.text or b""
    if inner:
        raw = raw[: inner[0].start_byte - content.start_byte]
    return raw.decode("utf-8", "surrogateescape"), not inner


def _use(node: Node, facts: Facts) -> None:
    package = node.child_by_field_name("module")
    if package is not None and not _text(node).startswith("no "):
        name = _text(package)
        facts.modules.setdefault(name, _line(node))
        if name in load_table("perl")["calls"]["bases"]:
            _name_all(node, facts)


def _name_all(node: Node, facts: Facts) -> None:
    """The strings and words below a node are names of modules."""
    pending = list(node.named_children)
    while pending:
        child = pending.pop()
        if child.type in _STRINGS:
            text, complete = literal(child)
            if complete and is_module_name(text):
                facts.modules.setdefault(text, _line(node))
        elif child.type == "quoted_word_list":
            for word in filter(is_module_name, _words_in(child)):
                facts.modules.setdefault(word, _line(node))
        else:
            pending += child.named_children


def _require(node: Node, facts: Facts) -> None:
    """``require``, and ``do FILE`` and ``eval TEXT``, which the grammar has in one kind."""
    for child in node.named_children:
        inner = (
            child.named_children[0] if child.type == "filename" and child.named_children else child
        )
        if inner.type in ("bareword", "package"):
            facts.modules.setdefault(_text(inner), _line(node))
        elif inner.type in _STRINGS:
            text, complete = literal(inner)
            if node.type == "eval_expression" and child.type != "filename":
                for name in _REQUIRE.findall(text):
                    facts.modules.setdefault(name, _line(node))
                if text.rstrip().endswith(("require", "use")) and not complete:
                    facts.dynamic.append(_line(node))
            elif complete and text:
                facts.files.append(text)
            elif not complete and node.type == "require_expression":
                facts.dynamic.append(_line(node))
                if _PATH_PREFIX.fullmatch(text):
                    facts.prefixes.setdefault(text.replace("/", "::"), _line(node))
        elif node.type == "require_expression":
            facts.dynamic.append(_line(node))


def _call(node: Node, facts: Facts) -> None:
    function = node.child_by_field_name("function")
    name = _text(function).rpartition("::")[2] if function is not None else ""
    arguments = _arguments(node)
    table = load_table("perl")["calls"]
    if name in table["starts"]:
        _start(arguments, facts)
    elif name == "open" and arguments:
        _open(arguments[1:], facts)
    elif name in table["loaders"]:
        _name_all(node, facts)
    elif name in table["libraries"]:
        facts.libraries += [text for a in arguments if (text := literal(a)[0])]


def _open(arguments: list[Node], facts: Facts) -> None:
    """``open FH, '-|', LIST`` and ``open FH, "COMMAND |"`` (perlfunc)."""
    if not arguments:
        return
    mode, _ = literal(arguments[0])
    if mode in ("-|", "|-") and len(arguments) > 1:
        _start(arguments[1:], facts)
    elif mode.strip().startswith("|") or mode.strip().endswith("|"):
        line = mode.strip().strip("|").strip()
        if line:
            facts.starts.append(Start((line,), in_shell=True, line=_line(arguments[0])))


def _start(arguments: list[Node], facts: Facts) -> None:
    members: list[Node] = []
    for argument in arguments:
        is_list = argument.type in ("array_ref_expression", "anonymous_array_expression")
        if is_list or argument.type == "list_expression":
            members += argument.named_children
        else:
            members.append(argument)
    if not members:
        return
    text, complete = literal(members[0])
    if not complete:
        text = text.lstrip().rpartition(" ")[0]
    if not text:
        facts.starts_unknown = True
    elif len(members) == 1:
        facts.starts.append(Start((text,), in_shell=True, line=_line(members[0])))
    else:
        words = [text]
        for member in members[1:]:
            word, is_whole = literal(member)
            if not is_whole or member.type not in _STRINGS:
                break
            words.append(word)
        facts.starts.append(Start(tuple(words), in_shell=False, line=_line(members[0])))


def _arguments(node: Node) -> list[Node]:
    arguments = node.child_by_field_name("arguments")
    if arguments is None:
        return [c for c in node.named_children if c.type in _STRINGS]
    return arguments.named_children if arguments.type == "list_expression" else [arguments]


def _words_in(node: Node) -> list[str]:
    content = next((c for c in node.named_children if c.type == "string_content"), None)
    return _text(content).split() if content is not None else []


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "surrogateescape")


def _captures(data: bytes) -> dict[str, list[Node]]:
    from tree_sitter import Parser, QueryCursor

    language, query = _grammar()
    found = QueryCursor(query).captures(Parser(language).parse(data).root_node)
    return {name: sorted(nodes, key=lambda node: node.start_byte) for name, nodes in found.items()}


@cache
def _grammar() -> tuple[Any, Query]:
    # Imported late: most images are analysed for something else, and it costs time.
    import tree_sitter_perl
    from tree_sitter import Language, Query

    with warnings.catch_warnings():
        # Its binding hands over a plain pointer, which py-tree-sitter takes and frowns upon.
        warnings.simplefilter("ignore", DeprecationWarning)
        language = Language(tree_sitter_perl.language())
    return language, Query(language, _QUERY)


def _line(node: Node) -> int:
    return int(node.start_point[0]) + 1
