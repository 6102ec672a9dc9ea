"""git: the commands that its configuration and its own arguments name.

Rules: ``data/git.toml``. A value of such a key is a command line for the shell (git-config(1)).
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from imgslim.commands import name_of, resolve_command
from imgslim.model import Entry, Finding, Group, Need
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.tables import load_table
from imgslim.world import World

_SHELL = "/bin/sh"
_SECTION = re.compile(r'\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_LARGEST_CONFIG_BYTES = 256 << 10


class GitRuntime(Runtime):
    """What runs beside git, where git runs."""

    name = "git"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._runs = False
        self._configs: list[Entry] = []

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        if name_of(path) != "git":
            return
        if not self._runs:
            self._runs = True
            yield from self._libraries(because)
        table = load_table("git")["subcommands"]
        words = list(argv[1:])
        while words and words[0].startswith("-"):
            option = words.pop(0)
            if option in table["value_options"] and words:
                value = words.pop(0)
                if option == "-c":
                    key, _, text = value.partition("=")
                    yield from self._configured(key, text, because)
        for directory in table["directories"] if words else ():
            helper = f"{directory}/git-{words[0]}"
            yield Need(helper, Group.PROGRAM, "commands of git", because, optional=True)

    def _libraries(self, because: str) -> Iterator[Finding]:
        """What git's own shell scripts source by a path that they compute."""
        table = load_table("git")["subcommands"]
        for directory in table["directories"]:
            for name in table["libraries"]:
                path = f"{directory}/{name}"
                if self.world.rootfs.lookup(path) is not None:
                    yield from resolve_command(self.world, (_SHELL, path), because)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if entry.is_file and self._is_config(entry.path):
            self._configs.append(entry)
        return ()

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        if not self._runs:
            return
        configs, self._configs = self._configs, []
        for entry in configs:
            if entry.size_bytes <= _LARGEST_CONFIG_BYTES:
                text = self.world.rootfs.read_bytes(entry).decode("utf-8", "surrogateescape")
                for key, value in parse_git_config(text):
                    yield from self._configured(key, value, entry.path)

    def _is_config(self, path: str) -> bool:
        directory, name = posixpath.split(path)
        table = load_table("git")["configuration"]
        if name in table["files"] or path.endswith("/git/config"):
            return True
        beside = table["repository"] if name == "config" else ()
        return bool(beside) and all(self.world.rootfs.get(f"{directory}/{n}") for n in beside)

    def _configured(self, key: str, value: str, because: str) -> Iterator[Finding]:
        patterns = load_table("git")["configuration"]["commands"]
        if not any(fnmatch.fnmatchcase(key.lower(), pattern) for pattern in patterns):
            return
        command = value.removeprefix("!").strip()
        if key.lower().startswith("alias.") and not value.startswith("!"):
            command = f"git {command}"
        if command and self.world.rootfs.lookup(_SHELL) is not None:
            yield from resolve_command(self.world, (_SHELL, "-c", command), because)


def parse_git_config(text: str) -> Iterator[tuple[str, str]]:
    """The settings of a git configuration file, as ``section.subsection.key`` and value
    (git-config(1), "Syntax")."""
    section = ""
    for line in text.replace("\\\n", "").splitlines():
        line = line.strip()
        match = _SECTION.match(line)
        if match:
            section = f"{match[1]}.{match[2]}" if match[2] is not None else match[1]
            line = line[match.end() :].strip()
        key, equals, value = line.partition("=")
        if equals and section and not line.startswith(("#", ";")):
            yield f"{section}.{key.strip()}", _unquoted(value.strip())


def _unquoted(value: str) -> str:
    """Quotes taken away, comments cut, escapes read."""
    out, quoted, position = "", False, 0
    while position < len(value):
        character = value[position]
        if character == "\\" and position + 1 < len(value):
            position += 1
            out += value[position]
        elif character == '"':
            quoted = not quoted
        elif character in "#;" and not quoted:
            break
        else:
            out += character
        position += 1
    return out.strip()
