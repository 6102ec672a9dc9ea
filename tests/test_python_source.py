"""What a Python source says: the quick pattern never says less than the syntax tree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imgslim.runtimes.python.hints import reference, url_modules, word_references
from imgslim.runtimes.python.source import RELATIVE, candidate_names, read_code

IMPORTS = {
    "import a.b, c as d": {"a", "c"},
    "import a, \\\n    b": {"a", "b"},
    "from a.b import (\n  c,\n  d)": {"a"},
    "from a \\\n  import b": {"a"},
    "from a import*": {"a"},
    "from .. import a": {RELATIVE},
    "from .a import b": {RELATIVE},
    "try: import a\nexcept ImportError: import b": {"a", "b"},
    "def f():\n    import a; import b": {"a", "b"},
    "import importlib\nimportlib.import_module('a.b')": {"importlib", "a"},
    "x = __import__(\n  'a')": {"a"},
    "from importlib.util import find_spec": {"importlib"},
}


@pytest.mark.parametrize("text", IMPORTS)
def test_candidates_hold_every_import(text: str) -> None:
    assert IMPORTS[text] <= candidate_names(text.encode())


def test_candidates_hold_every_import_of_a_real_tree() -> None:
    """The oracle is the syntax tree of the running interpreter's own modules."""
    sources = list(Path(sys.prefix).rglob("site-packages/**/*.py"))[:80]
    for path in sources:
        data = path.read_bytes()
        code = read_code(data)
        if code is not None:
            found = {RELATIVE if i.level else i.module.partition(".")[0] for i in code.imports}
            assert found <= candidate_names(data), path


def test_statements_alone_give_the_same_imports() -> None:
    for path in list(Path(sys.prefix).rglob("site-packages/**/*.py"))[:40]:
        whole = read_code(path.read_bytes())
        quick = read_code(path.read_bytes(), statements_only=True)
        if whole is not None:
            assert quick is not None
            assert set(whole.imports) == set(quick.imports), path


def test_imports_for_type_checkers_are_left_out() -> None:
    code = read_code(
        b"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import b\n"
    )
    assert code is not None
    assert [i.module for i in code.imports] == ["typing", "b"]


def test_only_unconditional_imports_are_firm() -> None:
    code = read_code(b"import a\ntry:\n    import b\nexcept E: pass\ndef f():\n    import c\n")
    assert code is not None
    assert [(i.module, i.firm) for i in code.imports] == [("a", True), ("b", False), ("c", False)]


def test_calls_are_named_as_imported() -> None:
    code = read_code(
        b"import subprocess as sp\nfrom shutil import which\n"
        b"sp.run(['git', 'log', x])\nwhich('tar')\nsp.run('ls | wc', shell=True)\n"
    )
    assert code is not None
    assert [(c.name, c.arguments, c.shell) for c in code.calls] == [
        ("subprocess.run", (("git", "log"),), False),
        ("shutil.which", ("tar",), False),
        ("subprocess.run", ("ls | wc",), True),
    ]


def test_an_unknown_grammar_is_no_code() -> None:
    assert read_code(b"print 'python 2'") is None


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("django.contrib.admin", "django.contrib.admin"),
        ("pkg.mod:create_app()", "pkg.mod"),
        ("corsheaders", "corsheaders"),
        ("not a module", None),
        ("C.UTF-8", None),
        ("3.11.2", None),
    ],
)
def test_references(text: str, module: str | None) -> None:
    assert reference(text) == module


def test_words_that_name_modules() -> None:
    words = "--bind 0.0.0.0:80 --worker-class=uvicorn.workers.UvicornWorker proj.wsgi:app"
    found = list(word_references(words))
    assert "uvicorn.workers.UvicornWorker" in found
    assert "proj.wsgi" in found


@pytest.mark.parametrize(
    ("url", "module"),
    [
        ("postgresql+psycopg2://u:p@h/d", "psycopg2"),
        ("mysql+pymysql://h/d", "pymysql"),
        ("postgresql://h/d", "psycopg2"),
        ("redis://h:6379/0", "redis"),
        ("see mysql://h/d", "MySQLdb"),
    ],
)
def test_drivers_behind_urls(url: str, module: str) -> None:
    assert module in list(url_modules(url))
