"""The temporary folder: whatever cannot be read in place is spooled here, and gone at the end."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from types import TracebackType

from imgslim.errors import OutputError
from imgslim.layers import OnProgress
from imgslim.sources.blobs import StoredFile

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Workspace:
    """A temporary folder under TMPDIR, removed on the way out whatever happened."""

    def __init__(self, on_progress: OnProgress | None = None) -> None:
        self._on_progress = on_progress
        self._count = 0

    def __enter__(self) -> Workspace:
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="imgslim-")
        except OSError as error:
            raise OutputError(
                f"no temporary folder can be made: {error.strerror or error}",
                hint="set TMPDIR to a folder that you may write to",
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def report(self, phase: str, done: int, total: int | None) -> None:
        if self._on_progress:
            self._on_progress(phase, done, total)

    def require_space(self, size_bytes: int) -> None:
        """Raise OutputError when ``size_bytes`` more do not fit."""
        free = shutil.disk_usage(self._folder.name).free
        if free < size_bytes:
            raise self._no_space(
                f"too small: it has {free:,} bytes free, the image takes at least {size_bytes:,}"
            )

    def spool(self, chunks: Iterable[bytes], *, phase: str, total: int | None) -> StoredFile:
        """Write ``chunks`` to a new file; progress counts its bytes.

        Raises OutputError when the disk is full.
        """
        self._count += 1
        path = Path(self._folder.name) / f"spool-{self._count}"
        done = 0
        with path.open("xb", buffering=0) as target:
            for chunk in chunks:
                self._write_all(target, chunk)
                done += len(chunk)
                self.report(phase, done, None if total is None else max(done, total))
        return StoredFile(str(path), 0, done)

    def _write_all(self, target: FileIO, chunk: bytes) -> None:
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[target.write(rest) :]
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise self._no_space(f"full after {target.tell():,} bytes of an image") from error
            raise

    def _no_space(self, what: str) -> OutputError:
        folder = Path(self._folder.name).parent
        return OutputError(
            f"the temporary folder {folder} is {what}",
            hint="free some space, or set TMPDIR to a folder that has more",
        )
