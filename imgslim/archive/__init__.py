"""Write the slim image itself, without an engine: an image, its tree and its plan in, a tar out.
Upon another image, that one's layers come first.

The same input gives the same archive on every machine, with other compressions than ``none`` for
one version of the compressor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from imgslim.archive.blobs import CHUNK_BYTES, ArchiveTar, Blob
from imgslim.archive.config import slim_config
from imgslim.archive.contents import Contents
from imgslim.archive.layers import SlimLayer, split_layers
from imgslim.archive.layout import manifest, to_json, top_files
from imgslim.bases import Base
from imgslim.errors import ArchiveError, UsageError
from imgslim.layers import FileSlice, OnProgress
from imgslim.model import Image, LayerBlob, Plan
from imgslim.provenance_labels import known_name
from imgslim.sources.compression import Compression
from imgslim.sources.reference import (
    canonical,
    familiar,
    full_name,
    is_reference,
    repository,
)
from imgslim.world import World

SLIM_TAG = "slim"

_PLATFORM: tuple[str, ...] = ("architecture", "os", "os.version", "os.features", "variant")
"""What a descriptor says of a platform (OCI image spec, image-index.md)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How an archive is written: the image's ``name`` in it (None: none), what its layers are
    compressed with, and SOURCE_DATE_EPOCH."""

    name: str | None = None
    compression: Compression = Compression.NONE
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """An archive that was written: the id by which Docker's own store knows the image, its layers
    with the blobs that they became, the files that strip refused, and the image (None: none) whose
    layers lie below."""

    name: str | None
    image_id: str
    layers: tuple[tuple[SlimLayer, Blob], ...]
    not_stripped: tuple[str, ...] = ()
    base: Base | None = None


def check_name(wanted: str) -> str:
    """``wanted`` with a tag. Raises UsageError when no engine takes it as an image's name."""
    if not is_reference(wanted) or "@" in wanted or re.fullmatch(r"[0-9a-f]{64}", wanted):
        raise UsageError(f"{wanted} can be no image's name", hint="name it as NAME:TAG")
    return canonical(wanted)


def slim_name(image: Image) -> str | None:
    """The name for the slim image where the user gives none: that of ``image`` with the tag
    ``slim``; None where it has no name. Raises UsageError where that is the fat image's own."""
    fat = known_name(image)
    if fat is None:
        return None
    name = f"{familiar(repository(full_name(fat)))}:{SLIM_TAG}"
    if name in map(canonical, image.tags):
        raise UsageError(
            f"{name} is the fat image's own name", hint="name the slim image: -t NAME:TAG"
        )
    return name


def write_archive(
    file: BinaryIO,
    image: Image,
    world: World,
    plan: Plan,
    settings: Settings,
    on_progress: OnProgress | None = None,
    base: Base | None = None,
) -> Written:
    """Write the slim image of ``plan`` to ``file``, which must be seekable and empty. With ``base``
    the plan is what goes over that image, whose own layers come first, byte for byte as they are.

    Raises ArchiveError when the fat image or the base is not there in full, OSError.
    """
    layers = split_layers(plan.keeps, world.packages)
    contents = Contents(world.rootfs)
    tar = ArchiveTar(file, settings.epoch or 0)
    below = base.image.layers if base else ()
    own_bytes = sum(layer.size_bytes for layer in layers)
    report = _reporter(on_progress, own_bytes + sum(blob.tar_size_bytes for blob in below))
    lower = _copied(tar, below, settings.compression, report)
    upper = [tar.add_blob(contents.tar_of(layer), settings.compression, report) for layer in layers]
    rows = [(blob.diff_id, layer.part.value) for layer, blob in zip(layers, upper, strict=True)]
    document = slim_config(image, rows, settings.epoch, base.image if base else None)
    config = tar.add_document(to_json(document))
    labels, blobs = document["config"]["Labels"], [*lower, *upper]
    index = tar.add_document(to_json(manifest(config, labels, blobs, settings.compression)))
    platform = {name: document[name] for name in _PLATFORM if name in document}
    for path, top in top_files(settings.name, platform, index, config, blobs).items():
        tar.add(path, to_json(top))
    tar.finish()
    written = tuple(zip(layers, upper, strict=True))
    return Written(settings.name, config.digest, written, tuple(contents.not_stripped), base)


def _copied(
    tar: ArchiveTar,
    layers: Iterable[LayerBlob],
    compression: Compression,
    report: Callable[[int], None],
) -> list[Blob]:
    """The blobs of another image's layers, each written once. Raises ArchiveError for one that is
    not what its image's config names: as something else no registry shares it."""
    blobs: dict[str, Blob] = {}
    copied = []
    for layer in layers:
        if layer.diff_id not in blobs:
            blob = tar.add_blob(_pieces(layer), compression, report)
            if blob.diff_id != layer.diff_id:
                raise ArchiveError(
                    f"layer {layer.diff_id} of the base is damaged: it has the digest "
                    f"{blob.diff_id}",
                    hint="save or pull the base again",
                )
            blobs[layer.diff_id] = blob
        copied.append(blobs[layer.diff_id])
    return copied


def _pieces(layer: LayerBlob) -> Iterator[bytes]:
    with FileSlice(layer.tar_path, layer.tar_offset, layer.tar_size_bytes) as tar:
        while data := tar.read(CHUNK_BYTES):
            yield data


def _reporter(on_progress: OnProgress | None, total: int) -> Callable[[int], None]:
    done = 0

    def report(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        if on_progress:
            on_progress("writing the archive", done, max(done, total))

    return report
