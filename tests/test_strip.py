"""What only debuggers read goes where it is safe, and its size is known before the build."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from imgslim.choices import Choices
from imgslim.copyplan import plan_copies
from imgslim.dockerfile import render_dockerfile
from imgslim.model import Group, ImageConfig, Keep, Plan, Problem
from imgslim.runtimes.elf.sections import read_layout
from imgslim.strip import find_strip, plan_strips, stripped_size_bytes
from imgslim.world import World
from tests.elves import elf
from tests.worlds import Dir, File, Link, Member, Tree, make_image, make_world

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None or shutil.which("strip") is None,
    reason="no gcc and strip: apt-get install gcc libc6-dev binutils enables this",
)

LIBRARY = "".join(
    f"struct s{i} {{ int a; long b[{i + 1}]; }};\nlong f{i}(struct s{i} *p) {{ return p->b[0]; }}\n"
    for i in range(200)
)
STRIP: dict[str, Member] = {"/usr/bin/strip": File("", mode=0o755)}
TOOLS: dict[str, Member] = STRIP | {
    f"/usr/bin/{name}": File("", mode=0o755)
    for name in ("sh", "mkdir", "rm", "mv", "ln", "chown", "chmod", "touch", "tar", "cp")
}


@cache
def compiled(*flags: str, source: str = LIBRARY) -> bytes:
    """What gcc makes of C code."""
    with TemporaryDirectory() as folder:
        output = Path(folder, "out")
        command = ["gcc", "-x", "c", "-", "-o", str(output), *flags]
        subprocess.run(command, input=source, text=True, check=True)
        return output.read_bytes()


def library(*flags: str) -> bytes:
    return compiled("-g", "-shared", "-fPIC", *flags)


def changed_by(*command: str, content: bytes) -> bytes:
    """The content of a file after a command that changes it in place."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(content)
        subprocess.run([*command, str(path)], check=True)
        return path.read_bytes()


def keeps_of(world: World, paths: Sequence[str] = ()) -> tuple[Keep, ...]:
    entries = world.rootfs.entries
    return tuple(
        Keep(entries[path], Group.APP, "app", "<test>") for path in sorted(paths or entries)
    )


def stripped(
    tmp_path: Path, tree: Tree, config: ImageConfig | None = None, *, strip: bool = True
) -> tuple[dict[str, Keep], list[Problem]]:
    """The kept files that are stripped, by path, and what is said."""
    world = make_world(tmp_path, TOOLS, tree, config=config, choices=Choices(strip=strip))
    keeps, problems = plan_strips(world, keeps_of(world))
    return {keep.entry.path: keep for keep in keeps if keep.strip}, problems


