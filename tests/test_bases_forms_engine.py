"""The other two forms upon a base, in the engine: the archive without a build, and the final stage
behind the user's own Dockerfile."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.build import Fixture, build_arguments, build_fixture, load_fixture
from imgslim.cli.app import run
from imgslim.layers import load_layers
from imgslim.pipeline import analyze, open_base, overlay_on
from imgslim.provenance_labels import BASE_NAME
from imgslim.sources import open_image
from tests import engines
from tests.containers import answers

pytestmark = pytest.mark.engine

BASE = "debian:bookworm"


@pytest.fixture
def name() -> Iterator[str]:
    name = f"imgslim-test-{uuid.uuid4().hex[:12]}:slim"
    yield name
    subprocess.run(["docker", "rmi", "-f", name], capture_output=True, check=False)


@pytest.fixture(scope="module")
def fixture() -> Fixture:
    if not engines.has_image(BASE):
        pytest.skip(f"there is no {BASE}; to enable: .ci/bases")
    found = load_fixture("python-debian-venv")
    build_fixture(found)
    return found


@pytest.fixture(scope="module")
def plan(fixture: Fixture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    words = [word for one in fixture.also_run for word in ("--also-run", one)]
    command = ["analyze", fixture.tag, *words, "-q", "--format", "json", "-o", str(path)]
    assert run(command) == 0
    return path


def rewritten(fixture: Fixture, target: Path, *options: str) -> None:
    words = [word for one in fixture.also_run for word in ("--also-run", one)]
    command = ["rewrite", fixture.tag, *words, "-q", "--base", BASE, "-o", str(target), *options]
    assert run(command) == 0


def test_an_archive_upon_debian_shares_its_layers_and_answers(
    fixture: Fixture, plan: Path, name: str, tmp_path: Path
) -> None:
    target = tmp_path / "slim.tar"
    rewritten(fixture, target, "-t", name)
    engines.docker("load", "--input", str(target))
    assert answers(name, fixture) == answers(fixture.tag, fixture)
    for image in (str(target), name):
        assert run(["verify", image, "--plan", str(plan), "--base", BASE, "-q"]) == 0
    with analyze(fixture.tag, also_run=fixture.also_run) as analysis, open_base(BASE) as base:
        overlay = overlay_on(analysis, base)
        lower = [blob.diff_id for blob in base.image.layers]
    assert overlay.copied_bytes < analysis.plan.slim_size_bytes - 5_000_000
    with open_image(f"docker-daemon:{name}") as slim:
        assert [blob.diff_id for blob in slim.layers][: len(lower)] == lower
        size_bytes = sum(layer.size_bytes for layer in load_layers(slim))
    assert size_bytes <= 1.02 * overlay.size_bytes


def test_the_users_dockerfile_goes_on_upon_debian_and_answers(
    fixture: Fixture, name: str, tmp_path: Path
) -> None:
    target = tmp_path / "Dockerfile.slim"
    rewritten(fixture, target, "--source", str(fixture.folder / "Dockerfile"))
    text = target.read_text()
    assert f"\nFROM {BASE}\n" in text and "FROM scratch" not in text
    engines.build_in(fixture.folder, target, name, build_arguments(fixture))
    assert answers(name, fixture) == answers(fixture.tag, fixture)
    labels = engines.image_config(name)["Labels"]
    assert labels[BASE_NAME] == "docker.io/library/debian:bookworm"


SOURCE = """\
FROM alpine:3.18
COPY files /srv
RUN chmod 755 /srv/run && chown 7 /srv/deep
ENTRYPOINT ["/srv/run"]
"""


def test_what_the_base_holds_no_more_is_copied_in_the_next_build(tmp_path: Path, name: str) -> None:
    fat, base = name.replace(":slim", ":fat"), name.replace(":slim", ":base")
    files = tmp_path / "context" / "files" / "deep"
    files.mkdir(parents=True)
    (files.parent / "run").write_text("#!/bin/sh\ncat /srv/deep/*\n")
    for path in ("one", "two", "three"):
        (files / path).write_text(f"{path} of the first build\n")
    source, slim = tmp_path / "Dockerfile", tmp_path / "Dockerfile.slim"
    source.write_text(SOURCE)

    def build(dockerfile: Path, tag: str) -> None:
        words = ["build", "-q", "--network=host", f"--file={dockerfile}", f"--tag={tag}"]
        engines.docker(*words, str(tmp_path / "context"))

    below = tmp_path / "Dockerfile.base"
    below.write_text(SOURCE.replace("ENTRYPOINT", "LABEL of=base\nENTRYPOINT"))
    try:
        build(source, fat)
        build(below, base)
        command = ["rewrite", fat, "-q", "--base", base, "--source", str(source), "-o", str(slim)]
        assert run(command) == 0
        build(slim, name)
        with (
            open_image(f"docker-daemon:{name}") as built,
            open_image(f"docker-daemon:{base}") as of,
        ):
            above = load_layers(built)[len(of.layers) :]
        assert sum(layer.size_bytes for layer in above) < 100_000, "the base holds nearly all"
        # The user's file changes, and the base, whose own copy of another is gone.
        (files / "one").write_text("one of the second build\n")
        below.write_text(f"FROM {base}\nRUN rm /srv/deep/two && echo no > /srv/deep/three\n")
        build(below, base)
        build(slim, name)
        wanted = "one of the second build\nthree of the first build\ntwo of the first build\n"
        assert engines.run(name) == wanted
        tree = engines.exported_tree(name)
        assert (tree["/srv/deep"].uid, tree["/srv/deep"].mode) == (7, 0o755)
    finally:
        for tag in (fat, base):
            subprocess.run(["docker", "rmi", "-f", tag], capture_output=True, check=False)
