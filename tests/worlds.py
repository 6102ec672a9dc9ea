"""Small images for table tests: a tree in, a World out, through the real tar reader and merge."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from imgslim.choices import Choices
from imgslim.layers import load_layers
from imgslim.model import (
    HistoryRow,
    Image,
    ImageConfig,
    LayerBlob,
    Platform,
)
from imgslim.packages import load_packages
from imgslim.rootfs import Rootfs
from imgslim.world import World

MTIME = 1_700_000_000


@dataclass(frozen=True)
class File:
    """A regular file; ``hard_link`` names the member whose inode it shares."""

    content: bytes | str = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: float = MTIME
    xattrs: tuple[tuple[str, bytes], ...] = ()
    hard_link: str = ""


@dataclass(frozen=True)
class Dir:
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: float = MTIME


@dataclass(frozen=True)
class Link:
    target: str
    mtime: float = MTIME


@dataclass(frozen=True)
class Special:
    """A FIFO or device: ``type`` is the tarfile constant."""

    type: bytes
    major: int = 0
    minor: int = 0
    mode: int = 0o600


Member = File | Dir | Link | Special | str | bytes
Tree = Mapping[str, Member]


def tar_bytes(tree: Tree) -> bytes:
    """A layer's tar of ``tree``: keys are paths; a str or bytes value is a file's content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, member in tree.items():
            if isinstance(member, str | bytes):
                member = File(member)
            _add(archive, path.lstrip("/"), member)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, member: File | Dir | Link | Special) -> None:
    info = tarfile.TarInfo(name or ".")
    info.mtime = getattr(member, "mtime", MTIME)
    info.mode = getattr(member, "mode", 0o777)
    info.uid, info.gid = getattr(member, "uid", 0), getattr(member, "gid", 0)
    content = b""
    match member:
        case Dir():
            info.type = tarfile.DIRTYPE
        case Link():
            info.type, info.linkname = tarfile.SYMTYPE, member.target
        case Special():
            info.type, info.devmajor, info.devminor = member.type, member.major, member.minor
        case File(hard_link=target) if target:
            info.type, info.linkname = tarfile.LNKTYPE, target.lstrip("/")
        case File():
            raw = member.content
            content = raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
            info.size = len(content)
            info.pax_headers = {
                f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape")
                for key, value in member.xattrs
            }
    archive.addfile(info, io.BytesIO(content))


def make_image(tmp_path: Path, layers: Iterable[Tree], config: ImageConfig | None = None) -> Image:
    """An Image whose layers lie as plain tars in ``tmp_path``."""
    blobs = []
    for index, tree in enumerate(layers):
        data = tar_bytes(tree)
        path = tmp_path / f"layer-{index}.tar"
        path.write_bytes(data)
        blobs.append(
            LayerBlob(
                diff_id=f"sha256:{index:064x}",
                digest="",
                stored_size_bytes=len(data),
                created_by=f"layer {index}",
                tar_path=str(path),
                tar_offset=0,
                tar_size_bytes=len(data),
            )
        )
    return Image(
        reference="test:latest",
        image_id="sha256:" + "0" * 64,
        tags=("test:latest",),
        repo_digests=(),
        platform=Platform("linux", "amd64"),
        config=config or ImageConfig(),
        layers=tuple(blobs),
        history=tuple(HistoryRow(blob.created_by, False) for blob in blobs),
    )


def make_world(
    tmp_path: Path,
    *layers: Tree,
    config: ImageConfig | None = None,
    choices: Choices | None = None,
) -> World:
    """A World over the given layers, base first."""
    image = make_image(tmp_path, layers, config)
    loaded = load_layers(image)
    rootfs = Rootfs.of_layers(loaded)
    packages = load_packages(rootfs)
    history: tuple[HistoryRow, ...] = ()
    return World(rootfs, image.config, image.platform, packages, history, choices or Choices())
