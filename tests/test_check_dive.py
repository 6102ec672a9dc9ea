"""The rules of a ``.dive-ci`` file: read and counted as dive does, so that verdicts are dive's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from imgslim.cli.app import run
from tests.archives import Made, docker_archive
from tests.test_audit_engine import TREES, dive_path
from tests.worlds import File, Tree

LOW: Tree = {"/a": File(b"a" * 600), "/b": File(b"b" * 400)}
HIGH: Tree = {"/a": File(b"A" * 600), "/c": File(b"c" * 400)}
OVERWRITTEN = Made([LOW, HIGH], tags=("app:1",))
"""dive: 2000 bytes stored, 1400 of them useful; both copies of /a are waste, of 1000 user bytes."""

EFFICIENCY = "dive-lowestEfficiency"
WASTE = "dive-highestWastedBytes"
USER_WASTE = "dive-highestUserWastedPercent"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    docker_archive(tmp_path / "app.tar", OVERWRITTEN)
    return tmp_path


def verdicts(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, tuple[float, bool]]:
    """The limit and whether it holds, by rule."""
    code = run(["check", "app.tar", "--format", "json", "-q", *options])
    found = json.loads(capsys.readouterr().out)["check"]
    assert code == (0 if found["holds"] else 1)
    return {row["rule"]: (row["limit"], row["holds"]) for row in found["limits"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "rules:\n  lowestEfficiency: 0.7\n  highestWastedBytes: 1.2kB\n"
            "  highestUserWastedPercent: 1.0\n",
            {EFFICIENCY: (0.7, True), WASTE: (1200, True), USER_WASTE: (1.0, False)},
        ),
        (
            "rules:\n  lowestEfficiency: 0.701\n  highestWastedBytes: '1199'\n",
            {EFFICIENCY: (0.701, False), WASTE: (1199, False), USER_WASTE: (0.1, False)},
        ),
        ("", {EFFICIENCY: (0.9, False), USER_WASTE: (0.1, False)}),
        ("rules:\n", {EFFICIENCY: (0.9, False), USER_WASTE: (0.1, False)}),
        (
            "rules:\n  lowestEfficiency:\n  highestUserWastedPercent: ''\n",
            {EFFICIENCY: (0.9, False)},
        ),
        (
            "# old\nrules: {lowestEfficiency: off, highestUserWastedPercent: disabled, "
            "highestWastedBytes: 2 KiB}\nother: [1]\n",
            {WASTE: (2048, True)},
        ),
    ],
)
def test_rules_are_read_as_dive_reads_them(
    text: str,
    expected: dict[str, tuple[float, bool]],
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / ".dive-ci").write_text(text)
    assert verdicts(capsys) == expected


def test_an_image_of_one_layer_has_no_user_bytes_and_no_waste(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".dive-ci").write_text("rules: {highestUserWastedPercent: 0}\n")
    docker_archive(here / "app.tar", Made([LOW], tags=("app:1",)))
    assert verdicts(capsys) == {EFFICIENCY: (0.9, True), USER_WASTE: (0, True)}
    docker_archive(here / "app.tar", Made([LOW, {"/.wh.b": ""}], tags=("app:1",)))
    assert verdicts(capsys)[USER_WASTE] == (0, False), "something of nothing"


def test_its_place_is_the_working_directory_or_where_one_says(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "ci").mkdir()
    (here / "ci/.dive-ci").write_text("rules: {lowestEfficiency: 0.5}\n")
    (here / ".dive-ci").write_text("rules: {lowestEfficiency: 0.6}\n")
    assert verdicts(capsys)[EFFICIENCY] == (0.6, True)
    assert verdicts(capsys, "--dive-ci", "ci/.dive-ci")[EFFICIENCY] == (0.5, True)
    (here / "ci/imgslim.toml").write_text('[check]\ndive-ci = ".dive-ci"\nmax-size = 2000\n')
    found = verdicts(capsys, "--config", "ci/imgslim.toml")
    assert (found[EFFICIENCY], found["max-size"]) == ((0.5, True), (2000, True))
    assert verdicts(capsys, "--no-dive-ci", "--max-size", "1MB").keys() == {"max-size"}
    assert run(["check", "app.tar"]) == 1
    assert "imgslim: note: limits from .dive-ci\n" in capsys.readouterr().err
    assert run(["check", "app.tar", "--no-dive-ci"]) == 2


def test_a_misspelt_rule_is_passed_over_and_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".dive-ci").write_text("rules: {lowestEficiency: 0.1}\n")
    assert run(["check", "app.tar"]) == 1
    assert "(did you mean lowestEfficiency?)" in capsys.readouterr().err
    assert verdicts(capsys)[EFFICIENCY] == (0.9, False), "dive's default"


@pytest.mark.parametrize(
    "text",
    [
        "rules: {lowestEfficiency: 90%}",
        "rules: {lowestEfficiency: 95}",
        "rules: {highestWastedBytes: 20 parsecs}",
        "rules: {highestUserWastedPercent: -0.1}",
        "rules: {lowestEfficiency: [0.9]}",
        "rules: [lowestEfficiency]",
        "just words",
        "rules: {",
    ],
)
def test_what_dive_would_not_take_is_no_check(
    text: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".dive-ci").write_text(text)
    assert run(["check", "app.tar", "--max-size", "1GB"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("imgslim: error: .dive-ci") and second.startswith("  hint: ")


RULES = (
    "",
    "rules: {}",
    "rules: {lowestEfficiency: 0.5, highestUserWastedPercent: off}",
    "rules: {lowestEfficiency: 0.95, highestUserWastedPercent: off}",
    "rules: {lowestEfficiency: off, highestUserWastedPercent: 0.5}",
    "rules: {lowestEfficiency: off, highestUserWastedPercent: 1}",
    "rules: {lowestEfficiency: false, highestWastedBytes: 1kB, highestUserWastedPercent: ''}",
    "rules: {lowestEfficiency: off, highestWastedBytes: '70', highestUserWastedPercent: off}",
    "rules: {lowestEfficiency: off, highestWastedBytes: 1MiB, highestUserWastedPercent: off}",
)


@pytest.mark.engine
@pytest.mark.parametrize("rules", RULES)
def test_verdicts_are_dives(rules: str, here: Path) -> None:
    (here / ".dive-ci").write_text(f"{rules}\n")
    for layers in (*TREES, (LOW, HIGH), (LOW,)):
        docker_archive(here / "app.tar", Made(layers, tags=("app:1",)))
        command = [dive_path(), "--ci", "docker-archive://app.tar"]
        dive = subprocess.run(command, capture_output=True, text=True)
        # All disabled is a pass for dive, and for us no check.
        assert "Evaluation:" in dive.stdout, dive.stdout + dive.stderr
        assert run(["check", "app.tar", "-q"]) == dive.returncode, dive.stdout
