"""Directories called by a version: what a Dockerfile for later builds says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.cli.app import run
from imgslim.copyplan.patterns import called_by_version
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.test_copyplan import TOOLS
from tests.test_source_dockerfile import MANY, lasting
from tests.worlds import File, Tree

CALLED = {
    "/opt/app-1.2.3/lib/a": "/opt/app-1.2.3",
    "/opt/app-v1.2/a": "/opt/app-v1.2",
    "/usr/lib/jvm/java-17-openjdk-amd64/bin": "/usr/lib/jvm/java-17-openjdk-amd64",
    "/opt/jdk-17.0.9+9/bin": "/opt/jdk-17.0.9+9",
    "/n/.pnpm/foo@1.2.3/node_modules": "/n/.pnpm/foo@1.2.3",
    "/n/.pnpm/@s+foo@1.2.3_react@18.2.0/x": "/n/.pnpm/@s+foo@1.2.3_react@18.2.0",
    "/usr/share/perl/5.36.0/x": "/usr/share/perl/5.36.0",
    "/root/.nvm/versions/node/v18.1.0/lib": "/root/.nvm/versions/node/v18.1.0",
    "/usr/lib/python3.11/json": "",
    "/usr/lib/x86_64-linux-gnu/perl-base": "",
    "/usr/share/zoneinfo/Etc": "",
    "/usr/lib/llvm-15/lib": "",
    "/srv/2024/01": "",
}


@pytest.mark.parametrize("path", CALLED)
def test_names_of_directories_with_a_version(path: str) -> None:
    assert called_by_version(path, path) == CALLED[path]


def test_what_a_pattern_stands_for_is_not_called_by_a_version() -> None:
    assert called_by_version("/s/a-1.0.dist-info/M", "/s/a-*.dist-info/*") == ""
    assert called_by_version("/s/a-1.0/b-2.0/M", "/s/a-*/b-2.0/M") == "/s/a-1.0/b-2.0"


NOTED: dict[str, tuple[Tree, str]] = {
    "copied by name": ({"/lib/app-1.2.3/main": "x"}, "/lib/app-1.2.3"),
    "gathered for its owner": ({"/lib/app-1.2.3/main": File("x", uid=7)}, "/lib/app-1.2.3"),
    "below a directory that is copied whole": ({"/srv/app/app-1.2.3/main": "x"}, ""),
    "a distribution's, by pattern": ({"/lib/flask-3.0.dist-info/METADATA": "m"}, ""),
    "no version": ({"/lib/python3.11/os.py": ""}, ""),
}


@pytest.mark.parametrize("case", NOTED)
def test_a_directory_that_a_later_build_may_lack_is_said(case: str, tmp_path: Path) -> None:
    tree, path = NOTED[case]
    problems = lasting(tmp_path, {**MANY, **tree}).problems
    said = [problem for problem in problems if problem.code == "versioned-directory"]
    assert [problem.path for problem in said] == ([path] if path else [])
    assert all(path in problem.message for problem in said)


def test_rewrite_says_it_of_a_continued_dockerfile_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree: Tree = {**TOOLS, "/opt/app-1.2.3/main": File(elf(), mode=0o755), "/opt/app-1.2.3/x": "x"}
    config = {"Entrypoint": ["/opt/app-1.2.3/main"]}
    image = docker_archive(tmp_path / "a.tar", Made([tree], config, ["shop:1"]))
    (tmp_path / "Dockerfile").write_text("FROM debian:12\nCMD x\n")
    command = ["rewrite", str(image), "-v", "-o", str(tmp_path / "out")]
    assert run(command) == 0
    assert "another version" not in capsys.readouterr().err
    assert run([*command, "--force", "--source", str(tmp_path / "Dockerfile")]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "may lack what is copied by name: /opt/app-1.2.3" in said
