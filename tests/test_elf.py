"""Native closure: what a program's loader would map, kept by the paths through which it does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from imgslim.model import Finding, ImageConfig, Need, Problem, Severity
from imgslim.runtimes.elf import ElfRuntime, elf_facts
from imgslim.world import World
from tests.elves import AARCH64, GLIBC, I386, MUSL, elf
from tests.worlds import Link, Tree, make_world

LIBC = {
    "/lib64": Link("usr/lib64"),
    "/lib": Link("usr/lib"),
    "/usr/lib64/ld-linux-x86-64.so.2": elf(soname="ld-linux-x86-64.so.2"),
    "/usr/lib/x86_64-linux-gnu/libc.so.6": elf(soname="libc.so.6"),
}
ALPINE = {MUSL: elf(soname="libc.musl-x86_64.so.1"), "/lib/libc.musl-x86_64.so.1": Link(MUSL)}


class NothingKept:
    def __contains__(self, path: object) -> bool:
        return False

    def entries(self) -> Iterable[object]:
        return ()


def findings(world: World, *paths: str) -> list[Finding]:
    """What the runtime says when ``paths`` run, to the end: each library is kept and asked, too."""
    runtime = ElfRuntime(world)
    found: list[Finding] = []
    queue = list(paths)
    asked: set[str] = set()
    for path in paths:
        found.extend(runtime.command_needs((path,), path, "<entrypoint>"))
    while queue:
        entry = world.rootfs.lookup(queue.pop(0))
        if entry is None or entry.path in asked:
            continue
        asked.add(entry.path)
        more = list(runtime.needs(entry))
        found.extend(more)
        queue.extend(finding.path for finding in more if isinstance(finding, Need))
    kept = NothingKept()
    return [*found, *runtime.settle(kept), *runtime.conclude(kept)]  # type: ignore[arg-type]


def needed(world: World, *paths: str) -> set[str]:
    own = {GLIBC, *ALPINE}
    return {f.path for f in findings(world, *paths) if isinstance(f, Need)} - own


def problems(world: World, *paths: str) -> list[tuple[str, str]]:
    return [(f.code, f.severity) for f in findings(world, *paths) if isinstance(f, Problem)]


def glibc(*names: str, **options: str) -> bytes:
    return elf(*names, interpreter=GLIBC, **options)  # type: ignore[arg-type]


SEARCHES: dict[str, tuple[Tree, dict[str, str], set[str]]] = {
    "the default directory": (
        {"/app": glibc("libc.so.6")},
        {},
        {"/lib/x86_64-linux-gnu/libc.so.6"},
    ),
    "RUNPATH relative to the real file, through a link to the program": (
        {
            "/app": Link("opt/app/bin/app"),
            "/opt/app/bin/app": glibc("liba.so", runpath="$ORIGIN/../lib"),
            "/opt/app/lib/liba.so": elf(),
        },
        {},
        {"/opt/app/lib/liba.so"},
    ),
    "RUNPATH is not inherited": (
        {
            "/app": glibc("liba.so", runpath="/opt"),
            "/opt/liba.so": elf("libb.so"),
            "/opt/libb.so": elf(),
            "/usr/lib/libb.so": elf(),
        },
        {},
        {"/opt/liba.so", "/lib/libb.so"},
    ),
    "RPATH is inherited": (
        {
            "/app": glibc("liba.so", rpath="/opt"),
            "/opt/liba.so": elf("libb.so"),
            "/opt/libb.so": elf(),
            "/usr/lib/libb.so": elf(),
        },
        {},
        {"/opt/liba.so", "/opt/libb.so"},
    ),
    "a RUNPATH of the asking library switches RPATH off": (
        {
            "/app": glibc("liba.so", rpath="/opt"),
            "/opt/liba.so": elf("libb.so", runpath="/other"),
            "/opt/libb.so": elf(),
            "/other/libb.so": elf(),
        },
        {},
        {"/opt/liba.so", "/other/libb.so"},
    ),
    "LD_LIBRARY_PATH before RUNPATH": (
        {
            "/app": glibc("liba.so", runpath="/opt"),
            "/opt/liba.so": elf(),
            "/env/liba.so": elf(),
        },
        {"LD_LIBRARY_PATH": "/none:/env"},
        {"/env/liba.so"},
    ),
    "RPATH before LD_LIBRARY_PATH": (
        {"/app": glibc("liba.so", rpath="/opt"), "/opt/liba.so": elf(), "/env/liba.so": elf()},
        {"LD_LIBRARY_PATH": "/env"},
        {"/opt/liba.so"},
    ),
    "ld.so.conf and what it includes": (
        {
            "/app": glibc("liba.so"),
            "/etc/ld.so.conf": "include ld.so.conf.d/*.conf\n",
            "/etc/ld.so.conf.d/opt.conf": "# ours\n/opt/lib\n",
            "/opt/lib/liba.so": Link("liba.so.1.2"),
            "/opt/lib/liba.so.1.2": elf(),
        },
        {},
        {"/opt/lib/liba.so"},
    ),
    "all hardware variants, and the plain one": (
        {
            "/app": glibc("liba.so", runpath="/opt"),
            "/opt/liba.so": elf(),
            "/opt/glibc-hwcaps/x86-64-v3/liba.so": elf(),
            "/opt/haswell/liba.so": elf("libb.so"),
            "/usr/lib/libb.so": elf(),
        },
        {},
        {
            "/opt/liba.so",
            "/opt/glibc-hwcaps/x86-64-v3/liba.so",
            "/opt/haswell/liba.so",
            "/lib/libb.so",
        },
    ),
    "a library of another architecture, and a linker script, are passed over": (
        {
            "/app": glibc("liba.so", runpath="/arm:/text:/opt"),
            "/arm/liba.so": elf(machine=AARCH64),
            "/text/liba.so": "INPUT(liba.so.1)" + " " * 64,
            "/opt/liba.so": elf(),
        },
        {},
        {"/opt/liba.so"},
    ),
    "a name that something loaded answers is not searched": (
        {
            "/app": glibc("liba.so", "libc-two.so", runpath="/opt"),
            "/opt/liba.so": elf(soname="libb.so"),
            "/opt/libc-two.so": elf("libb.so", runpath="/other"),
            "/other/libb.so": elf(),
        },
        {},
        {"/opt/liba.so", "/opt/libc-two.so"},
    ),
    "LD_PRELOAD": (
        {"/app": glibc("libc.so.6"), "/usr/lib/libjemalloc.so.2": elf()},
        {"LD_PRELOAD": "libjemalloc.so.2"},
        {"/lib/libjemalloc.so.2", "/lib/x86_64-linux-gnu/libc.so.6"},
    ),
    "/etc/ld.so.preload": (
        {"/app": glibc(), "/etc/ld.so.preload": "/opt/spy.so\n", "/opt/spy.so": elf()},
        {},
        {"/opt/spy.so"},
    ),
    "what .note.dlopen announces": (
        {
            "/app": glibc(dlopens=["libzstd.so.1", "libabsent.so.1"]),  # type: ignore[arg-type]
            "/usr/lib/x86_64-linux-gnu/libzstd.so.1": elf("libz.so.1"),
            "/usr/lib/x86_64-linux-gnu/libz.so.1": elf(),
        },
        {},
        {"/lib/x86_64-linux-gnu/libzstd.so.1", "/lib/x86_64-linux-gnu/libz.so.1"},
    ),
    "a chain of links": (
        {
            "/app": glibc("liba.so.1", runpath="$ORIGIN/lib"),
            "/lib2/liba.so.1": Link("/store/liba.so.1.0"),
            "/store/liba.so.1.0": elf("libb.so"),
            "/usr/lib/libb.so": elf(),
            "/lib.d": Link("lib2"),
        },
        {"LD_LIBRARY_PATH": "/lib.d"},
        {"/lib.d/liba.so.1", "/lib/libb.so"},
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_glibc_search(tmp_path: Path, name: str) -> None:
    tree, environment, expected = SEARCHES[name]
    config = ImageConfig(env=tuple(environment.items()))
    assert needed(make_world(tmp_path, LIBC, tree, config=config), "/app") == expected


MUSL_SEARCHES: dict[str, tuple[Tree, dict[str, str], set[str]]] = {
    "RUNPATH is inherited": (
        {
            "/app": elf("liba.so", interpreter=MUSL, runpath="/opt"),
            "/opt/liba.so": elf("libb.so"),
            "/opt/libb.so": elf(),
        },
        {},
        {"/opt/liba.so", "/opt/libb.so"},
    ),
    "LD_LIBRARY_PATH before RPATH": (
        {
            "/app": elf("liba.so", interpreter=MUSL, rpath="/opt"),
            "/opt/liba.so": elf(),
            "/env/liba.so": elf(),
        },
        {"LD_LIBRARY_PATH": "/env"},
        {"/env/liba.so"},
    ),
    "/usr/local/lib before /usr/lib, and the libc answers its own names": (
        {
            "/app": elf("libc.musl-x86_64.so.1", "libpthread.so.0", "liba.so", interpreter=MUSL),
            "/usr/lib/liba.so": elf(),
            "/usr/local/lib/liba.so": elf(),
        },
        {},
        {"/usr/local/lib/liba.so"},
    ),
    "the path file": (
        {
            "/app": elf("liba.so", interpreter=MUSL),
            "/etc/ld-musl-x86_64.path": "/lib:/opt\n/usr/lib\n",
            "/opt/liba.so": elf(),
            "/usr/local/lib/liba.so": elf(),
        },
        {},
        {"/opt/liba.so"},
    ),
}


@pytest.mark.parametrize("name", MUSL_SEARCHES)
def test_musl_search(tmp_path: Path, name: str) -> None:
    tree, environment, expected = MUSL_SEARCHES[name]
    config = ImageConfig(env=tuple(environment.items()))
    assert needed(make_world(tmp_path, ALPINE, tree, config=config), "/app") == expected


def test_loader_is_needed_by_the_path_that_the_program_names(tmp_path: Path) -> None:
    world = make_world(tmp_path, LIBC, {"/app": glibc("libc.so.6")})
    assert GLIBC in {f.path for f in findings(world, "/app") if isinstance(f, Need)}


def test_a_missing_library_of_what_runs_is_an_error_and_of_a_plug_in_a_warning(
    tmp_path: Path,
) -> None:
    tree = {"/app": glibc("libgone.so.1"), "/plugin.so": elf("libgone.so.2")}
    world = make_world(tmp_path, LIBC, tree)
    assert problems(world, "/app") == [("missing-library", Severity.ERROR)]
    runtime = ElfRuntime(world)
    assert list(runtime.needs(world.rootfs.entries["/plugin.so"])) == []
    said = list(runtime.settle(NothingKept()))  # type: ignore[arg-type]
    assert [(p.code, p.severity) for p in said if isinstance(p, Problem)] == [
        ("missing-library", Severity.WARNING)
    ]


def test_the_driver_that_the_host_brings_is_no_fault(tmp_path: Path) -> None:
    world = make_world(tmp_path, LIBC, {"/app": glibc("libcuda.so.1")})
    assert problems(world, "/app") == [("host-library", Severity.INFO)]


def test_a_library_that_only_its_name_finds_is_kept_and_said(tmp_path: Path) -> None:
    tree = {
        "/jdk/lib/libjava.so": elf("libjvm.so", runpath="$ORIGIN"),
        "/jdk/lib/server/libjvm.so": elf(soname="libjvm.so"),
    }
    world = make_world(tmp_path, LIBC, tree)
    assert needed(world, "/jdk/lib/libjava.so") == {"/jdk/lib/server/libjvm.so"}
    assert problems(world, "/jdk/lib/libjava.so") == [("library-by-name", Severity.INFO)]


def test_a_library_found_by_its_development_link_stays_openable_by_its_soname(
    tmp_path: Path,
) -> None:
    lib = "/usr/lib/x86_64-linux-gnu"
    tree: Tree = {
        f"{lib}/libyaml-0.so.2.0.9": elf(soname="libyaml-0.so.2"),
        f"{lib}/libyaml-0.so.2": Link("libyaml-0.so.2.0.9"),
        f"{lib}/libyaml.so": Link("libyaml-0.so.2.0.9"),
        f"{lib}/libz.so.1.2": elf(soname="libz.so.1"),
        f"{lib}/libz.so.1": elf(soname="libz.so.1"),
    }
    world = make_world(tmp_path, LIBC, tree)
    assert needed(world, f"{lib}/libyaml.so") == {f"{lib}/libyaml-0.so.2"}
    assert needed(world, f"{lib}/libz.so.1.2") == set()


def test_a_missing_loader_is_said_by_name(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"/app": glibc()})
    assert problems(world, "/app") == [("missing-loader", Severity.ERROR)]


def test_binaries_of_another_architecture_are_kept_without_libraries(tmp_path: Path) -> None:
    tree = {"/prebuilt.node": elf("libgone.so", machine=AARCH64)}
    world = make_world(tmp_path, LIBC, tree)
    runtime = ElfRuntime(world)
    assert list(runtime.needs(world.rootfs.entries["/prebuilt.node"])) == []
    said = list(runtime.conclude(NothingKept()))  # type: ignore[arg-type]
    assert [(p.code, p.severity) for p in said] == [("foreign-architecture", Severity.INFO)]


@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
def test_a_program_of_another_architecture_that_runs_is_a_warning(
    tmp_path: Path, static: bool
) -> None:
    content = elf("libgone.so", machine=AARCH64, static=static)
    world = make_world(tmp_path, LIBC, {"/app": content})
    assert ("foreign-program", Severity.WARNING) in problems(world, "/app")
    assert needed(world, "/app") == set()


@pytest.mark.parametrize(
    "content",
    [elf(flags=0x08000000), elf(static=True), elf(static=True, machine=I386)],
    ids=["static PIE", "static", "static i386"],
)
def test_a_static_program_needs_nothing_and_is_no_problem(tmp_path: Path, content: bytes) -> None:
    world = make_world(tmp_path, {"/app": content})
    assert needed(world, "/app") == set()
    assert problems(world, "/app") == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (glibc("libc.so.6"), "ELF x86-64 program, dynamically linked to libc.so.6"),
        (elf(static=True), "static ELF x86-64 program"),
        (elf(flags=0x08000000), "static ELF x86-64 program"),
        (elf(soname="liba.so"), "ELF x86-64 shared library"),
        (b"#!/bin/sh\n" + b"#" * 80, None),
        (b"\x7fELF" + b"\xff" * 80, None),
        (glibc("libc.so.6")[:200], None),
    ],
)
def test_describe(tmp_path: Path, content: bytes, expected: str | None) -> None:
    world = make_world(tmp_path, {"/app": content})
    assert ElfRuntime(world).describe(world.rootfs.entries["/app"]) == expected


def test_imports_are_the_telling_symbols(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"/app": glibc(imports=["getaddrinfo", "printf"])})  # type: ignore[arg-type]
    facts = elf_facts(world.rootfs, world.rootfs.entries["/app"])
    assert facts is not None
    assert facts.imports == {"getaddrinfo"}
