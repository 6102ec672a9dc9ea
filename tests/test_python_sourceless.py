"""``--no-sources``: bytecode in the place of its sources, and the sources that stay."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import pytest

from imgslim.choices import Choices
from imgslim.commands import resolve_command
from imgslim.copyplan.moves import moved_tree, plan_moves
from imgslim.model import ImageConfig, Plan
from imgslim.plan import build_plan
from imgslim.provenance import classify
from imgslim.runtimes.python import PythonRuntime
from imgslim.runtimes.python.source_readers import reads_sources
from imgslim.world import World
from tests.test_python_reach import PYTHON, SITE, dist
from tests.worlds import MTIME, File, Tree, make_world

PACKAGE = {"aa/__init__.py": "from . import one\n", "aa/one.py": "X = 1\n"}
MAGIC = (3495).to_bytes(2, "little") + b"\r\n"


def pyc(source: str, *, mtime: int = MTIME, magic: bytes = MAGIC, flags: int = 0) -> bytes:
    return magic + struct.pack("<III", flags, mtime, len(source)) + b"code"


def compiled(files: dict[str, str], **fields: int) -> Tree:
    """``files`` below the site directory, with bytecode of CPython 3.11."""
    tree: dict[str, str | bytes] = {}
    for path, text in files.items():
        folder, _, name = f"{SITE}/{path}".rpartition("/")
        tree[f"{folder}/__pycache__/{name[:-3]}.cpython-311.pyc"] = pyc(text, **fields)
    return tree


def plan_of(tmp_path: Path, tree: Tree, **config: object) -> tuple[World, Plan]:
    fields = {"cmd": ("python", "/app/main.py"), "working_dir": "/app", **config}
    image = ImageConfig(**fields)  # type: ignore[arg-type]
    world = make_world(tmp_path, {**PYTHON, **tree}, config=image, choices=Choices(sources=False))
    runtime = PythonRuntime(world)
    commands = list(resolve_command(world, image.cmd or (), "<cmd>"))
    return world, build_plan(world, [], commands, [runtime], classify(world, runtime.claims()))


def modules(plan: Plan, below: str = SITE) -> set[str]:
    paths = (keep.entry.path for keep in plan.keeps if not keep.entry.is_directory)
    return {p[len(below) + 1 :] for p in paths if p.startswith(f"{below}/") and "-info/" not in p}


def app(files: dict[str, str] | None = None) -> Tree:
    return {**dist("aa", files or PACKAGE), "/app/main.py": "import aa\n"}


def test_bytecode_takes_the_place_of_its_source(tmp_path: Path) -> None:
    world, plan = plan_of(tmp_path, {**app(), **compiled(PACKAGE)})
    assert modules(plan) == {"aa/__init__.pyc", "aa/one.pyc"}
    keep = next(keep for keep in plan.keeps if keep.entry.path == f"{SITE}/aa/one.pyc")
    assert keep.moved_from == f"{SITE}/aa/__pycache__/one.cpython-311.pyc"
    assert world.rootfs.read_bytes(keep.entry) == pyc(PACKAGE["aa/one.py"])
    assert f"{SITE}/aa/__pycache__" not in {keep.entry.path for keep in plan.keeps}
    said = next(problem for problem in plan.problems if problem.code == "no-sources")
    assert "2 Python sources" in said.message and "inspect.getsource" in said.message
    assert "/app/main.py" in {keep.entry.path for keep in plan.keeps}


def test_the_rule_of_the_build_gives_the_planned_tree(tmp_path: Path) -> None:
    files = {**PACKAGE, "aa/stale.py": "", "aa/sub/__init__.py": ""}
    cache = f"{SITE}/aa/__pycache__"
    stale = {f"{cache}/stale.cpython-311.pyc": pyc("", mtime=1), f"{cache}/one.cpython-39.pyc": ""}
    world, plan = plan_of(tmp_path, {**app(files), **compiled(files), **stale})
    tree = moved_tree(world.rootfs, plan_moves(world.rootfs, plan.keeps))
    for keep in plan.keeps:
        assert tree.get(keep.entry.path) == keep.entry
    assert {"aa/stale.py", "aa/sub/__init__.pyc"} <= modules(plan)
    assert f"{cache}/one.cpython-39.pyc" not in tree.entries


@pytest.mark.parametrize(
    ("fields", "goes"),
    [
        ({}, True),
        ({"mtime": MTIME - 1}, False),
        ({"magic": (3531).to_bytes(2, "little") + b"\r\n"}, False),
        ({"flags": 1}, True),
        ({"flags": 1, "mtime": 7}, True),
    ],
)
def test_a_source_without_fitting_bytecode_stays(
    fields: dict[str, int], goes: bool, tmp_path: Path
) -> None:
    _, plan = plan_of(tmp_path, {**app(), **compiled(PACKAGE, **fields)})
    assert ("aa/one.pyc" in modules(plan)) is goes
    assert ("aa/one.py" in modules(plan)) is not goes
    assert goes or any("no bytecode" in p.message for p in plan.problems)


@pytest.mark.parametrize(
    "text",
    [
        "import inspect\nfrom . import one\ninspect.getsource(one)\n",
        "import linecache\nfrom . import one\nlinecache.getline('x', 1)\n",
        "from . import one\nopen(__file__)\n",
        "from . import one\nimport glob\nglob.glob('plugins/*.py')\n",
        "from . import one\nPATH = 'one.py'\n",
    ],
)
def test_sources_that_code_reads_stay(text: str, tmp_path: Path) -> None:
    files = {"aa/__init__.py": text, "aa/one.py": "X = 1\n"}
    _, plan = plan_of(tmp_path, {**app(files), **compiled(files)})
    assert "aa/one.py" in modules(plan)
    assert any(p.code == "kept-sources" and "one.py" in p.message for p in plan.problems)


def test_programs_and_optimised_runs_keep_their_sources(tmp_path: Path) -> None:
    executable = {f"{SITE}/aa/one.py": File("#!/usr/bin/python\n", mode=0o755)}
    tree = {**app(), **compiled({**PACKAGE, "aa/one.py": "#!/usr/bin/python\n"}), **executable}
    _, plan = plan_of(tmp_path, tree)
    assert {"aa/one.py", "aa/__init__.pyc"} <= modules(plan)
    (tmp_path / "o").mkdir()
    cmd = ("python", "-O", "/app/main.py")
    _, plan = plan_of(tmp_path / "o", {**app(), **compiled(PACKAGE)}, cmd=cmd)
    assert "aa/__init__.py" in modules(plan)


def test_inspect_that_is_ready_for_no_source_is_no_reader() -> None:
    assert not reads_sources(b"try:\n    inspect.getsource(f)\nexcept OSError:\n    pass\n")
    assert reads_sources(b"try:\n    inspect.getsource(f)\nexcept KeyError:\n    pass\n")


def test_the_magic_number_of_this_python_is_the_tables() -> None:
    import sys

    from imgslim.tables import load_table

    version = "{}.{}".format(*sys.version_info[:2])
    magic = load_table("python-sources")["magic"][version]
    assert importlib.util.MAGIC_NUMBER[:2] == magic.to_bytes(2, "little")
