"""How long the slim archive takes to write, against ``tar -cf`` of the same tree.

    python -m tests.benchmarks.archive_speed ARCHIVE [ARCHIVE …]     `docker save` archives

The fat image is analysed once; then, in turns and in one run, the plan is written as an archive
(plain layers, by imgslim's own way to a file: beside it, to disk, renamed) and the tree that the
archive holds is packed by tar. The page cache is warm for both. The median of the rounds counts,
and beside it the processor's time and the peak memory of what is written over that of the plan.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imgslim.archive import Settings, slim_name, write_archive
from imgslim.output import open_output
from imgslim.pipeline import Analysis, analyze

LIMITS = {"write / tar": 2.0, "more memory, MB": 50.0}


@dataclass(frozen=True)
class Measured:
    """Seconds, and for how many of them a processor worked (all threads)."""

    elapsed_s: float
    busy_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    for archive in arguments.archives:
        with tempfile.TemporaryDirectory() as name, analyze(str(archive)) as analysis:
            report(archive.name, analysis, Path(name), arguments.rounds)


def report(title: str, analysis: Analysis, folder: Path, rounds: int) -> None:
    target, tree = folder / "slim.tar", folder / "tree"

    def write() -> None:
        settings = Settings(slim_name(analysis.image))
        with open_output(str(target), force=True) as file:
            write_archive(file, analysis.image, analysis.world, analysis.plan, settings)

    def pack() -> None:
        subprocess.run(["tar", "-cf", folder / "tree.tar", "-C", tree, "."], check=True)

    before = peak_bytes()
    write()
    more_bytes = peak_bytes() - before
    unpack(target, tree)
    jobs: dict[str, Callable[[], None]] = {"write": write, "tar": pack}
    pack()
    rows: dict[str, list[Measured]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            rows[name].append(measured(job))
    times = {
        name: Measured(
            statistics.median(row.elapsed_s for row in found),
            statistics.median(row.busy_s for row in found),
        )
        for name, found in rows.items()
    }
    size = target.stat().st_size
    print(f"{title}: {len(analysis.plan.keeps):,} paths, {size / 1e6:,.1f} MB")
    for name, found in times.items():
        print(f"  {name:<6}{found.elapsed_s:7.3f} s, processor {found.busy_s:.3f} s")
    ratios = {
        "write / tar": times["write"].elapsed_s / times["tar"].elapsed_s,
        "more memory, MB": more_bytes / 1e6,
    }
    for name, value in ratios.items():
        print(f"  {name:<18}{value:8.2f}   (at most {LIMITS[name]:g})")


def measured(job: Callable[[], None]) -> Measured:
    started, busy = time.perf_counter(), busy_s()
    job()
    return Measured(time.perf_counter() - started, busy_s() - busy)


def busy_s() -> float:
    """The processor's time of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def unpack(archive: Path, tree: Path) -> None:
    """The tree of the slim image as files of this machine."""
    tree.mkdir()
    with tarfile.open(archive) as outer:
        for member in outer:
            if member.name.startswith("blobs/sha256/") and member.size > 10_000:
                layer = outer.extractfile(member)
                subprocess.run(
                    ["tar", "-x", "-C", tree, "-f", "-"], input=layer.read() if layer else b""
                )


if __name__ == "__main__":
    main()
