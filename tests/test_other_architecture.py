"""An image for arm64, of Debian's own packages, analysed on any machine from an archive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.pipeline import analyze
from tests import engines
from tests.archives import Made, docker_archive, oci_layout
from tests.foreign_roots import EMULATOR, build_root, container_of, emulated, needed_libraries

pytestmark = pytest.mark.engine

PACKAGES = ("base-files", "busybox-static", "ca-certificates", "curl", "python3", "tzdata")
LIBRARIES = ("/usr/lib/aarch64-linux-gnu", "/lib/aarch64-linux-gnu")
REPORT = """import decimal, json, sqlite3, ssl, sys, zoneinfo
from datetime import datetime
noon = datetime(2024, 6, 21, 12, tzinfo=zoneinfo.ZoneInfo("Asia/Kathmandu"))
version = sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0]
print(json.dumps([noon.timestamp(), version, str(decimal.Decimal(1) / 7), ssl.OPENSSL_VERSION]))
"""
COMMANDS = (
    ("/usr/bin/curl", "--version"),
    ("/usr/bin/curl", "-sS", "file:///etc/os-release"),
    ("/usr/bin/python3", "/srv/report.py"),
    ("/bin/busybox", "sha256sum", "/srv/report.py"),
)
ALSO_RUN = ("python3 /srv/report.py", "busybox sha256sum")
ARM64 = {"os": "linux", "architecture": "arm64"}


@dataclass(frozen=True)
class Foreign:
    """The fat image: as an archive, as a tree on the disk; the emulator, a program of this
    machine's."""

    archive: Path
    layer: bytes
    root: Path
    emulator: Path


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    folder = tmp_path_factory.mktemp("arm64")
    (folder / "files" / "srv").mkdir(parents=True)
    (folder / "files" / "srv" / "report.py").write_text(REPORT)
    tag = f"imgslim-arm64-root:{os.getpid()}"
    try:
        build_root(tag, "arm64", PACKAGES, folder)
        with container_of(tag) as container:
            engines.docker("cp", f"{container}:/target", str(folder / "root"))
            engines.docker("cp", f"{container}:{EMULATOR}", str(folder / "emulator"))
    finally:
        engines.remove_image(tag)
    with tarfile.open(folder / "layer.tar", "w") as tar:
        tar.add(folder / "root", arcname=".")
    layer = (folder / "layer.tar").read_bytes()
    made = made_of(layer)
    yield Foreign(
        docker_archive(folder / "fat.tar", made), layer, folder / "root", folder / "emulator"
    )


def made_of(layer: bytes) -> Made:
    config = {"Entrypoint": ["curl"], "Cmd": ["--version"]}
    return Made([layer], config=config, tags=["weather:1"], platform=ARM64)


def kept_files(foreign: Foreign, level: Level, also_run: Sequence[str] = ()) -> set[str]:
    location = f"docker-archive:{foreign.archive}"
    with analyze(location, Choices(level=level), also_run=also_run) as analysis:
        return {k.entry.path for k in analysis.plan.keeps if not k.entry.is_directory}


@pytest.mark.parametrize("level", Level)
def test_the_libraries_are_those_that_readelf_and_the_packages_name(
    foreign: Foreign, level: Level
) -> None:
    kept = kept_files(foreign, level)
    found = {path.rpartition("/")[2] for path in kept if ".so" in path}
    needed = needed_libraries(foreign.root, "/usr/bin/curl", LIBRARIES)
    assert {path.rpartition("/")[2] for path in needed} <= found
    assert "ld-linux-aarch64.so.1" in found
    owners = owners_of(foreign.root, kept)
    assert owners <= depends_of(foreign.root, "curl") | AMBIENT


AMBIENT = {"base-files", "tzdata", "ca-certificates", "libc-bin", "netbase"}
"""What every program may ask of a system (docs/how-it-decides.md)."""


def stanzas(root: Path) -> dict[str, dict[str, str]]:
    text = (root / "var/lib/dpkg/status").read_text()
    rows = [
        dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        for stanza in text.split("\n\n")
        if stanza.strip()
    ]
    return {row["Package"]: row for row in rows}


def owners_of(root: Path, kept: set[str]) -> set[str]:
    """The packages whose programs and libraries are among the kept files."""
    names = set()
    for listing in (root / "var/lib/dpkg/info").glob("*.list"):
        files = set(listing.read_text().splitlines())
        if any(f"/usr{path}" in kept or path in kept for path in files if is_native(path)):
            names.add(listing.stem)
    return names


def is_native(path: str) -> bool:
    return ".so" in path.rpartition("/")[2] or "/bin/" in path or "/sbin/" in path


def depends_of(root: Path, name: str) -> set[str]:
    """A package with all that it depends on, as its own control data says."""
    known, found, pending = stanzas(root), set(), [name]
    while pending:
        one = pending.pop()
        if one in found or one not in known:
            continue
        found.add(one)
        for field in ("Depends", "Pre-Depends"):
            for word in known[one].get(field, "").replace("|", ",").split(","):
                pending.append(word.strip().split(" ")[0].split(":")[0])
    return found


@pytest.mark.parametrize("level", Level)
def test_programs_answer_alike_under_an_emulator(
    foreign: Foreign, level: Level, tmp_path: Path
) -> None:
    slim = f"weather-slim-{level}:{os.getpid()}"
    words = ["rewrite", str(foreign.archive), "--level", str(level), "--output", "slim.tar"]
    words += [f"--also-run={command}" for command in ALSO_RUN]
    imgslim(tmp_path, *words, "--tag", slim)
    fat = f"weather-fat:{os.getpid()}"
    try:
        engines.docker("load", "--quiet", "--input", str(foreign.archive))
        engines.docker("tag", "weather:1", fat)
        engines.docker("load", "--quiet", "--input", str(tmp_path / "slim.tar"))
        for command in COMMANDS:
            expected = emulated(fat, foreign.emulator, command)
            assert expected.status == 0, command
            assert emulated(slim, foreign.emulator, command) == expected
    finally:
        engines.remove_image(fat, slim, "weather:1")


def imgslim(folder: Path, *words: str) -> str:
    """Run the command with no engine in reach."""
    environment = os.environ | {"DOCKER_HOST": f"unix://{folder}/no-engine.sock"}
    done = subprocess.run(
        [sys.executable, "-m", "imgslim", *words],
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": str(Path.cwd())},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_platform_of_an_index_is_slimmed_as_what_it_is(foreign: Foreign, tmp_path: Path) -> None:
    other = Made([{"/app": "x"}], {"Cmd": ["/app"]}, ["weather:1"])
    layout = oci_layout(tmp_path / "layout", other, made_of(foreign.layer), nested=True)
    words = ("rewrite", f"oci:{layout}", "--platform", "linux/arm64")
    imgslim(tmp_path, *words, "--output", "Dockerfile.slim")
    text = (tmp_path / "Dockerfile.slim").read_text()
    assert "FROM --platform=linux/arm64 " in text
    assert "FROM --platform=linux/arm64 scratch" in text
    imgslim(tmp_path, *words, "--output", "slim.tar")
    with tarfile.open(tmp_path / "slim.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
    assert (config["os"], config["architecture"]) == ("linux", "arm64")
    assert config["config"]["Entrypoint"] == ["curl"]
