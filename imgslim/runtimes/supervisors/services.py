"""Directories of services, as s6, runit and daemontools have them: scripts that run in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from imgslim.commands import join
from imgslim.model import Entry, Finding, Group, Need, Problem, Scope, Severity
from imgslim.runtimes.supervisors.execline import script_commands
from imgslim.runtimes.supervisors.started import Started
from imgslim.runtimes.supervisors.tables import Supervisor, service_scripts
from imgslim.world import World

_REASON = "services"


def read_services(
    world: World, row: Supervisor, words: Sequence[str], because: str
) -> Iterator[Finding | Started]:
    """What a program that scans a directory of services starts, and its own scripts."""
    for pattern in row.scripts:
        for entry in world.rootfs.glob(pattern):
            yield from _script(world, entry.path, "/", because)
    for pattern in row.oneshots:
        for entry in world.rootfs.glob(pattern):
            yield Need(entry.path, Group.APP, _REASON, because, optional=True)
            yield from script_commands(world, world.rootfs.read_text(entry.path), entry.path)
    given = _operands(words, row.value_options)
    found = False
    for top in given or row.services:
        for path in _directories(world, join(world.working_dir, top)):
            found = True
            yield from read_service(world, path, because)
    if given and not found:
        yield Problem(
            "supervisor-configuration",
            Severity.WARNING,
            "",
            f"{because} supervises {' '.join(given)}, where no service is",
            "nothing is kept for it; name what it runs with --also-run",
        )


def read_service(world: World, directory: str, because: str) -> Iterator[Finding | Started]:
    """What runs in one service's directory; all of that belongs to the service."""
    yield Need(directory, Group.APP, _REASON, because, Scope.TREE, optional=True)
    for pattern in service_scripts():
        for entry in world.rootfs.glob(join(directory, pattern)):
            yield from _script(world, entry.path, directory, directory)


def _directories(world: World, top: str) -> Iterator[str]:
    resolved = world.rootfs.resolve(top)
    if resolved.entry is None or not resolved.entry.is_directory:
        return
    for name in world.rootfs.children(resolved.path):
        path = f"{resolved.path.rstrip('/')}/{name}"
        entry = world.rootfs.lookup(path)
        if entry is not None and entry.is_directory and not name.startswith("."):
            yield path


def _script(world: World, path: str, directory: str, because: str) -> Iterator[Finding | Started]:
    entry: Entry | None = world.rootfs.lookup(path)
    if entry is not None and entry.is_file and entry.is_executable:
        yield Started((path,), because, "the service", directory)


def _operands(words: Sequence[str], value_options: Sequence[str]) -> list[str]:
    found: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in value_options:
            del rest[:1]
        elif word and not word.startswith("-"):
            found.append(word)
    return found[:1]
