"""What a user reads of an audit: tables of 80 columns, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from imgslim.cli.app import run
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.worlds import File, Tree

LONG = "apt-get update && apt-get install -y --no-install-recommends " + "package " * 30
LAYERS: tuple[Tree, ...] = (
    {
        "/bin/sh": File(elf(), mode=0o755),
        "/usr/share/doc/x/README": File(b"d" * 40_000),
        "/opt/app/run": File("#!/bin/sh\ncat /opt/app/data.txt\n", mode=0o755),
        "/opt/app/data.txt": File(b"t" * 9000),
        "/opt/app/it|em.txt": File(b"p" * 70),
        "/root/.cache/pip/http/x": File(b"c" * 5000),
        "/opt/build/out": File(b"o" * 20_000),
        "/opt/a-directory-with-a-long-name/" + "and-much-below-it/" * 4 + "f": File(b"f" * 30_000),
        **{f"/opt/parts/part-{n}/blob": File(bytes([n]) * 3000) for n in range(30)},
    },
    {"/opt/.wh.build": "", "/opt/app/copy.txt": File(b"t" * 9000)},
)
TOTAL = sum(
    len(member.content) if isinstance(member, File) else len(member)
    for tree in LAYERS
    for path, member in tree.items()
    if ".wh." not in path
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = Made(
        LAYERS,
        {"Entrypoint": ["/opt/app/run"]},
        ["app:1"],
        history=[
            {"created_by": f"/bin/sh -c {LONG}"},
            {"created_by": "RUN /bin/sh -c rm -r /opt/build # buildkit"},
        ],
    )
    path = tmp_path_factory.mktemp("audit") / "app.tar"
    return str(docker_archive(path, made))


@pytest.fixture
def said(archive: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "80")
    # Without an engine: what the images of this machine are is not this test's.
    monkeypatch.setenv("DOCKER_HOST", f"unix://{archive}.sock")

    def audit(*arguments: str) -> str:
        assert run(["audit", "-q", archive, *arguments]) == 0
        return capsys.readouterr().out

    return audit


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--by", "layer"),
        ("--by", "package"),
        ("--by", "kind"),
        ("--by", "dir"),
        ("--duplicates",),
        ("-v",),
    ],
)
def test_tables_fit_80_columns(arguments: tuple[str, ...], said: Any) -> None:
    report = said(*arguments)
    assert max(map(len, report.splitlines())) <= 80
    assert "\x1b" not in report


def test_the_overview_says_what_there_is_to_know(said: Any) -> None:
    report = said()
    for words in (
        "in 2 layers",
        "Stored in vain",
        "deleted by 1 RUN rm",
        "caches and package lists",
        "░",
        "█",
        "base image: not known",
        "efficiency 90.",
        "dive: 100.0 %",
    ):
        assert words in report
    assert len(report.splitlines()) < 80


def test_colours_are_the_terminals_choice(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in said("--color", "always")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in said()


def test_top_says_how_many_rows(said: Any) -> None:
    rows = [line for line in said("--by", "dir", "--top", "3").splitlines() if "  /" in line]
    assert len(rows) == 3
    every = said("--by", "dir", "--top", "50")
    assert "more: --top N" not in every and "/opt/app" in every


def test_under_weighs_one_directory(said: Any) -> None:
    document = json.loads(said("--format", "json", "--under", "/opt/parts"))["audit"]
    assert document["under"] == "/opt/parts"
    assert document["sizes"]["size_bytes"] == 90_000
    assert "below /opt/parts" in said("--under", "/opt/parts")


@pytest.mark.parametrize(("under", "code"), [("opt", 2), ("/opt/nothing", 4)])
def test_under_names_a_directory_of_the_image(under: str, code: int, archive: str) -> None:
    assert run(["audit", "-q", archive, "--under", under]) == code


def test_the_document_adds_up(said: Any) -> None:
    document = json.loads(said("--format", "json", "--duplicates"))
    assert (document["version"], document["kind"]) == (1, "audit")
    audit = document["audit"]
    for name in ("layers", "kinds", "packages", "cells"):
        assert sum(row["size_bytes"] for row in audit[name]) == TOTAL
    assert audit["sizes"]["size_bytes"] == TOTAL == audit["efficiency"]["stored_bytes"]
    assert audit["wasted"] == [
        {
            "path": "/opt/build/out",
            "size_bytes": 20_000,
            "layer_index": 0,
            "by_layer": 1,
            "how": "deleted",
            "kind": "other",
            "unit": "",
        }
    ]
    assert [row["why"] for row in audit["files"] if row["path"] == "/opt/app/data.txt"] != [""]
    assert audit["efficiency"]["dive_score"] == 1
    (group,) = audit["duplicates"]
    assert [copy["path"] for copy in group["copies"]] == ["/opt/app/copy.txt", "/opt/app/data.txt"]


@pytest.mark.parametrize("by", ["", "layer", "package", "kind"])
def test_a_spreadsheet_adds_up(by: str, said: Any) -> None:
    arguments = ("--by", by) if by else ()
    rows = list(csv.DictReader(io.StringIO(said("--format", "csv", *arguments))))
    assert sum(int(row["size_bytes"]) for row in rows) == TOTAL


def test_markdown_tables_have_as_many_cells_in_each_row(said: Any) -> None:
    report = said("--format", "markdown", "--top", "50")
    tables = [block for block in report.split("\n\n") if block.startswith("|")]
    assert len(tables) == 5
    for table in tables:
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(widths) == 1
    assert "it\\|em.txt" in report
    assert "deleted by 1 RUN rm -r /opt/build" in report


SYSTEM: Tree = {
    "/var/lib/dpkg/status": "Package: a\nStatus: install ok installed\nVersion: 1\n\n",
}


def test_a_system_that_runs_nothing_is_weighed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = {**SYSTEM, "/data": File(b"x" * 5000)}
    path = docker_archive(tmp_path / "x.tar", Made([tree]))
    assert run(["audit", str(path)]) == 0
    printed = capsys.readouterr()
    assert "nothing is marked as needed" in printed.err
    assert "removable" not in printed.out and "/data" in printed.out


def test_files_alone_are_all_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = docker_archive(tmp_path / "x.tar", Made([{"/data": File(b"x" * 5000)}]))
    assert run(["audit", str(path)]) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and "needed 5.0 kB (100.0 %), removable 0 B" in printed.out


def test_a_base_that_is_not_below_is_refused(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = docker_archive(tmp_path / "base.tar", Made([LAYERS[0]], tags=["base:1"]))
    assert run(["audit", "-q", archive, "--base", str(base)]) == 0
    assert "1 layer, " in capsys.readouterr().out
    other = docker_archive(tmp_path / "other.tar", Made([LAYERS[1]], tags=["other:1"]))
    assert run(["audit", "-q", archive, "--base", str(other)]) == 12
    assert "was not built upon this" in capsys.readouterr().err


def test_a_base_in_the_settings_is_that_of_a_slim_image(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imgslim.toml").write_text('base = "debian:bookworm-slim"\n')
    assert run(["audit", "-q", archive]) == 0
