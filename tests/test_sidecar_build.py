"""What ADD makes of the tar beside a Dockerfile, on three builders: the plan, entry by entry."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgslim.archive.sidecar import sidecar_tar
from imgslim.bases import Base, built_keeps, lay_over
from imgslim.cli.app import run
from imgslim.dockerfile import render_dockerfile, render_on_base, sidecar_keeps
from tests import engines
from tests.test_strip import compiled
from tests.test_torture_build import (
    ALLOWED,
    DIRECTORY,
    HARD,
    LINK,
    add,
    comparable,
    expected_image,
    expected_nodes,
    opened,
    plan_of,
    torture_tar,
    verified,
)

pytestmark = pytest.mark.engine

SIDECAR = "the side$car.tar"

SERVER = """
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct stat s;
    for (int i = 1; i < argc; i++) {
        if (lstat(argv[i], &s)) { printf("none "); continue; }
        printf("%o:%d:%ld ", s.st_mode, (int) s.st_uid,
            S_ISDIR(s.st_mode) ? 0L : (long) s.st_nlink);
    }
    printf("as %d\\n", (int) geteuid());
    return 0;
}
"""
"""Says of each path its type and mode, owner, and how many names a file has; and who it runs as."""

ASKED = ("/t/dangling", "/t/linked/one", "/t/fifo", "/t/sticky", "/t/home", "/app/server")
TOLD = "120777:5:1 100644:0:2 10622:3:1 41777:0:0 40750:1000:0 104755:0:1 as 0\n"


@pytest.fixture(scope="module")
def fat() -> Iterator[str]:
    """Every kind of entry, and a program that is all that can run there."""
    tag = "imgslim-test-shell-less:latest"
    program = compiled("-static", source=SERVER)
    buffer = io.BytesIO(torture_tar(torn=True))
    with tarfile.open(fileobj=buffer, mode="a", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "/app", DIRECTORY, mode=0o711, mtime=1_350_000_000)
        add(tar, "/app/server", content=program, mode=0o4755)
        add(tar, "/app/current", LINK, target="server")
        add(tar, "/app/gone", content=b"gone")
    engines.import_over("scratch", buffer.getvalue(), tag, ('ENTRYPOINT ["/app/current"]',))
    yield tag
    engines.remove_image(tag)


def keeps(path: str) -> bool:
    return "dropped" not in path and path != "/app/gone"


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_the_built_image_is_the_plan(builder: str, fat: str) -> None:
    engines.require_builder(builder)
    with opened(fat) as (image, rootfs):
        plan = plan_of(rootfs, keeps)
        text = render_dockerfile(image, rootfs, plan, sidecar=SIDECAR)
        tar = b"".join(sidecar_tar(sidecar_keeps(image, rootfs, plan), rootfs))
        wanted = expected_image(image, rootfs, plan)
    assert "COPY --from=base" in text
    tag = f"imgslim-test-sidecar-{builder}:latest"
    try:
        engines.build(builder, text, tag, [fat], {SIDECAR: tar})
        built = comparable(engines.saved_tree(tag), builder)
        size_bytes = engines.layers_size_bytes(tag)
        result = verified(tag, wanted)
        told = engines.run(tag, *ASKED)
    finally:
        engines.remove_image(tag)
    expected = comparable(expected_nodes(plan), builder)
    assert sorted(set(expected) ^ set(built)) == []
    assert {p: (built[p], expected[p]) for p in built if built[p] != expected[p]} == {}
    assert size_bytes == plan.slim_size_bytes, "something is stored twice"
    assert result.differences == ()
    assert {allowance.code for allowance in result.allowances} <= ALLOWED[builder]
    assert told == TOLD


UNDER = "imgslim-test-sidecar-under:latest"


@pytest.fixture(scope="module")
def under(fat: str) -> Iterator[str]:
    """Another image, with other things at some of the paths."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "/t", DIRECTORY, mode=0o700, owner=(9, 9))
        add(tar, "/t/own", content=b"of the base")
        add(tar, "/t/link", content=b"a file")
        add(tar, "/t/big-ids", LINK, target="own")
        add(tar, "/t/fifo", content=b"a file")
        add(tar, "/t/null", HARD, target="t/own")
        add(tar, "/t/plain", DIRECTORY, mode=0o777)
        add(tar, "/t/plain/owned", LINK, target="../own")
    engines.import_over("scratch", buffer.getvalue(), UNDER)
    yield UNDER
    engines.remove_image(UNDER)


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_upon_another_image_what_it_has_there_is_replaced(
    builder: str, fat: str, under: str
) -> None:
    engines.require_builder(builder)
    with opened(fat) as (image, rootfs), opened(under) as (base, base_rootfs):
        plan = plan_of(rootfs, keeps)
        overlay = lay_over(image, rootfs, plan, Base(base, base_rootfs, 0))
        text = render_on_base(image, rootfs, overlay, sidecar=SIDECAR)
        kept = sidecar_keeps(image, rootfs, overlay.plan, overlay.replaced)
        tar = b"".join(sidecar_tar(kept, rootfs))
        nodes = engines.nodes_of(
            keep.entry for keep in built_keeps(plan, overlay) if keep.entry.path != "/"
        )
    tag = f"imgslim-test-sidecar-on-{builder}:latest"
    try:
        engines.build(builder, text, tag, [fat, under], {SIDECAR: tar})
        built = comparable(engines.saved_tree(tag), builder)
    finally:
        engines.remove_image(tag)
    expected = comparable(nodes, builder)
    assert set(built) - set(expected) == {"/t/own"}
    assert built["/t/own"].size_bytes == len(b"of the base")
    assert {p: (built[p], expected[p]) for p in expected if built[p] != expected[p]} == {}


def test_rewrite_builds_with_the_tar_and_finds_the_plan(
    fat: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = "imgslim-test-sidecar-cli:slim"
    drops = ("--drop", "/t/across/dropped", "--drop", "/app/gone")
    try:
        output = str(tmp_path / "Dockerfile")
        assert run(["rewrite", fat, *drops, "-o", output, "--build", "-t", tag]) == 0
        assert engines.run(tag, *ASKED, "/app/gone") == TOLD.replace("as 0", "none as 0")
    finally:
        engines.remove_image(tag)
    assert "paths as planned" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Dockerfile", "Dockerfile.tar"]
