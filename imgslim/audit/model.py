"""The types of an audit: where the stored bytes of an image are, which of them are in vain, and
what of the rest is needed.

Sizes are bytes of regular files. A stored file is a member of one layer: its bytes count once,
under one of its paths, however many hard links it has. So the sums over cells, over layers, over
kinds and over packages are all the image's size: the regular files of all layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

HIDDEN = "<hidden>"
"""The key of the row for bytes that a later layer deletes or overwrites."""

NOBODY = "<no package>"
"""The key of the row for bytes that no package owns."""


class Verdict(StrEnum):
    """What becomes of stored bytes in the slim image.

    ``UNDECIDED`` are left out, but a Problem of the plan says that something may need them; without
    a plan all that is in the tree is undecided. ``HIDDEN`` are not in the image's tree at all.
    """

    NEEDED = "needed"
    REMOVABLE = "removable"
    UNDECIDED = "undecided"
    HIDDEN = "hidden"

    __hash__ = str.__hash__  # as for Kind


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes by verdict, and the stored files that they are of."""

    needed_bytes: int = 0
    removable_bytes: int = 0
    undecided_bytes: int = 0
    hidden_bytes: int = 0
    file_count: int = 0

    @property
    def tree_bytes(self) -> int:
        """Those that are in the merged tree."""
        return self.needed_bytes + self.removable_bytes + self.undecided_bytes

    @property
    def size_bytes(self) -> int:
        return self.tree_bytes + self.hidden_bytes


@dataclass(frozen=True, slots=True)
class Cell:
    """The smallest unit of the account: stored files that agree in everything here.

    ``directory`` holds them directly; ``package`` is the owner's key ("": nobody's); ``kind`` a
    name of ``kinds.toml`` and ``unit`` what it is more exactly ("apt package lists", "Node.js";
    ""). ``example`` is the path of the largest. A file that the plan cuts or strips has its kept
    bytes in one cell and the others in another, where it is not counted as a file.
    """

    layer_index: int
    directory: str
    package: str
    kind: str
    unit: str
    verdict: Verdict
    size_bytes: int
    file_count: int
    example: str


@dataclass(frozen=True, slots=True)
class LayerAudit:
    """One layer and the instruction that made it. ``stored_size_bytes`` is its blob, perhaps
    compressed; ``in_base`` whether it is the base image's (False where the base is not known)."""

    index: int
    diff_id: str
    instruction: str
    stored_size_bytes: int
    in_base: bool
    weight: Weight
    why: str


@dataclass(frozen=True, slots=True)
class KindAudit:
    """All files of one kind: ``name`` for programs, ``title`` for people. ``units`` are what it is
    made of, largest first: (unit, bytes), "" for what has none. HIDDEN is the last row."""

    name: str
    title: str
    weight: Weight
    units: tuple[tuple[str, int], ...]
    why: str


@dataclass(frozen=True, slots=True)
class PackageAudit:
    """An installed package: ``deb:NAME``, ``apk:NAME``, ``rpm:NAME``, ``pypi:NAME``,
    ``npm:NAME@VERSION``, ``gem:NAME@VERSION``, ``cpan:NAME@VERSION``, ``jar:NAME@VERSION``,
    ``go:MODULE``; NOBODY and HIDDEN are the last rows. ``modules`` are those that a Go binary says
    it was linked from, as MODULE@VERSION: facts without bytes, since one binary holds them all."""

    key: str
    version: str
    weight: Weight
    modules: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class DirectoryAudit:
    """A directory of the merged tree where bytes gather: all that is below it, and ``own_bytes``,
    those outside the directories listed below it. That column adds up to the tree's bytes."""

    path: str
    own_bytes: int
    weight: Weight
    why: str


@dataclass(frozen=True, slots=True)
class FileAudit:
    """A file of the merged tree under the path that stands for it, and its owner ("": nobody).
    ``needed_bytes`` are fewer than all of a needed file where the plan cuts or strips it."""

    path: str
    size_bytes: int
    layer_index: int
    package: str
    kind: str
    unit: str
    verdict: Verdict
    why: str
    needed_bytes: int = 0


class How(StrEnum):
    """How a later layer undid a stored file.

    ``CHANGED`` is stored again with the same content, and other mode, owner or extended attributes
    (``chmod -R`` in a RUN of its own); ``REPEATED`` with nothing changed but perhaps its time.
    """

    DELETED = "deleted"
    OVERWRITTEN = "overwritten"
    CHANGED = "changed in mode or owner"
    REPEATED = "stored again unchanged"


@dataclass(frozen=True, slots=True)
class WastedFile:
    """A file whose bytes are in the image but not in its tree: stored by ``layer_index``, undone by
    ``by_layer`` (None: not found out). ``kind`` and ``unit`` are as in Cell, told by the path."""

    path: str
    size_bytes: int
    layer_index: int
    by_layer: int | None
    how: How
    kind: str
    unit: str


@dataclass(frozen=True, slots=True)
class Undone:
    """All that one layer undoes of another in one way."""

    layer_index: int
    by_layer: int | None
    how: How
    size_bytes: int
    file_count: int
    example: str


