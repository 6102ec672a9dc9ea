"""Bundles: what a Gemfile and its lock say of gems, groups and what each gem needs.

Formats: bundler.io, gemfile(5) and Bundler's LockfileParser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgslim.commands import join
from imgslim.runtimes.ruby.source import arguments_of, calls_in, evaluate
from imgslim.runtimes.ruby.tables import ruby_table
from imgslim.runtimes.syntax_trees import text_of
from imgslim.world import World

if TYPE_CHECKING:
    from tree_sitter import Node

_SPEC = re.compile(r"^    (\S+) \(([^)]+)\)$")
_DEPENDENCY = re.compile(r"^      (\S+?)!?(?: \(|$)")
_WANTED = re.compile(r"^  (\S+?)!?(?: \(|$)")


@dataclass(frozen=True, slots=True)
class Lock:
    """A Gemfile.lock: versions and needs of each gem, the directories of local gems (as written),
    the git revisions, and what the Gemfile itself asked for."""

    versions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    depends: Mapping[str, frozenset[str]] = field(default_factory=dict)
    paths: Mapping[str, frozenset[str]] = field(default_factory=dict)
    revisions: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bundle:
    """An app's Gemfile. ``groups`` are those of each gem that it names, ``required`` the features
    that Bundler.require loads where they are not the gem's name."""

    directory: str
    manifest: str
    groups: Mapping[str, frozenset[str]]
    required: tuple[str, ...]
    lock: Lock

    def names(self, active: frozenset[str]) -> frozenset[str]:
        """The gems of all groups but those for development, and of the ``active`` ones of these,
        with what they need."""
        left = ruby_table().development - active
        named = {n for n, groups in self.groups.items() if not groups or groups - left}
        unnamed = self.lock.wanted - self.groups.keys()
        local = {name for names in self.lock.paths.values() for name in names}
        return self._closed(named | unnamed | (local - self.groups.keys()))

    def all_names(self) -> frozenset[str]:
        return frozenset(self.lock.versions) | frozenset(self.groups)

    def _closed(self, names: set[str]) -> frozenset[str]:
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(self.lock.depends.get(name, ()))
        return frozenset(found)


def find_bundles(world: World, is_own: Callable[[str], bool]) -> Iterator[Bundle]:
    """The bundles of the image outside of gems: ``is_own`` tells a path's own from a gem's."""
    rootfs = world.rootfs
    endings = tuple(f"/{name}" for name in ruby_table().manifests)
    places = [path for path in rootfs.entries if path.endswith(endings)]
    named = world.config.env_value("BUNDLE_GEMFILE")
    if named:
        places.append(rootfs.resolve(join(world.working_dir, named)).path)
    for path in dict.fromkeys(places):
        entry = rootfs.lookup(path)
        if entry is not None and entry.is_file and is_own(path):
            yield read_bundle(world, path)


def read_bundle(world: World, path: str) -> Bundle:
    """The bundle of the Gemfile at ``path``."""
    rootfs = world.rootfs
    lock_path = f"{path.removesuffix('gems.rb')}gems.locked" if path.endswith("/gems.rb") else ""
    lock = read_lock(rootfs.read_text(lock_path or f"{path}.lock"))
    entry = rootfs.lookup(path)
    data = rootfs.read_bytes(entry) if entry is not None else b""
    groups: dict[str, frozenset[str]] = {}
    required: list[str] = []
    for name, node in calls_in(data):
        arguments = arguments_of(node)
        if name != "gem" or not arguments:
            continue
        value = evaluate(arguments[0])
        if value.complete and value.text:
            own = _groups(node)
            known = groups.get(value.text)
            groups[value.text] = own if known is None else known | own
            required += _required(node)
    return Bundle(path.rpartition("/")[0], path, groups, tuple(required), lock)


def _groups(node: Node) -> frozenset[str]:
    """The groups of a ``gem`` line: its own and those of the blocks around it."""
    found = {text for key in ("group", "groups") for text in _option(node, key)}
    around = node.parent
    while around is not None:
        if around.type == "call" and text_of(around.child_by_field_name("method")) == "group":
            values = (evaluate(argument) for argument in arguments_of(around))
            found |= {value.text for value in values if value.complete and value.text}
        around = around.parent
    return frozenset(found)


def _required(node: Node) -> Iterator[str]:
    yield from _option(node, "require")


def _option(node: Node, key: str) -> Iterator[str]:
    for argument in arguments_of(node):
        if argument.type != "pair":
            continue
        name, value = argument.child_by_field_name("key"), argument.child_by_field_name("value")
        if value is None or text_of(name).strip(":'\"") != key:
            continue
        members = value.named_children if value.type in ("array", "symbol_array") else [value]
        for member in members:
            text = evaluate(member)
            if text.complete and text.text:
                yield text.text


def read_lock(text: str) -> Lock:
    """A Gemfile.lock; an empty one for an empty text."""
    versions: dict[str, set[str]] = {}
    depends: dict[str, set[str]] = {}
    paths: dict[str, set[str]] = {}
    revisions: set[str] = set()
    wanted: set[str] = set()
    section = remote = name = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            section, remote, name = line.strip(), "", ""
        elif line.startswith("  remote: "):
            remote = line.removeprefix("  remote: ").strip()
        elif line.startswith("  revision: "):
            revisions.add(line.removeprefix("  revision: ").strip())
        elif match := _SPEC.match(line):
            name = match[1]
            versions.setdefault(name, set()).add(match[2])
            depends.setdefault(name, set())
            if section == "PATH":
                paths.setdefault(remote, set()).add(name)
        elif name and (match := _DEPENDENCY.match(line)):
            depends[name].add(match[1])
        elif section == "DEPENDENCIES" and (match := _WANTED.match(line)):
            wanted.add(match[1])

    def frozen(found: Mapping[str, set[str]]) -> Mapping[str, frozenset[str]]:
        return {key: frozenset(values) for key, values in found.items()}

    return Lock(
        frozen(versions), frozen(depends), frozen(paths), frozenset(revisions), frozenset(wanted)
    )


def active_groups(world: World) -> frozenset[str]:
    """The groups that the environment's name stands for: ``Bundler.require(*Rails.groups)``."""
    table = ruby_table()
    values = world.values_at_start
    set_ones = [v for name in table.environments for v in values.get(name, ()) if v]
    return frozenset(set_ones or [table.default_environment])
