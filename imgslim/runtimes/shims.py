"""Version managers' shims: a script on PATH stands for the program of that name of one version.

What a shim runs is computed by the manager's scripts from the environment, files and directories:
no reading of these shows it, so the rules are here and the managers in ``data/shims.toml``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgslim.commands import join, locate, resolve_command
from imgslim.model import Claim, Entry, Finding, Group, Need, Origin, OriginKind, Scope
from imgslim.runtimes.base import Runtime
from imgslim.tables import entries_at, load_table
from imgslim.world import World

_HEAD_BYTES = 1024
_NUMBERS = re.compile(r"\d+")
_UNFINISHED = re.compile(r"-(?:dev|src|latest)$|(?:a|b|rc)\d+$")


@dataclass(frozen=True, slots=True)
class Manager:
    """A row of the table, and the directory (``root``) that holds ``shims`` and ``versions``."""

    name: str
    root: str
    variable: str
    file: str
    prefix: str
    keeps: tuple[str, ...]
    claims: tuple[str, ...]
    programs: tuple[str, ...]


def manager_of(world: World, path: str) -> Manager | None:
    """The version manager whose own script or shim ``path`` (canonical) is.

    Its root has the manager's program in ``libexec``; a shim lies in ``shims`` and says in its
    text that it hands its name to that (pyenv-rehash, make_shims).
    """
    for row in load_table("shims")["manager"]:
        for part in ("/shims/", "/libexec/", "/plugins/"):
            root, found, below = path.partition(part)
            if found and world.rootfs.lookup(f"{root}/libexec/{row['name']}") is not None:
                if part == "/shims/" and ("/" in below or not _hands_on(world, path, row["name"])):
                    continue
                return _manager(row, root)
    return None


def _manager(row: Mapping[str, Any], root: str) -> Manager:
    name, variable, file, prefix = (row[key] for key in ("name", "variable", "file", "prefix"))
    keeps, claims, programs = (tuple(row[key]) for key in ("keeps", "claims", "programs"))
    return Manager(name, root, variable, file, prefix, keeps, claims, programs)


def _hands_on(world: World, path: str, name: str) -> bool:
    entry = world.rootfs.get(path)
    if entry is None or not entry.is_file:
        return False
    head = world.rootfs.read_bytes(entry, _HEAD_BYTES)
    return (
        head.startswith(b"#!") and re.search(rb"/%s['\"]? exec " % name.encode(), head) is not None
    )


def selected_programs(world: World, manager: Manager, name: str) -> list[str]:
    """The paths that a shim called ``name`` may run: of the first chosen version that has it; of
    every version where the choice is not known or none of them has it.

    The order is pyenv-version-name's: the variable, the nearest file from the working directory
    upwards, the root's own.
    """
    versions = f"{manager.root}/versions"
    installed = world.rootfs.children(world.rootfs.resolve(versions).path)
    for value in _choices(world, manager):
        for wanted in value:
            if wanted == "system":
                return _behind(world, manager, name)
            version = _installed(wanted, installed, manager.prefix)
            path = f"{versions}/{version}/bin/{name}"
            if version and world.rootfs.lookup(path) is not None:
                return [path]
    paths = [f"{versions}/{version}/bin/{name}" for version in installed]
    return [path for path in paths if world.rootfs.lookup(path) is not None]


def _choices(world: World, manager: Manager) -> Iterator[list[str]]:
    """The versions wanted, from the strongest word on; only the first that is said counts."""
    named = world.config.env_value(manager.variable)
    if named:
        yield named.split(":")
        return
    here = world.rootfs.canonical(world.working_dir)
    places = [f"{here.rstrip('/')}/{manager.file}"]
    while here not in ("", "/"):
        here = posixpath.dirname(here)
        places.append(f"{here.rstrip('/')}/{manager.file}")
    for place in (*places, f"{manager.root}/version"):
        entry = world.rootfs.lookup(place)
        if entry is not None and entry.is_file:
            lines = [line.split() for line in world.rootfs.read_text(entry.path).splitlines()]
            yield [words[0] for words in lines if words and not words[0].startswith("#")]
            return
    yield ["system"]


def _installed(wanted: str, installed: Iterable[str], prefix: str) -> str | None:
    """The version that a word stands for: itself, or the newest that it is a prefix of
    (pyenv-version-name, pyenv-latest)."""
    known = list(installed)
    for word in (wanted, wanted.removeprefix(prefix)):
        if word in known:
            return word
        newer = [v for v in known if v.startswith((f"{word}.", f"{word}-"))]
        finished = [v for v in newer if not _UNFINISHED.search(v)]
        if finished:
            return max(finished, key=lambda v: [int(n) for n in _NUMBERS.findall(v)])
    return None


def _behind(world: World, manager: Manager, name: str) -> list[str]:
    """The program of that name that PATH finds without the shims."""
    for directory in world.search_path:
        found = locate(world, join(directory, name))
        if found is not None and world.rootfs.canonical(directory) != f"{manager.root}/shims":
            return [found]
    return []


class ShimRuntime(Runtime):
    """What a shim, or the manager itself, runs: known without following the manager's scripts."""

    name = "shims"
    understands = True

    def claims(self) -> Iterable[Claim]:
        for row in load_table("shims")["manager"]:
            for program in self._managers(row["name"]):
                root = posixpath.dirname(posixpath.dirname(program))
                for child in self.world.rootfs.children(root):
                    entry = self.world.rootfs.entries[f"{root}/{child}"]
                    if child in row["claims"] or (entry.is_file and "." in child):
                        scope = Scope.TREE if entry.is_directory else Scope.PATH
                        yield Claim(entry.path, Origin(OriginKind.RUNTIME, row["name"]), scope)

    def _managers(self, name: str) -> Iterator[str]:
        suffix = f"/libexec/{name}"
        for path in self.world.rootfs.entries:
            if path.endswith(suffix) and self.world.packages.owner(path) is None:
                yield path

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        manager = manager_of(self.world, path)
        if manager is None:
            return
        yield from self._manager_needs(manager, path)
        if "/shims/" in path:
            name, rest = posixpath.basename(path), argv[1:]
        elif list(argv[1:2]) == ["exec"] and len(argv) > 2:
            name, rest = argv[2], argv[3:]
        else:
            return
        for program in selected_programs(self.world, manager, name):
            yield from resolve_command(self.world, (program, *rest), path)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        manager = manager_of(self.world, entry.path) if entry.is_executable else None
        if manager is None or "/shims/" not in entry.path:
            return
        yield from self._manager_needs(manager, entry.path)
        for program in selected_programs(self.world, manager, posixpath.basename(entry.path)):
            yield Need(program, Group.PROGRAM, f"what {manager.name} chooses", entry.path)

    def _manager_needs(self, manager: Manager, because: str) -> Iterator[Need]:
        reason = f"{manager.name} itself"
        for pattern in manager.keeps:
            for entry in entries_at(self.world.rootfs, f"{manager.root}/{pattern}"):
                yield Need(entry.path, Group.RUNTIME, reason, because, Scope.TREE)
        for program in manager.programs:
            found = self.world.which(program)
            if found is not None:
                yield Need(found, Group.PROGRAM, reason, because)

    def describe(self, entry: Entry) -> str | None:
        manager = manager_of(self.world, entry.path) if entry.is_executable else None
        return None if manager is None else f"{manager.name} script"
