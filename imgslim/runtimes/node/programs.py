"""The programs that JavaScript sources start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from imgslim.commands import resolve_command
from imgslim.model import Finding, Group, Need
from imgslim.runtimes.node.source import Start
from imgslim.tables import building_commands
from imgslim.world import World

_SHELL = "/bin/sh"
_NAME = re.compile(r"[\w./+-]+")


def program_findings(
    world: World, path: str, starts: Iterable[Start], *, own: bool
) -> Iterator[Finding]:
    """The commands behind ``starts`` that are in the image; of packages (``own`` unset) no
    compilers and installers, which they name for their own development."""
    building = frozenset() if own else building_commands()
    for start in starts:
        if start.in_shell:
            yield Need(_SHELL, Group.PROGRAM, "shell that sources start", path, line=start.line)
            text = " ".join(start.words)
            first = text.strip().partition(" ")[0]
            if first not in building and (own or world.which(first) is not None):
                yield from resolve_command(world, (_SHELL, "-c", text), path)
        elif start.words and _NAME.fullmatch(start.words[0]) and start.words[0] not in building:
            yield from resolve_command(world, start.words, path)
