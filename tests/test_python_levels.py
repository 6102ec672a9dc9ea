"""What each level keeps of a distribution: trees in, the kept modules out."""

from __future__ import annotations

import bz2
import marshal
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from imgslim.choices import Choices, Level
from imgslim.commands import resolve_command
from imgslim.model import ImageConfig, Plan
from imgslim.plan import build_plan
from imgslim.provenance import classify
from imgslim.runtimes.python import PythonRuntime
from imgslim.runtimes.python.cython_strings import LIBRARY_MARKER, MARKER, cython_tables
from tests.elves import elf
from tests.test_python_reach import PYTHON, SITE, dist
from tests.worlds import File, Member, Tree, make_world

LIB = "/usr/local/lib/python3.11"

PACKAGE = {
    "aa/__init__.py": "",
    "aa/one.py": "from . import two\n",
    "aa/two.py": "",
    "aa/three.py": "",
    "aa/words.txt": "data",
    "aa/sub/__init__.py": "",
    "aa/sub/deep.py": "",
    "aa/sub/page.html": "",
    "aa/static/site.css": "",
    "aa/tests/__init__.py": "",
    "aa/tests/test_one.py": "import aa.three\n",
    "aa/fast.pyx": "",
    "aa/fast.h": "",
    "aa/one.pyi": "",
}


def plan_at(tmp_path: Path, level: Level, tree: Tree, **choices: bool) -> Plan:
    config = ImageConfig(cmd=("python", "/app/main.py"), working_dir="/app")
    chosen = Choices(level=level, **choices)  # type: ignore[arg-type]
    world = make_world(tmp_path, {**PYTHON, **tree}, config=config, choices=chosen)
    runtime = PythonRuntime(world)
    origin_of = classify(world, runtime.claims())
    commands = list(resolve_command(world, config.cmd or (), "<cmd>"))
    return build_plan(world, [], commands, [runtime], origin_of)


def kept(plan: Plan, below: str = SITE) -> set[str]:
    """The kept files below a directory, without distributions' metadata."""
    files = [keep.entry.path for keep in plan.keeps if not keep.entry.is_directory]
    inside = {path[len(below) + 1 :] for path in files if path.startswith(f"{below}/")}
    return {path for path in inside if "-info/" not in path}


def app(main: str, package: dict[str, str] | None = None, **more: Member) -> Tree:
    return {**dist("aa", package or PACKAGE), "/app/main.py": main, **more}


SAFE = set(PACKAGE)
TESTS = {"aa/tests/__init__.py", "aa/tests/test_one.py"}
BUILD = {"aa/fast.pyx", "aa/fast.h"}


def test_each_level_keeps_less_of_a_distribution(tmp_path: Path) -> None:
    tree = app("import aa.one\n")
    found = {}
    for level in Level:
        (tmp_path / level).mkdir()
        found[level] = kept(plan_at(tmp_path / level, level, tree))
    assert found[Level.SAFE] == SAFE
    assert found[Level.BALANCED] == SAFE - TESTS - BUILD
    assert found[Level.TIGHT] == {
        "aa/__init__.py",
        "aa/one.py",
        "aa/two.py",
        "aa/words.txt",
        "aa/static/site.css",
    }


def test_tests_that_code_imports_stay_with_all_that_is_beside_them(tmp_path: Path) -> None:
    package = {**PACKAGE, "aa/three.py": "from aa.tests import test_one\n"}
    found = kept(plan_at(tmp_path, Level.BALANCED, app("import aa\n", package)))
    assert found >= TESTS


REACHES = {
    "a submodule": ("import aa.sub.deep", {"aa/sub/deep.py", "aa/sub/page.html"}),
    "from a package": ("from aa.sub import deep", {"aa/sub/deep.py"}),
    "in a function": ("def f():\n    from aa import three", {"aa/three.py"}),
    "import_module": ("import importlib\nimportlib.import_module('aa.three')", {"aa/three.py"}),
    "a string that names it": ("HANDLER = 'aa.sub.deep.Handler'", {"aa/sub/deep.py"}),
    "an application in a list": ("APPS = ['aa']", {"aa/one.py", "aa/sub/deep.py", "aa/three.py"}),
    "a package in a string": ("x = load('aa.sub')", {"aa/sub/deep.py", "aa/sub/page.html"}),
}


