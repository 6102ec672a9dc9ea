"""Conditions that an image answers by itself: which system, which Python.

An import under a condition that never holds in the image brings nothing.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

Version = tuple[int, int]
"""Major and minor version of an interpreter."""

_NUMBERS = re.compile(r"(\d+)\.(\d+)")

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[object, object], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,  # type: ignore[dict-item]
    ast.LtE: operator.le,  # type: ignore[dict-item]
    ast.Gt: operator.gt,  # type: ignore[dict-item]
    ast.GtE: operator.ge,  # type: ignore[dict-item]
}

_ANY_PATCH = ((0, "alpha", 0), (1 << 20, "final", 0))
"""The least and the most that can follow (major, minor) in ``sys.version_info``."""


def parse_version(text: str) -> Version | None:
    """``3.11`` or ``3.13t`` as numbers; None for what is no version."""
    match = _NUMBERS.match(text)
    return (int(match[1]), int(match[2])) if match else None


def version_holds(test: ast.expr, version: Version | None) -> bool | None:
    """Whether a comparison of ``sys.version_info`` holds for ``version``; None for any other
    condition, and where the patch level decides (docs.python.org, ``sys.version_info``: compared
    as a tuple, also by its parts)."""
    if version is None or not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    compare = _COMPARISONS.get(type(test.ops[0]))
    wanted = _constant(test.comparators[0])
    if compare is None or wanted is None:
        return None
    answers = set()
    for rest in _ANY_PATCH:
        actual = _value(test.left, (*version, *rest))
        if actual is None or isinstance(actual, tuple) != isinstance(wanted, tuple):
            return None
        answers.add(compare(actual, wanted))
    return answers.pop() if len(answers) == 1 else None


def _constant(node: ast.expr) -> int | tuple[int, ...] | None:
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() as number):
            return number
        case ast.Tuple(elts=items):
            numbers = [i.value for i in items if isinstance(i, ast.Constant)]
            known = tuple(number for number in numbers if isinstance(number, int))
            return known if len(known) == len(items) else None
    return None


def _value(node: ast.expr, info: tuple[object, ...]) -> object:
    """What an expression about ``sys.version_info`` is where that is ``info``."""
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr="version_info"):
            return info
        case ast.Attribute(value=inner, attr="major" | "minor" as part):
            return _value(inner, info) and info[part == "minor"]
        case ast.Subscript(value=inner, slice=ast.Constant(value=int() as index)) if index in (
            0,
            1,
        ):
            return _value(inner, info) and info[index]
        case ast.Subscript(value=inner, slice=ast.Slice(lower=None, upper=ast.Constant(value=end))):
            if isinstance(end, int) and end in (1, 2):
                return _value(inner, info) and info[:end]
    return None
