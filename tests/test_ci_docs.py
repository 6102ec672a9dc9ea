"""The snippets of docs/ci.md: valid for the services that they are for, and run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml

from imgslim.cli.app import run
from tests.archives import docker_archive
from tests.engines import command, remove_image
from tests.schemas import sarif_errors, workflow_errors
from tests.test_check import IMAGE, PLAIN, made

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
SCHEMAS = {".github/workflows/image.yml": "github-workflows", ".gitlab-ci.yml": "gitlab-ci"}
GOOD = made(("COPY", PLAIN))


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def snippets() -> dict[str, str]:
    """The files of CI services, by the name in their first line."""
    return {text.splitlines()[0].removeprefix("# "): text for text in blocks("yaml")}


def check_lines(document: Any) -> list[str]:
    """The shell lines of a snippet that call imgslim."""
    if isinstance(document, str):
        return [document] if document.startswith("imgslim ") else []
    rows = document.values() if isinstance(document, dict) else document
    return [line for row in rows if isinstance(row, (dict, list, str)) for line in check_lines(row)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the settings of the page, and the imgslim of this checkout on its PATH."""
    (tmp_path / "imgslim.toml").write_text(blocks("toml")[0])
    tool = tmp_path / "bin/imgslim"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m imgslim "$@"\n')
    tool.chmod(0o755)
    return tmp_path


def shell(project: Path, line: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{project}/bin:{os.environ['PATH']}", "IMAGE": "image.tar"}
    command = ["sh", "-euc", line]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_snippet_is_what_its_service_takes(name: str, tmp_path: Path) -> None:
    path = tmp_path / Path(name).name
    path.write_text(snippets()[name], encoding="utf-8")
    assert workflow_errors(path, SCHEMAS[name]) == []
    path.write_text(snippets()[name].replace("artifacts:", "artefacts: 1\n    art:"))
    path.write_text(path.read_text().replace("steps:", "step:"))
    assert workflow_errors(path, SCHEMAS[name]), "the schema is asked"


def test_there_is_a_snippet_for_each_service() -> None:
    assert snippets().keys() == SCHEMAS.keys()


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_lines_of_a_snippet_check_an_image(name: str, project: Path) -> None:
    (line,) = check_lines(yaml.safe_load(snippets()[name]))
    for image, code in ((GOOD, 0), (IMAGE, 1)):
        docker_archive(project / "image.tar", image)
        for old in project.glob("imgslim.[sx]*"):
            old.unlink()
        done = shell(project, line)
        assert done.returncode == code and done.stdout == "", done.stderr
        assert ("forbid-toolchain" in done.stderr) is bool(code)
        (report,) = project.glob("imgslim.[sx]*")
        text = report.read_text(encoding="utf-8")
        if name.startswith(".github"):
            assert sarif_errors(text) == [] and text.count('"ruleId"') >= code
        else:
            (suite,) = JUnitXml.fromstring(text.encode())
            assert (suite.tests, suite.failures > 0) == (8, bool(code))


def script_lines(document: Any) -> Iterator[str]:
    """All shell lines of a snippet, in their order."""
    for job in document.get("jobs", document).values():
        if isinstance(job, dict):
            for step in [*job.get("script", ()), *job.get("steps", ())]:
                line = step if isinstance(step, str) else step.get("run", "")
                yield from line.splitlines()


@pytest.mark.engine
@pytest.mark.parametrize("name", SCHEMAS)
def test_the_lines_of_a_snippet_run_as_they_stand(name: str, tmp_path: Path) -> None:
    """In an environment of its own; what is installed is this checkout."""
    tools = tmp_path / "tools"
    command(sys.executable, "-m", "venv", str(tools))
    tag = f"app:test-{uuid.uuid4().hex[:12]}"
    work = tmp_path / "work"
    work.mkdir()
    (work / "imgslim.toml").write_text(blocks("toml")[0])
    (work / "Dockerfile").write_text('FROM scratch\nCOPY Dockerfile /\nCMD ["/none"]\n')
    environment = {
        "PATH": f"{tools}/bin:{os.environ['PATH']}",
        "IMGSLIM": str(ROOT),
        "DOCKER_BUILDKIT": "0",
        "IMAGE": tag,
        "CI_COMMIT_SHA": tag.partition(":")[2],
    }
    try:
        for line in script_lines(yaml.safe_load(snippets()[name])):
            command("sh", "-euc", f"cd '{work}'\n{line}", env=environment)
    finally:
        remove_image(tag)
    assert list(work.glob("imgslim.[sx]*"))


def test_the_archive_that_gitlab_hands_over_is_the_one_that_is_checked() -> None:
    jobs = yaml.safe_load(snippets()[".gitlab-ci.yml"])
    (path,) = jobs["build-image"]["artifacts"]["paths"]
    assert any(f"docker save -o {path} " in line for line in jobs["build-image"]["script"])
    assert f"imgslim check {path} " in " ".join(jobs["check-image"]["script"])


def test_the_limits_that_dive_has_can_be_moved_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = re.findall(r"^\| `(\w+: \S+)` \| `(.+?)` \|", PAGE, re.MULTILINE)
    assert len(rows) == 3
    docker_archive(tmp_path / "app.tar", GOOD)
    for dive, own in rows:
        (tmp_path / ".dive-ci").write_text(f"rules:\n  {dive}\n")
        (tmp_path / "imgslim.toml").write_text(f"[check]\n{own}\n")
        assert len(tomllib.loads(own)) == 1
        assert run(["check", "app.tar"]) == 0


def test_nobody_is_sent_to_the_other_imgslim_on_pypi() -> None:
    """There the name is another project's: who installs it by name runs other people's code."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("imgslim/**/*.py")]
    by_name = re.compile(r"(?:pip|pipx|uv tool|uvx)\b.*(?: |')imgslim\b(?!/)")
    lines = [line for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if by_name.search(line) and "install" in line] == []