MAIN = LIBRARY + "int main(void) { return 0; }"
SOURCES: dict[str, Callable[[], bytes]] = {
    "a library": library,
    "one without build id and hash style": lambda: library("-Wl,--hash-style=sysv,--build-id=none"),
    "compressed": lambda: library("-gz"),
    "a program": lambda: compiled("-g", source=MAIN),
    "one at a fixed address": lambda: compiled("-g", "-no-pie", source=MAIN),
    "a static one": lambda: compiled("-g", "-static", source=MAIN),
    "symbols alone": lambda: compiled("-shared", "-fPIC"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_size_is_that_of_the_real_strip(tmp_path: Path, name: str) -> None:
    content = SOURCES[name]()
    world = make_world(tmp_path, {"/file": content})
    layout = read_layout(world.rootfs, world.rootfs.entries["/file"])
    assert layout is not None
    for option, keep_symbols in (("--strip-unneeded", False), ("--strip-debug", True)):
        real = len(changed_by("strip", option, content=content))
        predicted = stripped_size_bytes(layout, keep_symbols=keep_symbols)
        assert abs(predicted - real) <= 0.02 * real, option


def test_debug_sections_of_a_library_go(tmp_path: Path) -> None:
    found, problems = stripped(tmp_path, {"/opt/liba.so": library()})
    keep = found["/opt/liba.so"]
    assert keep.strip == "/usr/bin/strip -p --strip-unneeded"
    assert 0 < keep.strip_bytes < len(library())
    assert [(p.code, p.cost_bytes) for p in problems] == [("stripped", keep.strip_bytes)]


def test_without_the_choice_the_saving_is_said(tmp_path: Path) -> None:
    found, problems = stripped(tmp_path, {"/opt/liba.so": library()}, strip=False)
    assert found == {}
    (problem,) = problems
    assert problem.code == "debug-sections"
    assert problem.cost_bytes > 0
    assert "--strip" in problem.resolution


def test_a_go_program_keeps_its_symbol_table(tmp_path: Path) -> None:
    info = 'char info[] __attribute__((used, section(".go.buildinfo"))) = "go1.22";'
    source = f"{info}\n{MAIN}"
    found, _ = stripped(tmp_path, {"/opt/app": compiled("-g", source=source)})
    assert found["/opt/app"].strip == "/usr/bin/strip -p --strip-debug"


OWN_DATA = '__asm__(".section pydata\\n.ascii \\"archive\\"\\n.previous");\n'
REFUSED: dict[str, tuple[Tree, str]] = {
    "data behind the last section": ({"/opt/a.so": library() + b"archive"}, "data of their own"),
    "a section of its own": (
        {"/opt/a.so": compiled("-g", "-shared", "-fPIC", source=LIBRARY + OWN_DATA)},
        "data of their own",
    ),
    "FIPS sum of NSS": (
        {"/opt/libfreebl3.so": library(), "/opt/libfreebl3.chk": "sum"},
        "checked by a sum",
    ),
    "FIPS sum of libgcrypt": (
        {"/opt/libgcrypt.so.20.1": library(), "/opt/.libgcrypt.so.20.1.hmac": "sum"},
        "checked by a sum",
    ),
    "OpenSSL's FIPS module": (
        {"/usr/lib64/ossl-modules/fips.so": library()},
        "checked by a sum",
    ),
    "setuid": ({"/opt/a": File(library(), mode=0o4755)}, "setuid"),
    "capabilities": (
        {"/opt/a": File(library(), mode=0o755, xattrs=(("security.capability", b"\1"),))},
        "attributes",
    ),
    "two kept names": (
        {"/opt/a": File(library()), "/opt/b": File(hard_link="/opt/a")},
        "several kept names",
    ),
    "in a volume": ({"/data/a.so": library()}, "volume"),
} if shutil.which("gcc") else {}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_stripping_could_break_stays_and_is_said(tmp_path: Path, name: str) -> None:
    tree, why = REFUSED[name]
    found, problems = stripped(tmp_path, tree, ImageConfig(volumes=("/data",)))
    assert found == {}
    (problem,) = problems
    assert problem.code == "not-stripped"
    assert why in problem.message
    assert problem.cost_bytes > 0


@pytest.mark.skipif(
    shutil.which("patchelf") is None, reason="no patchelf: apt-get install patchelf"
)
@pytest.mark.parametrize(
    ("flags", "change"),
    [
        (("-shared", "-fPIC"), ("--set-rpath", "$ORIGIN/../package.libs" * 9)),
        (("-shared", "-fPIC"), ("--set-soname", f"lib{'x' * 90}.so")),
        ((), ("--set-rpath", "$ORIGIN/../package.libs" * 9)),
        (("-no-pie",), ("--set-interpreter", "/" + "x" * 90)),
    ],
    ids=["library", "soname", "program", "fixed address"],
)
def test_what_patchelf_changed_stays(
    tmp_path: Path, flags: tuple[str, ...], change: tuple[str, ...]
) -> None:
    plain = compiled("-g", *flags, source=MAIN)
    patched = changed_by("patchelf", *change, content=plain)
    added = "/usr/bin/env"
    again = changed_by("objcopy", "--add-section", f".debug_more={added}", content=patched)
    tree: Tree = {"/opt/plain": plain, "/opt/patched": patched, "/opt/again": again}
    found, problems = stripped(tmp_path, tree)
    assert set(found) == {"/opt/plain"}
    assert "/opt/again" in next(p for p in problems if p.code == "not-stripped").message


def test_another_architecture_stays(tmp_path: Path) -> None:
    content = bytearray(library())
    content[18:20] = (183).to_bytes(2, "little")
    found, problems = stripped(tmp_path, {"/opt/a.so": bytes(content)})
    assert found == {}
    assert "another architecture" in problems[0].message


@pytest.mark.parametrize(
    "content",
    [
        compiled("-c", "-g") if shutil.which("gcc") else b"",
        elf(),
        b"!<arch>\n" + b"x" * 9000,
        b"\x7fELF" + b"\xff" * 9000,
    ],
    ids=["object file", "no sections", "archive", "damaged"],
)
def test_what_is_no_linked_file_with_sections_is_nothing(tmp_path: Path, content: bytes) -> None:
    assert stripped(tmp_path, {"/opt/file": content}) == ({}, [])


def test_a_separate_debug_file_is_left_alone(tmp_path: Path) -> None:
    debug = changed_by("strip", "--only-keep-debug", content=library())
    assert stripped(tmp_path, {"/opt/liba.so.debug": debug}) == ({}, [])


def test_without_strip_in_the_image_the_saving_is_said(tmp_path: Path) -> None:
    world = make_world(tmp_path, {"/opt/liba.so": library()}, choices=Choices(strip=True))
    keeps, problems = plan_strips(world, keeps_of(world))
    assert not any(keep.strip for keep in keeps)
    assert [problem.code for problem in problems] == ["no-strip"]
    assert problems[0].cost_bytes > 0


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (STRIP, "/usr/bin/strip"),
        ({"/bin": Link("usr/bin"), "/usr/bin/strip": Link("x-strip")}, None),
        ({"/usr/bin/strip": File("", mode=0o644)}, None),
        (
            {"/usr/bin/x86_64-alpine-linux-musl-strip": File("", mode=0o755)},
            "/usr/bin/x86_64-alpine-linux-musl-strip",
        ),
        ({"/usr/bin/aarch64-linux-gnu-strip": File("", mode=0o755)}, None),
        (
            {"/usr/lib/llvm-15/bin/llvm-strip": File("", mode=0o755)},
            "/usr/lib/llvm-15/bin/llvm-strip",
        ),
        ({}, None),
    ],
)
def test_the_images_own_strip(tmp_path: Path, tree: Tree, expected: str | None) -> None:
    world = make_world(tmp_path, tree)
    assert find_strip(world.rootfs, "amd64") == expected


