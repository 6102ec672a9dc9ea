"""The README's commands are run as they stand, in a fresh copy; the docs say what --help says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imgslim.cli.app import run
from imgslim.cli.overview import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
QUICK_START = "python3 fixtures/quickstart.py"
INSIDE = "IMGSLIM_INSIDE_README_TEST"
"""Set while the README's test command runs: that one must not start itself again."""

NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "build", ".*_cache", "__pycache__")


def shell_blocks(text: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def fresh_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(
        shutil.copytree(ROOT, tmp_path_factory.mktemp("fresh") / "imgslim", ignore=NOT_COPIED)
    )


def run_in(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    # No engine: that is the machine for which the quick start is written.
    environment |= {INSIDE: "1", "DOCKER_HOST": f"unix://{folder}/no.sock"}
    environment.pop("IMGSLIM_REQUIRE_ENGINE", None)
    python = Path(sys.base_prefix, "bin")
    environment["PATH"] = f"{python}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["sh", "-ec", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def quick_start_commands() -> list[str]:
    blocks = shell_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    return [block.strip() for block in blocks if block.startswith(QUICK_START)]


def test_the_quick_start_is_two_commands() -> None:
    assert quick_start_commands() == [QUICK_START, f"{QUICK_START} test"]


if INSIDE not in os.environ:

    def test_the_first_command_slims_a_real_image(fresh_copy: Path) -> None:
        done = run_in(fresh_copy, quick_start_commands()[0])
        assert done.returncode == 0, done.stdout + done.stderr
        assert "gunicorn --bind 0.0.0.0:8000 app:app" in done.stdout
        fat, slim = re.findall(r"([\d.]+) MB → ([\d.]+) MB", done.stdout)[0]
        assert float(slim) < float(fat) / 2
        dockerfile = (fresh_copy / "build/Dockerfile.slim").read_text(encoding="utf-8")
        assert "\nFROM scratch\n" in dockerfile and 'ENTRYPOINT ["gunicorn"]' in dockerfile

    def test_the_second_command_passes_tests_without_an_engine(fresh_copy: Path) -> None:
        """Of some files: the run that this is part of is that command over all of them."""
        files = "tests/test_dockerfile.py tests/test_cli.py"
        done = run_in(fresh_copy, f"{quick_start_commands()[1]} {files}")
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr
        last = done.stdout.splitlines()[-1]
        assert " passed" in last and " skipped" in last and " failed" not in last
        assert ".ci/engine" in done.stdout, "skipped tests say what enables them"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_docs_say_what_help_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run([name, "--help"])
    shown = capsys.readouterr().out
    assert f"```text\n{shown.rstrip()}\n```" in (ROOT / "docs/commands.md").read_text("utf-8")


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
