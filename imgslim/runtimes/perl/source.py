"""What a Perl source names: modules, programs, libraries.

Read from the syntax tree of the tree-sitter grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from imgslim.runtimes.literal_starts import Start
from imgslim.runtimes.syntax_trees import Grammar, captures, grammar, line_of, text_of
from imgslim.tables import load_table

if TYPE_CHECKING:
    from tree_sitter import Node

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
    found = captures(data, _grammar())
    for node in found.get("use", ()):
        _use(node, facts)
    for node in (*found.get("require", ()), *found.get("eval", ())):
        _require(node, facts)
    for node in found.get("call", ()):
        _call(node, facts)
    for node in found.get("command", ()):
        _start([node], facts)
    for node in found.get("class", ()):
        facts.texts.setdefault(text_of(node), line_of(node))
    for node in (*found.get("string", ()), *found.get("bare", ())):
        _string(node, facts)
    for node in found.get("words", ()):
        for word in _words_in(node):
            facts.texts.setdefault(word, line_of(node))
    return facts


def _string(node: Node, facts: Facts) -> None:
    text, complete = literal(node)
    if complete:
        facts.texts.setdefault(text, line_of(node))
    if _PREFIX.fullmatch(text):
        facts.prefixes.setdefault(text, line_of(node))
    if match := _SOURCE_NAME.match(text):
        facts.texts.setdefault(match[1], line_of(node))


def is_module_name(text: str) -> bool:
    """Whether a text may be the name of a module."""
    return len(text) < 120 and _SHORT.fullmatch(text) is not None


def literal(node: Node) -> tuple[str, bool]:
    """The text of a string and whether it is all of it: up to what is interpolated, else."""
    if node.type in ("autoquoted_bareword", "bareword"):
        return text_of(node).lstrip("-"), True
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
    if package is not None and not text_of(node).startswith("no "):
        name = text_of(package)
        facts.modules.setdefault(name, line_of(node))
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
                facts.modules.setdefault(text, line_of(node))
        elif child.type == "quoted_word_list":
            for word in filter(is_module_name, _words_in(child)):
                facts.modules.setdefault(word, line_of(node))
        else:
            pending += child.named_children


def _require(node: Node, facts: Facts) -> None:
    """``require``, and ``do FILE`` and ``eval TEXT``, which the grammar has in one kind."""
    for child in node.named_children:
        inner = (
            child.named_children[0] if child.type == "filename" and child.named_children else child
        )
        if inner.type in ("bareword", "package"):
            facts.modules.setdefault(text_of(inner), line_of(node))
        elif inner.type in _STRINGS:
            text, complete = literal(inner)
            if node.type == "eval_expression" and child.type != "filename":
                for name in _REQUIRE.findall(text):
                    facts.modules.setdefault(name, line_of(node))
                if text.rstrip().endswith(("require", "use")) and not complete:
                    facts.dynamic.append(line_of(node))
            elif complete and text:
                facts.files.append(text)
            elif not complete and node.type == "require_expression":
                facts.dynamic.append(line_of(node))
                if _PATH_PREFIX.fullmatch(text):
                    facts.prefixes.setdefault(text.replace("/", "::"), line_of(node))
        elif node.type == "require_expression":
            facts.dynamic.append(line_of(node))


def _call(node: Node, facts: Facts) -> None:
    function = node.child_by_field_name("function")
    name = text_of(function).rpartition("::")[2] if function is not None else ""
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
            facts.starts.append(Start((line,), in_shell=True, line=line_of(arguments[0])))


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
        facts.starts.append(Start((text,), in_shell=True, line=line_of(members[0])))
    else:
        words = [text]
        for member in members[1:]:
            word, is_whole = literal(member)
            if not is_whole or member.type not in _STRINGS:
                break
            words.append(word)
        facts.starts.append(Start(tuple(words), in_shell=False, line=line_of(members[0])))


def _arguments(node: Node) -> list[Node]:
    arguments = node.child_by_field_name("arguments")
    if arguments is None:
        return [c for c in node.named_children if c.type in _STRINGS]
    return arguments.named_children if arguments.type == "list_expression" else [arguments]


def _words_in(node: Node) -> list[str]:
    content = next((c for c in node.named_children if c.type == "string_content"), None)
    return text_of(content).split() if content is not None else []


@cache
def _grammar() -> Grammar:
    import tree_sitter_perl

    return grammar(tree_sitter_perl.language(), _QUERY)
