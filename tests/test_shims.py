"""Version managers' shims: which version's program runs, and what of the manager stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.model import ImageConfig, Origin, OriginKind
from imgslim.plan import build_plan
from imgslim.roots import resolve_roots
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.python import PythonRuntime
from imgslim.runtimes.script import ScriptRuntime
from imgslim.runtimes.shell import ShellRuntime
from imgslim.runtimes.shims import ShimRuntime
from imgslim.world import World
from tests.worlds import Dir, File, Link, Member, Tree, make_world

ROOT = "/root/.pyenv"
PATH = f"{ROOT}/shims:{ROOT}/bin:/usr/bin"
SHIM = File(
    '#!/usr/bin/env bash\nset -e\nprogram="${0##*/}"\n'
    f'export PYENV_ROOT="{ROOT}"\nexec "{ROOT}/libexec/pyenv" exec "$program" "$@"\n',
    mode=0o755,
)


def version(name: str, *programs: str) -> dict[str, Member]:
    home, short = f"{ROOT}/versions/{name}", ".".join(name.split(".")[:2])
    return {
        f"{home}/lib/python{short}/os.py": "",
        f"{home}/bin/python3": Link(f"python{short}"),
        f"{home}/bin/python{short}": File("\x7fELF", mode=0o755),
        **{
            f"{home}/bin/{program}": File(f"#!{home}/bin/python{short}\n", mode=0o755)
            for program in programs
        },
    }


IMAGE: Tree = {
    "/usr/bin/env": File("\x7fELF", mode=0o755),
    "/usr/bin/bash": File("\x7fELF", mode=0o755),
    "/usr/bin/git": File("\x7fELF", mode=0o755),
    "/usr/bin/serve": File("\x7fELF", mode=0o755),
    f"{ROOT}/bin/pyenv": Link("../libexec/pyenv"),
    f"{ROOT}/libexec/pyenv": File('#!/usr/bin/env bash\nexec "$command_path" "$@"\n', mode=0o755),
    f"{ROOT}/libexec/pyenv-exec": File("#!/usr/bin/env bash\n", mode=0o755),
    f"{ROOT}/plugins/python-build/bin/pyenv-install": File(
        "#!/usr/bin/env bash\ngit clone x\n", mode=0o755
    ),
    f"{ROOT}/plugins/python-build/share/3.12.1": "x" * 100,
    f"{ROOT}/pyenv.d/exec/pip-rehash.bash": "",
    f"{ROOT}/README.md": "",
    f"{ROOT}/version": "3.12.1\n",
    f"{ROOT}/shims/serve": SHIM,
    f"{ROOT}/shims/python3": SHIM,
    f"{ROOT}/shims/pip": SHIM,
    **version("3.7.16", "serve"),
    **version("3.12.1", "serve"),
    **version("3.12.9", "serve"),
    **version("3.13.0"),
    "/srv/app": Dir(),
}


def kept_paths(world: World) -> set[str]:
    """What stays of an image whose files are all of packages."""
    commands, findings = resolve_roots(world, ())
    kinds = (CommandRuntime, ShimRuntime, PythonRuntime, ShellRuntime, ScriptRuntime)
    runtimes = [kind(world) for kind in kinds]
    plan = build_plan(world, commands, findings, runtimes, lambda _: Origin(OriginKind.PACKAGE, ""))
    return {keep.entry.path for keep in plan.keeps}


@pytest.mark.parametrize(
    ("files", "variable", "expected"),
    [
        ({}, "", "3.12.1"),
        ({"/srv/app/.python-version": "3.7.16\n"}, "", "3.7.16"),
        ({"/srv/.python-version": "# mine\n3.7.16\n"}, "", "3.7.16"),
        ({"/srv/app/.python-version": "3.7.16\n"}, "3.12.9", "3.12.9"),
        ({"/srv/app/.python-version": "3.12\n"}, "", "3.12.9"),
        ({"/srv/app/.python-version": "python-3.7.16\n"}, "", "3.7.16"),
        ({"/srv/app/.python-version": "3.13.0\n3.12.1\n"}, "", "3.13.0 3.12.1"),
    ],
)
@pytest.mark.parametrize("command", [("serve", "x"), ("pyenv", "exec", "serve", "x")])
def test_a_shim_brings_the_program_of_the_chosen_version(
    tmp_path: Path, files: Tree, variable: str, expected: str, command: tuple[str, ...]
) -> None:
    env = (("PATH", PATH), *((("PYENV_VERSION", variable),) if variable else ()))
    config = ImageConfig(cmd=command, env=env, working_dir="/srv/app")
    kept = kept_paths(make_world(tmp_path, {**IMAGE, **files}, config=config))
    versions = {path.split("/")[4] for path in kept if path.startswith(f"{ROOT}/versions/")}
    assert versions == set(expected.split())
    assert f"{ROOT}/versions/{expected.split()[-1]}/bin/serve" in kept


def test_the_managers_scripts_stay_but_not_what_its_other_commands_run(tmp_path: Path) -> None:
    config = ImageConfig(cmd=("serve",), env=(("PATH", PATH),), working_dir="/srv/app")
    kept = kept_paths(make_world(tmp_path, IMAGE, config=config))
    assert {
        f"{ROOT}/bin/pyenv",
        f"{ROOT}/libexec/pyenv-exec",
        f"{ROOT}/pyenv.d/exec/pip-rehash.bash",
        f"{ROOT}/shims/python3",
        f"{ROOT}/version",
        "/usr/bin/bash",
        "/usr/bin/env",
    } <= kept
    assert not kept & {
        "/usr/bin/git",
        f"{ROOT}/plugins/python-build/share/3.12.1",
        f"{ROOT}/README.md",
        f"{ROOT}/shims/pip",
    }


def test_system_is_what_path_has_without_the_shims(tmp_path: Path) -> None:
    tree = {**IMAGE, "/srv/app/.python-version": "system\n"}
    config = ImageConfig(cmd=("serve",), env=(("PATH", PATH),), working_dir="/srv/app")
    kept = kept_paths(make_world(tmp_path, tree, config=config))
    assert "/usr/bin/serve" in kept
    assert not any(path.startswith(f"{ROOT}/versions/") for path in kept)


@pytest.mark.parametrize(
    ("manager", "file", "text"),
    [("rbenv", ".ruby-version", "ruby-3.2.1\n"), ("nodenv", ".node-version", "v3.2.1\n")],
)
def test_managers_made_like_pyenv_are_followed(
    tmp_path: Path, manager: str, file: str, text: str
) -> None:
    root = f"/opt/{manager}"
    shim = f'#!/usr/bin/env bash\nset -e\nexec "{root}/libexec/{manager}" exec "$program" "$@"\n'
    tree: Tree = {
        "/usr/bin/env": File("\x7fELF", mode=0o755),
        "/usr/bin/bash": File("\x7fELF", mode=0o755),
        f"{root}/bin/{manager}": Link(f"../libexec/{manager}"),
        f"{root}/libexec/{manager}": File("#!/usr/bin/env bash\n", mode=0o755),
        f"{root}/shims/serve": File(shim, mode=0o755),
        f"{root}/versions/3.2.1/bin/serve": File("\x7fELF", mode=0o755),
        f"{root}/versions/3.3.0/bin/serve": File("\x7fELF", mode=0o755),
        f"/srv/app/{file}": text,
    }
    env = (("PATH", f"{root}/shims:/usr/bin"),)
    config = ImageConfig(cmd=("serve",), env=env, working_dir="/srv/app")
    kept = kept_paths(make_world(tmp_path, tree, config=config))
    assert {f"{root}/versions/3.2.1/bin/serve", f"{root}/libexec/{manager}"} <= kept
    assert f"{root}/versions/3.3.0/bin/serve" not in kept
