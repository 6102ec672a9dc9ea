"""What Python code names and no run in the image needs: conditions, tools, prompts, parts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.commands import resolve_command
from imgslim.model import ImageConfig, Origin, OriginKind, Plan
from imgslim.plan import build_plan
from imgslim.provenance import classify
from imgslim.runtimes.python import PythonRuntime
from imgslim.runtimes.python.conditions import parse_version, version_holds
from tests.elves import elf
from tests.test_python_levels import LIB, app, kept, plan_at
from tests.test_python_reach import PYTHON, SITE, dist
from tests.worlds import Tree, make_world

LARGE = "#" * 120_000


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("sys.version_info >= (3, 8)", True),
        ("sys.version_info >= (3, 11)", True),
        ("sys.version_info < (3, 11)", False),
        ("sys.version_info == (3, 11)", False),
        ("sys.version_info > (3, 11)", True),
        ("sys.version_info >= (3, 11, 4)", None),
        ("sys.version_info[0] == 2", False),
        ("sys.version_info[1] >= 12", False),
        ("sys.version_info[:2] == (3, 11)", True),
        ("sys.version_info.major < 3", False),
        ("sys.version_info.minor >= 9", True),
        ("sys.version_info >= wanted", None),
        ("other >= (3, 8)", None),
    ],
)
def test_conditions_on_the_version(condition: str, expected: bool | None) -> None:
    test = ast.parse(condition, mode="eval").body
    assert version_holds(test, parse_version("3.11")) is expected
    assert version_holds(test, parse_version("unknown")) is None


@pytest.mark.parametrize(
    ("code", "brings"),
    [
        ("if sys.version_info >= (3, 8):\n    import new\nelse:\n    import old\n", {"new"}),
        ("if sys.version_info < (3, 8):\n    import old\nelse:\n    import new\n", {"new"}),
        (
            "if sys.version_info >= (3, 11, 2):\n    import new\nelse:\n    import old\n",
            {"new", "old"},
        ),
        ("if sys.version_info < (3,):\n    import old\nelif x:\n    import new\n", {"new"}),
    ],
)
def test_imports_for_other_versions_bring_nothing(
    tmp_path: Path, code: str, brings: set[str]
) -> None:
    tree = {
        **app(f"import sys\n{code}"),
        **dist("new", {"new.py": ""}),
        **dist("old", {"old.py": ""}),
    }
    found = kept(plan_at(tmp_path, Level.TIGHT, tree))
    assert found & {"new.py", "old.py"} == {f"{name}.py" for name in brings}


@pytest.mark.parametrize(
    ("command", "main", "runs"),
    [
        (("python", "-m", "pretty"), "", True),
        (("python", "/app/main.py"), "", False),
        (("python", "/app/main.py"), "subprocess.run([sys.executable, '-m', 'pretty'])\n", True),
    ],
)
def test_a_module_of_the_library_as_a_command_of_its_own(
    tmp_path: Path, command: tuple[str, ...], main: str, runs: bool
) -> None:
    """``main`` counts where the module runs, not where it is imported."""
    tree: Tree = {
        **PYTHON,
        **app(f"import pretty, subprocess, sys\n{main}"),
        f"{LIB}/pretty.py": "import re\ndef main():\n    import argparse\ndef show():\n"
        "    import pprint\nif __name__ == '__main__':\n    main()\n",
        **{f"{LIB}/{name}.py": "" for name in ("re", "argparse", "pprint")},
    }
    found = kept(planned(tmp_path, tree, command, Level.TIGHT), LIB)
    assert {"re.py", "pprint.py"} <= found
    assert ("argparse.py" in found) is runs


@pytest.mark.parametrize(
    ("command", "main", "comes"),
    [
        (("python", "/app/main.py"), "", False),
        (("python", "/app/main.py"), "import readline\n", True),
        (("python",), "", True),
    ],
)
def test_line_editing_is_for_prompts(
    tmp_path: Path, command: tuple[str, ...], main: str, comes: bool
) -> None:
    tree: Tree = {
        **PYTHON,
        **app(main),
        f"{LIB}/site.py": "def register_readline():\n    import readline\n    import rlcompleter\n",
        f"{LIB}/lib-dynload/readline.cpython-311-x86_64-linux-gnu.so": elf(),
        f"{LIB}/rlcompleter.py": "",
    }
    found = kept(planned(tmp_path, tree, command, Level.TIGHT), LIB)
    assert ("lib-dynload/readline.cpython-311-x86_64-linux-gnu.so" in found) is comes


def planned(tmp_path: Path, tree: Tree, command: tuple[str, ...], level: Level, **env: str) -> Plan:
    config = ImageConfig(cmd=command, working_dir="/app", env=tuple(env.items()))
    world = make_world(tmp_path, tree, config=config, choices=Choices(level=level))
    runtime = PythonRuntime(world)
    origin_of = classify(world, runtime.claims())
    commands = list(resolve_command(world, command, "<cmd>"))
    system = Origin(OriginKind.PACKAGE)
    return build_plan(
        world,
        [],
        commands,
        [runtime],
        lambda path: system if path.startswith("/sbin/") else origin_of(path),
    )


def parts(init: str = "", **more: str | bytes) -> Tree:
    return dist(
        "web",
        {
            **more,
            "web/__init__.py": init,
            "web/core.py": "# web.maps is documented here\n",
            "web/maps/__init__.py": "from . import views\n",
            "web/maps/views.py": LARGE,
            "web/maps/static/map.js": "",
            "web/small/__init__.py": "",
        },
    )


@pytest.mark.parametrize(
    ("main", "init", "more", "comes"),
    [
        ("import web.core\n", "", {}, False),
        ("import web.core\nAPPS = ['web.maps']\n", "", {}, True),
        ("import web.core\nfrom web import maps\n", "", {}, True),
        ("import web.core\nNAME = 'maps'\n", "", {}, True),
        ("import web.core\n", "from importlib import import_module\n", {}, True),
        ("import web.core\n", "", {"/app/web.conf": "load: web.maps\n"}, True),
        ("import web.core\n", "", {"/app/files.json": '["img/maps/a.svg"]\n'}, False),
    ],
)
def test_large_parts_that_nothing_names_are_set_apart(
    tmp_path: Path, main: str, init: str, more: Tree, comes: bool
) -> None:
    tree = {**app(main), **parts(init), **more}
    plan = plan_at(tmp_path, Level.BALANCED, tree)
    found = kept(plan)
    assert {"web/core.py", "web/small/__init__.py"} <= found
    expected = {"web/maps/__init__.py", "web/maps/views.py", "web/maps/static/map.js"}
    assert expected <= found if comes else expected.isdisjoint(found)
    said = [problem for problem in plan.problems if problem.path == f"{SITE}/web/maps"]
    assert [problem.cost_bytes >= len(LARGE) for problem in said] == ([] if comes else [True])
    (tmp_path / "safe").mkdir()
    assert expected <= kept(plan_at(tmp_path / "safe", Level.SAFE, tree))


def test_a_compiled_module_may_name_a_part(tmp_path: Path) -> None:
    tree = {**app("import web.core\n"), **parts(**{"web/fast.so": elf()})}
    assert "web/maps/views.py" in kept(plan_at(tmp_path, Level.BALANCED, tree))


def test_a_variable_names_a_part(tmp_path: Path) -> None:
    tree = {**PYTHON, **app("import web.core\n"), **parts()}
    plan = planned(tmp_path, tree, ("python", "/app/main.py"), Level.BALANCED, APPS="x,web.maps")
    assert "web/maps/views.py" in kept(plan)


@pytest.mark.parametrize("level", [Level.BALANCED, Level.TIGHT])
@pytest.mark.parametrize(
    ("call", "comes"),
    [("FFI().dlopen(None)", False), ("FFI().dlopen('sodium')", True), ("x = FFI().dlopen", True)],
)
def test_a_binding_generator_looks_for_what_callers_name(
    tmp_path: Path, level: Level, call: str, comes: bool
) -> None:
    api = "import ctypes.util\ndef load(name):\n    return ctypes.util.find_library(name)\n"
    tree: Tree = {
        **PYTHON,
        **app(f"from cffi.api import FFI\n{call}\n"),
        **dist("cffi", {"cffi/__init__.py": "", "cffi/api.py": api}),
        "/sbin/ldconfig": elf(),
    }
    command = ("python", "/app/main.py")
    paths = {keep.entry.path for keep in planned(tmp_path, tree, command, level).keeps}
    assert ("/sbin/ldconfig" in paths) is comes


@pytest.mark.parametrize("compiled", [True, False])
def test_a_twin_in_python_stays_where_the_compiled_one_is_missing(
    tmp_path: Path, compiled: bool
) -> None:
    extension = {f"{LIB}/lib-dynload/_decimal.cpython-311-x86_64-linux-gnu.so": elf()}
    tree: Tree = {**app(""), f"{LIB}/_pydecimal.py": "", **(extension if compiled else {})}
    found = kept(plan_at(tmp_path, Level.BALANCED, tree), LIB)
    assert ("_pydecimal.py" in found) is not compiled


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize(
    ("command", "main"),
    [
        (("python", "-m", "served"), ""),
        (("python", "-m", "served", "--port", "80"), ""),
        (("python", "/app/main.py"), "subprocess.run([sys.executable, '-m', 'served', '-v'])\n"),
    ],
)
def test_a_distribution_that_runs_as_a_module(
    tmp_path: Path, level: Level, command: tuple[str, ...], main: str
) -> None:
    """No import names it, and it may have no ``__main__`` guard."""
    package = {
        "served/__init__.py": "",
        "served/__main__.py": "from served.core import run\nrun()\n",
        "served/core.py": "def run(): pass\n",
        "served/other.py": "",
    }
    tree: Tree = {
        **PYTHON,
        **app(f"import subprocess, sys\n{main}"),
        **dist("served", package),
        f"{LIB}/subprocess.py": "",
    }
    found = kept(planned(tmp_path, tree, command, level))
    assert {"served/__init__.py", "served/__main__.py", "served/core.py"} <= found
    if command[1] == "-m":
        assert ("served/other.py" in found) is (level is not Level.TIGHT)
