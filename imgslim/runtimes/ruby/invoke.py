"""The words of ``ruby`` and of ``bundle``: which script runs, what is loaded before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_WITH_VALUE = frozenset("CEeFIrWxKT0")
"""Options of ruby(1) that take a value, in the word itself or as the next one."""

_ATTACHED_ONLY = frozenset("FW0xKT")
_LONG_WITH_VALUE = frozenset(
    ("--encoding", "--external-encoding", "--internal-encoding", "--backtrace-limit", "--dump")
)
_BUNDLE_VALUE = frozenset(("--gemfile", "-r", "--retry"))


@dataclass(frozen=True, slots=True)
class RubyCommand:
    """What ``ruby`` is told: the script ("" for none), its arguments, ``-r`` and ``-e``."""

    script: str = ""
    arguments: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    load_path: tuple[str, ...] = ()
    searched: bool = False


def parse_ruby(argv: Sequence[str]) -> RubyCommand:
    """The words of a command whose first runs Ruby (ruby(1), "OPTIONS")."""
    required: list[str] = []
    code: list[str] = []
    places: list[str] = []
    searched = False
    words = list(argv[1:])
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            if word in _LONG_WITH_VALUE and words:
                words.pop(0)
            continue
        letters = word[1:]
        for position, letter in enumerate(letters):
            searched = searched or letter == "S"
            if letter not in _WITH_VALUE:
                continue
            value = letters[position + 1 :]
            if not value and letter not in _ATTACHED_ONLY and words:
                value = words.pop(0)
            target = {"r": required, "e": code, "I": places}.get(letter)
            if target is not None:
                target.append(value)
            break
    script = "" if code or not words or words[0] == "-" else words[0]
    rest = tuple(words[1:] if script else words)
    return RubyCommand(script, rest, tuple(required), tuple(code), tuple(places), searched)


def parse_bundle(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Bundler's subcommand and the words after it; for ``exec`` those of the command that runs
    (bundle-exec(1))."""
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        option = rest.pop(0)
        if option in _BUNDLE_VALUE and rest:
            rest.pop(0)
    if not rest:
        return "install", ()
    name = rest.pop(0)
    while name in ("exec", "e", "ex", "exe") and rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
    return ("exec" if name in ("exec", "e", "ex", "exe") else name), tuple(rest)
