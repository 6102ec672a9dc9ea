"""The words of ``perl``: which script runs, what is loaded before it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NAME = re.compile(r"-?([A-Za-z_][\w:']*)")
_TO_THE_END = frozenset("iVxCFDt")
"""Options of perlrun whose value, if any, is the rest of the word."""


@dataclass(frozen=True, slots=True)
class PerlCommand:
    """What ``perl`` is told: the script ("" for none), ``-M`` and ``-m``, ``-e`` and ``-E``."""

    script: str = ""
    modules: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


def parse_perl(argv: Sequence[str]) -> PerlCommand:
    """The words of a command whose first runs Perl (perlrun)."""
    modules: list[str] = []
    code: list[str] = []
    words = list(argv[1:])
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        letters = word[1:]
        for position, letter in enumerate(letters):
            if letter in _TO_THE_END:
                break
            if letter not in "eEmMI":
                continue
            value = letters[position + 1 :] or (words.pop(0) if words else "")
            if letter in "eE":
                code.append(value)
            elif letter in "mM" and (match := _NAME.match(value)):
                modules.append(match[1])
            break
    script = "" if code or not words or words[0] == "-" else words[0]
    return PerlCommand(script, tuple(modules), tuple(code))
