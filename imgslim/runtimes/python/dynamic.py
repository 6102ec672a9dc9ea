"""Imports whose name a program computes: what the name can be, as far as its module says.

A name is a row of pieces: known text, and ``None`` for what is known only at run time. Constants,
f-strings, ``+``, ``%``, ``format``, ``join``, names bound to constants, loops over constant
collections and look-ups in constant dictionaries are computed; every binding of a name counts,
whichever function it is in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from imgslim.runtimes.python.tables import hidden

Pieces = tuple[str | None, ...]
"""One form of a computed name; neighbouring texts are joined."""

_UNKNOWN: tuple[Pieces, ...] = ((None,),)
_MOST_FORMS = 400
_PERCENT = re.compile(r"%(?:\(\w+\))?[-#0 +]*\d*(?:\.\d+)?[diouxXeEfFgGcrsa]")
_FIELD = re.compile(r"\{[^{}]*\}")
_IMPORTING = re.compile(r"(?i)import|lazy|require|load_?module|optional_dep")
_LISTING = frozenset(("listdir", "scandir", "glob", "iglob", "rglob", "iterdir", "walk"))


@dataclass(frozen=True, slots=True)
class Spot:
    """An import of a computed module name: what it can be, and where.

    ``lazy``: in a module's own ``__getattr__`` (PEP 562), so done for what others ask of it.
    """

    pieces: Pieces
    line: int
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Dynamics:
    """What a module loads by computed names.

    ``modules`` are names that could be computed in full, with their lines; ``listed`` the packages
    whose members it looks up on disk ("" is its own). ``handed``: it imports what callers hand
    over, who spell the names.
    """

    spots: tuple[Spot, ...] = ()
    modules: tuple[tuple[str, int], ...] = ()
    listed: tuple[str, ...] = ()
    handed: bool = False


def find_dynamics(tree: ast.Module, constants: Mapping[str, str], package: str) -> Dynamics:
    """The computed imports of a module.

    ``constants`` are the values of ``__name__`` and ``__package__``, ``package`` the package that
    names with leading dots are relative to.
    """
    nodes = [(statement, node) for statement in tree.body for node in ast.walk(statement)]
    reader = _Reader(_bindings(nodes, constants), package)
    reader.read(nodes)
    handed = bool(reader.importers.calls)
    return Dynamics(tuple(reader.spots), tuple(reader.modules), tuple(reader.listed), handed)


_Nodes = Sequence[tuple[ast.stmt, ast.AST]]
"""Every node of a module, with the statement at its top that it is in."""


def _bindings(nodes: _Nodes, constants: Mapping[str, str]) -> dict[str, list[ast.expr | None]]:
    """Every expression that a name is bound to anywhere in the module; None for an unknown."""
    found: dict[str, list[ast.expr | None]] = {
        name: [ast.Constant(value)] for name, value in constants.items()
    }
    for _, node in nodes:
        for target, value in _bound(node):
            match target:
                case ast.Name(id=name):
                    found.setdefault(name, []).append(value)
                case ast.Tuple(elts=targets):
                    for index, one in enumerate(targets):
                        if isinstance(one, ast.Name):
                            found.setdefault(one.id, []).append(_part(value, index))
    return found


def _bound(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((target, value) for target in targets)
        case ast.AnnAssign(target=target, value=value) if value is not None:
            yield target, value
        case ast.NamedExpr(target=target, value=value):
            yield target, value
        case ast.For(target=target, iter=items) | ast.comprehension(target=target, iter=items):
            yield target, ast.Starred(items)
        case ast.arg(arg=name):
            yield ast.Name(name), None


def _part(value: ast.expr | None, index: int) -> ast.expr | None:
    """What the name at ``index`` of several ranges over: ``for key, value in TABLE.items()``,
    ``for name, version in (("numpy", "1.23"), ...)``; None for an unknown."""
    match value:
        case ast.Starred(value=ast.Call(func=ast.Attribute(value=table, attr="items"), args=[])):
            part = ("keys", "values")[index] if index < 2 else ""
            return ast.Starred(ast.Call(ast.Attribute(table, part), [], []))
        case ast.Starred(value=ast.List(elts=rows) | ast.Tuple(elts=rows) | ast.Set(elts=rows)):
            cells = [
                row.elts[index]
                for row in rows
                if isinstance(row, ast.Tuple | ast.List) and index < len(row.elts)
            ]
            return ast.Starred(ast.List(cells)) if len(cells) == len(rows) else None
    return None


class _Reader:
    def __init__(self, bindings: Mapping[str, list[ast.expr | None]], package: str) -> None:
        self._bindings = bindings
        self._package = package
        self._open: set[str] = set()
        self.importers = _Importers()
        self.spots: list[Spot] = []
        self.modules: list[tuple[str, int]] = []
        self.listed: dict[str, None] = {}

    def read(self, nodes: _Nodes) -> None:
        lists = knows_place = False
        self.importers = _importers(nodes)
        for statement, node in nodes:
            match node:
                case ast.Call():
                    lists |= self._call(node, _is_getattr(statement))
                case ast.Name(id="__file__" | "__path__"):
                    knows_place = True
        unknown = any(spot.pieces[0] is None for spot in self.spots)
        if lists and knows_place and (unknown or self.importers.calls):
            self.listed[""] = None

    def _call(self, node: ast.Call, lazy: bool) -> bool:
        """Note what a call imports; whether it lists a directory."""
        last = _dotted(node.func).rpartition(".")[2]
        kind = _kind(node)
        if kind == "module" and node.args:
            self._imports(node, lazy)
        elif kind == "members" and node.args:
            self._members(node.args[0])
        elif _IMPORTING.search(last) or last in self.importers.functions:
            self._handed(node)
        return last in _LISTING

    def _imports(self, node: ast.Call, lazy: bool) -> None:
        package = node.args[1] if len(node.args) > 1 else None
        named = next((k.value for k in node.keywords if k.arg == "package"), package)
        bases = self.forms(named) if named is not None else ((self._package,),)
        if id(node) in self.importers.calls or _is_loaded(node.args[0]):
            return  # what callers hand over counts where they do
        for pieces in self.forms(node.args[0]):
            for base in bases:
                absolute = _absolute(pieces, base, self._package)
                if len(absolute) == 1 and absolute[0] is not None:
                    self.modules.append((absolute[0].partition(":")[0], node.lineno))
                else:
                    self.spots.append(Spot(absolute, node.lineno, lazy))

    def _handed(self, node: ast.Call) -> None:
        """A function that by its name imports what it is given."""
        for argument in node.args[:2]:
            for pieces in self.forms(argument):
                known = pieces[0]
                if known is not None and len(pieces) == 1:
                    self.modules.append((known.partition(":")[0], node.lineno))
                elif known is not None and "." in known:
                    self.spots.append(Spot(pieces, node.lineno))

    def _members(self, node: ast.expr) -> None:
        """``pkgutil.iter_modules(X.__path__)``: X's members; of any other place: its own."""
        match node:
            case ast.Attribute(value=value, attr="__path__"):
                self.listed[_dotted(value)] = None
            case _:
                self.listed[""] = None

    def forms(self, node: ast.expr | None) -> tuple[Pieces, ...]:
        """All that an expression can be; an unknown for what cannot be said."""
        match node:
            case ast.Constant(value=str() as text):
                return ((text,),)
            case ast.JoinedStr(values=values):
                return _joined(self.forms(value) for value in values)
            case ast.FormattedValue(value=value):
                return self.forms(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _joined((self.forms(left), self.forms(right)))
            case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Mod(), right=right):
                given = right.elts if isinstance(right, ast.Tuple) else [right]
                return self._filled(_PERCENT, text, given)
            case ast.Call():
                return self._of_call(node)
            case ast.Subscript(value=ast.Name() as table):
                return self._members_of(table, "values") or _UNKNOWN
            case ast.IfExp(body=body, orelse=other):
                return (*self.forms(body), *self.forms(other))
            case ast.BoolOp(values=values):
                return tuple(form for value in values for form in self.forms(value))
            case ast.Name(id=name):
                return self._of_name(name)
        return _UNKNOWN

    def _of_call(self, node: ast.Call) -> tuple[Pieces, ...]:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr=attr)):
                if attr == "format":
                    return self._filled(_FIELD, text, node.args)
                if attr == "join" and node.args and isinstance(node.args[0], ast.List | ast.Tuple):
                    parts = [self.forms(element) for element in node.args[0].elts]
                    return _joined(_between(parts, ((text,),)))
            case ast.Call(func=ast.Attribute(value=ast.Name() as table, attr="get")):
                return self._members_of(table, "values") or _UNKNOWN
            case ast.Call(func=ast.Name(id="str"), args=[argument]):
                return self.forms(argument)
        return _UNKNOWN

    def _of_name(self, name: str) -> tuple[Pieces, ...]:
        if name in self._open:
            return _UNKNOWN
        self._open.add(name)
        try:
            found: dict[Pieces, None] = {}
            for value in self._bindings.get(name, (None,)):
                forms = self.forms(value)
                if isinstance(value, ast.Starred):
                    forms = self._members_of(value.value, "keys") or _UNKNOWN
                found.update(dict.fromkeys(forms))
            return tuple(islice(found, _MOST_FORMS)) or _UNKNOWN
        finally:
            self._open.discard(name)

    def _members_of(self, node: ast.expr, part: str) -> tuple[Pieces, ...]:
        """The constants in a collection (of a dictionary: its keys or values)."""
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return tuple(form for element in elements for form in self.forms(element))
            case ast.Dict(keys=keys, values=values):
                chosen = keys if part == "keys" else values
                return tuple(form for element in chosen for form in self.forms(element))
            case ast.Call(func=ast.Attribute(value=table, attr="keys" | "values" as part)):
                return self._members_of(table, part)
            case ast.Name(id=name) if name not in self._open:
                self._open.add(name)
                values = [value for value in self._bindings.get(name, ()) if value is not None]
                found = [form for value in values for form in self._members_of(value, part)]
                self._open.discard(name)
                return tuple(found[:_MOST_FORMS])
        return ()

    def _filled(
        self, field: re.Pattern[str], text: str, given: Iterable[ast.expr]
    ) -> tuple[Pieces, ...]:
        texts = field.split(text)
        forms = [self.forms(value) for value in given]
        forms += [_UNKNOWN] * (len(texts) - 1 - len(forms))
        parts: list[tuple[Pieces, ...]] = [((texts[0],),)]
        for filler, after in zip(forms, texts[1:], strict=False):
            parts += [filler, ((after,),)]
        return _joined(parts)


