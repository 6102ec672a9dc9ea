"""Real engines and tools against imgslim: what they save is read, and seen as they see it."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imgslim.engine import Engine, connect
from imgslim.errors import EngineError, ImageNotFoundError
from imgslim.layers import load_layers
from imgslim.model import Image
from imgslim.rootfs import merge_layers
from imgslim.sources import open_image
from tests.archives import Made, docker_archive
from tests.engines import (
    ENGINE_PATHS,
    command,
    docker,
    exported_tree,
    nodes_of,
    remove_image,
)
from tests.worlds import Dir, File, Link, Special

pytestmark = pytest.mark.engine

TAG = "imgslim-test-sources:1"

CAPABILITY = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

APP = Made(
    layers=[
        {
            "/bin": Dir(),
            "/bin/ping": File("#!", mode=0o4755, xattrs=(("security.capability", CAPABILITY),)),
            "/bin/sh": Link("ping"),
            "/gone": Dir(),
            "/gone/deep": Dir(),
            "/gone/deep/file": "1",
            "/kept": Dir(mode=0o700, uid=7, gid=8),
            "/kept/hidden": "1",
            "/kept/below": Dir(),
            "/kept/below/hidden": "1",
            "/dir-to-file": Dir(),
            "/dir-to-file/x": "1",
            "/file-to-dir": "1",
            "/link-to-dir": Link("kept"),
            "/tmp": Dir(mode=0o1777),
            "/fifo": Special(tarfile.FIFOTYPE),
            "/null": Special(tarfile.CHRTYPE, 1, 3, mode=0o666),
            "/hard-a": File("same", mtime=1_500_000_000),
            "/hard-b": File(hard_link="/hard-a", mtime=1_500_000_000),
            "/.wh.x.wh.y": "",
            "/odd \ncaf\u00e9.wh.name": "odd",
        },
        {
            "/.wh.gone": "",
            "/kept": Dir(mode=0o750, uid=9, gid=8),
            "/kept/.wh..wh..opq": "",
            "/kept/new": File("2", uid=70_000, mtime=1_400_000_000),
            "/kept/below": Dir(mode=0o711),
            "/dir-to-file": "now a file",
            "/file-to-dir": Dir(),
            "/file-to-dir/x": "2",
            "/link-to-dir": Dir(),
            "/link-to-dir/y": "2",
            "/hard-b": "no link any more",
        },
        {"/tmp": Dir(mode=0o1777), "/tmp/.wh.never-was": "", "/bin": Dir(), "/bin/.wh.sh": ""},
    ],
    config={
        "Cmd": ["/bin/ping"],
        "Env": ["PATH=/bin", "A=b=c"],
        "Labels": {"one": "1"},
        "ExposedPorts": {"80/tcp": {}},
    },
    tags=[TAG],
    history=[
        {"created_by": "ADD base", "created": "2024-01-01T00:00:00Z"},
        {"created_by": "ENV", "empty_layer": True, "created": "2024-01-01T00:00:00Z"},
        {"created_by": "RUN rm", "created": "2024-01-01T00:00:00Z"},
        {"created_by": "RUN more", "created": "2024-01-01T00:00:00Z"},
    ],
)


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}; apt-get install -y --no-install-recommends {tool}")


def essence(image: Image) -> Any:
    layers = [(blob.diff_id, blob.created_by) for blob in image.layers]
    entries = sorted(merge_layers(load_layers(image)).values(), key=lambda entry: entry.path)
    return image.config, image.platform, layers, entries


def read(location: str) -> Any:
    with open_image(location) as image:
        return essence(image)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return docker_archive(tmp_path_factory.mktemp("archives") / "app.tar", APP)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with connect() as connected:
        yield connected


@pytest.fixture(scope="module")
def loaded(engine: Engine, archive: Path) -> Iterator[str]:
    with archive.open("rb") as file:
        assert engine.load(file) == TAG
    yield TAG
    remove_image(TAG)


def test_the_merged_tree_is_the_engines(archive: Path, loaded: str) -> None:
    with open_image(str(archive)) as image:
        ours = nodes_of(merge_layers(load_layers(image)).values())
    theirs = exported_tree(loaded)
    assert {p: n for p, n in ours.items() if p not in ENGINE_PATHS} == {
        p: n for p, n in theirs.items() if p not in ENGINE_PATHS
    }


def test_the_engine_gives_the_image_of_the_archive(archive: Path, loaded: str) -> None:
    expected = read(str(archive))
    with open_image(f"docker-daemon:{loaded}") as image:
        assert essence(image) == expected
        assert image.tags == (TAG,) and image.reference == TAG
        image_id = image.image_id
    for location in (loaded, image_id, f"docker-daemon:{image_id}", image_id[7:19]):
        assert read(location) == expected


def test_a_name_without_tag_is_latest(loaded: str) -> None:
    with pytest.raises(ImageNotFoundError, match="imgslim-test-sources:latest"):
        read(TAG.partition(":")[0])


def test_docker_save(archive: Path, loaded: str, tmp_path: Path) -> None:
    path = tmp_path / "saved.tar"
    path.write_bytes(docker("save", loaded))
    assert read(str(path)) == read(str(archive)) == read(f"docker-archive:{path}:{loaded}")


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ((), "oci:{}"),
        (("--dest-oci-accept-uncompressed-layers",), "oci:{}:some-name"),
        (("--dest-compress-format=zstd", "--dest-compress"), "oci:{}:app:1"),
        ((), "oci-archive:{}"),
        ((), "docker-archive:{}:app:1"),
    ],
)
def test_skopeo(archive: Path, tmp_path: Path, options: tuple[str, ...], target: str) -> None:
    need("skopeo")
    location = target.format(tmp_path / "copy")
    command("skopeo", "copy", "--quiet", *options, f"docker-archive:{archive}", location)
    assert read(location) == read(str(archive))
    assert read(str(tmp_path / "copy")) == read(str(archive))


@pytest.fixture(scope="module")
def podman(archive: Path) -> Iterator[Callable[..., bytes]]:
    """podman with a storage of its own that holds the app."""
    need("podman")
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:  # podman takes short paths only
        yield from podman_in(folder, archive)


def podman_in(folder: str, archive: Path) -> Iterator[Callable[..., bytes]]:
    options = [
        "podman", f"--root={folder}/root", f"--runroot={folder}/run", "--storage-driver=vfs",
    ]  # fmt: skip

    def call(*argv: str) -> bytes:
        return command(*options, *argv)

    call("load", "--quiet", f"--input={archive}")
    yield call
    call("rmi", "--all", "--force")


@pytest.mark.parametrize("format", ["docker-archive", "oci-archive"])
def test_podman_save(
    podman: Callable[..., bytes], archive: Path, tmp_path: Path, format: str
) -> None:
    path = tmp_path / "saved"
    podman("save", "--quiet", f"--format={format}", f"--output={path}", f"localhost/{TAG}")
    assert read(str(path)) == read(f"{format}:{path}") == read(str(archive))


@pytest.fixture
def podman_service(
    tmp_path: Path, podman: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """podman's own API, as DOCKER_HOST."""
    root = str(podman("info", "--format={{.Store.GraphRoot}}").decode().strip())
    folder = Path(root).parent
    socket = tmp_path / "podman.sock"
    service = subprocess.Popen(
        ["podman", f"--root={root}", f"--runroot={folder}/run", "--storage-driver=vfs",
         "system", "service", "--time=0", f"unix://{socket}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(100):
            if socket.exists():
                break
            time.sleep(0.1)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
        yield
    finally:
        service.terminate()
        service.wait(30)


@pytest.mark.usefixtures("podman_service")
def test_podmans_socket(archive: Path) -> None:
    with open_image(f"localhost/{TAG}") as image:
        assert essence(image) == read(str(archive))
        assert image.tags == (f"localhost/{TAG}",)
    with connect() as service, pytest.raises(ImageNotFoundError):
        service.inspect("imgslim-test-none:1")


@pytest.mark.usefixtures("podman_service")
def test_podman_builds(archive: Path) -> None:
    with connect() as service:
        built = service.build(
            f"FROM localhost/{TAG} AS base\nFROM scratch\nCOPY --from=base /kept/new /new\n",
            "localhost/imgslim-test-built:1",
        )
        assert service.inspect("localhost/imgslim-test-built:1").id == built
        with pytest.raises(EngineError, match="the build failed"):
            service.build(f"FROM localhost/{TAG}\nCOPY --from=0 /none /\n")


# The builder leaves nothing behind. A label of its own tells a test's images from others'.


@pytest.fixture
def label() -> Iterator[str]:
    mark = f"imgslim.test={uuid.uuid4().hex}"
    yield mark
    left = labelled(mark)
    if left:
        remove_image(*left)


def labelled(label: str) -> list[str]:
    found = docker("images", "--all", "--quiet", "--no-trunc", f"--filter=label={label}")
    return sorted(set(found.decode().split()))


STAGES = """\
FROM {tag} AS one
LABEL {label}
WORKDIR /one
FROM {tag} AS two
LABEL {label}
WORKDIR /two
COPY --from=one /kept/new /a
FROM scratch
LABEL {label}
COPY --from=two /a /a
COPY --from=one /kept/new /b
"""


def test_a_build_leaves_its_image_only(engine: Engine, loaded: str, label: str) -> None:
    lines: list[str] = []
    built = engine.build(
        STAGES.format(tag=loaded, label=label), "imgslim-test-built:1", on_line=lines.append
    )
    assert any(line.startswith("Step 1/") for line in lines)
    parents = docker("history", "--quiet", "--no-trunc", built).decode().split()
    assert set(labelled(label)) == {one for one in parents if one != "<missing>"}
    assert engine.inspect("imgslim-test-built:1").id == built
    engine.remove("imgslim-test-built:1")
    assert labelled(label) == []


def test_what_was_there_before_a_build_stays(engine: Engine, loaded: str, label: str) -> None:
    first, _, _ = STAGES.format(tag=loaded, label=label).partition("FROM scratch")
    cached = engine.build(first)
    before = labelled(label)
    built = engine.build(STAGES.format(tag=loaded, label=label))
    engine.remove(built)
    assert labelled(label) == before and cached in before


def test_a_failed_build_leaves_nothing(engine: Engine, loaded: str, label: str) -> None:
    text = STAGES.format(tag=loaded, label=label) + "COPY --from=one /no/such /c\n"
    with pytest.raises(EngineError, match=r"step 12/12 \(COPY --from=one /no/such /c\)") as caught:
        engine.build(text, "imgslim-test-failed:1")
    assert "\n" not in str(caught.value)
    assert labelled(label) == []
    with pytest.raises(ImageNotFoundError):
        engine.inspect("imgslim-test-failed:1")


def test_a_dockerfile_that_is_none(engine: Engine) -> None:
    with pytest.raises(EngineError) as caught:
        engine.build("FROM scratch\nNONSENSE x\n")
    assert "NONSENSE" in str(caught.value) and "\n" not in str(caught.value)


def test_a_build_that_is_called_off_stops(engine: Engine, label: str) -> None:
    text = f"FROM alpine:3.18\nLABEL {label}\nRUN touch /a\nRUN sleep 100\n"

    def stop(line: str) -> None:
        if "Running in" in line and sum("Running in" in one for one in seen):
            raise KeyboardInterrupt
        seen.append(line)

    seen: list[str] = []
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine.build(text, on_line=stop)
    assert time.monotonic() - started < 60
    assert labelled(label) == []
    for _ in range(50):
        left = docker("ps", "--all", "--quiet", f"--filter=label={label}").decode().split()
        if not left:
            break
        time.sleep(0.2)
    assert left == []


def test_names_are_given_and_taken(engine: Engine, loaded: str) -> None:
    found = engine.inspect(loaded)
    engine.tag(found.id, "imgslim-test-tagged")
    assert engine.inspect("imgslim-test-tagged:latest").id == found.id
    engine.remove("imgslim-test-tagged:latest")
    assert engine.inspect(loaded).id == found.id


def test_an_archive_that_is_none_is_not_loaded(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(b"noise" * 1000)
    with path.open("rb") as file, pytest.raises(EngineError):
        engine.load(file)
