"""The merged tree: whiteouts, opaque directories, links in the way, hard links, look-ups."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from imgslim.errors import ArchiveError
from imgslim.layers import load_layers
from imgslim.model import Kind
from imgslim.rootfs import Rootfs
from tests.worlds import Dir, File, Link, Member, Special, Tree, make_image

View = dict[str, str]


def merged(tmp_path: Path, *layers: Tree) -> Rootfs:
    loaded = load_layers(make_image(tmp_path, layers))
    return Rootfs.of_layers(loaded)


def view(rootfs: Rootfs) -> View:
    """What each path shows: a file's content, a link's target, or its kind."""
    return {
        entry.path: rootfs.read_bytes(entry).decode()
        if entry.is_file
        else f"-> {entry.link_target}"
        if entry.is_symlink
        else "dir"
        if entry.is_directory
        else entry.kind
        for entry in rootfs.walk("/")
        if entry.path != "/"
    }


CASES: dict[str, tuple[list[dict[str, Member]], View]] = {
    "a whiteout deletes a lower file": (
        [{"/a/x": "1", "/a/y": "2"}, {"/a/.wh.x": ""}],
        {"/a": "dir", "/a/y": "2"},
    ),
    "a whiteout deletes a lower directory with all in it": (
        [{"/a/b/c": "1", "/d": "2"}, {"/.wh.a": ""}],
        {"/d": "2"},
    ),
    "a whiteout spares its own layer's member, before or after it": (
        [{"/a": "old", "/b": "old"}, {"/.wh.a": "", "/a": "new", "/b": "new", "/.wh.b": ""}],
        {"/a": "new", "/b": "new"},
    ),
    "an opaque directory hides the lower content, not its own layer's": (
        [{"/a/old": "1", "/a/b/old": "2"}, {"/a/new": "3", "/a/.wh..wh..opq": "", "/a/b/n": "4"}],
        {"/a": "dir", "/a/new": "3", "/a/b": "dir", "/a/b/n": "4"},
    ),
    "an opaque root": (
        [{"/a": "1"}, {"/.wh..wh..opq": "", "/b": "2"}],
        {"/b": "2"},
    ),
    ".wh. counts at the start of a name only": (
        [{"/a": "1"}, {"/x.wh.a": "2", "/.wh.dir/f": "3"}],
        {"/a": "1", "/x.wh.a": "2", "/.wh.dir": "dir", "/.wh.dir/f": "3"},
    ),
    "a whiteout of a name that begins with .wh. itself": (
        [{"/a": "1"}, {"/.wh.missing": ""}],
        {"/a": "1"},
    ),
    "a later file replaces a directory and what is below": (
        [{"/a/b/c": "1"}, {"/a/b": "file"}],
        {"/a": "dir", "/a/b": "file"},
    ),
    "a directory replaces a file": (
        [{"/a": "1"}, {"/a": Dir(), "/a/b": "2"}],
        {"/a": "dir", "/a/b": "2"},
    ),
    "a member below a file replaces it": (
        [{"/a": "1"}, {"/a/b/c": "2"}],
        {"/a": "dir", "/a/b": "dir", "/a/b/c": "2"},
    ),
    "a member below a lower link goes to its target": (
        [{"/usr/lib": Dir(), "/lib": Link("usr/lib")}, {"/lib/x": "1"}],
        {"/usr": "dir", "/usr/lib": "dir", "/usr/lib/x": "1", "/lib": "-> usr/lib"},
    ),
    "a directory member replaces a lower link": (
        [{"/b/x": "1", "/a": Link("b")}, {"/a": Dir(), "/a/y": "2"}],
        {"/a": "dir", "/a/y": "2", "/b": "dir", "/b/x": "1"},
    ),
    "a whiteout follows a lower link": (
        [{"/usr/lib/x": "1", "/lib": Link("usr/lib")}, {"/lib/.wh.x": ""}],
        {"/usr": "dir", "/usr/lib": "dir", "/lib": "-> usr/lib"},
    ),
    "a whiteout does not reach behind a link that its layer replaces": (
        [{"/b/x": "1", "/a": Link("b")}, {"/a": Dir(), "/a/.wh.x": ""}],
        {"/a": "dir", "/b": "dir", "/b/x": "1"},
    ),
    "an opaque directory does not reach behind a link that its layer replaces": (
        [{"/b/c/x": "1", "/a": Link("b")}, {"/a": Dir(), "/a/c": Dir(), "/a/c/.wh..wh..opq": ""}],
        {"/a": "dir", "/a/c": "dir", "/b": "dir", "/b/c": "dir", "/b/c/x": "1"},
    ),
    "links in a circle end": (
        [{"/a": Link("b"), "/b": Link("a")}, {"/a/x": "1", "/b/.wh.y": ""}],
        {"/a": "dir", "/a/x": "1", "/b": "-> a"},
    ),
    "a hard link of its own layer": (
        [{"/a": "1", "/b": File(hard_link="/a")}],
        {"/a": "1", "/b": "1"},
    ),
    "a hard link to a lower layer outlives the name that it was made of": (
        [{"/a": "1"}, {"/b": File(hard_link="/a")}, {"/.wh.a": ""}],
        {"/b": "1"},
    ),
    "a hard link to a link is that link": (
        [{"/a": "1", "/l": Link("a"), "/m": File(hard_link="/l")}],
        {"/a": "1", "/l": "-> a", "/m": "-> a"},
    ),
    "aufs metadata are no files, but hard links find them": (
        [
            {
                "/.wh..wh.plnk": Dir(),
                "/.wh..wh.plnk/1.2": "x",
                "/a": File(hard_link="/.wh..wh.plnk/1.2"),
            }
        ],
        {"/a": "x"},
    ),
    "special files": (
        [{"/dev/null": Special(tarfile.CHRTYPE, 1, 3), "/fifo": Special(tarfile.FIFOTYPE)}],
        {"/dev": "dir", "/dev/null": "character device", "/fifo": "fifo"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_merged_view(tmp_path: Path, case: str) -> None:
    layers, expected = CASES[case]
    assert view(merged(tmp_path, *layers)) == expected


def test_directories_keep_their_content_and_take_the_later_owner(tmp_path: Path) -> None:
    rootfs = merged(tmp_path, {"/a/b": "1", "/a": Dir(mode=0o700)}, {"/a": Dir(mode=0o1777, uid=5)})
    entry = rootfs.get("/a")
    assert entry is not None and (entry.mode, entry.uid) == (0o1777, 5)
    assert rootfs.lookup("/a/b") is not None


def test_hard_links_share_an_inode(tmp_path: Path) -> None:
    rootfs = merged(tmp_path, {"/a": "1", "/c": "1"}, {"/b": File(hard_link="/a")})
    inodes = [rootfs.entries[path].inode for path in ("/a", "/b", "/c")]
    assert inodes[0] == inodes[1] != inodes[2]
    assert all(rootfs.entries[path].kind is Kind.FILE for path in ("/a", "/b", "/c"))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"/a": File(hard_link="/none")}], "/a is a hard link to /none, which is not there"),
        ([{"/d": Dir(), "/a": File(hard_link="/d")}], "a directory"),
        ([{"/": Link("etc")}], "the root is a symlink"),
    ],
)
def test_damaged_layers(tmp_path: Path, layers: list[Tree], message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        merged(tmp_path, *layers)


def test_trees_deeper_than_the_interpreter_recurses(tmp_path: Path) -> None:
    deep = "/d" * 2000
    rootfs = merged(tmp_path, {deep: "1", "/x": "2"})
    assert sum(1 for _ in rootfs.walk("/")) == 2002
    assert view(merged(tmp_path, {deep: "1", "/x": "2"}, {"/.wh.d": ""})) == {"/x": "2"}


def test_sparse_files_are_read_in_ranges(tmp_path: Path) -> None:
    from tests.test_layers import SPARSE_CONTENT, SPARSE_TARS, image_of

    for data in SPARSE_TARS.values():
        loaded = load_layers(image_of(tmp_path, data))
        rootfs = Rootfs.of_layers(loaded)
        entry = rootfs.lookup("/sparse")
        assert entry is not None
        assert rootfs.read_bytes(entry) == SPARSE_CONTENT
        assert rootfs.pread(entry, 4000, 200) == SPARSE_CONTENT[4000:4200]
        assert rootfs.read_bytes(entry, 3) == SPARSE_CONTENT[:3]


Lookup = Callable[[Rootfs], object]


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda r: r.resolve("/bin/sh").path, "/usr/bin/dash"),
        (lambda r: r.resolve("/bin/sh").links, ("/bin", "/usr/bin/sh")),
        (lambda r: r.resolve("/bin/sh", follow_last=False).path, "/usr/bin/sh"),
        (lambda r: r.resolve("../../../bin/sh", base="/usr/bin").path, "/usr/bin/dash"),
        (lambda r: r.resolve("/abs/sh").path, "/usr/bin/dash"),
        (lambda r: r.resolve("/dangling").path, "/none/where"),
        (lambda r: r.resolve("/loop").entry, None),
        (lambda r: [e.path for e in r.glob("/bin/*sh")], ["/usr/bin/dash", "/usr/bin/sh"]),
        (lambda r: [e.path for e in r.glob("/**/dash")], ["/usr/bin/dash"]),
    ],
)
def test_lookups_stay_in_the_image(tmp_path: Path, ask: Lookup, expected: object) -> None:
    rootfs = merged(
        tmp_path,
        {
            "/usr/bin/dash": "#",
            "/usr/bin/sh": Link("dash"),
            "/bin": Link("usr/bin"),
            "/abs": Link("/bin"),
            "/dangling": Link("../../none/where"),
            "/loop": Link("loop"),
        },
    )
    assert ask(rootfs) == expected
