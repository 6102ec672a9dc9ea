"""What people and programs read of a plan."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

from imgslim.choices import Choices, Level
from imgslim.decisions import NextLevel, risks_of
from imgslim.model import (
    Drop,
    Group,
    Image,
    ImageConfig,
    Keep,
    Origin,
    OriginKind,
    Plan,
    Problem,
    Program,
    Severity,
)
from imgslim.reports import json as json_report
from imgslim.reports.console import Look
from imgslim.reports.summary import chain_finder, dropped_sections, kept_sections
from imgslim.reports.text import render_analysis, render_brief
from imgslim.reports.words import printable, share_text, size_text
from tests.worlds import Dir, File, Link, Special, make_image, make_world

TREE = {
    "/app": Dir(0o755),
    "/app/run": File(b"x" * 1000, mode=0o755),
    "/app/data": File(b"d" * 50, uid=10, xattrs=(("user.note", b"\x00\xff"),)),
    "/app/data-too": File(hard_link="/app/data"),
    "/app/now": Link("run"),
    "/app/caf\udce9": File(b"1"),
    "/dev/null": Special(b"3", 1, 3, 0o666),
    "/usr/lib/libx.so.1": File(b"l" * 200),
    "/usr/share/doc/x": File(b"o" * 4000),
    "/usr/share/doc/y": File(hard_link="/usr/lib/libx.so.1"),
    "/root/.cache/pip/z": File(b"c" * 9000),
}
KEPT = {
    "/app": (Group.DIRECTORY, "parent directory", "/app/run"),
    "/app/run": (Group.PROGRAM, "programs that run", "<entrypoint>"),
    "/app/data": (Group.APP, "files that no package put there", "<user>"),
    "/app/data-too": (Group.APP, "files that no package put there", "<user>"),
    "/app/now": (Group.APP, "files that no package put there", "<user>"),
    "/app/caf\udce9": (Group.APP, "files that no package put there", "<user>"),
    "/dev/null": (Group.SYSTEM, "devices", "<user>"),
    "/usr/lib/libx.so.1": (Group.LIBRARY, "shared libraries", "/app/run"),
}
ORIGINS = {
    "/usr/share/doc/x": Origin(OriginKind.PACKAGE, "deb:x"),
    "/usr/share/doc/y": Origin(OriginKind.PACKAGE, "deb:x"),
    "/root/.cache/pip/z": Origin(OriginKind.CACHE, "pip's cache"),
}


def make_plan(tmp_path: Path, *problems: Problem) -> tuple[Image, Plan]:
    config = ImageConfig(entrypoint=("/app/run", "--port", "80"), env=(("A", "1"),))
    image = make_image(tmp_path, [TREE], config)
    entries = make_world(tmp_path, TREE, config=config).rootfs.entries
    keeps = tuple(Keep(entries[path], *KEPT[path]) for path in sorted(KEPT))
    drops = tuple(Drop(entries[path], ORIGINS[path]) for path in sorted(ORIGINS))
    program = Program("<entrypoint>", ("/app/run", "--port", "80"), "/app/run", "Go 1.26 binary")
    return image, Plan((program,), keeps, drops, problems)


def test_sizes_read_as_docker_prints_them() -> None:
    table = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_960: "1.0 MB", 829_000_000: "829.0 MB"}
    assert {size: size_text(size) for size in table} == table
    assert share_text(1, 3) == "33.3 %"
    assert share_text(0, 0) == "100.0 %"


def test_a_file_name_cannot_drive_the_terminal() -> None:
    assert printable("/a/\x1b[31m\n/caf\udce9/é b") == r"/a/\x1b[31m\x0a/caf\xe9/é b"


def test_sections_add_up_to_the_slim_size_and_to_what_is_saved(tmp_path: Path) -> None:
    _, plan = make_plan(tmp_path)
    kept, dropped = kept_sections(plan), dropped_sections(plan)
    assert [section.title for section in kept] == [
        "the program",
        "the app's own files",
        "shared libraries",
        "what programs expect of a system",
        "directories",
    ]
    assert sum(section.size_bytes for section in kept) == plan.slim_size_bytes == 1251
    saved = plan.fat_size_bytes - plan.slim_size_bytes
    assert sum(section.size_bytes for section in dropped) == saved == 13_000
    assert [(s.title, s.count, s.size_bytes) for s in dropped] == [
        ("caches", 1, 9000),
        ("system packages", 2, 4000),
    ]


def test_a_chain_leads_from_what_the_image_runs_to_the_path(tmp_path: Path) -> None:
    _, plan = make_plan(tmp_path)
    keeps = {keep.entry.path: keep for keep in plan.keeps}
    chain = chain_finder(plan)
    assert chain(keeps["/usr/lib/libx.so.1"]) == ("<entrypoint>", "/app/run", "/usr/lib/libx.so.1")
    # A directory is there because of what is in it, whose own reason may lead back.
    assert chain(keeps["/app"]) == ("<entrypoint>", "/app/run", "/app")


def test_the_report_says_what_runs_what_it_needs_what_goes_and_the_size(tmp_path: Path) -> None:
    image, plan = make_plan(tmp_path)
    report = render_analysis(image, plan, Look(width=90))
    for words in (
        "test:latest  linux/amd64",
        "/app/run --port 80",
        "Go 1.26 binary",
        "shared libraries",
        "pip's cache",
        "14.3 kB → 1.3 kB (8.8 %), 13.0 kB less",
    ):
        assert words in report
    assert "\x1b" not in report
    assert max(len(line) for line in report.splitlines()) <= 90


def test_colours_come_only_when_asked_for(tmp_path: Path) -> None:
    image, plan = make_plan(tmp_path)
    assert "\x1b[" in render_analysis(image, plan, Look(colour=True))


def test_notes_are_counted_and_verbose_lists_them_with_chains(tmp_path: Path) -> None:
    warnings = [
        Problem("dynamic-import", Severity.WARNING, f"/app/{n}.py", "imports a name", "kept", n)
        for n in range(8)
    ]
    note = Problem("dangling-link", Severity.INFO, "/app/l", "leads nowhere", "kept as it is")
    image, plan = make_plan(tmp_path, *warnings, note)
    brief = render_brief(image, plan, Look())
    assert "8 warnings, 1 note" in brief
    assert "/app/7.py" in brief and "/app/0.py" not in brief, "the dearest first"
    assert "4 more" in brief
    full = render_analysis(image, plan, Look(verbose=True))
    assert "/app/0.py" in full and "/app/l" in full
    assert "<entrypoint> → /app/run → /usr/lib/libx.so.1" in full


def test_json_keeps_all_that_a_plan_knows_of_an_entry(tmp_path: Path) -> None:
    image, plan = make_plan(tmp_path)
    document = json.loads(json_report.render_analysis(image, plan))
    assert (document["version"], document["kind"]) == (1, "analysis")
    assert document["image"]["config"]["entrypoint"] == ["/app/run", "--port", "80"]
    assert document["image"]["config"]["cmd"] is None
    rows = {row["path"]: row for row in document["plan"]["keeps"]}
    assert rows["/app/data"] == {
        "path": "/app/data",
        "kind": "file",
        "mode": "0644",
        "uid": 10,
        "gid": 0,
        "size_bytes": 50,
        "mtime": 1_700_000_000,
        "group": "app",
        "reason": "files that no package put there",
        "because": "<user>",
        "hard_link_group": 1,
        "xattrs": {"user.note": base64.b64encode(b"\x00\xff").decode()},
    }
    assert rows["/app/data-too"]["hard_link_group"] == 1
    assert "hard_link_group" not in rows["/usr/lib/libx.so.1"], "its partner is left out"
    assert rows["/app/now"]["link_target"] == "run"
    assert rows["/dev/null"]["device"] == [1, 3]
    assert document["plan"]["sizes"]["slim_bytes"] == plan.slim_size_bytes
    assert document["plan"]["drops"][0] == {
        "path": "/root/.cache/pip/z",
        "kind": "file",
        "size_bytes": 9000,
        "origin": "cache",
        "unit": "pip's cache",
    }


def test_json_carries_paths_that_are_not_text(tmp_path: Path) -> None:
    image, plan = make_plan(tmp_path)
    text = json_report.render_analysis(image, plan)
    text.encode("utf-8")
    rows = json.loads(text)["plan"]["keeps"]
    (row,) = [row for row in rows if "path_base64" in row]
    assert row["path"] == "/app/caf\ufffd"
    assert base64.b64decode(row["path_base64"]) == b"/app/caf\xe9"


def test_the_plan_in_json_does_not_depend_on_where_the_image_came_from(tmp_path: Path) -> None:
    _, plan = make_plan(tmp_path)
    again = tmp_path / "elsewhere"
    again.mkdir()
    _, same = make_plan(again)
    assert json_report.plan_document(plan) == json_report.plan_document(same)


def test_what_stripping_saves_is_said_and_not_counted(tmp_path: Path) -> None:
    image, plan = make_plan(tmp_path)
    keeps = tuple(
        replace(keep, strip="/usr/bin/strip -p --strip-unneeded", strip_bytes=150)
        if keep.entry.path == "/usr/lib/libx.so.1"
        else keep
        for keep in plan.keeps
    )
    plan = replace(plan, keeps=keeps)
    kept = kept_sections(plan)
    assert {s.title: s.size_bytes for s in kept}["shared libraries"] == 50
    assert sum(section.size_bytes for section in kept) == plan.slim_size_bytes == 1101
    for report in (render_analysis(image, plan, Look()), render_brief(image, plan, Look())):
        assert "saves 150 B by stripping 1 file" in report
    rows = {row["path"]: row for row in json_report.plan_document(plan)["keeps"]}
    assert rows["/usr/lib/libx.so.1"]["strip_bytes"] == 150


def test_tight_risks_slower_starts_only_where_it_leaves_bytecode_out() -> None:
    for bytecode, said in ((None, True), (True, False), (False, False)):
        before, after = Choices(bytecode=bytecode), Choices(Level.TIGHT, bytecode=bytecode)
        assert ("slower starts" in risks_of(after, before)) is said


def test_the_next_level_is_one_line_with_its_saving_and_its_risk(tmp_path: Path) -> None:
    image, plan = make_plan(tmp_path)
    risks = risks_of(Choices(level=Level.TIGHT), Choices())
    after = NextLevel(Level.TIGHT, 41_200_000, risks)
    for report in (
        render_analysis(image, plan, Look(width=200), after),
        render_brief(image, plan, Look(width=200), after),
    ):
        assert f"  --level tight would save 41.2 MB more: {risks}\n" in report
    document = json.loads(json_report.render_analysis(image, plan, after))
    assert document["next_level"] == {
        "level": "tight",
        "saves_bytes": 41_200_000,
        "risks": risks,
    }
    assert json.loads(json_report.render_analysis(image, plan))["next_level"] is None
