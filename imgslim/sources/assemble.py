"""From stored blobs to an Image: the config read, each layer's tar made readable and checked."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imgslim.errors import ArchiveError
from imgslim.model import Image, LayerBlob
from imgslim.sources.blobs import StoredFile
from imgslim.sources.compression import Compression, decompress, detect_compression, is_tar
from imgslim.sources.config import ConfigBlob, pair_history, parse_config
from imgslim.sources.digests import DigestCheck
from imgslim.sources.workspace import Workspace

_HINT = "save or pull the image again"


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer's stored bytes; ``digest`` is theirs where the format tells it, else ""."""

    file: StoredFile
    digest: str = ""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image of an archive or layout, chosen but not yet read.

    ``image_id`` is the digest of ``config``; ``where`` names the config in errors.
    """

    config: bytes
    image_id: str
    where: str
    layers: tuple[StoredLayer, ...]
    tags: tuple[str, ...]
    manifest_digest: str = ""


def assemble_image(
    stored: StoredImage,
    workspace: Workspace,
    *,
    reference: str,
    tags: tuple[str, ...],
    repo_digests: tuple[str, ...] = (),
    check_digests: bool,
    load_command: str = "",
) -> Image:
    """Make every layer of ``stored`` a plain tar on the host, and the whole an Image.

    Plain layers stay where they are and are hashed only with ``check_digests``; compressed ones
    are spooled to ``workspace`` and hashed on the way. Raises ArchiveError,
    DigestMismatchError, UnsupportedImageError, OutputError (no space).
    """
    parsed = parse_config(stored.config, stored.where)
    if len(parsed.diff_ids) != len(stored.layers):
        raise ArchiveError(
            f"{stored.where} promises {len(parsed.diff_ids)} layers, the manifest names "
            f"{len(stored.layers)}",
            hint=_HINT,
        )
    return Image(
        reference=reference,
        image_id=stored.image_id,
        tags=tags,
        repo_digests=repo_digests,
        platform=parsed.platform,
        config=parsed.config,
        layers=_layer_blobs(stored.layers, parsed, workspace, check_digests),
        history=parsed.history,
        load_command=load_command,
        config_blob=stored.config,
        manifest_digest=stored.manifest_digest,
    )


def _layer_blobs(
    layers: tuple[StoredLayer, ...], parsed: ConfigBlob, workspace: Workspace, check_digests: bool
) -> tuple[LayerBlob, ...]:
    kinds = [
        _compression(layer, diff_id) for layer, diff_id in zip(layers, parsed.diff_ids, strict=True)
    ]
    packed = [
        layer for layer, kind in zip(layers, kinds, strict=True) if kind is not Compression.NONE
    ]
    workspace.require_space(sum(least_plain_size(file) for file in {one.file for one in packed}))
    plain: dict[tuple[StoredFile, str], StoredFile] = {}
    blobs = []
    names = pair_history(parsed.history, len(layers))
    for layer, kind, diff_id, created_by in zip(layers, kinds, parsed.diff_ids, names, strict=True):
        key = (layer.file, diff_id)
        if key not in plain:
            plain[key] = _plain_tar(layer, kind, diff_id, workspace, check_digests)
        tar = plain[key]
        digest = layer.digest or (diff_id if kind is Compression.NONE else "")
        blobs.append(
            LayerBlob(
                diff_id=diff_id,
                digest=digest,
                stored_size_bytes=layer.file.size_bytes,
                created_by=created_by,
                tar_path=tar.path,
                tar_offset=tar.offset,
                tar_size_bytes=tar.size_bytes,
            )
        )
    return tuple(blobs)


def _compression(layer: StoredLayer, diff_id: str) -> Compression:
    what = f"layer {layer.digest or diff_id}"
    head = layer.file.head()
    kind = detect_compression(head, what)
    if kind is Compression.NONE and not is_tar(head):
        raise ArchiveError(
            f"{what} is neither a tar nor gzip nor zstd", hint="it is damaged or encrypted"
        )
    return kind


def _plain_tar(
    layer: StoredLayer,
    kind: Compression,
    diff_id: str,
    workspace: Workspace,
    check_digests: bool,
) -> StoredFile:
    stored_checks = [DigestCheck(layer.digest, "a layer")] if layer.digest else []
    plain_check = DigestCheck(diff_id, "a layer's tar")
    if kind is not Compression.NONE:
        stored = _hashed(layer.file.chunks(), stored_checks)
        plain = decompress(stored, kind, f"layer {layer.digest or diff_id}")
        tar = workspace.spool(
            _hashed(plain, [plain_check]), phase="decompressing layers", total=None
        )
        # A frame may end before the stored bytes do; whatever is left is part of the digest.
        for check in (*stored_checks, plain_check):
            check.verify()
        return tar
    if check_digests:
        done = 0
        for chunk in _hashed(layer.file.chunks(), [*stored_checks, plain_check]):
            done += len(chunk)
            workspace.report("checking digests", done, layer.file.size_bytes)
        for check in (*stored_checks, plain_check):
            check.verify()
    return layer.file


def _hashed(chunks: Iterable[bytes], checks: Iterable[DigestCheck]) -> Iterator[bytes]:
    for chunk in chunks:
        for check in checks:
            check.update(chunk)
        yield chunk


def least_plain_size(file: StoredFile) -> int:
    """The bytes that a compressed file takes at least when it is plain.

    Tars do not grow when they are compressed; zstd often tells the first frame's size (RFC 8878,
    3.1.1.1.4), gzip that of its last member modulo 4 GiB (RFC 1952, 2.3.1).
    """
    head = file.head()
    if detect_compression(head, "") is Compression.ZSTD:
        import zstandard

        try:
            return max(file.size_bytes, zstandard.frame_content_size(head))
        except zstandard.ZstdError:
            return file.size_bytes
    tail = StoredFile(file.path, file.offset + max(0, file.size_bytes - 4), 4).head()
    return max(file.size_bytes, struct.unpack("<I", tail)[0] if len(tail) == 4 else 0)
