"""Putting the possible results of expansions together, and taking them apart."""

from __future__ import annotations

import re
from collections.abc import Iterable

from imgslim.runtimes.shell.scope import (
    GLOB_CHARACTERS,
    LONGEST_TEXT,
    Alternatives,
    Fields,
    Word,
    distinct,
)


def glued(left: Alternatives, right: Alternatives) -> Alternatives:
    """Concatenation: the last word of one side and the first of the other become one."""
    if len(left) == len(right) == 1:
        return (_glue(left[0], right[0]),)
    return distinct(_glue(a, b) for a in left for b in right)


def _glue(left: Fields, right: Fields) -> Fields:
    if not left or not right:
        return left or right
    one, other = left[-1], right[0]
    known = one.known and other.known
    text = one.text + other.text
    if len(text) > LONGEST_TEXT:
        text, known = text[:LONGEST_TEXT], False
    middle = Word(text, known, one.pattern or other.pattern)
    return (*left[:-1], middle, *right[1:])


def joined(fields: Fields) -> Word:
    """All words as one, as ``"$*"`` has them."""
    if len(fields) == 1:
        return Word(fields[0].text, fields[0].known)
    return Word(" ".join(word.text for word in fields), all(word.known for word in fields))


def as_fields(values: Iterable[Word], separators: str | None) -> Alternatives:
    """What the values become where they are not quoted."""
    return distinct(split(value, separators) for value in values)


def split(value: Word, separators: str | None) -> Fields:
    """Field splitting by the characters of IFS (POSIX XCU 2.6.5), or by blanks without it."""
    if not value.known:
        return (value,)
    if separators is None:
        parts = value.text.split()
    else:
        found = re.split(f"[{re.escape(separators)}]", value.text)
        parts = [part for part in found if part or not separators.isspace()]
        parts = parts[:-1] if parts and not parts[-1] else parts
    return tuple(Word(part, pattern=bool(GLOB_CHARACTERS & set(part))) for part in parts)
