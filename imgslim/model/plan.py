"""What is found in an image, and what becomes of it: packages, needs, the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cached_property

from imgslim.model.image import Entry, Kind


class Severity(StrEnum):
    """An ``ERROR`` breaks the slim image, a ``WARNING`` may, ``INFO`` is only said."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be decided, or that the user should know.

    ``code`` is a stable kebab-case word, ``path`` where it shows (``""``: the image),
    ``resolution`` what was done and what to do, ``cost_bytes`` of keeping (0: none or unknown).
    ``left_out`` are the paths that it says may be needed all the same.
    """

    code: str
    severity: Severity
    path: str
    message: str
    resolution: str = ""
    cost_bytes: int = 0
    left_out: tuple[str, ...] = field(default=(), repr=False)


class Group(Enum):
    """The sections of a plan, in the order in which the Dockerfile shows them."""

    PROGRAM = "the program"
    APP = "the app's own files"
    DEPENDENCY = "dependencies of the app"
    RUNTIME = "language runtime"
    PACKAGE = "files of system packages"
    LIBRARY = "shared libraries"
    SYSTEM = "what programs expect of a system"
    DIRECTORY = "directories"


class Scope(Enum):
    """One path, or a directory with all that lies below it."""

    PATH = "path"
    TREE = "tree"


@dataclass(frozen=True, slots=True)
class Need:
    """A path that something needs.

    ``path`` may lead through links: they are kept too, with the target. ``reason`` names the unit
    ("distribution flask 3.0.3", "shared library"), alike for all its paths: reports group by it.
    ``because`` is the image path that asked, or a word in angle brackets for what is no path
    (``<entrypoint>``, ``<env LD_LIBRARY_PATH>``); ``line`` the line in it (0: none or unknown).
    ``optional`` needs are dropped without a word when the path is not in the image; others become
    a ``missing-path`` problem.
    """

    path: str
    group: Group
    reason: str
    because: str
    scope: Scope = Scope.PATH
    optional: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """A command that the image runs: its words, the canonical file that they run, who asked.

    ``argv[0]`` is as it was written where PATH and the working directory of the config lead to the
    file, else the absolute path by which it was found. ``because`` and ``line`` are as in ``Need``.
    """

    argv: tuple[str, ...]
    path: str
    because: str
    line: int = 0


Finding = Need | Problem | Command
"""What a detector yields: something more to keep, something to say, or a command that runs."""


class OriginKind(StrEnum):
    """Who put a path into the image."""

    USER = "user"
    PACKAGE = "package"
    DISTRIBUTION = "distribution"
    RUNTIME = "runtime"
    GENERATED = "generated"
    CACHE = "cache"
    SOURCE = "source"
    VCS = "version control"
    ENGINE = "engine"

    __hash__ = str.__hash__  # as for Kind


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a path comes from: ``unit`` names it ("deb:libc6", "pypi:flask", "Go toolchain")."""

    kind: OriginKind
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A runtime's word that a path (a file, or a whole tree: ``scope``) is its own."""

    path: str
    origin: Origin
    scope: Scope = Scope.TREE


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package. ``key``: ``deb:NAME`` (``deb:NAME:ARCH`` if foreign), ``apk:NAME``,
    ``rpm:NAME`` (``rpm:NAME.ARCH`` or longer for others of that name).
    ``files`` are canonical paths in the merged tree: links in their directories resolved, dpkg's
    diversions applied. ``depends`` holds package keys, alternatives resolved to the one that is
    installed. ``checksums`` maps a path to (algorithm, hex digest) where the database knows it.
    ``conffiles`` are those of ``files`` that the administrator may edit, ``database`` the record
    that lists the files, ``essential`` the base set on which others may silently rely (policy 3.8),
    ``section`` the archive's subject area (Debian policy 2.4), ``recommends`` the keys of those
    installed that it only recommends (policy 7.2).
    """

    key: str
    name: str
    version: str
    architecture: str
    files: tuple[str, ...]
    depends: tuple[str, ...] = ()
    essential: bool = False
    checksums: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    conffiles: tuple[str, ...] = ()
    database: str = ""
    section: str = ""
    recommends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A row of ``entry_points.txt``: group, name, and the object reference ``module[:attr]``."""

    group: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed Python distribution (packaging.python.org, "Recording installed projects").

    ``metadata_path`` is its ``*.dist-info`` or ``*.egg-info`` (directory or file), ``site_path``
    the directory that holds it. ``files`` are canonical paths. ``requires`` are the normalised
    names of its requirements that apply without extras, ``top_level`` its importable names.
    """

    name: str
    version: str
    metadata_path: str
    site_path: str
    files: tuple[str, ...]
    requires: tuple[str, ...] = ()
    entry_points: tuple[EntryPoint, ...] = ()
    top_level: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"pypi:{self.name}"


@dataclass(frozen=True, slots=True)
class Keep:
    """A kept path with the first reason that asked for it; ``because`` (at ``line``) leads up the
    chain. The build runs ``strip`` (a command, or "") on it: ``strip_bytes`` less. ``content`` are
    its bytes in the slim image where they are not the fat one's (a package database cut to what is
    kept), else None. ``moved_from`` is the path at which the fat image has this file, where that is
    not ``entry.path``, else "": ``entry`` is the fat image's under the slim image's path. With
    ``strippable`` any build of the plan may have stripped it, whoever has the tool for it."""

    entry: Entry
    group: Group
    reason: str
    because: str
    strip: str = ""
    strip_bytes: int = 0
    line: int = 0
    content: bytes | None = field(default=None, repr=False)
    moved_from: str = ""
    strippable: bool = False

    @property
    def size_bytes(self) -> int:
        """Bytes of the file in the slim image."""
        if self.content is not None:
            return len(self.content)
        return self.entry.size_bytes - self.strip_bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """A path that is left out, and where it came from."""

    entry: Entry
    origin: Origin


@dataclass(frozen=True, slots=True)
class Program:
    """A command that the image runs: its words, the file it resolves to, and what that is."""

    label: str
    argv: tuple[str, ...]
    path: str
    description: str = ""


@dataclass(frozen=True)
class Plan:
    """What stays, what goes, and what could not be decided. Everything else renders this.
    ``keeps`` is closed over parents and link targets and sorted by path, ``drops`` too;
    ``has_levels``: another level may give another plan."""

    programs: tuple[Program, ...]
    keeps: tuple[Keep, ...]
    drops: tuple[Drop, ...]
    problems: tuple[Problem, ...]
    has_levels: bool = False

    @cached_property
    def by_path(self) -> Mapping[str, Keep]:
        """What is kept, by its path in the slim image."""
        return {keep.entry.path: keep for keep in self.keeps}

    @cached_property
    def by_source(self) -> Mapping[str, Keep]:
        """The same by its path in the fat image."""
        if not any(keep.moved_from for keep in self.keeps):
            return self.by_path
        return {keep.moved_from or keep.entry.path: keep for keep in self.keeps}

    @property
    def slim_size_bytes(self) -> int:
        """Bytes of the kept regular files as they are in the slim image, a hard link once."""
        files = (keep for keep in self.keeps if keep.entry.is_file)
        return sum({keep.entry.inode: keep.size_bytes for keep in files}.values())

    @property
    def fat_size_bytes(self) -> int:
        """The same of the merged fat image: kept and dropped paths together."""
        rows = (self.keeps, self.drops)
        return unique_size_bytes(row.entry for part in rows for row in part)


def paths_by_inode(entries: Iterable[Entry]) -> dict[int, list[str]]:
    """The names of each regular file in ``entries``, in their order."""
    names: dict[int, list[str]] = {}
    for entry in entries:
        if entry.kind is Kind.FILE:
            names.setdefault(entry.inode, []).append(entry.path)
    return names


def unique_size_bytes(entries: Iterable[Entry]) -> int:
    """Sum the bytes of regular files in ``entries``, files that share an inode once."""
    return sum({e.inode: e.size_bytes for e in entries if e.kind is Kind.FILE}.values())
