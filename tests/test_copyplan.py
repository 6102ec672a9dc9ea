"""Each kept path gets into the slim image in a way that is exact for it: trees in, steps out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from imgslim.copyplan import MAX_COPIES, plan_copies
from imgslim.copyplan.steps import CopyPlan
from imgslim.errors import UnsupportedImageError
from imgslim.model import Drop, Entry, Group, ImageConfig, Keep, Origin, OriginKind, Plan
from imgslim.rootfs import Rootfs
from tests.worlds import Dir, File, Link, Special, Tree, make_image, make_world

TOOLS: Tree = {
    f"/usr/bin/{name}": File("", mode=0o755)
    for name in ("sh", "mkdir", "rm", "mv", "ln", "chown", "chmod", "touch", "tar", "cp")
}
CAPABLE = (("security.capability", b"\x01\x00\x00\x02"),)


def plan_of(rootfs: Rootfs, keeps: Callable[[str], bool]) -> Plan:
    """Keep what ``keeps`` says, with its parents; the reason is the directory."""
    kept = {"/"}
    for path in rootfs.entries:
        if keeps(path):
            while path not in kept:
                kept.add(path)
                path = path.rpartition("/")[0] or "/"
    return Plan(
        (),
        tuple(keep(rootfs.entries[path]) for path in sorted(kept)),
        tuple(
            Drop(entry, Origin(OriginKind.PACKAGE))
            for path, entry in rootfs.entries.items()
            if path not in kept
        ),
        (),
    )


def keep(entry: Entry) -> Keep:
    return Keep(entry, Group.APP, "app", "<test>")


def copies_of(
    tmp_path: Path,
    tree: Tree,
    *,
    keeps: Callable[[str], bool] = lambda path: not path.startswith("/usr") and "drop" not in path,
    config: ImageConfig | None = None,
) -> CopyPlan:
    config = config or ImageConfig()
    world = make_world(tmp_path, tree, config=config)
    image = make_image(tmp_path, [tree], config)
    return plan_copies(image, world.rootfs, plan_of(world.rootfs, keeps))


def gathered_paths(copies: CopyPlan) -> set[str]:
    return {entry.path for unit in copies.gathered.units for entry in unit}


def plain_sources(copies: CopyPlan) -> set[str]:
    return {source for copy in copies.plain for source in copy.sources}


def test_a_directory_that_is_kept_whole_is_one_plain_copy(tmp_path: Path) -> None:
    copies = copies_of(
        tmp_path,
        {**TOOLS, "/app/a": "a", "/app/sub/b": "b", "/app/sub/link": Link("b"), "/drop": ""},
    )
    assert [copy.sources for copy in copies.plain] == [("/app",)]
    assert gathered_paths(copies) == set()


def test_a_directory_of_another_owner_or_mode_keeps_both_in_the_gathered_tree(
    tmp_path: Path,
) -> None:
    links = {f"/app/{n}": Link("a") for n in range(20)}
    copies = copies_of(
        tmp_path, {**TOOLS, "/app": Dir(mode=0o750, uid=1000), "/app/a": "a", **links}
    )
    assert [tree.path for tree in copies.gathered.trees] == ["/app"]
    assert "/app" in {entry.path for entry in copies.gathered.directories}
    assert copies.plain == ()


def test_what_is_dropped_from_a_tree_is_removed_by_name(tmp_path: Path) -> None:
    files = {f"/app/{letter}/{n}": "x" for letter in "abcdefgh" for n in range(3)}
    copies = copies_of(tmp_path, {**TOOLS, **files, "/app/a/drop/x": "", "/app/drop.txt": ""})
    (tree,) = copies.gathered.trees
    assert (tree.path, tree.removed) == ("/app", ("/app/a/drop", "/app/drop.txt"))
    restored = {entry.path for entry in copies.gathered.directories}
    assert {"/app", "/app/a"} <= restored, "removing changes a directory's time"
    assert "/app/b" not in restored


def test_few_files_of_a_large_directory_are_copied_by_name(tmp_path: Path) -> None:
    many = {f"/lib/drop-{n}": "x" for n in range(50)}
    copies = copies_of(tmp_path, {**TOOLS, **many, "/lib/one": "1", "/lib/two": "2"})
    assert [(copy.sources, copy.destination) for copy in copies.plain] == [
        (("/lib/one", "/lib/two"), "/lib/")
    ]


MANY: Tree = {f"/lib/drop-{n}": "x" for n in range(50)}


@pytest.mark.parametrize(
    "name, tree",
    [
        ("a link", {"/lib/x": Link("y")}),
        ("a fifo", {"/lib/x": Special(b"6")}),
        ("a name with a quote", {"/lib/it's": "x"}),
        ("a name with a bracket", {"/lib/[id].js": "x"}),
        ("a name with a backslash", {"/lib/a\\b": "x"}),
        ("a name that is not UTF-8", {"/lib/\udcff": "x"}),
        ("both names of a file", {"/lib/x": "x", "/lib/y": File(hard_link="/lib/x")}),
    ],
)
def test_what_a_plain_copy_would_change_is_gathered(tmp_path: Path, name: str, tree: Tree) -> None:
    copies = copies_of(tmp_path, {**TOOLS, **MANY, **tree})
    assert gathered_paths(copies) == set(tree), name
    assert copies.plain == ()


@pytest.mark.parametrize("name", ["sp ace", "do$llar", "st*r", "qu?", "ünï", "-dash", "#hash"])
def test_a_name_that_copy_can_say_is_copied(tmp_path: Path, name: str) -> None:
    copies = copies_of(tmp_path, {**TOOLS, **MANY, f"/lib/{name}": "x"})
    assert plain_sources(copies) == {f"/lib/{name}"}


def test_a_capability_and_a_device_are_moved_not_named(tmp_path: Path) -> None:
    tree: Tree = {
        "/lib/capable": File("c", mode=0o755, xattrs=CAPABLE),
        "/lib/device": Special(b"3", 1, 3),
    }
    copies = copies_of(tmp_path, {**TOOLS, **MANY, **tree})
    assert [unit[0].path for unit in copies.gathered.moved] == list(tree)
    assert copies.plain == ()


def test_a_further_name_that_is_dropped_makes_no_hard_link(tmp_path: Path) -> None:
    tree: Tree = {"/lib/x": "x", "/lib/drop-x": File(hard_link="/lib/x")}
    copies = copies_of(tmp_path, {**TOOLS, **MANY, **tree})
    assert plain_sources(copies) == {"/lib/x"}


def test_a_hard_link_out_of_a_directory_keeps_it_from_being_copied_alone(tmp_path: Path) -> None:
    tree: Tree = {"/a/x": "x", "/a/other": "o", "/b/y": File(hard_link="/a/x")}
    copies = copies_of(tmp_path, {**TOOLS, **tree})
    assert [[entry.path for entry in unit] for unit in copies.gathered.units] == [["/a/x", "/b/y"]]
    assert plain_sources(copies) == {"/a/other"}


@pytest.mark.parametrize("path", ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"])
def test_the_builders_own_mounts_are_never_read_by_a_run(tmp_path: Path, path: str) -> None:
    files = {f"/etc/drop-{n}": "x" for n in range(50)}
    tree: Tree = {**TOOLS, **files, path: "x", "/x": File(hard_link=path)}
    copies = copies_of(tmp_path, tree)
    assert path in plain_sources(copies)
    assert path not in gathered_paths(copies)


def test_a_volume_is_copied_by_the_builder_not_read_by_a_run(tmp_path: Path) -> None:
    tree: Tree = {
        **TOOLS,
        "/data": Dir(mode=0o700, uid=70),
        "/data/link": Link("x"),
        "/data/drop": "",
    }
    copies = copies_of(tmp_path, tree, config=ImageConfig(volumes=("/data/",)))
    assert [tree.path for tree in copies.gathered.trees] == ["/data"]
    assert gathered_paths(copies) == set()
    assert [entry.path for entry in copies.gathered.stated] == ["/data"]


def test_what_one_reason_scatters_is_one_list_not_many_layers(tmp_path: Path) -> None:
    names = ("copyright", *(f"drop-{n}" for n in range(9)))
    tree = {f"/doc/{n}/{name}": name for n in range(30) for name in names}
    copies = copies_of(tmp_path, {**TOOLS, **tree})
    assert copies.plain == ()
    assert gathered_paths(copies) == {f"/doc/{n}/copyright" for n in range(30)}


def test_the_number_of_copies_has_a_limit(tmp_path: Path) -> None:
    tree: dict[str, File] = {}
    for n in range(3 * MAX_COPIES):
        tree |= {f"/d{n}/{name}": File(name) for name in ("one", "two", "drop")}
        tree |= {f"/w{n}/sub/whole": File("w")}
    copies = copies_of(tmp_path, {**TOOLS, **tree})
    assert len(copies.plain) <= MAX_COPIES
    assert len(copies.gathered.trees) <= MAX_COPIES


def test_triggers_of_the_fat_image_are_kept_from_firing(tmp_path: Path) -> None:
    config = ImageConfig(on_build=("RUN false",))
    assert copies_of(tmp_path, {**TOOLS, "/a": "a"}, config=config).clean_base
    assert not copies_of(tmp_path, {**TOOLS, "/a": "a"}).clean_base


def test_the_gathered_tree_has_a_name_that_the_image_has_not(tmp_path: Path) -> None:
    place = copies_of(tmp_path, {**TOOLS, "/imgslim/a": "a"}).place
    assert place != "/imgslim" and place.count("/") == 1


def test_without_a_shell_files_are_copied_and_the_lost_times_are_said(tmp_path: Path) -> None:
    copies = copies_of(tmp_path, {"/app/server": "x", "/drop": ""})
    assert plain_sources(copies) == {"/app"}
    assert copies.gathered.is_empty
    assert [problem.code for problem in copies.problems] == ["directory-times"]


def test_without_a_shell_what_is_to_last_and_cannot_be_exact_is_an_error(tmp_path: Path) -> None:
    tree: Tree = {"/app/server": "x", "/app/link": Link("server"), "/app/drop": ""}
    world = make_world(tmp_path, tree)
    plan = plan_of(world.rootfs, lambda path: "drop" not in path)
    with pytest.raises(UnsupportedImageError, match="/app/link"):
        plan_copies(make_image(tmp_path, [tree]), world.rootfs, plan, lasting=True)


def test_a_name_that_nothing_can_say_is_a_problem(tmp_path: Path) -> None:
    copies = copies_of(tmp_path, {**TOOLS, **MANY, "/lib/x\n": "x"})
    assert [(p.code, p.path) for p in copies.problems] == [("uncopyable-path", "/lib/x\n")]


@pytest.mark.parametrize(
    "tools, keeps_links, command",
    [
        ({"/usr/bin/tar": File("", mode=0o755)}, True, "tar "),
        ({"/usr/bin/tar": Link("busybox")}, False, "tar "),
        ({"/usr/bin/cp": File("", mode=0o755)}, True, "cp -a"),
    ],
)
def test_the_images_own_tools_are_used(
    tmp_path: Path, tools: Tree, keeps_links: bool, command: str
) -> None:
    rest = {
        path: file for path, file in TOOLS.items() if path not in ("/usr/bin/tar", "/usr/bin/cp")
    }
    tree: Tree = {**rest, "/usr/bin/busybox": File("", mode=0o755), **tools, "/a": Link("b")}
    found = copies_of(tmp_path, tree).tools
    assert found is not None
    assert found.keeps_links is keeps_links
    assert command in found.files
