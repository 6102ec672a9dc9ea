"""What the levels leave out of what programs expect of a system, and its price."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import Group, ImageConfig, Need, Origin, OriginKind, Plan
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


NAMED_PROVIDER = "[provider_sect]\nlegacy = legacy_sect\n"
UNNAMED_PROVIDER = "[provider_sect]\n# legacy = legacy_sect\n"


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize(
    ("imports", "text", "comes"),
    [
        ("EVP_DigestInit", UNNAMED_PROVIDER, False),
        ("OSSL_PROVIDER_load", UNNAMED_PROVIDER, True),
        ("ENGINE_by_id", UNNAMED_PROVIDER, True),
        ("EVP_DigestInit", NAMED_PROVIDER, True),
    ],
)
def test_modules_of_openssl_are_for_what_loads_them(
    tmp_path: Path, level: Level, imports: str, text: str, comes: bool
) -> None:
    modules = {f"{LIBS}/ossl-modules/legacy.so", f"{LIBS}/engines-3/afalg.so"}
    tree: Tree = {
        "/app": elf("libcrypto.so.3", interpreter=GLIBC, imports=[imports]),
        f"{LIBS}/libcrypto.so.3": elf(imports=["OSSL_PROVIDER_load", "ENGINE_by_id"]),
        GLIBC: elf(),
        "/etc/ssl/openssl.cnf": text,
        **{path: elf() for path in modules},
    }
    plan = plan_for(make_world(tmp_path, tree, choices=Choices(level=level)), "/app")
    kept = {keep.entry.path for keep in plan.keeps}
    if comes or level is not Level.TIGHT:
        assert modules <= kept
    else:
        assert modules.isdisjoint(kept)
        assert [p.code for p in plan.problems] == ["left-out-by-level"]


@pytest.mark.parametrize(
    ("level", "env", "comes"),
    [
        (Level.SAFE, {}, True),
        (Level.BALANCED, {}, False),
        (Level.BALANCED, {"TZ": "Europe/Berlin"}, False),
        (Level.TIGHT, {"TZ": ":right/Europe/Berlin"}, True),
        (Level.BALANCED, {"TZ": "right/UTC"}, True),
    ],
)
def test_zones_with_leap_seconds(
    tmp_path: Path, level: Level, env: dict[str, str], comes: bool
) -> None:
    zones = "/usr/share/zoneinfo"
    tree: Tree = {
        "/app": elf(interpreter=GLIBC),
        GLIBC: elf(),
        **{f"{zones}/{name}": "TZif2" for name in ("UTC", "Europe/Berlin", "posixrules")},
        f"{zones}/right/UTC": "TZif2, leap",
    }
    config = ImageConfig(env=tuple(env.items()))
    world = make_world(tmp_path, tree, config=config, choices=Choices(level=level))
    plan = plan_for(world, "/app")
    kept = {keep.entry.path for keep in plan.keeps}
    assert {f"{zones}/{name}" for name in ("UTC", "Europe/Berlin", "posixrules")} <= kept
    assert (f"{zones}/right/UTC" in kept) is comes
    assert [p.code for p in plan.problems] == ([] if comes else ["left-out-by-level"])


@pytest.mark.parametrize("level", Level)
def test_authentication_modules_that_a_services_file_names(tmp_path: Path, level: Level) -> None:
    modules = f"{LIBS}/security"
    rare, library = f"{modules}/pam_userdb.so", f"{LIBS}/libdb-5.3.so"
    named = {f"{modules}/pam_{name}.so" for name in ("unix", "env", "deny")}
    tree: Tree = {
        "/app": elf("libpam.so.0", interpreter=GLIBC),
        f"{LIBS}/libpam.so.0": elf(),
        "/etc/pam.d/app": "auth required pam_unix.so nullok\n@include more\n",
        "/etc/pam.d/more": f"auth [default=die] {modules}/pam_env.so\n",
        "/etc/pam.conf": "other auth required /lib/security/$ISA/pam_deny.so\n",
        rare: elf("libdb-5.3.so"),
        library: elf(),
        **{path: elf() for path in named},
    }
    world = make_world(tmp_path, tree, choices=Choices(level=level))
    plan = plan_for(world, "/app")
    kept = {keep.entry.path for keep in plan.keeps}
    assert named <= kept
    assert ({rare, library} <= kept) is (level is Level.SAFE)
    said = [problem for problem in plan.problems if problem.code == "left-out-by-level"]
    price = sum(world.rootfs.entries[path].size_bytes for path in (rare, library))
    assert [problem.cost_bytes for problem in said] == ([] if level is Level.SAFE else [price])
