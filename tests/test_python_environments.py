"""``conda run``, ``poetry run`` and their kin: the programs of the environment come before PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.model import ImageConfig
from tests.test_shims import kept_paths
from tests.worlds import File, Link, Tree, make_world

PROGRAM = File("\x7fELF", mode=0o755)
WEB = "/opt/conda/envs/web"
VENV = "/app/.venv"

IMAGE: Tree = {
    "/bin/sh": PROGRAM,
    "/opt/conda/bin/conda": File("#!/opt/conda/bin/python\n", mode=0o755),
    "/opt/conda/bin/python": Link("python3.12"),
    "/opt/conda/bin/python3.12": PROGRAM,
    "/opt/conda/lib/python3.12/os.py": "",
    f"{WEB}/bin/python": Link("python3.11"),
    f"{WEB}/bin/python3.11": PROGRAM,
    f"{WEB}/bin/serve": File(f"#!{WEB}/bin/python3.11\nimport flask\n", mode=0o755),
    f"{WEB}/conda-meta/history": "",
    f"{WEB}/conda-meta/flask-3.0-0.json": "{}",
    f"{WEB}/etc/conda/activate.d/gdal.sh": "export GDAL_DATA=/x\n",
    f"{WEB}/lib/python3.11/os.py": "",
    f"{WEB}/lib/python3.11/site-packages/flask.py": "",
    "/usr/local/bin/poetry": File("#!/usr/local/bin/python3.11\n", mode=0o755),
    "/usr/local/bin/python3.11": PROGRAM,
    "/usr/local/lib/python3.11/os.py": "",
    f"{VENV}/pyvenv.cfg": "home = /usr/local/bin\n",
    f"{VENV}/bin/python": Link("/usr/local/bin/python3.11"),
    f"{VENV}/bin/serve": File(f"#!{VENV}/bin/python\nimport flask\n", mode=0o755),
    f"{VENV}/lib/python3.11/site-packages/flask.py": "",
    "/app/app.py": "import flask\n",
}


@pytest.mark.parametrize(
    ("command", "home", "program"),
    [
        ("conda run -n web python app.py", WEB, "python3.11"),
        ("conda run --no-capture-output -n web serve app:app", WEB, "serve"),
        ("conda run --name=web serve", WEB, "serve"),
        (f"conda run -p {WEB} serve", WEB, "serve"),
        ("sh -c 'exec conda run -n web serve'", WEB, "serve"),
        ("poetry run serve", VENV, "serve"),
        ("poetry run python app.py", VENV, "python"),
    ],
)
def test_the_environments_own_programs_come_first(
    tmp_path: Path, command: str, home: str, program: str
) -> None:
    words = command.split() if "'" not in command else ["sh", "-c", command.split("'")[1]]
    env = (("PATH", "/opt/conda/bin:/usr/local/bin:/bin"),)
    config = ImageConfig(cmd=tuple(words), env=env, working_dir="/app")
    kept = kept_paths(make_world(tmp_path, IMAGE, config=config))
    assert {f"{home}/bin/{program}", f"{home}/lib/python3.11/site-packages/flask.py"} <= kept


CENTRAL = [
    # poetry: NAME-HASH-pyX.Y, of the directory; pipenv: NAME-HASH, of the Pipfile in it.
    ("poetry", "/root/.cache/pypoetry/virtualenvs", "shop-{}-py3.11", ()),
    ("poetry", "/envs", "shop-{}-py3.11", (("POETRY_VIRTUALENVS_PATH", "/envs"),)),
    ("pipenv", "/root/.local/share/virtualenvs", "app-{}", ()),
    ("pipenv", "/envs", "app-{}", (("WORKON_HOME", "/envs"),)),
    ("hatch", "/root/.local/share/hatch/env/virtual/shop", "{}/shop", ()),
]


@pytest.mark.parametrize(("tool", "folder", "name", "variables"), CENTRAL)
def test_an_environment_outside_the_project_is_found(
    tmp_path: Path, tool: str, folder: str, name: str, variables: tuple[tuple[str, str], ...]
) -> None:
    """The hashes are what poetry 2.1 and pipenv 2024.4 made for a project in /app."""
    hashed = {"poetry": "9TtSrW0h", "pipenv": "4PlAip0Q"}.get(tool, "x1y2z3w4")
    own, other = (f"{folder}/{name.format(part)}" for part in (hashed, "AAAAAAAA"))
    tree: Tree = {path: value for path, value in IMAGE.items() if not path.startswith(VENV)}
    tree[f"/usr/local/bin/{tool}"] = File("#!/usr/local/bin/python3.11\n", mode=0o755)
    for venv in (own, other) if tool != "hatch" else (own,):
        tree |= {
            f"{venv}/pyvenv.cfg": "home = /usr/local/bin\n",
            f"{venv}/bin/python": Link("/usr/local/bin/python3.11"),
            f"{venv}/bin/serve": File(f"#!{venv}/bin/python\nimport flask\n", mode=0o755),
            f"{venv}/lib/python3.11/site-packages/flask.py": "",
        }
    env = (("PATH", "/usr/local/bin:/bin"), *variables)
    config = ImageConfig(cmd=(tool, "run", "serve"), env=env, working_dir="/app")
    kept = kept_paths(make_world(tmp_path, tree, config=config))
    assert {f"{own}/bin/serve", f"{own}/lib/python3.11/site-packages/flask.py"} <= kept
    assert f"{other}/bin/serve" not in kept


def test_what_makes_a_directory_an_environment_to_conda_stays(tmp_path: Path) -> None:
    env = (("PATH", "/opt/conda/bin:/bin"),)
    config = ImageConfig(cmd=("conda", "run", "-n", "web", "serve"), env=env)
    kept = kept_paths(make_world(tmp_path, IMAGE, config=config))
    assert {f"{WEB}/conda-meta/history", f"{WEB}/etc/conda/activate.d/gdal.sh"} <= kept
    assert f"{WEB}/conda-meta/flask-3.0-0.json" not in kept
