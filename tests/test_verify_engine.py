"""Verification of images that real builders made: exact ones, and ones of careless COPY lines."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgslim.cli.app import run
from imgslim.pipeline import rewrite
from tests import engines
from tests.test_torture_build import CAPABILITY, DIRECTORY, HARD, LINK, add

pytestmark = pytest.mark.engine

BASE = "alpine:3.18"
NAME = "imgslim-test-verify"
FAT = f"{NAME}:fat"
LINES = (
    # No database of packages, and so no file whose content the plan changes.
    "RUN rm -rf /lib/apk /etc/apk /var/cache/apk",
    "ENV PATH=/bin",
    "LABEL of=app",
    "WORKDIR /app",
    'ENTRYPOINT ["/app/main"]',
    'CMD ["serve"]',
)


def app_tar(mtime: float = 1_600_000_000) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "/app", DIRECTORY, mode=0o2750, owner=(33, 33), mtime=1_500_000_000)
        add(tar, "/app/main", content=b"#!/bin/sh\necho ok\n", mode=0o755, mtime=mtime)
        add(tar, "/app/capable", content=b"c", mode=0o755, capability=True)
        add(tar, "/app/one", content=b"the same")
        add(tar, "/app/two", HARD, target="app/one")
        add(tar, "/app/link", LINK, target="main", mtime=1_400_000_000)
        add(tar, "/root/.cache/pip/http/x", content=b"x" * 1000)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The plan of the fat image in a file; the Dockerfile lies beside it."""
    if not engines.has_image(BASE):
        pytest.skip(f"no image {BASE}; .ci/bases makes it, or: docker pull {BASE}")
    folder = tmp_path_factory.mktemp("plan")
    engines.import_over(BASE, app_tar(), FAT, LINES)
    try:
        plan = folder / "plan.json"
        assert run(["analyze", FAT, "-q", "--format", "json", "-o", str(plan)]) == 0
        assert run(["rewrite", FAT, "-q", "-o", str(folder / "Dockerfile")]) == 0
        yield plan
    finally:
        engines.remove_image(FAT)


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_what_rewrite_writes_is_built_as_planned(
    builder: str, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engines.require_builder(builder)
    tag = f"{NAME}:{builder}"
    try:
        engines.build(builder, (plan.parent / "Dockerfile").read_text("utf-8"), tag, [FAT])
        code = run(["verify", tag, "--plan", str(plan)])
    finally:
        engines.remove_image(tag)
    shown = capsys.readouterr()
    assert (code, shown.out.splitlines()[0]) == (0, f"verified: {paths(plan)} paths as planned")


def paths(plan: Path) -> str:
    return f"{json.loads(plan.read_text('utf-8'))['plan']['sizes']['kept_paths']:,}"


CARELESS = """\
FROM {fat} AS base
FROM scratch
COPY --from=base /bin /bin
COPY --from=base /app/main /app/capable /app/one /app/
COPY --from=base /app/two /app/two
COPY --from=base /app/link /app/link
COPY --from=base /app/main /app/more
ENV PATH=/bin
LABEL of=another
WORKDIR /app
CMD ["serve"]
ENTRYPOINT ["/app/main"]
"""
"""COPY lines that each lose something, and a label that is another."""

FOUND = (
    "/app: mode expected 2750, found 0755 (the directory lost its own mode",
    "/app: owner expected 33:33, found 0:0 (the directory lost its owner",
    "/app/link: expected symlink, found file (COPY follows a link that it names",
    "/app/more: expected nothing, found file",
    "/app/one: hard links expected one file with /app/two, found 2 files",
    "config: label of expected app, found another",
)
CAPABILITY_LOST = f"/app/capable: capability expected {CAPABILITY}, found none (the file capability"


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_what_careless_lines_lose_is_named(
    builder: str, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engines.require_builder(builder)
    tag = f"{NAME}:careless-{builder}"
    try:
        engines.build(builder, CARELESS.format(fat=FAT), tag, [FAT])
        assert run(["verify", tag, "--plan", str(plan), "--verbose"]) == 13
    finally:
        engines.remove_image(tag)
    lines = capsys.readouterr().out.splitlines()
    expected = (*FOUND, CAPABILITY_LOST) if builder == "docker" else FOUND
    assert [row for row in expected if not any(line.startswith(f"  {row}") for line in lines)] == []


OLD = (
    "RUN touch -d @-315619200 /app/one && touch -h -d @-315619200 /app/link",
    "RUN touch -d @-315619200 /app",
)


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_times_before_1970_are_said_and_then_allowed(
    builder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engines.require_builder(builder)
    fat, slim = f"{NAME}:old", f"{NAME}:old-{builder}"
    written, dockerfile = tmp_path / "plan.json", tmp_path / "Dockerfile"
    try:
        engines.import_over(BASE, app_tar(), fat, (*LINES, *OLD))
        assert run(["analyze", fat, "-q", "--format", "json", "-o", str(written)]) == 0
        said = json.loads(written.read_text("utf-8"))["unsayable"]
        assert [row["message"][:1] for row in said if row["code"] == "unstored-times"] == ["3"]
        assert run(["rewrite", fat, "-q", "-o", str(dockerfile)]) == 0
        engines.build(builder, dockerfile.read_text("utf-8"), slim, [fat])
        capsys.readouterr()
        assert run(["verify", slim, "--plan", str(written), "--verbose"]) == 0
        assert "before 1970" in capsys.readouterr().out
    finally:
        engines.remove_image(fat, slim)


# ------------------------------------------------------------------- rewrite --build


@pytest.fixture
def name(plan: Path) -> Iterator[str]:
    name = f"imgslim-test-{uuid.uuid4().hex[:12]}"
    yield name
    for tag in ("old", "new", "slim"):
        subprocess.run(["docker", "rmi", "-f", f"{name}:{tag}"], capture_output=True, check=False)


def test_rewrite_verifies_what_it_built(
    plan: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["rewrite", FAT, "--build", "-t", f"{name}:slim", "-o", "/dev/null"]
    assert run(command) == 0
    assert f"\nverified: {paths(plan)} paths as planned\n" in capsys.readouterr().err
    assert run([*command, "--no-verify"]) == 0
    assert "verified" not in capsys.readouterr().err


def test_rewrite_ends_with_the_differences_of_what_it_built(
    plan: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "imgslim.pipeline.rewrite",
        lambda *given, **more: f"{rewrite(*given, **more)}LABEL of=another\n",
    )
    command = ["rewrite", FAT, "-q", "--build", "-t", f"{name}:slim", "-o", "/dev/null"]
    assert run(command) == 13
    said = capsys.readouterr().err
    assert "\n  config: label of expected app, found another (" in said
    assert f"imgslim: error: {name}:slim is not as planned (differences: 1)" in said
    assert engines.has_image(f"{name}:slim"), "it stays, to be looked at"


def test_a_layer_of_an_earlier_build_does_not_bring_its_times(name: str) -> None:
    """The legacy builder's cache compares files without their times."""
    for tag, mtime in (("old", 1_600_000_000), ("new", 1_600_000_100)):
        engines.import_over(BASE, app_tar(mtime), f"{name}:{tag}", LINES)
        command = ["rewrite", f"{name}:{tag}", "-q", "--build", "-t", f"{name}:slim"]
        assert run([*command, "-o", "/dev/null"]) == 0
        assert engines.saved_tree(f"{name}:slim")["/app/main"].mtime == mtime
