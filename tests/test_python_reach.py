"""Which distributions a program reaches: trees in, the plan's kept distributions out."""

from __future__ import annotations

import io
import posixpath
import zipfile
from pathlib import Path

import pytest

from imgslim.commands import resolve_command
from imgslim.model import ImageConfig, Origin, OriginKind, Plan
from imgslim.plan import build_plan
from imgslim.provenance import classify
from imgslim.runtimes.python import PythonRuntime
from imgslim.runtimes.registry import start_runtimes
from tests.worlds import File, Link, Member, Tree, make_world

SITE = "/usr/local/lib/python3.11/site-packages"
PYTHON: Tree = {
    "/usr/local/bin/python3.11": File("", mode=0o755),
    "/usr/local/bin/python3": Link("python3.11"),
    "/usr/local/bin/python": Link("python3"),
    "/usr/local/lib/python3.11/os.py": "",
    "/usr/local/lib/python3.11/logging/__init__.py": "",
    "/usr/local/lib/python3.11/tkinter/__init__.py": "",
}


def dist(
    name: str,
    files: dict[str, str],
    *,
    requires: str = "",
    entry_points: str = "",
    site: str = SITE,
    extra: dict[str, str] | None = None,
) -> dict[str, Member]:
    """An installed distribution: its modules by path below the site directory."""
    info = f"{site}/{name}-1.0.dist-info"
    listed = [*files, f"{name}-1.0.dist-info/METADATA", *(extra or {})]
    lines = "".join(f"Requires-Dist: {word}\n" for word in requires.split())
    tree: dict[str, Member] = {
        posixpath.normpath(f"{site}/{path}"): text for path, text in files.items()
    }
    tree[f"{info}/METADATA"] = f"Name: {name}\nVersion: 1.0\n{lines}"
    tree[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in listed)
    tree[f"{info}/entry_points.txt"] = entry_points
    tree.update({f"{info}/{path}": text for path, text in (extra or {}).items()})
    return tree


def simple(*names: str) -> Tree:
    tree: dict[str, Member] = {}
    for name in names:
        tree.update(dist(name, {f"{name}/__init__.py": ""}))
    return tree


def plan_of(
    tmp_path: Path,
    tree: Tree,
    *cmd: str,
    env: tuple[tuple[str, str], ...] = (),
    python: Tree = PYTHON,
) -> Plan:
    config = ImageConfig(cmd=cmd or ("python", "/app/main.py"), env=env, working_dir="/app")
    world = make_world(tmp_path, {**python, **tree}, config=config)
    runtime = PythonRuntime(world)
    origin_of = classify(world, runtime.claims())
    commands = list(resolve_command(world, config.cmd or (), "<cmd>"))
    return build_plan(world, [], commands, [runtime], origin_of)


def reached(plan: Plan) -> set[str]:
    reasons = {keep.reason for keep in plan.keeps}
    return {reason.split()[1] for reason in reasons if reason.startswith("distribution ")}


def paths(plan: Plan) -> set[str]:
    return {keep.entry.path for keep in plan.keeps}


def plan_without_own_files(tmp_path: Path, tree: Tree) -> Plan:
    """The plan where no file is kept for being the user's: only what is asked for."""
    config = ImageConfig(cmd=("python", "/app/main.py"), working_dir="/app")
    world = make_world(tmp_path, {**PYTHON, **tree}, config=config)
    runtime = PythonRuntime(world)
    commands = list(resolve_command(world, config.cmd or (), "<cmd>"))
    return build_plan(world, [], commands, [runtime], lambda path: Origin(OriginKind.CACHE))


IMPORTS = {
    "import": "import aa",
    "import of a submodule": "import aa.sub.deeper as x",
    "from": "from aa import thing",
    "in a function": "def f():\n    import aa",
    "optional": "try:\n    import aa\nexcept ImportError:\n    aa = None",
    "import_module": "from importlib import import_module\nimport_module('aa.sub')",
    "__import__": "__import__('aa')",
    "a string": "INSTALLED_APPS = ['aa.apps.Config']",
    "a string of one word": "INSTALLED_APPS = ['aa']",
    "metadata": "from importlib.metadata import version\nversion('AA')",
}


