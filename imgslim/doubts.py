"""What a finished plan should admit: things that no rule decided, said once each.

Each is a Problem for the user to read; none of them changes what is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from imgslim.model import (
    Command,
    Keep,
    Origin,
    OriginKind,
    Package,
    Problem,
    Severity,
    unique_size_bytes,
)
from imgslim.runtimes.base import Runtime
from imgslim.runtimes.unknown import is_understood
from imgslim.world import World

_SHELLS = ("/bin/sh", "/bin/bash", "/bin/ash", "/bin/dash", "/usr/bin/sh")

_INSTALL = re.compile(
    r"\b(?:apt-get|apt|aptitude|apk)\b[^;&|]*?\b(?:install|add)\b(?P<words>[^;&|]*)"
)
_PACKAGE_WORD = re.compile(r"[a-z0-9][a-z0-9+.-]+")

_NAMES_SHOWN = 8
_UNRESOLVED = "unresolved-command"


def find_doubts(
    world: World,
    kept: Mapping[str, Keep],
    commands: Iterable[Command],
    runtimes: Sequence[Runtime],
    origin_of: Callable[[str], Origin],
) -> Iterator[Problem]:
    """All that should be said about a plan that keeps ``kept`` and whose programs start
    ``commands`` (those that scripts run included)."""
    yield from _no_shell(world, kept)
    yield from _not_understood(world, commands, runtimes, origin_of)
    yield from _unreached_installs(world, kept)


def _no_shell(world: World, kept: Mapping[str, Keep]) -> Iterator[Problem]:
    shells = [entry for shell in _SHELLS if (entry := world.rootfs.lookup(shell))]
    if shells and not any(shell.path in kept for shell in shells):
        yield Problem(
            "no-shell",
            Severity.WARNING,
            "/bin/sh",
            "the slim image has no shell: docker exec … sh, and hooks or probes that run sh -c, "
            "will fail",
            "add --also-run sh to keep it",
        )


def _not_understood(
    world: World,
    commands: Iterable[Command],
    runtimes: Sequence[Runtime],
    origin_of: Callable[[str], Origin],
) -> Iterator[Problem]:
    """Programs of a kind that no module knows: kept with their packages, trusted less."""
    paths = {command.path for command in commands}
    entries = [entry for path in sorted(paths) if (entry := world.rootfs.lookup(path))]
    unknown = [entry for entry in entries if not is_understood(world, entry, runtimes)]
    packaged = [e.path for e in unknown if origin_of(e.path).kind is not OriginKind.USER]
    native = [e.path for e in unknown if origin_of(e.path).kind is OriginKind.USER]
    if packaged:
        yield Problem(
            "no-module",
            Severity.WARNING,
            packaged[0],
            f"no module knows what is run by {_listing(packaged)}: the level of trust is lower",
            "kept: their packages with what these depend on, their libraries, and every file that "
            "no package owns; try each of the image's functions on the slim one",
        )
    if native:
        yield Problem(
            "native-program",
            Severity.INFO,
            native[0],
            f"what {_listing(native)} opens by name is not known: the level of trust is lower",
            "kept: their libraries, and every file that no package owns",
        )


def _unreached_installs(world: World, kept: Mapping[str, Keep]) -> Iterator[Problem]:
    """Packages that an instruction installed by name and that nothing reaches."""
    named = {
        word
        for row in world.history
        for match in _INSTALL.finditer(row.created_by)
        for word in _PACKAGE_WORD.findall(match["words"])
    }
    unreached = [
        package
        for package in world.packages.packages.values()
        if package.name in named and not _is_reached(world, package, kept)
    ]
    if not unreached:
        return
    entries = [
        entry
        for package in unreached
        for path in package.files
        if (entry := world.rootfs.get(path)) is not None
    ]
    yield Problem(
        "unreached-packages",
        Severity.INFO,
        "",
        f"installed by name, but nothing that the image runs reaches them: "
        f"{_listing(sorted(package.name for package in unreached))}",
        "left out; name a command that uses one with --also-run",
        unique_size_bytes(entries),
    )


def _is_reached(world: World, package: Package, kept: Mapping[str, Keep]) -> bool:
    return any(path in kept and not kept[path].entry.is_directory for path in package.files)


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def price_unresolved(
    world: World, kept: Container[str], problems: Iterable[Problem]
) -> list[Problem]:
    """``problems``, those about a command that could not be resolved with what it would cost in
    bytes to keep every program of PATH that is left out: it may be any of them."""
    found = list(problems)
    if not any(problem.code == _UNRESOLVED for problem in found):
        return found
    entries = (
        world.rootfs.lookup(f"{directory}/{name}")
        for directory in world.search_path
        if (place := world.rootfs.lookup(directory)) is not None
        for name in world.rootfs.children(place.path)
    )
    programs = [entry for entry in entries if entry is not None and entry.is_executable]
    left_out = {entry.path: entry for entry in programs if entry.path not in kept}
    price = unique_size_bytes(left_out.values())
    return [
        replace(problem, cost_bytes=price, left_out=tuple(left_out))
        if problem.code == _UNRESOLVED
        else problem
        for problem in found
    ]
