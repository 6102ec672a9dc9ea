"""The documents of an archive: an OCI layout and docker-archive's manifest over the same blobs.

Sources: the OCI image spec's image-layout.md and manifest.md; what Docker 25+ saves (moby's
image/tarexport/save.go): names as containerd annotates them, ``manifest.json`` and
``repositories`` for loaders that know no OCI layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from imgslim.archive.blobs import Blob
from imgslim.provenance_labels import BASE_DIGEST, BASE_NAME
from imgslim.sources.compression import Compression
from imgslim.sources.reference import familiar, full_name

_OCI = "application/vnd.oci.image"
_LAYER_SUFFIX = {Compression.NONE: "", Compression.GZIP: "+gzip", Compression.ZSTD: "+zstd"}


def to_json(document: object) -> bytes:
    """Compact, in the order in which it was made; undecodable text as JSON's own escapes."""
    return json.dumps(document, separators=(",", ":")).encode()


def manifest(
    config: Blob, labels: Mapping[str, str], layers: Sequence[Blob], compression: Compression
) -> dict[str, Any]:
    """The OCI manifest; its annotations say where the image is from, as the labels do."""
    layer_type = f"{_OCI}.layer.v1.tar{_LAYER_SUFFIX[compression]}"
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": _descriptor(config, f"{_OCI}.config.v1+json"),
        "layers": [_descriptor(layer, layer_type) for layer in layers],
    }
    annotations = {name: labels[name] for name in (BASE_DIGEST, BASE_NAME) if name in labels}
    if annotations:
        document["annotations"] = annotations
    return document


def top_files(
    name: str | None,
    platform: Mapping[str, Any],
    manifest: Blob,
    config: Blob,
    layers: Sequence[Blob],
) -> dict[str, Any]:
    """The documents beside the blobs, by file name; ``name`` (None: no name) has a tag."""
    row = {**_descriptor(manifest, f"{_OCI}.manifest.v1+json"), "platform": dict(platform)}
    record: dict[str, Any] = {"Config": config.name, "RepoTags": None}
    record["Layers"] = [layer.name for layer in layers]
    files: dict[str, Any] = {
        "index.json": {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.index.v1+json",
            "manifests": [row],
        },
        "manifest.json": [record],
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
    }
    if name is not None:
        repository, _, tag = familiar(name).rpartition(":")
        row["annotations"] = {
            "io.containerd.image.name": full_name(name),
            "org.opencontainers.image.ref.name": tag,
        }
        record["RepoTags"] = [familiar(name)]
        files["repositories"] = {repository: {tag: layers[-1].digest.partition(":")[2]}}
    return files


def _descriptor(blob: Blob, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size_bytes}