@pytest.mark.parametrize("how", IMPORTS)
def test_code_reaches_a_distribution(tmp_path: Path, how: str) -> None:
    tree = {**simple("aa", "bb"), "/app/main.py": IMPORTS[how] + "\n"}
    plan = plan_of(tmp_path, tree)
    assert reached(plan) == {"aa"}
    assert f"{SITE}/aa-1.0.dist-info/METADATA" in paths(plan)
    assert f"{SITE}/bb/__init__.py" not in paths(plan)


NOT_IMPORTS = {
    "a comment": "# import aa",
    "a docstring": '"""\nimport aa\n"""',
    "for type checkers": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from aa import thing"
    ),
    "a module of the standard library": "import logging",
}


@pytest.mark.parametrize("how", NOT_IMPORTS)
def test_code_that_only_looks_like_an_import(tmp_path: Path, how: str) -> None:
    tree = {**simple("aa", "logging"), "/app/main.py": NOT_IMPORTS[how] + "\n"}
    assert reached(plan_of(tmp_path, tree)) == set()


def test_requirements_and_imports_are_followed_to_the_end(tmp_path: Path) -> None:
    tree = {
        **dist("aa", {"aa.py": "import os\n"}, requires="Needed"),
        **dist("needed", {"needed/deep.py": "    import lazy\n"}),
        **dist("lazy", {"lazy.py": "", "tests/test_lazy.py": "import only_tests\n"}),
        **simple("only_tests", "unrelated"),
        "/app/main.py": "import aa\n",
    }
    tree[f"{SITE}/needed/deep.py"] = "def f():\n    import lazy\n"
    assert reached(plan_of(tmp_path, tree)) == {"aa", "needed", "lazy"}


def test_a_distribution_is_kept_whole(tmp_path: Path) -> None:
    files = {
        "aa/__init__.py": "",
        "aa/data.json": "{}",
        "aa.libs/libz.so.1": "",
        "../../../bin/aa": "#!/usr/local/bin/python3.11\n",
    }
    tree = {**dist("aa", files), "/app/main.py": "import aa\n"}
    tree[f"{SITE}/aa/__pycache__/__init__.cpython-311.pyc"] = ""
    tree[f"{SITE}/aa/__pycache__/gone.cpython-311.pyc"] = ""
    kept = paths(plan_of(tmp_path, tree))
    assert f"{SITE}/aa/data.json" in kept
    assert f"{SITE}/aa.libs/libz.so.1" in kept
    assert f"{SITE}/aa/__pycache__/__init__.cpython-311.pyc" in kept
    assert f"{SITE}/aa/__pycache__/gone.cpython-311.pyc" not in kept


def test_a_namespace_is_resolved_to_its_parts(tmp_path: Path) -> None:
    tree = {
        **dist("g-storage", {"google/cloud/storage/__init__.py": ""}),
        **dist("g-pubsub", {"google/cloud/pubsub/__init__.py": ""}),
        **dist("g-auth", {"google/auth/__init__.py": ""}),
        "/app/main.py": "from google.cloud import storage\n",
    }
    assert reached(plan_of(tmp_path, tree)) == {"g-storage"}


def test_an_ambiguous_namespace_is_kept_with_all_its_parts(tmp_path: Path) -> None:
    tree = {
        **dist("g-storage", {"google/cloud/storage/__init__.py": ""}),
        **dist("g-auth", {"google/auth/__init__.py": ""}),
        "/app/main.py": "import google\n",
    }
    assert reached(plan_of(tmp_path, tree)) == {"g-storage", "g-auth"}


def test_a_relative_import_reaches_another_part_of_a_namespace(tmp_path: Path) -> None:
    tree = {
        **dist("n-a", {"n/a/__init__.py": "from ..b import x\n"}),
        **dist("n-b", {"n/b/__init__.py": ""}),
        **dist("n-c", {"n/c/__init__.py": ""}),
        "/app/main.py": "import n.a\n",
    }
    assert reached(plan_of(tmp_path, tree)) == {"n-a", "n-b"}


