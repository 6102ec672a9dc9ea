"""The archive in real engines: it loads, runs and answers as the fat image, without a build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.build import Fixture, build_fixture, load_fixtures
from imgslim.archive import Settings, write_archive
from imgslim.cli.app import run
from imgslim.layers import load_layers
from imgslim.pipeline import Analysis, analyze
from imgslim.provenance_labels import BASE_DIGEST, BASE_NAME
from imgslim.rootfs import merge_layers
from imgslim.sources import open_image
from tests import engines
from tests.archives import Made, docker_archive
from tests.containers import answers
from tests.test_torture_build import torture_tar
from tests.worlds import File, Tree

pytestmark = pytest.mark.engine

SMALL = ("go-static",)
"""Fixtures that take seconds; test_fixtures.py loads an archive of every one."""

FIXTURES = {fixture.name: fixture for fixture in load_fixtures()}
NAME = f"imgslim-archived:{os.getpid()}"


@pytest.fixture
def slim() -> Iterator[str]:
    yield NAME
    engines.remove_image(NAME)


def rewritten(fat: str, target: Path, *options: str) -> None:
    assert run(["rewrite", fat, "-q", "-o", str(target), "-t", NAME, *options]) == 0


@pytest.mark.parametrize("name", SMALL)
def test_a_loaded_archive_is_the_slim_image(name: str, tmp_path: Path, slim: str) -> None:
    fixture: Fixture = FIXTURES[name]
    fat = build_fixture(fixture)
    target = tmp_path / "slim.tar"
    with analyze(fat, also_run=fixture.also_run) as analysis, target.open("wb") as file:
        planned = _nodes(analysis)
        write_archive(file, analysis.image, analysis.world, analysis.plan, Settings(slim))
    assert engines.docker("load", "--input", str(target)).decode().split() == [
        *("Loaded", "image:"),
        NAME,
    ]
    saved = engines.saved_tree(slim)
    assert {path for path in planned if planned[path] != saved.get(path)} == set()
    assert saved.keys() == planned.keys()
    assert _config(slim) == _config(fat)
    assert answers(slim, fixture) == answers(fat, fixture)


def _nodes(analysis: Analysis) -> engines.Nodes:
    """The plan; a file that a package database was cut to has another size."""
    nodes = engines.planned_nodes(analysis.plan.keeps)
    for keep in analysis.plan.keeps:
        if keep.content is not None:
            path = keep.entry.path
            nodes[path] = replace(nodes[path], size_bytes=keep.size_bytes)
    return nodes


def _on_linux(node: engines.Node) -> engines.Node:
    """Where links have no mode of their own (symlink(7))."""
    return replace(node, mode=0o777) if node.kind == "symlink" else node


def _config(tag: str) -> dict[str, object]:
    config = engines.image_config(tag)
    labels = config.pop("Labels") or {}
    for name in (BASE_NAME, BASE_DIGEST):
        labels.pop(name, None)
    return {**config, "Labels": labels}


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_the_oldest_engine_loads_what_is_compressed(
    tmp_path: Path, slim: str, ending: str, compress: str
) -> None:
    target = tmp_path / f"slim{ending}"
    rewritten(str(torture(tmp_path)), target, "--compress", compress)
    engines.docker("load", "--input", str(target))
    assert engines.run(slim).strip() == "of the app"


APP: Tree = {"/app/main": File("#!/bin/sh\necho of the app\n", mode=0o755)}


def torture(folder: Path) -> Path:
    """A fat image of Alpine with every kind of entry laid over it."""
    layers = engines.saved_layers("alpine:3.18")
    made = Made(
        layers=[*layers, APP, torture_tar(torn=True)],
        config={"Entrypoint": ["/app/main"], "Env": ["PATH=/bin", "A=b\nc"]},
        tags=["torture:1"],
    )
    return docker_archive(folder / "fat.tar", made)


def test_every_kind_of_entry_arrives_in_a_container(tmp_path: Path, slim: str) -> None:
    fat, target = torture(tmp_path), tmp_path / "slim.tar"
    rewritten(str(fat), target)
    engines.docker("load", "--input", str(target))
    with analyze(str(fat)) as analysis:
        planned = {path: _on_linux(node) for path, node in _nodes(analysis).items()}
    found = engines.exported_tree(slim)
    compared = planned.keys() - engines.ENGINE_PATHS
    assert {"/t/fifo", "/t/null", "/t/torn", "/t/home/key", "/t/capable too"} <= compared
    differing = {path: (planned[path], found.get(path)) for path in compared}
    assert {path: row for path, row in differing.items() if row[0] != row[1]} == {}
    assert engines.run(slim).strip() == "of the app"


COPIES = {
    "docker-archive": "docker-archive:{archive}",
    "oci-archive": "oci-archive:{archive}",
}


@pytest.mark.skipif(shutil.which("skopeo") is None, reason=engines.HOW_TO_INSTALL["buildah"])
@pytest.mark.parametrize("transport", COPIES)
@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_skopeo_copies_it_by_either_layout(tmp_path: Path, transport: str, compress: str) -> None:
    target, layout = tmp_path / "slim.tar", tmp_path / "copy"
    rewritten(str(torture(tmp_path)), target, "--compress", compress)
    source = COPIES[transport].format(archive=target)
    engines.command("skopeo", "copy", "--insecure-policy", source, f"oci:{layout}:x")
    with open_image(str(target)) as ours, open_image(f"oci:{layout}") as copied:
        assert copied.config == ours.config
        assert [blob.diff_id for blob in copied.layers] == [blob.diff_id for blob in ours.layers]
        trees = [merge_layers(load_layers(image)).keys() for image in (ours, copied)]
        assert trees[0] == trees[1]


@pytest.mark.skipif(
    shutil.which("podman") is None, reason="no podman: apt-get install -y podman enables this"
)
def test_podman_loads_it_under_its_name(tmp_path: Path) -> None:
    target = tmp_path / "slim.tar"
    rewritten(str(torture(tmp_path)), target)
    # A short path: podman takes no --runroot of more than 50 characters.
    run_root = Path(tempfile.mkdtemp(prefix="podman-"))
    store = ["podman", "--root", str(tmp_path / "store"), "--runroot", str(run_root)]
    store += ["--tmpdir", str(run_root / "tmp"), "--storage-driver", "vfs"]
    try:
        said = engines.command(*store, "load", "--input", str(target)).decode()
        assert f"docker.io/library/{NAME}" in said
        form = "{{.Config.Entrypoint}}"
        shown = engines.command(*store, "image", "inspect", "--format", form, NAME)
        assert shown.decode().strip() == "[/app/main]"
    finally:
        subprocess.run([*store, "rmi", "--all", "--force"], capture_output=True, check=False)
        shutil.rmtree(run_root)


def test_an_archive_goes_through_a_pipe_into_the_engine(tmp_path: Path, slim: str) -> None:
    fat = torture(tmp_path)
    line = f'"$1" -m imgslim rewrite "$2" -q --archive -t {NAME} | docker load'
    said = engines.command("sh", "-c", line, "sh", sys.executable, str(fat))
    assert said.decode().split()[-1] == NAME
    assert engines.run(slim).strip() == "of the app"
