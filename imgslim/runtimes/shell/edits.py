"""What the operators of ``${NAME…}`` do to a known value (POSIX XCU 2.6.2; bash(1), Parameter
Expansion)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

_LONGEST_TEXT = 4096
"""Longer values are no names or paths; a pattern takes time that grows with their square."""


def edited(text: str, operator: str, pattern: str, replacement: str = "") -> str | None:
    """``text`` after ``operator`` (``%``, ``##``, ``^^``, ``//`` …); None when it is unknown."""
    if len(text) > _LONGEST_TEXT or "(" in pattern:
        return None
    if operator in _CASES:
        return _CASES[operator](text)
    if operator in _REPLACING:
        return _replaced(text, operator, pattern, replacement)
    cut = _CUTS.get(operator)
    return None if cut is None else cut(text, pattern)


def _without_suffix(text: str, pattern: str, *, longest: bool) -> str:
    places = range(len(text) + 1) if longest else range(len(text), -1, -1)
    return next((text[:i] for i in places if fnmatch.fnmatchcase(text[i:], pattern)), text)


def _without_prefix(text: str, pattern: str, *, longest: bool) -> str:
    places = range(len(text), -1, -1) if longest else range(len(text) + 1)
    return next((text[i:] for i in places if fnmatch.fnmatchcase(text[:i], pattern)), text)


def _replaced(text: str, operator: str, pattern: str, replacement: str) -> str:
    # fnmatch.translate wraps the expression into `(?s:…)\Z`.
    expression = re.sub(r"^\(\?s:(.*)\)\\[Zz]$", r"\1", fnmatch.translate(pattern), flags=re.DOTALL)
    if operator == "/#":
        expression = rf"\A(?:{expression})"
    elif operator == "/%":
        expression = rf"(?:{expression})\Z"
    elif not pattern:
        return text
    count = 0 if operator == "//" else 1
    return re.sub(expression, lambda _: replacement, text, count=count, flags=re.DOTALL)


_REPLACING = ("/", "//", "/#", "/%")

_CUTS: dict[str, Callable[[str, str], str]] = {
    "%": lambda text, pattern: _without_suffix(text, pattern, longest=False),
    "%%": lambda text, pattern: _without_suffix(text, pattern, longest=True),
    "#": lambda text, pattern: _without_prefix(text, pattern, longest=False),
    "##": lambda text, pattern: _without_prefix(text, pattern, longest=True),
}

_CASES: dict[str, Callable[[str], str]] = {
    ",,": str.lower,
    "^^": str.upper,
    ",": lambda text: text[:1].lower() + text[1:],
    "^": lambda text: text[:1].upper() + text[1:],
    # A known word, quoted or not, is the same word again once eval has read it.
    "@Q": lambda text: text if re.fullmatch(r"[\w./:=@%+-]+", text) else f"'{text}'",
}
