"""The image that another was built upon: how many of its layers are not the user's own.

Sources: the OCI image spec's annotations.md, "Pre-Defined Annotation Keys"
(``org.opencontainers.image.base.name`` and ``.digest``), as labels; a child's layers start with all
of its base's (config.md, ``rootfs.diff_ids``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgslim.audit.model import BaseImage, Evidence
from imgslim.errors import BaseImageError
from imgslim.model import Image
from imgslim.provenance_labels import BASE_DIGEST, BASE_NAME


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An image that may be the base: ``names`` with which it can be called, digests included."""

    names: tuple[str, ...]
    image_id: str
    diff_ids: tuple[str, ...]


def check_base(image: Image, base: KnownImage) -> BaseImage:
    """The base that the user names. Raises BaseImageError where ``image`` was not built upon it."""
    if not _is_below(base, image):
        common = _common(base.diff_ids, image)
        raise BaseImageError(
            f"{image.reference} was not built upon this {base.names[0]}: "
            f"{common} of its {len(base.diff_ids)} layers are the image's",
            hint="name the very build that its Dockerfile took, or leave --base out; a squashed "
            "image keeps no layer of its base",
        )
    return BaseImage(base.names[0], evidence=Evidence.OPTION, layer_count=len(base.diff_ids))


def recognise_base(image: Image, known: Iterable[KnownImage]) -> BaseImage:
    """The base that the labels of ``image`` name, else the one of the ``known`` images with most
    layers that it starts with. An image of as many layers is no base: it may be a sibling."""
    below = [one for one in known if one.image_id != image.image_id and _is_below(one, image)]
    labels = dict(image.config.labels)
    name, digest = labels.get(BASE_NAME, ""), labels.get(BASE_DIGEST, "")
    named = [one for one in below if _is_called(one, name, digest)]
    if named:
        return BaseImage(name or named[0].names[0], digest, Evidence.LABEL, len(named[0].diff_ids))
    shorter = [one for one in below if len(one.diff_ids) < len(image.layers)]
    if shorter:
        best = max(shorter, key=lambda one: len(one.diff_ids))
        return BaseImage(best.names[0], "", Evidence.LOCAL, len(best.diff_ids))
    if name or digest:
        note = "the engine has no such image with these layers: which are its is not known"
        return BaseImage(name, digest, Evidence.LABEL, None, note)
    return BaseImage(note=_unknown(image))


def _unknown(image: Image) -> str:
    if len(image.layers) == 1:
        return "the image is one layer: squashed, or made from scratch"
    return "no label names it, and no image in the engine has these layers at its bottom"


def _is_below(base: KnownImage, image: Image) -> bool:
    return bool(base.diff_ids) and _common(base.diff_ids, image) == len(base.diff_ids)


def _common(diff_ids: Sequence[str], image: Image) -> int:
    """How many layers both start with."""
    count = 0
    for ours, layer in zip(diff_ids, image.layers, strict=False):
        if ours != layer.diff_id:
            break
        count += 1
    return count


def _is_called(image: KnownImage, name: str, digest: str) -> bool:
    if digest and any(known.endswith(f"@{digest}") for known in image.names):
        return True
    return bool(name) and any(_plain(known) == _plain(name) for known in image.names)


def _plain(name: str) -> str:
    """A reference as Docker's engine lists it: without the registry and folder that are its
    defaults (distribution's reference.FamiliarString)."""
    for prefix in ("docker.io/library/", "index.docker.io/library/", "docker.io/"):
        name = name.removeprefix(prefix)
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
