"""What a Python source says: a quick superset by pattern, the whole by its syntax tree.

The language's reference: docs.python.org, "The import statement". Sources are those of the image:
Python 3.6 to 3.14, perhaps of a newer grammar than the running one knows.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

RELATIVE = ""
"""The candidate name that stands for any relative import."""

_IMPORT = re.compile(rb"import(?:[^\w\n]|_module|__|_string)")
_FROM = re.compile(rb"(?:^|[\s;:])from[\s\\]*(\.*)[\s\\]*([\w.]*)[\s\\]*$")
_MODULES = re.compile(rb"import[\s\\]+(.*)", re.DOTALL)
_CALLED = re.compile(rb"""import(?:_module|__|_string)\s*\(\s*[rbuf]*["'](\.*)([\w.]+)""")
_NAME = re.compile(rb"\s*(\w+)")
_LONGEST_STATEMENT = 4096


def candidate_names(data: bytes) -> set[str]:
    """Every top-level name that ``data`` may import, and perhaps some that it does not.

    ``RELATIVE`` is among them if there may be a relative import.
    """
    names: set[bytes] = set()
    for match in _IMPORT.finditer(data):
        start = match.start()
        line_start = data.rfind(b"\n", 0, start) + 1
        before = data[line_start:start]
        if line_start > 1 and data[line_start - 2 : line_start - 1] in (b"\\", b"\r"):
            before = data[data.rfind(b"\n", 0, line_start - 1) + 1 : start]
        if b"from" in before and (source := _FROM.search(before)):
            names.add(b"" if source[1] else source[2].partition(b".")[0])
        else:
            names.update(_imported(data, start))
    return {name.decode("ascii", "replace") for name in names}


def _imported(data: bytes, start: int) -> Iterator[bytes]:
    if data[start + 6 : start + 7] == b"_":
        # The literal may stand on the line below.
        called = _CALLED.match(data, start)
        if called:
            yield b"" if called[1] else called[2].partition(b".")[0]
        return
    statement = data[start : _line_end(data, start)]
    while statement.endswith((b"\\", b"\\\r")) and len(statement) < _LONGEST_STATEMENT:
        statement = data[start : _line_end(data, start + len(statement) + 1)]
    modules = _MODULES.match(statement)
    if modules:
        for part in modules[1].replace(b"\\", b" ").split(b","):
            name = _NAME.match(part)
            if name:
                yield name[1]


def _line_end(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end


@dataclass(frozen=True, slots=True)
class Import:
    """``import module`` (no ``names``), or ``from module import names`` with ``level`` dots.

    ``firm``: done whenever the module is loaded, outside of functions, conditions and ``try``.
    ``scope``: the line of the outermost function that it is in; 0 outside of functions.
    """

    module: str
    names: tuple[str, ...] = ()
    level: int = 0
    line: int = 0
    firm: bool = False
    scope: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a dotted name (as imported, not as aliased) and its constant arguments.

    A list or tuple argument is a tuple of its leading constants; ``None`` stands for what is
    not constant. ``shell`` is a truthy ``shell=`` argument.
    """

    name: str
    arguments: tuple[str | tuple[str, ...] | None, ...]
    line: int
    shell: bool = False
    template: str = ""
    """The first argument as a command line for a shell, where parts of it are computed: those as
    ``$_``."""


@dataclass(frozen=True, slots=True)
class Code:
    """What one source says: its imports, its calls by name, its string constants with lines;
    ``listed`` are those in a list, tuple or set."""

    imports: tuple[Import, ...]
    calls: tuple[Call, ...]
    strings: tuple[tuple[str, int], ...]
    listed: frozenset[str] = frozenset()
    rows: tuple[tuple[str, ...], ...] = ()
    """The leading constants of each list."""


def read_code(data: bytes, *, statements_only: bool = False) -> Code | None:
    """The imports, calls and strings of a source; None if it cannot be parsed.

    With ``statements_only`` no expression is looked at: the import statements alone, sooner.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    reader = _Reader(_statements_below if statements_only else _below)
    try:
        reader.read(tree.body, firm=True)
    except RecursionError:
        return None
    return Code(
        tuple(reader.imports),
        tuple(reader.calls),
        tuple(reader.strings),
        frozenset(reader.listed),
        tuple(reader.rows),
    )


class _Reader:
    """Walks a syntax tree, leaving out what only type checkers see."""

    def __init__(self, below: Callable[[ast.AST], list[ast.AST]]) -> None:
        self._children = below
        self.imports: list[Import] = []
        self.calls: list[Call] = []
        self.strings: list[tuple[str, int]] = []
        self.listed: set[str] = set()
        self.rows: list[tuple[str, ...]] = []
        self._aliases: dict[str, str] = {}

    def read(self, body: list[ast.stmt], *, firm: bool) -> None:
        pending: list[tuple[ast.AST, bool]] = [(node, firm) for node in reversed(body)]
        while pending:
            node, firm = pending.pop()
            firm = self._visit(node, firm)
            pending.extend([(child, firm) for child in reversed(self._children(node))])

    def _visit(self, node: ast.AST, firm: bool) -> bool:
        match node:
            case ast.Import():
                for name in node.names:
                    bound = name.asname or name.name.partition(".")[0]
                    self._aliases[bound] = name.name if name.asname else bound
                    self.imports.append(Import(name.name, line=node.lineno, firm=firm))
            case ast.ImportFrom():
                self._import_from(node, firm)
            case ast.Constant(value=str() as text):
                self.strings.append((text, node.lineno))
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                constants = (e.value for e in elements if isinstance(e, ast.Constant))
                self.listed.update(value for value in constants if isinstance(value, str))
                row = _constant(node) if isinstance(node, ast.List) else None
                if isinstance(row, tuple) and row:
                    self.rows.append(row)
            case ast.Call():
                self._call(node)
            case ast.ClassDef():
                pass
            case ast.stmt() if not isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign):
                return False
        return firm

    def _import_from(self, node: ast.ImportFrom, firm: bool) -> None:
        names = tuple(name.name for name in node.names)
        self.imports.append(Import(node.module or "", names, node.level, node.lineno, firm))
        if node.module and not node.level:
            for name in node.names:
                self._aliases[name.asname or name.name] = f"{node.module}.{name.name}"

    def _call(self, node: ast.Call) -> None:
        name = self._dotted(node.func)
        if name:
            shell = any(
                keyword.arg == "shell"
                and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
                for keyword in node.keywords
            )
            arguments = tuple(_constant(argument) for argument in node.args)
            if not arguments:
                named = [k.value for k in node.keywords if k.arg in ("args", "cmd", "command")]
                arguments = tuple(_constant(value) for value in named)
            template = _template(node.args[0]) if node.args and arguments[0] is None else ""
            self.calls.append(Call(name, arguments, node.lineno, shell, template))

    def _dotted(self, node: ast.expr) -> str:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._aliases.get(node.id, node.id), *reversed(parts)])


