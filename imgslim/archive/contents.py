"""The bytes of kept files in the slim image: the fat image's own, those of the plan, or stripped.

An archive has no build: files are stripped with this machine's ``strip`` (``Choices.strip_on_host``
made the plan name one), in a temporary folder, with the time as it was.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from imgslim.archive.blobs import CHUNK_BYTES
from imgslim.archive.layers import SlimLayer
from imgslim.archive.members import END_OF_TAR, header, padding
from imgslim.errors import ArchiveError
from imgslim.model import Entry, Keep
from imgslim.rootfs import Rootfs


class Contents:
    """Reads kept files from ``rootfs``. Those with content of the plan's own keep their time, too,
    as in a build. What strip refuses stays as it is; its path is in ``not_stripped``.
    """

    def __init__(self, rootfs: Rootfs) -> None:
        self.not_stripped: list[str] = []
        self._rootfs = rootfs

    def tar_of(self, layer: SlimLayer) -> Iterator[bytes]:
        """The layer's tar in pieces. Raises ArchiveError when a file is not there in full."""
        for member in layer.members:
            keep, mtime = member.keep, member.keep.entry.mtime
            if member.link_to or not keep.entry.is_file:
                yield header(member, 0, mtime)
            elif keep.content is not None:
                yield header(member, len(keep.content), mtime)
                yield keep.content
                yield padding(len(keep.content))
            elif keep.strip and (data := self._stripped(keep)):
                yield header(member, len(data), mtime)
                yield data
                yield padding(len(data))
            else:
                yield header(member, keep.entry.size_bytes, mtime)
                yield from self._original(keep.entry)
                yield padding(keep.entry.size_bytes)
        yield END_OF_TAR

    def _original(self, entry: Entry) -> Iterator[bytes]:
        for offset in range(0, entry.size_bytes, CHUNK_BYTES):
            data = self._rootfs.pread(entry, offset, CHUNK_BYTES)
            if len(data) != min(CHUNK_BYTES, entry.size_bytes - offset):
                raise ArchiveError(
                    f"{entry.path} ends too early in the image",
                    hint="the archive changed while it was read: save or pull the image again",
                )
            yield data

    def _stripped(self, keep: Keep) -> bytes:
        """The file after ``keep.strip``; b"" where that fails."""
        with TemporaryDirectory(prefix="imgslim-") as folder:
            path = Path(folder) / "file"
            with path.open("wb") as file:
                file.writelines(self._original(keep.entry))
            command = [*shlex.split(keep.strip), str(path)]
            done = subprocess.run(command, capture_output=True, check=False)
            data = b"" if done.returncode else path.read_bytes()
        if not data:
            self.not_stripped.append(keep.entry.path)
        return data