@pytest.mark.parametrize("how", REACHES)
def test_what_the_app_names_is_kept_at_tight(tmp_path: Path, how: str) -> None:
    main, expected = REACHES[how]
    assert expected <= kept(plan_at(tmp_path, Level.TIGHT, app(main + "\n")))


COMPUTED = {
    "an f-string": "importlib.import_module(f'aa.plug.{name}')",
    "a sum": "importlib.import_module('aa.plug.' + name)",
    "a per cent": "importlib.import_module('aa.plug.%s' % name)",
    "format": "importlib.import_module('aa.plug.{}'.format(name))",
    "join": "importlib.import_module('.'.join(['aa', 'plug', name]))",
    "__name__": "importlib.import_module(f'{__name__}.plug.{name}')",
    "__package__": "importlib.import_module('.plug.' + name, __package__)",
    "a constant": "BASE = 'aa.plug'\nimportlib.import_module(f'{BASE}.{name}')",
    "__import__": "__import__('aa.plug.' + name)",
    "a list of the members": "import pkgutil, aa.plug\npkgutil.iter_modules(aa.plug.__path__)",
    "a list of names": "for n in ['red', 'blue']:\n    importlib.import_module(f'aa.plug.{n}')",
    "a table": "T = {'r': 'red', 'b': 'blue'}\nimportlib.import_module('aa.plug.' + T[name])",
    "a helper's argument": "lazy_import('aa.plug.red')\nlazy_import('aa.plug.blue')",
}


@pytest.mark.parametrize("how", COMPUTED)
def test_computed_names_in_a_distribution(tmp_path: Path, how: str) -> None:
    package = {
        "aa/__init__.py": f"import importlib\nname = input()\n{COMPUTED[how]}\n",
        "aa/plug/__init__.py": "",
        "aa/plug/red.py": "",
        "aa/plug/blue.py": "",
        "aa/other/__init__.py": "",
    }
    found = kept(plan_at(tmp_path, Level.TIGHT, app("import aa\n", package)))
    assert {"aa/plug/red.py", "aa/plug/blue.py"} <= found
    assert "aa/other/__init__.py" not in found


def test_a_name_that_is_quite_unknown_keeps_the_package_whole(tmp_path: Path) -> None:
    package = {
        "aa/__init__.py": "",
        "aa/plug/__init__.py": "import importlib\nimportlib.import_module(input())\n",
        "aa/plug/red.py": "",
        "aa/plug/deep/blue.py": "",
        "aa/other.py": "",
    }
    found = kept(plan_at(tmp_path, Level.TIGHT, app("import aa.plug\n", package)))
    assert found == set(package) - {"aa/other.py"}


LAZY = {
    "aa/__init__.py": (
        "import importlib\nknown = 1\n"
        "def __getattr__(name):\n    return importlib.import_module(f'aa.{name}')\n"
    ),
    "aa/red.py": "",
    "aa/blue.py": "",
}


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("import aa\nprint(aa.red.x)", {"aa/red.py"}),
        ("import aa as z\nz.red", {"aa/red.py"}),
        ("from aa import red", {"aa/red.py"}),
        ("import aa\naa.known", set()),
        ("import aa\n# see aa.red", set()),
    ],
)
def test_a_lazy_package_loads_what_it_is_asked_for(
    tmp_path: Path, main: str, expected: set[str]
) -> None:
    found = kept(plan_at(tmp_path, Level.TIGHT, app(main + "\n", LAZY)))
    assert found == {"aa/__init__.py", *expected}


def test_only_the_deferred_import_that_is_asked_for_counts(tmp_path: Path) -> None:
    package = {
        "aa/__init__.py": (
            "def __getattr__(name):\n"
            "    if name == 'Red':\n        from aa.red import Red\n        return Red\n"
            "    elif name in ('Blue', 'Navy'):\n        import aa.blue\n"
        ),
        "aa/red.py": "",
        "aa/blue.py": "",
    }
    found = kept(plan_at(tmp_path, Level.TIGHT, app("import aa\nprint(aa.Navy)\n", package)))
    assert found == {"aa/__init__.py", "aa/blue.py"}


