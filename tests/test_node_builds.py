"""What of a package only builds need, and where an image builds after all (Next.js)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imgslim.choices import Level
from tests.node_images import kept, manifest, modules, package, plan, problems
from tests.worlds import File, Tree

BEYOND_SAFE = pytest.mark.parametrize("level", [Level.BALANCED, Level.TIGHT])
COMPILER = "@next/swc-linux-x64-gnu/next-swc.node"
FONTS = "next/dist/compiled/@next/font/index.js"
REACT = "next/dist/compiled/react-dom/server.js"
BIN = "next/dist/bin/next"


def app(**files: str | File) -> dict[str, str | File]:
    """A built app, with the lists that Next.js leaves beside what it made."""
    listed = ["../node_modules/next/dist/server.js", f"../node_modules/{REACT}", "../gone.js"]
    start = "require('../server'); if (process.argv[2] === 'build') require('../build')"
    return {
        "/app/package.json": manifest(
            "shop",
            scripts={"start": "next start", "dev": "next", "both": "next build && next start"},
            dependencies={"next": "15"},
        ),
        "/app/.next/BUILD_ID": "x",
        "/app/.next/next-server.js.nft.json": json.dumps({"version": 1, "files": listed}),
        "/app/.next/server/app/page.js.nft.json": "[]",
        "/app/.next/server/app/route.js.nft.json": "damaged",
        "/app/node_modules/.bin/next": File(f'#!/bin/sh\nexec "$basedir/../{BIN}"\n', mode=0o755),
        **package(
            "next",
            {
                "dist/bin/next": File(f"#!/usr/bin/env node\n{start}", mode=0o755),
                "dist/server.js": "require('next/dist/compiled/react-dom/server')",
                "dist/build.js": "require('./compiled/@next/font'); require('./swc')",
                "dist/swc.js": "require(`@next/swc-${triple}`)",
                "dist/compiled/@next/font/index.js": "",
                "dist/compiled/react-dom/server.js": "",
                "dist/esm/server.js": "",
                "dist/server/capsize-font-metrics.json": "{}",
            },
            optionalDependencies={"@next/swc-linux-x64-gnu": "15"},
        ),
        **package("@next/swc-linux-x64-gnu", {"next-swc.node": ""}),
        **files,
    }


@BEYOND_SAFE
@pytest.mark.parametrize("command", ["npx next start -p 80", "npm start", "npm --silent start"])
def test_a_server_goes_without_what_builds_need(tmp_path: Path, level: Level, command: str) -> None:
    found = modules(plan(tmp_path, app(), *command.split(), level=level))
    assert {"next/dist/server.js", REACT, BIN} <= found, "lists have the last word"
    assert not found & {COMPILER, FONTS, "next/dist/esm/server.js"}
    assert "next/dist/server/capsize-font-metrics.json" not in found


@BEYOND_SAFE
@pytest.mark.parametrize("command", ["npx next dev", "npm run dev", "npm run both"])
def test_an_image_that_builds_keeps_what_builds_need(
    tmp_path: Path, level: Level, command: str
) -> None:
    found = modules(plan(tmp_path, app(), *command.split(), level=level))
    assert {COMPILER, FONTS, "next/dist/server/capsize-font-metrics.json"} <= found


@BEYOND_SAFE
def test_a_build_that_a_script_starts_counts(tmp_path: Path, level: Level) -> None:
    start = "require('child_process').execSync('npx next build')"
    found = modules(plan(tmp_path, app(**{"/app/server.js": start}), level=level))
    assert {COMPILER, FONTS} <= found


def _without_lists() -> Tree:
    return {path: file for path, file in app().items() if not path.endswith(".nft.json")}


@BEYOND_SAFE
@pytest.mark.parametrize(
    "tree",
    [_without_lists(), app(**{"/app/next.config.ts": "export default {}"})],
    ids=["no lists", "settings in TypeScript"],
)
def test_without_a_build_or_with_sources_to_read_all_stays(
    tmp_path: Path, level: Level, tree: Tree
) -> None:
    assert COMPILER in modules(plan(tmp_path, tree, "npx", "next", "start", level=level))


def test_safe_keeps_what_builds_need(tmp_path: Path) -> None:
    found = modules(plan(tmp_path, app(), "npm", "start", level=Level.SAFE))
    assert {COMPILER, FONTS} <= found


@pytest.mark.parametrize(("value", "goes"), [("production", True), ("development", False)])
def test_a_server_of_the_app_s_own(tmp_path: Path, value: str, *, goes: bool) -> None:
    tree = app(
        **{
            "/app/server.js": "require('next')({dev: process.env.NODE_ENV !== 'production'})",
            "/app/node_modules/next/index.js": "require('./dist/server')",
        }
    )
    found = modules(plan(tmp_path, tree, env=(("NODE_ENV", value),)))
    assert (COMPILER not in found) is goes
    assert (FONTS not in found) is goes


def test_names_that_are_resolved_under_another_name(tmp_path: Path) -> None:
    hook = """
        let resolve = process.env.MINIMAL ? other.resolve : require.resolve
        const table = { style: resolve('styled/style'), gone: resolve('never/style') }
    """
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/server.js": "require('a')",
        **package("a", {"index.js": f"require('styled'); {hook}"}),
        **package("styled", {"index.js": "", "style.js": "require('./dist')", "dist.js": ""}),
        **package("never", {"index.js": "", "style.js": ""}),
    }
    found = modules(plan(tmp_path, tree, level=Level.TIGHT))
    assert {"styled/style.js", "styled/dist.js"} <= found
    assert not any(path.startswith("never/") for path in found), "nothing else reaches it"


def test_standalone_output_runs_with_what_was_copied_beside_it(tmp_path: Path) -> None:
    tree = {
        "/app/server.js": "process.chdir(__dirname); require('next'); require('next/dist/server')",
        "/app/package.json": manifest("shop", dependencies={"next": "15"}),
        "/app/.next/server/app/page.js": "module.exports = require('sharp')",
        "/app/.next/static/chunks/main.js": "",
        "/app/public/photo.png": "",
        **package("next", {"index.js": "", "dist/server.js": ""}),
        **package("sharp"),
    }
    for level in Level:
        found = kept(plan(tmp_path, tree, level=level))
        assert {"public/photo.png", ".next/static/chunks/main.js"} <= found
        assert {"node_modules/next/dist/server.js", "node_modules/sharp/index.js"} <= found


def test_lock_files_say_what_is_for_development(tmp_path: Path) -> None:
    lock = {"packages": {"": {}, "node_modules/d": {"dev": True}, "node_modules/a": {"dev": True}}}
    hidden = {"packages": {"node_modules/e": {"dev": True}, "node_modules/x": {}}}
    tree: dict[str, str | File] = {
        "/app/package.json": manifest("app", devDependencies={"d": "1", "a": "1"}),
        "/app/server.js": "require('a')",
        "/app/package-lock.json": json.dumps(lock),
        **package("a"),
        **package("d"),
    }
    found = plan(tmp_path, tree)
    assert "a/index.js" in modules(found), "what is reached stays whatever the lock says"
    (text,) = problems(found, "unreached-npm-packages")
    assert (
        text
        == "nothing that runs reaches d 1.0.0: all development dependencies by package-lock.json"
    )
    tree |= {"/app/node_modules/.package-lock.json": json.dumps(hidden), **package("e")}
    (text,) = problems(plan(tmp_path, {**tree, **package("x")}), "unreached-npm-packages")
    assert text.endswith(
        "2 of them development dependencies by package-lock.json and .package-lock.json"
    )


@BEYOND_SAFE
def test_settings_that_a_build_records_name_no_packages(tmp_path: Path, level: Level) -> None:
    record = 'self.__FILES = {"typescript": {"ignoreBuildErrors": false}}'
    tree = {**app(), **package("typescript"), "/app/.next/required-server-files.js": record}
    assert "typescript/index.js" not in modules(plan(tmp_path, tree, "npm", "start", level=level))
    tree["/app/settings.js"] = "exports.compiler = 'typescript'"
    assert "typescript/index.js" in modules(plan(tmp_path, tree, "npm", "start", level=level))


def test_source_maps_stay_for_tsx(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1", "tsx": "4"}),
        "/app/main.ts": "import 'a'",
        **package("a", {"index.js": "", "index.js.map": "{}"}),
        **package("tsx"),
    }
    command = ("node", "--import", "tsx", "main.ts")
    assert "a/index.js.map" in modules(plan(tmp_path, tree, *command))
    del tree["/app/node_modules/tsx/package.json"], tree["/app/node_modules/tsx/index.js"]
    assert "a/index.js.map" not in modules(plan(tmp_path, tree, *command))
