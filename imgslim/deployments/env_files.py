"""Env files as Compose reads them, which is not as a shell or another dotenv library does.

Source of every rule: Docker's "Syntax for environment files in Docker Compose", and where that is
silent compose-go's ``dotenv`` package (``parser.go``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from imgslim.deployments.interpolation import Variables

_SPACE = r"[ \t\v\f\r\x85\xa0]"
_KEY = re.compile(
    rf"(?:export{_SPACE}+)?(?P<name>[\w.\[\]-]+){_SPACE}*(?:(?P<sign>[=:]){_SPACE}*|(?P<alone>\n|\Z))"
)
_QUOTED = re.compile(r"""(?P<quote>['"])(?P<text>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)""", re.S)
_ESCAPE = re.compile(r"""\\(?:0(?P<octal>[0-7]{3})|(?P<letter>[abfnrtv$\\"]))""")
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "$": "$$"}
"""An escaped dollar sign is one that the interpolation leaves alone."""


def parse_env_file(
    text: str, outside: Mapping[str, str], unset: dict[str, None] | None = None
) -> dict[str, str]:
    """The variables of an env file, in its order; ``outside`` goes before its own in references.

    A name alone is passed on from ``outside``, or left out. ``unset`` gathers the names that have
    no value and no default. Raises ValueError for a line that is none, with its number.
    """
    found: dict[str, str] = {}
    gathered = {} if unset is None else unset
    position = 0
    while (position := _next_line(text, position)) < len(text):
        number = text.count("\n", 0, position) + 1
        match = _KEY.match(text, position)
        if match is None:
            raise ValueError(f"line {number}: {_line(text, position)!r} sets no variable")
        position = match.end()
        name = match["name"]
        if match["sign"] is None:
            found |= {name: outside[name]} if name in outside else {}
            continue
        value, position = _value(text, position, number)
        found[name] = Variables({**found, **outside}, gathered).replace(value)
    return found


def parse_raw_env_file(text: str, outside: Mapping[str, str]) -> dict[str, str]:
    """The variables of an env file with ``format: raw``, as ``docker run --env-file`` reads it:
    nothing is quoted, replaced or a comment behind a value (docker/cli, opts/file.go)."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.lstrip().partition("=")
        if name.startswith("#") or not name:
            continue
        if sign:
            found[name] = value
        elif name in outside:
            found[name] = outside[name]
    return found


def _next_line(text: str, position: int) -> int:
    """Where the next line starts that is neither blank nor a comment."""
    match = re.compile(r"(?:\s+|#[^\n]*)*").match(text, position)
    return match.end() if match else position


def _line(text: str, position: int) -> str:
    return text[position:].partition("\n")[0]


def _value(text: str, position: int, number: int) -> tuple[str, int]:
    """A value with its references still in it, and where it ends; what is not to be replaced has
    its dollar signs doubled."""
    if text[position : position + 1] not in ("'", '"'):
        line = _line(text, position)
        return line.partition(" #")[0].rstrip(), position + len(line)
    match = _QUOTED.match(text, position)
    if match is None:
        raise ValueError(f"line {number}: a quote is not closed")
    inner = match["text"].replace(f"\\{match['quote']}", match["quote"])
    if match["quote"] == "'":
        return inner.replace("$", "$$"), match.end()
    return _ESCAPE.sub(_unescaped, inner), match.end()


def _unescaped(match: re.Match[str]) -> str:
    if match["octal"]:
        return chr(int(match["octal"], 8))
    return _LETTERS.get(match["letter"], match["letter"])
