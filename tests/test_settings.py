"""Settings files: found, checked against the options, and outdone by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from imgslim.cli.app import cli, run
from imgslim.cli.configured import ConfiguredCommand, RunOption, key_of
from imgslim.errors import UsageError
from imgslim.settings import find_settings, load_settings
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.worlds import File, Tree

TREE: Tree = {
    "/app/main": File(elf(), mode=0o755),
    "/app/notes": "of the app",
    "/app/more": "of the app",
    "/root/.cache/pip/a": "a",
    "/root/.cache/pip/b": "b",
    "/usr/bin/worker": File(elf(), mode=0o755),
    "/usr/share/words": "some",
    "/var/lib/dpkg/status": (
        "Package: words\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
    ),
    "/var/lib/dpkg/info/words.list": "/usr/share/words\n",
}
CONFIG = {"Entrypoint": ["/app/main"], "Env": ["PATH=/usr/bin"]}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an archive in it."""
    docker_archive(tmp_path / "app.tar", Made((TREE,), CONFIG, ("acme/app:1",)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Ran:
    """What ``imgslim analyze app.tar`` gave: the document and what it said."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *options: str, image: str = "app.tar"):
        assert run(["analyze", image, "--format", "json", *options]) == 0
        shown = capsys.readouterr()
        self.said = shown.err
        self.plan: dict[str, Any] = json.loads(shown.out)["plan"]
        self.kept = {row["path"] for row in self.plan["keeps"]}


def test_settings_of_the_working_directory_are_used_and_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "imgslim.toml").write_text(
        'keep = ["/root/.cache/pip/a"]\ndrop = ["/app/notes"]\nkeep-package = ["words"]\n'
        'also-run = ["worker -q"]\n'
    )
    ran = Ran(capsys)
    assert {"/root/.cache/pip/a", "/usr/share/words", "/usr/bin/worker"} <= ran.kept
    assert "/app/notes" not in ran.kept
    assert ran.said == "imgslim: note: settings from imgslim.toml\n"
    assert "<also-run worker -q>" in {row["label"] for row in ran.plan["programs"]}
    reasons = {row["path"]: row["reason"] for row in ran.plan["keeps"]}
    assert reasons["/usr/share/words"] == "kept by --keep-package deb:words"
    assert Ran(capsys, "-q").said == ""
    ran = Ran(capsys, "--no-config")
    assert ran.said == "" and "/app/notes" in ran.kept


def test_pyproject_has_a_table_and_yields_to_a_file_of_our_own(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert Ran(capsys).said == ""
    with (here / "pyproject.toml").open("a") as file:
        file.write('[tool.imgslim]\ndrop = ["/app/notes"]\n')
    ran = Ran(capsys)
    assert "/app/notes" not in ran.kept and "pyproject.toml" in ran.said
    (here / "imgslim.toml").write_text('drop = ["/app/more"]\n')
    ran = Ran(capsys)
    assert "/app/notes" in ran.kept and "/app/more" not in ran.kept
    ran = Ran(capsys, "--config", "pyproject.toml")
    assert "/app/notes" not in ran.kept and "/app/more" in ran.kept


def test_the_command_line_wins_and_lists_add_up(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "imgslim.toml").write_text(
        'level = "nonsense"\n[images."app.tar"]\nkeep = ["/root/.cache/pip/a"]\n'
    )
    assert run(["analyze", "app.tar"]) == UsageError.exit_code, "wrong in any case"
    (here / "imgslim.toml").write_text(
        'level = "tight"\ncolor = "always"\n[images."app.tar"]\nkeep = ["/root/.cache/pip/a"]\n'
    )
    capsys.readouterr()
    ran = Ran(capsys, "--keep", "/root/.cache/pip/b")
    assert {"/root/.cache/pip/a", "/root/.cache/pip/b"} <= ran.kept
    assert ran.said == 'imgslim: note: settings from imgslim.toml with [images."app.tar"]\n'
    assert run(["analyze", "app.tar", "-q"]) == 0
    assert "\x1b[" in capsys.readouterr().out
    assert run(["analyze", "app.tar", "-q", "--color", "never"]) == 0
    assert "\x1b[" not in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["strip", "bytecode", "sources"])
def test_a_flag_of_the_file_can_be_taken_back(
    flag: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def remember(image: str, choices: Any, **_: Any) -> None:
        seen.append(getattr(choices, flag))
        raise UsageError("enough")

    monkeypatch.setattr("imgslim.pipeline.analyze", remember)
    for value in ("true", "false"):
        (here / "imgslim.toml").write_text(f"{flag} = {value}\n")
        for options in ([], [f"--{flag}"], [f"--no-{flag}"]):
            run(["analyze", "app.tar", "-q", *options])
    assert seen == [True, True, False, False, True, False]


def test_tables_of_other_images_are_left_alone(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "imgslim.toml").write_text(
        '[images."other"]\nkeep = ["/nowhere"]\n[images."*.tar"]\ndrop = ["/app/notes"]\n'
        '[images."docker-archive:*"]\ndrop = ["/app/more"]\n'
    )
    ran = Ran(capsys)
    assert "/app/notes" not in ran.kept and "/app/more" in ran.kept
    ran = Ran(capsys, image="docker-archive:app.tar")
    assert not {"/app/notes", "/app/more"} & ran.kept


NAMES: dict[str, tuple[str, bool]] = {
    "app": ("app:1", True),
    "app:1": ("app:1", True),
    "app:2": ("app:1", False),
    "app:latest": ("app", True),
    "docker.io/library/app": ("app", False),
    "*": ("app", True),
    "*/app": ("ghcr.io/acme/app:1", True),
    "ghcr.io/acme/*": ("ghcr.io/acme/app:1", True),
    "acme/app:1": ("docker-daemon:acme/app:1", True),
    "acme/app": ("docker.io/acme/app@sha256:0", True),
    "dist/app.tar": ("docker-archive:dist/app.tar:acme/app:1", True),
    "./app": ("app", False),
}


@pytest.mark.parametrize("pattern", NAMES)
def test_which_table_is_for_which_image(pattern: str, tmp_path: Path) -> None:
    image, matches = NAMES[pattern]
    path = tmp_path / "imgslim.toml"
    path.write_text(f"level = 'safe'\n[images.'{pattern}']\nlevel = 'tight'\n")
    found = load_settings(str(path)).tables_for(image)
    assert [table.pattern for table in found] == ["", *([pattern] if matches else [])]


def test_files_in_it_are_relative_to_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "deploy").mkdir()
    (here / "deploy/imgslim.toml").write_text('compose = ["compose.yaml"]\n')
    (here / "deploy/compose.yaml").write_text(
        "services: {jobs: {image: acme/app, entrypoint: worker}}\n"
    )
    ran = Ran(capsys, "--config", "deploy/imgslim.toml")
    assert "<compose.yaml jobs>" in {row["label"] for row in ran.plan["programs"]}
    assert "deploy/imgslim.toml" in ran.said


def test_every_command_takes_its_part_of_one_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "imgslim.toml").write_text('drop = ["/app/notes"]\nsource = "Dockerfile"\n')
    (here / "Dockerfile").write_text("FROM acme/app:1\n")
    assert run(["why", "app.tar", "/app/notes"]) == 0
    assert "--drop /app/notes leaves it out" in " ".join(capsys.readouterr().out.split())
    assert run(["audit", "app.tar", "--format", "json"]) == 0
    files = json.loads(capsys.readouterr().out)["audit"]["files"]
    assert {row["path"]: row["verdict"] for row in files}["/app/notes"] == "removable"
    assert run(["rewrite", "app.tar", "--verbose"]) == 0
    shown = capsys.readouterr()
    assert "left out by --drop /app/notes" in " ".join(shown.err.split())
    assert "FROM acme/app:1" in shown.out


WRONG: dict[str, tuple[str, str]] = {
    "an unknown key": ("kep = []", "did you mean keep"),
    "an underscore": ("keep_package = []", "keep-package"),
    "an unknown key for an image": ("[images.x]\nlevl = 'safe'", "level"),
    "a string for a list": ("keep = '/x'", 'keep = ["'),
    "a number in a list": ("keep = [1]", 'keep = ["'),
    "a string for a flag": ("strip = 'yes'", "strip = true"),
    "a flag for a string": ("level = true", "level = "),
    "no such level": ("level = 'tigth'", "did you mean tight"),
    "an option of one run": ("output = 'x'", "--output"),
    "a table for a list": ("[keep]\na = 1", "keep ="),
    "images that are no tables": ("images = ['x']", "[images."),
    "an image that is no table": ("[images]\nx = 1", "[images."),
    "no TOML": ("keep = [", "--no-config"),
    "a file that names nothing": ("drop = ['/app/note']", "/app/notes"),
    "a package that is not there": ("drop-package = ['word']", "deb:words"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_one_line_with_a_way_on(
    case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, hint = WRONG[case]
    (here / "imgslim.toml").write_text(f"{text}\n")
    assert run(["analyze", "app.tar"]) == UsageError.exit_code
    shown = capsys.readouterr()
    *noted, first, second = shown.err.splitlines()
    assert first.startswith("imgslim: error: ") and hint in second
    assert "imgslim.toml" in (noted[0] if noted else first)
    assert shown.out == ""


@pytest.mark.parametrize(
    "options", [["--config", "none.toml"], ["--config", "imgslim.toml", "--no-config"]]
)
def test_a_file_that_is_asked_for_is_there(options: list[str], here: Path) -> None:
    (here / "imgslim.toml").write_text("")
    assert run(["analyze", "app.tar", *options]) == UsageError.exit_code


def test_a_pyproject_that_is_asked_for_has_the_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    assert find_settings(tmp_path) is None
    with pytest.raises(UsageError, match=r"tool\.imgslim"):
        load_settings(str(tmp_path / "pyproject.toml"))


def test_every_option_but_those_of_one_run_is_a_key() -> None:
    keys: set[str] = set()
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if isinstance(command, ConfiguredCommand):
            options = [param for param in command.params if isinstance(param, click.Option)]
            keys |= {key_of(option) for option in options if not isinstance(option, RunOption)}
    wanted = {
        "also-run",
        "bytecode",
        "compose",
        "drop",
        "drop-package",
        "k8s",
        "keep",
        "keep-package",
        "level",
        "platform",
        "service",
        "sources",
        "source",
        "strip",
        "target",
    }
    assert wanted <= keys
    assert not {"output", "force", "build", "tag", "config", "no-config", "help"} & keys
