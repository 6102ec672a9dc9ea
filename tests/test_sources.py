"""From a location to an Image: every format gives the same one, every fault its own error."""

from __future__ import annotations

import errno
import gzip
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imgslim.errors import (
    ArchiveError,
    DigestMismatchError,
    ImageNotFoundError,
    ImgslimError,
    OutputError,
    UnsupportedImageError,
    UsageError,
)
from imgslim.layers import load_layers
from imgslim.model import Entry, Healthcheck, Image, Platform
from imgslim.rootfs import merge_layers
from imgslim.sources import open_image, workspace
from tests.archives import (
    PACKERS,
    Made,
    digest_of,
    docker25_archive,
    docker_archive,
    docker_files,
    oci_archive,
    oci_files,
    oci_layout,
    write_folder,
    write_tar,
)
from tests.worlds import File, tar_bytes

APP = Made(
    layers=[
        {"/bin/app": File("#!", mode=0o755), "/etc/a": "1" * 9000},
        {"/etc/.wh.a": "", "/b": "2"},
        {"/bin/app": File("#!", mode=0o755), "/etc/a": "1" * 9000},
    ],
    config={"Cmd": ["/bin/app"], "Env": ["PATH=/bin", "EMPTY=", "A=b=c"]},
    tags=["app:1"],
    history=[
        {"created_by": "ADD base"},
        {"created_by": "ENV A=b=c", "empty_layer": True},
        {"created_by": "RUN rm"},
        {"created_by": "CMD app", "empty_layer": True},
        {"created_by": "COPY app"},
    ],
)
ARM = replace(APP, layers=[{"/arm": "x"}], platform={"os": "linux", "architecture": "arm64"})

Read = tuple[Image, dict[str, tuple[str, int, int]]]


def essence(image: Image) -> Any:
    """All that must not depend on where an image comes from."""
    layers = [(blob.diff_id, blob.created_by, blob.tar_size_bytes) for blob in image.layers]
    entries: list[Entry] = sorted(
        merge_layers(load_layers(image)).values(), key=lambda entry: entry.path
    )
    return image.image_id, image.platform, image.config, image.history, layers, entries


def read(location: str, **options: Any) -> Any:
    with open_image(location, **options) as image:
        return essence(image)


Writer = Callable[[Path], str]

FORMATS: dict[str, Writer] = {
    "docker save, old layout": lambda p: str(docker_archive(p / "a.tar", APP)),
    "docker save, symbolic links": lambda p: str(docker_archive(p / "a", APP, links="symbolic")),
    "docker save, hard links": lambda p: str(docker_archive(p / "a", APP, links="hard")),
    "docker save, packed layers": lambda p: str(docker_archive(p / "a", APP, pack="gzip")),
    "docker save, 25+": lambda p: str(docker25_archive(p / "a", APP)),
    "docker save, 25+, as docker-archive": lambda p: (
        f"docker-archive:{docker25_archive(p / 'a', APP)}"
    ),
    "docker save | gzip": lambda p: _packed(docker_archive(p / "a.tar", APP), "gzip"),
    "docker save | zstd": lambda p: _packed(docker_archive(p / "a.tar", APP), "zstd"),
    "OCI archive | gzip": lambda p: _packed(oci_archive(p / "a.tar", APP, pack="zstd"), "gzip"),
    "OCI, Docker's media types": lambda p: str(
        oci_layout(p / "o", APP, docker_types=True, pack="gzip")
    ),
    "OCI, nested indexes": lambda p: f"oci:{oci_layout(p / 'o', APP, nested=True)}",
    "OCI, attestations": lambda p: f"oci:{oci_layout(p / 'o', APP, nested=True, attested=True)}",
    "OCI, attestation beside": lambda p: str(oci_layout(p / "o", APP, attested=True)),
    "OCI, no platform told": lambda p: str(oci_layout(p / "o", APP, platforms=False)),
    **{
        f"OCI layout, {pack}": lambda p, pack=pack: str(oci_layout(p / "o", APP, pack=pack))
        for pack in PACKERS
    },
    **{
        f"OCI archive, {pack}": lambda p, pack=pack: (
            f"oci-archive:{oci_archive(p / 'a', APP, pack=pack)}"
        )
        for pack in PACKERS
    },
}


