"""Where images come from: a location on the command line becomes an Image."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from imgslim.errors import ArchiveError, ImageNotFoundError, UsageError
from imgslim.layers import OnProgress
from imgslim.model import Image, Platform
from imgslim.sources.assemble import StoredImage, assemble_image, least_plain_size
from imgslim.sources.blobs import (
    CHUNK_BYTES,
    BlobStore,
    FolderStore,
    StoredFile,
    TarStore,
)
from imgslim.sources.compression import Compression, decompress, detect_compression, is_tar
from imgslim.sources.docker_archive import is_docker_archive, select_docker_image
from imgslim.sources.docker_daemon import open_daemon_image
from imgslim.sources.location import Location, Transport, parse_location
from imgslim.sources.oci_layout import is_oci_layout, select_oci_image
from imgslim.sources.platforms import parse_platform
from imgslim.sources.reference import stated_tag, with_tag
from imgslim.sources.workspace import Workspace


@contextmanager
def open_image(
    location: str,
    *,
    platform: str | None = None,
    check_digests: bool = False,
    on_progress: OnProgress | None = None,
) -> Iterator[Image]:
    """Open the image at ``location``; its layers are readable until the context ends.

    ``location`` is ``docker-daemon:REF``, ``docker-archive:PATH[:REF]``, ``oci:PATH[:REF]``,
    ``oci-archive:PATH[:REF]`` (containers-transports(5)), ``-`` for an archive on standard input,
    or a bare word that is recognised by looking (``parse_location``). ``platform``
    (``os/arch[/variant]``) chooses in a multi-platform image; None is the host's, or the only
    one. Plain layers that lie in a file are hashed with ``check_digests`` only; all others, and
    all JSON, are always checked.

    Temporary files lie in one folder under TMPDIR, which is removed at the end in every case.
    Raises UsageError, EngineError, ImageNotFoundError, ArchiveError, DigestMismatchError,
    UnsupportedImageError, OutputError (no space left).
    """
    wanted = None if platform is None else parse_platform(platform)
    place = parse_location(location)
    with Workspace(on_progress) as workspace:
        if place.transport is Transport.DAEMON:
            yield open_daemon_image(place, wanted, workspace)
        else:
            yield _open_stored(place, wanted, workspace, check_digests)


def _open_stored(
    place: Location, platform: Platform | None, workspace: Workspace, check_digests: bool
) -> Image:
    store: BlobStore
    if place.transport is Transport.OCI:
        store = FolderStore(Path(place.path))
    elif place.transport is Transport.STDIN:
        store = TarStore(_spool_standard_input(workspace), "standard input")
        check_digests = True
    else:
        store = TarStore(_plain_archive(place.path, workspace), place.path)
    transport, stored = _select(store, place, platform)
    return assemble_image(
        stored,
        workspace,
        reference=stored.tags[0] if stored.tags else place.path or store.label,
        tags=stored.tags,
        check_digests=check_digests,
        load_command=_load_command(transport, place, stored),
    )


def _select(
    store: BlobStore, place: Location, platform: Platform | None
) -> tuple[Transport, StoredImage]:
    """Which format, and which image of it. An archive may be in both formats (Docker 25+): its
    OCI index knows more, about platforms and digests; ``docker load`` takes it all the same."""
    as_docker, as_oci = is_docker_archive(store), is_oci_layout(store)
    if place.transport is Transport.DOCKER_ARCHIVE:
        as_oci = False
    elif place.transport in (Transport.OCI, Transport.OCI_ARCHIVE):
        as_docker = False
    if not as_docker and not as_oci:
        kind = "" if place.transport in (Transport.ARCHIVE, Transport.STDIN) else place.transport
        raise ArchiveError(
            f"{store.label} is no image{f' ({kind})' if kind else ''}: it has neither "
            "manifest.json nor index.json",
            hint="make one with docker save, podman save or skopeo copy",
        )
    transport = Transport.DOCKER_ARCHIVE if as_docker else Transport.OCI_ARCHIVE
    if place.transport is Transport.OCI:
        transport = Transport.OCI
    select = select_oci_image if as_oci else select_docker_image
    return transport, select(store, place.reference, platform)


def _load_command(transport: Transport, place: Location, stored: StoredImage) -> str:
    """What brings the image into a Docker engine, under its name or the one stated for it."""
    path = place.path or "FILE"
    name = stored.tags[0] if stored.tags else stated_tag(stored.image_id)
    if transport is not Transport.DOCKER_ARCHIVE:
        source = f"{transport}:{path}" + (f":{place.reference}" if place.reference else "")
        return f"skopeo copy {shlex.quote(source)} docker-daemon:{with_tag(name)}"
    load = f"docker load -q -i {shlex.quote(path)}"
    return load if stored.tags else f"docker tag \"$({load} | sed 's/.*: //')\" {name}"


def _plain_archive(path: str, workspace: Workspace) -> StoredFile:
    """The archive where it lies, or its plain bytes in the workspace where it is compressed."""
    try:
        size_bytes = Path(path).stat().st_size
        file = StoredFile(path, 0, size_bytes)
        head = file.head()
    except OSError as error:
        raise ImageNotFoundError(
            f"{path} cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error
    if not head:
        raise ArchiveError(f"{path} is empty", hint="save the image again")
    compression = detect_compression(head, path)
    if compression is Compression.NONE:
        _require_tar(head, path)
        return file
    workspace.require_space(least_plain_size(file))
    plain = decompress(file.chunks(), compression, path)
    return workspace.spool(plain, phase="decompressing the archive", total=None)


def _spool_standard_input(workspace: Workspace) -> StoredFile:
    stream = sys.stdin.buffer
    if stream.isatty():
        raise UsageError(
            "standard input is a terminal", hint="pipe an archive in: docker save APP | imgslim …"
        )
    head = stream.read(CHUNK_BYTES)
    if not head:
        raise ArchiveError("standard input is empty", hint="did the command before it fail?")
    compression = detect_compression(head, "standard input")
    if compression is Compression.NONE:
        _require_tar(head, "standard input")
    chunks: Iterable[bytes] = chain([head], iter(lambda: stream.read(CHUNK_BYTES), b""))
    return workspace.spool(
        decompress(chunks, compression, "standard input"),
        phase="reading standard input",
        total=None,
    )


def _require_tar(head: bytes, what: str) -> None:
    if not is_tar(head[:512]):
        raise ArchiveError(
            f"{what} is no image archive: neither a tar nor gzip nor zstd",
            hint="make one with docker save, podman save or skopeo copy",
        )
