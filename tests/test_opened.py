"""What native code opens by name: siblings are kept, other names are said with a price."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import Command, ImageConfig, Origin, OriginKind, Plan, Problem
from imgslim.plan import build_plan
from imgslim.runtimes.elf import ElfRuntime
from imgslim.world import World
from tests.elves import AARCH64, GLIBC, elf
from tests.worlds import File, Link, Tree, make_world

LIBS = "/usr/lib/x86_64-linux-gnu"
SITE = "/usr/lib/python3/dist-packages"
LIBC: Tree = {
    "/lib64": Link("usr/lib64"),
    "/lib": Link("usr/lib"),
    "/usr/lib64/ld-linux-x86-64.so.2": elf(soname="ld-linux-x86-64.so.2"),
    f"{LIBS}/libc.so.6": elf(soname="libc.so.6", imports=["dlopen"], data=b"libidn.so.0\0"),
    f"{LIBS}/libidn.so.0": elf(),
}


def app(*needed: str, names: bytes = b"", opens: bool = True, runpath: str = "") -> File:
    """A program with ``names`` in its constants, after some other bytes."""
    imports = ["dlopen"] if opens else []
    data = b"\x01\0" + names
    content = elf(
        "libc.so.6", *needed, interpreter=GLIBC, imports=imports, data=data, runpath=runpath
    )
    return File(content, mode=0o755)


def plan_of(
    tmp_path: Path, tree: Tree, level: Level = Level.BALANCED, program: str = "/opt/app"
) -> Plan:
    """The plan of an image that runs ``program``, by the runtime for native code alone."""
    world = make_world(tmp_path, LIBC, tree, config=ImageConfig(), choices=Choices(level))
    return planned(world, program)


def planned(world: World, program: str) -> Plan:
    command = Command((program,), program, "<entrypoint>")
    return build_plan(
        world, [command], [], [ElfRuntime(world)], lambda _: Origin(OriginKind.PACKAGE)
    )


def kept(plan: Plan) -> set[str]:
    return {keep.entry.path for keep in plan.keeps if not keep.entry.is_directory}


def said(plan: Plan) -> list[Problem]:
    return [problem for problem in plan.problems if problem.code.endswith("-by-name")]


def test_a_library_beside_the_one_that_names_it_is_kept(tmp_path: Path) -> None:
    tree: Tree = {"/opt/app": app(names=b"libpart.so.9\0"), "/opt/libpart.so.9": elf()}
    plan = plan_of(tmp_path, tree)
    reasons = {keep.entry.path: keep.reason for keep in plan.keeps}
    assert reasons["/opt/libpart.so.9"] == "shared library opened by name"
    assert said(plan) == []


def test_what_a_sibling_needs_comes_with_it(tmp_path: Path) -> None:
    tree: Tree = {
        "/opt/app": app(names=b"libpart.so\0"),
        "/opt/libpart.so": elf("libz.so.1"),
        f"{LIBS}/libz.so.1": elf(),
    }
    assert f"{LIBS}/libz.so.1" in kept(plan_of(tmp_path, tree))


DISTRIBUTION: Tree = {
    f"{SITE}/cudnn-9.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: cudnn\nVersion: 9.0\n",
    f"{SITE}/cudnn-9.0.dist-info/RECORD": "cudnn/core.so,,\ncudnn/lib/libops.so.9,,\n"
    "cudnn-9.0.dist-info/METADATA,,\ncudnn-9.0.dist-info/RECORD,,\n",
    f"{SITE}/cudnn/lib/libops.so.9": elf(),
}


def test_a_sibling_of_the_same_distribution_may_lie_in_another_directory(tmp_path: Path) -> None:
    tree: Tree = {**DISTRIBUTION, f"{SITE}/cudnn/core.so": app(names=b"libops.so.9\0")}
    plan = plan_of(tmp_path, tree, program=f"{SITE}/cudnn/core.so")
    assert f"{SITE}/cudnn/lib/libops.so.9" in kept(plan)


DPKG = """Package: {name}
Status: install ok installed
Version: 1
Architecture: amd64