def test_an_extension_brings_the_modules_that_it_names(tmp_path: Path) -> None:
    native = elf(data=b"\0aa.hidden\0near\0some text about aa.other and more\0bb.deep\0")
    extension = "aa/fast.cpython-311-x86_64-linux-gnu.so"
    modules = ["hidden", "near", "other"]
    package = {"aa/__init__.py": "from . import fast\n", extension: ""}
    package.update({f"aa/{name}.py": "" for name in modules})
    tree = {
        **app("import aa\n", package),
        **dist("bb", {"bb/__init__.py": "", "bb/deep.py": "", "bb/other.py": ""}),
        f"{SITE}/{extension}": native,
    }
    found = kept(plan_at(tmp_path, Level.TIGHT, tree))
    expected = {"aa/__init__.py", extension, "aa/hidden.py", "aa/near.py"}
    assert found == expected | {"bb/__init__.py", "bb/deep.py"}


def test_the_string_tables_of_cython_are_read() -> None:
    text = b"collections.abcpyarrow.vendored.versionpyarrow.lib" + b"some text of a message" * 12
    packed = bytearray()
    for start in range(0, len(text), 8):
        part = text[start : start + 8]
        packed += bytes([(1 << len(part)) - 1]) + part
    constants = b"abc\0" + bytes(packed) + b"\0\0\0\0\0\0" + MARKER + b"\0"
    assert any(table.startswith(text[:200]) for table in cython_tables(constants))


