"""Small images with Node.js for the tests, and what the whole closure keeps of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgslim.choices import Choices, Level
from imgslim.model import ImageConfig, Plan
from imgslim.pipeline import derive_plan
from tests.elves import GLIBC, elf
from tests.worlds import File, Link, Tree, make_world

NODE = "/usr/local/bin/node"
NPM = "/usr/local/lib/node_modules/npm"


def system() -> dict[str, File | Link | str]:
    """Node.js with npm in the official layout, a shell and a few programs."""
    program = File(elf("libc.so.6", interpreter=GLIBC), mode=0o755)
    header = "".join(
        f"#define NODE_{name}_VERSION {number}\n"
        for name, number in (("MAJOR", 24), ("MINOR", 19), ("PATCH", 0))
    )
    return {
        NODE: program,
        "/bin/sh": program,
        "/usr/bin/env": program,
        "/usr/bin/sha256sum": program,
        GLIBC: File(elf(), mode=0o755),
        "/lib/x86_64-linux-gnu/libc.so.6": File(elf(soname="libc.so.6"), mode=0o755),
        "/usr/local/include/node/node_version.h": header,
        "/usr/local/bin/npm": Link("../lib/node_modules/npm/bin/npm-cli.js"),
        "/usr/local/bin/npx": Link("../lib/node_modules/npm/bin/npx-cli.js"),
        f"{NPM}/package.json": '{"name": "npm", "version": "11.0.0"}',
        f"{NPM}/bin/npm-cli.js": File(
            "#!/usr/bin/env node\nrequire('../lib/cli.js')\n", mode=0o755
        ),
        f"{NPM}/bin/npx-cli.js": File(
            "#!/usr/bin/env node\nrequire('../lib/cli.js')\n", mode=0o755
        ),
        f"{NPM}/lib/cli.js": "",
    }


def manifest(name: str = "", version: str = "1.0.0", **fields: Any) -> str:
    """A package.json."""
    return json.dumps({"name": name, "version": version, **fields})


def package(
    name: str, files: Mapping[str, str | File] | None = None, top: str = "/app", **fields: Any
) -> dict[str, str | File]:
    """An installed package with its files, "index.js" unless said otherwise."""
    directory = f"{top}/node_modules/{name}"
    inside = {"index.js": ""} if files is None else files
    return {
        f"{directory}/package.json": manifest(name, **fields),
        **{f"{directory}/{path}": content for path, content in inside.items()},
    }


def plan(
    tmp_path: Path,
    tree: Tree,
    *cmd: str,
    level: Level = Level.BALANCED,
    also_run: tuple[str, ...] = (),
    **config: Any,
) -> Plan:
    """The plan of an image of ``tree`` over ``system()`` that runs ``cmd`` in /app."""
    settings = ImageConfig(cmd=cmd or ("node", "server.js"), working_dir="/app", **config)
    world = make_world(
        tmp_path, {**system(), **tree}, config=settings, choices=Choices(level=level)
    )
    return derive_plan(world, also_run)


def kept(plan: Plan) -> set[str]:
    """The kept paths below /app that are no directories, without "/app/"."""
    paths = [keep.entry.path for keep in plan.keeps if not keep.entry.is_directory]
    return {path.removeprefix("/app/") for path in paths}


def modules(plan: Plan) -> set[str]:
    """The files kept of packages, without "node_modules/"."""
    return {p.removeprefix("node_modules/") for p in kept(plan) if p.startswith("node_modules/")}


def problems(plan: Plan, code: str) -> list[str]:
    """The messages of the problems with this code."""
    return [problem.message for problem in plan.problems if problem.code == code]
