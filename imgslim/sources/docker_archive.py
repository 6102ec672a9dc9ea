"""What ``docker save`` writes: manifest.json, with configs and layers beside it.

Source: moby's image/spec/v1.2.md ("Combined Image JSON + Filesystem Changeset Format"), and what
podman, BuildKit, crane, kaniko and jib write in that format.
"""

from __future__ import annotations

import re

from imgslim.errors import ArchiveError, ImageNotFoundError, UnsupportedImageError
from imgslim.model import Platform
from imgslim.sources.assemble import StoredImage, StoredLayer
from imgslim.sources.blobs import BlobStore, read_json_blob
from imgslim.sources.config import config_platform
from imgslim.sources.digests import sha256_digest
from imgslim.sources.fields import Fields, parse_json, parse_json_list
from imgslim.sources.platforms import best_match
from imgslim.sources.reference import canonical, familiar

MANIFEST = "manifest.json"
_LEGACY_INDEX = "repositories"

_DIGEST_NAME = re.compile(r"(?:blobs/sha256/|sha256:)?([0-9a-f]{64})(?:\.json)?")
"""Names of configs that are their digests; others (jib's config.json) promise nothing."""


def is_docker_archive(store: BlobStore) -> bool:
    return store.find(MANIFEST) is not None or store.find(_LEGACY_INDEX) is not None


def select_docker_image(store: BlobStore, reference: str, platform: Platform | None) -> StoredImage:
    """The image of that reference (``name[:tag]`` or ``@index``; "": the only one).

    Raises ImageNotFoundError with a list of what is there, ArchiveError for missing parts,
    DigestMismatchError for a config that is not what its name says.
    """
    if store.find(MANIFEST) is None and store.find(_LEGACY_INDEX) is not None:
        raise UnsupportedImageError(
            f"{store.label} was saved by a Docker older than 1.10 and has no {MANIFEST}",
            hint="load it into a current engine and save it again",
        )
    where = f"{MANIFEST} in {store.label}"
    records = parse_json_list(read_json_blob(store, MANIFEST), where)
    record = _choose(records, reference, store.label)
    config_name = record.text("Config")
    if not config_name:
        raise ArchiveError(f"{where} names no config", hint="save the image again")
    named = _DIGEST_NAME.fullmatch(config_name)
    config = read_json_blob(store, config_name, f"sha256:{named[1]}" if named else "")
    stored = StoredImage(
        config=config,
        image_id=sha256_digest(config),
        where=f"{config_name} in {store.label}",
        layers=tuple(_layer(store, name) for name in record.texts("Layers") or ()),
        tags=_tags(record),
    )
    if platform is not None:
        _check_platform(stored, platform)
    return stored


def _layer(store: BlobStore, name: str) -> StoredLayer:
    file = store.find(name)
    if file is None:
        raise ArchiveError(
            f"{store.label} lacks the layer {name}, which its manifest names",
            hint="save the image again",
        )
    return StoredLayer(file)


def _tags(record: Fields) -> tuple[str, ...]:
    return tuple(familiar(tag) for tag in record.texts("RepoTags") or ())


def _choose(records: tuple[Fields, ...], reference: str, label: str) -> Fields:
    if not records:
        raise ImageNotFoundError(f"{label} holds no image", hint="save an image into it")
    names = [
        " ".join(_tags(record)) or f"@{index} (no tag)" for index, record in enumerate(records)
    ]
    if not reference:
        if len(records) == 1:
            return records[0]
        raise ImageNotFoundError(
            f"{label} holds {len(records)} images",
            hint=f"name one, docker-archive:{label}:REF or :@INDEX, of: {', '.join(names)}",
        )
    if re.fullmatch(r"@\d+", reference) and int(reference[1:]) < len(records):
        return records[int(reference[1:])]
    for record in records:
        if canonical(reference) in [canonical(tag) for tag in _tags(record)]:
            return record
    raise ImageNotFoundError(
        f"{label} holds no image {reference}", hint=f"it holds: {', '.join(names)}"
    )


def _check_platform(stored: StoredImage, wanted: Platform) -> None:
    found = config_platform(parse_json(stored.config, stored.where))
    if best_match(wanted, [found]) is None:
        raise ImageNotFoundError(
            f"the image is not for {wanted}", hint=f"it is for {found}: leave --platform out"
        )