def plan_and_text(tmp_path: Path, tree: Tree) -> tuple[World, Plan, str]:
    world = make_world(tmp_path, TOOLS, tree, choices=Choices(strip=True))
    kept = [path for path in world.rootfs.entries if not path.startswith("/usr")]
    keeps, problems = plan_strips(world, keeps_of(world, kept))
    plan = Plan((), keeps, (), tuple(problems))
    return world, plan, render_dockerfile(make_image(tmp_path, [tree]), world.rootfs, plan)


def test_the_slim_size_is_less_by_what_goes(tmp_path: Path) -> None:
    _, plan, _ = plan_and_text(tmp_path, {"/opt/liba.so": library()})
    assert plan.slim_size_bytes == len(library()) - plan.keeps[-1].strip_bytes
    assert plan.fat_size_bytes == len(library())


def test_a_stripped_file_is_copied_once_and_before_the_directories(tmp_path: Path) -> None:
    tree: Tree = {"/opt": Dir(), "/opt/a.txt": "x", "/opt/liba.so": library()}
    world, plan, text = plan_and_text(tmp_path, tree)
    copies = plan_copies(make_image(tmp_path, [tree]), world.rootfs, plan)
    sources = {source for copy in copies.plain for source in copy.sources}
    assert sources.isdisjoint({"/opt", "/opt/liba.so"})
    gathered = text.index('/usr/bin/strip -p --strip-unneeded "$path"')
    assert text.index("./opt/liba.so") < gathered < text.rindex("./opt")


def test_directories_in_a_copied_tree_get_their_time_back(tmp_path: Path) -> None:
    names = [f"/opt/deep/er/{i}" for i in range(60)]
    tree: Tree = {"/opt/deep/er/liba.so": library(), **{name: f"{name}/f" for name in names}}
    tree = {**tree, "/opt/deep/other/x": "x", **{f"{name}.txt": "x" for name in names}}
    world, plan, _ = plan_and_text(tmp_path, tree)
    gathered = plan_copies(make_image(tmp_path, [tree]), world.rootfs, plan).gathered
    assert gathered.trees
    directories = {entry.path for entry in gathered.directories}
    assert "/opt/deep/er" in directories
    assert "/opt/deep/other" not in directories
