"""The labels that say which image a slim one was made of.

Source: the OCI image spec's annotations.md (``org.opencontainers.image.base.*``): the fully
qualified name, and the digest of the manifest where it is known. A local image has none: there the
image id (the digest of its config) stands for it, the one digest by which its engine knows it.
"""

from __future__ import annotations

from dataclasses import replace

from imgslim.model import Image
from imgslim.sources.reference import full_name, repository

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"


def known_name(image: Image) -> str | None:
    """A name under which an engine or a registry has ``image``: the user's own where it is one,
    else a tag or a repo digest; None for an image without a name."""
    names = (*image.tags, *image.repo_digests)
    return image.reference if image.reference in names else next(iter(names), None)


def provenance_labels(image: Image) -> tuple[tuple[str, str], ...]:
    """The labels to add to those of ``image``, sorted. None where it has one of them itself: the
    user's word stands, and half of theirs with half of ours would name no image at all."""
    if {BASE_NAME, BASE_DIGEST} & dict(image.config.labels).keys():
        return ()
    name = known_name(image)
    labels = [(BASE_DIGEST, _digest(image, name))]
    if name is not None:
        labels.append((BASE_NAME, full_name(name)))
    return tuple(labels)


def labelled(image: Image) -> Image:
    """``image`` with a config that says where it is from; its labels sorted by name."""
    labels = sorted((*image.config.labels, *provenance_labels(image)))
    return replace(image, config=replace(image.config, labels=tuple(labels)))


def _digest(image: Image, name: str | None) -> str:
    """Of the digests that registries know the image by, that of the same repository first."""
    home = repository(full_name(name)) if name else ""
    digests = sorted(image.repo_digests, key=lambda row: repository(full_name(row)) != home)
    known = (row.rpartition("@")[2] for row in digests)
    return next(known, image.manifest_digest or image.image_id)
