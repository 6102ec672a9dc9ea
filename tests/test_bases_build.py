"""An image built upon another one: the plan's entries and the base's, answers as the fat image."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.build import build_fixture, load_fixture
from imgslim.build import measure_image
from imgslim.cli.app import run
from imgslim.pipeline import analyze, open_base, overlay_on, rewrite_on_base
from tests import engines
from tests.containers import answers
from tests.worlds import Dir, File, Link, Tree, tar_bytes

pytestmark = pytest.mark.engine

ALPINE = "alpine:3.18"

OURS: Tree = {
    "/app": Dir(mode=0o750, uid=7),
    "/app/same": "same",
    "/app/file": "a file here",
    "/app/link": Link("file"),
    "/app/moved": Link("file"),
    "/app/new": File("new", uid=7),
    "/app/both": "one file",
    "/app/names": File(hard_link="/app/both"),
    "/app/run": File("#!/bin/sh\ncat /app/*\n", mode=0o755),
}
THEIRS: Tree = {
    "/app": Dir(),
    "/app/same": File("same", mtime=1_600_000_000),
    "/app/file": Link("/etc/passwd"),
    "/app/link": "a file there",
    "/app/moved": Link("other"),
    # BuildKit records no file of which only the hard-link partners change.
    "/app/both": File("one file", mtime=1_600_000_000),
    "/app/names": File("one file", mtime=1_600_000_000),
    "/app/theirs": "stays",
}


@pytest.fixture
def name() -> Iterator[str]:
    name = f"imgslim-test-{uuid.uuid4().hex[:12]}"
    yield name
    for tag in ("fat", "base", "slim"):
        subprocess.run(["docker", "rmi", "-f", f"{name}:{tag}"], capture_output=True, check=False)


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_what_differs_is_overwritten_and_the_rest_stays(builder: str, name: str) -> None:
    engines.require_builder(builder)
    lines = ['ENTRYPOINT ["/app/run"]']
    engines.import_over(ALPINE, tar_bytes(OURS), f"{name}:fat", lines)
    busy = ["USER nobody", "WORKDIR /tmp", "STOPSIGNAL SIGINT", 'CMD ["x"]', "HEALTHCHECK CMD x"]
    engines.import_over(ALPINE, tar_bytes(THEIRS), f"{name}:base", busy)
    with analyze(f"{name}:fat") as analysis, open_base(f"{name}:base") as base:
        overlay = overlay_on(analysis, base)
        dockerfile = rewrite_on_base(analysis, overlay)
        planned = engines.planned_nodes(overlay.plan.keeps)
        cut = {keep.entry.path for keep in overlay.plan.keeps if keep.content is not None}
    assert "/app/same" in overlay.held
    engines.build(builder, dockerfile, f"{name}:slim", [f"{name}:fat", f"{name}:base"])
    found = engines.exported_tree(f"{name}:slim")
    theirs = engines.exported_tree(f"{name}:base")
    if builder == "buildkit":
        planned, found, theirs = map(engines.without_directory_times, (planned, found, theirs))
    for path in planned.keys() - engines.ENGINE_PATHS - cut:
        assert found.get(path) == planned[path], path
    for path in theirs.keys() - planned.keys() - engines.ENGINE_PATHS:
        assert found.get(path) == theirs[path], path
    assert found.keys() - engines.ENGINE_PATHS <= planned.keys() | theirs.keys()
    assert "a file here" in engines.run(f"{name}:slim")
    config = engines.image_config(f"{name}:slim")
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("0", "/", "SIGTERM")
    assert (config["Cmd"] or [], config["Healthcheck"]["Test"]) == ([], ["NONE"])


def test_a_server_upon_debian_answers_as_the_fat_image(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = "debian:bookworm"
    if not engines.has_image(base):
        pytest.skip(f"there is no {base}; to enable: .ci/bases")
    fixture = load_fixture("python-gunicorn")
    build_fixture(fixture)
    out = str(tmp_path / "Dockerfile.slim")
    command = ["rewrite", fixture.tag, "--base", base, "--build", "-t", f"{name}:slim", "-o", out]
    assert run(command) == 0, "the built image is verified, too"
    assert answers(f"{name}:slim", fixture) == answers(fixture.tag, fixture)
    with analyze(fixture.tag) as analysis, open_base(base) as opened:
        overlay = overlay_on(analysis, opened)
    assert overlay.copied_bytes < analysis.plan.slim_size_bytes - 10_000_000
    assert measure_image(f"{name}:slim") <= 1.02 * overlay.size_bytes


def test_the_engines_images_are_compared(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engines.import_over(ALPINE, tar_bytes(OURS), f"{name}:fat", ['ENTRYPOINT ["/app/run"]'])
    engines.import_over(ALPINE, tar_bytes({"/app/same": "same"}), f"{name}:base")
    out = tmp_path / "Dockerfile.slim"
    assert run(["rewrite", f"{name}:fat", "--base", "auto", "-o", str(out)]) == 0
    said = capsys.readouterr().err
    assert said.startswith("base ") and "scratch" in said
    chosen = said.splitlines()[1].split()[0]
    assert f"\nFROM {chosen}\n" in out.read_text()


def test_another_c_library_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    fixture = load_fixture("python-gunicorn")
    build_fixture(fixture)
    assert run(["rewrite", fixture.tag, "-q", "--base", ALPINE, "-o", "/dev/null"]) == 12
    assert "need glibc, it has musl" in capsys.readouterr().err
