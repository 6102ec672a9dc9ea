"""What a process costs, from its start to its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What one process took: seconds on the clock, seconds of the processors, peak bytes."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def run(command: Sequence[str]) -> Cost:
    """One process, its standard output unseen. Raises SystemExit where it fails."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    elapsed_s = time.perf_counter() - started
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"exit code {code} of {' '.join(command)}")
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, kibibytes here
    return Cost(elapsed_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)