@pytest.mark.parametrize("compress", [zlib.compress, bz2.compress, zstandard.compress])
def test_modules_in_a_compressed_table_of_cythons_are_kept(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    table = (
        b"elementelement_or_tree_elementpathelementsempty"
        + b"inspectintinternal"
        + b"message " * 40
    )
    native = elf(data=b"\0" + compress(table) + b"\0" + LIBRARY_MARKER + b"\0")
    extension = "aa/etree.cpython-311-x86_64-linux-gnu.so"
    package = {"aa/__init__.py": "", extension: "", "aa/_elementpath.py": "", "aa/other.py": ""}
    tree = {
        **app("import aa.etree\n", package),
        f"{SITE}/{extension}": native,
        f"{LIB}/inspect.py": "",
        f"{LIB}/fileinput.py": "",
    }
    plan = plan_at(tmp_path, Level.TIGHT, tree)
    assert kept(plan) == {"aa/__init__.py", extension, "aa/_elementpath.py"}
    standard = kept(plan, LIB)
    assert "inspect.py" in standard and "fileinput.py" not in standard


def test_bytecode_is_kept_with_its_source_but_not_that_of_optimised_runs(tmp_path: Path) -> None:
    cache = f"{SITE}/aa/__pycache__"
    tree = {
        **app("import aa\n", {"aa/__init__.py": ""}),
        f"{cache}/__init__.cpython-311.pyc": "x",
        f"{cache}/__init__.cpython-311.opt-1.pyc": "x",
        f"{cache}/__init__.cpython-311.opt-2.pyc": "x",
        f"{cache}/gone.cpython-311.pyc": "x",
    }
    assert kept(plan_at(tmp_path, Level.BALANCED, tree)) == {
        "aa/__init__.py",
        "aa/__pycache__/__init__.cpython-311.pyc",
    }
    (tmp_path / "without").mkdir()
    without = plan_at(tmp_path / "without", Level.BALANCED, tree, bytecode=False)
    assert kept(without) == {"aa/__init__.py"}


def test_the_standard_library_is_cut_to_what_is_reached_at_tight(tmp_path: Path) -> None:
    tree = {
        **app("import json\n"),
        f"{LIB}/json/__init__.py": "from .decoder import JSONDecoder\n",
        f"{LIB}/json/decoder.py": "import re\n",
        f"{LIB}/json/tool.py": "import argparse\n",
        f"{LIB}/re/__init__.py": "",
        f"{LIB}/mailbox.py": "",
        f"{LIB}/encodings/__init__.py": "__import__('encodings.' + input())\n",
        f"{LIB}/encodings/cp1252.py": "",
        f"{LIB}/_sysconfigdata__linux_x86_64-linux-gnu.py": "",
    }
    found = kept(plan_at(tmp_path, Level.TIGHT, tree), LIB)
    assert {"json/decoder.py", "re/__init__.py", "encodings/cp1252.py"} <= found
    assert found.isdisjoint({"mailbox.py", "json/tool.py"})
    assert "_sysconfigdata__linux_x86_64-linux-gnu.py" not in found
    (tmp_path / "asked").mkdir()
    asking = {**tree, **app("import sysconfig\n"), f"{LIB}/sysconfig.py": ""}
    found = kept(plan_at(tmp_path / "asked", Level.TIGHT, asking), LIB)
    assert "_sysconfigdata__linux_x86_64-linux-gnu.py" in found


@pytest.mark.parametrize(
    "main",
    [
        "subprocess.run([sys.executable, '-m', 'json.tool'])",
        "TOOLS = ('json.tool', 'other')\nsubprocess.run([sys.executable, '-m', TOOLS[n]])",
        "subprocess.run([sys.executable, '-I', '-m', {'a': 'json.tool'}[n]])",
    ],
)
@pytest.mark.parametrize("level", list(Level))
def test_a_module_that_the_app_hands_to_an_interpreter_of_its_own(
    tmp_path: Path, level: Level, main: str
) -> None:
    tree = {
        **app(
            f"import subprocess, sys\n{main}\nsubprocess.run([sys.executable, '-m', 'unittest'])\n"
        ),
        f"{LIB}/json/__init__.py": "",
        f"{LIB}/json/tool.py": "import argparse\n",
        f"{LIB}/argparse.py": "",
        f"{LIB}/unittest/__init__.py": "",
        f"{LIB}/unittest/__main__.py": "from . import main\n",
        f"{LIB}/unittest/main.py": "",
        f"{LIB}/sched.py": "",
    }
    found = kept(plan_at(tmp_path, level, tree), LIB)
    assert {"json/tool.py", "argparse.py", "unittest/__main__.py", "unittest/main.py"} <= found
    assert ("sched.py" in found) == (level is not Level.TIGHT)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (Level.SAFE, {"turtle.py", "nis.so", "os.py"}),
        (Level.BALANCED, {"os.py"}),
    ],
)
def test_safe_keeps_the_standard_library_but_its_tests(
    tmp_path: Path, level: Level, expected: set[str]
) -> None:
    tree: Tree = {
        f"{LIB}/turtle.py": "",
        f"{LIB}/lib-dynload/nis.so": File(elf(), mode=0o755),
        f"{LIB}/test/test_os.py": "",
        "/app/main.py": "",
    }
    files = {path.rpartition("/")[2] for path in kept(plan_at(tmp_path, level, tree), LIB)}
    assert files & {"turtle.py", "nis.so", "test_os.py", "os.py"} == expected


def test_plugins_bring_their_modules_and_requirements_their_metadata(tmp_path: Path) -> None:
    tree = {
        **dist("aa", {"aa/__init__.py": ""}, requires="bb"),
        **dist("bb", {"bb/__init__.py": ""}),
        **dist(
            "cc",
            {"cc/__init__.py": "", "cc/plug.py": "", "cc/more.py": ""},
            entry_points="[colours]\nred = cc.plug:Red\n",
        ),
        "/app/main.py": "import aa\nfrom importlib.metadata import entry_points\n"
        "entry_points(group='colours')\n",
    }
    plan = plan_at(tmp_path, Level.TIGHT, tree)
    assert kept(plan) == {"aa/__init__.py", "cc/__init__.py", "cc/plug.py"}
    assert f"{SITE}/bb-1.0.dist-info/METADATA" in {keep.entry.path for keep in plan.keeps}


