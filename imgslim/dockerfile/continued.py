"""Put generated stages behind the user's own Dockerfile, in that file's escape and line ends."""

from __future__ import annotations

import json
import re

from imgslim.copyplan.words import json_word
from imgslim.dockerfile.source import Head, goes_on, parse_source

_BACKTICK = "`"
_CONTINUED = re.compile(r" \\$", re.MULTILINE)
_INSTRUCTION = re.compile(r"^(?!#)(?:.* \\\n)*.+$", re.MULTILINE)
_ESCAPED = re.compile(r"\\(.)|`", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')

_EXPANDED = ("ENV", "LABEL", "EXPOSE", "WORKDIR", "USER", "STOPSIGNAL")
_EXPANDED_JSON = ("COPY", "VOLUME")
"""Instructions whose words the builder expands (BuildKit, instructions/commands.go: those with
``Expand``), as we write them plain or in JSON form."""


def continued(head: Head, text: str) -> str:
    """The user's Dockerfile with ``text``, instructions in the usual escape, behind it.

    Raises DockerfileError when its last instruction does not end where the file ends (a
    continuation, a heredoc): that would swallow ours.
    """
    ours = [stage.name for stage in parse_source(_encoded(text)).stages]
    if head.escape == _BACKTICK:
        text = _INSTRUCTION.sub(lambda match: with_backtick(match[0]), text)
    whole = head.text + head.newline + text.replace("\n", head.newline)
    end = len(_encoded(head.text))
    found = [stage.name for stage in parse_source(_encoded(whole)).stages if stage.end > end]
    if found != ours:
        raise goes_on()
    return whole


def with_backtick(instruction: str) -> str:
    """One instruction for a file with ``# escape=` ``: there a backslash is itself, everywhere but
    in JSON strings and for the shell."""
    keyword = instruction.partition(" ")[0]
    if keyword in _EXPANDED_JSON and _STRING.search(instruction):
        instruction = _STRING.sub(_json_string, instruction)
    lines = _CONTINUED.split(instruction)
    if keyword in _EXPANDED:
        lines = [_ESCAPED.sub(_escape, line) for line in lines]
    return f" {_BACKTICK}".join(lines)


def _json_string(match: re.Match[str]) -> str:
    return json_word(_ESCAPED.sub(_escape, json.loads(match[0])))


def _escape(match: re.Match[str]) -> str:
    char = match[1]
    if char is None:
        return _BACKTICK * 2
    return char if char == "\\" else _BACKTICK + char


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
