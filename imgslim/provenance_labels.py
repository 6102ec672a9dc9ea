"""The labels that say which image a slim one is based on.

Source: the OCI image spec's annotations.md (``org.opencontainers.image.base.*``): the immediate
image that shares the lowest layers, as a Dockerfile's FROM names it, by its fully qualified name
and the digest of its manifest. So upon a base they name that base, not what was copied over it:
"SHOULD NOT reference any other images used to generate the contents". From scratch nothing is
shared, and the labels name what the slim image is made of and has to be made of again when that
changes: the fat image; behind the user's own Dockerfile, where the fat image is a stage without a
name or a digest, the image that this stage is built from, as the user names it.

A local image has no manifest's digest: there the image id (the digest of its config) stands for
it, the one digest by which its engine knows it.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def provenance_labels(image: Image, base: Image | None = None) -> tuple[tuple[str, str], ...]:
    """The labels to add to those of the fat ``image``, sorted: they name the ``base`` that its slim
    one is laid over, or, from scratch, the fat image. None where it has one of them itself: the
    user's word stands, and half of theirs with half of ours would name no image at all."""
    if _has_own(image):
        return ()
    named = base or image
    name = known_name(named)
    labels = [(BASE_DIGEST, _digest(named, name))]
    if name is not None:
        labels.append((BASE_NAME, full_name(name)))
    return tuple(labels)


def stage_labels(image: Image, reference: str) -> tuple[tuple[str, str], ...]:
    """Those of a slim image that a stage of the user's own Dockerfile is copied into: ``reference``
    is the image that this stage is built from, as FROM names it ("": scratch, or known to the
    builder alone). There is a digest where the user pins one: with the next build, any other could
    be untrue."""
    if not reference or _has_own(image):
        return ()
    digest = reference.partition("@")[2]
    pinned = ((BASE_DIGEST, digest),) if digest else ()
    return (*pinned, (BASE_NAME, full_name(reference)))


def labelled(image: Image, labels: Iterable[tuple[str, str]]) -> Image:
    """``image`` with a config that has ``labels``, too; sorted by name."""
    rows = tuple(sorted((*image.config.labels, *labels)))
    return replace(image, config=replace(image.config, labels=rows))


def _has_own(image: Image) -> bool:
    return bool({BASE_NAME, BASE_DIGEST} & dict(image.config.labels).keys())


def _digest(image: Image, name: str | None) -> str:
    """Of the digests that registries know the image by, that of the same repository first."""
    home = repository(full_name(name)) if name else ""
    digests = sorted(image.repo_digests, key=lambda row: repository(full_name(row)) != home)
    known = (row.rpartition("@")[2] for row in digests)
    return next(known, image.manifest_digest or image.image_id)
