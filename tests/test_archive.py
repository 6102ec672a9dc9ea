"""The entries of a slim archive are the plan's, exactly, each in its layer: read back with
imgslim's own sources and, apart, with tarfile."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from imgslim.archive.layers import Member, Part, split_layers
from imgslim.archive.members import header
from imgslim.errors import ArchiveError
from imgslim.model import Entry, Group, Keep, Kind, Traits
from imgslim.pipeline import analyze, expect, open_world, verify
from imgslim.rootfs import Rootfs
from imgslim.world import PackageIndex
from tests.engines import nodes_of, read_nodes
from tests.slim_archives import APP, Files, archived, both, fat_image
from tests.test_torture_build import torture_tar
from tests.worlds import MTIME, Dir, File, Link, Tree


def facts(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """What of entries is the image's own, not where it lies."""
    return {
        path: replace(
            entry, layer_index=0, data_offset=0, traits=replace(entry.traits, sparse=None)
        )
        for path, entry in entries.items()
    }


def partners(entries: Mapping[str, Entry]) -> set[tuple[str, ...]]:
    groups: dict[int, list[str]] = {}
    for path, entry in sorted(entries.items()):
        if not entry.is_directory:
            groups.setdefault(entry.inode, []).append(path)
    return {tuple(group) for group in groups.values() if len(group) > 1}


def contents(rootfs: Rootfs, paths: Iterator[str]) -> dict[str, bytes]:
    return {path: rootfs.read_bytes(rootfs.entries[path]) for path in paths}


def test_every_entry_is_as_it_was(tmp_path: Path) -> None:
    long = "/app/" + "/".join(["a directory with a long name"] * 8) + "/file"
    odd: Tree = {
        long: "far down",
        "/app/early": File("before 1970", mtime=-1.5),
        "/app/late": File("after 2242", mtime=9_000_000_000),
        "/app/high uid": File("", uid=2_097_152),
        "/app/high gid": File("", gid=2_097_152),
        "/app/big": File(os.urandom(3_000_001)),
        "/app/link": Link("../" * 50 + "etc/passwd", mtime=3.25),
        "/app/user": File("", xattrs=(("user.x", b"\0\xff=\n"), ("security.capability", b"\1\2"))),
    }
    with both(tmp_path, APP, odd, torture_tar(torn=True)) as (fat, slim):
        kept = {keep.entry.path: keep.entry for keep in fat.plan.keeps}
        assert {long, "/t/fifo", "/t/null", "/t/names/x\udcffraw", "/t/torn"} <= kept.keys()
        with open_world(str(slim)) as found:
            tree = found.world.rootfs
            assert facts(tree.entries) == facts(kept)
            assert partners(tree.entries) == partners(kept)
            files = [path for path, entry in kept.items() if entry.is_file]
            assert contents(tree, iter(files)) == contents(fat.world.rootfs, iter(files))


def test_another_reader_finds_the_same(tmp_path: Path) -> None:
    with both(tmp_path, APP, torture_tar()) as (fat, slim):
        found = {}
        for layer in Files.of(slim.read_bytes()).layers:
            nodes = read_nodes(layer)
            assert all(nodes[path] == found[path] for path in nodes.keys() & found.keys())
            found.update(nodes)
        assert found == nodes_of(keep.entry for keep in fat.plan.keeps)


def test_it_is_as_verify_wants_it(tmp_path: Path) -> None:
    with both(tmp_path, APP, torture_tar()) as (fat, slim):
        _, result = verify(str(slim), expect(fat))
        assert result.differences == ()


def test_a_sparse_file_comes_in_full(tmp_path: Path) -> None:
    hole = tmp_path / "app" / "hole"
    hole.parent.mkdir()
    with hole.open("wb") as file:
        file.seek(5_000_000)
        file.write(b"end")
    layer = subprocess.run(
        ["tar", "-c", "--sparse", "-C", tmp_path, "app/hole"], capture_output=True, check=True
    )
    assert len(layer.stdout) < 100_000
    with both(tmp_path, APP, layer.stdout) as (_, slim), open_world(str(slim)) as found:
        tree = found.world.rootfs
        assert tree.read_bytes(tree.entries["/app/hole"]) == bytes(5_000_000) + b"end"


