"""What git runs because of its configuration: trees in, the plan's kept programs out."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.model import Origin, OriginKind
from imgslim.plan import build_plan
from imgslim.roots import resolve_roots
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.git import GitRuntime, parse_git_config
from imgslim.runtimes.script import ScriptRuntime
from imgslim.runtimes.shell import ShellRuntime
from tests.scripts import kept, script, world_of
from tests.worlds import Member


def kept_with(tmp_path: Path, run: str, **files: Member) -> set[str]:
    tree: dict[str, Member] = {"/run.sh": script(run)}
    tree.update({path.replace("__", "/"): text for path, text in files.items()})
    names = ["git", "gunzip", "xz", "less", "tac", "/usr/lib/git-core/git-daemon"]
    world = world_of(tmp_path, tree, programs=names, cmd=("/run.sh",))
    kinds = (CommandRuntime, ShellRuntime, ScriptRuntime, GitRuntime)
    runtimes = [kind(world) for kind in kinds]
    commands, findings = resolve_roots(world, ())
    origin = Origin(OriginKind.USER)
    plan = build_plan(
        world,
        commands,
        findings,
        runtimes,
        lambda path: origin if path in tree else Origin(OriginKind.PACKAGE),
    )
    return kept(plan)


CONFIG = '[diff "gz"]\n\ttextconv = gunzip -c\n[core]\n\tpager = less -R # comment\n'


@pytest.mark.parametrize("path", ["__etc__gitconfig", "__root__.gitconfig"])
def test_commands_in_configuration_come_with_git(tmp_path: Path, path: str) -> None:
    found = kept_with(tmp_path, "git diff", **{path: CONFIG})
    assert {"/usr/bin/gunzip", "/usr/bin/less"} <= found


def test_configuration_of_a_repository_counts_and_of_other_things_not(tmp_path: Path) -> None:
    repository = {"__srv__a.git__config": CONFIG, "__srv__a.git__HEAD": "", "__srv__b__config": ""}
    found = kept_with(tmp_path, "git log", **{**repository, "__srv__a.git__objects__x": ""})
    assert "/usr/bin/gunzip" in found
    (tmp_path / "other").mkdir()
    other = kept_with(tmp_path / "other", "git log", __srv__b__config=CONFIG)
    assert "/usr/bin/gunzip" not in other


def test_without_git_its_configuration_says_nothing(tmp_path: Path) -> None:
    assert "/usr/bin/gunzip" not in kept_with(tmp_path, "true", __etc__gitconfig=CONFIG)


def test_commands_in_its_arguments(tmp_path: Path) -> None:
    found = kept_with(tmp_path, "git -c tar.tar.xz.command='xz -c' archive HEAD\ngit -C / daemon")
    assert {"/usr/bin/xz", "/usr/lib/git-core/git-daemon"} <= found


def test_aliases(tmp_path: Path) -> None:
    config = '[alias]\n\tback = "!tac file"\n\tst = daemon\n'
    found = kept_with(tmp_path, "git back", __etc__gitconfig=config)
    assert {"/usr/bin/tac", "/usr/lib/git-core/git-daemon"} <= found


def test_the_syntax_of_configuration() -> None:
    text = '[a "b.c"] k = "x ; y" ; no\n# c\n[d]\nlong = one \\\n two\nflag\n'
    assert list(parse_git_config(text)) == [("a.b.c.k", "x ; y"), ("d.long", "one  two")]