def _packed(path: Path, pack: str) -> str:
    path.write_bytes(PACKERS[pack](path.read_bytes()))
    return str(path)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_image(tmp_path: Path, name: str) -> None:
    expected = read(str(docker_archive(tmp_path / "expected.tar", APP)))
    assert read(FORMATS[name](tmp_path), check_digests=True) == expected
    assert read(FORMATS[name](tmp_path)) == expected


@pytest.mark.parametrize("pack", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("write", [docker_archive, docker25_archive, oci_archive])
def test_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: str, write: Callable[..., Path]
) -> None:
    path = write(tmp_path / "a.tar", APP)
    data = PACKERS[pack](path.read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert read("-") == read(str(path))


def test_what_an_image_knows(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "my app.tar", replace(APP, tags=["docker.io/library/app:1"]))
    with open_image(str(path)) as image:
        assert image.reference == "app:1" and image.tags == ("app:1",)
        assert image.platform == Platform("linux", "amd64")
        assert image.image_id == digest_of(APP.config_blob)
        assert image.load_command == f"docker load -q -i '{path}'"
        assert [blob.created_by for blob in image.layers] == ["ADD base", "RUN rm", "COPY app"]
        assert image.config.env == (("PATH", "/bin"), ("EMPTY", ""), ("A", "b=c"))
        assert image.config.entrypoint is None and image.config.cmd == ("/bin/app",)


def test_all_of_the_config(tmp_path: Path) -> None:
    config = {
        "Entrypoint": [],
        "Cmd": "one string",
        "WorkingDir": "/w",
        "User": "1:2",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "Labels": {"b": "2", "a": "1"},
        "StopSignal": "SIGINT",
        "Shell": ["/bin/bash", "-c"],
        "OnBuild": ["RUN x"],
        "Healthcheck": {"Test": ["CMD", "ok"], "Interval": 1_000_000_000, "Retries": 3},
        "ArgsEscaped": True,
        "Env": None,
    }
    made = Made(layers=[{"/a": ""}], config=config)
    with open_image(str(docker_archive(tmp_path / "a.tar", made))) as image:
        found = image.config
    assert (found.entrypoint, found.cmd, found.env) == ((), ("one string",), ())
    assert (found.working_dir, found.user, found.stop_signal) == ("/w", "1:2", "SIGINT")
    assert found.exposed_ports == ("53/udp", "80/tcp") and found.volumes == ("/data",)
    assert found.labels == (("a", "1"), ("b", "2"))
    assert found.shell == ("/bin/bash", "-c") and found.on_build == ("RUN x",)
    assert found.healthcheck == Healthcheck(("CMD", "ok"), interval_ns=10**9, retries=3)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (None, ["", "", ""]),
        ([], ["", "", ""]),
        ([{"created_by": "import"}], ["", "", ""]),
        ([{"created_by": str(n)} for n in range(4)], ["", "", ""]),
        ([{}, {"created_by": "x"}, {"empty_layer": True}, {"created_by": "y"}], ["", "x", "y"]),
    ],
)
def test_history_is_paired_only_where_it_fits(
    tmp_path: Path, history: Any, expected: list[str]
) -> None:
    path = docker_archive(tmp_path / "a.tar", replace(APP, history=history))
    with open_image(str(path)) as image:
        assert [blob.created_by for blob in image.layers] == expected


def test_plain_layers_are_read_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for location in (docker_archive(tmp_path / "a.tar", APP), oci_layout(tmp_path / "o", APP)):
        with open_image(str(location)) as image:
            assert all(blob.tar_path.startswith(str(location)) for blob in image.layers)
            (folder,) = tmp_path.glob("imgslim-*")
            assert list(folder.iterdir()) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, None])
