"""An OCI image layout, in a folder or an archive: index.json, nested indexes, manifests, blobs.

Sources: the OCI image spec's image-layout.md, image-index.md and manifest.md; Docker's schema 2
media types; BuildKit's attestation manifests (docs/attestations/attestation-storage.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgslim.errors import ArchiveError, ImageNotFoundError, UnsupportedImageError
from imgslim.model import Platform
from imgslim.sources.assemble import StoredImage, StoredLayer
from imgslim.sources.blobs import BlobStore, StoredFile, read_json_blob
from imgslim.sources.config import config_platform
from imgslim.sources.digests import is_digest
from imgslim.sources.fields import Fields, parse_json
from imgslim.sources.platforms import best_match, host_platform
from imgslim.sources.reference import canonical, familiar, is_reference

INDEX = "index.json"
_HINT = "save or copy the image again"
_MAX_NESTING = 8

_REF_NAME = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"
_REFERENCE_TYPE = "vnd.docker.reference.type"

_INDEX_TYPES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_MANIFEST_TYPES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_CONFIG_TYPES = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)


@dataclass(frozen=True, slots=True)
class _Descriptor:
    """A row of an index; ``platform`` is None where the row does not tell."""

    fields: Fields
    digest: str
    media_type: str
    platform: Platform | None
    names: tuple[str, ...]
    is_attestation: bool


def is_oci_layout(store: BlobStore) -> bool:
    return store.find("oci-layout") is not None and store.find(INDEX) is not None


def select_oci_image(store: BlobStore, reference: str, platform: Platform | None) -> StoredImage:
    """The image of that reference (a ref name, ``@index`` or a digest; "": the only one).

    ``platform`` None means the host's where there are several, and the only one where not.
    Raises ImageNotFoundError with a list of what is there, ArchiveError, DigestMismatchError.
    """
    top = tuple(_descriptors(parse_json(read_json_blob(store, INDEX), f"{INDEX} in {store.label}")))
    chosen = _choose(top, reference, store.label)
    manifests = [one for row in chosen for one in _image_manifests(store, row, 0)]
    manifest = _choose_platform(store, manifests, platform)
    tags = tuple(dict.fromkeys(name for row in chosen for name in row.names if _is_full_name(name)))
    return _stored_image(store, manifest, tuple(familiar(name) for name in tags))


def _descriptors(index: Fields) -> Iterator[_Descriptor]:
    for row in index.children("manifests"):
        notes = row.child("annotations")
        names = tuple(name for key in (_CONTAINERD_NAME, _REF_NAME) if (name := notes.text(key)))
        platform = config_platform(row.child("platform")) if "platform" in row else None
        yield _Descriptor(
            fields=row,
            digest=row.text("digest"),
            media_type=row.text("mediaType"),
            platform=platform,
            names=names,
            is_attestation=_REFERENCE_TYPE in notes
            or (platform is not None and platform.os == "unknown"),
        )


def _is_full_name(name: str) -> bool:
    """Whether it names an image; a ref name may also be a tag alone (containerd, skopeo)."""
    return bool(re.search("[:/]", name)) and is_reference(name) and not is_digest(name)


def _choose(top: Sequence[_Descriptor], reference: str, label: str) -> tuple[_Descriptor, ...]:
    """The rows of one image: several where one name has a row for each platform."""
    rows = [row for row in top if not row.is_attestation]
    if not rows:
        raise ImageNotFoundError(f"{label} holds no image", hint="copy an image into it")
    if re.fullmatch(r"@\d+", reference) and int(reference[1:]) < len(rows):
        return (rows[int(reference[1:])],)
    if reference:
        found = tuple(row for row in rows if _is_named(row, reference))
        if not found:
            raise ImageNotFoundError(
                f"{label} holds no image {reference}", hint=f"it holds: {_listing(rows)}"
            )
        rows = list(found)
    digests = {row.digest for row in rows}
    platforms = {row.platform for row in rows if row.platform}
    same_name = len({row.names for row in rows}) == 1
    if len(digests) > 1 and not (same_name and len(platforms) == len(digests)):
        raise ImageNotFoundError(
            f"{label} holds {len(digests)} images",
            hint=f"name one, {label}:REF or :@INDEX, of: {_listing(rows)}",
        )
    return tuple(rows)


def _is_named(row: _Descriptor, reference: str) -> bool:
    return reference in (*row.names, row.digest) or canonical(reference) in [
        canonical(name) for name in row.names if _is_full_name(name)
    ]


def _listing(rows: Sequence[_Descriptor]) -> str:
    return ", ".join(
        next(map(familiar, row.names), f"@{index} (no name)") for index, row in enumerate(rows)
    )


def _image_manifests(store: BlobStore, row: _Descriptor, depth: int) -> Iterator[_Descriptor]:
    """The image manifests at or below ``row`` that are there; an engine saves but its own."""
    if row.is_attestation:
        return
    file = _blob(store, row.digest)
    if file is None:
        if depth:
            return
        raise ArchiveError(
            f"{store.label} lacks the manifest {row.digest}, which its index names", hint=_HINT
        )
    document = _read_document(store, row.digest)
    media_type = document.text("mediaType") or row.media_type
    if media_type in _INDEX_TYPES or "manifests" in document:
        if depth >= _MAX_NESTING:
            raise ArchiveError(f"{store.label} nests its indexes too deep", hint=_HINT)
        for below in _descriptors(document):
            yield from _image_manifests(store, below, depth + 1)
    elif media_type in _MANIFEST_TYPES or "config" in document:
        yield row
    else:
        raise UnsupportedImageError(
            f"{row.digest} in {store.label} is of the type {media_type or 'unknown'}",
            hint="copy the image with a current tool, such as skopeo",
        )


def _choose_platform(
    store: BlobStore, manifests: Sequence[_Descriptor], wanted: Platform | None
) -> _Descriptor:
    unique = list({row.digest: row for row in manifests}.values())
    if not unique:
        raise ImageNotFoundError(
            f"{store.label} holds an index, but no image of it", hint="save the image again"
        )
    if wanted is None and len(unique) == 1:
        return unique[0]
    offered = [row.platform or _config_platform_of(store, row) for row in unique]
    index = best_match(wanted or host_platform(), offered)
    if index is None:
        listing = ", ".join(sorted({str(platform) for platform in offered}))
        raise ImageNotFoundError(
            f"the image is not there for {wanted or host_platform()}",
            hint=f"choose with --platform of: {listing}",
        )
    return unique[index]


def _config_platform_of(store: BlobStore, row: _Descriptor) -> Platform:
    config = _read_document(store, row.digest).child("config")
    return config_platform(_read_document(store, config.text("digest")))


def _stored_image(store: BlobStore, row: _Descriptor, tags: tuple[str, ...]) -> StoredImage:
    manifest = _read_document(store, row.digest)
    descriptor = manifest.child("config")
    media_type = descriptor.text("mediaType")
    if media_type and media_type not in _CONFIG_TYPES:
        raise UnsupportedImageError(
            f"{store.label} holds no container image but {media_type}",
            hint="an artifact (a chart, a signature) cannot be slimmed, only an image",
        )
    digest = descriptor.text("digest")
    return StoredImage(
        config=read_json_blob(store, _blob_name(digest, store.label), digest),
        image_id=digest,
        where=f"the config {digest} in {store.label}",
        layers=tuple(_layer(store, layer) for layer in manifest.children("layers")),
        tags=tags,
        manifest_digest=row.digest,
    )


def _layer(store: BlobStore, descriptor: Fields) -> StoredLayer:
    digest, media_type = descriptor.text("digest"), descriptor.text("mediaType")
    if "encrypted" in media_type:
        raise UnsupportedImageError(
            f"the layer {digest} is encrypted", hint="decrypt the image first (skopeo, ocicrypt)"
        )
    file = _blob(store, digest)
    if file is None:
        urls = ", ".join(descriptor.texts("urls") or ())
        elsewhere = f"; it is to be had from {urls} only" if urls else ""
        raise ArchiveError(
            f"{store.label} lacks the layer {digest}, which its manifest names{elsewhere}",
            hint="fetch it into the layout first" if urls else _HINT,
        )
    size_bytes = descriptor.number("size")
    if file.size_bytes != size_bytes:
        raise ArchiveError(
            f"the layer {digest} has {file.size_bytes:,} bytes in {store.label}, its manifest "
            f"says {size_bytes:,}",
            hint=_HINT,
        )
    return StoredLayer(file, digest)


def _read_document(store: BlobStore, digest: str) -> Fields:
    data = read_json_blob(store, _blob_name(digest, store.label), digest)
    return parse_json(data, f"{digest} in {store.label}")


def _blob(store: BlobStore, digest: str) -> StoredFile | None:
    return store.find(_blob_name(digest, store.label))


def _blob_name(digest: str, label: str) -> str:
    """Where a blob lies. Digests are checked first: they become part of a path."""
    if not is_digest(digest):
        raise ArchiveError(f"{digest!r} in {label} is no digest", hint=_HINT)
    return f"blobs/{digest.replace(':', '/', 1)}"