def keep_of(path: str, group: Group = Group.APP, **entry: Any) -> Keep:
    facts: dict[str, Any] = {"kind": Kind.FILE, "mode": 0o644, "size_bytes": 0, "mtime": 1}
    facts |= {"data_offset": abs(hash(path))} | entry
    names = {field.name for field in fields(Traits)} & facts.keys()
    traits = Traits(**({"uid": 0, "gid": 0} | {name: facts.pop(name) for name in names}))
    return Keep(Entry(path=path, traits=traits, **facts), group, "reason", "<test>")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mode": 0o7777, "uid": 0o7777777, "gid": 1000, "mtime": 0o77777777777},
        {"path": "/" + "n" * 100, "size_bytes": 0o77777777777},
        {"kind": Kind.DIRECTORY, "path": "/d" * 45},
        {"kind": Kind.DIRECTORY, "path": "/"},
        {"kind": Kind.SYMLINK, "link_target": "t" * 100},
        {"kind": Kind.FIFO},
    ],
)
def test_the_short_way_to_a_header_gives_the_bytes_of_tarfile(changes: dict[str, Any]) -> None:
    keep = keep_of(**{"path": "/usr/bin/env", **changes})
    entry = keep.entry
    info = tarfile.TarInfo(entry.path[1:] or ".")
    kinds = {Kind.DIRECTORY: tarfile.DIRTYPE, Kind.SYMLINK: tarfile.SYMTYPE}
    info.type = {**kinds, Kind.FIFO: tarfile.FIFOTYPE}.get(entry.kind, tarfile.REGTYPE)
    info.mode, info.uid, info.gid, info.linkname = (
        entry.mode,
        entry.uid,
        entry.gid,
        entry.link_target,
    )
    info.size, info.mtime = entry.size_bytes, int(entry.mtime)
    expected = info.tobuf(tarfile.PAX_FORMAT)
    assert len(expected) == 512
    assert header(Member(keep), entry.size_bytes, entry.mtime) == expected


def parts(keeps: list[Keep], packages: PackageIndex | None = None) -> dict[str, str]:
    """The part of each path that is no directory."""
    layers = split_layers(keeps, packages or PackageIndex())
    return {
        member.keep.entry.path: layer.part.name
        for layer in layers
        for member in layer.members
        if not member.keep.entry.is_directory
    }


def test_layers_are_cut_by_reason() -> None:
    at = Group
    keeps = [
        keep_of("/app/main.py", at.APP, layer_index=3),
        keep_of("/app/tool", at.PROGRAM, layer_index=3),
        keep_of("/etc/passwd", at.SYSTEM, layer_index=3),
        keep_of("/lib/libc.so", at.LIBRARY, layer_index=0),
        keep_of("/lib/other.so", at.PACKAGE, layer_index=0),
        keep_of("/site/flask.py", at.DEPENDENCY, layer_index=2),
        keep_of("/site/pillow.so", at.LIBRARY, layer_index=2),
        keep_of("/usr/local/bin/python", at.PROGRAM, layer_index=1),
        keep_of("/usr/local/lib/libpython.so", at.LIBRARY, layer_index=1),
        keep_of("/usr/local/lib/os.py", at.RUNTIME, layer_index=1),
    ]
    root = keep_of("/", Group.DIRECTORY, kind=Kind.DIRECTORY)
    directories = sorted({k.entry.path.rpartition("/")[0] for k in keeps} | {"/usr", "/usr/local"})
    made = [keep_of(path, Group.DIRECTORY, kind=Kind.DIRECTORY) for path in directories if path]
    found = parts([root, *made, *keeps])
    assert found == {
        "/app/main.py": "APP",
        "/app/tool": "APP",
        "/etc/passwd": "SYSTEM",
        "/lib/libc.so": "SYSTEM",
        "/lib/other.so": "SYSTEM",
        "/site/flask.py": "DEPENDENCY",
        "/site/pillow.so": "DEPENDENCY",
        "/usr/local/bin/python": "RUNTIME",
        "/usr/local/lib/libpython.so": "RUNTIME",
        "/usr/local/lib/os.py": "RUNTIME",
    }


