"""What an analysis of Python images takes, beside compiling the same packages.

    python -m tests.benchmarks.python_speed [FIXTURE ...]

For each fixture image: ``compileall`` over a copy of its site-packages, by the image's own
interpreter in a container, and ``imgslim analyze`` at each level of the saved image, in turns on
the same machine. Printed are seconds, ratios and peak memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fixtures.build import load_fixture
from imgslim.choices import Level
from tests.benchmarks.costs import run

LIMIT_RATIO = 4.0
LIMIT_MB = 400.0
COMPILE = """
import compileall, pathlib, shutil, site, sys, time
places = [path for path in site.getsitepackages() if pathlib.Path(path).is_dir()]
for number, place in enumerate(places):
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(place, f"/tmp/copy{number}", ignore=ignore, ignore_dangling_symlinks=True)
started = time.perf_counter()
for number in range(len(places)):
    compileall.compile_dir(f"/tmp/copy{number}", quiet=2)
print(time.perf_counter() - started)
"""
DEFAULT = ("python-django", "python-pandas")


def compile_seconds(tag: str) -> float:
    """How long the image's own interpreter compiles its site-packages, in seconds."""
    command = ["docker", "run", "--rm", "--user", "0", "--entrypoint", "python", tag, "-c", COMPILE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def measure(name: str, archive: Path) -> bool:
    """Print one fixture's ratios; whether they hold."""
    tag = load_fixture(name).tag
    subprocess.run(["docker", "save", "-o", archive, tag], check=True)
    compiling_s = compile_seconds(tag)
    print(f"{name}: compileall {compiling_s:.1f} s")
    holds = True
    for words in ([f"--level={level.value}", "-q"] for level in Level):
        holds &= _analyse(words, archive, compiling_s)
    return holds & _analyse(["--level=balanced"], archive, compiling_s)


def _analyse(words: Sequence[str], archive: Path, compiling_s: float) -> bool:
    command = [sys.executable, "-m", "imgslim", "analyze", *words, str(archive), "-o", os.devnull]
    cost = run(command)
    elapsed_s, peak_bytes = cost.wall_s, cost.peak_bytes
    ratio, peak = elapsed_s / compiling_s, peak_bytes / 1e6
    what = " ".join(words)
    print(f"  analyze {what:<20}{elapsed_s:6.1f} s  {ratio:5.2f} x  {peak:5.0f} MB", flush=True)
    return ratio <= LIMIT_RATIO and peak <= LIMIT_MB


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        names = sys.argv[1:] or DEFAULT
        held = [measure(name, Path(folder) / f"{name}.tar") for name in names]
    print(f"at most {LIMIT_RATIO:g} x and {LIMIT_MB:g} MB: {'held' if all(held) else 'NOT held'}")
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
