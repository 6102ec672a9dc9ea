"""What is kept of an image with a Node.js app."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.choices import Level
from imgslim.model import ImageConfig, Need, Problem
from imgslim.runtimes.node import NodeRuntime
from imgslim.runtimes.node.programs import program_findings
from imgslim.runtimes.node.source import read_source
from tests.elves import GLIBC, MUSL, elf
from tests.node_images import (
    NODE,
    NPM,
    kept,
    manifest,
    modules,
    package,
    plan,
    problems,
    system,
)
from tests.worlds import File, Link, make_world

EVERY_LEVEL = pytest.mark.parametrize("level", list(Level))


@EVERY_LEVEL
def test_dependencies_stay_with_theirs_and_development_goes(tmp_path: Path, level: Level) -> None:
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}, devDependencies={"d": "1"}),
        "/app/server.js": "require('a')",
        **package("a", {"index.js": "require('b')"}, dependencies={"b": "1"}),
        **package("b"),
        **package("d", dependencies={"e": "1"}),
        **package("e"),
    }
    found = plan(tmp_path, tree, level=level)
    assert {"a/index.js", "b/index.js", "a/package.json"} <= modules(found)
    assert not modules(found) & {"d/index.js", "e/index.js"}
    assert any("d 1.0.0" in text for text in problems(found, "unreached-npm-packages"))


@EVERY_LEVEL
def test_a_declared_package_that_no_source_names_stays(tmp_path: Path, level: Level) -> None:
    tree = {
        "/app/package.json": manifest("app", dependencies={"ejs": "1"}),
        "/app/server.js": "app.set('view engine', 'ejs')",
        **package("ejs", {"index.js": "require('./lib')", "lib.js": ""}),
    }
    assert {"ejs/index.js", "ejs/lib.js"} <= modules(plan(tmp_path, tree, level=level))


@EVERY_LEVEL
def test_what_a_source_that_runs_names_stays_whatever_the_manifest_says(
    tmp_path: Path, level: Level
) -> None:
    tree = {
        "/app/package.json": manifest("app", devDependencies={"d": "1"}),
        "/app/server.js": "import('./late.mjs')",
        "/app/late.mjs": "import 'd'; import 'undeclared'",
        **package("d"),
        **package("undeclared"),
        "/app/test/server.test.js": "require('mocha')",
        **package("mocha"),
    }
    found = modules(plan(tmp_path, tree, level=level))
    assert {"d/index.js", "undeclared/index.js"} <= found
    assert "mocha/index.js" in found, "no manifest says that it is for development only"


def test_what_only_tests_name_goes_beyond_safe(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", devDependencies={"mocha": "1"}),
        "/app/server.js": "",
        "/app/test/server.test.js": "require('mocha')",
        **package("mocha"),
    }
    assert "mocha/index.js" in modules(plan(tmp_path, tree, level=Level.SAFE))
    assert "mocha/index.js" not in modules(plan(tmp_path, tree, level=Level.BALANCED))


def test_tight_keeps_the_modules_that_are_loaded_and_all_data(tmp_path: Path) -> None:
    files = {
        "index.js": "require('./used'); require('./plugins/' + name)",
        "used.js": "",
        "unused.js": "",
        "plugins/one.js": "",
        "template.html": "",
    }
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/server.js": "require('a')",
        **package("a", files),
    }
    found = modules(plan(tmp_path, tree, level=Level.TIGHT))
    assert found >= {"a/index.js", "a/used.js", "a/plugins/one.js", "a/template.html"}
    assert "a/unused.js" not in found
    assert "a/unused.js" in modules(plan(tmp_path, tree))


def test_tight_keeps_a_package_whole_where_it_loads_what_nobody_knows(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/server.js": "require('a')",
        **package("a", {"index.js": "require(name)", "x.js": ""}, dependencies={"b": "1"}),
        **package("b"),
    }
    assert {"a/x.js", "b/index.js"} <= modules(plan(tmp_path, tree, level=Level.TIGHT))


@EVERY_LEVEL
def test_files_of_packages_that_are_read_or_served(tmp_path: Path, level: Level) -> None:
    tree = {
        "/app/server.js": "express.static(path.join(__dirname, 'node_modules', 'ui', 'dist'));"
        "res.sendFile(path.resolve('node_modules/icons/all.js'))",
        **package("ui", {"dist/ui.js": "", "dist/ui.css": ""}),
        **package("icons", {"all.js": ""}),
    }
    found = modules(plan(tmp_path, tree, level=level))
    assert {"ui/dist/ui.js", "ui/dist/ui.css", "icons/all.js"} <= found


def test_a_dynamic_require_of_the_apps_own_is_said(tmp_path: Path) -> None:
    found = plan(tmp_path, {"/app/server.js": "\nrequire(process.argv[2])"})
    assert problems(found, "dynamic-require") == [
        "loads a module whose name only a run knows (line 2)"
    ]


def test_a_dynamic_require_with_a_known_beginning_reaches_what_starts_so(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", devDependencies={"plug-a": "1", "x": "1"}),
        "/app/server.js": "require(`./jobs/${name}`); require('plug-' + name)",
        "/app/jobs/mail.js": "require('x')",
        **package("x"),
        **package("plug-a"),
    }
    assert {"x/index.js", "plug-a/index.js"} <= modules(plan(tmp_path, tree))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("index.d.ts", "type declarations"),
        ("index.js.map", "source maps"),
        ("README.md", "documentation"),
        ("test/all.js", "tests"),
        ("binding.gyp", "sources of addons"),
        ("build/Release/obj.target/a/a.o", "sources of addons"),
        ("prebuilds/darwin-arm64/a.node", "addons of other platforms"),
        ("prebuilds/linux-x64/a.musl.node", "addons of other platforms"),
    ],
)
def test_what_nothing_loads_of_a_package_goes(tmp_path: Path, path: str, reason: str) -> None:
    files = {"index.js": "", path: "", "binding.gyp": "", "LICENSE.md": ""}
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/server.js": "",
        **package("a", files),
    }
    found = plan(tmp_path, tree)
    assert f"a/{path}" not in modules(found)
    assert "a/LICENSE.md" in modules(found)
    assert reason in problems(found, "left-out-by-level")[0]
    assert f"a/{path}" in modules(plan(tmp_path, tree, level=Level.SAFE))


def test_what_looks_like_waste_but_is_loaded_stays(tmp_path: Path) -> None:
    files = {"index.js": "require('./test/data')", "test/data.js": "", "test/other.js": ""}
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/server.js": "require('a')",
        **package("a", files),
    }
    for level in (Level.BALANCED, Level.TIGHT):
        found = modules(plan(tmp_path, tree, level=level))
        assert "a/test/data.js" in found
        assert "a/test/other.js" not in found


def test_source_maps_stay_where_they_are_read(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/server.js": "",
        **package("a", {"index.js": "", "index.js.map": ""}),
    }
    options = (("NODE_OPTIONS", "--enable-source-maps"),)
    assert "a/index.js.map" in modules(plan(tmp_path, tree, env=options))
    command = ("node", "--enable-source-maps", "server.js")
    assert "a/index.js.map" in modules(plan(tmp_path, tree, *command))


@pytest.mark.parametrize(("loader", "wanted"), [("glibc", "linux-x64"), ("musl", "linuxmusl-x64")])
def test_optional_packages_of_other_platforms_go(tmp_path: Path, loader: str, wanted: str) -> None:
    names = {
        "linux-x64": {"os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]},
        "linuxmusl-x64": {"os": ["linux"], "cpu": ["x64"], "libc": ["musl"]},
        "linux-arm64": {"os": ["linux"], "cpu": ["arm64"]},
        "darwin-x64": {"os": ["darwin"], "cpu": ["x64"]},
        "win32-x64": {"os": ["!linux"]},
    }
    tree = {
        "/app/package.json": manifest("app", dependencies={"sharp": "1"}),
        "/app/server.js": "",
        **package("sharp", optionalDependencies={f"@img/sharp-{name}": "1" for name in names}),
    }
    for name, fields in names.items():
        tree |= package(f"@img/sharp-{name}", {"lib/sharp.node": ""}, **fields)
    if loader == "musl":
        tree[NODE] = File(elf("libc.musl-x86_64.so.1", interpreter=MUSL), mode=0o755)
    found = {path.split("/")[1] for path in modules(plan(tmp_path, tree)) if path[0] == "@"}
    assert found == {f"sharp-{wanted}"}


def test_packages_behind_pnpms_links_and_workspaces(tmp_path: Path) -> None:
    store = "/app/node_modules/.pnpm"
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1", "@app/lib": "workspace:*"}),
        "/app/server.js": "require('a'); require('@app/lib')",
        "/app/node_modules/a": Link(".pnpm/a@1/node_modules/a"),
        "/app/node_modules/@app/lib": Link("../../packages/lib"),
        **package("a", top=f"{store}/a@1", dependencies={"b": "1"}),
        f"{store}/a@1/node_modules/b": Link("../../b@1/node_modules/b"),
        **package("b", top=f"{store}/b@1"),
        **package("unused", top=f"{store}/unused@1"),
        "/app/packages/lib/package.json": manifest("@app/lib", dependencies={"c": "1"}),
        "/app/packages/lib/index.js": "",
        **package("c", top="/app/packages/lib"),
    }
    found = kept(plan(tmp_path, tree))
    assert {
        "node_modules/a",
        "node_modules/@app/lib",
        "node_modules/.pnpm/a@1/node_modules/a/index.js",
        "node_modules/.pnpm/a@1/node_modules/b",
        "node_modules/.pnpm/b@1/node_modules/b/index.js",
        "packages/lib/node_modules/c/index.js",
    } <= found
    assert "node_modules/.pnpm/unused@1/node_modules/unused/index.js" not in found


def test_npm_start_runs_the_script_of_the_manifest(tmp_path: Path) -> None:
    scripts = {"prestart": "sha256sum x", "start": "next start -p 3000", "build": "tsc"}
    tree = {
        "/app/package.json": manifest("app", scripts=scripts, devDependencies={"next": "1"}),
        "/app/node_modules/.bin/next": Link("../next/bin/next"),
        **package("next", {"bin/next": File("#!/usr/bin/env node\n", mode=0o755)}),
        "/app/node_modules/.bin/tsc": Link("../typescript/bin/tsc"),
        **package("typescript", {"bin/tsc": File("#!/usr/bin/env node\n", mode=0o755)}),
    }
    found = plan(tmp_path, tree, "npm", "start")
    assert {"node_modules/.bin/next", "node_modules/next/bin/next"} <= kept(found)
    assert {NODE, f"{NPM}/lib/cli.js", "/usr/bin/sha256sum", "/bin/sh"} <= kept(found)
    assert "node_modules/typescript/bin/tsc" not in kept(found)
    assert "npm stays" in problems(found, "package-manager")[0]
    assert "start: next start -p 3000" in found.programs[0].description


@pytest.mark.parametrize(
    "words",
    [
        ("npm", "run", "serve"),
        ("npm", "run", "--silent", "serve", "--", "--port", "1"),
        ("npm", "--prefix", "/app", "run", "serve"),
        ("npx", "a"),
        ("npm", "exec", "a", "--", "b"),
        ("node", "--run", "serve"),
        ("sh", "-c", "npm run serve"),
    ],
)
def test_ways_to_run_a_script(tmp_path: Path, words: tuple[str, ...]) -> None:
    tree = {
        "/app/package.json": manifest("app", scripts={"serve": "a --now"}),
        "/app/node_modules/.bin/a": Link("../a/cli.js"),
        **package("a", {"cli.js": File("#!/usr/bin/env node\nrequire('b')", mode=0o755)}),
        **package("b"),
    }
    found = plan(tmp_path, tree, *words)
    assert {"a/cli.js", "b/index.js"} <= modules(found)
    assert (f"{NPM}/lib/cli.js" in kept(found)) == (words[0] != "node")


def test_a_first_line_is_read_as_far_as_the_kernel_reads_it(tmp_path: Path) -> None:
    unset = " ".join(f"--unset=VARIABLE_{number}" for number in range(10))
    script = f"#!/usr/bin/env -S {unset} node\n"
    assert 128 < len(script) < 256
    world = make_world(tmp_path, {**system(), "/app/serve": File(script, mode=0o755)})
    assert NodeRuntime(world).describe(world.rootfs.entries["/app/serve"]) == "Node.js script"


def test_a_script_that_is_not_there_is_said(tmp_path: Path) -> None:
    tree = {"/app/package.json": manifest("app", scripts={})}
    found = plan(tmp_path, tree, "npm", "run", "serve")
    assert "no script there" in problems(found, "script-not-found")[0]


def test_npm_start_without_a_script_runs_server_js(tmp_path: Path) -> None:
    tree = {"/app/package.json": manifest("app"), "/app/server.js": "require('a')", **package("a")}
    assert "a/index.js" in modules(plan(tmp_path, tree, "npm", "start"))


def test_pnpms_shims_lead_to_the_program(tmp_path: Path) -> None:
    shim = 'basedir=$(dirname "$0")\nexec node  "$basedir/../a/cli.js" "$@"\n'
    tree = {
        "/app/package.json": manifest("app", scripts={"start": "a"}),
        "/app/node_modules/.bin/a": File(f"#!/bin/sh\n{shim}", mode=0o755),
        **package("a", {"cli.js": "require('b')"}),
        **package("b"),
    }
    assert {"a/cli.js", "b/index.js"} <= modules(plan(tmp_path, tree, "npm", "start"))


def test_a_program_of_a_package_may_load_the_apps_sources(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", devDependencies={"d": "1", "t": "1"}),
        "/app/.next/server/page.js": "require('d')",
        "/app/page.test.js": "require('t')",
        **package("next", {"cli.js": ""}),
        **package("d"),
        **package("t"),
    }
    found = modules(plan(tmp_path, tree, "node", "node_modules/next/cli.js", "start"))
    assert "d/index.js" in found
    assert "t/index.js" not in found


def test_node_options_and_preloaded_modules(tmp_path: Path) -> None:
    tree = {"/app/server.js": "", "/app/x.mjs": "import 'b'", **package("a"), **package("b")}
    environment = (("NODE_OPTIONS", "--require a --max-old-space-size=99 --import ./x.mjs"),)
    assert {"a/index.js", "b/index.js"} <= modules(plan(tmp_path, tree, env=environment))
    words = ("node", "-r", "a", "--import=./x.mjs", "server.js")
    assert {"a/index.js", "b/index.js"} <= modules(plan(tmp_path, tree, *words))


def test_programs_that_sources_start(tmp_path: Path) -> None:
    source = "const { spawn, exec } = require('child_process');"
    tree = {"/app/server.js": f"{source} spawn('sha256sum', ['x'])"}
    found = plan(tmp_path, tree)
    assert "/usr/bin/sha256sum" in kept(found)
    tree = {"/app/server.js": f"{source} exec('sha256sum ' + file)"}
    found = plan(tmp_path, tree)
    assert "/usr/bin/sha256sum" in kept(found)
    packaged = {
        "/app/server.js": "require('a')",
        **package("a", {"index.js": f"{source} spawn('sha256sum')"}),
    }
    assert "/usr/bin/sha256sum" in kept(plan(tmp_path, packaged))


def test_a_line_for_a_shell_needs_one(tmp_path: Path) -> None:
    world = make_world(tmp_path, system())
    for text, expected in (("exec('x y')", True), ("spawn('x', [], {shell: true})", True)):
        source = f"require('child_process'); {text}"
        starts = read_source(source.encode(), ".js").starts
        needs = program_findings(world, "/app/a.js", starts, own=True)
        paths = [need.path for need in needs if isinstance(need, Need)]
        assert ("/bin/sh" in paths) is expected
    starts = read_source(b"require('child_process'); spawn('sha256sum')", ".js").starts
    found = list(program_findings(world, "/app/a.js", starts, own=True))
    assert "/bin/sh" not in [f.path for f in found if not isinstance(f, Problem)]


def test_no_node_program_no_packages(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/static/page.html": "",
        **package("a"),
    }
    found = plan(tmp_path, tree, "sha256sum", "x")
    assert not modules(found)
    assert problems(found, "unreached-npm-packages")
    tree["/app/nginx.conf"] = "alias /app/node_modules/a/dist;"
    assert "a/index.js" in modules(plan(tmp_path, tree, "sha256sum", "x"))
    tree["/app/nginx.conf"] = "alias /app/node_modules;"
    assert "a/index.js" in modules(plan(tmp_path, tree, "sha256sum", "x"))


def test_node_with_nothing_to_run_keeps_what_manifests_name(tmp_path: Path) -> None:
    tree = {"/app/package.json": manifest("app", dependencies={"a": "1"}), **package("a")}
    assert "a/index.js" in modules(plan(tmp_path, tree, "node"))


def test_hidden_folders_that_code_loads_stay(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", dependencies={"@prisma/client": "1"}),
        "/app/server.js": "require('@prisma/client')",
        **package("@prisma/client", {"index.js": "require('.prisma/client/default')"}),
        "/app/node_modules/.prisma/client/default.js": "",
        "/app/node_modules/.prisma/client/libquery_engine.so.node": "",
        "/app/node_modules/.package-lock.json": "{}",
        "/app/node_modules/.cache/x": "",
    }
    for level in Level:
        found = modules(plan(tmp_path, tree, level=level))
        assert ".prisma/client/libquery_engine.so.node" in found
        assert ".cache/x" not in found


def test_commands_of_kept_packages_stay_others_go(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/server.js": "",
        "/app/node_modules/.bin/a": Link("../a/cli.js"),
        **package("a", {"cli.js": ""}),
        "/app/node_modules/.bin/d": Link("../d/cli.js"),
        **package("d", {"cli.js": ""}),
    }
    found = modules(plan(tmp_path, tree))
    assert ".bin/a" in found
    assert ".bin/d" not in found


def test_a_missing_module_is_said(tmp_path: Path) -> None:
    found = plan(tmp_path, {"/app/server.js": "require('absent')"})
    assert problems(found, "missing-module") == ["loads absent (line 1), which is not in the image"]


def test_a_missing_script_is_said(tmp_path: Path) -> None:
    found = plan(tmp_path, {}, "node", "gone.js")
    assert problems(found, "module-not-found") == [
        "<cmd> has Node.js run gone.js, which is not in the image"
    ]


def test_what_the_program_is(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("shop", "2.1.0", dependencies={"express": "^5"}),
        "/app/server.js": "require('express')",
        **package("express", version="5.1.0"),
    }
    found = plan(tmp_path, tree)
    assert found.programs[0].description == "Node.js 24.19.0, app shop 2.1.0 on express 5.1.0"


def test_versions_in_folders_of_their_own_are_nobodys_files(tmp_path: Path) -> None:
    old, new = (f"/root/.nvm/versions/node/v{version}" for version in ("18.0.0", "22.0.0"))
    tree = {"/app/server.js": ""}
    for prefix in (old, new):
        tree |= {
            f"{prefix}/bin/node": system()[NODE],
            f"{prefix}/include/node/node.h": "",
            f"{prefix}/lib/node_modules/npm/package.json": manifest("npm"),
        }
    found = plan(tmp_path, tree, f"{new}/bin/node", "server.js")
    assert f"{new}/bin/node" in kept(found)
    assert not any(path.startswith(old) for path in kept(found))
    assert f"{new}/include/node/node.h" not in kept(found)
    assert found.programs[0].description.startswith("Node.js 22.0.0")


def test_global_packages_come_with_their_commands(tmp_path: Path) -> None:
    top = "/usr/local/lib"
    tree = {
        "/app/server.js": "require('a')",
        **package("a"),
        "/usr/local/bin/pm2-runtime": Link("../lib/node_modules/pm2/bin/pm2"),
        "/usr/local/bin/tsc": Link("../lib/node_modules/typescript/bin/tsc"),
        **package("pm2", {"bin/pm2": File("#!/usr/bin/env node\n", mode=0o755)}, top),
        **package("typescript", {"bin/tsc": File("#!/usr/bin/env node\n", mode=0o755)}, top),
    }
    found = kept(plan(tmp_path, tree, "pm2-runtime", "server.js"))
    assert f"{top}/node_modules/pm2/bin/pm2" in found
    assert "node_modules/a/index.js" in found
    assert not any("typescript" in path or path.endswith("/tsc") for path in found)


def test_claims_leave_what_other_packages_own(tmp_path: Path) -> None:
    world = make_world(tmp_path, {**system(), **package("a")}, config=ImageConfig())
    claimed = {claim.path for claim in NodeRuntime(world).claims()}
    assert "/app/node_modules" in claimed
    assert f"{NPM}" not in claimed


@pytest.mark.parametrize(
    ("scripts", "instead"),
    [
        ({"start": "node server.js"}, 'CMD ["node", "server.js"]'),
        ({"start": "a -p 1"}, 'CMD ["/app/node_modules/.bin/a", "-p", "1"]'),
        (
            {"prestart": "node x.js", "start": "PORT=1 node server.js"},
            'CMD ["/bin/sh", "-c", "node x.js && PORT=1 node server.js"]',
        ),
    ],
)
def test_what_runs_a_script_without_its_manager(
    tmp_path: Path, scripts: dict[str, str], instead: str
) -> None:
    tree = {
        "/app/package.json": manifest("app", scripts=scripts),
        "/app/node_modules/.bin/a": Link("../a/cli.js"),
        **package("a", {"cli.js": File("#!/usr/bin/env node\n", mode=0o755)}),
    }
    found = plan(tmp_path, tree, "npm", "start")
    offers = [p.resolution for p in found.problems if p.code == "package-manager"]
    assert offers == [f"with {instead} in its place npm goes"]


def test_a_script_without_a_suffix(tmp_path: Path) -> None:
    tree = {
        "/app/package.json": manifest("app", devDependencies={"a": "1"}),
        "/app/bin/www": "require('a')",
        **package("a"),
    }
    assert "a/index.js" in modules(plan(tmp_path, tree, "node", "./bin/www"))


def test_a_link_of_the_users_into_a_package_reaches_it(tmp_path: Path) -> None:
    tree = {
        "/app/server.js": "",
        "/app/public/ui": Link("../node_modules/ui/dist"),
        **package("ui", {"dist/ui.js": ""}),
    }
    assert "ui/dist/ui.js" in modules(plan(tmp_path, tree))


def test_type_declarations_stay_for_ts_node(tmp_path: Path) -> None:
    dependencies = {"ts-node": "1", "typescript": "1", "@types/a": "1"}
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}, devDependencies=dependencies),
        "/app/src/main.ts": "import 'a'",
        "/app/node_modules/.bin/ts-node": Link("../ts-node/cli.js"),
        **package(
            "ts-node",
            {"cli.js": File("#!/usr/bin/env node\n", mode=0o755)},
            peerDependencies={"typescript": "*"},
        ),
        **package("typescript", {"index.js": "", "lib/lib.d.ts": ""}),
        **package("@types/a", {"index.d.ts": ""}),
        **package("a"),
    }
    found = modules(plan(tmp_path, tree, "node_modules/.bin/ts-node", "src/main.ts"))
    assert {"typescript/lib/lib.d.ts", "@types/a/index.d.ts", "a/index.js"} <= found


def test_other_programs_that_run_javascript_keep_what_manifests_name(tmp_path: Path) -> None:
    runtime = elf(
        "libc.so.6", interpreter=GLIBC, data=b"\0napi_create_function\0" + b"\0" * (8 << 20)
    )
    tree = {
        "/opt/bun": File(runtime, mode=0o755),
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/index.ts": "import 'b'",
        **package("a"),
        **package("b"),
    }
    assert {"a/index.js", "b/index.js"} <= modules(plan(tmp_path, tree, "/opt/bun", "index.ts"))


def test_a_package_that_names_its_own_directory_keeps_no_other_platforms(tmp_path: Path) -> None:
    files = {
        "index.js": "require('node-gyp-build')(__dirname)",
        "extra.js": "",
        "prebuilds/linux-x64/a.node": "",
        "prebuilds/win32-x64/a.node": "",
    }
    tree = {
        "/app/package.json": manifest("app", dependencies={"a": "1"}),
        "/app/server.js": "require('a')",
        **package("a", files),
    }
    for level in (Level.BALANCED, Level.TIGHT):
        found = modules(plan(tmp_path, tree, level=level))
        assert {"a/prebuilds/linux-x64/a.node", "a/extra.js"} <= found
        assert "a/prebuilds/win32-x64/a.node" not in found


@pytest.mark.parametrize("level", [Level.BALANCED, Level.TIGHT])
def test_what_a_package_uses_when_it_is_there(tmp_path: Path, level: Level) -> None:
    source = "try { require('colours'); require('typescript') } catch {}"
    tree = {
        "/app/package.json": manifest(
            "app", dependencies={"a": "1"}, devDependencies={"typescript": "1", "d": "1"}
        ),
        "/app/server.js": "require('a')",
        **package("a", {"index.js": source}),
        **package("d", dependencies={"colours": "1"}),
        **package("colours"),
        **package("typescript"),
    }
    found = modules(plan(tmp_path, tree, level=level))
    assert "colours/index.js" in found
    assert "typescript/index.js" not in found
