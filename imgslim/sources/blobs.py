"""Named blobs in an archive or a folder, read where they lie."""

from __future__ import annotations

import posixpath
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from imgslim.errors import ArchiveError
from imgslim.layers import FileSlice, normalise, walk_tar
from imgslim.sources.compression import SNIFF_BYTES
from imgslim.sources.digests import DAMAGED_HINT, DigestCheck

CHUNK_BYTES = 1 << 20
MAX_JSON_BYTES = 64 << 20
"""More than any manifest or config; containers/image reads at most 4 MiB of one."""

_MAX_LINKS = 10


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Bytes on the host: ``path[offset : offset + size_bytes]``."""

    path: str
    offset: int
    size_bytes: int

    def head(self) -> bytes:
        """The first bytes, enough to see what they are."""
        with FileSlice(self.path, self.offset, self.size_bytes) as window:
            return window.read(SNIFF_BYTES)

    def chunks(self) -> Iterator[bytes]:
        with FileSlice(self.path, self.offset, self.size_bytes) as window:
            while data := window.read(CHUNK_BYTES):
                yield data


class BlobStore(Protocol):
    """Where the files of an image format are: a folder or a tar."""

    label: str
    """What errors call it."""

    def find(self, name: str) -> StoredFile | None:
        """The file of that relative name; no name leads out of the store."""


class FolderStore:
    """The files below a folder."""

    def __init__(self, folder: Path) -> None:
        self.label = str(folder)
        self._folder = folder

    def find(self, name: str) -> StoredFile | None:
        path = self._folder / normalise(name)[1:]
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ArchiveError(f"{path} cannot be read: {error}", hint="check the path") from error
        return StoredFile(str(path), 0, status.st_size) if stat.S_ISREG(status.st_mode) else None


class TarStore:
    """The members of a plain tar, indexed once; ``docker save`` links equal layers together."""

    def __init__(self, file: StoredFile, label: str) -> None:
        """Index ``file``. Raises ArchiveError when it is damaged or no tar."""
        self.label = label
        self._files: dict[str, StoredFile] = {}
        self._links: dict[str, str] = {}
        try:
            for member in walk_tar(file.path, file.offset, file.size_bytes):
                self._note(file.path, member)
        except tarfile.TarError as error:
            raise ArchiveError(f"{label} is damaged: {error}", hint=DAMAGED_HINT) from error

    def _note(self, path: str, member: tarfile.TarInfo) -> None:
        name = normalise(member.name)
        self._files.pop(name, None)
        self._links.pop(name, None)
        if member.isreg() and member.sparse is None:
            self._files[name] = StoredFile(path, member.offset_data, member.size)
        elif member.islnk():
            self._links[name] = normalise(member.linkname)
        elif member.issym():
            self._links[name] = normalise(posixpath.join(name, "..", member.linkname))

    def find(self, name: str) -> StoredFile | None:
        name = normalise(name)
        for _ in range(_MAX_LINKS):
            if name not in self._links:
                return self._files.get(name)
            name = self._links[name]
        return None


def read_json_blob(store: BlobStore, name: str, digest: str = "") -> bytes:
    """The bytes of a small file, checked against ``digest`` where one is given.

    Raises ArchiveError when it is missing or absurdly large, DigestMismatchError.
    """
    file = store.find(name)
    if file is None:
        raise ArchiveError(f"{store.label} lacks {name}", hint="save or copy the image again")
    if file.size_bytes > MAX_JSON_BYTES:
        raise ArchiveError(
            f"{name} in {store.label} has {file.size_bytes:,} bytes, too many for a manifest or "
            "config",
            hint="this is not an image archive, or it is damaged",
        )
    data = b"".join(file.chunks())
    if digest:
        check = DigestCheck(digest, f"{name} in {store.label}")
        check.update(data)
        check.verify()
    return data
