"""What a JavaScript source names, as its syntax tree tells."""

from __future__ import annotations

import pytest

from imgslim.runtimes.node.source import read_source
from imgslim.runtimes.node.values import CWD, HERE


def modules(text: str, extension: str = ".js") -> list[tuple[str, bool, str]]:
    facts = read_source(text.encode(), extension)
    return [(value.text, value.complete, value.base) for value, _ in facts.modules]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("require('a')", ("a", True, "")),
        ("import x, { y } from 'a'", ("a", True, "")),
        ("import 'a'", ("a", True, "")),
        ('export * from "a"', ("a", True, "")),
        ("export { b } from 'a'", ("a", True, "")),
        ("await import('a')", ("a", True, "")),
        ("import d from './d.json' with { type: 'json' }", ("./d.json", True, "")),
        ("require.resolve('a/package.json')", ("a/package.json", True, "")),
        ("import.meta.resolve('a')", ("a", True, "")),
        ("module.require('a')", ("a", True, "")),
        ("const r = createRequire(import.meta.url); r('a')", ("a", True, "")),
        ("require(`a`)", ("a", True, "")),
        ("require('./x/' + name)", ("./x/", False, "")),
        ("require(`./x/${name}.js`)", ("./x/", False, "")),
        ("const top = './x'; require(top + '/y')", ("./x/y", True, "")),
        ("require(path.join(__dirname, 'x', name))", ("/x", False, HERE)),
        ("require(__dirname + '/x')", ("/x", True, HERE)),
        ("require(path.resolve(process.cwd(), 'x.js'))", ("/x.js", True, CWD)),
        ("require('caf\\u00e9')", ("café", True, "")),
        ("if (a) { function f() { return require('a') } }", ("a", True, "")),
    ],
)
def test_what_a_source_loads(text: str, expected: tuple[str, bool, str]) -> None:
    assert expected in modules(text)


def test_both_branches_of_a_choice_count() -> None:
    assert {name for name, *_ in modules("require(old ? 'a' : 'b')")} == {"a", "b"}
    assert {name for name, *_ in modules("require(process.env.X || 'b')")} >= {"b"}


@pytest.mark.parametrize(
    "text",
    [
        "// require('a')",
        "const text = \"require('a')\"",
        "const s = `import x from 'a'`",
        "$.load('a')",
        "x.requires('a')",
    ],
)
def test_text_that_only_looks_like_it_does_not_count(text: str) -> None:
    assert modules(text) == []


@pytest.mark.parametrize("text", ["require(name)", "load(require)", "const r = require; r('x')"])
def test_a_require_of_which_nothing_is_known_is_said(text: str) -> None:
    assert read_source(text.encode(), ".js").dynamic == [1]


@pytest.mark.parametrize(
    "text", ["typeof require", "const require = createRequire(import.meta.url)", "require.main"]
)
def test_a_require_that_is_only_looked_at_loads_nothing(text: str) -> None:
    assert read_source(text.encode(), ".js").dynamic == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("new Worker(new URL('./w.js', import.meta.url))", ("/./w.js", True, HERE)),
        ("new Worker(path.join(__dirname, 'w.js'))", ("/w.js", True, HERE)),
        ("child_process.fork('./child.js')", ("./child.js", True, "")),
        ("fs.readFileSync(path.join(__dirname, '..', 'x'))", ("/../x", True, HERE)),
        ("fs.readFile(path.resolve('data', 'x'))", ("/data/x", True, CWD)),
        (
            "const here = path.dirname(fileURLToPath(import.meta.url)); join(here, 'views')",
            ("/views", True, HERE),
        ),
        ("fs.readdirSync(__dirname)", ("", True, HERE)),
    ],
)
def test_the_files_that_a_source_names(text: str, expected: tuple[str, bool, str]) -> None:
    found = read_source(text.encode(), ".js").files
    assert expected in [(value.text, value.complete, value.base) for value, _ in found]


def test_programs_count_where_a_module_that_starts_them_is_named() -> None:
    text = (
        "const { exec } = require('child_process'); exec(`convert ${x}`); spawn('git', ['log', y])"
    )
    starts = read_source(text.encode(), ".js").starts
    assert [(start.words, start.in_shell) for start in starts] == [
        (("convert ",), True),
        (("git", "log"), False),
    ]
    assert read_source(b"regex.exec('git log')", ".js").starts == []


def test_typescript_and_jsx_are_read() -> None:
    assert ("a", True, "") in modules("import x = require('a'); const y = <T>(v: T) => v;", ".ts")
    assert ("a", True, "") in modules("import type { X } from 'b'; import a from 'a'", ".mts")
    assert ("a", True, "") in modules("import a from 'a'; const e = <b c={a}/>", ".jsx")


def test_a_damaged_or_huge_source_is_no_error() -> None:
    assert ("a", True, "") in modules("require('a'); function ( {{{ ")
    assert modules("\0\xff") == []
    assert read_source(b"x" * (9 << 20), ".js").dynamic == [1]
    nested = "(" * 5000 + "require('a')" + ")" * 5000
    read_source(nested.encode(), ".js")
