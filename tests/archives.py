"""Image archives and layouts of every format, made from small trees."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from tests.worlds import Tree, tar_bytes

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Made:
    """An image to be written: layers as trees (or ready tars), the config's inner object, names."""

    layers: Sequence[Tree | bytes]
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    platform: Mapping[str, str] = field(
        default_factory=lambda: {"os": "linux", "architecture": "amd64"}
    )
    history: Sequence[Mapping[str, Any]] | None = None

    @property
    def tars(self) -> list[bytes]:
        return [one if isinstance(one, bytes) else tar_bytes(one) for one in self.layers]

    @property
    def config_blob(self) -> bytes:
        document: dict[str, Any] = {
            **self.platform,
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in self.tars]},
        }
        if self.history is not None:
            document["history"] = list(self.history)
        return json.dumps(document).encode()


def _frames(data: bytes, compress: Callable[[bytes], bytes]) -> bytes:
    middle = len(data) // 2
    return compress(data[:middle]) + compress(data[middle:])


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


_SKIPPABLE = b"\x50\x2a\x4d\x18" + (64).to_bytes(4, "little") + b"\xab" * 64

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "gzip, several members": lambda data: _frames(data, lambda part: gzip.compress(part, mtime=0)),
    "gzip, padded": lambda data: gzip.compress(data, mtime=0) + bytes(700),
    "zstd": _zstd,
    "zstd, several frames": lambda data: _frames(data, _zstd),
    "zstd:chunked": lambda data: _SKIPPABLE + _frames(data, _zstd) + _SKIPPABLE,
}
"""How a layer may be stored."""

_SUFFIX = {"plain": "", "gzip": "+gzip", "zstd": "+zstd"}


def write_tar(path: Path, files: Mapping[str, bytes | tuple[bytes, str]]) -> Path:
    """A plain tar; a tuple is a link: its ``tarfile`` type and its target."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                member.type, member.linkname = content
                content = b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def docker_files(*images: Made, links: str = "", pack: str = "plain") -> dict[str, Any]:
    """The members of an archive in ``docker save``'s old layout.

    ``links`` ("symbolic", "hard"): a layer that came before is a link, as Docker 1.10+ wrote it.
    """
    files: dict[str, Any] = {}
    records = []
    seen: dict[str, str] = {}
    for number, image in enumerate(images):
        names = []
        for index, tar in enumerate(image.tars):
            name = f"{digest_of(f'{number} {index}'.encode())[7:]}/layer.tar"
            earlier = seen.setdefault(digest_of(tar), name)
            if earlier == name or not links:
                files[name] = PACKERS[pack](tar)
            elif links == "symbolic":
                files[name] = (tarfile.SYMTYPE, f"../{earlier}")
            else:
                files[name] = (tarfile.LNKTYPE, earlier)
            names.append(name)
        config_name = f"{digest_of(image.config_blob)[7:]}.json"
        files[config_name] = image.config_blob
        records.append(
            {"Config": config_name, "RepoTags": list(image.tags) or None, "Layers": names}
        )
    files["manifest.json"] = json.dumps(records).encode()
    return files


def oci_files(
    *images: Made,
    pack: str = "plain",
    docker_types: bool = False,
    nested: bool = False,
    attested: bool = False,
    platforms: bool = True,
) -> dict[str, bytes]:
    """The files of an OCI layout. ``nested``: all images under one index, below another one."""
    files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    rows = []
    for image in images:
        row = _put_manifest(files, image, pack, docker_types)
        if platforms:
            row["platform"] = dict(image.platform)
        rows.append(row)
        if attested:
            rows.append(_attestation(files, row["digest"]))
    names = [[_name_annotations(tag) for tag in image.tags] or [{}] for image in images]
    if nested:
        for _ in range(2):
            inner = _put(files, json.dumps({"manifests": rows}).encode())
            inner["mediaType"] = f"{OCI}.index.v1+json"
            rows = [inner]
        top = [{**rows[0], "annotations": notes} for notes in names[0]]
    else:
        found = iter(names)
        top = [
            {**row, "annotations": {**row.get("annotations", {}), **notes}}
            for row in rows
            for notes in ([{}] if "annotations" in row else next(found))
        ]
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": top}
    files["index.json"] = json.dumps(index).encode()
    return files


def _name_annotations(tag: str) -> dict[str, str]:
    return {
        "io.containerd.image.name": f"docker.io/library/{tag}",
        "org.opencontainers.image.ref.name": tag.rpartition(":")[2],
    }


def _put(files: dict[str, bytes], data: bytes) -> dict[str, Any]:
    digest = digest_of(data)
    files[f"blobs/{digest.replace(':', '/')}"] = data
    return {"digest": digest, "size": len(data)}


def _put_manifest(
    files: dict[str, bytes], image: Made, pack: str, docker_types: bool
) -> dict[str, Any]:
    kind = f"{DOCKER}.distribution.manifest.v2+json" if docker_types else f"{OCI}.manifest.v1+json"
    config_type = f"{DOCKER}.container.image.v1+json" if docker_types else f"{OCI}.config.v1+json"
    suffix = _SUFFIX[pack.replace(",", ":").partition(":")[0]]
    layer_type = (
        f"{DOCKER}.image.rootfs.diff.tar.gzip" if docker_types else f"{OCI}.layer.v1.tar{suffix}"
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": config_type, **_put(files, image.config_blob)},
        "layers": [
            {"mediaType": layer_type, **_put(files, PACKERS[pack](tar))} for tar in image.tars
        ],
    }
    return {"mediaType": kind, **_put(files, json.dumps(manifest).encode())}


def _attestation(files: dict[str, bytes], of: str) -> dict[str, Any]:
    """BuildKit's: a manifest of in-toto statements, on the platform unknown/unknown."""
    statement = {"mediaType": "application/vnd.in-toto+json", **_put(files, b"{}")}
    empty = _put(files, json.dumps({"os": "unknown", "rootfs": {"diff_ids": []}}).encode())
    config = {"mediaType": f"{OCI}.config.v1+json", **empty}
    manifest = {"schemaVersion": 2, "config": config, "layers": [statement]}
    return {
        "mediaType": f"{OCI}.manifest.v1+json",
        **_put(files, json.dumps(manifest).encode()),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": of,
        },
    }


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def docker_archive(path: Path, *images: Made, links: str = "", pack: str = "plain") -> Path:
    """An archive as ``docker save`` wrote it before Docker 25."""
    return write_tar(path, docker_files(*images, links=links, pack=pack))


def docker25_archive(path: Path, *images: Made) -> Path:
    """An archive as Docker 25+ saves it: an OCI layout with a manifest.json over the same blobs."""
    files = oci_files(*images, platforms=False)
    records = [
        {
            "Config": f"blobs/{digest_of(image.config_blob).replace(':', '/')}",
            "RepoTags": list(image.tags) or None,
            "Layers": [f"blobs/{digest_of(tar).replace(':', '/')}" for tar in image.tars],
        }
        for image in images
    ]
    return write_tar(path, {**files, "manifest.json": json.dumps(records).encode()})


def oci_archive(path: Path, *images: Made, **options: Any) -> Path:
    return write_tar(path, oci_files(*images, **options))


def oci_layout(folder: Path, *images: Made, **options: Any) -> Path:
    return write_folder(folder, oci_files(*images, **options))
