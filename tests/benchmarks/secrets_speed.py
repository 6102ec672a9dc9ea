"""How long the search for dirt takes, against a full read of the image's bytes.

    python -m tests.benchmarks.secrets_speed                 makes the archive first (1.5 GB)
    python -m tests.benchmarks.secrets_speed ARCHIVE         any `docker save` archive

In one run, in turns, over one opened image with a warm page cache: all bytes of its layers are read
once; then what ``imgslim audit`` does without ``--secrets``, with it, and with it on the same image
as if no package owned a file, so that every byte is scanned. The rules are compiled before. The
median of the rounds counts; the memory is what the process has at most beyond the opened image.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from imgslim.dirt import SecretScanner, find_dirt
from imgslim.layers import FileSlice
from imgslim.model import Image
from imgslim.pipeline import OpenedImage, open_world
from imgslim.world import PackageIndex
from tests.benchmarks.big_image import write_big_image

READ_BYTES = 4 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pip", default=f"{sys.executable} -m pip", help="how to call pip")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        archive = arguments.archive
        if archive is None:
            archive = Path(name) / "big.tar"
            print("making the archive …", flush=True)
            write_big_image(archive, arguments.pip.split())
        with open_world(str(archive)) as opened:
            report(archive, opened, arguments.rounds)


def report(archive: Path, opened: OpenedImage, rounds: int) -> None:
    scanner = SecretScanner()
    image, layers, world = opened.image, opened.layers, opened.world
    unowned = replace(world, packages=PackageIndex())
    jobs: dict[str, Callable[[], object]] = {
        "read": lambda: read(image),
        "by name": lambda: find_dirt(image, layers, world),
        "--secrets": lambda: find_dirt(image, layers, world, scanner),
        "every byte": lambda: find_dirt(image, layers, unowned, scanner),
    }
    before = peak_bytes()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds + 1):  # the first round warms the page cache
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - started)
    seconds = {name: statistics.median(found[1:]) for name, found in times.items()}
    size = sum(layer.size_bytes for layer in layers)
    print(f"{archive.name}: {size / 1e6:,.0f} MB, {len(world.rootfs.entries):,} paths")
    for name, value in seconds.items():
        print(f"  {name:<12}{value:7.2f} s  {value / seconds['read']:6.1f} times the read")
    print(f"  {(peak_bytes() - before) / 1e6:.0f} MB more memory")


def read(image: Image) -> None:
    """All bytes of the layers, as the scan reads them."""
    for blob in image.layers:
        with FileSlice(blob.tar_path, blob.tar_offset, blob.tar_size_bytes) as layer:
            for offset in range(0, blob.tar_size_bytes, READ_BYTES):
                layer.pread(offset, READ_BYTES)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
