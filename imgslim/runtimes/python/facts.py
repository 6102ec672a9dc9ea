"""What one module says that leads to other modules, one by one.

Import statements come from the syntax tree; what others may ask of a module and the dotted names
in its strings from its text, which is far quicker; computed names from the tree again, where the
text shows that there are any.
"""

from __future__ import annotations

import ast
import fnmatch
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

from imgslim.runtimes.python.conditions import Version, version_holds
from imgslim.runtimes.python.dynamic import Dynamics, find_dynamics
from imgslim.runtimes.python.source import (
    Import,
    is_elsewhere,
    is_main_guard,
    is_type_checking,
)
from imgslim.runtimes.python.tables import hidden, tight

_DYNAMIC = re.compile(
    rb"import_module|__import__|import_string|find_spec|pkgutil|resources"
    rb"|(?:[iI]mport|[lL]azy|require|load_?module|optional_dep)\w*\("
)
_ACCESS = re.compile(rb"(?<![\w.])([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)+)")
_WORD = re.compile(rb"[A-Za-z_]\w*")
_DOTTED = re.compile(rb"""["']([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?::[\w.]+)?["']""")
_QUOTED = re.compile(rb"""["']([A-Za-z_]\w+)["']""")
_PREFIX = re.compile(rb"""["']((?:[A-Za-z_]\w*\.)+)(?:%s|%\(|\{)""")
_TEXT_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+\(?([\w, \t]*)|import[ \t]+([\w., \t]+))",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What one module says that can lead to others."""

    imports: tuple[Import, ...]
    deferred: tuple[tuple[frozenset[str], Import], ...]
    """What its ``__getattr__`` (PEP 562) imports: for certain names, where it compares; else for
    any."""
    names: frozenset[str]
    """Dotted names in its strings."""
    words: frozenset[str]
    """Single words in its strings, where it imports a name that nothing tells."""
    prefixes: frozenset[str]
    """Packages in whose name a string ends before a placeholder."""
    accesses: frozenset[str]
    """Dotted names as the code asks for them, aliases and relative names (with leading dots)
    resolved to what they were imported from."""
    dynamics: Dynamics
    listed: frozenset[str]
    """The packages whose members it looks up on disk; "" is its own."""
    bound: frozenset[str]
    """What it defines itself."""
    lazy: bool
    """Whether it answers for more than that (PEP 562)."""
    replaced: bool
    """Whether another object answers for all of it."""
    star: bool
    """Whether it takes over all names of another module."""
    self_run: frozenset[int] = frozenset()
    """The scopes of functions that by their names are for ``python -m module``; none where it
    runs so."""


def read_facts(
    data: bytes, name: str, package: str, *, runs: bool = False, version: Version | None = None
) -> Facts | None:
    """The facts of a module; None if it cannot be parsed.

    ``name`` and ``package`` are its ``__name__`` and ``__package__``; ``runs``: as a program, so
    that the body of ``if __name__ == "__main__":`` counts; ``version`` is the interpreter's, by
    which conditions on it are decided.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
        reader = _Statements(name, runs, version)
        reader.read(tree)
        dynamics = Dynamics()
        if _DYNAMIC.search(data):
            dynamics = find_dynamics(tree, {"__name__": name, "__package__": package}, package)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Facts(
        imports=tuple(reader.imports),
        deferred=tuple(reader.deferred),
        names=frozenset(_found(_DOTTED, data)),
        words=_words_beside(dynamics, data),
        prefixes=frozenset(found.rstrip(".") for found in _found(_PREFIX, data)),
        accesses=frozenset(_accesses(data, reader.aliases)),
        dynamics=dynamics,
        listed=frozenset(_source_of(name, reader.aliases) for name in dynamics.listed),
        bound=frozenset(reader.bound),
        lazy=reader.replaces_itself or "__getattr__" in reader.bound,
        replaced=reader.replaces_itself,
        star=reader.star,
        self_run=frozenset(() if runs else reader.self_run),
    )


def run_imports(facts: Facts, module: str, *, standard: bool = False) -> Iterator[Import]:
    """The imports of a module, without those of its functions that are for tests and for people;
    ``standard``: of the standard library, whose modules test and show themselves."""
    if is_for_tests(module):
        return
    is_for_people = module in tight().for_people
    self_run = facts.self_run if standard else frozenset()
    tests = {
        imported.scope
        for imported in facts.imports
        if imported.module.partition(".")[0] in hidden().test_tools and not imported.level
    }
    for imported in facts.imports:
        aside = is_for_people or imported.scope in tests or imported.scope in self_run
        if not (imported.scope and aside):
            yield imported


def is_for_tests(module: str) -> bool:
    """Whether a module's imports serve the tests of its distribution alone."""
    return any(fnmatch.fnmatchcase(module, pattern) for pattern in tight().for_tests)


