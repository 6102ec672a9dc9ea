"""Secrets in the texts of an image's config: where in a text each value stands, and its cover.

A value is kept only as long as it takes to cover it; what comes out of here are places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from imgslim.dirt.rules import name_rules, text_rules

COVER = "***"

_ASSIGNED = re.compile(
    r"""(?<![\w$])(?P<option>--?)?(?P<name>[A-Za-z_][\w.-]*)["']?
    (?:\s*=\s*|(?(option)[\s,]+(?!["']?-)|(?!)))
    (?P<value>(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'&|;<>()\\])+)""",
    re.VERBOSE | re.DOTALL,
)
"""``NAME=value`` or ``--name value`` in a command; the value is a shell word (POSIX, 2.2)."""

_DECLARED = re.compile(
    r"(?<!\S)(?P<name>[A-Za-z_][\w.-]*)=(?P<value>.*?)(?=\s+[A-Za-z_][\w.-]*=|$)", re.DOTALL
)
"""``NAME=value NAME=value``, as builders write values into the history: unquoted, with spaces."""

_DECLARATION = re.compile(r"^(?:/bin/sh -c #\(nop\)\s+)?(?:ENV|ARG|LABEL)\s+", re.IGNORECASE)
_ARGUMENTS = re.compile(
    r"^(?:RUN )?\|[0-9]+ (?P<all>.*?)(?=\s(?:/\S+|\w+)(?: -\S+)* -c\s|$)", re.DOTALL
)
"""The build arguments that a RUN was given, before its shell (moby builder, prependEnvOnCmd)."""

_BUILDKIT = re.compile(r"\s+# buildkit$")


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret's place in a text. ``name`` is what it is assigned to ("": it was recognised by its
    own form), ``is_argument`` whether it is a build argument."""

    rule: str
    name: str
    start: int
    end: int
    is_argument: bool = False


def find_in_text(text: str) -> tuple[Hit, ...]:
    """The secrets of one text, by place; of two in the same place, the one with a name."""
    assigned = _assigned(text, _ASSIGNED, name_rules().is_secret_word, 0, len(text))
    return apart([*assigned, *_formed(text)])


def find_in_instruction(created_by: str) -> tuple[Hit, ...]:
    """The same for a row of the history: builders write declarations and build arguments without
    quotes."""
    text = _BUILDKIT.sub("", created_by)
    names, declared = name_rules(), list[Hit]()
    if match := _DECLARATION.match(text):
        declared = list(_assigned(text, _DECLARED, names.is_secret, match.end(), len(text)))
    elif match := _ARGUMENTS.match(text):
        found = _assigned(text, _DECLARED, names.is_secret, *match.span("all"))
        declared = [Hit(hit.rule, hit.name, hit.start, hit.end, True) for hit in found]
    return apart([*declared, *find_in_text(text)])


def is_secret(name: str, value: str) -> str:
    """The rule by which a variable holds a secret, or "" if it does not seem to."""
    if name_rules().is_secret(name, value):
        return NAMED
    return next((hit.rule for hit in find_in_text(value)), "")


NAMED = "called like a secret"


def cover(text: str, hits: Iterable[Hit]) -> str:
    """``text`` with ``***`` in the place of each value."""
    parts, done = [], 0
    for hit in sorted(hits, key=lambda hit: hit.start):
        parts += [text[done : hit.start], COVER]
        done = hit.end
    return "".join([*parts, text[done:]])


IsSecret = Callable[[str, str], bool]


def _assigned(
    text: str, pattern: re.Pattern[str], is_secret: IsSecret, start: int, end: int
) -> Iterator[Hit]:
    position = start
    while match := pattern.search(text, position, end):
        if is_secret(match["name"], match["value"]):
            yield Hit(NAMED, match["name"], match.start("value"), match.end("value"))
            position = max(match.end(), position + 1)
        else:
            # What is assigned may hold an assignment: sh -c "TOKEN=…"
            position = max(match.start("value"), position + 1)


def _formed(text: str) -> Iterator[Hit]:
    for rule in text_rules():
        for match in rule.pattern.finditer(text):
            yield Hit(rule.rule, "", match.start("value"), match.end("value"))


def apart(hits: Iterable[Hit]) -> tuple[Hit, ...]:
    """Hits that do not overlap, by place: those that do become one, so that no part shows."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end, not hit.name)):
        if kept and hit.start < kept[-1].end:
            if hit.end > kept[-1].end:
                last = kept.pop()
                kept.append(Hit(last.rule, last.name, last.start, hit.end, last.is_argument))
            continue
        kept.append(hit)
    return tuple(kept)
