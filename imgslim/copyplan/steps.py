"""The COPY steps of one image, as types: what the planning decides and the Dockerfile writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imgslim.copyplan.moves import Moves
from imgslim.copyplan.tools import Tools
from imgslim.databases.filters import Filter
from imgslim.model import Entry, Group, Keep, Problem


@dataclass(frozen=True, slots=True)
class Content:
    """What one COPY brings for one reason; a hard link's bytes count once."""

    group: Group
    reason: str
    file_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PlainCopy:
    """A COPY of the final stage: ``sources`` are files of one directory, or one directory.

    ``contents`` is never empty; the heaviest comes first. ``patterns`` has the pattern to write
    in place of a source, where there is one.
    """

    sources: tuple[str, ...]
    is_directory: bool
    contents: tuple[Content, ...]
    patterns: Mapping[str, str] = field(default_factory=dict)

    @property
    def destination(self) -> str:
        """The same directory, or the directory of the files with a slash, as COPY wants it."""
        first = self.sources[0]
        return first if self.is_directory else first.rpartition("/")[0] + "/"

    @property
    def size_bytes(self) -> int:
        return sum(content.size_bytes for content in self.contents)


@dataclass(frozen=True, slots=True)
class PrunedTree:
    """A directory that goes into the gathered tree, without the paths in ``removed``."""

    path: str
    removed: tuple[str, ...]
    contents: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a stage with a shell puts together, in the order in which it has to.

    ``contents`` speak of all but the trees. ``units`` are what one tar must carry together: single
    entries, or all names of one file. ``moved`` are taken by rename (devices that a builder may not
    make, capabilities that a tool may drop), each with its further names. ``directories`` are read
    from the running stage, ``stated`` are those whose own state it does not show. Both:
    children first. ``strips`` lose what only debuggers read. ``patterns`` has the pattern to
    write in place of a path, where there is one. ``filters`` cut package databases.
    """

    contents: tuple[Content, ...] = ()
    trees: tuple[PrunedTree, ...] = ()
    units: tuple[tuple[Entry, ...], ...] = ()
    moved: tuple[tuple[Entry, ...], ...] = ()
    directories: tuple[Entry, ...] = ()
    stated: tuple[Entry, ...] = ()
    strips: tuple[Keep, ...] = ()
    patterns: Mapping[str, str] = field(default_factory=dict)
    filters: tuple[Filter, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.trees or self.units or self.moved or self.directories or self.stated)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a tar beside the Dockerfile brings where the image has no tools to gather with.

    ``keeps`` are sorted by path, with the directories whose owner, mode and time a COPY line
    loses; ``contents`` speak of all but these.
    """

    keeps: tuple[Keep, ...] = ()
    contents: tuple[Content, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """All COPY steps of one image. ``place`` is the gathered tree's directory, free in the image.

    ``clean_base``: the fat image is copied into an empty stage instead of being its base, so that
    no trigger of it fires and its layers do not count. ``lasting``: what a later build lacks is
    looked for before it is copied. ``moves`` come before all else.
    Of ``gathered`` and ``sidecar`` at most one holds anything.
    """

    plain: tuple[PlainCopy, ...]
    gathered: Gathered
    tools: Tools | None
    place: str
    clean_base: bool
    problems: tuple[Problem, ...] = ()
    lasting: bool = False
    sidecar: Sidecar = Sidecar()
    moves: tuple[Moves, ...] = ()
