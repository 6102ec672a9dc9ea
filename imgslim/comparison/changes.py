"""What a comparison of two images finds. ``before`` is the first image, ``after`` the second.

Sizes are bytes of regular files, files that share an inode once; growth is negative where bytes
went away.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imgslim.model import Kind


class How(StrEnum):
    """What became of a path, a package or a layer; only layers are listed that are the same."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    SAME = "same"


class Aspect(StrEnum):
    """In which respect a path differs; of extended attributes each has its own name instead."""

    KIND = "kind"
    SIZE = "size"
    CONTENT = "content"
    LINK_TARGET = "link target"
    MODE = "mode"
    OWNER = "owner"
    DEVICE = "device"
    HARD_LINKS = "hard links"
    MTIME = "mtime"


@dataclass(frozen=True, slots=True)
class Detail:
    """One respect in which a path differs. Of contents of one size no values are given."""

    aspect: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class PathChange:
    """A path that differs; ``kind`` is that of the image after, of a removed path the one before.

    ``growth_bytes`` counts the bytes of several names of one file at one of them. The layers are
    those that hold the path's content, None where the path is not in that image; ``owner`` is the
    package (``deb:NAME``) or "".
    """

    path: str
    how: How
    kind: Kind
    size_before: int
    size_after: int
    growth_bytes: int
    owner: str
    layer_before: int | None
    layer_after: int | None
    details: tuple[Detail, ...] = ()

    @property
    def is_time_only(self) -> bool:
        """Whether nothing but the modification time differs."""
        return bool(self.details) and all(row.aspect == Aspect.MTIME for row in self.details)


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package (``deb:NAME``, ``apk:``, ``rpm:``, ``pypi:``, ``npm:``) that came, went, or has
    other versions or bytes; one name may be there in several versions."""

    key: str
    how: How
    versions_before: tuple[str, ...]
    versions_after: tuple[str, ...]
    size_before: int
    size_after: int
    growth_bytes: int


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A field of the config in the words of an instruction (``variable PATH``, ``ENTRYPOINT``);
    None stands for what is not set."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class LayerSide:
    """A layer in one of the images. ``hidden_bytes`` of its bytes are deleted or overwritten by
    later layers of that image."""

    index: int
    diff_id: str
    instruction: str
    size_bytes: int
    hidden_bytes: int


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer of one image beside the one that stands for it in the other.

    ``growth_bytes`` sum up to what all layers grew. Of the layer after, ``known_bytes`` are those
    of files whose content the image before has at the same path; ``repeated_bytes`` those whose
    content a layer below stores at the same path already, as after a ``chmod -R``.
    """

    how: How
    before: LayerSide | None
    after: LayerSide | None
    growth_bytes: int
    known_bytes: int
    repeated_bytes: int


@dataclass(frozen=True, slots=True)
class DirectoryGrowth:
    """A directory where growth gathers: with all below it, and its own, outside the directories
    listed below it. Own growth adds up to that of the tree; ``path_count`` are own paths that
    grew or shrank."""

    path: str
    growth_bytes: int
    own_growth_bytes: int
    path_count: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """One image: bytes of the merged tree, of all layers, and those that later layers hide."""

    tree_bytes: int
    stored_bytes: int
    hidden_bytes: int
    path_count: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that differs; paths and packages sorted by name, layers in their order.

    ``under`` is the directory that was asked for ("/": the whole images). The contents of
    ``read_files`` files (``read_bytes`` in each image) were read to compare them: those of one size
    that do not come from a layer that both images have.
    """

    under: str
    before: Sizes
    after: Sizes
    layers: tuple[LayerChange, ...]
    directories: tuple[DirectoryGrowth, ...]
    packages: tuple[PackageChange, ...]
    paths: tuple[PathChange, ...]
    config: tuple[ConfigChange, ...]
    read_files: int
    read_bytes: int

    @property
    def is_different(self) -> bool:
        """Whether more differs than modification times, history, and how layers are cut."""
        paths = any(not change.is_time_only for change in self.paths)
        return paths or bool(self.config) or self.before.stored_bytes != self.after.stored_bytes
