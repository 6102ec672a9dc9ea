"""Servers that let people log in: their shells, their homes, the base system's programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import ImageConfig, Origin, OriginKind, Plan
from imgslim.plan import build_plan
from imgslim.roots import resolve_roots
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.logins import LoginRuntime
from tests.scripts import kept, program
from tests.test_distro import debian
from tests.worlds import File, Tree, make_world

PASSWD = """root:x:0:0::/root:/bin/bash
games:x:5:60::/usr/games:/usr/sbin/nologin
sync:x:4:65534::/bin:/bin/sync
ann:x:1000:1000::/home/ann:/bin/zsh
empty:x:1001:1001::/home/empty:
"""


def plan_of(tmp_path: Path, command: str, level: Level = Level.BALANCED) -> Plan:
    packages = debian(
        {
            "coreutils": ("Essential: yes\n", {"/usr/bin/ls": program()}),
            "tools": ("", {"/usr/bin/tool": program(), "/usr/sbin/sshd": program()}),
        }
    )
    tree: Tree = {
        **packages,
        **{path: program() for path in ("/bin/bash", "/bin/zsh", "/bin/sh", "/bin/sync")},
        "/etc/passwd": PASSWD,
        "/home/ann/.profile": "",
        "/usr/games/chess": File("", 0o755),
    }
    config = ImageConfig(cmd=(command,), env=(("PATH", "/usr/sbin:/usr/bin:/bin"),))
    world = make_world(tmp_path, tree, config=config, choices=Choices(level=level))
    runtimes = [CommandRuntime(world), LoginRuntime(world)]
    commands, findings = resolve_roots(world)
    return build_plan(
        world, commands, findings, runtimes, lambda path: Origin(OriginKind.PACKAGE, "")
    )


def test_who_logs_in_finds_shell_home_and_base_system(tmp_path: Path) -> None:
    found = kept(plan_of(tmp_path, "sshd"))
    assert found >= {"/bin/bash", "/bin/zsh", "/bin/sh", "/home/ann/.profile", "/usr/bin/ls"}
    assert not found & {"/usr/games/chess", "/bin/sync", "/usr/bin/tool"}


def test_tight_leaves_the_base_system_out_and_says_so(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "sshd", Level.TIGHT)
    assert "/usr/bin/ls" not in kept(plan)
    assert "/bin/zsh" in kept(plan)


@pytest.mark.parametrize(("command", "expected"), [("sshd", True), ("tool", False)])
def test_programs_that_logins_may_miss_are_a_problem(
    tmp_path: Path, command: str, expected: bool
) -> None:
    plan = plan_of(tmp_path, command)
    assert any(p.code == "programs-for-logins" for p in plan.problems) is expected
    assert ("/bin/zsh" in kept(plan)) is expected