@pytest.mark.parametrize("version", ["==1.0", ""])
def test_a_script_that_loads_its_entry_point_by_name(tmp_path: Path, version: str) -> None:
    points = "[console_scripts]\nrun = aa.cli.run:main\nother = aa.other:main\n"
    files = {f"aa/{name}.py": "" for name in ("__init__", "cli/__init__", "cli/run", "other")}
    script = (
        "import sys\nfrom pkg_resources import load_entry_point\n"
        f"sys.exit(load_entry_point('aa{version}', 'console_scripts', 'run')())\n"
    )
    tree = {**dist("aa", files, entry_points=points), "/app/main.py": script}
    found = kept(plan_at(tmp_path, Level.TIGHT, tree))
    assert found == {"aa/__init__.py", "aa/cli/__init__.py", "aa/cli/run.py"}


def test_a_local_project_is_kept_whole_at_every_level(tmp_path: Path) -> None:
    extra = {"direct_url.json": '{"url": "file:///src", "dir_info": {}}'}
    tree = {
        **dist("aa", {"aa/__init__.py": "", "aa/unused.py": ""}, extra=extra),
        "/app/main.py": "import aa\n",
    }
    assert kept(plan_at(tmp_path, Level.TIGHT, tree)) == {"aa/__init__.py", "aa/unused.py"}


def test_a_source_of_another_grammar_is_kept_and_named(tmp_path: Path) -> None:
    package = {
        "aa/__init__.py": "print 'python 2'\nfrom aa.one import x\nimport aa.two\n",
        "aa/one.py": "",
        "aa/two.py": "",
        "aa/three.py": "",
    }
    plan = plan_at(tmp_path, Level.TIGHT, app("import aa\n", package))
    assert kept(plan) == set(package) - {"aa/three.py"}
    assert [p.path for p in plan.problems if p.code == "unparsed-source"] == [
        f"{SITE}/aa/__init__.py"
    ]


def compiled(source: str) -> bytes:
    return b"\0" * 16 + marshal.dumps(compile(source, "x", "exec"))


@pytest.mark.parametrize("level", Level)
def test_bytecode_without_sources_is_followed(tmp_path: Path, level: Level) -> None:
    tree = {
        **dist("aa", {"aa/__init__.pyc": "", "aa/part.pyc": ""}),
        **dist("bb", {"bb/__init__.py": "", "bb/deep.py": ""}),
        **dist("cc", {"cc/__init__.py": ""}),
        f"{SITE}/aa/__init__.pyc": File(compiled("def f():\n    from bb.deep import x")),
        "/app/main.py": "import aa\n",
    }
    found = kept(plan_at(tmp_path, level, tree))
    assert found == {"aa/__init__.pyc", "aa/part.pyc", "bb/__init__.py", "bb/deep.py"}


@pytest.mark.parametrize("level", Level)
def test_an_extension_reaches_other_distributions(tmp_path: Path, level: Level) -> None:
    extension = "aa/fast.cpython-311-x86_64-linux-gnu.so"
    tree = {
        **app("import aa\n", {"aa/__init__.py": "from . import fast\n", extension: ""}),
        **dist("numbers", {"numeric/__init__.py": ""}),
        f"{SITE}/{extension}": File(elf(data=b"\0numeric\0")),
    }
    assert "numeric/__init__.py" in kept(plan_at(tmp_path, level, tree))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open(os.path.join(HERE, 'data', 'words.txt'))", True),
        ("open(HERE + '/data/words.txt')", True),
        ("files(__package__) / 'data'", True),
        ("print('database')", False),
    ],
)
def test_data_in_a_directory_with_an_init_is_kept_where_code_names_it(
    tmp_path: Path, code: str, expected: bool
) -> None:
    package = {
        "aa/__init__.py": "from aa import reader\n",
        "aa/reader.py": f"def read():\n    return {code}\n",
        "aa/data/__init__.py": "",
        "aa/data/words.txt": "",
        "aa/data/more/list.csv": "",
    }
    found = kept(plan_at(tmp_path, Level.TIGHT, app("import aa\n", package)))
    assert ("aa/data/words.txt" in found, "aa/data/more/list.csv" in found) == (expected, expected)


