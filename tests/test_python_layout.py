"""Where Python is in an image: installations, virtual environments, what they claim and keep."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from imgslim.model import Claim, ImageConfig, Need, Problem, Scope
from imgslim.runtimes.python import PythonRuntime
from imgslim.runtimes.python.invoke import PythonCommand, parse_python_argv
from imgslim.runtimes.python.layout import discover_layout, environment_of, is_interpreter
from imgslim.runtimes.python.stdlib import stdlib_needs
from tests.worlds import Dir, File, Link, Member, Tree, make_world

OFFICIAL: Tree = {
    "/usr/local/bin/python3.11": File("\x7fELF", mode=0o755),
    "/usr/local/bin/python3": Link("python3.11"),
    "/usr/local/bin/python": Link("python3"),
    "/usr/local/bin/idle3": Link("idle3.11"),
    "/usr/local/bin/idle3.11": File("#!/usr/local/bin/python3.11\n", mode=0o755),
    "/usr/local/lib/libpython3.11.so": Link("libpython3.11.so.1.0"),
    "/usr/local/lib/libpython3.11.so.1.0": "\x7fELF",
    "/usr/local/lib/python3.11/os.py": "",
    "/usr/local/lib/python3.11/turtle.py": "",
    "/usr/local/lib/python3.11/tkinter/__init__.py": "",
    "/usr/local/lib/python3.11/test/support.py": "",
    "/usr/local/lib/python3.11/sqlite3/test/dbapi.py": "",
    "/usr/local/lib/python3.11/config-3.11-x86_64-linux-gnu/Makefile": "",
    "/usr/local/lib/python3.11/lib-dynload/_json.so": "",
    "/usr/local/lib/python3.11/lib-dynload/_testcapi.cpython-311.so": "",
    "/usr/local/lib/python3.11/lib-dynload/_tkinter.cpython-311.so": "",
    "/usr/local/lib/python3.11/site-packages/README.txt": "",
    "/usr/local/lib/python3.11/site-packages/mine.py": "",
    "/usr/local/include/python3.11/patchlevel.h": '#define PY_VERSION      "3.11.9"\n',
}


def covers(claims: Iterable[Claim], path: str) -> bool:
    return any(
        path == claim.path or (claim.scope is Scope.TREE and path.startswith(f"{claim.path}/"))
        for claim in claims
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("python", True),
        ("python3", True),
        ("python3.6m", True),
        ("python3.13t", True),
        ("python3-config", False),
        ("python.sh", False),
        ("pypy3", False),
    ],
)
def test_interpreters_are_known_by_name(name: str, expected: bool) -> None:
    assert is_interpreter(name) is expected


LAYOUTS: dict[str, tuple[Tree, str, str, list[str]]] = {
    "official": (
        OFFICIAL,
        "/usr/local/bin/python",
        "/usr/local",
        ["/usr/local/lib/python3.11/site-packages"],
    ),
    "debian": (
        {
            "/bin": Link("usr/bin"),
            "/usr/bin/python3": Link("python3.11"),
            "/usr/bin/python3.11": File("", mode=0o755),
            "/usr/lib/python3.11/os.py": "",
            "/usr/lib/python3/dist-packages/yaml/__init__.py": "",
            "/usr/local/lib/python3.11/dist-packages": Dir(),
        },
        "/bin/python3",
        "/usr",
        ["/usr/local/lib/python3.11/dist-packages", "/usr/lib/python3/dist-packages"],
    ),
    "a venv of an interpreter far away": (
        {
            "/app/.venv/pyvenv.cfg": "home = /root/.local/share/uv/python/cpython-3.12/bin\n",
            "/app/.venv/bin/python": Link("/root/.local/share/uv/python/cpython-3.12/bin/python3"),
            "/app/.venv/bin/python3": Link("python"),
            "/app/.venv/lib/python3.12/site-packages/flask.py": "",
            "/root/.local/share/uv/python/cpython-3.12": Link("cpython-3.12.3"),
            "/root/.local/share/uv/python/cpython-3.12.3/bin/python3": Link("python3.12"),
            "/root/.local/share/uv/python/cpython-3.12.3/bin/python3.12": File("", mode=0o755),
            "/root/.local/share/uv/python/cpython-3.12.3/lib/python3.12/os.py": "",
        },
        "/app/.venv/bin/python3",
        "/app/.venv",
        ["/app/.venv/lib/python3.12/site-packages"],
    ),
    "a venv with a copied interpreter, its home behind a link": (
        {
            "/venv/pyvenv.cfg": "home = /opt/current/bin\nversion = 3.12.3\n",
            "/venv/bin/python": File("", mode=0o755),
            "/venv/lib/python3.12/site-packages": Dir(),
            "/opt/current": Link("python/real"),
            "/opt/python/real/lib/python3.12/os.py": "",
        },
        "/venv/bin/python",
        "/venv",
        ["/venv/lib/python3.12/site-packages"],
    ),
    "a venv that sees the system's": (
        {
            **OFFICIAL,
            "/venv/pyvenv.cfg": "home = /usr/local/bin\ninclude-system-site-packages = true\n",
            "/venv/bin/python": Link("/usr/local/bin/python3.11"),
            "/venv/lib/python3.11/site-packages": Dir(),
        },
        "/venv/bin/python",
        "/venv",
        ["/venv/lib/python3.11/site-packages", "/usr/local/lib/python3.11/site-packages"],
    ),
    "two versions under one prefix": (
        {
            "/usr/bin/python3.9": File("", mode=0o755),
            "/usr/bin/python3.13t": File("", mode=0o755),
            "/usr/lib/python3.9/os.py": "",
            "/usr/lib/python3.13t/os.py": "",
            "/usr/lib/python3.13t/site-packages": Dir(),
        },
        "/usr/bin/python3.13t",
        "/usr",
        ["/usr/lib/python3.13t/site-packages"],
    ),
    "lib64 beside lib": (
        {
            "/usr/bin/python3.11": File("", mode=0o755),
            "/usr/lib64/python3.11/os.py": "",
            "/usr/lib64/python3.11/site-packages": Dir(),
            "/usr/lib/python3.11/site-packages": Dir(),
        },
        "/usr/bin/python3.11",
        "/usr",
        ["/usr/lib/python3.11/site-packages", "/usr/lib64/python3.11/site-packages"],
    ),
    "packages of a user": (
        {
            **OFFICIAL,
            "/home/app/.local/lib/python3.11/site-packages": Dir(),
            "/home/app/.local/lib/python3.9/site-packages": Dir(),
        },
        "/usr/local/bin/python",
        "/usr/local",
        [
            "/home/app/.local/lib/python3.11/site-packages",
            "/usr/local/lib/python3.11/site-packages",
        ],
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_environments(tmp_path: Path, name: str) -> None:
    tree, interpreter, prefix, sites = LAYOUTS[name]
    world = make_world(tmp_path, tree)
    environment = environment_of(world.rootfs, discover_layout(world), interpreter)
    assert environment is not None
    assert (environment.prefix, list(environment.site_paths)) == (prefix, sites)


def test_pythonhome_overrides_where_the_interpreter_is(tmp_path: Path) -> None:
    tree = {**OFFICIAL, "/opt/py/lib/python3.11/os.py": ""}
    world = make_world(tmp_path, tree, config=ImageConfig(env=(("PYTHONHOME", "/opt/py"),)))
    environment = environment_of(world.rootfs, discover_layout(world), "/usr/local/bin/python3.11")
    assert environment is not None
    assert environment.prefix == "/opt/py"


def test_an_unowned_installation_is_claimed_but_not_what_the_user_put_into_it(
    tmp_path: Path,
) -> None:
    tree = {**OFFICIAL, "/app/__pycache__/app.cpython-311.pyc": "", "/usr/local/bin/mine": ""}
    claims = list(PythonRuntime(make_world(tmp_path, tree)).claims())
    claimed = [path for path in tree if covers(claims, path)]
    assert set(tree) - set(claimed) == {
        "/usr/local/lib/python3.11/site-packages/mine.py",
        "/usr/local/bin/mine",
    }


def test_the_skeleton_of_a_venv_is_claimed(tmp_path: Path) -> None:
    tree = {
        **OFFICIAL,
        "/venv/pyvenv.cfg": "home = /usr/local/bin\n",
        "/venv/bin/python": Link("/usr/local/bin/python3.11"),
        "/venv/bin/activate.fish": "",
        "/venv/bin/run-app": "",
    }
    claims = list(PythonRuntime(make_world(tmp_path, tree)).claims())
    venv = {path for path in tree if path.startswith("/venv") and covers(claims, path)}
    assert venv == {"/venv/pyvenv.cfg", "/venv/bin/python", "/venv/bin/activate.fish"}


def test_the_standard_library_without_its_tests_and_build_files(tmp_path: Path) -> None:
    world = make_world(tmp_path, OFFICIAL)
    base = discover_layout(world).installations[0]
    paths = {need.path for need in stdlib_needs(world, base, (), "<test>")}
    kept = sorted(path for path in OFFICIAL if path in paths)
    assert kept == [
        "/usr/local/lib/python3.11/lib-dynload/_json.so",
        "/usr/local/lib/python3.11/os.py",
    ]


def test_a_venv_link_brings_its_config_and_the_installation(tmp_path: Path) -> None:
    tree = {
        **OFFICIAL,
        "/venv/pyvenv.cfg": "home = /usr/local/bin\n",
        "/venv/bin/python": Link("/usr/local/bin/python3.11"),
        "/venv/bin/python3": Link("python"),
        "/venv/lib/python3.11/site-packages": Dir(),
    }
    world = make_world(tmp_path, tree)
    runtime = PythonRuntime(world)
    found = list(runtime.needs(world.rootfs.entries["/venv/bin/python"]))
    paths = {finding.path for finding in found if isinstance(finding, Need)}
    assert {"/venv/pyvenv.cfg", "/venv/bin/python3", "/usr/local/lib/python3.11/os.py"} <= paths


def test_another_python_keeps_its_tree_and_says_so(tmp_path: Path) -> None:
    tree: Tree = {
        "/opt/pypy/bin/pypy3": File("\x7fELF", mode=0o755),
        "/opt/pypy/lib/pypy3.9/os.py": "",
    }
    world = make_world(tmp_path, tree)
    runtime = PythonRuntime(world)
    entry = world.rootfs.entries["/opt/pypy/bin/pypy3"]
    found = list(runtime.needs(entry))
    assert ("/opt/pypy", Scope.TREE) in [(n.path, n.scope) for n in found if isinstance(n, Need)]
    assert [p.code for p in found if isinstance(p, Problem)] == ["python-implementation"]
    assert "not understood" in (runtime.describe(entry) or "")
    assert list(runtime.claims()) == []


def test_programs_are_described(tmp_path: Path) -> None:
    site = "/usr/local/lib/python3.11/site-packages"
    tree: dict[str, Member] = {
        **OFFICIAL,
        "/usr/local/bin/gunicorn": File("#!/usr/local/bin/python3.11\n", mode=0o755),
        "/app/run": File("#!/usr/bin/env python3\n", mode=0o755),
        "/app/other": File("#!/bin/sh\n", mode=0o755),
        f"{site}/gunicorn-23.0.0.dist-info/METADATA": "Name: gunicorn\nVersion: 23.0.0\n",
        f"{site}/gunicorn-23.0.0.dist-info/RECORD": "../../../bin/gunicorn,,\n",
        f"{site}/gunicorn-23.0.0.dist-info/entry_points.txt": (
            "[console_scripts]\ngunicorn = gunicorn.app.wsgiapp:run\n"
        ),
    }
    world = make_world(tmp_path, tree)
    runtime = PythonRuntime(world)

    def describe(path: str) -> str | None:
        return runtime.describe(world.rootfs.entries[path])

    assert describe("/usr/local/bin/python3.11") == "CPython 3.11.9 in /usr/local"
    assert describe("/usr/local/bin/gunicorn") == (
        "console script gunicorn of distribution gunicorn 23.0.0, CPython 3.11.9 in /usr/local"
    )
    assert describe("/app/run") == "Python script"
    assert describe("/app/other") is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("python app.py -m x", PythonCommand(script="app.py", arguments=("-m", "x"))),
        ("python -u -W ignore -m pkg a", PythonCommand(module="pkg", arguments=("a",))),
        ("python -Xdev -um pkg", PythonCommand(module="pkg")),
        ("python -mpkg", PythonCommand(module="pkg")),
        ("python -Ic code x", PythonCommand(code="code", arguments=("x",))),
        ("python --check-hash-based-pycs never a.py", PythonCommand(script="a.py")),
        ("python -", PythonCommand()),
        ("python", PythonCommand()),
    ],
)
def test_command_lines(words: str, expected: PythonCommand) -> None:
    assert parse_python_argv(words.split()) == expected
