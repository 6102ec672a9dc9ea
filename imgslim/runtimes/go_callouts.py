"""Programs that a Go program starts, as far as sources in the image say so in so many words.

An image that was built in place still holds the sources of its binary. A literal first argument
of os/exec's ``Command``, ``CommandContext`` and ``LookPath`` names a program (pkg.go.dev/os/exec).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_STRING = r"(?:\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`)"
_CALL = re.compile(
    r"\bexec\.(?:Command\(|LookPath\(|CommandContext\((?:[^,()\"`]|\([^()]*\))*,)\s*"
    rf"(?P<words>{_STRING}(?:\s*,\s*{_STRING})*)"
)
_WORD = re.compile(_STRING)


def started_programs(source: str) -> Iterator[tuple[str, ...]]:
    """The leading literal words of each command that a Go source file starts."""
    for call in _CALL.finditer(source):
        yield tuple(_unquoted(word) for word in _WORD.findall(call["words"]))


def _unquoted(literal: str) -> str:
    if literal.startswith("`"):
        return literal[1:-1]
    return re.sub(r"\\(.)", r"\1", literal[1:-1])