@dataclass(frozen=True, slots=True)
class Copy:
    """One stored file of several with the same content. ``hidden``: its bytes are waste anyway."""

    path: str
    layer_index: int
    hidden: bool


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same content, stored several times (hard links are stored once). ``size_bytes`` is that
    of one copy."""

    size_bytes: int
    copies: tuple[Copy, ...]

    @property
    def extra_bytes(self) -> int:
        """What one copy less each would save of the merged tree, hidden ones not counted."""
        living = sum(not copy.hidden for copy in self.copies)
        return self.size_bytes * max(0, living - 1)


@dataclass(frozen=True, slots=True)
class Miscount:
    """Bytes at one path that dive counts otherwise than they are stored and used.

    ``useful_bytes`` is by how much its numerator (bytes that an image without waste would have) is
    above the bytes in the tree, ``stored_bytes`` by how much its denominator is above the bytes in
    the layers; ``why`` names the rule.
    """

    path: str
    useful_bytes: int
    stored_bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class Efficiency:
    """How much of what is stored is in the tree: ``tree_bytes / stored_bytes``; and dive's numbers.

    ``dive_useful_bytes == tree_bytes + sum(m.useful_bytes)`` and ``dive_stored_bytes ==
    stored_bytes + sum(m.stored_bytes)`` over all ``miscounts``. ``dive_wasted_bytes`` is what dive
    prints as wasted: of every path that several layers name all copies, the one in use too.
    """

    tree_bytes: int
    stored_bytes: int
    dive_useful_bytes: int
    dive_stored_bytes: int
    dive_wasted_bytes: int
    miscounts: tuple[Miscount, ...]

    @property
    def score(self) -> float:
        return self.tree_bytes / self.stored_bytes if self.stored_bytes else 1.0

    @property
    def dive_score(self) -> float:
        return self.dive_useful_bytes / self.dive_stored_bytes if self.dive_stored_bytes else 1.0


class Evidence(StrEnum):
    """How the base image was recognised."""

    OPTION = "--base"
    LOCAL = "local image"
    LABEL = "label"
    NONE = ""


@dataclass(frozen=True, slots=True)
class BaseImage:
    """The image that this one was built upon. ``layer_count`` is how many of the layers are its
    (None: not known, and ``note`` says why); ``reference`` its name ("": not known), ``digest``
    that of the label ("")."""

    reference: str = ""
    digest: str = ""
    evidence: Evidence = Evidence.NONE
    layer_count: int | None = None
    note: str = ""


class AdviceKind(StrEnum):
    """What an edit of a Dockerfile does."""

    JOIN = "join-runs"
    SAME_STEP = "same-step"
    DOCKERIGNORE = "dockerignore"
    CLEAN = "clean-up"
    RECOMMENDS = "no-recommends"
    BUILD_STAGE = "build-stage"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Advice:
    """One edit, and what it saves of the stored bytes.

    ``title`` is one line without the bytes, ``edit`` the exact edit (may have several lines),
    ``reason`` what the image shows, in one line ("": the title says it). ``layer_index`` is the
    layer that gets smaller and ``instruction`` the one that made it ("": the image does not say);
    None where the edit is of no single layer. ``paths`` are what goes, as directories, globs or
    files; ``packages`` the keys of packages that go. No byte is in the ``saved_bytes`` of two.
    """

    kind: AdviceKind
    title: str
    edit: str
    reason: str
    layer_index: int | None
    instruction: str
    saved_bytes: int
    file_count: int
    paths: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that weighs, largest first; layers in their order, base first.

    All but ``layers`` of an account of ``under`` ("/": the whole) is about what is below it; bytes
    elsewhere are in no sum. ``no_plan`` says why the image has no plan ("": it has one).
    ``duplicates`` is None where they were not looked for. ``efficiency`` is the whole image's.
    ``advice`` is what saves most first.
    """

    under: str
    weight: Weight
    base: BaseImage
    layers: tuple[LayerAudit, ...]
    kinds: tuple[KindAudit, ...]
    packages: tuple[PackageAudit, ...]
    directories: tuple[DirectoryAudit, ...]
    files: tuple[FileAudit, ...]
    wasted: tuple[WastedFile, ...]
    undone: tuple[Undone, ...]
    efficiency: Efficiency
    duplicates: tuple[Duplicate, ...] | None
    cells: tuple[Cell, ...]
    no_plan: str = ""
    advice: tuple[Advice, ...] = ()

    @property
    def advised_bytes(self) -> int:
        """What all of the advice together saves."""
        return sum(advice.saved_bytes for advice in self.advice)

    @property
    def has_plan(self) -> bool:
        return not self.no_plan

    @property
    def base_weight(self) -> Weight:
        """The share of the base image's layers."""
        return add_weights(layer.weight for layer in self.layers if layer.in_base)

    @property
    def own_weight(self) -> Weight:
        """The share of all other layers: of the user's instructions, where the base is known."""
        return add_weights(layer.weight for layer in self.layers if not layer.in_base)


def add_weights(weights: Iterable[Weight]) -> Weight:
    """The sum of ``weights``."""
    needed = removable = undecided = hidden = files = 0
    for weight in weights:
        needed += weight.needed_bytes
        removable += weight.removable_bytes
        undecided += weight.undecided_bytes
        hidden += weight.hidden_bytes
        files += weight.file_count
    return Weight(needed, removable, undecided, hidden, files)


def weigh(cells: Iterable[Cell]) -> Weight:
    """The sum of ``cells``."""
    sums = dict.fromkeys(Verdict, 0)
    files = 0
    for cell in cells:
        sums[cell.verdict] += cell.size_bytes
        files += cell.file_count
    return Weight(
        sums[Verdict.NEEDED],
        sums[Verdict.REMOVABLE],
        sums[Verdict.UNDECIDED],
        sums[Verdict.HIDDEN],
        files,
    )
