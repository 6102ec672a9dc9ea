"""``imgslim rewrite`` to an archive: where it goes, how it is packed, what is said and stripped."""

from __future__ import annotations

import gzip
import hashlib
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard

from imgslim.cli.app import run
from imgslim.errors import OutputError
from imgslim.output import open_output
from imgslim.pipeline import open_world
from imgslim.sources.platforms import host_platform
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.slim_archives import APP, CONFIG, Files, fat_image
from tests.test_strip import MAIN, changed_by, compiled
from tests.test_torture_build import torture_tar
from tests.worlds import MTIME, Dir, File, Link, Tree

UNPACK = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "none": lambda data: data,
}


@pytest.mark.parametrize("compress", UNPACK)
def test_layers_are_compressed_as_asked_and_stay_the_same_inside(
    tmp_path: Path, compress: str
) -> None:
    fat, slim = fat_image(tmp_path, {**APP, "/app/big": "text " * 400_000}), tmp_path / "slim.tar"
    assert run(["rewrite", str(fat), "-q", "-o", str(slim), "--compress", compress]) == 0
    files = Files.of(slim.read_bytes())
    suffix = "" if compress == "none" else f"+{compress}"
    assert {row["mediaType"] for row in files.manifest["layers"]} == {
        f"application/vnd.oci.image.layer.v1.tar{suffix}"
    }
    plain = [UNPACK[compress](layer) for layer in files.layers]
    assert [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in plain] == files.config["rootfs"][
        "diff_ids"
    ]
    assert (len(slim.read_bytes()) < 100_000) == (compress != "none")
    if compress == "gzip":
        assert all(layer[3] == 0 and layer[4:8] == bytes(4) for layer in files.layers)
    with open_world(str(slim), check_digests=True) as found:
        assert found.world.rootfs.entries["/app/big"].size_bytes == 2_000_000


@pytest.mark.parametrize(
    "name, magic",
    [("s.tar.gz", b"\x1f\x8b"), ("s.tgz", b"\x1f\x8b"), ("s.tar.zst", b"\x28\xb5\x2f\xfd")],
)
def test_the_whole_is_compressed_as_the_name_says(tmp_path: Path, name: str, magic: bytes) -> None:
    fat, slim = fat_image(tmp_path), tmp_path / name
    assert run(["rewrite", str(fat), "-q", "-o", str(slim)]) == 0
    assert run(["rewrite", str(fat), "-q", "-o", str(tmp_path / "plain.tar")]) == 0
    packed = slim.read_bytes()
    assert packed.startswith(magic)
    unpacked = UNPACK["gzip" if magic == b"\x1f\x8b" else "zstd"](packed)
    assert unpacked == (tmp_path / "plain.tar").read_bytes()


def imgslim(
    *arguments: str | Path, env: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "imgslim", *map(str, arguments)],
        env={**os.environ, **(env or {})},
        capture_output="stdout" not in options,
        check=False,
        timeout=120,
        **options,
    )


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_it_is_the_same_in_every_run_and_place(tmp_path: Path, compress: str) -> None:
    archives = []
    for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo")):
        folder = tmp_path / seed
        folder.mkdir()
        fat = fat_image(folder, APP, torture_tar())
        env = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C" if seed == "1" else "C.UTF-8"}
        options = ("-q", "--archive", "--compress", compress)
        archives.append(imgslim("rewrite", fat, *options, env=env, cwd=folder).stdout)
    assert archives[0] == archives[1] != b""
    assert Files.of(archives[0]).json("oci-layout")


def test_it_is_never_over_another_file_and_never_half_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fat, slim = fat_image(tmp_path), tmp_path / "slim.tar"
    slim.write_text("mine")
    assert run(["rewrite", str(fat), "-q", "-o", str(slim)]) == OutputError.exit_code
    assert slim.read_text() == "mine"
    assert run(["rewrite", str(fat), "-q", "-o", str(slim), "--force"]) == 0
    assert Files.of(slim.read_bytes()).layers
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt), open_output(str(slim), force=True) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    with pytest.raises(OutputError), open_output(str(tmp_path / "new.tar"), force=False) as file:
        file.write(b"half")
        raise OSError(28, "No space left on device")
    assert sorted(tmp_path.iterdir()) == before
    assert Files.of(slim.read_bytes()).layers


