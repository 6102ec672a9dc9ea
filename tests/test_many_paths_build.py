"""The limits of a Dockerfile: ten thousand single paths (trap 24), not too many layers."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator

import pytest

from imgslim.dockerfile import render_dockerfile
from tests import engines
from tests.test_torture_build import (
    comparable,
    expected_image,
    expected_nodes,
    opened,
    plan_of,
    verified,
)

pytestmark = pytest.mark.engine

BASE = "alpine:3.18"
DIRECTORIES, PER_DIRECTORY = 200, 50
LINE_BYTES, SHELL_BYTES, LAYERS = 65_535, 128 * 1024, 120


def scattered() -> bytes:
    """10,000 files to keep, each between two to drop, all directories of an owner of their own."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for directory in range(DIRECTORIES):
            top = tarfile.TarInfo(f"data/directory-{directory:03}")
            top.type, top.mode, top.uid, top.mtime = tarfile.DIRTYPE, 0o750, 1000, 1_500_000_000
            tar.addfile(top)
            for file in range(PER_DIRECTORY):
                for kind in ("drop", "keep", "drop-too"):
                    member = tarfile.TarInfo(f"{top.name}/file-{file:03}-{kind}")
                    member.size, member.mtime, member.mode = 4, 1_600_000_000, 0o640
                    tar.addfile(member, io.BytesIO(b"data"))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def fat() -> Iterator[str]:
    if not engines.has_image(BASE):
        pytest.skip(f"no image {BASE}; .ci/bases makes it, or: docker pull {BASE}")
    tag = "imgslim-test-scattered:latest"
    engines.import_over(BASE, scattered(), tag, ('ENTRYPOINT ["/bin/true"]',))
    yield tag
    engines.remove_image(tag)


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_ten_thousand_single_paths_are_built_as_planned(builder: str, fat: str) -> None:
    engines.require_builder(builder)
    with opened(fat) as (image, rootfs):
        plan = plan_of(rootfs, lambda path: path.endswith("-keep"))
        text = render_dockerfile(image, rootfs, plan)
        wanted = expected_image(image, rootfs, plan)
    assert max(len(line.encode()) for line in text.splitlines()) < LINE_BYTES
    instructions = text.replace("\\\n", "").splitlines()
    assert max(len(line.encode()) for line in instructions) < SHELL_BYTES
    tag = f"imgslim-test-gathered-{builder}:latest"
    try:
        engines.build(builder, text, tag, [fat])
        built = comparable(engines.saved_tree(tag), builder)
        result = verified(tag, wanted)
        found = json.loads(engines.docker("image", "inspect", tag))[0]
    finally:
        engines.remove_image(tag)
    assert built == comparable(expected_nodes(plan), builder)
    assert sum(path.endswith("-keep") for path in built) == DIRECTORIES * PER_DIRECTORY
    assert result.differences == ()
    assert len(found["RootFS"]["Layers"]) <= LAYERS
