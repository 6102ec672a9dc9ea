"""Where specifiers lead, as nodejs.org's algorithms have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgslim.model import ImageConfig
from imgslim.runtimes.node.packages import PackageTree
from imgslim.runtimes.node.resolve import Resolver, matched_paths
from tests.node_images import manifest
from tests.worlds import Link, Tree, make_world


def resolved(
    tmp_path: Path, tree: Tree, specifier: str, origin: str = "/app/server.js", **config: Any
) -> list[str]:
    world = make_world(tmp_path, {origin: "", **tree}, config=ImageConfig(**config))
    targets = Resolver(world, PackageTree(world)).resolve(specifier, origin)
    return [target.path for target in targets]


@pytest.mark.parametrize(
    ("specifier", "file"),
    [
        ("./x", "/app/x.js"),
        ("./x.js", "/app/x.js"),
        ("./x", "/app/x.json"),
        ("./x", "/app/x.node"),
        ("./x", "/app/x/index.js"),
        ("../x", "/x.js"),
        ("/opt/x", "/opt/x.js"),
        ("./x.js", "/app/x.ts"),
        ("a", "/app/node_modules/a/index.js"),
        ("a", "/node_modules/a/index.js"),
        ("a/lib/b", "/app/node_modules/a/lib/b.js"),
        ("@s/a", "/app/node_modules/@s/a/index.js"),
        ("@s/a/b", "/app/node_modules/@s/a/b.js"),
        ("./x?v=2", "/app/x.js"),
    ],
)
def test_a_specifier_leads_to_a_file(tmp_path: Path, specifier: str, file: str) -> None:
    assert resolved(tmp_path, {file: ""}, specifier) == [file]


@pytest.mark.parametrize("specifier", ["fs", "node:test", "fs/promises", "", "#x", "absent"])
def test_what_is_no_file_leads_nowhere(tmp_path: Path, specifier: str) -> None:
    assert resolved(tmp_path, {}, specifier) == []


def test_the_nearest_package_wins(tmp_path: Path) -> None:
    tree = {"/node_modules/a/index.js": "", "/app/node_modules/a/index.js": ""}
    assert resolved(tmp_path, tree, "a") == ["/app/node_modules/a/index.js"]


def test_main_and_what_stands_in_for_it(tmp_path: Path) -> None:
    top = "/app/node_modules/a"
    tree = {f"{top}/package.json": manifest("a", main="lib"), f"{top}/lib/index.js": ""}
    assert resolved(tmp_path, tree, "a") == [f"{top}/lib/index.js"]
    tree = {f"{top}/package.json": manifest("a", main="gone"), f"{top}/index.js": ""}
    assert resolved(tmp_path, tree, "a") == [f"{top}/index.js"]


EXPORTS = {
    ".": {"import": "./a.mjs", "require": {"types": "./a.d.ts", "default": "./a.cjs"}},
    "./sub": "./lib/sub.js",
    "./features/*.js": "./src/*.js",
    "./features/private/*": None,
    "./old/": "./older/",
    "./browser": {"browser": "./b.js", "default": "./n.js", "node": "./never.js"},
    "./list": [{"import": "./l.mjs"}, "./l.js"],
}


@pytest.mark.parametrize(
    ("key", "paths"),
    [
        (".", ("./a.mjs", "./a.cjs")),
        ("./sub", ("./lib/sub.js",)),
        ("./features/x.js", ("./src/x.js",)),
        ("./features/x/y.js", ("./src/x/y.js",)),
        ("./features/private/x.js", ()),
        ("./old/x.js", ("./older/x.js",)),
        ("./browser", ("./n.js",)),
        ("./list", ("./l.mjs", "./l.js")),
        ("./absent", ()),
    ],
)
def test_exports_by_subpath_pattern_and_condition(key: str, paths: tuple[str, ...]) -> None:
    assert matched_paths(EXPORTS, key) == paths


def test_exports_without_subpaths_are_the_main_one() -> None:
    assert matched_paths("./a.js", ".") == ("./a.js",)
    assert matched_paths({"import": "./a.mjs", "default": "./a.js"}, ".") == ("./a.mjs", "./a.js")
    assert matched_paths("./a.js", "./sub") == ()


def test_a_package_may_name_itself_and_its_imports(tmp_path: Path) -> None:
    fields = {"exports": {"./x": "./lib/x.js"}, "imports": {"#db": "./db.js", "#dep": "a"}}
    tree = {
        "/app/package.json": manifest("app", **fields),
        "/app/lib/x.js": "",
        "/app/db.js": "",
        "/app/node_modules/a/index.js": "",
    }
    assert resolved(tmp_path, tree, "app/x") == ["/app/lib/x.js"]
    assert resolved(tmp_path, tree, "#db") == ["/app/db.js"]
    assert resolved(tmp_path, tree, "#dep") == ["/app/node_modules/a/index.js"]


def test_links_are_followed_to_the_real_path_where_the_search_goes_on(tmp_path: Path) -> None:
    store = "/app/node_modules/.pnpm"
    tree = {
        "/app/node_modules/a": Link(".pnpm/a@1/node_modules/a"),
        f"{store}/a@1/node_modules/a/index.js": "",
        f"{store}/a@1/node_modules/b": Link("../../b@2/node_modules/b"),
        f"{store}/b@2/node_modules/b/index.js": "",
    }
    real = f"{store}/a@1/node_modules/a/index.js"
    assert resolved(tmp_path, tree, "a") == [real]
    world = make_world(tmp_path, tree)
    found = Resolver(world, PackageTree(world)).resolve("b", real)
    assert [target.path for target in found] == [f"{store}/b@2/node_modules/b/index.js"]


def test_node_path_and_a_distributions_folders_come_last(tmp_path: Path) -> None:
    tree = {"/opt/modules/a/index.js": "", "/usr/share/nodejs/b/index.js": ""}
    found = resolved(tmp_path, tree, "a", env=(("NODE_PATH", "/opt/modules"),))
    assert found == ["/opt/modules/a/index.js"]
    assert resolved(tmp_path, tree, "b") == ["/usr/share/nodejs/b/index.js"]


def test_a_damaged_manifest_is_none(tmp_path: Path) -> None:
    top = "/app/node_modules/a"
    for text in ("{", "[]", '{"main": 3, "exports": {".": {"import": 4}}}'):
        tree = {f"{top}/package.json": text, f"{top}/index.js": ""}
        assert resolved(tmp_path, tree, "a") == [f"{top}/index.js"]