def test_a_module_without_metadata_is_kept_whole(tmp_path: Path) -> None:
    tree = {
        f"{SITE}/bare/__init__.py": "import aa\n",
        f"{SITE}/bare/data.txt": "",
        f"{SITE}/idle/data.txt": "",
        **simple("aa"),
        "/app/main.py": "import bare\n",
    }
    plan = plan_without_own_files(tmp_path, tree)
    assert f"{SITE}/bare/data.txt" in paths(plan)
    assert f"{SITE}/idle/data.txt" not in paths(plan)
    assert reached(plan) == {"aa"}


@pytest.mark.parametrize(
    ("cmd", "expected"),
    [
        (("python", "-m", "aa"), {"aa"}),
        (("python", "-c", "import aa"), {"aa"}),
        (("python", "-um", "aa.sub", "bb:app"), {"aa", "bb"}),
        (("serve", "bb.wsgi:app"), {"server", "bb"}),
        (("serve", "-k", "bb"), {"server", "bb"}),
        (("serve", "--db=mysql+aa://host/db"), {"server", "aa"}),
    ],
)
def test_commands_reach_distributions(
    tmp_path: Path, cmd: tuple[str, ...], expected: set[str]
) -> None:
    server = dist("server", {"server.py": "", "../../../bin/serve": ""})
    server["/usr/local/bin/serve"] = File("#!/usr/local/bin/python3.11\n", mode=0o755)
    assert reached(plan_of(tmp_path, {**simple("aa", "bb", "cc"), **server}, *cmd)) == expected


def test_variables_reach_distributions(tmp_path: Path) -> None:
    env = (("DJANGO_SETTINGS_MODULE", "aa.settings"), ("DATABASE_URL", "postgresql://h/db"))
    tree = {**simple("aa", "psycopg2", "cc"), "/app/main.py": ""}
    assert reached(plan_of(tmp_path, tree, env=env)) == {"aa", "psycopg2"}


def test_a_zip_application_is_looked_into(tmp_path: Path) -> None:
    buffer = io.BytesIO(b"")
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__main__.py", "import aa\n")
    data = b"#!/usr/bin/env python3\n" + buffer.getvalue()
    tree = {**simple("aa", "bb"), "/app/run.pyz": File(data, mode=0o755)}
    assert reached(plan_of(tmp_path, tree, "python", "run.pyz")) == {"aa"}


def test_plugins_of_a_group_that_reached_code_loads(tmp_path: Path) -> None:
    loader = "from importlib.metadata import entry_points\nentry_points(group='aa.plugins')\n"
    tree = {
        **dist("aa", {"aa.py": loader}),
        **dist("plugin", {"plugin.py": ""}, entry_points="[aa.plugins]\nx = plugin\n"),
        **dist("other", {"other.py": ""}, entry_points="[bb.plugins]\nx = other\n"),
        **dist("script", {"script.py": ""}, entry_points="[console_scripts]\nx = script:f\n"),
        "/app/main.py": "import aa\n",
    }
    assert reached(plan_of(tmp_path, tree)) == {"aa", "plugin"}


def test_build_tools_are_kept_only_where_a_run_can_need_them(tmp_path: Path) -> None:
    files = {
        "aa/__init__.py": "",
        "aa/build.py": "try:\n    import setuptools\nexcept ImportError:\n    pass\n",
        "aa/window.py": "import tkinter\n",
    }
    tree = {
        **dist("aa", files),
        **simple("setuptools"),
        "/app/main.py": "import aa\n",
        "/app/setup.py": "from setuptools import setup\n",
        "/app/pyproject.toml": '[build-system]\nbuild-backend = "setuptools.build_meta"\n',
    }
    plan = plan_of(tmp_path, tree)
    assert reached(plan) == {"aa"}
    assert "/usr/local/lib/python3.11/tkinter/__init__.py" not in paths(plan)
    assert [p.code for p in plan.problems] == ["optional-import"]


