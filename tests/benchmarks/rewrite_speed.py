"""How long `imgslim rewrite` takes beside the engine's own `docker save`, fixture by fixture.

    python -m tests.benchmarks.rewrite_speed                 every fixture
    python -m tests.benchmarks.rewrite_speed NAME ... --write   the table in docs/benchmarks.md

The fat images have to be in the engine (`python fixtures/build.py`). For each, in turns and each as
a process of its own, `docker save` writes the image to nowhere, and `imgslim rewrite` derives a
Dockerfile from the engine's image; the median of the rounds counts. Ends with 1 where the whole set
takes more than LIMIT times its saving.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fixtures.build import Fixture, load_fixtures
from tests.benchmarks.costs import run
from tests.builders import find_program

LIMIT = 3.0
"""The whole set is rewritten in at most so many times what the engine takes to save it."""

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
START, END = "<!-- rewrite speed -->", "<!-- /rewrite speed -->"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one image."""

    name: str
    save_s: float
    rewrite_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    fixtures = {fixture.name: fixture for fixture in load_fixtures() if not fixture.squashed}
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(fixtures)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into the docs")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in fixtures]:
        parser.error(f"no fixture is called {unknown[0]}")
    measured = []
    for name in arguments.names or fixtures:
        measured.append(measure(fixtures[name], arguments.rounds))
        print(row(measured[-1]), flush=True)
    whole = total(measured)
    print(row(whole))
    if arguments.write:
        write_table(measured, arguments.names)
    sys.exit(whole.rewrite_s > LIMIT * whole.save_s)


def measure(fixture: Fixture, rounds: int) -> Times:
    docker = find_program("docker") or "docker"
    also = [word for line in fixture.also_run for word in ("--also-run", line)]
    commands = {
        # The run's standard output goes nowhere.
        "save": [docker, "save", fixture.tag],
        "rewrite": [
            *(sys.executable, "-m", "imgslim", "rewrite", fixture.tag, "--quiet", "--force"),
            *("--output", os.devnull, *also),
        ],
    }
    seconds: Mapping[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seconds[name].append(run(command).wall_s)
    save_s, rewrite_s = (statistics.median(seconds[name]) for name in commands)
    return Times(fixture.name, save_s, rewrite_s)


def total(measured: Sequence[Times]) -> Times:
    save_s = sum(times.save_s for times in measured)
    return Times("all of them", save_s, sum(times.rewrite_s for times in measured))


def row(times: Times) -> str:
    ratio = times.rewrite_s / times.save_s
    return f"| {times.name} | {times.save_s:.1f} | {times.rewrite_s:.1f} | {ratio:.1f} |"


def write_table(measured: Sequence[Times], names: Sequence[str]) -> None:
    command = " ".join(["python -m tests.benchmarks.rewrite_speed", *names, "--write"])
    head = ["| fixture | save, s | rewrite, s | ratio |", "| --- | ---: | ---: | ---: |"]
    rows = [row(times) for times in (*measured, total(measured))]
    table = "\n".join([START, "```sh", command, "```", "", *head, *rows, END])
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(START)
    DOCUMENT.write_text(before + table + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
