"""The table that compares builders says of each form what differs, and what was not tried."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.builders import (
    END,
    FORMS,
    START,
    Outcome,
    describe,
    read_results,
    section,
    table,
    with_section,
    write_results,
)

RESULTS = {
    "two": {
        "archive": Outcome(1200, [], {"base-label": 2}, 1.5),
        "source:buildah": Outcome(0, ["no image: buildah bud: exit 1"]),
    },
    "one": {"buildkit": Outcome(1200, ["/a: mode expected 0755, found 0700"])},
}


def test_a_cell_says_how_many_of_how_many_differ() -> None:
    _, _, one, two = table(RESULTS).splitlines()
    blank = dict.fromkeys(FORMS, "")
    cells = blank | {"buildkit": "1 of 1,200"}
    assert one == f"| one | {' | '.join(cells.values())} |"
    cells = blank | {"archive": "0 of 1,200", "source:buildah": "no image"}
    assert two == f"| two | {' | '.join(cells.values())} |"


def test_each_difference_is_shown() -> None:
    shown = describe("one", "buildkit", RESULTS["one"]["buildkit"])
    assert shown.splitlines()[1:] == ["   /a: mode expected 0755, found 0700"]


def test_results_of_several_runs_make_one_table(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    assert read_results(file) == {}
    write_results(file, RESULTS)
    assert table(read_results(file)) == table(RESULTS)


def test_the_section_is_replaced_and_nothing_else() -> None:
    text = with_section("# Copies\n", section({}))
    assert text.startswith("# Copies\n") and text.count(START) == text.count(END) == 1
    again = with_section(with_section(text + "after\n", section(RESULTS)), section({}))
    assert again == text + "after\n"
