"""How long ``imgslim analyze`` takes, as ratios that hold on any machine.

    python -m tests.benchmarks.analyze_speed                 makes the archive first (1.5 GB)
    python -m tests.benchmarks.analyze_speed ARCHIVE         any `docker save` archive

Everything is measured in one run, in turns, each as a process of its own from start to end: a bare
walk of ``tarfile`` over the headers of the same layers, the analysis, ``imgslim --help`` and a
Python that does nothing. The median of the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.big_image import write_big_image
from tests.benchmarks.costs import run

WALK = """
import sys, tarfile
count = 0
for path in sys.argv[1:]:
    with tarfile.open(path) as layer:
        for member in layer:
            count += 1
"""

LIMITS = {"analyze / walk": 2.5, "peak memory, MB": 200.0, "--help / pass": 4.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pip", default=f"{sys.executable} -m pip", help="how to call pip")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = arguments.archive
        if archive is None:
            archive = folder / "big.tar"
            print("making the archive …", flush=True)
            write_big_image(archive, arguments.pip.split())
        layers = unpack_layers(archive, folder)
        print(describe(archive, layers), flush=True)
        report(measure(archive, layers, arguments.rounds))


def unpack_layers(archive: Path, folder: Path) -> list[Path]:
    """The layers as plain tars of their own, so that the walk reads nothing else."""
    paths = []
    with tarfile.open(archive) as outer:
        manifest = outer.extractfile("manifest.json")
        assert manifest is not None
        for number, name in enumerate(json.load(manifest)[0]["Layers"]):
            outer.extract(outer.getmember(name), folder, filter="data")
            paths.append((folder / name).rename(folder / f"layer-{number}.tar"))
    return paths


def describe(archive: Path, layers: Sequence[Path]) -> str:
    files = 0
    for path in layers:
        with tarfile.open(path) as layer:
            files += sum(member.isreg() for member in layer)
    return f"{archive.name}: {archive.stat().st_size / 1e6:,.0f} MB, {files:,} files"


def measure(archive: Path, layers: Sequence[Path], rounds: int) -> dict[str, float]:
    """Seconds by what was done, and the peak memory of the analysis in bytes."""
    python = sys.executable
    commands = {
        "walk": [python, "-c", WALK, *map(str, layers)],
        "analyze": [python, "-m", "imgslim", "analyze", "-q", str(archive), "-o", os.devnull],
        "with next": [python, "-m", "imgslim", "analyze", str(archive), "-o", os.devnull],
        "help": [python, "-m", "imgslim", "--help"],
        "pass": [python, "-c", "pass"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    peak_bytes = 0
    for _ in range(rounds + 1):  # the first round warms the page cache
        for name, command in commands.items():
            cost = run(command)
            elapsed_s, memory_bytes = cost.wall_s, cost.peak_bytes
            times[name].append(elapsed_s)
            if name in ("analyze", "with next"):
                peak_bytes = max(peak_bytes, memory_bytes)
    seconds = {name: statistics.median(values[1:]) for name, values in times.items()}
    return seconds | {"peak_bytes": peak_bytes}


def report(measured: dict[str, float]) -> None:
    found = {
        "analyze / walk": measured["analyze"] / measured["walk"],
        "peak memory, MB": measured["peak_bytes"] / 1e6,
        "--help / pass": measured["help"] / measured["pass"],
    }
    print(f"walk {measured['walk']:.2f} s, analyze {measured['analyze']:.2f} s, ", end="")
    print(f"with the next level {measured['with next']:.2f} s, ", end="")
    print(f"--help {measured['help'] * 1e3:.0f} ms, pass {measured['pass'] * 1e3:.0f} ms")
    for name, value in found.items():
        print(f"{name:<18}{value:8.2f}   (at most {LIMITS[name]:g})")


if __name__ == "__main__":
    main()
