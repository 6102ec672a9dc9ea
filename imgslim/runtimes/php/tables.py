"""``data/php.toml``, typed."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from imgslim.tables import load_table


@dataclass(frozen=True, slots=True)
class PhpTable:
    """The rows; what each means stands in the table."""

    programs: tuple[str, ...]
    fpm: tuple[str, ...]
    libraries: tuple[str, ...]
    installed: tuple[tuple[str, tuple[str, ...]], ...]
    sources: tuple[str, ...]
    files: frozenset[str]
    commands: frozenset[str]
    extensions: frozenset[str]
    functions: frozenset[str]
    classes: frozenset[str]
    left_out: frozenset[str]
    frameworks: Mapping[str, str]


@cache
def php_table() -> PhpTable:
    table: Mapping[str, Any] = load_table("php")
    programs, directives, starts = table["programs"], table["directives"], table["starts"]
    return PhpTable(
        tuple(programs["names"]),
        tuple(programs["fpm"]),
        tuple(programs["libraries"]),
        tuple((row["unit"], tuple(row["paths"])) for row in table["installed"]),
        tuple(table["sources"]["paths"]),
        frozenset(directives["files"]),
        frozenset(directives["commands"]),
        frozenset(directives["extensions"]),
        frozenset(starts["functions"]),
        frozenset(starts["classes"]),
        frozenset(table["package"]["left_out"]),
        {row["package"]: row["name"] for row in table["framework"]},
    )


def is_named(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a base name is one of ``patterns``."""
    return _one_of(patterns).match(name) is not None


@cache
def _one_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)))