def text_imports(data: bytes) -> Iterator[Import]:
    """The imports of a source that cannot be parsed, as its lines look."""
    for dots, source, names, modules in _TEXT_IMPORT.findall(data):
        if modules:
            for part in modules.split(b","):
                words = part.split()
                if words:
                    yield Import(words[0].decode("ascii", "replace"))
            continue
        wanted = tuple(
            word.split()[0].decode("ascii", "replace") for word in names.split(b",") if word.split()
        )
        yield Import(source.decode("ascii", "replace"), wanted, len(dots))


def attributes_in(data: bytes) -> frozenset[str]:
    """The names that a source really asks for, attributes and imported names among them: those of
    its code, not of its comments or texts."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pending = [compile(data, "<source>", "exec", dont_inherit=True)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(_found(_WORD, data))
    found: set[str] = set()
    while pending:
        code = pending.pop()
        found.update(part for name in code.co_names for part in name.split("."))
        pending.extend(const for const in code.co_consts if isinstance(const, CodeType))
    return frozenset(found)


def _words_beside(dynamics: Dynamics, data: bytes) -> frozenset[str]:
    unknown = any(spot.pieces[0] is None for spot in dynamics.spots)
    return frozenset(_found(_QUOTED, data)) if unknown else frozenset()


def _found(pattern: re.Pattern[bytes], data: bytes) -> Iterator[str]:
    return (name.decode("ascii", "replace") for name in set(pattern.findall(data)))


def _source_of(name: str, aliases: dict[str, str]) -> str:
    """What a dotted name was imported from."""
    head, dot, rest = name.partition(".")
    return f"{aliases.get(head, head)}{dot}{rest}"


def _accesses(data: bytes, aliases: dict[str, str]) -> Iterator[str]:
    for head, rest in set(_ACCESS.findall(data)):
        source = aliases.get(head.decode("ascii", "replace"))
        if source is not None:
            yield source + rest.decode("ascii", "replace")


def _compared(test: ast.expr) -> frozenset[str]:
    """The names for which ``name == "x"`` or ``name in ("x", "y")`` holds; empty: for any."""
    match test:
        case ast.Compare(ops=[ast.Eq()], comparators=[ast.Constant(value=str() as text)]):
            return frozenset((text,))
        case (
            ast.Compare(ops=[ast.In()], comparators=[ast.Tuple(elts=items) | ast.List(elts=items)])
            | ast.Compare(ops=[ast.In()], comparators=[ast.Set(elts=items)])
        ):
            values = [item.value for item in items if isinstance(item, ast.Constant)]
            texts = frozenset(value for value in values if isinstance(value, str))
            return texts if len(texts) == len(items) else frozenset()
    return frozenset()


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class _Statements:
    """Walks the statements of a module, leaving out what only type checkers see."""

    def __init__(self, name: str, runs: bool, version: Version | None) -> None:
        self._name = name
        self._runs = runs
        self._version = version
        self._scope = 0
        self.imports: list[Import] = []
        self.deferred: list[tuple[frozenset[str], Import]] = []
        self.aliases: dict[str, str] = {}
        self.bound: set[str] = set()
        self.replaces_itself = False
        self.star = False
        self.self_run: set[int] = set()

    def read(self, tree: ast.Module) -> None:
        self._read(tree.body, top=True)

    def _defer(self, function: ast.FunctionDef) -> None:
        for statement in function.body:
            branch: ast.stmt | None = statement
            while isinstance(branch, ast.If):
                self._take_deferred(_compared(branch.test), branch.body)
                chained = len(branch.orelse) == 1 and isinstance(branch.orelse[0], ast.If)
                if not chained:
                    self._take_deferred(frozenset(), branch.orelse)
                branch = branch.orelse[0] if chained else None
            if branch is not None:
                self._take_deferred(frozenset(), [branch])

    def _take_deferred(self, names: frozenset[str], body: list[ast.stmt]) -> None:
        kept, self.imports = self.imports, []
        self._read(body, top=False, scope=body[0].lineno if body else 0)
        self.deferred += [(names, imported) for imported in self.imports]
        self.imports = kept

    def _read(self, body: list[ast.stmt], *, top: bool, scope: int = 0) -> None:
        pending: list[tuple[ast.AST, bool, bool, int]] = [
            (node, top, top, scope) for node in reversed(body)
        ]
        while pending:
            node, top, firm, self._scope = pending.pop()
            if top and isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
                self.bound.add(node.name)
                self._defer(node)
                continue
            self._visit(node, top, firm)
            inner = top and not isinstance(node, _SCOPES)
            firm = firm and isinstance(node, ast.ClassDef)
            scope = self._scope
            if not scope and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                scope = node.lineno
            pending.extend((child, inner, firm, scope) for child in reversed(self._below(node)))

    def _below(self, node: ast.AST) -> list[ast.AST]:
        if isinstance(node, ast.If) and (
            is_type_checking(node.test)
            or is_elsewhere(node.test)
            or (not self._runs and is_main_guard(node.test))
        ):
            return list(node.orelse)
        if isinstance(node, ast.If):
            holds = version_holds(node.test, self._version)
            if holds is not None:
                return list(node.body if holds else node.orelse)
        if isinstance(node, ast.expr):
            return []
        blocks = ("body", "handlers", "orelse", "finalbody", "cases")
        return [child for block in blocks for child in getattr(node, block, ())]

    def _visit(self, node: ast.AST, top: bool, firm: bool) -> None:
        match node:
            case ast.Import():
                self._import(node, top, firm)
            case ast.ImportFrom():
                self._import_from(node, top, firm)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if top:
                    self.bound.add(node.name)
                    if tight().self_run.fullmatch(node.name):
                        self.self_run.add(node.lineno)
            case ast.Assign(targets=targets) if top:
                self._assign(targets)
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if top and value:
                self.bound.add(name)

    def _import(self, node: ast.Import, top: bool, firm: bool) -> None:
        for name in node.names:
            bound = name.asname or name.name.partition(".")[0]
            self.aliases[bound] = name.name if name.asname else bound
            found = Import(name.name, (), 0, node.lineno, firm, self._scope)
            self.imports.append(found)
            if top:
                self.bound.add(bound)

    def _import_from(self, node: ast.ImportFrom, top: bool, firm: bool) -> None:
        names = tuple(name.name for name in node.names)
        module = node.module or ""
        self.imports.append(Import(module, names, node.level, node.lineno, firm, self._scope))
        source = "." * node.level + (node.module or "")
        joint = "" if source.endswith(".") else "."
        for name in node.names:
            if name.name == "*":
                self.star = self.star or top
                continue
            self.aliases[name.asname or name.name] = f"{source}{joint}{name.name}"
            if top:
                self.bound.add(name.asname or name.name)

    def _assign(self, targets: list[ast.expr]) -> None:
        for target in targets:
            match target:
                case ast.Name(id="__getattr__"):
                    self.replaces_itself = True
                case ast.Subscript(value=ast.Attribute(attr="modules"), slice=key):
                    own = not isinstance(key, ast.Constant) or key.value == self._name
                    self.replaces_itself = self.replaces_itself or own
                case ast.Name(id=name):
                    self.bound.add(name)
                case ast.Tuple(elts=elements):
                    self._assign(elements)
