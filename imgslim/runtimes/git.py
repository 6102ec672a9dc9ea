"""git: the commands that its configuration and its own arguments name.

Rules: ``data/git.toml``. A value of such a key is a command line for the shell (git-config(1)).
Subcommands that are left out of git's package (``data/packages.toml``) come back where the code
around a call of git names one: it may build the call from its parts.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from imgslim.commands import name_of, resolve_command
from imgslim.model import Entry, Finding, Group, Need, Scope
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.script import PACKAGE_DIRECTORIES
from imgslim.runtimes.trimmed import trimmed_paths
from imgslim.tables import load_table
from imgslim.world import World

_SHELL = "/bin/sh"
_SECTION = re.compile(r'\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_LARGEST_CONFIG_BYTES = 256 << 10
_LARGEST_SOURCE_BYTES = 1 << 20
_PREFIX = "git-"
_ENTRYPOINT = "<entrypoint>"


class GitRuntime(Runtime):
    """What runs beside git, where git runs."""

    name = "git"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._runs = False
        self._configs: list[Entry] = []
        self._callers: dict[str, None] = {}
        self._searched: set[str] = set()

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        if name_of(path) != "git":
            return
        if because.startswith("/"):
            self._callers[posixpath.dirname(because)] = None
        if not self._runs:
            self._runs = True
            yield from self._libraries(because)
        if self._is_open(argv, because):
            for left_out in trimmed_paths(self.world, "git"):
                yield Need(left_out, Group.PROGRAM, "commands of git", because, optional=True)
        if because.startswith("<"):
            yield from self._own_repository(because)
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

    def _is_open(self, argv: Sequence[str], because: str) -> bool:
        """Whether who starts the container says which of its commands git is to run."""
        given = (self.world.config.entrypoint or ()) if because == _ENTRYPOINT else argv
        words = [word for word in given[1:] if not word.startswith("-")]
        return because.startswith("<") and not words

    def _own_repository(self, because: str) -> Iterator[Need]:
        """The repository around the working directory (git(1), "GIT_DIR"), on which git works where
        an image runs it as its own command: data, no leftover of a checkout."""
        top = self.world.rootfs.resolve(self.world.working_dir).path
        while top:
            path = f"{top.rstrip('/')}/.git"
            if self.world.rootfs.lookup(path) is not None:
                reason = "repository that git is started in"
                yield Need(path, Group.APP, reason, because, Scope.TREE, optional=True)
                return
            top = top.rpartition("/")[0]

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
        yield from self._named(kept)

    def _named(self, kept: KeptPaths) -> Iterator[Need]:
        """The left-out subcommands that a file near a caller of git names."""
        paths = {path.rpartition("/")[2]: path for path in trimmed_paths(self.world, "git")}
        names = {name.removeprefix(_PREFIX): paths[name] for name in paths if _PREFIX in name}
        if not names:
            return
        search = _naming(names).finditer
        for entry in [e for e in kept.entries() if self._is_source(e)]:
            self._searched.add(entry.path)
            content = self.world.rootfs.read_bytes(entry)
            if b"git" in content:
                for match in search(content.decode("utf-8", "replace")):
                    name = (match[1] or match[2]).replace("_", "-")
                    yield Need(names[name], Group.PROGRAM, "commands of git", entry.path)

    def _is_source(self, entry: Entry) -> bool:
        if not entry.is_file or not 0 < entry.size_bytes <= _LARGEST_SOURCE_BYTES:
            return False
        return entry.path not in self._searched and self._is_near_caller(entry.path)

    def _is_near_caller(self, path: str) -> bool:
        """In the directory of a caller or below it, and no system package's."""
        if self.world.packages.owner(path) is not None:
            return False
        shared = load_table("packages")["program_directories"]
        for directory in self._callers:
            if posixpath.dirname(path) == directory:
                return True
            is_own = directory != "/" and posixpath.basename(directory) not in shared
            if is_own and path.startswith(f"{directory}/"):
                return not any(part in path[len(directory) :] for part in PACKAGE_DIRECTORIES)
        return False

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


def _naming(names: Iterable[str]) -> re.Pattern[str]:
    """What names a subcommand: git before it, in one string or in a list of words; one of two
    words also in quotes by itself. Languages write its hyphen as an underscore."""
    each = sorted(re.escape(name).replace(r"\-", "[-_]") for name in names)
    double = "|".join(name for name in each if "[-_]" in name)
    after = rf"\bgit[\s.,\"'(\[-]+({'|'.join(each)})"
    quoted = rf"[\"'`]({double})(?=[\"'`\s])"
    return re.compile(rf"(?:{after}|{quoted})(?![\w-])")


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
