"""What environment variables name: files, programs, options (``data/env.toml``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from imgslim.commands import (
    Place,
    existing_paths,
    is_system_directory,
    join,
    resolve_command,
    split_words,
    word_needs,
)
from imgslim.model import Finding, Group, Need, Scope
from imgslim.tables import load_table
from imgslim.world import World

_LIST_SEPARATORS = re.compile(r"[:,;\s]+")


@cache
def _variables() -> Mapping[str, Mapping[str, Any]]:
    rows = load_table("env")["variable"]
    return {name: row for row in rows for name in row["names"]}


def variable_needs(
    world: World, name: str, value: str, because: str, place: Place | None = None
) -> Iterator[Finding]:
    """What one variable's value asks for. ``because`` says where it is set.

    All of it is optional: a path that is not in the image is no need.
    """
    row = _variables().get(name, {})
    match row.get("kind", "text"):
        case "ignore":
            return
        case "command":
            yield from resolve_command(world, split_words(value), because, place)
        case "words":
            yield from word_needs(world, split_words(value), because, place)
        case "paths":
            for part in _LIST_SEPARATORS.split(value):
                if part:
                    yield from _path(world, name, part, row, because, place)
        case "path":
            yield from _path(world, name, value, row, because, place)
        case _:
            for path in existing_paths(world.rootfs, value):
                yield _need(path, name, because)


def _path(
    world: World,
    name: str,
    value: str,
    row: Mapping[str, Any],
    because: str,
    place: Place | None,
) -> Iterator[Need]:
    if "/" not in value and name.startswith("LD_"):
        return
    for directory in (place or Place.of(world)).directories:
        path = join(directory, value.rstrip("*"))
        entry = world.rootfs.lookup(path)
        if entry is not None and entry.path != "/":
            whole = row.get("scope") == "tree" and entry.is_directory
            scope = Scope.TREE if whole and not is_system_directory(entry) else Scope.PATH
            yield _need(path, name, because, scope)


def _need(path: str, name: str, because: str, scope: Scope = Scope.PATH) -> Need:
    return Need(path, Group.APP, f"named by the variable {name}", because, scope, optional=True)


def searched_needs(
    world: World, name: str, value: str, because: str, place: Place, by: str
) -> Iterator[Need]:
    """The directories of a search path that ``by`` (such as ``a script``) sets and the image's
    config does not: the loader's module does not know it, so all of them is kept."""
    for part in value.split(":"):
        path = join(place.directories[0], part)
        entry = world.rootfs.lookup(path) if part else None
        if entry is not None and entry.is_directory and not is_system_directory(entry):
            reason = f"search path {name} set by {by}"
            yield Need(path, Group.LIBRARY, reason, because, Scope.TREE, optional=True)


def is_search_path(name: str) -> bool:
    """Whether a variable is where the loader or a runtime looks, told to it by the config only."""
    return _variables().get(name, {}).get("kind") == "search"