def _is_getattr(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef) and statement.name == "__getattr__"


def _is_loaded(name: ast.expr) -> bool:
    """``import_module(cls.__module__)``: what a living object tells is loaded already."""
    return isinstance(name, ast.Attribute) and name.attr == "__module__"


@dataclass(frozen=True, slots=True)
class _Importers:
    """Functions that import what a parameter of theirs names, and their calls that do, by
    identity: what callers hand over is looked at where they call, and names that other modules
    spell are found in their strings."""

    functions: frozenset[str] = frozenset()
    calls: frozenset[int] = frozenset()


def _importers(nodes: _Nodes) -> _Importers:
    functions: set[str] = set()
    calls: set[int] = set()
    for _, function in nodes:
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = function.args
        names = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        inner = list(ast.walk(function))
        if not _IMPORTING.search(function.name):
            names -= {
                target.id
                for node in inner
                for target, value in _bound(node)
                if isinstance(target, ast.Name) and value is not None
            }
        for node in inner:
            match node:
                case ast.Call(args=[ast.Name(id=name), *more]) if name in names:
                    if _kind(node) == "module" and not _may_be_relative(node, more):
                        functions.add(function.name)
                        calls.add(id(node))
    return _Importers(frozenset(functions), frozenset(calls))


def _kind(node: ast.Call) -> str | None:
    name = _dotted(node.func)
    return hidden().calls.get(name) or hidden().calls.get(name.rpartition(".")[2])


