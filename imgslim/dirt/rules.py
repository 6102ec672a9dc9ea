"""The rows of ``dirt.toml``, typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from imgslim.dirt.model import DirtKind
from imgslim.tables import load_table


@dataclass(frozen=True, slots=True)
class FileRule:
    """Files that are dirt by their name, and by what stands at their start.

    ``named``: it counts when a line sets a variable that is called like a secret.
    """

    kind: DirtKind
    rule: str
    contains: re.Pattern[bytes] | None
    named: bool


class FileRules:
    """Finds the rows for a path: one look-up by its name, one by the ending of that."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[tuple[str, FileRule]]] = {}
        self._by_ending: dict[str, list[FileRule]] = {}
        for row in load_table("dirt")["file"]:
            contains = row.get("contains")
            rule = FileRule(
                DirtKind(row["kind"]),
                row["rule"],
                None if contains is None else re.compile(contains.encode("latin-1")),
                row.get("named", False),
            )
            for name in row.get("names", ()):
                self._by_name.setdefault(name.rpartition("/")[2], []).append((f"/{name}", rule))
            for ending in row.get("endings", ()):
                self._by_ending.setdefault(ending, []).append(rule)

    def of(self, path: str) -> Sequence[FileRule]:
        """The rows that ``path`` may be one of: asked for every path of an image, so it is quick
        where there is none."""
        name = path[path.rfind("/") + 1 :]
        dot = name.rfind(".")
        ended = self._by_ending.get(name[dot:], ()) if dot >= 0 else ()
        named = self._by_name.get(name)
        if named is None:
            return ended
        return [*(rule for end, rule in named if path.endswith(end)), *ended]


@cache
def file_rules() -> FileRules:
    return FileRules()


@dataclass(frozen=True, slots=True)
class TextRule:
    """A pattern for texts; its group ``value`` is the secret."""

    rule: str
    pattern: re.Pattern[str]


@cache
def text_rules() -> tuple[TextRule, ...]:
    rows = load_table("dirt")["text"]
    return tuple(TextRule(row["rule"], re.compile(row["pattern"])) for row in rows)


class NameRules:
    """Which variables are called like a secret, and which values are none."""

    def __init__(self) -> None:
        table = load_table("dirt")
        names, values = table["names"], table["values"]
        self._secret = frozenset(names["secret"])
        self._vague = frozenset(names["vague"])
        self._never = frozenset([*names["public"], *names["negated"]])
        self._about = frozenset(names["about"])
        self._plain = re.compile("|".join(f"(?:{pattern})" for pattern in values["plain"]))
        self._reference = re.compile(values["reference"], re.DOTALL)
        self._opaque = re.compile(values["opaque"])

    def is_secret_word(self, name: str, word: str) -> bool:
        """The same for a word of a shell or of a settings file, quotes and all, which may stand for
        a value that is elsewhere."""
        return not self._reference.fullmatch(word) and self.is_secret(name, word.strip("\"'"))

    def is_secret(self, name: str, value: str) -> bool:
        """Whether a variable of this name holds a secret when its value is ``value``."""
        words = [word.lower() for word in _WORDS.findall(name)]
        if not words or words[-1] in self._about or not self._never.isdisjoint(words):
            return False
        if self._plain.fullmatch(value):
            return False
        if not self._secret.isdisjoint(words):
            return True
        return not self._vague.isdisjoint(words) and bool(self._opaque.fullmatch(value))


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
"""The words of ``GITHUB_TOKEN``, ``db-password`` and ``authToken``."""


@cache
def name_rules() -> NameRules:
    return NameRules()


@cache
def compressed_starts() -> tuple[bytes, ...]:
    """How files begin whose contents no pattern can see."""
    rows = load_table("dirt")["compressed"]
    return tuple(_bytes(text) for row in rows for text in row["starts"])


def _bytes(text: str) -> bytes:
    r"""A literal with ``\xNN``, ``\r`` and ``\n`` as bytes."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


@cache
def shared_units() -> frozenset[str]:
    """Units of ``generated.toml`` whose keys all containers of an image share."""
    return frozenset(row["unit"] for row in load_table("dirt")["shared"])


@cache
def capability_names() -> tuple[str, ...]:
    """By number: capabilities(7)."""
    return tuple(load_table("dirt")["capabilities"]["names"])
