"""The image that another was built upon, told by labels, by local images, or by the user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from imgslim.audit.base_image import KnownImage, check_base, recognise_base
from imgslim.audit.model import Evidence
from imgslim.errors import BaseImageError
from imgslim.model import Image, ImageConfig
from tests.audits import audit_of
from tests.worlds import File, Tree, make_image

TREES: tuple[Tree, ...] = (
    {"/a": File(b"a" * 100)},
    {"/b": File(b"b" * 20)},
    {"/c": File(b"c" * 3), "/.wh.a": ""},
)
NAME = "org.opencontainers.image.base.name"
DIGEST = "org.opencontainers.image.base.digest"


def image_of(tmp_path: Path, **labels: str) -> Image:
    names = {"name": NAME, "digest": DIGEST}
    config = ImageConfig(labels=tuple((names[key], value) for key, value in labels.items()))
    return make_image(tmp_path, TREES, config)


def known(image: Image, layers: int, *names: str) -> KnownImage:
    return KnownImage(
        names, f"sha256:{layers}", tuple(blob.diff_id for blob in image.layers[:layers])
    )


def test_of_the_local_images_with_the_same_layers_the_one_with_most_is_the_base(
    tmp_path: Path,
) -> None:
    image = image_of(tmp_path)
    images = [known(image, 1, "debian:12"), known(image, 2, "python:3"), known(image, 0, "none:1")]
    images += [KnownImage(("other:1",), "x", ("sha256:else",))]
    found = recognise_base(image, images)
    assert (found.reference, found.evidence, found.layer_count) == ("python:3", Evidence.LOCAL, 2)


def test_neither_the_image_itself_nor_one_of_as_many_layers_is_its_base(tmp_path: Path) -> None:
    image = image_of(tmp_path)
    itself = replace(known(image, 2, "app:1"), image_id=image.image_id)
    found = recognise_base(image, [itself, known(image, 3, "sibling:1")])
    assert (found.layer_count, found.evidence) == (None, Evidence.NONE)
    assert "no image in the engine" in found.note


@pytest.mark.parametrize("name", ["docker.io/library/debian:12", "debian:12"])
def test_a_label_has_the_word_where_a_local_image_bears_it_out(name: str, tmp_path: Path) -> None:
    image = image_of(tmp_path, name=name)
    images = [known(image, 1, "debian:12"), known(image, 2, "stage:1")]
    found = recognise_base(image, images)
    assert (found.reference, found.evidence, found.layer_count) == (name, Evidence.LABEL, 1)


def test_a_label_may_name_a_digest(tmp_path: Path) -> None:
    image = image_of(tmp_path, digest="sha256:abc")
    found = recognise_base(image, [known(image, 1, "debian:12", "debian@sha256:abc")])
    assert (found.evidence, found.layer_count, found.digest) == (Evidence.LABEL, 1, "sha256:abc")


def test_a_label_without_such_a_local_image_names_a_base_of_unknown_share(tmp_path: Path) -> None:
    found = recognise_base(image_of(tmp_path, name="debian:12"), [])
    assert (found.reference, found.layer_count) == ("debian:12", None)
    assert found.note


def test_a_single_layer_is_said_to_be_squashed(tmp_path: Path) -> None:
    assert "squashed" in recognise_base(make_image(tmp_path, TREES[:1]), []).note


def test_the_users_word_is_checked(tmp_path: Path) -> None:
    image = image_of(tmp_path)
    assert check_base(image, known(image, 2, "python:3")).evidence is Evidence.OPTION
    wrong = KnownImage(("python:3",), "x", (image.layers[0].diff_id, "sha256:else"))
    with pytest.raises(BaseImageError, match="1 of its 2 layers"):
        check_base(image, wrong)


def test_the_bases_share_is_told_from_the_rest(tmp_path: Path) -> None:
    base = recognise_base(image := image_of(tmp_path), [known(image, 2, "python:3")])
    audit = audit_of(tmp_path, *TREES, base=base)
    assert [layer.in_base for layer in audit.layers] == [True, True, False]
    assert (audit.base_weight.size_bytes, audit.own_weight.size_bytes) == (120, 3)
    assert audit.base_weight.hidden_bytes == 100