def _may_be_relative(node: ast.Call, more: Sequence[ast.expr]) -> bool:
    """Whether an import says what names with leading dots are relative to (importlib)."""
    by_keyword = any(keyword.arg in ("package", "level") for keyword in node.keywords)
    return by_keyword or (bool(more) and _dotted(node.func).endswith("import_module"))


def _between(parts: list[tuple[Pieces, ...]], glue: tuple[Pieces, ...]) -> list[tuple[Pieces, ...]]:
    spread = [item for part in parts for item in (glue, part)]
    return spread[1:]


def _joined(parts: Iterable[tuple[Pieces, ...]]) -> tuple[Pieces, ...]:
    """Every way to put the parts after each other, with neighbouring texts made one."""
    found: dict[Pieces, None] = {}
    for choice in islice(product(*parts), _MOST_FORMS):
        pieces: list[str | None] = []
        for piece in (piece for form in choice for piece in form):
            last = pieces[-1] if pieces else None
            if isinstance(piece, str) and isinstance(last, str):
                pieces[-1] = last + piece
            elif piece != "" and not (piece is None and pieces and last is None):
                pieces.append(piece)
        found[tuple(pieces) or ("",)] = None
    return tuple(found)


def _absolute(pieces: Pieces, base: Pieces, own: str) -> Pieces:
    """``import_module(".x", package)``: a name with leading dots is relative (PEP 328)."""
    first = pieces[0]
    if first is None or not first.startswith("."):
        return pieces
    name = first.lstrip(".")
    start = base[0] if len(base) == 1 and base[0] else own
    above = start.split(".")
    kept = above[: len(above) - (len(first) - len(name) - 1)]
    return (".".join([*kept, name]), *pieces[1:])


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
