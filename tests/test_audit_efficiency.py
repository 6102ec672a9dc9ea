"""The share of stored bytes that is in use, and every byte by which dive's score differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.audit.dive import count_as_dive
from imgslim.audit.efficiency import (
    DELETED_DIRECTORY,
    SMALLEST_COPY,
    STILL_USED,
    TWICE,
    UNREAD,
    UNSEEN,
    measure_efficiency,
)
from imgslim.audit.model import Efficiency
from imgslim.audit.stored import find_names
from imgslim.layers import load_layers
from imgslim.rootfs import Rootfs
from tests.worlds import Dir, File, Link, Tree, make_image

REST: Tree = {"/rest": File(b"r" * 1000)}


def efficiency_of(tmp_path: Path, *trees: Tree) -> Efficiency:
    layers = load_layers(make_image(tmp_path, trees))
    with Rootfs.of_layers(layers) as rootfs:
        return measure_efficiency(layers, find_names(layers, rootfs))


def miscounts(efficiency: Efficiency) -> list[tuple[str, int, int, str]]:
    return [(m.path, m.useful_bytes, m.stored_bytes, m.why) for m in efficiency.miscounts]


@pytest.mark.parametrize(
    "second",
    [{}, {"/.wh.a": ""}, {"/a": File(b"b" * 100)}, {"/b": File(b"b" * 100)}],
    ids=["nothing", "a deleted file", "as many bytes again", "another file"],
)
def test_where_dive_is_right_the_score_is_dives(second: Tree, tmp_path: Path) -> None:
    found = efficiency_of(tmp_path, {**REST, "/a": File(b"a" * 100)}, second)
    assert found.miscounts == ()
    assert found.score == found.dive_score


@pytest.mark.parametrize(
    ("trees", "score", "dive_score", "wasted", "expected"),
    [
        pytest.param(
            (
                {**REST, "/d": Dir(), "/d/x": File(b"x" * 300), "/d/y": File(b"y" * 50)},
                {"/.wh.d": ""},
            ),
            1000 / 1350,
            1700 / 1700,
            0,
            [
                ("/d", 350, 350, DELETED_DIRECTORY),
                ("/d/x", 300, 0, UNSEEN),
                ("/d/y", 50, 0, UNSEEN),
            ],
            id="a deleted directory",
        ),
        pytest.param(
            ({**REST, "/a": File(b"a" * 10)}, {"/a": File(b"b" * 100)}),
            1100 / 1110,
            1010 / 1110,
            110,
            [("/a", -90, 0, SMALLEST_COPY)],
            id="overwritten by more bytes",
        ),
        pytest.param(
            ({**REST, "/a": File(b"a" * 100)}, {"/a": File(b"b" * 10)}),
            1010 / 1110,
            1010 / 1110,
            110,
            [],
            id="overwritten by fewer bytes",
        ),
        pytest.param(
            ({**REST, "/c/x": File(b"x" * 200)}, {"/c/.wh..wh..opq": "", "/c/new": File(b"n")}),
            1001 / 1201,
            1201 / 1201,
            0,
            [("/c/x", 200, 0, UNSEEN)],
            id="an opaque directory",
        ),
        pytest.param(
            ({**REST, "/a": File(b"a" * 80), "/b": File(hard_link="/a")}, {"/.wh.a": ""}),
            1080 / 1080,
            1000 / 1080,
            80,
            [("/a", -80, 0, STILL_USED)],
            id="in use at a hard link",
        ),
        pytest.param(
            (
                {**REST, "/usr/lib/x": File(b"x" * 60), "/lib": Link("usr/lib")},
                {"/lib/x": File(b"y" * 60)},
            ),
            1060 / 1120,
            1120 / 1120,
            0,
            [("/usr/lib/x", 60, 0, UNSEEN)],
            id="overwritten through a link",
        ),
        pytest.param(
            (
                {**REST, "/usr/lib/x": File(b"x" * 60), "/lib": Link("usr/lib")},
                {"/a": File(b"a" * 5), "/lib/.wh.x": "", "/z": File(b"z" * 7)},
            ),
            1012 / 1072,
            1064 / 1065,
            0,
            # The byte less is the size -1 of what dive has noted and not measured.
            [("/lib/x", -1, 0, UNREAD), ("/usr/lib/x", 60, 0, UNSEEN), ("/z", -7, -7, UNREAD)],
            id="dive stops at a deletion through a link",
        ),
    ],
)
def test_every_difference_is_made_of_named_bytes(
    trees: tuple[Tree, ...],
    score: float,
    dive_score: float,
    wasted: int,
    expected: list[tuple[str, int, int, str]],
    tmp_path: Path,
) -> None:
    found = efficiency_of(tmp_path, *trees)
    assert miscounts(found) == expected
    assert (found.score, found.dive_score) == (score, dive_score)
    assert found.dive_wasted_bytes == wasted


def test_the_named_bytes_make_the_whole_difference(tmp_path: Path) -> None:
    found = efficiency_of(
        tmp_path,
        {**REST, "/d": Dir(), "/d/x": File(b"x" * 300), "/a": File(b"a" * 10)},
        {"/.wh.d": "", "/a": File(b"b" * 100), "/e": Dir(), "/e/f": File(b"f" * 9)},
        {"/.wh.e": "", "/d": Dir(), "/d/x": File(b"x" * 20)},
    )
    useful = found.tree_bytes + sum(row.useful_bytes for row in found.miscounts)
    stored = found.stored_bytes + sum(row.stored_bytes for row in found.miscounts)
    assert (useful, stored) == (found.dive_useful_bytes, found.dive_stored_bytes)
    # Counted by hand as dive does: every path's smallest size, and the sum of all its sizes.
    sizes = {
        "/rest": [1000],
        "/d": [300],
        "/d/x": [300, 20],
        "/a": [10, 100],
        "/e": [9],
        "/e/f": [9],
    }
    assert useful == sum(min(row) for row in sizes.values())
    assert stored == sum(sum(row) for row in sizes.values())
    assert found.dive_wasted_bytes == 320 + 110


def test_what_one_layer_stores_twice_is_known_to_dive_once(tmp_path: Path) -> None:
    image = make_image(
        tmp_path, [{**REST, "/a": File(b"a" * 40)}, {"/./a": File(b"b" * 9), "/a": b"c"}]
    )
    layers = load_layers(image)
    with Rootfs.of_layers(layers) as rootfs:
        found = measure_efficiency(layers, find_names(layers, rootfs))
    assert miscounts(found) == [("/a", 0, -9, TWICE)]
    assert found.stored_bytes == 1050


def test_paths_of_one_layer_alone_need_no_counting(tmp_path: Path) -> None:
    layers = load_layers(make_image(tmp_path, [REST, {"/b": "b"}]))
    assert count_as_dive(layers, frozenset()).paths == {}
