"""php.ini, the files beside it, and pools of FPM (php.net, "The configuration file", "FPM")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LINE = re.compile(r"\s*([\w.-]+)(?:\[([^\]]*)\])?\s*=\s*(.*?)\s*")
_SECTION = re.compile(r"\s*\[([^\]]+)\]\s*")
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Setting:
    """``key = value`` or ``key[index] = value`` in a section ("" before the first)."""

    key: str
    value: str
    index: str = ""
    section: str = ""


def read_settings(text: str, variables: Mapping[str, str]) -> Iterator[Setting]:
    """All settings of a file in order. ``variables`` are those of the environment, for ``${NAME}``
    (php.net, parse_ini_file); one that is not set is empty."""
    section = ""
    for line in text.splitlines():
        if line.lstrip().startswith((";", "#")):
            continue
        header = _SECTION.fullmatch(line)
        if header is not None:
            section = header[1]
            continue
        match = _LINE.fullmatch(line)
        if match is not None:
            value = _VARIABLE.sub(lambda m: variables.get(m[1]) or m[2] or "", _plain(match[3]))
            yield Setting(match[1].lower(), value, match[2] or "", section)


def _plain(value: str) -> str:
    """A value without its quotes; without them a comment ends it."""
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        return value[1:end] if end > 0 else value[1:]
    return value.partition(";")[0].strip()
