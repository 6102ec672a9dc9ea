"""What ``imgslim audit`` takes beside dive, and its search for duplicates beside a full read.

    python -m tests.benchmarks.audit_speed                   makes both archives first
    python -m tests.benchmarks.audit_speed ARCHIVE …         any `docker save` archives

The archives are the one of ``big_image`` (1.5 GB, 46,000 files) and that of ``many_files`` (a
million small ones). Each round runs the audit, the audit with ``--duplicates``, dive
(``go install github.com/wagoodman/dive/cmd/dive@latest``) and a read of all bytes of the archive in
turns, each as a process of its own from start to end. The median of the rounds counts. dive uses
several cores, and it reads and hashes what the audit leaves unread: the ratios of both the time on
the clock and the time of the processors are printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.big_image import write_big_image
from tests.benchmarks.costs import Cost, run
from tests.benchmarks.many_files import write_many_files

READ = """
import sys
with open(sys.argv[1], "rb", buffering=0) as archive:
    while archive.read(4 << 20):
        pass
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archives", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dive", default=shutil.which("dive"), help="where dive is")
    parser.add_argument("--pip", default=f"{sys.executable} -m pip", help="how to call pip")
    arguments = parser.parse_args()
    if arguments.dive is None:
        parser.error("dive is not in PATH: say where with --dive")
    with tempfile.TemporaryDirectory() as name:
        archives = arguments.archives or make_archives(Path(name), arguments.pip.split())
        for archive in archives:
            report(archive, measure(archive, arguments.dive, arguments.rounds))


def make_archives(folder: Path, pip: list[str]) -> list[Path]:
    print("making the archives …", flush=True)
    big, many = folder / "big.tar", folder / "many.tar"
    write_big_image(big, pip)
    write_many_files(many, pip)
    return [big, many]


def measure(archive: Path, dive: str, rounds: int) -> dict[str, Cost]:
    """The median costs by what was done."""
    python = sys.executable
    audit = [python, "-m", "imgslim", "audit", "-q", str(archive), "-o", os.devnull]
    commands = {
        "read": [python, "-c", READ, str(archive)],
        "dive": [dive, "--json", os.devnull, f"docker-archive://{archive}"],
        "audit": audit,
        "audit --duplicates": [*audit, "--duplicates"],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(run(command))
    return {name: middle(found) for name, found in costs.items()}


def middle(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        max(cost.peak_bytes for cost in costs),
    )


def report(archive: Path, costs: dict[str, Cost]) -> None:
    print(f"{archive.name}: {archive.stat().st_size / 1e6:,.0f} MB")
    for name, cost in costs.items():
        print(
            f"  {name:<20}{cost.wall_s:8.1f} s {cost.cpu_s:8.1f} s of processors "
            f"{cost.peak_bytes / 1e6:7.0f} MB"
        )
    audit, dive = costs["audit"], costs["dive"]
    extra_s = costs["audit --duplicates"].cpu_s - audit.cpu_s
    print(f"  audit / dive: {ratios(audit, dive)}")
    print(f"  --duplicates alone / read: {extra_s / costs['read'].cpu_s:.1f} of processors")


def ratios(one: Cost, other: Cost) -> str:
    return (
        f"{one.wall_s / other.wall_s:.2f} on the clock, {one.cpu_s / other.cpu_s:.2f} of "
        f"processors, {one.peak_bytes / other.peak_bytes:.2f} of memory"
    )


if __name__ == "__main__":
    main()
