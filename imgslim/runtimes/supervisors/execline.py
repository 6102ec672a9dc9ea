"""Scripts of execline (skarnet.org/software/execline/grammar.html): words, and blocks of words.

Each program of such a script runs the one after it, or the one in its blocks. How many words are
its own is known to each program alone, so a word that names a program is taken for a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imgslim.commands import Argv, Place, resolve_command, word_needs
from imgslim.model import Finding, Problem, Severity
from imgslim.world import World

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>\#[^\n]*)|(?P<word>(?:"(?:\\.|[^"\\])*"|\\.|[^\s"\\])+)""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(\n|.)", re.DOTALL)
_VALUE_OPTIONS = ("-c", "-s")
_MOST_WORDS = 4096


def script_of(argv: Sequence[str]) -> tuple[str, str]:
    """The string and the file that ``execlineb`` is given; "" for what it is not."""
    rest = list(argv[1:])
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in _VALUE_OPTIONS and rest:
            value = rest.pop(0)
            if option == "-c":
                return value, ""
    return "", rest[0] if rest else ""


def sequences(text: str) -> Iterator[Argv]:
    """The words of a script's top and of each of its blocks, one sequence each, blocks left out.

    Braces that do not match end the reading; what came before stands.
    """
    stack: list[list[str]] = [[]]
    for word in _words(text):
        if word == "{":
            stack.append([])
        elif word == "}":
            if len(stack) == 1:
                break
            yield tuple(stack.pop())
        else:
            stack[-1].append(word.removeprefix("\0"))
    yield from (tuple(words) for words in reversed(stack))


def _words(text: str) -> Iterator[str]:
    """Words without their quotes. One that is a quoted brace is marked, it is no block."""
    for count, match in enumerate(_TOKEN.finditer(text)):
        raw = match["word"]
        if raw is None or count > _MOST_WORDS:
            continue
        plain = _ESCAPE.sub(_escaped, raw.replace('\\"', "\0").replace('"', "").replace("\0", '"'))
        yield f"\0{plain}" if plain in ("{", "}") and raw != plain else plain


def _escaped(match: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "\n": ""}.get(match[1], match[1])


def script_commands(world: World, text: str, script: str, directory: str = "") -> Iterator[Finding]:
    """The commands of a script, and the paths that it names. A program whose name is a variable
    is a problem."""
    place = Place((directory or world.working_dir,), world.search_path)
    for words in sequences(text):
        yield from word_needs(world, words, script, place)
        for start, word in enumerate(words):
            if not word.startswith("-") and "=" not in word:
                yield from resolve_command(world, words[start:], script, place)
        if words and words[0].startswith("$"):
            yield Problem(
                "unresolved-command",
                Severity.WARNING,
                script,
                f"cannot tell which program `{' '.join(words)}` runs",
                "nothing is kept for it; name what it runs with --also-run",
            )