def test_nothing_stays_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException] | None
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    archive = oci_archive(tmp_path / "a", APP, pack="zstd")
    steps = []

    def progress(phase: str, done: int, total: int | None) -> None:
        steps.append(phase)
        if stop:
            raise stop

    try:
        with open_image(str(archive), on_progress=progress):
            assert list(tmp_path.glob("imgslim-*/*"))
    except (KeyboardInterrupt, SystemExit):
        assert stop
    assert list(tmp_path.iterdir()) == [archive]
    assert "decompressing layers" in steps


PLATFORMS = [
    replace(APP, layers=[{"/amd64": ""}], platform={"os": "linux", "architecture": "amd64"}),
    replace(
        ARM, layers=[{"/v6": ""}], platform={"os": "linux", "architecture": "arm", "variant": "v6"}
    ),
    replace(
        ARM, layers=[{"/v7": ""}], platform={"os": "linux", "architecture": "arm", "variant": "v7"}
    ),
    replace(
        ARM,
        layers=[{"/v8": ""}],
        platform={"os": "linux", "architecture": "arm64", "variant": "v8"},
    ),
]


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(
    ("platform", "path"),
    [
        ("linux/amd64", "/amd64"),
        ("linux/x86_64", "/amd64"),
        ("amd64", "/amd64"),
        ("linux/amd64/v3", "/amd64"),
        ("linux/arm64", "/v8"),
        ("linux/aarch64", "/v8"),
        ("linux/arm64/v8", "/v8"),
        ("linux/arm", "/v7"),
        ("linux/arm/7", "/v7"),
        ("linux/arm/v6", "/v6"),
        ("linux/arm/v8", "/v7"),
    ],
)
def test_a_platform_is_chosen(tmp_path: Path, nested: bool, platform: str, path: str) -> None:
    layout = oci_layout(tmp_path / "o", *PLATFORMS, nested=nested, attested=True)
    with open_image(str(layout), platform=platform) as image:
        assert path in merge_layers(load_layers(image))


def test_the_platform_of_the_host_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "armv7l")
    with open_image(str(oci_layout(tmp_path / "o", *PLATFORMS, nested=True))) as image:
        assert image.platform == Platform("linux", "arm", "v7")


def test_the_only_platform_needs_no_choice(tmp_path: Path) -> None:
    foreign = replace(ARM, platform={"os": "linux", "architecture": "s390x"})
    for number, write in enumerate(
        (
            docker_archive,
            docker25_archive,
            oci_archive,
            partial(oci_archive, attested=True),
            partial(oci_archive, attested=True, nested=True),
        )
    ):
        with open_image(str(write(tmp_path / f"{number}", foreign))) as image:
            assert str(image.platform) == "linux/s390x"


def test_one_of_several_images(tmp_path: Path) -> None:
    other = replace(APP, layers=[{"/other": ""}], tags=["docker.io/library/other:latest"])
    docker = docker_archive(tmp_path / "d.tar", APP, other)
    oci = oci_layout(tmp_path / "o", APP, replace(other, tags=["other:latest"]))
    for location in (
        f"docker-archive:{docker}:other",
        f"docker-archive:{docker}:docker.io/library/other:latest",
        f"docker-archive:{docker}:@1",
        f"oci:{oci}:other",
        f"oci:{oci}:latest",
        f"oci:{oci}:other:latest",
        f"oci:{oci}:@1",
    ):
        with open_image(location) as image:
            assert "/other" in merge_layers(load_layers(image)), location
            assert image.tags == ("other:latest",)
    for location in (str(docker), str(oci)):
        with pytest.raises(ImageNotFoundError, match="holds 2 images") as caught:
            read(location)
        assert "app:1" in caught.value.hint and "other:latest" in caught.value.hint


