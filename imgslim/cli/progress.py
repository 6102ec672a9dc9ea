"""A progress bar on standard error: on a terminal, for what takes longer than a second."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_S = 1.0
"""What is done by then never shows a bar."""


class ProgressBar:
    """A callback for ``pipeline.analyze``; nothing shows where nobody would see it."""

    def __init__(self, *, quiet: bool) -> None:
        self._wanted = not quiet and sys.stderr.isatty()
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._phase = ""
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, phase: str, done_bytes: int, total_bytes: int | None) -> None:
        if not self._wanted or time.monotonic() - self._started < PATIENCE_S:
            return
        if self._progress is None:
            self._progress = _rich_progress()
            self._progress.start()
        if self._task is None or phase != self._phase:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(phase, total=total_bytes)
            self._phase = phase
        self._progress.update(self._task, completed=done_bytes, total=total_bytes)

    def stop(self) -> None:
        """Take the bar away for good: what follows is printed without it."""
        self._wanted = False
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _rich_progress() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