@pytest.mark.parametrize(
    "code", ["import setuptools, tkinter\n", "from aa import window, build\nimport aa.build\n"]
)
def test_build_tools_and_windows_that_the_app_uses_are_kept(tmp_path: Path, code: str) -> None:
    files = {
        "aa/__init__.py": "",
        "aa/build.py": "def f():\n    import setuptools\n",
        "aa/window.py": "import tkinter\n",
    }
    tree = {**dist("aa", files), **simple("setuptools"), "/app/main.py": code}
    plan = plan_of(tmp_path, tree)
    assert "setuptools" in reached(plan)
    assert "/usr/local/lib/python3.11/tkinter/__init__.py" in paths(plan)


def test_an_unparsed_source_counts_with_every_import(tmp_path: Path) -> None:
    tree = {**simple("aa", "bb"), "/app/main.py": "print 'x'\nimport aa\n"}
    plan = plan_of(tmp_path, tree)
    assert reached(plan) == {"aa"}
    assert [(p.code, p.path) for p in plan.problems] == [("unparsed-source", "/app/main.py")]


def test_path_files_belong_to_their_distribution_or_to_the_environment(tmp_path: Path) -> None:
    tree = {
        **dist("quiet", {"quiet.pth": "import noise\n", "noise.py": ""}),
        f"{SITE}/mine.pth": "/srv/lib\nimport aa\n",
        "/srv/lib/helper.py": "import bb\n",
        **simple("aa", "bb"),
        "/app/main.py": "",
    }
    plan = plan_of(tmp_path, tree)
    assert reached(plan) == {"aa", "bb"}
    assert f"{SITE}/mine.pth" in paths(plan)
    assert f"{SITE}/quiet.pth" not in paths(plan)


EDITABLE = {
    "path": {"__editable__.app-1.0.pth": "/src/app\n"},
    "finder": {
        "__editable__.app-1.0.pth": "import __editable___app_finder\n",
        "__editable___app_finder.py": "MAPPING: dict[str, str] = {'app': '/src/app/app'}\n",
    },
}


@pytest.mark.parametrize("kind", EDITABLE)
def test_an_editable_project_is_the_users_own(tmp_path: Path, kind: str) -> None:
    tree = {
        **dist("app", EDITABLE[kind], requires="aa"),
        **simple("aa", "bb"),
        "/src/app/app/__init__.py": "",
        "/app/main.py": "import app\n",
    }
    assert reached(plan_of(tmp_path, tree)) == {"app", "aa"}


@pytest.mark.parametrize("kind", EDITABLE)
def test_an_editable_project_is_found_as_a_command(tmp_path: Path, kind: str) -> None:
    tree = {**dist("app", EDITABLE[kind]), "/src/app/app/__init__.py": ""}
    assert plan_of(tmp_path, tree, "python", "-m", "app").problems == ()
    absent = plan_of(tmp_path, tree, "python", "-m", "gone")
    assert [problem.code for problem in absent.problems] == ["module-not-found"]


def test_a_venv_is_not_mixed_with_the_installation_behind_it(tmp_path: Path) -> None:
    venv = "/venv/lib/python3.11/site-packages"
    tree = {
        "/venv/pyvenv.cfg": "home = /usr/local/bin\n",
        "/venv/bin/python": Link("/usr/local/bin/python3.11"),
        **dist("aa", {"aa.py": ""}, site=venv),
        **simple("aa", "bb"),
        "/app/main.py": "import aa, bb\n",
    }
    plan = plan_of(tmp_path, tree, "/venv/bin/python", "main.py")
    assert f"{venv}/aa.py" in paths(plan)
    assert f"{SITE}/aa/__init__.py" not in paths(plan)
    assert "/usr/local/lib/python3.11/os.py" in paths(plan)
    assert "/venv/pyvenv.cfg" in paths(plan)