def test_one_image_of_two_names_is_one(tmp_path: Path) -> None:
    files = oci_files(APP)
    index = json.loads(files["index.json"])
    row = index["manifests"][0]
    index["manifests"].append(
        {**row, "annotations": {"io.containerd.image.name": "docker.io/me/app:2"}}
    )
    files["index.json"] = json.dumps(index).encode()
    with open_image(str(write_folder(tmp_path / "o", files))) as image:
        assert image.tags == ("app:1", "me/app:2")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda p: f"oci:{oci_layout(p / 'o', APP)}", "skopeo copy oci:{p}/o docker-daemon:app:1"),
        (
            lambda p: f"oci:{oci_layout(p / 'o', APP)}:1",
            "skopeo copy oci:{p}/o:1 docker-daemon:app:1",
        ),
        (
            lambda p: str(oci_archive(p / "o", APP)),
            "skopeo copy oci-archive:{p}/o docker-daemon:app:1",
        ),
        (lambda p: str(docker25_archive(p / "o", APP)), "docker load -q -i {p}/o"),
        (
            lambda p: str(docker_archive(p / "o", replace(APP, tags=[]))),
            "docker tag \"$(docker load -q -i {p}/o | sed 's/.*: //')\" imgslim-input:{id}",
        ),
    ],
)
def test_load_command(tmp_path: Path, make: Writer, expected: str) -> None:
    with open_image(make(tmp_path)) as image:
        short = image.image_id[7:19]
        assert image.load_command == expected.replace("{p}", str(tmp_path)).replace("{id}", short)