"""


def test_a_sibling_of_the_same_system_package_is_kept_and_of_another_said(tmp_path: Path) -> None:
    tree: Tree = {
        "/var/lib/dpkg/status": DPKG.format(name="liba") + DPKG.format(name="libother"),
        "/var/lib/dpkg/info/liba.list": f"/.\n{LIBS}/liba.so.1\n{LIBS}/liba/plug.so\n",
        "/var/lib/dpkg/info/libother.list": f"/.\n{LIBS}/libother.so.2\n",
        "/opt/app": app("liba.so.1"),
        f"{LIBS}/liba.so.1": elf(imports=["dlopen"], data=b"\0plug.so\0libother.so.2\0"),
        f"{LIBS}/liba/plug.so": elf(),
        f"{LIBS}/libother.so.2": elf(),
    }
    plan = plan_of(tmp_path, tree)
    assert f"{LIBS}/liba/plug.so" in kept(plan)
    assert f"{LIBS}/libother.so.2" not in kept(plan)
    assert [problem.path for problem in said(plan)] == [f"{LIBS}/liba.so.1"]


def test_a_library_where_the_files_own_runpath_leads_is_kept(tmp_path: Path) -> None:
    tree: Tree = {
        "/opt/app": app(names=b"libnvrtc.so.12\0", runpath="$ORIGIN/../other/lib"),
        "/other/lib/libnvrtc.so.12": elf(),
    }
    assert "/other/lib/libnvrtc.so.12" in kept(plan_of(tmp_path, tree))


def test_a_format_names_the_siblings_that_it_can_mean(tmp_path: Path) -> None:
    tree: Tree = {
        "/opt/app": app(names=b"libengine_%s.so.%d\0lib%s.so\0"),
        "/opt/libengine_avx2.so.3": elf(),
        "/opt/libsomething.so": elf(),
    }
    found = kept(plan_of(tmp_path, tree))
    assert "/opt/libengine_avx2.so.3" in found
    assert "/opt/libsomething.so" not in found


def test_names_that_follow_each_other_without_an_end_are_found(tmp_path: Path) -> None:
    tree: Tree = {
        "/opt/app": app(names=b"failedlibfirst.so.0libsecond.soother"),
        "/opt/libfirst.so.0": elf(),
        "/opt/libsecond.so": elf(),
    }
    assert {"/opt/libfirst.so.0", "/opt/libsecond.so"} <= kept(plan_of(tmp_path, tree))


CANDIDATE: Tree = {
    "/opt/app": app(names=b"libsepol.so.2\0"),
    f"{LIBS}/libsepol.so.2": elf("libdep.so.1", data=b"\0" * 5000),
    f"{LIBS}/libdep.so.1": elf(data=b"\0" * 3000),
}


@pytest.mark.parametrize("level", [Level.BALANCED, Level.TIGHT])
def test_a_library_elsewhere_is_said_with_the_price_of_all_that_it_brings(
    tmp_path: Path, level: Level
) -> None:
    plan = plan_of(tmp_path, CANDIDATE, level)
    (problem,) = said(plan)
    sizes = {drop.entry.path: drop.entry.size_bytes for drop in plan.drops}
    assert problem.path == "/opt/app"
    assert problem.cost_bytes == sizes[f"{LIBS}/libsepol.so.2"] + sizes[f"{LIBS}/libdep.so.1"]
    assert f"--keep {LIBS}/libsepol.so.2" in problem.resolution


def test_the_safe_level_keeps_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, CANDIDATE, Level.SAFE)
    assert {f"{LIBS}/libsepol.so.2", f"{LIBS}/libdep.so.1"} <= kept(plan)
    assert said(plan) == []


def test_a_link_to_a_kept_library_costs_nothing_and_is_kept(tmp_path: Path) -> None:
    tree: Tree = {
        "/opt/app": app("libcurl.so.4", names=b"libcurl.so\0"),
        f"{LIBS}/libcurl.so": Link("libcurl.so.4"),
        f"{LIBS}/libcurl.so.4": elf(soname="libcurl.so.4"),
    }
    plan = plan_of(tmp_path, tree)
    assert f"{LIBS}/libcurl.so" in kept(plan)
    assert said(plan) == []


@pytest.mark.parametrize(
    "tree",
    [
        {"/opt/app": app(names=b"libpart.so\0", opens=False), "/opt/libpart.so": elf()},
        {"/opt/app": app(names=b"libpart.so\0"), "/opt/libpart.so": elf(machine=AARCH64)},
        {"/opt/app": app(names=b"libpart.so\0"), "/opt/libpart.so": "INPUT(-lpart)" + " " * 60},
        {"/opt/app": app(names=b"libpart.so\0"), "/elsewhere/libpart.so": elf()},
        {"/opt/app": app(names=b"libidn.so.0\0", opens=False)},
    ],
    ids=["opens nothing", "another architecture", "linker script", "not searched", "the libc's"],
)
def test_a_name_that_cannot_be_meant_is_nothing(tmp_path: Path, tree: Tree) -> None:
    plan = plan_of(tmp_path, tree)
    assert not any("libpart" in path or "libidn" in path for path in kept(plan))
    assert said(plan) == []


FILES: Tree = {
    "/usr/sbin/sendmail": File(b"#!/bin/sh\n", mode=0o755),
    "/usr/share/quotes/en.txt": "x" * 700,
    "/usr/share/locale/de/LC_MESSAGES/app.mo": "x",
    "/var/log/app.log": "x",
    "/etc/app.conf": "x" * 40,
}
NAMES = (
    b"\0/usr/sbin/sendmail\0/usr/share/quotes\0/usr/share/locale\0/var/log/app.log\0/etc\0/gone\0"
)


def test_files_that_a_program_names_are_said_with_their_price(tmp_path: Path) -> None:
    (problem,) = said(plan_of(tmp_path, {**FILES, "/opt/app": app(names=NAMES, opens=False)}))
    assert problem.code == "files-by-name"
    assert "/usr/sbin/sendmail, /usr/share/quotes" in problem.message
    assert problem.cost_bytes == len(b"#!/bin/sh\n") + 700
    assert not any(word in problem.message for word in ("locale", "log", "/etc", "gone"))


@pytest.mark.parametrize("place", [LIBS, "/usr/local/bin", "/usr/share", "/usr/local/share"])
def test_a_place_that_packages_share_is_not_what_a_program_means(
    tmp_path: Path, place: str
) -> None:
    names = b"\0" + place.encode() + b"\0"
    tree: Tree = {f"{place}/other": "x" * 900, "/opt/app": app(names=names, opens=False)}
    assert said(plan_of(tmp_path, tree)) == []


def test_the_safe_level_keeps_the_files_that_a_program_names(tmp_path: Path) -> None:
    tree: Tree = {**FILES, "/opt/app": app(names=NAMES, opens=False)}
    found = kept(plan_of(tmp_path, tree, Level.SAFE))
    assert {"/usr/sbin/sendmail", "/usr/share/quotes/en.txt"} <= found
    assert "/etc/app.conf" not in found


def test_a_static_program_has_its_libcs_names_so_only_programs_count(tmp_path: Path) -> None:
    names = NAMES + b"/etc/app.conf\0"
    static = File(elf(static=True, data=names), mode=0o755)
    (problem,) = said(plan_of(tmp_path, {**FILES, "/opt/app": static}))
    assert problem.message.endswith("strings: /usr/sbin/sendmail")


def test_a_library_that_does_not_run_names_no_files(tmp_path: Path) -> None:
    tree: Tree = {**FILES, "/opt/app": app("liba.so"), f"{LIBS}/liba.so": elf(data=NAMES)}
    assert said(plan_of(tmp_path, tree)) == []


@pytest.mark.parametrize(
    ("level", "name", "comes"),
    [
        (Level.BALANCED, "libicuuc.so", True),
        (Level.BALANCED, "libother.so", False),
        (Level.SAFE, "libother.so", True),
    ],
)
def test_a_version_that_is_appended_at_run_time(
    tmp_path: Path, level: Level, name: str, comes: bool
) -> None:
    """.NET ends where ICU is missing, and gives dlopen its name with a number behind it."""
    tree: Tree = {"/opt/app": app(names=f"{name}\0".encode()), f"{LIBS}/{name}.72": elf()}
    plan = plan_of(tmp_path, tree, level)
    assert (f"{LIBS}/{name}.72" in kept(plan)) is comes
    assert bool(said(plan)) is not comes
