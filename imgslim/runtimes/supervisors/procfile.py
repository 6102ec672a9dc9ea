"""Procfiles (devcenter.heroku.com, "The Procfile"): lines ``name: command`` that a shell runs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from imgslim.commands import join
from imgslim.model import Finding, Group, Need, Problem, Severity
from imgslim.runtimes.supervisors.started import Started
from imgslim.runtimes.supervisors.tables import Supervisor
from imgslim.world import World

_LINE = re.compile(r"([\w-]+):\s*(.+)")
_VARIABLE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)")
_REASON = "files that name processes"


def read_procfile(
    world: World, row: Supervisor, words: Sequence[str], because: str
) -> Iterator[Finding | Started]:
    """What a runner of a Procfile starts; all processes, whichever its words choose. ``.env``
    beside the Procfile has variables for them."""
    path = _find(world, row, words)
    entry = world.rootfs.lookup(path)
    if entry is None or not entry.is_file:
        yield Problem(
            "supervisor-configuration",
            Severity.WARNING,
            path,
            f"is not in the image, though {because} takes its processes from there",
            "nothing is kept for it; name what it runs with --also-run",
        )
        return
    directory = posixpath.dirname(path)
    settings = join(directory, ".env")
    yield Need(path, Group.APP, _REASON, because)
    yield Need(settings, Group.APP, _REASON, because, optional=True)
    variables = tuple(_variables(world.rootfs.read_text(settings)))
    for line in world.rootfs.read_text(path).splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            argv = ("/bin/sh", "-c", match[2])
            yield Started(argv, path, f"process {match[1]}", directory, variables)


def _find(world: World, row: Supervisor, words: Sequence[str]) -> str:
    home, name = world.working_dir, "Procfile"
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option, has_value, value = word.partition("=")
        value = value if has_value else following
        if option in row.file_options:
            name = value
        elif option in row.directory_options:
            home = join(home, value)
        elif word.endswith("Procfile") and not word.startswith("-"):
            name = word
    return join(home, name)


def _variables(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = _VARIABLE.fullmatch(line.strip())
        if match is not None:
            yield match[1], match[2].strip().strip("\"'")