def test_a_project_installed_from_a_directory_counts_as_own_code(tmp_path: Path) -> None:
    tree = {
        **dist(
            "app",
            {"app.py": "BACKEND = 'aa.backend'\n"},
            extra={"direct_url.json": '{"url": "file:///src", "dir_info": {}}'},
        ),
        **dist("other", {"other.py": "BACKEND = 'bb.backend'\n"}),
        **simple("aa", "bb"),
    }
    assert reached(plan_of(tmp_path, tree, "python", "-c", "import app, other")) == {
        "app",
        "other",
        "aa",
    }


def test_programs_and_libraries_that_code_asks_for(tmp_path: Path) -> None:
    lib = "/usr/lib/x86_64-linux-gnu"
    wanted: dict[str, Member] = {
        "/usr/bin/git": File("", mode=0o755),
        "/usr/bin/tar": File("", mode=0o755),
        "/bin/sh": File("", mode=0o755),
        "/sbin/ldconfig": File("", mode=0o755),
        "/etc/ld.so.cache": "",
        f"{lib}/libmagic.so.1": "",
        f"{lib}/libfoo.so.2": "",
    }
    others: dict[str, Member] = {
        "/usr/bin/less": File("", mode=0o755),
        f"{lib}/libbar.so.2": "",
        f"{lib}/libmagical.so.1": "",
    }
    tree: Tree = {
        **wanted,
        **others,
        **dist("aa", {"aa.py": "import subprocess\nsubprocess.run(['less', 'x'])\n"}),
        "/app/main.py": (
            "import aa, os, subprocess, ctypes, ctypes.util, shutil\n"
            "subprocess.check_output(['git', 'log'])\nshutil.which('tar')\nos.system('x')\n"
            "ctypes.util.find_library('magic')\nctypes.CDLL('libfoo.so.2')\n"
        ),
    }
    kept = paths(plan_without_own_files(tmp_path, tree))
    assert {path for path in (*wanted, *others) if path in kept} == set(wanted)


def test_a_program_that_a_dependency_can_run_is_said(tmp_path: Path) -> None:
    tree = {
        "/usr/bin/less": File("12345", mode=0o755),
        **dist("aa", {"aa.py": "import subprocess\nsubprocess.run(['less', 'x'])\n"}),
        "/app/main.py": "import aa\n",
    }
    plan = plan_without_own_files(tmp_path, tree)
    problems = [(p.code, p.cost_bytes) for p in plan.problems if "aa 1.0" in p.message]
    assert problems == [("program-of-dependency", 5)]


def test_time_zones_of_the_distribution_where_the_system_has_none(tmp_path: Path) -> None:
    tree = {**simple("tzdata"), "/app/main.py": "from zoneinfo import ZoneInfo\n"}
    assert reached(plan_of(tmp_path, tree)) == {"tzdata"}
    with_zones = {**tree, "/usr/share/zoneinfo/UTC": ""}
    assert reached(plan_of(tmp_path, with_zones)) == set()


@pytest.mark.parametrize(
    "code",
    [
        "os.system(f'tool {a} {b}')",
        "os.system('tool %s' % a)",
        "os.system('tool ' + a)",
        "subprocess.run('tool {}'.format(a), shell=True)",
        "subprocess.run(f'tool {a}'.split())",
    ],
)
def test_a_command_whose_arguments_are_computed(tmp_path: Path, code: str) -> None:
    tree = {
        "/app/main.py": f"import os, subprocess\na = b = input()\n{code}\n",
        "/usr/bin/tool": File("", mode=0o755),
        "/bin/sh": File("", mode=0o755),
    }
    config = ImageConfig(cmd=("python", "/app/main.py"), working_dir="/app")
    world = make_world(tmp_path, {**PYTHON, **tree}, config=config)
    runtimes = start_runtimes(world)
    commands = list(resolve_command(world, config.cmd or (), "<cmd>"))
    plan = build_plan(world, [], commands, runtimes, lambda path: Origin(OriginKind.PACKAGE))
    assert "/usr/bin/tool" in paths(plan)
