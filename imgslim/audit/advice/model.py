"""What advice is made from, and what it is before the bytes are shared out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from imgslim.audit.advice.steps import Step
from imgslim.audit.model import (
    Advice,
    AdviceKind,
    BaseImage,
    Cell,
    Duplicate,
    Verdict,
    WastedFile,
)
from imgslim.model import Entry, Layer, Origin, Package
from imgslim.paths import above

_MOST_PATHS = 8


class Stored(NamedTuple):
    """A stored file of the merged tree under the path that stands for it, as the account has it."""

    entry: Entry
    path: str
    package: str
    kind: str
    unit: str
    verdict: Verdict

    @property
    def layer_index(self) -> int:
        return self.entry.layer_index

    @property
    def size_bytes(self) -> int:
        return self.entry.size_bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What the audit found of one image.

    ``files`` are all of its tree but those of the base's layers, ``wasted`` those that later layers
    hide, ``cells`` the account. ``asked`` are the keys of the packages that somebody asked for
    by name (None: the package manager has no record of that), ``recommends`` whether it brings
    what packages only recommend unless it is told otherwise; ``installed_in`` are the keys of
    the packages by the layer that installed them. ``origin_of`` is the audit's. ``duplicates``
    are the files with the same content (nothing: they were not looked for), ``user`` is whom
    the image runs as.
    """

    layers: Sequence[Layer]
    steps: tuple[Step, ...]
    files: Sequence[Stored]
    wasted: Sequence[WastedFile]
    cells: Sequence[Cell]
    base: BaseImage
    has_plan: bool
    packages: Mapping[str, Package]
    asked: Set[str] | None
    recommends: bool
    installed_in: Mapping[int, Set[str]]
    origin_of: Callable[[str], Origin]
    is_tool: Callable[[str], bool]
    duplicates: Sequence[Duplicate]
    user: str


class Share(NamedTuple):
    """Bytes that an edit saves: of one file, or of ``file_count`` that are told together."""

    layer_index: int
    name: str
    size_bytes: int
    file_count: int = 1


@dataclass(frozen=True, slots=True)
class Draft:
    """Advice without its bytes: ``shares`` are what it would save if no other had them."""

    kind: AdviceKind
    title: str
    edit: str
    shares: tuple[Share, ...]
    reason: str = ""
    layer_index: int | None = None
    instruction: str = ""
    paths: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def weighed(self, shares: Iterable[Share]) -> Advice:
        """The advice with the bytes that are its own."""
        own = tuple(shares)
        return Advice(
            kind=self.kind,
            title=self.title,
            edit=self.edit,
            reason=self.reason,
            layer_index=self.layer_index,
            instruction=self.instruction,
            saved_bytes=sum(share.size_bytes for share in own),
            file_count=sum(share.file_count for share in own),
            paths=self.paths,
            packages=self.packages,
        )


def share_of(file: Stored | WastedFile) -> Share:
    """All bytes of one stored file."""
    return Share(file.layer_index, file.path, file.size_bytes)


def shares_of(files: Iterable[Stored | WastedFile]) -> tuple[Share, ...]:
    return tuple(map(share_of, files))


def top_of_origin(facts: Facts, path: str, below: str = "/") -> str:
    """The outermost directory around ``path`` of the same origin, inside the directory ``below``
    (ends with a slash); ``path`` itself where its own directory is of another."""
    origin = facts.origin_of(path)
    for directory in above(path):
        inside = directory.startswith(below) and directory != "/"
        if not inside or facts.origin_of(directory) != origin:
            break
        path = directory
    return path


def largest(files: Iterable[Stored | WastedFile]) -> tuple[str, ...]:
    """The paths of the largest of ``files``."""
    ranked = sorted(files, key=lambda file: (-file.size_bytes, file.path))
    return tuple(file.path for file in ranked[:_MOST_PATHS])


def by_layer(files: Iterable[Stored]) -> Iterator[tuple[int, list[Stored]]]:
    """``files`` by their layers, in order."""
    groups: dict[int, list[Stored]] = {}
    for file in files:
        groups.setdefault(file.layer_index, []).append(file)
    yield from sorted(groups.items())
