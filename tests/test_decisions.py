"""What the user keeps and drops, what it costs, and what it breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgslim.choices import Choices, Level
from imgslim.cli.app import run
from imgslim.decisions import decide
from imgslim.errors import BrokenPlanError, UsageError
from imgslim.model import Command, Finding, Group, ImageConfig, Need, Plan, Problem, Scope, Severity
from imgslim.pipeline import check_drops, cost_of_keeping, derive_plan, weigh_next_level
from imgslim.runtimes.base import Runtime
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.test_plan import Mentions, need, plan_of
from tests.worlds import File, Link, Tree, make_world

STATUS = """\
Package: tool
Status: install ok installed
Architecture: amd64
Version: 1.0

Package: libtool
Status: install ok installed
Architecture: amd64
Version: 2.0
"""

TREE: Tree = {
    "/app/main": "/usr/lib/liba.so\n/usr/bin/link\n",
    "/app/data/one": "1",
    "/app/data/two": "22",
    "/usr/lib/liba.so": "/usr/lib/libonly.so\n",
    "/usr/lib/libonly.so": "",
    "/usr/bin/link": Link("real"),
    "/usr/bin/real": "",
    "/usr/bin/tool": "/usr/lib/libtool.so\n",
    "/usr/lib/libtool.so": "",
    "/usr/share/tool/a.txt": "",
    "/usr/share/tool/sub/b.txt": "",
    "/var/lib/dpkg/status": STATUS,
    "/var/lib/dpkg/info/tool.list": "/.\n/usr\n/usr/bin\n/usr/bin/tool\n/usr/share/tool/a.txt\n",
    "/var/lib/dpkg/info/libtool.list": "/usr\n/usr/lib\n/usr/lib/libtool.so\n",
    "/venv/lib/python3.11/site-packages/Some_Thing-1.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1\n"
    ),
    "/venv/lib/python3.11/site-packages/Some_Thing-1.dist-info/RECORD": (
        "some_thing.py,,\nSome_Thing-1.dist-info/METADATA,,\nSome_Thing-1.dist-info/RECORD,,\n"
    ),
    "/venv/lib/python3.11/site-packages/some_thing.py": "",
}
BASE = {
    "/app/main",
    "/app/data/one",
    "/app/data/two",
    "/usr/lib/liba.so",
    "/usr/lib/libonly.so",
    "/usr/bin/link",
    "/usr/bin/real",
}
SITE = "/venv/lib/python3.11/site-packages"


def decided(tmp_path: Path, *findings: Finding, **choices: Any) -> Plan:
    """The plan of TREE in which each file needs the paths that its lines name."""
    world = make_world(tmp_path, TREE, choices=Choices(**choices))
    with world.rootfs:
        return plan_of(world, *findings, runtimes=(OnlyPaths,))


class OnlyPaths(Mentions):
    """Only files whose text is made of paths need anything."""

    def needs(self, entry: Any) -> Iterator[Finding]:
        return (need for need in super().needs(entry) if str(need.path).startswith("/"))


def files(plan: Plan) -> set[str]:
    """The kept files as the image has them: not the databases that are cut to what is kept."""
    keeps = (keep for keep in plan.keeps if not keep.entry.is_directory)
    return {keep.entry.path for keep in keeps if keep.content is None}


KEEPS: dict[str, tuple[str, set[str]]] = {
    "a path, with what it needs": ("/usr/bin/tool", {"/usr/bin/tool", "/usr/lib/libtool.so"}),
    "a directory": ("/usr/share/tool", {"/usr/share/tool/a.txt", "/usr/share/tool/sub/b.txt"}),
    "a directory with a slash": (
        "/usr/share/tool/",
        {"/usr/share/tool/a.txt", "/usr/share/tool/sub/b.txt"},
    ),
    "a glob": ("/usr/share/tool/*.txt", {"/usr/share/tool/a.txt"}),
    "a deep glob": ("/**/b.txt", {"/usr/share/tool/sub/b.txt"}),
    "a system package": (
        "deb:tool",
        {"/usr/bin/tool", "/usr/share/tool/a.txt", "/usr/lib/libtool.so"},
    ),
    "a distribution, by any spelling": (
        "pypi:some.thing",
        {
            f"{SITE}/some_thing.py",
            f"{SITE}/Some_Thing-1.dist-info/METADATA",
            f"{SITE}/Some_Thing-1.dist-info/RECORD",
        },
    ),
}


@pytest.mark.parametrize("case", KEEPS)
def test_what_the_user_keeps_comes_with_what_it_needs(case: str, tmp_path: Path) -> None:
    pattern, more = KEEPS[case]
    plan = decided(tmp_path, keep=(pattern,))
    assert files(plan) == BASE | more
    kept = {k.entry.path: k for k in plan.keeps}[min(more)]
    if case != "a system package":
        assert kept.reason.startswith("kept by --keep ")
        assert kept.because.startswith("<keep ")


def test_a_kept_link_brings_the_links_on_its_way(tmp_path: Path) -> None:
    tree: Tree = {"/bin": Link("usr/bin"), "/usr/bin/sh": Link("dash"), "/usr/bin/dash": "x"}
    world = make_world(tmp_path, tree, choices=Choices(keep=("/bin/sh",)))
    with world.rootfs:
        plan = plan_of(world, runtimes=())
    assert files(plan) == {"/bin", "/usr/bin/sh", "/usr/bin/dash"}


DROPS: dict[str, tuple[str, set[str], bool]] = {
    "the user's file": ("/app/data/one", {"/app/data/one"}, False),
    "the user's directory": ("/app/data", {"/app/data/one", "/app/data/two"}, False),
    "the user's files by glob": ("/app/data/t*", {"/app/data/two"}, False),
    "a library, and what only it needs": (
        "/usr/lib/liba.so",
        {"/usr/lib/liba.so", "/usr/lib/libonly.so"},
        True,
    ),
    "a link, itself": ("/usr/bin/link", {"/usr/bin/link", "/usr/bin/real"}, True),
    "a link's target": ("/usr/bin/real", {"/usr/bin/link", "/usr/bin/real"}, True),
    "what nothing needs": ("/usr/share/tool", set(), False),
}


@pytest.mark.parametrize("case", DROPS)
def test_what_the_user_drops_goes_and_what_that_breaks_is_an_error(
    case: str, tmp_path: Path
) -> None:
    pattern, gone, breaks = DROPS[case]
    plan = decided(tmp_path, drop=(pattern,))
    assert files(plan) == BASE - gone
    said = {problem.code: problem for problem in plan.problems}
    assert said["dropped"].severity is Severity.INFO
    assert ("broken-by-drop" in said) == breaks
    if breaks:
        problem = said["broken-by-drop"]
        assert problem.severity is Severity.ERROR
        assert problem.path == pattern
        assert "/app/main" in problem.message and "mentioned" in problem.message
        with pytest.raises(BrokenPlanError):
            check_drops(plan)
    else:
        check_drops(plan)


def test_a_drop_says_its_bytes(tmp_path: Path) -> None:
    plan = decided(tmp_path, drop=("/app/data",))
    assert [p.cost_bytes for p in plan.problems if p.code == "dropped"] == [3]


def test_a_dropped_program_is_missed_by_what_runs_it(tmp_path: Path) -> None:
    command = Command(("tool",), "/usr/bin/tool", "<entrypoint>")
    world = make_world(tmp_path, TREE, choices=Choices(drop=("deb:tool",)))
    with world.rootfs:
        plan = plan_of(world, commands=(command,), runtimes=(OnlyPaths,))
    assert files(plan) == BASE
    (problem,) = (p for p in plan.problems if p.code == "broken-by-drop")
    assert "<entrypoint>" in problem.message and problem.path == "/usr/bin/tool"


def test_what_a_system_is_expected_to_have_is_dropped_in_peace(tmp_path: Path) -> None:
    ambient = Need("/usr/share/tool/a.txt", Group.SYSTEM, "time zones", "/app/main")
    plan = decided(tmp_path, ambient, drop=("/usr/share/tool",))
    assert files(plan) == BASE
    check_drops(plan)


class ReadsAhead(OnlyPaths):
    """Follows what a file names without waiting for the file to be kept, and forgets nothing."""

    def needs(self, entry: Any) -> Iterator[Finding]:
        for found in super().needs(entry):
            yield found
            named = self.world.rootfs.lookup(found.path)
            if named is not None:
                yield from self.needs(named)


def test_what_a_runtime_read_in_a_dropped_file_is_not_kept_for_it(tmp_path: Path) -> None:
    tree: Tree = {
        "/app/main": "/usr/lib/one\n",
        "/usr/lib/one": "/usr/lib/two\n/usr/lib/three\n",
        "/usr/lib/two": "/usr/lib/four\n",
        "/usr/lib/three": "",
        "/usr/lib/four": "",
    }
    choices = Choices(drop=("/usr/lib/one",), keep=("/usr/lib/three",))
    world = make_world(tmp_path, tree, choices=choices)
    with world.rootfs:
        plan = plan_of(world, need("/app/main"), need("/usr/lib/one"), runtimes=(ReadsAhead,))
    assert files(plan) == {"/app/main", "/usr/lib/three"}
    assert {drop.entry.path for drop in plan.drops} == {
        f"/usr/lib/{n}" for n in ("one", "two", "four")
    }
    assert {problem.code for problem in plan.problems} == {"dropped", "broken-by-drop"}


def test_what_is_dropped_is_not_said_to_be_missing(tmp_path: Path) -> None:
    tree: Tree = {"/app/main": "/usr/lib/one\n/usr/lib/none\n", "/usr/lib/one": ""}
    world = make_world(tmp_path, tree, choices=Choices(drop=("/usr/lib/one",)))
    with world.rootfs:
        plan = plan_of(world, runtimes=(OnlyPaths,))
    missing = [problem.path for problem in plan.problems if problem.code == "missing-path"]
    assert missing == ["/usr/lib/none"]


def test_the_bytes_of_a_dropped_tree_are_those_of_all_in_it(tmp_path: Path) -> None:
    whole = Need("/app/data", Group.SYSTEM, "time zones", "/app/main", Scope.TREE)
    world = make_world(tmp_path, TREE, choices=Choices(drop=("/app/data",)))
    with world.rootfs:
        plan = plan_of(world, need("/app/main"), whole, user="/none", runtimes=())
    (problem,) = (p for p in plan.problems if p.code == "dropped")
    assert problem.cost_bytes == 3


def test_a_part_of_a_tree_that_is_needed_whole_can_be_dropped(tmp_path: Path) -> None:
    whole = Need("/usr/share/tool", Group.RUNTIME, "tool", "/app/main", Scope.TREE)
    plan = decided(tmp_path, whole, drop=("/usr/share/tool/sub",))
    assert files(plan) == BASE | {"/usr/share/tool/a.txt"}
    (problem,) = (p for p in plan.problems if p.code == "broken-by-drop")
    assert "/app/main" in problem.message


def test_keep_wins_over_drop(tmp_path: Path) -> None:
    plan = decided(tmp_path, keep=("/app/data/t*",), drop=("/app/data",))
    assert files(plan) == BASE - {"/app/data/one"}
    plan = decided(tmp_path, keep=("/app",), drop=("/app/data/one",))
    assert files(plan) == BASE


REFUSED: dict[str, dict[str, tuple[str, ...]]] = {
    "keeps nothing": {"keep": ("/usr/bin/tol",)},
    "drops nothing": {"drop": ("/nowhere/*",)},
    "no such package": {"keep": ("deb:tools",)},
    "a relative path": {"keep": ("usr/bin/tool",)},
    "both": {"keep": ("/usr/bin/tool",), "drop": ("/usr/bin/tool",)},
    "both, otherwise written": {"keep": ("/usr//bin/tool/",), "drop": ("/usr/bin/../bin/tool",)},
    "both by owner": {"keep": ("deb:tool",), "drop": ("deb:tool",)},
}


@pytest.mark.parametrize("case", REFUSED)
def test_choices_that_make_no_sense_are_refused_with_a_hint(case: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        decided(tmp_path, **REFUSED[case])
    assert caught.value.hint


def test_near_names_are_the_hint(tmp_path: Path) -> None:
    for pattern, near in (("/usr/bin/tol", "/usr/bin/tool"), ("/bin/tool", "/usr/bin/tool")):
        with pytest.raises(UsageError) as caught:
            decided(tmp_path, keep=(pattern,))
        assert near in caught.value.hint


def test_the_line_that_asks_stays_with_what_it_asks_for(tmp_path: Path) -> None:
    asked = Need("/usr/bin/tool", Group.PROGRAM, "run", "/app/main", line=7)
    command = Command(("extra",), "/usr/lib/libtool.so", "/app/main", line=9)
    plan = decided(tmp_path, asked, command)
    lines = {keep.entry.path: keep.line for keep in plan.keeps}
    assert (lines["/usr/bin/tool"], lines["/usr/lib/libtool.so"]) == (7, 9)


# ------------------------------------------------------------------- packages


PACKAGES: dict[str, tuple[str, set[str]]] = {
    "by its key": ("deb:tool", {"/usr/bin/tool", "/usr/share/tool/a.txt", "/usr/lib/libtool.so"}),
    "by its name": ("libtool", {"/usr/lib/libtool.so"}),
    "a distribution by its name, in any spelling": (
        "Some.Thing",
        {
            f"{SITE}/some_thing.py",
            f"{SITE}/Some_Thing-1.dist-info/METADATA",
            f"{SITE}/Some_Thing-1.dist-info/RECORD",
        },
    ),
}


@pytest.mark.parametrize("case", PACKAGES)
def test_a_package_is_kept_with_what_it_needs(case: str, tmp_path: Path) -> None:
    name, more = PACKAGES[case]
    plan = decided(tmp_path, keep_packages=(name,))
    assert files(plan) == BASE | more
    reasons = {k.reason for k in plan.keeps if k.reason.startswith("kept by")}
    assert len(reasons) == 1 and "--keep-package " in reasons.pop()


def test_a_dropped_package_that_is_needed_is_an_error(tmp_path: Path) -> None:
    asked = need("/usr/bin/tool")
    plan = decided(tmp_path, asked, drop_packages=("libtool",))
    assert files(plan) == BASE | {"/usr/bin/tool"}
    with pytest.raises(BrokenPlanError, match=r"--drop-package deb:libtool.* /usr/bin/tool"):
        check_drops(plan)
    plan = decided(tmp_path, drop_packages=("pypi:some_thing",))
    check_drops(plan)


def test_a_kept_file_of_a_dropped_package_stays(tmp_path: Path) -> None:
    plan = decided(tmp_path, keep=("/usr/share/tool/a.txt",), drop_packages=("deb:tool",))
    assert files(plan) == BASE | {"/usr/share/tool/a.txt"}


NO_PACKAGE: dict[str, tuple[dict[str, tuple[str, ...]], str]] = {
    "a key that is not there": ({"keep_packages": ("deb:tol",)}, "deb:tool"),
    "a name that is not there": ({"drop_packages": ("libtol",)}, "deb:libtool"),
    "no database of that kind": ({"keep_packages": ("gem:rails",)}, "deb, pypi"),
    "both": ({"keep_packages": ("tool",), "drop_packages": ("deb:tool",)}, "one of them"),
    "both, by --keep": ({"keep": ("deb:tool",), "drop_packages": ("tool",)}, "one of them"),
}


@pytest.mark.parametrize("case", NO_PACKAGE)
def test_a_package_that_is_not_there_is_refused_with_near_misses(case: str, tmp_path: Path) -> None:
    choices, hint = NO_PACKAGE[case]
    with pytest.raises(UsageError) as caught:
        decided(tmp_path, **choices)
    assert hint in caught.value.hint
    given = [value for values in choices.values() for value in values]
    assert any(value in str(caught.value) for value in given)


def test_a_bare_name_of_two_databases_is_refused_with_both(tmp_path: Path) -> None:
    metadata = "Metadata-Version: 2.1\nName: tool\nVersion: 3\n"
    tree: Tree = {**TREE, f"{SITE}/tool-3.dist-info/METADATA": metadata}
    for choices in (Choices(keep_packages=("tool",)), Choices(drop_packages=("tool",))):
        world = make_world(tmp_path, tree, choices=choices)
        with world.rootfs, pytest.raises(UsageError, match=r"deb:tool, pypi:tool"):
            plan_of(world, runtimes=())
    world = make_world(tmp_path, tree, choices=Choices(keep_packages=("pypi:tool",)))
    with world.rootfs:
        assert f"{SITE}/tool-3.dist-info/METADATA" in files(plan_of(world, runtimes=()))


@pytest.mark.parametrize("drop", [("/usr/share/tool",), ("/usr/share/../share/tool/",)])
def test_what_is_dropped_has_a_price_too(drop: tuple[str, ...], tmp_path: Path) -> None:
    tree: Tree = {"/app/main": File(elf(), mode=0o755), "/usr/share/tool/a": "a" * 3000}
    config = ImageConfig(entrypoint=("/app/main",))
    world = make_world(tmp_path, tree, config=config, choices=Choices(drop=drop))
    with world.rootfs:
        assert cost_of_keeping(world, derive_plan(world), "/usr/share/tool") == 3000


def test_an_npm_package_is_all_its_versions_or_one(tmp_path: Path) -> None:
    top, nested = "/usr/lib/node_modules/@a/pad", "/usr/lib/node_modules/b/node_modules/@a/pad"
    tree: Tree = {
        "/app/main": File(elf(), mode=0o755),
        f"{top}/package.json": '{"name": "@a/pad", "version": "1.0.0"}',
        f"{nested}/package.json": '{"name": "@a/pad", "version": "2.0.0"}',
        f"{nested}/index.js": "",
    }
    found = {f"{top}/package.json", f"{nested}/package.json", f"{nested}/index.js"}
    for name, gone in (
        ("npm:@a/pad", found),
        ("@a/pad", found),
        ("npm:@a/pad@1.0.0", {f"{top}/package.json"}),
    ):
        world = make_world(tmp_path, tree, choices=Choices(drop_packages=(name,)))
        with world.rootfs:
            decisions = decide(world)
        assert set(decisions.dropped) == gone
    world = make_world(tmp_path, tree, choices=Choices(keep_packages=("npm:@a/padd",)))
    with world.rootfs, pytest.raises(UsageError) as caught:
        decide(world)
    assert "npm:@a/pad" in caught.value.hint


def test_a_package_without_files_is_said_to_have_none(tmp_path: Path) -> None:
    tree: Tree = {**TREE, "/var/lib/dpkg/info/libtool.list": "/.\n/usr\n/usr/lib\n"}
    world = make_world(tmp_path, tree, choices=Choices(keep_packages=("libtool",)))
    with world.rootfs, pytest.raises(UsageError, match="no file"):
        plan_of(world, runtimes=())


# ------------------------------------------------------------------- prices


def test_a_command_that_cannot_be_resolved_costs_the_programs_left_out(tmp_path: Path) -> None:
    class Unsure(Runtime):
        def settle(self, kept: object) -> Iterator[Finding]:
            yield Problem("unresolved-command", Severity.WARNING, "/app/run", "line 3: $CMD")

    tree: Tree = {
        "/app/run": File("x", mode=0o755),
        "/usr/bin/a": File("12345", mode=0o755),
        "/usr/bin/b": File(hard_link="/usr/bin/a"),
        "/usr/bin/c": Link("/opt/c"),
        "/opt/c": File("123", mode=0o755),
        "/usr/bin/notes": "no program",
        "/usr/bin/kept": File("1", mode=0o755),
    }
    world = make_world(tmp_path, tree)
    kept = Command(("kept",), "/usr/bin/kept", "<entrypoint>")
    with world.rootfs:
        plan = plan_of(world, commands=(kept,), runtimes=(Unsure,))
    assert [p.cost_bytes for p in plan.problems if p.code == "unresolved-command"] == [8]


IMAGE = Made(
    layers=(
        {
            "/app/main": File(elf("libx.so.1"), mode=0o755),
            "/app/notes": "n" * 10,
            "/usr/lib/libx.so.1": File(elf(soname="libx.so.1"), mode=0o755),
            "/usr/bin/extra": File(elf(), mode=0o755),
            "/root/.cache/pip/http/x": "c" * 1000,
        },
    ),
    config={"Entrypoint": ["/app/main"]},
    tags=("app:latest",),
)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return str(docker_archive(tmp_path / "app.tar", IMAGE))


def test_a_drop_that_breaks_the_image_ends_analyze_and_rewrite(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = ["--drop", "/usr/lib/libx.so.1"]
    assert run(["analyze", archive, *drop]) == BrokenPlanError.exit_code
    shown = capsys.readouterr()
    assert "/app/main" in shown.err and "libx.so.1" in shown.err and "--force" in shown.err
    assert "error" in shown.out, "the report is there all the same"
    assert run(["rewrite", archive, *drop]) == BrokenPlanError.exit_code
    assert capsys.readouterr().out == "", "but no Dockerfile"
    assert run(["rewrite", archive, *drop, "--force"]) == 0
    shown = capsys.readouterr()
    assert "libx.so.1" not in shown.out.replace("--drop", "") and "error" in shown.err


def test_keep_and_drop_are_options_of_the_commands(
    archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--keep", "/root/.cache/*", "--drop", "/app/notes", "--format", "json"]
    assert run(["analyze", archive, *options]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    paths = {row["path"] for row in plan["keeps"]}
    assert "/root/.cache/pip/http/x" in paths and "/app/notes" not in paths
    assert run(["analyze", archive, "--keep", "/app/nots"]) == 2
    assert "/app/notes" in capsys.readouterr().err


# ------------------------------------------------------------------- levels


BIG = "/root/.cache/pip/http/big"


class Levelled(Runtime):
    """Keeps the larger file unless the level is tight."""

    @property
    def has_levels(self) -> bool:
        return True

    def settle(self, kept: object) -> Iterator[Finding]:
        if self.world.choices.level is not Level.TIGHT:
            yield Need(BIG, Group.LIBRARY, "big", "<entrypoint>")


def test_the_next_level_is_weighed_where_levels_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree: Tree = {
        "/app/main": File(elf(), mode=0o755),
        BIG: "b" * 5000,
    }
    world = make_world(tmp_path, tree, config=ImageConfig(entrypoint=("/app/main",)))
    with world.rootfs:
        plain = derive_plan(world)
        assert weigh_next_level(world, plain) is None
        assert cost_of_keeping(world, plain, BIG) == 5000
        monkeypatch.setattr("imgslim.pipeline.start_runtimes", lambda world: (Levelled(world),))
        after = weigh_next_level(world, derive_plan(world))
        assert after is not None
        assert (after.level, after.saves_bytes) == (Level.TIGHT, 5000)
        assert "computed names" in after.risks
        tight = replace(world, choices=Choices(level=Level.TIGHT))
        assert weigh_next_level(tight, derive_plan(tight)) is None
