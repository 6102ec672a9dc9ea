"""Lines for a shell in the constants of a program: what it hands to system(3) or popen(3).

A message of the program may look alike; so a line counts only with a sign of a command (an option,
a path, a conversion of printf(3), an operator of the shell) after the name of a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgslim.commands import Argv
from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf.sections import Layout
from imgslim.runtimes.elf.strings import constants

STARTERS = frozenset({"system", "popen"})
"""The imports that say that a program has a shell read lines: system(3), popen(3)."""

_LINE = re.compile(rb"(?<![\t -~])[ -~\t\n]{4,400}\0")
_PART = re.compile(r"[|;&(){}\n]+|\$\(|`")
_COMMAND = re.compile(
    r"(?:(?:exec|nice|nohup|time|!)\s+|\w+=\S*\s+)*((?:/[\w.+-]+)*/?[a-z][\w.+-]*)\s+(.+)"
)
_REDIRECTION = re.compile(r"\d?[<>]")
_FILLED_IN = re.compile(r"[%$'\"\\*?]")
_SIGN = re.compile(r"(?:^|\s)(?:-\w|--\w|['\"]?(?:%\d*\$?s|/|\$))|[<>]|%s$")


def commands_run(rootfs: Rootfs, entry: Entry, layout: Layout) -> Iterator[Argv]:
    """The commands in such lines of a file, each once."""
    seen: set[Argv] = set()
    for data in constants(rootfs, entry, layout):
        for line in _LINE.finditer(data):
            for argv in commands_in(line[0][:-1].decode("ascii")):
                if argv not in seen:
                    seen.add(argv)
                    yield argv


def commands_in(line: str) -> Iterator[Argv]:
    """The commands of a line, if it is one for a shell: the program, and its arguments where none
    of them is filled in at run time."""
    for part in _PART.split(line):
        found = _COMMAND.match(part.strip())
        if found is not None and _SIGN.search(found[2]):
            rest = _REDIRECTION.split(found[2])[0]
            yield (found[1], *(() if _FILLED_IN.search(found[2]) else rest.split()))
