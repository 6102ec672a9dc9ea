"""Which kept path goes into which layer of the slim image.

Layers are cut by reason, the steadiest first, so that a new release of the app leaves the ones
below it as they were. A directory is in every layer that has something below it, each time with
its own owner, mode, time and attributes: engines lay layers over each other as they are, and one
that lacks a directory brings it anew, as root's and 0755 (the OCI image spec's layer.md,
"Applying Changesets"). Names of one file share a layer, as hard links do not reach over one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from imgslim.model import Group, Keep
from imgslim.world import PackageIndex


class Part(Enum):
    """The layers, base first, in the words of their history rows."""

    SYSTEM = "system libraries and files"
    RUNTIME = "language runtime"
    DEPENDENCY = "dependencies of the app"
    APP = "the app"


_OWN_PART = {
    Group.SYSTEM: Part.SYSTEM,
    Group.PACKAGE: Part.SYSTEM,
    Group.RUNTIME: Part.RUNTIME,
    Group.DEPENDENCY: Part.DEPENDENCY,
    Group.APP: Part.APP,
}
"""Groups that say where a path belongs; programs, libraries and directories are anybody's."""

_DEFAULT = {Group.LIBRARY: Part.SYSTEM}

_ORDER = list(Part)


@dataclass(frozen=True, slots=True)
class Member:
    """A kept path in a layer; ``link_to`` is the path before it in the layer of which it is
    another name, "" for none."""

    keep: Keep
    link_to: str = ""


@dataclass(frozen=True, slots=True)
class SlimLayer:
    """A layer: its members sorted by path, so that parents come before what they hold."""

    part: Part
    members: tuple[Member, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of the regular files."""
        return sum(
            member.keep.size_bytes
            for member in self.members
            if member.keep.entry.is_file and not member.link_to
        )


def split_layers(keeps: Sequence[Keep], packages: PackageIndex) -> tuple[SlimLayer, ...]:
    """The layers of a plan's ``keeps``, base first; a part of which nothing is kept has none."""
    parts = _parts(keeps, packages)
    by_path = {keep.entry.path: keep for keep in keeps}
    paths: dict[Part, set[str]] = {part: set() for part in Part}
    for path, part in parts.items():
        paths[part].add(path)
    covered = {directory for own in paths.values() for directory in _parents(own)}
    for keep in keeps:
        path = keep.entry.path
        if keep.entry.is_directory and path not in covered:
            paths[_part(keep, packages) or Part.APP].add(path)
    layers = []
    for part, own in paths.items():
        if own:
            everything = sorted(own | _parents(own))
            layers.append(SlimLayer(part, tuple(members_of(map(by_path.__getitem__, everything)))))
    return tuple(layers)


def _parents(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        while path != "/":
            path = path.rpartition("/")[0] or "/"
            if path in found:
                break
            found.add(path)
    return found


def members_of(keeps: Iterable[Keep]) -> Iterator[Member]:
    """Kept paths as members of one tar: of several names of a file all but the first are links."""
    first: dict[_File, str] = {}
    for keep in keeps:
        path = keep.entry.path
        if keep.entry.is_directory:
            yield Member(keep)
            continue
        known = first.setdefault(_file(keep), path)
        yield Member(keep, "" if known == path else known)


_File = tuple[int, bytes | None]


def _file(keep: Keep) -> _File:
    """What names of one file have in common: one that gets other content is a file of its own."""
    return keep.entry.inode, keep.content


def _parts(keeps: Sequence[Keep], packages: PackageIndex) -> Mapping[str, Part]:
    """The part of each kept path that is no directory."""
    entries = [keep for keep in keeps if not keep.entry.is_directory]
    sure = {keep.entry.path: _part(keep, packages) for keep in entries}
    votes = _votes(entries, sure)
    first: dict[_File, Part] = {}
    for keep in entries:
        part = sure[keep.entry.path] or votes.get(keep.entry.layer_index)
        part = part or _DEFAULT.get(keep.group, Part.APP)
        first[_file(keep)] = min(part, first.get(_file(keep), part), key=_ORDER.index)
    return {keep.entry.path: first[_file(keep)] for keep in entries}


def _part(keep: Keep, packages: PackageIndex) -> Part | None:
    path = keep.entry.path
    part = _OWN_PART.get(keep.group)
    if part is None and packages.owner(path):
        part = Part.SYSTEM
    if part is None and packages.distribution_owner(path):
        part = Part.DEPENDENCY
    return part


def _votes(keeps: Sequence[Keep], sure: Mapping[str, Part | None]) -> Mapping[int, Part]:
    """For each layer of the fat image what most of its kept paths are: an interpreter came with
    its library, a compiled program with the app's files. One layer alone tells nothing apart."""
    counts: dict[int, Counter[Part]] = {}
    for keep in keeps:
        if part := sure[keep.entry.path]:
            counts.setdefault(keep.entry.layer_index, Counter())[part] += 1
    if len({keep.entry.layer_index for keep in keeps}) < 2:
        return {}
    return {
        index: max(_ORDER, key=lambda part, of=count: (of[part], _ORDER.index(part)))  # type: ignore[misc]
        for index, count in counts.items()
    }