def test_names_of_one_file_share_a_layer_unless_one_gets_other_content() -> None:
    root = keep_of("/", Group.DIRECTORY, kind=Kind.DIRECTORY)
    names = [
        keep_of("/a", Group.APP, data_offset=512),
        keep_of("/b", Group.RUNTIME, data_offset=512),
        keep_of("/bb", Group.APP, data_offset=512),
        replace(keep_of("/c", Group.APP, data_offset=512), content=b"cut"),
    ]
    (low, high) = split_layers([root, *names], PackageIndex())
    links = [(member.keep.entry.path, member.link_to) for member in low.members]
    assert (low.part, links) == (Part.RUNTIME, [("/", ""), ("/a", ""), ("/b", "/a"), ("/bb", "/a")])
    assert [member.keep.entry.path for member in high.members] == ["/", "/c"]


def test_a_directory_is_in_every_layer_that_needs_it_and_in_no_other(tmp_path: Path) -> None:
    tree: Tree = {
        **APP,
        "/srv": Dir(0o2775, 5, 6, MTIME - 7),
        "/srv/empty": Dir(0o700, 1000, 1000),
        "/srv/file": "x",
    }
    with both(tmp_path, tree) as (_, slim):
        layers = [read_nodes(layer) for layer in Files.of(slim.read_bytes()).layers]
    assert all("/" in layer for layer in layers)
    (app,) = (layer for layer in layers if "/srv" in layer)
    assert (app["/srv"].mode, app["/srv"].uid, app["/srv"].mtime) == (0o2775, 5, MTIME - 7)
    assert "/srv/empty" in app and "/app/main" in app


def test_a_new_release_of_the_app_leaves_the_layers_below_as_they_were(tmp_path: Path) -> None:
    ids = []
    for release in ("1", "2"):
        folder = tmp_path / release
        folder.mkdir()
        with both(folder, APP, {"/app/release": release}) as (_, slim):
            ids.append(Files.of(slim.read_bytes()).config["rootfs"]["diff_ids"])
    assert ids[0][:-1] == ids[1][:-1] != []
    assert ids[0][-1] != ids[1][-1]


ODD: list[dict[str, Any]] = [
    {"path": "/" + "deep/" * 40 + "file", "size_bytes": 10},
    {"path": "/ünï\udcff", "mtime": 1.25},
    {"path": "/huge", "size_bytes": 9 << 30, "uid": 4_000_000, "gid": 5_000_000, "mtime": -3},
    {"path": "/null", "kind": Kind.CHAR_DEVICE, "device": (1, 3)},
    {"path": "/disk", "kind": Kind.BLOCK_DEVICE, "device": (8, 0)},
    {"path": "/capable", "xattrs": (("security.capability", b"\1\0\0\2\xff"),)},
    {"path": "/link", "kind": Kind.SYMLINK, "link_target": "../" * 50},
]
HEADERS = "733167a45c2aa062a9ab6fbe506a4a8dc89a0308ec7afa5a22cc2d14d5754ef5"


def test_headers_do_not_hang_on_the_version_of_python() -> None:
    """Layers would have other digests elsewhere: the odd members' headers are tarfile's work."""
    made = [keep_of(**facts) for facts in ODD]
    headers = [header(Member(k), k.entry.size_bytes, k.entry.mtime) for k in made]
    assert hashlib.sha256(b"".join(headers)).hexdigest() == HEADERS


def test_a_fat_image_that_shrinks_while_it_is_read_is_said(tmp_path: Path) -> None:
    with analyze(str(fat_image(tmp_path, {**APP, "/app/big": bytes(9_000_000)}))) as fat:
        os.truncate(tmp_path / "fat.tar", 4_000_000)
        with pytest.raises(ArchiveError, match="/app/big"):
            archived(fat, tmp_path / "slim.tar")
