"""Our search against the machine's own dynamic loader: its binaries, and crafted hard cases."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path

import pytest

from imgslim.runtimes.elf.loader import Loader
from imgslim.runtimes.elf.parse import elf_facts
from imgslim.world import World
from tests.disk import disk_world

LOADER = next(
    (p for p in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1") if Path(p).exists()),
    "",
)
pytestmark = pytest.mark.skipif(not LOADER, reason="no glibc loader: run this on a glibc machine")
needs_gcc = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="no gcc: apt-get install gcc libc6-dev enables this"
)

SYSTEM = tuple(
    top
    for top in (
        *("/lib", "/lib64", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
        *map(str, Path("/usr/lib").glob("*-linux-gnu*")),
    )
    if Path(top).exists()
)
"""Where a loader of this machine looks; nothing else of /usr/lib, or indexing it takes the time."""


def traced(program: Path, library_path: str = "") -> tuple[set[str], set[str]]:
    """What the real loader maps for a program (real paths), and what it does not find."""
    environment = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_LIBRARY_PATH": library_path}
    command = [LOADER, str(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.findall(r"^\s*(?:\S+ => )?(/\S+) \(0x", done.stdout, re.MULTILINE)
    missing = re.findall(r"^\s*(\S+) => not found", done.stdout, re.MULTILINE)
    return {os.path.realpath(path) for path in found} - {os.path.realpath(LOADER)}, set(missing)


def ours(world: World, program: Path, library_path: str = "") -> tuple[set[str], set[str]]:
    """The same from us; variants for other processors left out, as one machine has one."""
    entry = world.rootfs.lookup(str(program))
    assert entry is not None
    facts = elf_facts(world.rootfs, entry)
    assert facts is not None
    loader = Loader(world.rootfs, "/", library_path.split(":") if library_path else ())
    loading = loader.load(entry, facts)
    mapped = {m.entry.path for m in loading.mapped if "/glibc-hwcaps/" not in m.path}
    return mapped - {os.path.realpath(LOADER)}, {name for name, _ in loading.missing}


@cache
def machine() -> World:
    stdlib = os.path.realpath(sysconfig.get_path("platstdlib"))
    tops = (*SYSTEM, "/etc/ld.so.cache", f"{stdlib}/lib-dynload", os.path.realpath("/usr/bin"))
    jvms = {os.path.realpath(path) for path in Path("/usr/lib/jvm").glob("*/lib")}
    return disk_world(Path("/"), *(top for top in tops if Path(top).exists()), *jvms)


def natives(limit: int) -> list[Path]:
    """Some dynamic programs and libraries of this machine, spread over the places they lie in."""
    world = machine()
    loader = world.rootfs.lookup(LOADER)
    assert loader is not None
    target = elf_facts(world.rootfs, loader).target  # type: ignore[union-attr]
    found = [
        Path(entry.path)
        for entry in world.rootfs.entries.values()
        if (entry.is_executable or ".so" in entry.path)
        and (facts := elf_facts(world.rootfs, entry)) is not None
        and facts.target == target
        and facts.needed
    ]
    return found[:: max(1, len(found) // limit)]


def is_whole(world: World, program: Path) -> bool:
    """Whether the world, which is not all of the machine, has what the real loader maps."""
    return all(world.rootfs.get(path) is not None for path in traced(program)[0])


def test_this_machines_binaries_load_the_same_libraries() -> None:
    world = machine()
    programs = natives(150)
    assert len(programs) > 20
    different = [p for p in programs if ours(world, p) != traced(p) and is_whole(world, p)]
    assert different == []


def build(target: Path, *, links: tuple[Path, ...] = (), flags: tuple[str, ...] = ()) -> Path:
    """Compile a library (a name with ``.so``) or a program that needs the libraries ``links``."""
    is_library = ".so" in target.name
    target.parent.mkdir(parents=True, exist_ok=True)
    source = "int f;" if is_library else "int main(void){return 0;}"
    command = ["gcc", "-x", "c", "-", "-o", str(target), "-Wl,--no-as-needed", "-nostartfiles"]
    command += ["-shared", "-nostdlib", f"-Wl,-soname,{target.name}"] if is_library else []
    if not is_library:
        command.remove("-nostartfiles")
    command += ["-x", "none", *map(str, links), "-Wl,--allow-shlib-undefined"]
    command += ["-Wl,--unresolved-symbols=ignore-all", *flags]
    subprocess.run(command, input=source, text=True, check=True, capture_output=True)
    return target


RPATH = ("-Wl,--disable-new-dtags",)
RUNPATH = ("-Wl,--enable-new-dtags",)


def rpath(directory: str) -> tuple[str, ...]:
    return (*RPATH, f"-Wl,-rpath,{directory}")


def runpath(directory: str) -> tuple[str, ...]:
    return (*RUNPATH, f"-Wl,-rpath,{directory}")


@cache
def system() -> World:
    cache_file = [top for top in ("/etc/ld.so.cache",) if Path(top).exists()]
    return disk_world(Path("/"), *SYSTEM, *cache_file)


def same(top: Path, program: Path, library_path: str = "") -> set[str]:
    """Assert that both agree; the names of what was mapped from ``top``."""
    base = system().rootfs.entries
    world = disk_world(Path("/"), str(top), base=base)
    expected, answer = traced(program, library_path), ours(world, program, library_path)
    assert answer == expected
    mapped = {str(Path(p).relative_to(top)) for p in answer[0] if Path(p).is_relative_to(top)}
    return mapped | answer[1]


@needs_gcc
def test_rpath_of_the_program_counts_for_its_libraries(tmp_path: Path) -> None:
    b = build(tmp_path / "lib/libb.so")
    a = build(tmp_path / "lib/liba.so", links=(b,))
    app = build(tmp_path / "bin/app", links=(a,), flags=rpath("$ORIGIN/../lib"))
    assert same(tmp_path, app) == {"lib/liba.so", "lib/libb.so"}


@needs_gcc
def test_runpath_of_the_program_does_not(tmp_path: Path) -> None:
    b = build(tmp_path / "lib/libb.so")
    a = build(tmp_path / "lib/liba.so", links=(b,))
    app = build(tmp_path / "bin/app", links=(a,), flags=runpath("$ORIGIN/../lib"))
    assert same(tmp_path, app) == {"lib/liba.so", "libb.so"}


@needs_gcc
def test_runpath_of_a_library_switches_the_programs_rpath_off(tmp_path: Path) -> None:
    b = build(tmp_path / "lib/libb.so")
    build(tmp_path / "other/libb.so")
    a = build(tmp_path / "lib/liba.so", links=(b,), flags=runpath("$ORIGIN/../other"))
    app = build(tmp_path / "bin/app", links=(a,), flags=rpath("$ORIGIN/../lib"))
    assert same(tmp_path, app) == {"lib/liba.so", "other/libb.so"}


@needs_gcc
def test_rpath_passes_through_a_library_with_runpath_to_the_next(tmp_path: Path) -> None:
    c = build(tmp_path / "lib/libc3.so")
    b = build(tmp_path / "lib/libb.so", links=(c,))
    a = build(tmp_path / "lib/liba.so", links=(b,), flags=runpath("$ORIGIN"))
    app = build(tmp_path / "bin/app", links=(a,), flags=rpath("$ORIGIN/../lib"))
    assert same(tmp_path, app) == {"lib/liba.so", "lib/libb.so", "lib/libc3.so"}


@needs_gcc
def test_library_path_stands_between_rpath_and_runpath(tmp_path: Path) -> None:
    a = build(tmp_path / "lib/liba.so")
    build(tmp_path / "env/liba.so")
    first = build(tmp_path / "bin/first", links=(a,), flags=rpath("$ORIGIN/../lib"))
    last = build(tmp_path / "bin/last", links=(a,), flags=runpath("$ORIGIN/../lib"))
    assert same(tmp_path, first, f"{tmp_path}/env") == {"lib/liba.so"}
    assert same(tmp_path, last, f"{tmp_path}/env") == {"env/liba.so"}


@needs_gcc
def test_library_path_counts_for_all_libraries(tmp_path: Path) -> None:
    b = build(tmp_path / "env/libb.so")
    a = build(tmp_path / "env/liba.so", links=(b,))
    app = build(tmp_path / "bin/app", links=(a,))
    assert same(tmp_path, app, f"{tmp_path}/none:{tmp_path}/env") == {"env/liba.so", "env/libb.so"}


@needs_gcc
def test_links_on_the_way_and_dots_behind_them(tmp_path: Path) -> None:
    a = build(tmp_path / "store/v1/lib/liba.so")
    (tmp_path / "store/v1/bin").mkdir()
    (tmp_path / "current").symlink_to("store/v1/bin")
    build(tmp_path / "lib/liba.so")
    app = build(tmp_path / "bin/app", links=(a,), flags=runpath("$ORIGIN/../current/../lib"))
    assert same(tmp_path, app) == {"store/v1/lib/liba.so"}


@needs_gcc
def test_origin_of_a_linked_library_is_where_it_was_opened(tmp_path: Path) -> None:
    b = build(tmp_path / "public/libb.so")
    a = build(tmp_path / "private/liba.so", links=(b,), flags=runpath("$ORIGIN"))
    (tmp_path / "public/liba.so").symlink_to("../private/liba.so")
    app = build(tmp_path / "bin/app", links=(a,), flags=runpath("$ORIGIN/../public"))
    assert same(tmp_path, app) == {"private/liba.so", "public/libb.so"}


@needs_gcc
def test_a_soname_that_is_loaded_answers_for_all(tmp_path: Path) -> None:
    b = build(tmp_path / "one/libb.so")
    build(tmp_path / "two/libb.so")
    a = build(tmp_path / "one/liba.so", links=(b,), flags=runpath("$ORIGIN/../two"))
    app = build(tmp_path / "bin/app", links=(b, a), flags=runpath("$ORIGIN/../one"))
    assert same(tmp_path, app) == {"one/liba.so", "one/libb.so"}


@needs_gcc
def test_no_default_libraries(tmp_path: Path) -> None:
    app = build(tmp_path / "bin/app", flags=("-Wl,-z,nodefaultlib",))
    assert same(tmp_path, app) == {"libc.so.6"}


@needs_gcc
def test_hardware_variants_are_all_kept(tmp_path: Path) -> None:
    a = build(tmp_path / "lib/liba.so")
    build(tmp_path / "lib/glibc-hwcaps/x86-64-v2/liba.so")
    build(tmp_path / "lib/glibc-hwcaps/x86-64-v4/liba.so")
    app = build(tmp_path / "bin/app", links=(a,), flags=runpath("$ORIGIN/../lib"))
    world = disk_world(Path("/"), str(tmp_path), base=system().rootfs.entries)
    entry = world.rootfs.entries[str(app)]
    facts = elf_facts(world.rootfs, entry)
    assert facts is not None
    mapped = {m.entry.path for m in Loader(world.rootfs).load(entry, facts).mapped}
    theirs, _ = traced(app)
    assert {p for p in theirs if p.startswith(str(tmp_path))} <= mapped
    assert len([p for p in mapped if p.endswith("liba.so")]) == 3
