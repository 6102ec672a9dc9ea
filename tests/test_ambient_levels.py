"""What the levels leave out of what programs expect of a system, and its price."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import Group, Need, Origin, OriginKind, Plan
from imgslim.plan import build_plan
from imgslim.runtimes.ambient import AmbientNeeds
from imgslim.runtimes.elf import ElfRuntime
from imgslim.world import World
from tests.elves import GLIBC, elf
from tests.worlds import Tree, make_world

LIBS = "/usr/lib/x86_64-linux-gnu"


def plan_for(world: World, root: str) -> Plan:
    return build_plan(
        world,
        [],
        [Need(root, Group.PROGRAM, "test", "<test>")],
        [ElfRuntime(world), AmbientNeeds(world)],
        lambda path: Origin(OriginKind.PACKAGE),
    )


@pytest.mark.parametrize("level", Level)
def test_rare_character_sets_are_kept_at_safe_and_priced_beyond(
    tmp_path: Path, level: Level
) -> None:
    importer = elf("libc.so.6", interpreter=GLIBC, imports=["iconv_open"])
    rare = f"{LIBS}/gconv/IBM930.so"
    tree = {"/usr/bin/convert": importer, rare: elf(), f"{LIBS}/gconv/SJIS.so": elf()}
    world = make_world(tmp_path, tree, choices=Choices(level=level))
    plan = plan_for(world, "/usr/bin/convert")
    kept = {keep.entry.path for keep in plan.keeps}
    assert f"{LIBS}/gconv/SJIS.so" in kept
    assert (rare in kept) is (level is Level.SAFE)
    said = [problem for problem in plan.problems if problem.code == "left-out-by-level"]
    assert [problem.cost_bytes for problem in said] == (
        [] if level is Level.SAFE else [world.rootfs.entries[rare].size_bytes]
    )


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("serves", [True, False])
def test_password_stores_of_sasl_are_for_servers(
    tmp_path: Path, level: Level, serves: bool
) -> None:
    store, library = f"{LIBS}/sasl2/libsasldb.so.2", f"{LIBS}/libdb-5.3.so"
    calls = "sasl_server_init" if serves else "sasl_client_init"
    tree: Tree = {
        "/app": elf("libsasl2.so.2", interpreter=GLIBC, imports=[calls]),
        f"{LIBS}/libsasl2.so.2": elf(imports=["sasl_server_init"]),
        f"{LIBS}/sasl2/libscram.so.2": elf(),
        store: elf("libdb-5.3.so"),
        library: elf(soname="libdb-5.3.so"),
    }
    plan = plan_for(make_world(tmp_path, tree, choices=Choices(level=level)), "/app")
    kept = {keep.entry.path: keep.entry for keep in plan.keeps}
    assert f"{LIBS}/sasl2/libscram.so.2" in kept
    comes = serves or level is Level.SAFE
    assert {store, library} <= set(kept) if comes else {store, library}.isdisjoint(kept)
    said = [problem for problem in plan.problems if problem.code == "left-out-by-level"]
    price = sum(drop.entry.size_bytes for drop in plan.drops if drop.entry.path in (store, library))
    assert [problem.cost_bytes for problem in said] == ([] if comes else [price])
    assert all(f"--keep '{LIBS}/sasl2/libsasldb.so*'" in problem.resolution for problem in said)


@pytest.mark.parametrize("level", Level)
def test_seldom_used_character_sets_are_left_out_at_tight(tmp_path: Path, level: Level) -> None:
    importer = elf("libc.so.6", interpreter=GLIBC, imports=["iconv_open"])
    modules = f"{LIBS}/gconv"
    tree: Tree = {
        "/usr/bin/convert": importer,
        f"{modules}/EUC-JP.so": elf(),
        f"{modules}/EUC-TW.so": elf("libCNS.so", runpath="$ORIGIN"),
        f"{modules}/libCNS.so": elf(soname="libCNS.so"),
    }
    world = make_world(tmp_path, tree, choices=Choices(level=level))
    plan = plan_for(world, "/usr/bin/convert")
    kept = {keep.entry.path for keep in plan.keeps}
    seldom = {f"{modules}/EUC-TW.so", f"{modules}/libCNS.so"}
    assert f"{modules}/EUC-JP.so" in kept
    assert seldom.isdisjoint(kept) if level is Level.TIGHT else seldom <= kept
