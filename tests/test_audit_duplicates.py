"""The same content in several files, and what only looks like it."""

from __future__ import annotations

from pathlib import Path

from tests.audits import audit_of
from tests.worlds import File, Tree


def groups_of(tmp_path: Path, *trees: Tree) -> list[tuple[int, int, list[tuple[str, int, bool]]]]:
    found = audit_of(tmp_path, *trees, with_duplicates=True).duplicates
    assert found is not None
    return [
        (g.size_bytes, g.extra_bytes, [(c.path, c.layer_index, c.hidden) for c in g.copies])
        for g in found
    ]


def test_equal_files_are_found_at_all_their_paths_and_in_all_layers(tmp_path: Path) -> None:
    big, small = b"b" * 10_000, b"s" * 100
    first: Tree = {"/a/big": big, "/b/big": big, "/x": small, "/only": b"o" * 100, "/empty": ""}
    second: Tree = {"/c/big": big, "/.wh.x": "", "/y": small, "/z": "", "/empty2": ""}
    assert groups_of(tmp_path, first, second) == [
        (10_000, 20_000, [("/a/big", 0, False), ("/b/big", 0, False), ("/c/big", 1, False)]),
        # One of the two is hidden: its bytes are waste already.
        (100, 0, [("/y", 1, False), ("/x", 0, True)]),
    ]


def test_hard_links_are_no_duplicates(tmp_path: Path) -> None:
    tree: Tree = {"/a": File(b"x" * 500), "/b": File(hard_link="/a"), "/c": File(hard_link="/a")}
    assert groups_of(tmp_path, tree) == []


def test_files_of_one_size_that_differ_at_their_end_are_no_duplicates(tmp_path: Path) -> None:
    same = b"x" * 100_000
    tree: Tree = {"/a": same + b"1", "/b": same + b"2", "/c": b"1" + same, "/d": same + b"1"}
    assert [paths for _, _, paths in groups_of(tmp_path, tree)] == [
        [("/a", 0, False), ("/d", 0, False)]
    ]


def test_they_are_looked_for_when_asked(tmp_path: Path) -> None:
    assert audit_of(tmp_path, {"/a": "same", "/b": "same"}).duplicates is None
