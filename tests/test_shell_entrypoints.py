"""Entrypoints of the kinds that images have: every program that they may run is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.entrypoints import CASES, Case
from tests.scripts import kept, plan_of, program, script, world_of
from tests.worlds import File, Tree


def tree_of(case: Case) -> Tree:
    """The image of a case: its programs, itself as ``/entry.sh``, one program that it has no
    use for."""
    tree: Tree = {
        path if "/" in path else f"/usr/bin/{path}": program()
        for path in (*sorted(case.runs), "unused")
    }
    for path, text in case.tree.items():
        tree[path] = program() if text == "@" else File(text, mode=0o755)
    tree["/entry.sh"] = script(case.text, case.shebang)
    return tree


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_program_of_an_entrypoint_is_kept(case: Case, tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", **case.env}
    world = world_of(
        tmp_path,
        tree_of(case),
        entrypoint=("/entry.sh", *case.cmd),
        env=tuple(env.items()),
        working_dir=case.working_dir,
    )
    plan = plan_of(world)
    wanted = {path if "/" in path else f"/usr/bin/{path}" for path in case.runs}
    assert (wanted | set(case.files)) - kept(plan) == set()
    assert "/usr/bin/unused" not in kept(plan)
    unresolved = [p.message for p in plan.problems if p.code == "unresolved-command"]
    lines = {int(match[1]) for text in unresolved if (match := re.match(r"line (\d+):", text))}
    assert lines == case.unresolved, unresolved
    broken = [p.message for p in plan.problems if p.code == "shell-syntax"]
    assert len(broken) == len(case.broken), broken