def test_an_extension_comes_before_a_source_of_its_name(tmp_path: Path) -> None:
    extension = "aa/fast.cpython-311-x86_64-linux-gnu.so"
    package = {"aa/__init__.py": "from . import fast\n", "aa/fast.py": "", extension: ""}
    assert extension in kept(plan_at(tmp_path, Level.TIGHT, app("import aa\n", package)))


@pytest.mark.parametrize("level", Level)
def test_constants_beside_an_import_of_an_unknown_name(tmp_path: Path, level: Level) -> None:
    code = (
        "import importlib\nclass A:\n    library = 'hashing'\n"
        "def load(self):\n    return importlib.import_module(self.library)\n"
    )
    tree = {
        **app("import aa.sub\n", {"aa/__init__.py": "", "aa/sub/__init__.py": code}),
        **dist("hashing", {"hashing/__init__.py": ""}),
    }
    assert "hashing/__init__.py" in kept(plan_at(tmp_path, level, tree))


def test_registries_of_dotted_names(tmp_path: Path) -> None:
    package = {
        "aa/__init__.py": "BUILTINS = ['aa.tags', 'aa.loaders.files.Loader']\n",
        "aa/tags.py": "",
        "aa/loaders/__init__.py": "",
        "aa/loaders/files.py": "",
        "aa/other.py": "",
    }
    found = kept(plan_at(tmp_path, Level.TIGHT, app("import aa\n", package)))
    assert found == set(package) - {"aa/other.py"}


@pytest.mark.parametrize("level", Level)
def test_modules_that_only_sound_like_tests_stay(tmp_path: Path, level: Level) -> None:
    package = {
        "aa/__init__.py": "from aa.validation.setup import x\nfrom aa import speed_test\n",
        "aa/validation/__init__.py": "",
        "aa/validation/setup.py": "",
        "aa/speed_test.py": "",
    }
    assert kept(plan_at(tmp_path, level, app("import aa\n", package))) == set(package)


def test_the_members_of_a_package_in_a_variable(tmp_path: Path) -> None:
    code = (
        "import pkgutil\nfrom importlib import import_module\n"
        "def libraries():\n    for name in ['aa.tags'] + more():\n"
        "        package = import_module(name)\n"
        "        yield from pkgutil.walk_packages(package.__path__)\n"
    )
    package = {"aa/__init__.py": code, "aa/tags/__init__.py": "", "aa/tags/l10n.py": ""}
    found = kept(plan_at(tmp_path, Level.TIGHT, app("import aa\n", package)))
    assert "aa/tags/l10n.py" in found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def load(name):\n    return __import__(name)\n", set()),
        ("def find(name):\n    return __import__(name)\nfind('aa.three')\n", {"aa/three.py"}),
        (
            "def load(name):\n    name = 'aa.' + name\n    return __import__(name)\n",
            {"aa/three.py"},
        ),
        (
            "import importlib\nfor name, low in (('bb', '1'), ('aa.three', '2')):\n"
            "    importlib.import_module(name)\n",
            {"aa/three.py"},
        ),
        ("import importlib\nx = lambda c: importlib.import_module(c.__module__)\n", set()),
        ("import importlib\nx = lambda c: importlib.import_module(c.place)\n", {"aa/three.py"}),
    ],
    ids=["handed", "handed-here", "computed", "loop-over-rows", "loaded-already", "unknown"],
)
def test_what_an_import_of_a_handed_name_can_load(
    tmp_path: Path, source: str, expected: set[str]
) -> None:
    package = {"aa/__init__.py": "", "aa/one.py": source, "aa/three.py": ""}
    files = kept(plan_at(tmp_path, Level.TIGHT, app("import aa.one\n", package)))
    assert files == {"aa/__init__.py", "aa/one.py"} | expected