def test_a_terminal_gets_no_archive_and_a_pipe_does(tmp_path: Path) -> None:
    fat = fat_image(tmp_path)
    screen, terminal = pty.openpty()
    try:
        said = imgslim("rewrite", fat, "-q", "--archive", stdout=terminal, stderr=subprocess.PIPE)
    finally:
        os.close(terminal)
        os.close(screen)
    assert said.returncode == 2 and b"terminal" in said.stderr
    piped = imgslim("rewrite", fat, "-q", "--archive").stdout
    assert Files.of(piped).json("manifest.json")[0]["RepoTags"] == ["shop:slim"]
    fifo = tmp_path / "pipe.tar"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
        assert imgslim("rewrite", fat, "-q", "-o", fifo).returncode == 0
        assert reader.stdout is not None and reader.stdout.read() == piped


@pytest.mark.parametrize(
    "words, said",
    [
        (["-o", "x.tar", "--build", "-t", "a:b"], "--build"),
        (["-o", "x.tar", "--source", "Dockerfile"], "--source"),
        (["-o", "Dockerfile.slim", "--compress", "gzip"], "--compress"),
        (["-o", "Dockerfile.slim", "-t", "a:b"], "-t"),
        (["-o", "x.tar", "-t", "A"], "A can be no image's name"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rewrite", str(fat_image(tmp_path)), "-q", *words]) == 2
    assert said in capsys.readouterr().err


def test_what_no_dockerfile_can_say_is_no_matter_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a shell and tools in the image, with an odd name and an ENV of two lines."""
    tree: Tree = {
        "/app/main": File(elf(static=True), mode=0o755),
        "/app/new\nline": Link("main"),
        "/app/own": Dir(0o700, 7, 7),
    }
    made = Made(layers=[tree], config={**CONFIG, "Env": ["A=b\nc"]}, tags=["shop:1"])
    fat = docker_archive(tmp_path / "fat.tar", made)
    assert run(["rewrite", str(fat), "-o", str(tmp_path / "slim.tar")]) == 0
    words = capsys.readouterr().err
    assert "Dockerfile" not in words
    assert "shop:slim" in words and "docker load -i" in words
    with open_world(str(tmp_path / "slim.tar")) as found:
        assert found.image.config.env_value("A") == "b\nc"
        assert found.world.rootfs.entries["/app/own"].uid == 7


needs_gcc = pytest.mark.skipif(
    shutil.which("gcc") is None or shutil.which("strip") is None,
    reason="no gcc and strip: apt-get install gcc libc6-dev binutils enables this",
)


def fat_with_debug_sections(folder: Path) -> tuple[Path, bytes]:
    """A fat image of one static program, without a strip of its own, and that program."""
    program = compiled("-g", "-static", source=MAIN)
    platform = {"os": "linux", "architecture": host_platform().architecture}
    tree: Tree = {"/app/main": File(program, mode=0o755, mtime=MTIME - 5)}
    made = Made(layers=[tree], config=CONFIG, tags=["shop:1"], platform=platform)
    return docker_archive(folder / "fat.tar", made), program


@needs_gcc
def test_files_are_stripped_by_this_machines_strip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fat, program = fat_with_debug_sections(tmp_path)
    slim = tmp_path / "slim.tar"
    assert run(["rewrite", str(fat), "-v", "-o", str(slim), "--strip"]) == 0
    assert "strip, on this machine" in " ".join(capsys.readouterr().err.split())
    with open_world(str(slim)) as found:
        entry = found.world.rootfs.entries["/app/main"]
        content = found.world.rootfs.read_bytes(entry)
    assert content == changed_by("strip", "-p", "--strip-unneeded", content=program) != program
    assert (entry.mode, entry.mtime) == (0o755, MTIME - 5)


@needs_gcc
@pytest.mark.parametrize(
    "tools, said",
    [
        ({}, "this machine has no strip for linux/"),
        ({"strip": "#!/bin/sh\necho odd >&2\nexit 1\n"}, "strip refused 1 file"),
    ],
)
def test_what_cannot_be_stripped_stays_and_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tools: Mapping[str, str],
    said: str,
) -> None:
    fat, program = fat_with_debug_sections(tmp_path)
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in tools.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    slim = tmp_path / "slim.tar"
    assert run(["rewrite", str(fat), "-o", str(slim), "--strip"]) == 0
    assert said in " ".join(capsys.readouterr().err.split())
    with open_world(str(slim)) as found:
        tree = found.world.rootfs
        assert tree.read_bytes(tree.entries["/app/main"]) == program
