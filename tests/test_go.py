"""Go: what a binary says of its build, what the toolchain leaves, and which sources go."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

from imgslim.model import Claim, ImageConfig, Need, OriginKind, Problem, Scope
from imgslim.runtimes.elf.parse import elf_facts
from imgslim.runtimes.go import GoRuntime
from imgslim.runtimes.go_buildinfo import parse_build_info, read_build_info
from imgslim.world import World
from tests.elves import GLIBC, elf
from tests.worlds import File, Tree, make_world

needs_go = pytest.mark.skipif(
    shutil.which("go") is None, reason="no go: a Go toolchain on PATH enables this"
)

FRAME = b"0123456789abcdef"
PADDING = b"\0" * (300 << 10)


def module_text(module: str, *rows: str) -> str:
    lines = [f"path\t{module}/cmd", f"mod\t{module}\t(devel)\t", *rows]
    return "\n".join(lines) + "\n"


def inline(version: str, text: str) -> bytes:
    """The form of Go 1.18 and later: two strings behind their lengths."""
    out = b"\xff Go buildinf:" + bytes([8, 2]) + b"\0" * 16
    for part in (version.encode(), FRAME + text.encode() + FRAME):
        length = len(part)
        while length >= 0x80:
            out += bytes([length & 0x7F | 0x80])
            length >>= 7
        out += bytes([length]) + part
    return out


def pointers(version: str, text: str, address: int) -> bytes:
    """The form before 1.18: the header points to Go strings, which point to bytes."""
    parts = [version.encode(), FRAME + text.encode() + FRAME]
    strings_at = address + 32
    bytes_at = strings_at + 32
    header = b"\xff Go buildinf:" + bytes([8, 0])
    header += struct.pack("<QQ", strings_at, strings_at + 16)
    table = struct.pack("<QQQQ", bytes_at, len(parts[0]), bytes_at + len(parts[0]), len(parts[1]))
    return header + table + b"".join(parts)


def go_binary(
    module: str = "example.com/app", *rows: str, version: str = "go1.26.8", dynamic: bool = False
) -> File:
    data = b"\0" * 16 + inline(version, module_text(module, *rows)) + PADDING
    interpreter = GLIBC if dynamic else ""
    return File(elf(interpreter=interpreter, static=not dynamic, data=data), mode=0o755)


def zone_archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "TZif")
    return buffer.getvalue()


TOOLCHAIN: Tree = {
    "/usr/local/go/VERSION": "go1.26.8\ntime 2026-08-28T16:20:06Z\n",
    "/usr/local/go/src/runtime/proc.go": "package runtime\n",
    "/usr/local/go/bin/go": File(go_binary("cmd").content, mode=0o755),
    "/usr/local/go/lib/time/zoneinfo.zip": zone_archive("UTC", "Europe/Paris"),
    "/go/pkg/mod/cache/download/example.com/lib/@v/v1.0.0.mod": "module example.com/lib\n",
    "/go/pkg/mod/example.com/lib@v1.0.0/go.mod": "module example.com/lib\n",
    "/go/pkg/mod/example.com/lib@v1.0.0/lib.go": "package lib\n",
    "/root/.cache/go-build/README": "This directory holds cached build artifacts from the Go "
    "build system.\n",
    "/root/.cache/go-build/trim.txt": "1",
}

APP: Tree = {
    "/src/go.mod": 'module "example.com/app"\n',
    "/src/go.sum": "",
    "/src/main.go": "package main\n",
    "/src/vendor/modules.txt": "",
    "/src/vendor/example.com/lib/lib.go": "package lib\n",
    "/src/templates/index.html": "<p>",
    "/src/static/vendor/jquery.js": "1",
}


def claimed(world: World) -> dict[str, Claim]:
    return {claim.path: claim for claim in GoRuntime(world).claims()}


def test_trees_of_the_toolchain_are_claimed_wherever_they_lie(tmp_path: Path) -> None:
    moved = {
        path.replace("/usr/local/go", "/opt/sdk"): member for path, member in TOOLCHAIN.items()
    }
    claims = claimed(make_world(tmp_path, moved))
    assert claims["/opt/sdk"].origin.kind is OriginKind.RUNTIME
    assert claims["/go/pkg/mod"].origin.kind is OriginKind.CACHE
    assert claims["/root/.cache/go-build"].origin.kind is OriginKind.CACHE


def test_sources_of_a_built_program_go_and_what_lies_beside_stays(tmp_path: Path) -> None:
    world = make_world(tmp_path, TOOLCHAIN, APP, {"/bin/app": go_binary()})
    sources = {
        path
        for path, claim in claimed(world).items()
        if claim.origin.kind is OriginKind.SOURCE and path.startswith("/src")
    }
    assert sources == {"/src/go.mod", "/src/go.sum", "/src/main.go", "/src/vendor"} | {
        "/src/vendor/example.com/lib/lib.go"
    }


def test_go_files_are_the_users_where_nothing_built_them(tmp_path: Path) -> None:
    other = go_binary("example.com/other")
    for program in ({}, {"/bin/other": other}):
        world = make_world(tmp_path, TOOLCHAIN, APP, program)
        assert not [path for path in claimed(world) if path.startswith("/src")]


@pytest.mark.parametrize("cmd", [("/bin/other",), ("/bin/sh", "-c", "other --serve")])
def test_any_module_is_source_when_a_go_program_runs(tmp_path: Path, cmd: tuple[str, ...]) -> None:
    config = ImageConfig(cmd=cmd)
    other = {"/bin/other": go_binary("example.com/other")}
    world = make_world(tmp_path, APP, other, config=config)
    assert claimed(world)["/src/main.go"].scope is Scope.PATH


def test_a_replaced_module_was_built_too(tmp_path: Path) -> None:
    binary = go_binary("example.com/app", "dep\texample.com/lib\tv0.0.0", "=>\t./lib\t(devel)\t")
    lib = {"/src/lib/go.mod": "module example.com/lib\n", "/src/lib/lib.go": "package lib\n"}
    assert "/src/lib/lib.go" in claimed(make_world(tmp_path, lib, {"/bin/app": binary}))


def zone_needs(world: World, path: str) -> list[str]:
    findings = GoRuntime(world).needs(world.rootfs.entries[path])
    return [finding.path for finding in findings if isinstance(finding, Need)]


@pytest.mark.parametrize(
    ("rows", "system", "env", "kept"),
    [
        ((), {}, {}, True),
        ((), {"/usr/share/zoneinfo/UTC": "", "/usr/share/zoneinfo/Europe/Paris": ""}, {}, False),
        ((), {"/usr/share/zoneinfo/UTC": ""}, {}, True),
        (("build\t-trimpath=true",), {}, {}, False),
        (("build\t-trimpath=true",), {}, {"GOROOT": "/usr/local/go"}, True),
    ],
)
def test_the_toolchains_time_zones_stay_where_go_would_read_them(
    tmp_path: Path, rows: tuple[str, ...], system: Tree, env: dict[str, str], kept: bool
) -> None:
    config = ImageConfig(env=tuple(env.items()))
    binary = {"/bin/app": go_binary("example.com/app", *rows)}
    world = make_world(tmp_path, TOOLCHAIN, system, binary, config=config)
    expected = ["/usr/local/go/lib/time/zoneinfo.zip"] if kept else []
    assert zone_needs(world, "/bin/app") == expected


def test_running_the_go_tool_keeps_what_it_compiles_with(tmp_path: Path) -> None:
    world = make_world(tmp_path, TOOLCHAIN, APP)
    path = "/usr/local/go/bin/go"
    findings = list(GoRuntime(world).command_needs(("go", "run", "."), path, "<cmd>"))
    trees = {f.path for f in findings if isinstance(f, Need) and f.scope is Scope.TREE}
    assert trees == {"/usr/local/go", "/go/pkg/mod", "/src"}
    assert [f.code for f in findings if isinstance(f, Problem)] == ["go-tool"]


@pytest.mark.parametrize(
    ("binary", "expected"),
    [
        (
            go_binary(dynamic=True),
            "Go 1.26.8 binary, module example.com/app, dynamically linked to libc",
        ),
        (go_binary(), "Go 1.26.8 binary, module example.com/app, statically linked"),
        (File(elf(static=True, data=PADDING), mode=0o755), None),
        (File(elf(static=True, data=b"UPX!" + PADDING), mode=0o755), None),
        (File(b"\xff Go buildinf:" + PADDING, mode=0o755), None),
        (File(b"\x7fELF\x02\x01\x01" + b"\xee" * (300 << 10), mode=0o755), None),
    ],
)
def test_describe(tmp_path: Path, binary: File, expected: str | None) -> None:
    world = make_world(tmp_path, {"/app": binary})
    assert GoRuntime(world).describe(world.rootfs.entries["/app"]) == expected


def test_build_information_before_go_1_18_is_behind_pointers(tmp_path: Path) -> None:
    text = module_text("example.com/old", "dep\texample.com/lib\tv1.2.3\th1:x")
    start = len(elf(static=True))
    binary = elf(static=True, data=pointers("go1.16.3", text, start))
    world = make_world(tmp_path, {"/app": binary})
    info = read_build_info(world.rootfs, world.rootfs.entries["/app"])
    assert info is not None
    assert (info.version, info.module) == ("go1.16.3", "example.com/old")
    assert info.dependencies == (("example.com/lib", "v1.2.3"),)


def test_settings_are_read_by_key() -> None:
    info = parse_build_info("go1.26", 'path\tx\nbuild\tCGO_ENABLED=1\nbuild\t-ldflags="-s -w"\n')
    assert (info.setting("CGO_ENABLED"), info.setting("-ldflags")) == ("1", "-s -w")


MAIN = """package main

