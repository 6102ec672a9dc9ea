"""The slim archive upon another image: its layers as they are, and over them what it lacks."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgslim.cli.app import run
from imgslim.errors import ArchiveError, VerificationError
from imgslim.layers import load_layers
from imgslim.pipeline import analyze, expect_on_base, open_base, open_world, overlay_on
from imgslim.provenance_labels import BASE_DIGEST, BASE_NAME
from imgslim.sources import open_image
from imgslim.verify.digests import digests_of_keeps
from imgslim.verify.expected import expected_of
from imgslim.verify.over import over
from tests.archives import Made, digest_of, docker_archive, oci_archive, oci_layout
from tests.elves import elf
from tests.slim_archives import Files
from tests.worlds import MTIME, Dir, File, Link, Tree

LATER = MTIME + 5
CONFIG: dict[str, Any] = {
    "Entrypoint": ["/app/main"],
    "Env": ["PATH=/bin", "LANG=C", "TWO=a\nb"],
    "Labels": {"of": "the fat one"},
    "ExposedPorts": {"80/tcp": {}},
    "Hostname": "h",
}
THEIRS: dict[str, Any] = {
    "Entrypoint": ["/bin/sh"],
    "Cmd": ["-c"],
    "Env": ["OWN=1", "PATH=/usr/bin:/bin"],
    "Labels": {"of": "the base", "vendor": "someone"},
    "ExposedPorts": {"53/udp": {}},
    "Volumes": {"/data": {}},
    "User": "nobody",
    "WorkingDir": "/tmp",
    "StopSignal": "SIGINT",
    "Shell": ["/bin/bash"],
    "Healthcheck": {"Test": ["CMD", "x"], "Interval": 9},
    "OnBuild": ["RUN x"],
}
SYSTEM: Tree = {
    "/bin": Dir(),
    "/bin/sh": File(elf(), mode=0o755),
    "/etc": Dir(),
    "/etc/passwd": "root:x:0:0::/:/bin/sh\n",
}
APP: Tree = {
    "/app": Dir(mode=0o750, uid=7),
    "/app/main": File("#!/bin/sh\nexec /bin/sh /app/lib/*\n", mode=0o755),
    "/app/lib": Dir(),
    "/app/lib/file": "a file here",
    "/app/lib/link": Link("file"),
    "/app/lib/one": "one file",
    "/app/lib/two": File(hard_link="/app/lib/one"),
    "/app/lib/same": "the same",
    "/app/lib/big": File(b"0123456789abcdef" * 4096),
}
BASE: list[Tree | bytes] = [
    {**SYSTEM, "/bin/sh": File(elf(), mode=0o755, mtime=LATER), "/etc/gone": "", "/etc/own": "x"},
    {
        "/etc/.wh.gone": "",
        "/app": Dir(),
        "/app/lib": Dir(mtime=LATER),
        "/app/lib/file": Link("/etc/passwd"),
        "/app/lib/link": "a file there",
        "/app/lib/one": "one file",
        "/app/lib/two": "one file",
        "/app/lib/same": File("the same", mtime=LATER),
        "/app/lib/big": File(b"0123456789abcdef" * 4096, mtime=LATER),
        "/app/lib/theirs": "stays",
    },
]
HISTORY = [
    {"created": "2020-01-01T00:00:00Z", "created_by": "ADD x"},
    {"created_by": "ENV OWN=1", "empty_layer": True},
    {"created_by": "RUN y", "author": "me"},
]

Writer = Callable[[Path, Made], Path]


def fat_of(folder: Path, config: dict[str, Any] | None = None) -> Path:
    made = Made([SYSTEM, APP], CONFIG if config is None else config, ["shop:1"])
    return docker_archive(folder / "fat.tar", made)


def base_of(folder: Path, **changes: Any) -> Path:
    facts = {"layers": BASE, "config": THEIRS, "tags": ["reg.example/debian:1"], **changes}
    return docker_archive(folder / "base.tar", Made(history=HISTORY, **facts))


def rewritten(folder: Path, *options: str, name: str = "slim.tar") -> Path:
    target = folder / name
    command = ["rewrite", str(folder / "fat.tar"), "-q", "--base", str(folder / "base.tar")]
    assert run([*command, "-o", str(target), *options]) == 0
    return target


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("pack", ["plain", "gzip"])
@pytest.mark.parametrize("writer", [docker_archive, oci_archive, oci_layout])
def test_the_bases_layers_come_first_as_they_are(
    tmp_path: Path, writer: Callable[..., Path], pack: str, compress: str
) -> None:
    fat_of(tmp_path)
    made = Made(BASE, THEIRS, ["reg.example/debian:1"], history=HISTORY)
    writer(tmp_path / "base.tar", made, pack=pack)
    slim = rewritten(tmp_path, "--compress", compress)
    with open_world(str(slim), check_digests=True) as found:
        diff_ids = [layer.blob.diff_id for layer in found.layers]
    assert diff_ids[:2] == [digest_of(tar) for tar in made.tars]
    assert len(diff_ids) > 2
    if compress == "none":
        files = Files.of(slim.read_bytes())
        assert files.layers[:2] == made.tars
        names = [f"blobs/{one.replace(':', '/')}" for one in diff_ids]
        assert files.json("manifest.json")[0]["Layers"] == names


def test_over_them_is_only_what_the_base_lacks(tmp_path: Path) -> None:
    fat_of(tmp_path), base_of(tmp_path)
    with open_world(str(rewritten(tmp_path))) as found:
        ours = [entry for layer in found.layers[2:] for entry in layer.entries]
        tree = found.world.rootfs
        assert all(not layer.whiteouts for layer in found.layers[2:])
        one, two = tree.entries["/app/lib/one"], tree.entries["/app/lib/two"]
        assert one.inode == two.inode and tree.read_bytes(one) == b"one file"
        assert tree.read_bytes(tree.entries["/app/lib/file"]) == b"a file here"
        assert tree.entries["/app/lib/link"].link_target == "file"
        assert tree.read_bytes(tree.entries["/app/lib/theirs"]) == b"stays"
        assert "/etc/gone" not in tree.entries and "/etc/own" in tree.entries
        assert (tree.entries["/app"].mode, tree.entries["/app"].uid) == (0o750, 7)
        assert tree.entries["/app/lib/same"].mtime == LATER
    named = {entry.path for entry in ours if not entry.is_directory}
    expected = {"/app/main", *(f"/app/lib/{name}" for name in ("file", "link", "one", "two"))}
    assert named == expected


def test_it_is_the_base_and_the_bytes_that_are_not_in_it(tmp_path: Path) -> None:
    """Within 2 %, counted from the trees alone."""
    fat_of(tmp_path), base_of(tmp_path)
    slim = rewritten(tmp_path)
    with analyze(str(tmp_path / "fat.tar")) as fat, open_base(str(tmp_path / "base.tar")) as base:
        other = base.rootfs
        missing = 0
        for keep in fat.plan.keeps:
            entry, there = keep.entry, other.get(keep.entry.path)
            data = fat.world.rootfs.read_bytes(entry) if entry.is_file else b""
            if not (there and there.is_file and other.read_bytes(there) == data):
                missing += len(data)
        assert missing < fat.plan.slim_size_bytes / 10
        limit = 1.02 * (base.size_bytes + missing)
    with open_image(str(slim)) as image:
        assert sum(layer.size_bytes for layer in load_layers(image)) <= limit


def test_the_config_is_what_a_build_upon_the_base_leaves(tmp_path: Path) -> None:
    fat_of(tmp_path), base_of(tmp_path)
    files = Files.of(rewritten(tmp_path).read_bytes())
    config = files.config["config"]
    labels = config.pop("Labels")
    assert config == {
        "Entrypoint": ["/app/main"],
        "Env": ["OWN=1", "PATH=/bin", "LANG=C", "TWO=a\nb"],
        "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
        "Volumes": {"/data": {}},
        "Hostname": "h",
        "Cmd": [],
        "User": "0",
        "WorkingDir": "/",
        "StopSignal": "SIGTERM",
        "Shell": ["/bin/sh", "-c"],
        "Healthcheck": {"Test": ["NONE"]},
    }
    with open_image(str(tmp_path / "base.tar")) as base:
        digest = base.manifest_digest or base.image_id
    assert labels == {
        "of": "the fat one",
        "vendor": "someone",
        BASE_NAME: "reg.example/debian:1",
        BASE_DIGEST: digest,
    }
    assert files.manifest["annotations"] == {
        name: labels[name] for name in (BASE_DIGEST, BASE_NAME)
    }


@pytest.mark.parametrize(
    "history, below",
    [
        (HISTORY, HISTORY),
        (None, ["a layer of b:1", "a layer of b:1"]),
        ([], ["a layer of", "a layer of"]),
        (HISTORY[:1], ["a layer of", "a layer of"]),
    ],
)
def test_history_and_layers_fit(
    tmp_path: Path, history: list[dict[str, Any]] | None, below: list[Any]
) -> None:
    fat_of(tmp_path)
    docker_archive(tmp_path / "base.tar", Made(BASE, THEIRS, ["b:1"], history=history))
    config = Files.of(rewritten(tmp_path).read_bytes()).config
    rows = config["history"]
    assert sum(not row.get("empty_layer") for row in rows) == len(config["rootfs"]["diff_ids"])
    for row, wanted in zip(rows, below, strict=False):
        assert row == wanted if isinstance(wanted, dict) else wanted in row["created_by"]
    assert all(row["created_by"].startswith("imgslim: ") for row in rows[len(below) :])


def test_a_layer_that_is_there_twice_is_written_once(tmp_path: Path) -> None:
    fat_of(tmp_path)
    made = Made([BASE[0], {"/x": "x"}, {"/x": "x"}], THEIRS, ["b:1"])
    docker_archive(tmp_path / "base.tar", made)
    slim = rewritten(tmp_path)
    with open_world(str(slim), check_digests=True) as found:
        ids = [layer.blob.diff_id for layer in found.layers]
    assert ids[:3] == [digest_of(tar) for tar in made.tars] and ids[1] == ids[2]
    with tarfile.open(slim) as archive:
        names = archive.getnames()
    assert len(names) == len(set(names))


def test_it_is_the_same_in_every_run(tmp_path: Path) -> None:
    fat_of(tmp_path), base_of(tmp_path)
    first, second = (rewritten(tmp_path, name=f"{n}.tar").read_bytes() for n in "12")
    assert first == second


def test_a_base_that_is_not_what_it_says_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fat_of(tmp_path)
    data = base_of(tmp_path).read_bytes()
    (tmp_path / "base.tar").write_bytes(data.replace(b"stays", b"STAYS"))
    command = ["rewrite", str(tmp_path / "fat.tar"), "-q", "--base", str(tmp_path / "base.tar")]
    target = tmp_path / "slim.tar"
    assert run([*command, "-o", str(target)]) == ArchiveError.exit_code
    assert "of the base is damaged" in capsys.readouterr().err
    assert not target.exists()


def test_what_is_inherited_is_said_and_no_trigger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fat, base = fat_of(tmp_path), base_of(tmp_path)
    target = tmp_path / "slim.tar"
    assert run(["rewrite", str(fat), "--base", str(base), "-o", str(target), "-v"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "the variable OWN comes with the base" in said and "ONBUILD" not in said
    assert "all of " in said and "2 layers" in said


@pytest.mark.parametrize("config", [CONFIG, THEIRS])
def test_verify_takes_the_archive_with_its_base_and_not_without(
    tmp_path: Path, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fat = fat_of(tmp_path, {**config, "Entrypoint": ["/app/main"]})
    base, plan = base_of(tmp_path), tmp_path / "plan.json"
    assert run(["analyze", str(fat), "-q", "--format", "json", "-o", str(plan)]) == 0
    slim = rewritten(tmp_path)
    command = ["verify", str(slim), "--plan", str(plan), "--format", "json"]
    capsys.readouterr()
    assert run([*command, "--base", str(base)]) == 0
    document = json.loads(capsys.readouterr().out)
    codes = {row["code"] for row in document["verification"]["allowed"]}
    assert codes <= {"base-config", "base-label"}
    assert run(command) == VerificationError.exit_code


def test_verify_finds_what_another_base_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fat, _, plan = fat_of(tmp_path), base_of(tmp_path), tmp_path / "plan.json"
    assert run(["analyze", str(fat), "-q", "--format", "json", "-o", str(plan)]) == 0
    slim = rewritten(tmp_path)
    other = docker_archive(tmp_path / "other.tar", Made(BASE[1:], THEIRS, ["other:1"]))
    command = ["verify", str(slim), "--plan", str(plan), "--base", str(other), "-q"]
    assert run(command) == VerificationError.exit_code
    said = capsys.readouterr().out
    assert "/etc/own" in said and "/app/lib/theirs" not in said


def test_a_plan_of_a_file_expects_what_the_analysis_does(tmp_path: Path) -> None:
    fat_of(tmp_path), base_of(tmp_path)
    with analyze(str(tmp_path / "fat.tar")) as fat, open_base(str(tmp_path / "base.tar")) as base:
        wanted = expect_on_base(fat, overlay_on(fat, base))
        digests = digests_of_keeps(fat.world.rootfs, fat.plan.keeps)
        found = over(expected_of(fat.image, fat.plan, digests), base.image, base.rootfs)
    assert found.paths == wanted.paths and found.base == wanted.base
