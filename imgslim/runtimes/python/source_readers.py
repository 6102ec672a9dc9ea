"""Which Python code reads sources, its own or another's: text in, a word on how out.

Sources: docs.python.org, ``inspect`` ("Retrieving source code": OSError where there is none),
``linecache``, ``pkgutil.get_data``, ``importlib.resources``, ``glob``.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

_HINT = re.compile(rb"""getsource|findsource|linecache|__file__|\.py['"]""")
"""Without any of these there is nothing to look for."""

_INSPECT = frozenset(("getsource", "getsourcelines", "findsource"))
_LINECACHE = frozenset(("getline", "getlines", "updatecache", "lazycache"))
_RESOURCES = frozenset(
    ("get_data", "read_text", "read_binary", "open_text", "open_binary", "resource_string")
)
_PATTERNS = frozenset(("glob", "iglob", "rglob", "fnmatch", "fnmatchcase", "filter"))
_LISTINGS = frozenset(("listdir", "scandir", "iterdir", "walk"))
_READS = frozenset(("open", "read_text", "read_bytes"))
_READY = frozenset(("OSError", "IOError", "EnvironmentError", "Exception", "BaseException"))
_STAR = re.compile(r"(?:^|.*/)[^/]*\*[^/]*\.py")


def reads_sources(data: bytes) -> str:
    """How ``data``, a Python source, reads Python sources; "" where it does not.

    ``inspect.getsource`` in a ``try`` that takes its OSError does not count: it has to do without
    for every function that was not defined in a file.
    """
    if not _HINT.search(data):
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "code that cannot be read"
    calls = list(_calls(tree, ready=False))
    found = filter(None, (_how(call, ready) for call, ready in calls))
    return next(found, "") or _lists(tree, [call for call, _ in calls])


def _calls(node: ast.AST, *, ready: bool) -> Iterator[tuple[ast.Call, bool]]:
    """The calls in ``node``, each with whether an OSError of it is caught."""
    pending = [(node, ready)]
    while pending:
        here, ready = pending.pop()
        if isinstance(here, ast.Call):
            yield here, ready
        guarded: set[int] = set()
        if isinstance(here, ast.Try) and any(map(_takes_it, here.handlers)):
            guarded = {id(child) for child in here.body}
        pending += [(c, ready or id(c) in guarded) for c in ast.iter_child_nodes(here)]


def _takes_it(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(_tail(name) in _READY for name in names)


def _tail(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _how(call: ast.Call, ready: bool) -> str:
    tail = _tail(call.func)
    texts = [a.value for a in call.args if isinstance(a, ast.Constant) and type(a.value) is str]
    if tail in _INSPECT:
        return "" if ready else f"inspect.{tail}"
    if tail in _LINECACHE and (isinstance(call.func, ast.Name) or _is_of(call, "linecache")):
        return f"linecache.{tail}"
    if tail in _READS and _is_own_file(call):
        return f"{tail}(__file__)"
    if tail in _RESOURCES and any(text.endswith(".py") for text in texts):
        return f"{tail} of a source"
    if tail in _PATTERNS and any(_STAR.fullmatch(text) for text in texts):
        return f"{tail} of *.py"
    return ""


def _is_of(call: ast.Call, module: str) -> bool:
    return isinstance(call.func, ast.Attribute) and _tail(call.func.value) == module


def _is_own_file(call: ast.Call) -> bool:
    """``open(__file__)``, ``Path(__file__).read_text()``."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Name) and first.id == "__file__":
        return True
    inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(inner, ast.Call) and any(
        isinstance(a, ast.Name) and a.id == "__file__" for a in inner.args
    )


def _lists(tree: ast.AST, calls: list[ast.Call]) -> str:
    """A directory listing and ``.py`` in one module: what it lists may be modules by name."""
    listing = next((tail for call in calls if (tail := _tail(call.func)) in _LISTINGS), "")
    if not listing or (listing == "walk" and not any(_is_of(c, "os") for c in calls)):
        return ""
    suffix = any(isinstance(n, ast.Constant) and n.value == ".py" for n in ast.walk(tree))
    return f"{listing} and .py" if suffix else ""