def test_a_colon_in_a_path(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a:b.tar", APP)
    assert read(f"docker-archive:{path}") == read(f"docker-archive:{path}:app:1") == read(str(path))


# Faults. Each writer returns a location; the error, its type and a part of its line follow.


def edited(files: dict[str, Any], name: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    return {**files, name: json.dumps(change(json.loads(files[name]))).encode()}


def docker_with(p: Path, name: str, change: Callable[[Any], Any]) -> str:
    return str(write_tar(p / "a.tar", edited(docker_files(APP), name, change)))


def config_with(p: Path, **fields: Any) -> str:
    """An archive whose config has other fields, under a name that promises no digest."""
    document = {**json.loads(APP.config_blob), **fields}
    files = docker_files(APP)
    files["config.json"] = json.dumps(document).encode()
    return str(
        write_tar(
            p / "a.tar",
            edited(files, "manifest.json", lambda m: [{**m[0], "Config": "config.json"}]),
        )
    )


def manifest_with(p: Path, change: Callable[[Any], Any]) -> str:
    """An OCI layout whose manifest is changed, and whose index knows the new digest."""
    files = oci_files(APP)
    index = json.loads(files["index.json"])
    row = index["manifests"][0]
    data = json.dumps(change(json.loads(files[blob(row["digest"])]))).encode()
    files[blob(digest_of(data))] = data
    index["manifests"] = [{**row, "digest": digest_of(data), "size": len(data)}]
    return str(write_folder(p / "o", {**files, "index.json": json.dumps(index).encode()}))


def blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def layer_changed(p: Path, pack: str, change: Callable[[bytes], bytes]) -> str:
    files = oci_files(APP, pack=pack)
    name = blob(digest_of(PACKERS[pack](APP.tars[0])))
    return str(write_folder(p / "o", {**files, name: change(files[name])}))


def flipped(data: bytes) -> bytes:
    middle = 600 if len(data) > 2000 else len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def foreign(manifest: Any) -> Any:
    layer = {**manifest["layers"][0], "digest": digest_of(b"x"), "urls": ["https://x.test/l"]}
    return {**manifest, "layers": [layer, *manifest["layers"][1:]]}


FAULTS: dict[str, tuple[Writer, type[ImgslimError], str]] = {
    "an empty file": (lambda p: written(p / "a", b""), ArchiveError, "is empty"),
    "no archive": (lambda p: written(p / "A", b"#!/bin/sh\n" * 99), ArchiveError, "neither a tar"),
    "a missing file": (lambda p: str(p / "a.tar"), ImageNotFoundError, "no file"),
    "a missing oci folder": (lambda p: f"oci:{p}/a", ImageNotFoundError, "no file"),
    "a folder without a layout": (lambda p: str(p), ImageNotFoundError, "oci-layout"),
    "a tar of something else": (
        lambda p: str(write_tar(p / "a", {"x": b"1"})),
        ArchiveError,
        "is no image",
    ),
    "an OCI layout as docker-archive": (
        lambda p: f"docker-archive:{oci_archive(p / 'a', APP)}",
        ArchiveError,
        "docker-archive",
    ),
    "a truncated archive": (
        lambda p: written(p / "b", docker_archive(p / "a", APP).read_bytes()[:9000]),
        ArchiveError,
        "is damaged",
    ),
    "a truncated gzip": (
        lambda p: written(p / "b", gzip.compress(docker_archive(p / "a", APP).read_bytes())[:-20]),
        ArchiveError,
        "too early",
    ),
    "a truncated zstd": (
        lambda p: written(
            p / "b", PACKERS["zstd"](docker_archive(p / "a", APP).read_bytes())[:-20]
        ),
        ArchiveError,
        "too early",
    ),
    "an archive in bzip2": (lambda p: written(p / "b", b"BZh91AY" * 99), ArchiveError, "bzip2"),
    "a layer in xz": (
        lambda p: layer_changed(p, "plain", lambda d: b"\xfd7zXZ\x00".ljust(len(d), b"x")),
        ArchiveError,
        "xz",
    ),
    "a layer of noise": (
        lambda p: layer_changed(p, "plain", lambda d: b"x" * len(d)),
        ArchiveError,
        "neither a tar nor gzip nor zstd",
    ),
    "a truncated layer": (
        lambda p: layer_changed(p, "gzip", lambda d: d[:-30]),
        ArchiveError,
        "its manifest says",
    ),
    "a changed gzip layer": (
        lambda p: layer_changed(p, "gzip", lambda d: d[:-6] + b"\0\0" + d[-4:]),
        ArchiveError,
        "damaged gzip",
    ),
    "a changed zstd layer": (
        lambda p: layer_changed(p, "zstd:chunked", lambda d: d[:20] + b"!" + d[21:]),
        DigestMismatchError,
        "promised",
    ),
    "a layer that is none of the config's": (
        lambda p: config_with(p, rootfs={"diff_ids": [digest_of(b"x")] * 3}) + "|check",
        DigestMismatchError,
        "promised",
    ),
    "a changed plain layer": (
        lambda p: layer_changed(p, "plain", flipped) + "|check",
        DigestMismatchError,
        "promised",
    ),
    "a changed manifest": (
        lambda p: _manifest_changed(p),
        DigestMismatchError,
        "promised",
    ),
    "a changed config": (
        lambda p: docker_with(p, f"{digest_of(APP.config_blob)[7:]}.json", lambda c: {**c, "x": 1}),
        DigestMismatchError,
        "promised",
    ),
    "a missing layer": (
        lambda p: docker_with(p, "manifest.json", lambda m: [{**m[0], "Layers": ["no/layer.tar"]}]),
        ArchiveError,
        "lacks the layer no/layer.tar",
    ),
    "a layer outside of the archive": (
        lambda p: docker_with(
            p, "manifest.json", lambda m: [{**m[0], "Layers": ["../../../../etc/passwd"] * 3}]
        ),
        ArchiveError,
        "lacks the layer",
    ),
    "a digest that is a path": (
        lambda p: manifest_with(
            p, lambda m: {**m, "config": {**m["config"], "digest": "sha256:../../../etc/passwd"}}
        ),
        ArchiveError,
        "no digest",
    ),
    "a missing OCI layer": (
        lambda p: manifest_with(
            p, lambda m: {**m, "layers": [{"digest": digest_of(b"x")}, *m["layers"][1:]]}
        ),
        ArchiveError,
        "lacks the layer",
    ),
    "a foreign layer": (lambda p: manifest_with(p, foreign), ArchiveError, "https://x.test/l only"),
    "an encrypted layer": (
        lambda p: manifest_with(
            p,
            lambda m: {
                **m,
                "layers": [{**row, "mediaType": "x+encrypted"} for row in m["layers"]],
            },
        ),
        UnsupportedImageError,
        "encrypted",
    ),
    "an artifact": (
        lambda p: manifest_with(
            p, lambda m: {**m, "config": {**m["config"], "mediaType": "application/vnd.helm"}}
        ),
        UnsupportedImageError,
        "no container image",
    ),
    "an unknown manifest": (
        lambda p: manifest_with(p, lambda m: {"mediaType": "application/vnd.x", "layers": []}),
        UnsupportedImageError,
        "application/vnd.x",
    ),
    "more layers than the config says": (
        lambda p: docker_with(
            p, "manifest.json", lambda m: [{**m[0], "Layers": m[0]["Layers"][:1] * 4}]
        ),
        ArchiveError,
        "promises 3 layers, the manifest names 4",
    ),
    "a Windows image": (lambda p: config_with(p, os="windows"), UnsupportedImageError, "Windows"),
    "a config without layers": (lambda p: config_with(p, rootfs={}), ArchiveError, "diff_ids"),
    "Env as text": (lambda p: config_with(p, config={"Env": "A=b"}), ArchiveError, "Env in config"),
    "Cmd of numbers": (lambda p: config_with(p, config={"Cmd": [1]}), ArchiveError, "Cmd in"),
    "Labels as list": (lambda p: config_with(p, config={"Labels": []}), ArchiveError, "Labels"),
    "User as number": (lambda p: config_with(p, config={"User": 7}), ArchiveError, "User in"),
    "a health check of texts": (
        lambda p: config_with(p, config={"Healthcheck": {"Interval": "30s"}}),
        ArchiveError,
        "Interval in Healthcheck",
    ),
    "history of texts": (lambda p: config_with(p, history=["x"]), ArchiveError, "history"),
    "a list for a manifest": (
        lambda p: docker_with(p, "manifest.json", lambda m: m[0]),
        ArchiveError,
        "manifest.json",
    ),
    "no image in the archive": (
        lambda p: docker_with(p, "manifest.json", lambda m: []),
        ImageNotFoundError,
        "no image",
    ),
    "broken JSON": (
        lambda p: str(write_tar(p / "a", {"manifest.json": b"[" * 100_000})),
        ArchiveError,
        "not JSON",
    ),
    "JSON that is no text": (
        lambda p: str(write_tar(p / "a", {"manifest.json": b"\xff\xfe\x00"})),
        ArchiveError,
        "not JSON",
    ),
    "a save of Docker before 1.10": (
        lambda p: str(write_tar(p / "a", {"repositories": b"{}", "x/layer.tar": b""})),
        UnsupportedImageError,
        "older than 1.10",
    ),
    "no such reference": (
        lambda p: f"docker-archive:{docker_archive(p / 'a', APP)}:nope",
        ImageNotFoundError,
        "no image nope",
    ),
    "no such OCI reference": (
        lambda p: f"oci:{oci_layout(p / 'o', APP)}:nope",
        ImageNotFoundError,
        "no image nope",
    ),
    "a platform that is not there": (
        lambda p: f"{oci_layout(p / 'o', *PLATFORMS)}|linux/s390x",
        ImageNotFoundError,
        "not there for linux/s390x",
    ),
    "a platform that the archive is not for": (
        lambda p: f"{docker_archive(p / 'a', APP)}|linux/arm64",
        ImageNotFoundError,
        "not for linux/arm64",
    ),
    "no platform": (lambda p: f"{docker_archive(p / 'a', APP)}|potato", UsageError, "no platform"),
    "a registry": (lambda p: "docker://python:3.11", UsageError, "does not read docker:"),
    "no name": (lambda p: "", UsageError, "empty"),
    "no image's name": (lambda p: "Not A Name", UsageError, "neither a file nor"),
    "a bad daemon reference": (lambda p: "docker-daemon:UPPER", UsageError, "no image's name"),
    "an index in a circle is cut": (lambda p: _deep_index(p), ArchiveError, "too deep"),
}


def _manifest_changed(p: Path) -> str:
    files = oci_files(APP)
    digest = json.loads(files["index.json"])["manifests"][0]["digest"]
    return str(write_folder(p / "o", {**files, blob(digest): files[blob(digest)] + b" "}))


def _deep_index(p: Path) -> str:
    files = oci_files(APP)
    rows = json.loads(files["index.json"])["manifests"]
    for _ in range(12):
        data = json.dumps({"manifests": rows}).encode()
        files[blob(digest_of(data))] = data
        rows = [{"digest": digest_of(data), "size": len(data)}]
    index = json.dumps({"manifests": rows}).encode()
    return str(write_folder(p / "o", {**files, "index.json": index}))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_with_a_hint(tmp_path: Path, name: str) -> None:
    make, kind, message = FAULTS[name]
    location, _, option = make(tmp_path).partition("|")
    options: dict[str, Any] = {}
    if option:
        options = {"check_digests": True} if option == "check" else {"platform": option}
    with pytest.raises(kind) as caught:
        read(location, **options)
    assert type(caught.value) is kind
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.hint


def test_the_platforms_that_are_there_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundError) as caught:
        read(str(oci_layout(tmp_path / "o", *PLATFORMS, attested=True)), platform="linux/s390x")
    assert "linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64" in caught.value.hint


def test_digests_of_plain_layers_are_checked_on_demand_only(tmp_path: Path) -> None:
    location = layer_changed(tmp_path, "plain", flipped)
    assert read(location)


def test_a_changed_layer_on_standard_input_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = docker_files(APP)
    name = next(name for name in files if name.endswith("layer.tar"))
    data = write_tar(tmp_path / "a", {**files, name: flipped(files[name])}).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(DigestMismatchError):
        read("-")


@pytest.mark.parametrize(("data", "message"), [(b"", "empty"), (b"x" * 2000, "neither a tar")])
def test_standard_input_that_is_no_archive(
    monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(ArchiveError, match=message):
        read("-")


def test_too_little_space_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(workspace.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match="too small") as caught:
        read(str(oci_archive(tmp_path / "a", APP, pack="gzip")))
    assert "TMPDIR" in caught.value.hint


def test_a_disk_that_fills_up_midway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.open

    def full(self: Path, *args: Any, **options: Any) -> Any:
        if self.name.startswith("spool-"):
            return original(Path("/dev/full"), "wb", buffering=0)
        return original(self, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match="full after 0 bytes") as caught:
        read(str(oci_archive(tmp_path / "a", APP, pack="gzip")))
    cause = caught.value.__cause__
    assert isinstance(cause, OSError) and cause.errno == errno.ENOSPC


def test_a_folder_that_may_not_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a", APP)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match="no temporary folder"):
        read(str(path))


def test_a_sparse_or_linked_outer_member_is_no_blob(tmp_path: Path) -> None:
    files = docker_files(APP)
    name = next(name for name in files if name.endswith("layer.tar"))
    loop = {**files, name: (tarfile.SYMTYPE, "layer.tar")}
    with pytest.raises(ArchiveError, match="lacks the layer"):
        read(str(write_tar(tmp_path / "a", loop)))


def test_layers_of_one_content_are_unpacked_once(tmp_path: Path) -> None:
    with open_image(str(oci_archive(tmp_path / "a", APP, pack="gzip"))) as image:
        paths = [blob.tar_path for blob in image.layers]
    assert paths[0] == paths[2] != paths[1]


def test_an_image_without_layers(tmp_path: Path) -> None:
    assert read(str(docker_archive(tmp_path / "a", Made(layers=[]))))
    assert tar_bytes({})


def test_platforms_that_an_engine_did_not_save_are_not_offered(tmp_path: Path) -> None:
    files = oci_files(*PLATFORMS, nested=True)
    with open_image(str(write_folder(tmp_path / "whole", files)), platform="arm64") as image:
        config = image.image_id
    kept = {
        name: data
        for name, data in files.items()
        if b'"config"' not in data or config.encode() in data or b'"os"' in data
    }
    with open_image(str(write_folder(tmp_path / "part", kept))) as image:
        assert image.platform == Platform("linux", "arm64")
