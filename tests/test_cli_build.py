"""``imgslim rewrite --build`` on a real engine, which is left as it was but for the slim image."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgslim.cli.app import run
from imgslim.reports.words import size_text

pytestmark = pytest.mark.engine

DOCKERFILE = """\
FROM alpine:3.18
LABEL run={name}
RUN mkdir /app && printf '#!/bin/sh\\nexec cat /app/{name}\\n' >/app/main && chmod 755 /app/main \\
    && echo of the app >/app/{name} && head -c 3000000 /dev/zero >/usr/share/filler
USER nobody
ENTRYPOINT ["/app/main"]
"""


def docker(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(
        ["docker", *arguments], input=text, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def exists(reference: str) -> bool:
    command = ["docker", "image", "inspect", reference]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def all_images(name: str) -> set[str]:
    """Those that the fat image is in, untagged ones too; other tests make images meanwhile."""
    return set(docker("images", "-a", "-q", "--no-trunc", f"--filter=label=run={name}").split())


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no image has; images of that name are gone in the end."""
    name = f"imgslim-test-{uuid.uuid4().hex[:12]}"
    yield name
    for tag in ("fat", "slim"):
        subprocess.run(["docker", "rmi", "-f", f"{name}:{tag}"], capture_output=True, check=False)


@pytest.fixture
def fat(name: str) -> str:
    docker("build", "-q", "-t", f"{name}:fat", "-", text=DOCKERFILE.format(name=name))
    return f"{name}:fat"


def test_an_engines_image_is_built_and_measured(
    fat: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rewrite", fat, "--build", "-t", f"{name}:slim", "-o", "/dev/null"]) == 0
    assert docker("run", "--rm", f"{name}:slim") == "of the app"
    configs = [
        json.loads(docker("image", "inspect", image))[0]["Config"]
        for image in (fat, f"{name}:slim")
    ]
    assert configs[0]["User"] == configs[1]["User"] == "nobody"
    words = capsys.readouterr().err
    assert "predicted" in words and "measured" in words
    size = int(docker("image", "inspect", "-f", "{{.Size}}", f"{name}:slim"))
    assert size_text(size) in words.split("measured")[1].splitlines()[0]


def test_an_archive_is_loaded_for_the_build_and_gone_after_it(
    fat: str, name: str, tmp_path: Path
) -> None:
    archive = tmp_path / "fat.tar"
    docker("save", "-o", str(archive), fat)
    docker("rmi", fat)
    before = all_images(name)
    assert (
        run(["rewrite", str(archive), "-q", "--build", "-t", f"{name}:slim", "-o", "/dev/null"])
        == 0
    )
    assert docker("run", "--rm", f"{name}:slim") == "of the app"
    assert not exists(fat)
    docker("rmi", f"{name}:slim")
    assert all_images(name) <= before, "nothing else stays"


def test_an_archive_that_the_engine_has_already_stays_there(
    fat: str, name: str, tmp_path: Path
) -> None:
    archive = tmp_path / "fat.tar"
    docker("save", "-o", str(archive), fat)
    assert (
        run(["rewrite", str(archive), "-q", "--build", "-t", f"{name}:slim", "-o", "/dev/null"])
        == 0
    )
    assert exists(fat)


def test_a_name_that_is_another_images_is_not_taken(
    fat: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "fat.tar"
    docker("save", "-o", str(archive), fat)
    docker("tag", "alpine:3.18", fat)
    command = ["rewrite", str(archive), "-q", "--build", "-t", f"{name}:slim", "-o", "/dev/null"]
    assert run(command) == 3
    assert "is another image" in capsys.readouterr().err
    ids = {docker("image", "inspect", "-f", "{{.Id}}", image) for image in (fat, "alpine:3.18")}
    assert len(ids) == 1


def test_the_slim_image_cannot_take_the_fat_ones_name(
    fat: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rewrite", fat, "-q", "--build", "-t", fat, "-o", "/dev/null"]) == 2
    assert "own name" in capsys.readouterr().err
