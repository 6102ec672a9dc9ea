"""Which engine is asked, and what is said when it does not answer. No engine is needed here."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgslim.engine import _Build, connect
from imgslim.errors import EngineError, ImageNotFoundError
from imgslim.sources import open_image


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")


def make_context(folder: Path, name: str, host: str) -> None:
    """A context as ``docker context create`` stores it."""
    place = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    place.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    (place / "meta.json").write_text(
        json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints})
    )


def message() -> str:
    with pytest.raises(EngineError) as caught:
        connect()
    assert caught.value.hint and "\n" not in str(caught.value) + caught.value.hint
    return str(caught.value)


def test_no_engine_at_docker_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert "unix:///nowhere/docker.sock" in message()
    assert "No such file" in message()


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "pigeon://coop")
    assert "pigeon" in message()


def test_a_port_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert "refused" in message()


def test_certificates_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/nowhere")
    assert "certificate" in message() or "TLS" in message()


@pytest.mark.parametrize("how", ["DOCKER_CONTEXT", "docker context use"])
def test_contexts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str) -> None:
    make_context(tmp_path, "far", "unix:///far/away.sock")
    if how == "DOCKER_CONTEXT":
        monkeypatch.setenv("DOCKER_CONTEXT", "far")
    else:
        (tmp_path / "config.json").write_text('{"currentContext": "far"}')
    assert "unix:///far/away.sock" in message()
    monkeypatch.setenv("DOCKER_HOST", "unix:///near.sock")
    assert "unix:///near.sock" in message()


def test_a_context_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    assert message() == "there is no docker context 'nowhere'"


@pytest.fixture
def as_nobody() -> Iterator[None]:
    connect_once = pytest.raises(EngineError)
    with connect_once:
        connect()  # imports what nobody may not read
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_no_permission_on_the_socket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}x")
        request.getfixturevalue("as_nobody")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        assert "no permission" in message()


def test_a_location_in_an_engine_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").write_text("#!/bin/sh\n")
    (tmp_path / "web").mkdir()
    # A program or folder beside the Dockerfile has the image's name: the image is meant.
    for location in ("app", "web", "docker-daemon:app:1", "ghcr.io/me/app@sha256:" + "0" * 64):
        with pytest.raises(EngineError), open_image(location):
            pass
    for location in ("./web", "./none", "none.tar"):
        with pytest.raises(ImageNotFoundError), open_image(location):
            pass


def test_the_sdk_is_imported_only_when_it_is_needed() -> None:
    code = "import sys, imgslim.sources, imgslim.engine; sys.exit('docker' in sys.modules)"
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", code) == 0


DOCKER_OUTPUT = """\
Step 1/3 : FROM a AS b
 ---> 111111111111
Step 2/3 : RUN x
 ---> Using cache
 ---> 222222222222
Step 3/3 : COPY y /
 ---> Running in cccccccccccc
 ---> 333333333333
Successfully built 333333333333
"""
BUILDAH_OUTPUT = """\
[1/2] STEP 1/2: FROM a AS b
[1/2] STEP 2/2: RUN x
--> Using cache 2222222222222222222222222222222222222222222222222222222222222222
--> 222222222222
[2/2] STEP 1/1: COPY y /
--> 333333333333
Successfully built 333333333333
"""


@pytest.mark.parametrize(
    ("output", "ids", "step"),
    [
        (DOCKER_OUTPUT, ["2" * 12, "3" * 12], "step 3/3 (COPY y /)"),
        (BUILDAH_OUTPUT, ["2" * 64, "2" * 12, "3" * 12], "step 1/1 (COPY y /)"),
    ],
)
def test_what_a_builder_prints(output: str, ids: list[str], step: str) -> None:
    build = _Build(lambda line: None)
    for piece in range(0, len(output), 7):
        build.read({"stream": output[piece : piece + 7]})
    assert build.new_ids({"1" * 64}) == ids
    assert build.image_id == "3" * 12
    with pytest.raises(EngineError) as caught:
        build.read({"error": "went\n  wrong"})
    assert str(caught.value) == f"the build failed at {step}: went wrong"
