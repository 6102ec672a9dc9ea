"""A plan with ``--strip`` against images that another strip, or none, was at work on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from imgslim.cli.app import run
from imgslim.sources.platforms import host_platform
from tests.archives import Made, docker_archive
from tests.test_strip import MAIN, changed_by, compiled
from tests.worlds import File, Tree

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None or shutil.which("strip") is None,
    reason="no gcc and strip: apt-get install gcc libc6-dev binutils enables this",
)

CONFIG = {"Entrypoint": ["/app/main"]}
OWN_STRIP: Tree = {
    "/usr/bin/strip": File("", mode=0o755),
    "/bin/sh": File("", mode=0o755),
    "/bin/tar": File("", mode=0o755),
}
"""With these the build strips by the image's own tool; without them only an archive is stripped."""


def archive(path: Path, program: bytes, more: Tree) -> Path:
    platform = {"os": "linux", "architecture": host_platform().architecture}
    tree: Tree = {**more, "/app/main": File(program, mode=0o755)}
    return docker_archive(path, Made([tree], CONFIG, ["shop:1"], platform))


def plan_of(folder: Path, fat: Path) -> Path:
    plan = folder / "plan.json"
    command = ["analyze", str(fat), "-q", "--strip", "--format", "json", "-o", str(plan)]
    assert run(command) == 0
    return plan


@pytest.mark.parametrize("own", [{}, OWN_STRIP], ids=["no strip in the image", "one in it"])
@pytest.mark.parametrize("option", ["--strip", "--no-strip"])
def test_the_archive_is_as_planned_whoever_strips(own: Tree, option: str, tmp_path: Path) -> None:
    program = compiled("-g", "-static", source=MAIN)
    fat, slim = archive(tmp_path / "fat.tar", program, own), tmp_path / "slim.tar"
    plan = plan_of(tmp_path, fat)
    assert run(["rewrite", str(fat), "-q", "-o", str(slim), option]) == 0
    assert run(["verify", f"docker-archive:{slim}", "--plan", str(plan)]) == 0


TOOLS = {
    "binutils": ("strip", "-p", "--strip-unneeded"),
    "binutils, debug sections alone": ("strip", "-p", "--strip-debug"),
    "LLVM": ("llvm-strip", "-p", "--strip-unneeded"),
    "LLVM, all": ("llvm-strip", "--strip-all"),
}
LINKED = {
    "a program": ("-g",),
    "at a fixed address": ("-g", "-no-pie"),
    "a static one": ("-g", "-static"),
    "a library": ("-g", "-shared", "-fPIC"),
}


# llvm-strip, where it is installed, refuses the relocations of glibc's static start.
CASES = [
    pytest.param(linked, tool, id=f"{linked}-{tool}")
    for linked, flags in LINKED.items()
    for tool, command in TOOLS.items()
    if shutil.which(command[0]) and not ("-static" in flags and command[0] == "llvm-strip")
]


@pytest.mark.parametrize(("linked", "tool"), CASES)
def test_what_a_process_maps_is_compared_and_nothing_else(
    linked: str, tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = compiled(*LINKED[linked], source=MAIN)
    stripped = changed_by(*TOOLS[tool], content=program)
    plan = plan_of(tmp_path, archive(tmp_path / "fat.tar", program, {}))
    kept = {row["path"] for row in json.loads(plan.read_text("utf-8"))["plan"]["keeps"]}
    assert kept == {"/", "/app", "/app/main"}
    code = stripped.index(b"\x55\x48\x89\xe5")
    damaged = stripped[:code] + b"\x90" + stripped[code + 1 :]
    for content, ending in ((stripped, 0), (damaged, 13), (b"#!" + stripped, 13)):
        slim = archive(tmp_path / "slim.tar", content, {})
        assert run(["verify", str(slim), "--plan", str(plan)]) == ending
    assert "map something else" in capsys.readouterr().out