@pytest.mark.parametrize("level", [Level.BALANCED, Level.TIGHT])
def test_a_tool_that_is_only_used_where_it_is_loaded_already(tmp_path: Path, level: Level) -> None:
    asks = (
        "import sys\ndef show():\n    if sys.modules.get('IPython'):\n        import IPython.core\n"
    )
    uses = "def show():\n    import IPython.core\n"
    tool = dist("IPython", {"IPython/__init__.py": "", "IPython/core.py": ""})
    for name, source, there in (("asks", asks, False), ("uses", uses, True)):
        tree = {**app("import aa\n", {"aa/__init__.py": source}), **tool}
        (tmp_path / name).mkdir()
        files = kept(plan_at(tmp_path / name, level, tree))
        assert ("IPython/core.py" in files) == there


def test_functions_for_tests_bring_nothing_at_tight(tmp_path: Path) -> None:
    test = "def test():\n    import pytest\n    from aa import three\n"
    source = f"{test}def run():\n    from aa import two\n"
    package = {**PACKAGE, "aa/one.py": source}
    files = kept(plan_at(tmp_path, Level.TIGHT, app("import aa.one\n", package)))
    assert "aa/two.py" in files
    assert "aa/three.py" not in files


def test_a_lazy_package_that_defines_its_getattr_in_a_branch(tmp_path: Path) -> None:
    lazy = (
        "if True:\n    def __getattr__(name):\n        if name == 'two':\n"
        "            import aa.two\n        if name == 'three':\n            import aa.three\n"
    )
    package = {**PACKAGE, "aa/__init__.py": lazy}
    files = kept(plan_at(tmp_path, Level.TIGHT, app("import aa\naa.two\n", package)))
    assert "aa/two.py" in files
    assert "aa/three.py" not in files


def test_tight_leaves_bytecode_out_but_where_it_is_asked_for_or_has_no_source(
    tmp_path: Path,
) -> None:
    package = {f"aa/{name}": "" for name in ("__init__.py", "__pycache__/__init__.cpython-311.pyc")}
    tree = app("import aa, alone\n", package | {"alone.pyc": ""})
    for name, choices, expected in (
        ("tight", {}, {"alone.pyc"}),
        ("asked", {"bytecode": True}, {"alone.pyc", "aa/__pycache__/__init__.cpython-311.pyc"}),
    ):
        (tmp_path / name).mkdir()
        files = kept(plan_at(tmp_path / name, Level.TIGHT, tree, **choices))
        assert {path for path in files if path.endswith(".pyc")} == expected


def test_bytecode_asked_for_at_tight_is_that_of_what_is_loaded_at_start(tmp_path: Path) -> None:
    names = ("__init__", "one", "two", "three")
    package = {
        **{f"aa/{name}.py": "" for name in names},
        **{f"aa/__pycache__/{name}.cpython-311.pyc": "" for name in names},
        "aa/one.py": "from aa import two\ndef later():\n    from aa import three\n",
    }
    tree = app("def serve():\n    import aa.one\n", package)
    compiled = {f"aa/__pycache__/{name}.cpython-311.pyc" for name in ("__init__", "one", "two")}
    for level, more in ((Level.BALANCED, {"three"}), (Level.TIGHT, set[str]())):
        (tmp_path / level).mkdir()
        files = kept(plan_at(tmp_path / level, level, tree, bytecode=True))
        late = {f"aa/__pycache__/{name}.cpython-311.pyc" for name in more}
        assert {path for path in files if path.endswith(".pyc")} == compiled | late
        assert "aa/three.py" in files


def test_tight_follows_what_a_distribution_carries_along(tmp_path: Path) -> None:
    """poetry-core puts poetry/core/_vendor on the search path when it starts."""
    package = {
        "aa/__init__.py": "import sys\nsys.path.insert(0, __file__[:-11] + '_vendor')\n",
        "aa/parse.py": "from lark import Lark\nimport six\n",
        "aa/_vendor/lark/__init__.py": "from lark.parser import Lark\n",
        "aa/_vendor/lark/parser.py": "",
        "aa/_vendor/lark/grammars/common.lark": "data",
        "aa/_vendor/lark/other.py": "",
        "aa/_vendor/six.py": "",
        "aa/_vendor/unused.py": "",
    }
    found = kept(plan_at(tmp_path, Level.TIGHT, app("import aa.parse\n", package)))
    assert found == set(package) - {"aa/_vendor/lark/other.py", "aa/_vendor/unused.py"}
