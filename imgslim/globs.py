"""Globs over paths, as our tables and options write them: ``*`` and ``?`` stay within a component,
``**`` stands for any number of them."""

from __future__ import annotations

import re
from collections.abc import Iterable


def split_pattern(pattern: str) -> tuple[str, list[str]]:
    """Split a glob into its fixed leading directory and the components that match."""
    parts = [part for part in pattern.split("/") if part]
    fixed: list[str] = []
    while parts and not re.search(r"[*?\[]", parts[0]):
        fixed.append(parts.pop(0))
    return "/" + "/".join(fixed), parts


def glob_regex(pattern: str) -> str:
    """A regular expression (for ``fullmatch``) of a relative glob.

    ``*`` and ``?`` stay within a component; ``**`` stands for any number of components, also
    none, and as the last one for everything below.
    """
    *directories, last = pattern.split("/")
    above = "".join(
        "(?:[^/]+/)*" if component == "**" else _component_regex(component) + "/"
        for component in directories
    )
    return above + (".+" if last == "**" else _component_regex(last))


def any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """One pattern (for ``fullmatch``) for all that any of the relative globs matches."""
    return re.compile("|".join(glob_regex(pattern) for pattern in patterns))


_WILDCARDS = {"*": "[^/]*", "?": "[^/]"}


def _component_regex(component: str) -> str:
    tokens = re.split(r"(\*|\?|\[[^\]]+\])", component)
    return "".join(
        _WILDCARDS.get(token)
        or (token.replace("[!", "[^", 1) if token.startswith("[") else re.escape(token))
        for token in tokens
    )