import ("fmt"; "net"; "os/exec"; "time")

func main() {
    _, err := net.LookupHost("localhost")
    zone, _ := time.LoadLocation("Europe/Paris")
    fmt.Println(err, zone, exec.Command("true").Run())
}
"""

BUILDS = {
    "cgo": ("1", ()),
    "static": ("0", ()),
    "trimpath": ("0", ("-trimpath",)),
    "stripped": ("1", ("-ldflags=-s -w",)),
    "pie": ("0", ("-buildmode=pie",)),
}


@needs_go
@pytest.mark.parametrize("name", BUILDS)
def test_real_binaries_against_go_version(tmp_path: Path, name: str) -> None:
    cgo, flags = BUILDS[name]
    if cgo == "1" and shutil.which("gcc") is None:
        pytest.skip("no gcc: cgo needs one; apt-get install gcc libc6-dev enables this")
    (tmp_path / "go.mod").write_text("module example.com/real\n\ngo 1.20\n")
    (tmp_path / "main.go").write_text(MAIN)
    command = ["go", "build", *flags, "-o", "app", "."]
    home = {"HOME": str(Path.home()), "PATH": "/usr/local/go/bin:/usr/bin:/bin"}
    environment = {**home, "CGO_ENABLED": cgo, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    environment["PATH"] = f"{Path(str(shutil.which('go'))).parent}:{environment['PATH']}"
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    said = subprocess.run(
        ["go", "version", "-m", "app"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    world = make_world(tmp_path, {"/app": File((tmp_path / "app").read_bytes(), mode=0o755)})
    entry = world.rootfs.entries["/app"]
    info = read_build_info(world.rootfs, entry)
    assert info is not None
    assert said.startswith(f"app: {info.version}\n")
    assert info.module == "example.com/real"
    theirs = dict(re.findall(r"^\tbuild\t(.+?)=(.*)$", said, re.MULTILINE))
    assert dict(info.settings) == {key: value.strip('"') for key, value in theirs.items()}
    facts = elf_facts(world.rootfs, entry)
    linkage = "dynamically" if facts is not None and facts.interpreter else "statically"
    assert linkage in str(GoRuntime(world).describe(entry))
    codes = [f.code for f in GoRuntime(world).command_needs(("/app",), "/app", "<cmd>")]  # type: ignore[union-attr]
    assert codes == ["may-start-programs"]
