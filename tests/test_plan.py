"""The plan is closed, reasoned and honest: small worlds in, kept paths out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from imgslim.model import (
    Command,
    Entry,
    Finding,
    Group,
    ImageConfig,
    Need,
    Origin,
    OriginKind,
    Plan,
    Problem,
    Scope,
    Severity,
)
from imgslim.plan import build_plan
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.world import World
from tests.worlds import Dir, File, Link, Tree, make_world

PACKAGE = Origin(OriginKind.PACKAGE, "deb:something")
USER = Origin(OriginKind.USER)


class Mentions(Runtime):
    """A runtime in which a file needs each path that its text names on a line."""

    name = "mentions"

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if entry.is_file:
            for line in self.world.rootfs.read_bytes(entry).decode().splitlines():
                yield Need(line, Group.LIBRARY, "mentioned", entry.path)


class WhenSettled(Runtime):
    """Needs ``/late`` once ``/early`` is kept."""

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        if "/early" in kept:
            yield Need("/late", Group.SYSTEM, "late", "/early")


def plan_of(
    world: World,
    *findings: Finding,
    commands: tuple[Command, ...] = (),
    user: str = "/app",
    runtimes: Iterable[type[Runtime]] = (Mentions, WhenSettled),
) -> Plan:
    def origin_of(path: str) -> Origin:
        return USER if path == user or path.startswith(f"{user}/") else PACKAGE

    started = [runtime(world) for runtime in runtimes]
    return build_plan(world, commands, findings, started, origin_of)


def kept(plan: Plan) -> list[str]:
    return [keep.entry.path for keep in plan.keeps]


def need(path: str, **options: object) -> Need:
    return Need(path, Group.PROGRAM, "asked", "<test>", **options)  # type: ignore[arg-type]


@pytest.fixture
def world_of(tmp_path: Path) -> Iterator[object]:
    worlds: list[World] = []

    def make(tree: Tree, config: ImageConfig | None = None) -> World:
        worlds.append(make_world(tmp_path, tree, config=config))
        return worlds[-1]

    yield make
    for world in worlds:
        world.rootfs.close()


def test_a_kept_path_brings_its_parents_and_the_links_on_its_way(world_of) -> None:  # type: ignore[no-untyped-def]
    world = world_of(
        {
            "/usr/lib/x/libreal.so.1.2": "",
            "/usr/lib/x/lib.so.1": Link("libreal.so.1.2"),
            "/lib": Link("usr/lib"),
            "/other": "",
        }
    )
    plan = plan_of(world, need("/lib/x/lib.so.1"))
    assert kept(plan) == [
        "/",
        "/lib",
        "/usr",
        "/usr/lib",
        "/usr/lib/x",
        "/usr/lib/x/lib.so.1",
        "/usr/lib/x/libreal.so.1.2",
    ]
    assert [drop.entry.path for drop in plan.drops] == ["/other"]
    by_path = {keep.entry.path: keep for keep in plan.keeps}
    assert by_path["/usr/lib/x/libreal.so.1.2"].because == "/usr/lib/x/lib.so.1"
    assert by_path["/usr/lib/x/lib.so.1"].because == "<test>"
    assert by_path["/lib"].because == "<test>"


def test_a_chain_does_not_go_through_a_link_to_a_directory(world_of) -> None:  # type: ignore[no-untyped-def]
    tree = {
        "/bin/one": "/lib/liba.so.1\n",
        "/bin/two": "/lib/libb.so.1\n/lib/liba.so.1.0\n/lib/liba.so.1\n",
        "/lib": Link("usr/lib"),
        "/usr/lib/liba.so.1": Link("liba.so.1.0"),
        "/usr/lib/liba.so.1.0": "",
        "/usr/lib/libb.so.1": "",
    }
    plan = plan_of(world_of(tree), need("/bin/one"), need("/bin/two"))
    because = {keep.entry.path: keep.because for keep in plan.keeps}
    assert because["/lib"] == because["/usr/lib/liba.so.1"] == "/bin/one"
    assert because["/usr/lib/liba.so.1.0"] == "/usr/lib/liba.so.1"
    assert because["/usr/lib/libb.so.1"] == "/bin/two"


def test_needs_are_followed_until_nothing_is_new(world_of) -> None:  # type: ignore[no-untyped-def]
    world = world_of({"/a": "/b\n", "/b": "/c\n/early\n", "/c": "/a\n", "/early": "", "/late": ""})
    assert kept(plan_of(world, need("/a"))) == ["/", "/a", "/b", "/c", "/early", "/late"]


def test_what_the_user_put_there_is_kept_and_its_needs_too(world_of) -> None:  # type: ignore[no-untyped-def]
    world = world_of(
        {
            "/app/main": "/usr/lib/helper\n",
            "/app/uploads": Dir(0o755),
            "/app/private": Dir(0o700, uid=7),
            "/app/private/data": "",
            "/usr/lib/helper": "",
            "/usr/lib/unused": "",
        }
    )
    assert kept(plan_of(world)) == [
        "/",
        "/app",
        "/app/main",
        "/app/private",
        "/app/private/data",
        "/app/uploads",
        "/usr",
        "/usr/lib",
        "/usr/lib/helper",
    ]


def test_a_tree_is_kept_with_the_targets_of_its_links(world_of) -> None:  # type: ignore[no-untyped-def]
    world = world_of(
        {"/data/a": "", "/data/b": Link("../elsewhere"), "/elsewhere": "", "/third": ""}
    )
    plan = plan_of(world, need("/data", scope=Scope.TREE))
    assert kept(plan) == ["/", "/data", "/data/a", "/data/b", "/elsewhere"]


def test_a_users_link_to_a_packages_directory_brings_what_is_in_it(world_of) -> None:  # type: ignore[no-untyped-def]
    world = world_of(
        {
            "/app/static": Link("/usr/share/javascript/jquery"),
            "/app/logs": Link("/var/log"),
            "/usr/share/javascript/jquery/jquery.js": "",
            "/var/log/install.log": "",
        }
    )
    paths = kept(plan_of(world))
    assert "/usr/share/javascript/jquery/jquery.js" in paths
    assert "/var/log" in paths
    assert "/var/log/install.log" not in paths


def test_dangling_links_are_kept_and_said_and_missing_paths_are_warned_of(world_of) -> None:  # type: ignore[no-untyped-def]
    world = world_of({"/app/dangling": Link("/nowhere"), "/app/main": "/gone\n"})
    plan = plan_of(world)
    assert "/app/dangling" in kept(plan)
    said = {(p.code, p.severity, p.path) for p in plan.problems}
    assert ("dangling-link", Severity.INFO, "/app/dangling") in said
    assert ("missing-path", Severity.WARNING, "/gone") in said


def test_optional_needs_that_are_not_there_are_silent(world_of) -> None:  # type: ignore[no-untyped-def]
    plan = plan_of(world_of({"/x": ""}), need("/gone", optional=True))
    assert plan.problems == ()


def test_a_problem_is_said_once(world_of) -> None:  # type: ignore[no-untyped-def]
    problem = Problem("odd", Severity.INFO, "/x", "is odd")
    assert plan_of(world_of({"/x": ""}), problem, problem).problems == (problem,)


def test_the_plan_warns_where_the_slim_image_has_no_shell(world_of) -> None:  # type: ignore[no-untyped-def]
    tree = {"/bin/sh": File("x", mode=0o755), "/app/main": ""}
    without = plan_of(world_of(tree))
    assert [p.code for p in without.problems] == ["no-shell"]
    asked = plan_of(world_of(tree), commands=(Command(("sh",), "/bin/sh", "<also run>"),))
    assert "no-shell" not in [p.code for p in asked.problems]


def test_sizes_count_a_hard_link_once(world_of) -> None:  # type: ignore[no-untyped-def]
    world = world_of({"/app/one": "12345", "/app/two": File(hard_link="/app/one"), "/big": "x" * 9})
    plan = plan_of(world, runtimes=())
    assert plan.slim_size_bytes == 5
    assert plan.fat_size_bytes == 14
