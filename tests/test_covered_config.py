"""Whatever quotes an image's config shows no secret of it; what is built has them as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgslim.cli.app import run
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.test_dirt import GITHUB, PASSWORD
from tests.worlds import File, Tree

TREE: Tree = {"/app/main": File(elf(), mode=0o755)}
BUILD_TOKEN = "a-build-argument-of-1"
CONFIG: dict[str, Any] = {
    "Entrypoint": ["/app/main", "--token", GITHUB],
    "Cmd": ["serve"],
    "Env": ["PATH=/app", f"DB_PASSWORD={PASSWORD}", f"URL=https://x/{BUILD_TOKEN}", "MODE=fast"],
    "Labels": {"ci.token": GITHUB, "of": "the user"},
    "Healthcheck": {"Test": ["CMD", "/app/main", f"--password={PASSWORD}"]},
}
HISTORY = [{"created_by": f"RUN |1 NPM_TOKEN={BUILD_TOKEN} /bin/sh -c npm ci # buildkit"}]
SECRETS = (GITHUB, PASSWORD, BUILD_TOKEN)


def archive(path: Path, history: list[dict[str, Any]] = HISTORY, **config: Any) -> str:
    made = Made((TREE,), {**CONFIG, **config}, ("app:latest",), history=history)
    return str(docker_archive(path, made))


@pytest.fixture
def fat(tmp_path: Path) -> str:
    return archive(tmp_path / "fat.tar")


def test_reports_of_a_plan_show_no_secret(fat: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["analyze", fat],
        ["analyze", fat, "--verbose"],
        ["analyze", fat, "--format", "json"],
        ["why", fat, "/app/main"],
        ["why", fat, "/app/main", "--format", "json"],
    ):
        assert run(command) == 0
        shown = capsys.readouterr()
        assert "/app/main" in shown.out and "***" in shown.out
        assert [one for one in SECRETS if one in shown.out + shown.err] == []


def test_the_dockerfile_has_the_values_and_what_is_said_beside_it_not(
    fat: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rewrite", fat, "--verbose"]) == 0
    shown = capsys.readouterr()
    assert all(one in shown.out for one in SECRETS) and "***" not in shown.out
    assert [one for one in SECRETS if one in shown.err] == [] and "***" in shown.err


def plan_of(fat: str, folder: Path) -> str:
    plan = folder / "plan.json"
    assert run(["analyze", fat, "-q", "--format", "json", "-o", str(plan)]) == 0
    return str(plan)


def test_a_plan_without_the_secrets_verifies_the_image_that_has_them(
    fat: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slim = archive(tmp_path / "slim.tar", history=[])
    assert run(["verify", slim, "--plan", plan_of(fat, tmp_path)]) == 0
    assert "as planned" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"Env": CONFIG["Env"][:1] + CONFIG["Env"][2:]}, "variable DB_PASSWORD"),
        ({"Env": [*CONFIG["Env"][:1], "DB_PASSWORD=", *CONFIG["Env"][2:]]}, "variable DB_PASSWORD"),
        ({"Env": [*CONFIG["Env"][:3], f"MODE={GITHUB}"]}, "variable MODE"),
        ({"Entrypoint": ["/app/main", "--other", GITHUB]}, "ENTRYPOINT"),
    ],
)
def test_what_is_lost_or_other_is_named_without_its_value(
    config: dict[str, Any], field: str, fat: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slim = archive(tmp_path / "slim.tar", history=[], **config)
    plan = plan_of(fat, tmp_path)
    for form in ("table", "json"):
        assert run(["verify", slim, "--plan", plan, "--format", form]) == 13
        shown = capsys.readouterr()
        assert field in shown.out
        assert [one for one in (GITHUB, PASSWORD) if one in shown.out + shown.err] == []


def test_a_secret_that_no_dockerfile_can_say_is_allowed_to_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fat = archive(tmp_path / "fat.tar", Env=["PATH=/app", f"API_TOKEN={PASSWORD}\nsecond line"])
    slim = archive(tmp_path / "slim.tar", history=[], Env=["PATH=/app"])
    assert run(["verify", slim, "--plan", plan_of(fat, tmp_path)]) == 0
    assert "a Dockerfile cannot say this value" in capsys.readouterr().out
