"""What a user reads of advice: a list of 80 columns, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imgslim.cli.app import run
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.worlds import File, Tree

TREES: tuple[Tree, ...] = (
    {"/bin/sh": File(elf(), mode=0o755), "/root/.profile": ""},
    {
        "/var/lib/apt/lists/deb_Packages": File(b"l" * 40_000),
        "/root/.cache/pip/http/x": File(b"c" * 5000),
        "/var/log/apt/term.log": File(b"t" * 700),
    },
    {
        "/srv/run": File("#!/bin/sh\n", mode=0o755),
        "/srv/.git/HEAD": "ref: refs/heads/main\n",
        "/srv/.git/pack": File(b"p" * 9000),
    },
)
LONG = "apt-get update && apt-get install -y " + "package " * 30 + "&& pip install ."
HISTORY = (
    {"created_by": "/bin/sh -c #(nop) ADD file:0123456789abcdef0123 in / "},
    {"created_by": f"/bin/sh -c {LONG}"},
    {"created_by": "COPY . /srv # buildkit"},
)
SAVED = (40_000, 9021, 5000, 700)

Audit = Callable[..., str]


@pytest.fixture
def audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Audit:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    made = Made(TREES, {"Entrypoint": ["/srv/run"]}, ["app:1"], history=HISTORY)
    archive = str(docker_archive(tmp_path / "app.tar", made))

    def said(*options: str) -> str:
        assert run(["audit", archive, "--quiet", *options]) == 0
        return capsys.readouterr().out

    return said


def test_the_overview_ranks_edits_in_80_columns(audit: Audit) -> None:
    text = audit()
    assert max(map(len, text.splitlines())) <= 80
    told = text[text.index("Advice: ") : text.index("Layers, ")]
    assert told.startswith("Advice: 4 edits of the Dockerfile, 54.7 kB in all\n")
    order = ["40.0 kB", "9.0 kB", "5.0 kB", "700 B"]
    assert sorted(order, key=told.index) == order
    assert "→ add `rm -rf /var/lib/apt/lists/*` to the RUN of layer 1" in told
    assert "→ in .dockerignore:\n             **/.git\n" in told


def test_an_instruction_is_one_line_unless_all_is_asked_for(audit: Audit) -> None:
    assert audit("--by", "advice").count("package package") == 3
    assert "pip install ." in audit("--by", "advice", "--verbose")


def test_what_is_not_shown_is_counted(audit: Audit) -> None:
    assert "… and 3 more edits, 14.7 kB: --by advice shows them" in audit("--top", "1")
    alone = audit("--by", "advice", "--top", "2")
    assert "… and 2 more edits, 5.7 kB: --top N shows them" in alone
    assert "Layers, " not in alone
    assert "- … and 2 more edits, 5.7 kB" in audit(
        "--by", "advice", "--top", "2", "--format", "markdown"
    )


def test_an_unknown_base_is_said(audit: Audit) -> None:
    text = " ".join(audit("--by", "advice").split())
    assert "what is not in your Dockerfile is in that of its base (--base IMAGE tells)" in text


def test_an_image_without_advice_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made(TREES[:1], {"Entrypoint": ["/bin/sh"]})
    archive = str(docker_archive(tmp_path / "app.tar", made))
    assert run(["audit", archive, "--quiet", "--by", "advice"]) == 0
    assert "no edit of its Dockerfile is known" in capsys.readouterr().out


def test_the_json_document_has_every_edit(audit: Audit) -> None:
    found = json.loads(audit("--format", "json", "--top", "1"))["audit"]
    assert tuple(row["saved_bytes"] for row in found["advice"]) == SAVED
    assert found["advised_bytes"] == sum(SAVED)
    assert found["advice"][1] == {
        "kind": "dockerignore",
        "title": "the COPY of layer 2 brought .git",
        "edit": "in .dockerignore:\n**/.git",
        "reason": "",
        "layer_index": 2,
        "instruction": "COPY . /srv",
        "saved_bytes": 9021,
        "file_count": 2,
        "paths": ["**/.git"],
        "packages": [],
    }


def test_csv_has_a_row_for_each_edit(audit: Audit) -> None:
    rows = list(csv.DictReader(io.StringIO(audit("--by", "advice", "--format", "csv"))))
    assert [int(row["saved_bytes"]) for row in rows] == list(SAVED)
    assert [row["layer"] for row in rows] == ["1", "2", "1", "1"]
    assert rows[1]["edit"] == "in .dockerignore:\n**/.git"


def test_markdown_has_the_edit_as_code(audit: Audit) -> None:
    text = audit("--format", "markdown", "--by", "advice")
    assert "- **9.0 kB** the COPY of layer 2 brought .git\n" in text
    assert "\n  ````text\n  in .dockerignore:\n  **/.git\n  ````\n" in text
