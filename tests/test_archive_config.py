"""What an archive says of its image: the fat one's config in every field, names, dates, labels."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgslim.archive import check_name, slim_name
from imgslim.cli.app import run
from imgslim.errors import UsageError
from imgslim.pipeline import analyze, open_world
from imgslim.provenance_labels import BASE_DIGEST, BASE_NAME, provenance_labels
from tests.archives import Made, docker_archive, oci_archive
from tests.slim_archives import APP, CONFIG, Files, archived, both, fat_image, with_content
from tests.worlds import MTIME, make_image

FULL_CONFIG: dict[str, Any] = {
    "Entrypoint": ["/app/main", "a\nb"],
    "Cmd": [],
    "Env": ["PATH=/bin", "TWO=a\nb", "BARE", "LD_LIBRARY_PATH="],
    "User": "1000:staff",
    "WorkingDir": "/app",
    "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    "Volumes": {"/data": {}},
    "StopSignal": "SIGQUIT",
    "Healthcheck": {"Test": ["CMD", "/bin/sh"], "Interval": 1, "StartInterval": 7, "Retries": 2},
    "Shell": ["/bin/sh", "-ec"],
    "OnBuild": ["RUN a\\\n b"],
    "ArgsEscaped": True,
    "NetworkDisabled": True,
    "Hostname": "h",
    "StopTimeout": 12,
}


def test_the_config_is_the_fat_images_in_every_field(tmp_path: Path) -> None:
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "6"}
    labels = {"kept": "yes", "line": "a\nb"}
    made = Made(
        layers=[APP],
        config={**FULL_CONFIG, "Labels": labels},
        tags=["shop:1"],
        platform={**platform, "author": "me", "created": "2020-02-02T02:02:02Z", "container": "x"},
    )
    fat = docker_archive(tmp_path / "fat.tar", made)
    target = tmp_path / "slim.tar"
    assert run(["rewrite", str(fat), "-q", "-o", str(target)]) == 0
    files = Files.of(target.read_bytes())
    config = files.config
    found = config["config"].pop("Labels")
    assert config.pop("config") == FULL_CONFIG
    assert found.items() >= labels.items() and set(found) - set(labels) == {BASE_NAME, BASE_DIGEST}
    assert [hashlib.sha256(layer).hexdigest() for layer in files.layers] == [
        digest.removeprefix("sha256:") for digest in config.pop("rootfs")["diff_ids"]
    ]
    history = config.pop("history")
    assert len(history) == len(files.layers)
    assert {row["created"] for row in history} == {"2020-02-02T02:02:02Z"}
    assert config == {**platform, "author": "me", "created": "2020-02-02T02:02:02Z"}
    (row,) = files.json("index.json")["manifests"]
    assert row["platform"] == platform
    assert files.manifest["annotations"] == {name: found[name] for name in (BASE_DIGEST, BASE_NAME)}


def test_an_image_without_a_date_stays_without(tmp_path: Path) -> None:
    with both(tmp_path) as (_, slim):
        config = Files.of(slim.read_bytes()).config
    assert "created" not in config and "created" not in config["history"][0]


DIGEST = "sha256:" + "d" * 64


@pytest.mark.parametrize(
    "changes, name, digest",
    [
        ({}, "docker.io/library/test:latest", "image_id"),
        ({"tags": ("me/app:2",)}, "docker.io/me/app:2", "image_id"),
        ({"tags": ("localhost/a",)}, "localhost/a:latest", "image_id"),
        ({"tags": ("reg.example:5000/a/b:c",)}, "reg.example:5000/a/b:c", "image_id"),
        ({"tags": ()}, None, "image_id"),
        ({"manifest_digest": DIGEST}, "docker.io/library/test:latest", DIGEST),
        (
            {"repo_digests": (f"other@sha256:{'e' * 64}", f"test@{DIGEST}")},
            "docker.io/library/test:latest",
            DIGEST,
        ),
        (
            {"tags": (), "repo_digests": (f"me/a@{DIGEST}",)},
            f"docker.io/me/a@{DIGEST}",
            DIGEST,
        ),
    ],
)
def test_the_labels_name_the_fat_image_in_full(
    tmp_path: Path, changes: dict[str, Any], name: str | None, digest: str
) -> None:
    image = replace(make_image(tmp_path, [APP]), **changes)
    found = dict(provenance_labels(image))
    assert found.get(BASE_NAME) == name
    assert found[BASE_DIGEST] == (image.image_id if digest == "image_id" else digest)


@pytest.mark.parametrize("label", [BASE_NAME, BASE_DIGEST])
def test_a_users_own_label_wins(tmp_path: Path, label: str) -> None:
    labels = {label: "the user's", "other": "x"}
    made = Made(layers=[APP], config={**CONFIG, "Labels": labels}, tags=["shop:1"])
    with analyze(str(docker_archive(tmp_path / "fat.tar", made))) as fat:
        archived(fat, tmp_path / "slim.tar")
    files = Files.of((tmp_path / "slim.tar").read_bytes())
    assert files.config["config"]["Labels"] == labels
    assert files.manifest["annotations"] == {label: "the user's"}


def test_both_layouts_name_the_same_image_and_blobs(tmp_path: Path) -> None:
    fat, slim = fat_image(tmp_path), tmp_path / "slim.tar"
    assert run(["rewrite", str(fat), "-q", "-o", str(slim), "-t", "reg.example/shop:2"]) == 0
    files = Files.of(slim.read_bytes())
    (record,), (row,) = files.json("manifest.json"), files.json("index.json")["manifests"]
    assert record["RepoTags"] == ["reg.example/shop:2"]
    assert row["annotations"] == {
        "io.containerd.image.name": "reg.example/shop:2",
        "org.opencontainers.image.ref.name": "2",
    }
    assert json.loads(files.members[record["Config"]]) == files.config
    assert [files.members[name] for name in record["Layers"]] == files.layers
    top = record["Layers"][-1].rpartition("/")[2]
    assert files.json("repositories") == {"reg.example/shop": {"2": top}}
    for name, data in files.members.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    for location in (f"docker-archive:{slim}", f"oci-archive:{slim}"):
        with open_world(location, check_digests=True) as found:
            assert found.image.tags == ("reg.example/shop:2",)


@pytest.mark.parametrize(
    "tags, name",
    [
        (("shop:1",), "shop:slim"),
        (("docker.io/library/shop:1",), "shop:slim"),
        (("reg.example:5000/shop",), "reg.example:5000/shop:slim"),
        ((), None),
    ],
)
def test_without_a_name_of_its_own_it_is_the_slim_one(
    tmp_path: Path, tags: tuple[str, ...], name: str | None
) -> None:
    assert slim_name(replace(make_image(tmp_path, [APP]), tags=tags)) == name


def test_an_image_without_a_name_gives_an_archive_without(tmp_path: Path) -> None:
    fat, slim = fat_image(tmp_path, tags=()), tmp_path / "slim.tar"
    assert run(["rewrite", str(fat), "-q", "-o", str(slim)]) == 0
    files = Files.of(slim.read_bytes())
    assert files.json("manifest.json")[0]["RepoTags"] is None
    assert "repositories" not in files.members
    assert run(["analyze", str(slim), "-q", "-o", os.devnull, "--force"]) == 0


def test_a_name_that_no_engine_takes_is_refused(tmp_path: Path) -> None:
    for name in ("Shop", "a b", f"a@{DIGEST}", "a:", "f" * 64):
        with pytest.raises(UsageError):
            check_name(name)
    assert check_name("shop") == "shop:latest"
    with pytest.raises(UsageError, match="own name"):
        slim_name(replace(make_image(tmp_path, [APP]), reference="x", tags=("a:slim",)))


@pytest.mark.parametrize("epoch", [None, 1_234_567_890])
def test_source_date_epoch_dates_what_imgslim_makes_and_nothing_else(
    tmp_path: Path, epoch: int | None
) -> None:
    with analyze(str(fat_image(tmp_path))) as fat:
        changed = replace(fat, plan=with_content(fat, "/etc/passwd", b"cut to what is kept\n"))
        archived(changed, tmp_path / "slim.tar", epoch=epoch)
    data = (tmp_path / "slim.tar").read_bytes()
    config = Files.of(data).config
    dates = {config.get("created"), *(row.get("created") for row in config["history"])}
    assert dates == {None if epoch is None else "2009-02-13T23:31:30Z"}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {member.mtime for member in archive} == {epoch or 0}
    with open_world(str(tmp_path / "slim.tar")) as found:
        tree = found.world.rootfs
        assert tree.read_text("/etc/passwd") == "cut to what is kept\n"
        assert tree.entries["/etc/passwd"].mtime == MTIME
        assert tree.entries["/app/main"].mtime == MTIME


def test_source_date_epoch_has_to_be_a_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fat, slim = fat_image(tmp_path), tmp_path / "slim.tar"
    for wrong in ("yesterday", "-1", "1.5", "9" * 14):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        assert run(["rewrite", str(fat), "-q", "-o", str(slim)]) == 2
        assert wrong in capsys.readouterr().err
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert run(["rewrite", str(fat), "-q", "-o", str(slim)]) == 0
    assert Files.of(slim.read_bytes()).config["created"] == "1970-01-02T00:00:00Z"


def test_an_oci_layouts_own_digest_is_named(tmp_path: Path) -> None:
    made = Made(layers=[APP], config=CONFIG, tags=["shop:1"])
    path = oci_archive(tmp_path / "fat.tar", made)
    (row,) = Files.of(path.read_bytes()).json("index.json")["manifests"]
    with open_world(str(path)) as found:
        assert dict(provenance_labels(found.image))[BASE_DIGEST] == row["digest"]
