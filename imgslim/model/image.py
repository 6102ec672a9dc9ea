"""An image as it is read: entries, layers, config."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

_OFFSET_BITS = 64
"""Those of a position in a tar, or of an inode's number on a disk."""


class Kind(StrEnum):
    """``HARD_LINK`` occurs in unmerged layers only: merging makes it a file."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARD_LINK = "hard link"
    CHAR_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    FIFO = "fifo"

    __hash__ = str.__hash__
    """Enum's own is written in Python, and takes its time where a million files are counted."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What an entry has in common with most others of its image, so that many share one object.

    ``sparse`` is the map of a sparse member as (offset in the file, bytes) pairs, stored one after
    the other at the entry's ``data_offset``.
    """

    uid: int
    gid: int
    link_target: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    device: tuple[int, int] = (0, 0)
    sparse: tuple[tuple[int, int], ...] | None = None


@lru_cache(maxsize=1024)
def owned_by(uid: int, gid: int) -> Traits:
    """The traits of what has an owner and nothing else that is special; the same object each time,
    as long as owners are few."""
    return Traits(uid, gid)


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a layer, or of the merged tree. An image has up to millions: it is kept small.

    ``mode`` holds the permission bits with setuid, setgid and sticky (``0o7777``). ``data_offset``
    is where the content starts in the layer's uncompressed tar, or would start (-1: no layer names
    the entry). What no layer has, such as a plan that is read from a file, has a negative
    ``layer_index``, and any ``data_offset`` that tells the files apart.
    """

    path: str
    kind: Kind
    mode: int
    size_bytes: int
    mtime: float
    traits: Traits
    layer_index: int = 0
    data_offset: int = -1

    @property
    def inode(self) -> int:
        """A number for the file itself: entries that share it are hard links of one file."""
        return (self.layer_index << _OFFSET_BITS) + self.data_offset

    @property
    def uid(self) -> int:
        return self.traits.uid

    @property
    def gid(self) -> int:
        return self.traits.gid

    @property
    def link_target(self) -> str:
        return self.traits.link_target

    @property
    def xattrs(self) -> tuple[tuple[str, bytes], ...]:
        return self.traits.xattrs

    @property
    def device(self) -> tuple[int, int]:
        return self.traits.device

    @property
    def sparse(self) -> tuple[tuple[int, int], ...] | None:
        return self.traits.sparse

    @property
    def is_file(self) -> bool:
        return self.kind is Kind.FILE

    @property
    def is_directory(self) -> bool:
        return self.kind is Kind.DIRECTORY

    @property
    def is_symlink(self) -> bool:
        return self.kind is Kind.SYMLINK

    @property
    def is_executable(self) -> bool:
        return self.kind is Kind.FILE and bool(self.mode & 0o111)

    @property
    def is_implied(self) -> bool:
        """Whether no layer names this directory: it is there because something is below it."""
        return self.kind is Kind.DIRECTORY and self.data_offset == -1


@dataclass(frozen=True, slots=True)
class Platform:
    """``os/architecture[/variant]`` as the OCI image spec's index has it (image-index.md)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """The config's ``Healthcheck``: ``test`` as stored (``CMD``, ``CMD-SHELL`` or ``NONE`` first).
    Times are nanoseconds as in the config; 0 means inherited."""

    test: tuple[str, ...]
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The OCI image spec's config (config.md) and Docker's additions. For ``entrypoint`` and
    ``cmd``, ``None`` and an empty tuple differ, as they do for an engine."""

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    working_dir: str = ""
    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] | None = None
    on_build: tuple[str, ...] = ()

    def env_value(self, name: str) -> str | None:
        """The value of an environment variable; the last one wins, as in ``execve``'s callers."""
        return next((value for key, value in reversed(self.env) if key == name), None)


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One row of the config's history; with ``empty_layer`` it has no layer."""

    created_by: str
    empty_layer: bool


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A layer as a source hands it over: ``tar_path[tar_offset : tar_offset + tar_size_bytes]`` is
    its uncompressed tar, ``diff_id`` its digest; ``digest`` is that of the stored bytes."""

    diff_id: str
    digest: str
    stored_size_bytes: int
    created_by: str
    tar_path: str
    tar_offset: int
    tar_size_bytes: int


@dataclass(frozen=True, slots=True)
class Image:
    """An image as any source gives it. ``image_id`` is the digest of its config."""

    reference: str
    image_id: str
    tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    platform: Platform
    config: ImageConfig
    layers: tuple[LayerBlob, ...]
    history: tuple[HistoryRow, ...]
    load_command: str = ""
    """The command that brings an archive into an engine, e.g. ``docker load -i app.tar``."""

    config_blob: bytes = field(default=b"", repr=False)
    """The config as it is stored, with what ``config`` does not name."""

    manifest_digest: str = ""
    """That of the OCI manifest, where the image came with one."""


@dataclass(frozen=True, slots=True)
class Layer:
    """An indexed, unmerged layer. Index 0 is the base; ``size_bytes`` sums its regular files.

    ``whiteouts`` are the paths that it deletes from the layers below, ``opaques`` the directories
    whose lower content it hides (OCI image spec, layer.md, "Whiteouts").
    """

    index: int
    blob: LayerBlob
    size_bytes: int
    entries: tuple[Entry, ...]
    whiteouts: tuple[str, ...]
    opaques: tuple[str, ...]
