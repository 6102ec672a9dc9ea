"""Stages in which our own commands run, and their RUN instructions: in the image's own shell, with
no more words than fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from imgslim.copyplan.tools import TOOL_DIRECTORIES, Tools
from imgslim.copyplan.words import json_word
from imgslim.dockerfile.layout import wrapped
from imgslim.model import ImageConfig

_T = TypeVar("_T")

INDENT = "      "
"""Of the words of a command that go on."""

_RUN_BYTES = 60_000
"""Words in one RUN: an argument is at most 128 KiB, an instruction 65,535 bytes (trap 24)."""

_STEERING = (
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "BASH_ENV",
    "ENV",
    "TAR_OPTIONS",
    "IFS",
    "GLOBIGNORE",
    "SHELLOPTS",
    "BASHOPTS",
    "LC_ALL",
)
"""Variables that change what the shell and its tools do: ld.so(8), bash(1), dash(1), tar(1).
A stage inherits them from its base (trap 23)."""


def stage_head(
    base: str, name: str, tools: Tools, config: ImageConfig, *, clean_base: bool
) -> list[str]:
    """The first lines of a stage ``name`` upon ``base``: commands in it run as root, and nothing
    that ``config`` sets steers them. ``clean_base``: the base does not have its variables."""
    return [
        f"FROM {base} AS {name}",
        "USER 0",
        f"SHELL [{json_word(tools.shell)}, {json_word('-c')}]",
        _environment(config, clean_base),
    ]


def _environment(config: ImageConfig, clean_base: bool) -> str:
    names = {} if clean_base else dict(config.env)
    reset = [f'{name}=""' for name in _STEERING if names.get(name)]
    return wrapped("ENV", [f"PATH={':'.join(TOOL_DIRECTORIES)}", *reset])


def run_instruction(steps: Iterable[str]) -> str:
    """One RUN that ends at the first of its steps that fails."""
    return "RUN " + "; \\\n    ".join(["set -eu", *steps])


def shell_function(lines: str, place: str) -> str:
    """A shell function on lines that a backslash joins: a semicolon ends each command."""
    first, *body, last = lines.replace("{place}", place).splitlines()
    joined = [first, *(line if line.strip().startswith("for ") else f"{line};" for line in body)]
    return " \\\n    ".join([*joined, last])


def word_parts(words: Iterable[str]) -> Iterator[list[str]]:
    """``words`` in parts that fit into a RUN each."""
    return parts(words, lambda word: len(word.encode()) + 8)


def parts(items: Iterable[_T], weight: Callable[[_T], int]) -> Iterator[list[_T]]:
    """``items`` in parts that fit into a RUN each, by the ``weight`` (bytes) of their words."""
    part: list[_T] = []
    used = 0
    for item in items:
        more = weight(item)
        if part and used + more > _RUN_BYTES:
            yield part
            part, used = [], 0
        part.append(item)
        used += more
    if part:
        yield part