def _below(node: ast.AST) -> list[ast.AST]:
    """The nodes below ``node``, without the body of an ``if TYPE_CHECKING:``."""
    if isinstance(node, ast.If) and is_type_checking(node.test):
        return list(node.orelse)
    return list(ast.iter_child_nodes(node))


_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


def _statements_below(node: ast.AST) -> list[ast.AST]:
    """The same, of statements only."""
    if isinstance(node, ast.If) and is_type_checking(node.test):
        return list(node.orelse)
    if isinstance(node, ast.expr):
        return []
    return [child for block in _BLOCKS for child in getattr(node, block, ())]


def is_type_checking(test: ast.expr) -> bool:
    """Whether a condition holds for type checkers alone."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
    return False


def is_elsewhere(test: ast.expr) -> bool:
    """Whether a condition can hold on other systems than Linux alone (docs.python.org,
    ``sys.platform``, ``os.name``, ``platform.system``)."""
    match test:
        case ast.Compare(
            left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=str() as text)]
        ):
            return text.lower() not in _HERE.get(ast.unparse(left), (text.lower(),))
        case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple(elts=items)]):
            texts = [item.value for item in items if isinstance(item, ast.Constant)]
            here = _HERE.get(ast.unparse(left))
            known = here is not None and len(texts) == len(items)
            return known and not any(str(text).lower() in (here or ()) for text in texts)
        case ast.Call(
            func=ast.Attribute(value=left, attr="startswith"),
            args=[ast.Constant(value=str() as text)],
        ):
            here = _HERE.get(ast.unparse(left))
            return here is not None and not any(name.startswith(text) for name in here)
    return False


_HERE = {
    "sys.platform": ("linux", "linux2"),
    "os.name": ("posix",),
    "platform.system()": ("linux",),
}
"""What these say on Linux, in lower case."""


def is_main_guard(test: ast.expr) -> bool:
    """``__name__ == "__main__"``: true for the program itself, never for what it imports."""
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[other]):
            return isinstance(other, ast.Constant) and other.value == "__main__"
    return False


def _constant(node: ast.expr) -> str | tuple[str, ...] | None:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            words: list[str] = []
            for element in elements:
                word = _constant(element)
                if not isinstance(word, str):
                    break
                words.append(word)
            return tuple(words)
        case ast.BinOp(left=left, op=ast.Add()) if isinstance(left, ast.List | ast.Tuple):
            return _constant(left)
    return None


def _template(node: ast.expr) -> str:
    """A computed string that starts with known text, its computed parts as ``$_``; else ""."""
    match node:
        case ast.JoinedStr(values=[ast.Constant(), *_] as values):
            return "".join(
                str(value.value) if isinstance(value, ast.Constant) else "$_" for value in values
            )
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Mod()):
            return re.sub(r"%(?:\(\w+\))?[-#0 +]*\d*[a-z]", "$_", text)
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Add()):
            return f"{text}$_"
        case ast.Call(func=ast.Attribute(value=inner, attr="split"), args=[]):
            return _template(inner)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format")):
            return re.sub(r"\{[^{}]*\}", "$_", text)
    return ""


def literal_mapping(data: bytes, name: str) -> Mapping[str, str]:
    """The str-to-str dict literal that a source assigns to ``name`` at its top; empty if none."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return {}
    for node in tree.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            try:
                value = ast.literal_eval(getattr(node, "value", None))  # type: ignore[arg-type]
            except (ValueError, TypeError):
                return {}
            if isinstance(value, dict):
                return {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, str)}
    return {}


_LOADED = re.compile(
    rb"""sys\.modules(?:\.get\(|\[)\s*["'](\w+)|["'](\w+)["']\s+(?:not\s+)?in\s+sys\.modules\b"""
)
"""Whether a module is loaded already: matplotlib.pyplot asks that of IPython before it imports
parts of it, which never happens unless something else runs IPython."""


def tops_asked_for(data: bytes) -> frozenset[str]:
    """The modules of which a source asks whether they are loaded."""
    if b"sys.modules" not in data:
        return frozenset()
    return frozenset(name.decode("ascii", "replace") for m in _LOADED.findall(data) for name in m)
