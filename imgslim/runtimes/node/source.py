"""What a JavaScript or TypeScript source names: modules, files, programs.

Read from the syntax tree of the tree-sitter grammars; what an expression is worth is
``values.py``'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from imgslim.runtimes.node.tables import node_table
from imgslim.runtimes.node.values import (
    Value,
    arguments_of,
    evaluate,
    function_name,
    options_of,
    words_of,
)
from imgslim.runtimes.syntax_trees import Grammar, captures, grammar, line_of, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_LARGEST_BYTES = 8 << 20
"""A bundle of that size has its modules inside; the grammar would take seconds for it."""

_LONGEST_STRING = 300
"""Characters of a string that may be a path or a name."""

_QUERY = """
(import_statement source: (string) @import)
(export_statement source: (string) @import)
(call_expression) @call
(new_expression) @new
(variable_declarator name: (identifier) value: (_)) @variable
(string) @string
(template_string) @string
((identifier) @directory (#eq? @directory "__dirname"))
((member_expression) @directory (#eq? @directory "import.meta.dirname"))
((identifier) @alias (#eq? @alias "require"))
"""
_TYPED_QUERY = "(import_require_clause source: (string) @import)"
_REQUIRE = re.compile(r"^(?!__webpack|createRequire).*require", re.IGNORECASE)
_SPECIFIER = re.compile(
    rb"""(?:\brequire\w*\s*\(|\.resolve\(|\bfrom|\bimport\s*\(|\bimport)\s*["'`]([^"'`\n]{1,200})["'`]"""
)


@dataclass(frozen=True, slots=True)
class Start:
    """A program that a source starts: ``words`` as far as they are known, in a shell or not."""

    words: tuple[str, ...]
    in_shell: bool
    line: int


@dataclass(slots=True)
class Facts:
    """What one source says. ``modules`` are (value, line) of what it requires or imports;
    ``files`` values that name files; ``dynamic`` the lines of requires that nothing is known of."""

    modules: list[tuple[Value, int]] = field(default_factory=list)
    files: list[tuple[Value, int]] = field(default_factory=list)
    strings: dict[str, int] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    dynamic: list[int] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)


def quick_specifiers(data: bytes) -> frozenset[str]:
    """What may be specifiers in a source, quickly: a filter for what is worth parsing, no more."""
    return frozenset(found.decode("utf-8", "replace") for found in _SPECIFIER.findall(data))


def read_source(data: bytes, extension: str) -> Facts:
    """The facts of a source; ``extension`` (``.ts`` …) says in which language it is."""
    facts = Facts()
    if not data or len(data) > _LARGEST_BYTES:
        facts.dynamic += [1] if data else []
        return facts
    try:
        found = captures(data, _grammar(extension))
        _read(found, facts, any(m in data for m in node_table().call_markers))
    except RecursionError:
        facts.dynamic.append(1)
    return facts


def _read(found: dict[str, list[Node]], facts: Facts, starts_programs: bool) -> None:
    requirers = {"require"}
    for node in found.get("variable", ()):
        name, given = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None or given is None:
            continue
        facts.variables.setdefault(text_of(name), given)
        if given.type == "call_expression" and function_name(given) == "createRequire":
            requirers.add(text_of(name))
    for node in found.get("import", ()):
        facts.modules += [(value, line_of(node)) for value in evaluate(node, facts.variables)]
    for node in found.get("call", ()):
        _call(node, facts, requirers, starts_programs)
    for node in found.get("new", ()):
        _new(node, facts)
    for node in found.get("directory", ()):
        _directory(node, facts)
    for node in found.get("string", ()):
        text = evaluate(node)[0].text
        if len(text) <= _LONGEST_STRING:
            facts.strings.setdefault(text, line_of(node))
    facts.dynamic += [line_of(n) for n in found.get("alias", ()) if _is_handed_on(n)]


def _call(node: Node, facts: Facts, requirers: set[str], starts_programs: bool) -> None:
    function = node.child_by_field_name("function")
    if function is None:
        return
    arguments = arguments_of(node)
    if function.type == "import" or _is_require(function, requirers):
        first = arguments[0] if arguments else None
        if first is not None:
            _module(first, facts)
        return
    name = function_name(node)
    if name in ("join", "resolve"):
        values = evaluate(node, facts.variables)
        facts.files += [(value, line_of(node)) for value in values if value.based]
        return
    kind = node_table().calls.get(name) if starts_programs else None
    if kind is None or not arguments:
        return
    if kind == "file":
        _file(arguments[0], facts)
        return
    in_shell = kind == "line" or "shell" in options_of(arguments)
    for words in words_of(arguments, facts.variables, line=kind == "line"):
        facts.starts.append(Start(words, in_shell, line_of(node)))


def _is_require(function: Node, requirers: set[str]) -> bool:
    if function.type == "identifier":
        name = text_of(function)
        return name in requirers or _REQUIRE.match(name) is not None
    if function.type != "member_expression":
        return False
    whole = text_of(function)
    return whole in ("import.meta.resolve", "module.require") or any(
        whole in (f"{name}.resolve", f"{name}.require") for name in requirers
    )


def _module(argument: Node, facts: Facts) -> None:
    values = evaluate(argument, facts.variables)
    line = line_of(argument)
    for value in values:
        if value.text or value.based:
            facts.modules.append((value, line))
        else:
            facts.dynamic.append(line)


def _file(argument: Node, facts: Facts) -> None:
    for value in evaluate(argument, facts.variables):
        if value.text:
            facts.files.append((value, line_of(argument)))


def _new(node: Node, facts: Facts) -> None:
    constructor = node.child_by_field_name("constructor")
    name = text_of(constructor) if constructor is not None else ""
    if name.rpartition(".")[2] in ("Worker", "URL"):
        arguments = arguments_of(node)
        if name.endswith("URL"):
            values = [v for v in evaluate(node, facts.variables) if v.based]
            facts.files += [(value, line_of(node)) for value in values]
        elif arguments:
            _file(arguments[0], facts)


def _directory(node: Node, facts: Facts) -> None:
    """The outermost expression around ``__dirname`` of which something is known."""
    best: tuple[Value, ...] = evaluate(node, facts.variables)
    around = node.parent
    for _ in range(6):
        if around is None:
            break
        if around.type == "call_expression" and _is_require(
            around.child_by_field_name("function") or around, {"require"}
        ):
            return  # told as a module
        if around.type in ("call_expression", "binary_expression", "template_string"):
            values = tuple(v for v in evaluate(around, facts.variables) if v.based)
            if not values:
                break
            best = values
        elif around.type not in ("arguments", "template_substitution", "parenthesized_expression"):
            break
        around = around.parent
    facts.files += [(value, line_of(node)) for value in best]


def _is_handed_on(node: Node) -> bool:
    """Whether ``require`` itself is given away: what it is asked then, nobody can tell."""
    parent = node.parent
    if parent is None or parent.type in ("member_expression", "formal_parameters", "pair_pattern"):
        return False
    if parent.type == "call_expression":
        return False
    if node in (parent.child_by_field_name("name"), parent.child_by_field_name("left")):
        return False
    if parent.type in ("unary_expression", "binary_expression", "object_pattern", "new_expression"):
        return False  # typeof require, require === x
    return parent.type in ("arguments", "variable_declarator", "assignment_expression", "pair")


@cache
def _grammar(extension: str) -> Grammar:
    if extension in (".ts", ".mts", ".cts", ".tsx"):
        import tree_sitter_typescript as typescript

        pointer = (
            typescript.language_tsx() if extension == ".tsx" else typescript.language_typescript()
        )
        return grammar(pointer, _QUERY + _TYPED_QUERY)
    import tree_sitter_javascript as javascript

    return grammar(javascript.language(), _QUERY)
