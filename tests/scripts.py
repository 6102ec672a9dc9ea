"""Images of scripts for the tests, and their plans by the three runtimes for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imgslim.model import ImageConfig, Origin, OriginKind, Plan
from imgslim.plan import build_plan
from imgslim.roots import resolve_roots
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.script import ScriptRuntime
from imgslim.runtimes.shell import ShellRuntime
from imgslim.world import World
from tests.worlds import File, Tree, make_world

ELF = b"\x7fELF\x02\x01\x01\0"
"""The start of a program: enough to be told from a script."""


def program() -> File:
    return File(ELF, mode=0o755)


def script(text: str, shebang: str = "#!/bin/sh") -> File:
    return File(f"{shebang}\n{text}\n", mode=0o755)


def system(*names: str) -> dict[str, File]:
    """A shell, ``env`` and further programs; one without a directory goes to ``/usr/bin``."""
    programs = ["/bin/sh", "/bin/bash", "env", *names]
    return {n if "/" in n else f"/usr/bin/{n}": program() for n in programs}


def world_of(tmp_path: Path, tree: Tree, *, programs: Iterable[str] = (), **config: Any) -> World:
    """A World over ``tree`` and ``system(programs)``; ``config`` are fields of ImageConfig."""
    image = ImageConfig(**config)
    return make_world(tmp_path, {**system(*programs), **tree}, config=image)


def plan_of(world: World, also_run: tuple[str, ...] = (), user: tuple[str, ...] = ()) -> Plan:
    """The plan of ``world`` by the runtimes for scripts; ``user`` are the user's paths."""

    def origin_of(path: str) -> Origin:
        return Origin(OriginKind.USER if path in user else OriginKind.PACKAGE, "")

    commands, findings = resolve_roots(world, also_run)
    runtimes = [CommandRuntime(world), ShellRuntime(world), ScriptRuntime(world)]
    return build_plan(world, commands, findings, runtimes, origin_of)


def kept(plan: Plan) -> set[str]:
    """The kept paths that are no directories."""
    return {keep.entry.path for keep in plan.keeps if not keep.entry.is_directory}


OF_THE_PLAN = {"no-shell", "no-module"}
"""What the plan says of an image as a whole, not of a command."""


def codes(plan: Plan) -> set[str]:
    """The codes of the problems that commands and scripts have."""
    return {problem.code for problem in plan.problems} - OF_THE_PLAN
