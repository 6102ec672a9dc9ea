"""Locations as containers-transports(5) writes them, or recognised by looking."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from imgslim.errors import ImageNotFoundError, UsageError
from imgslim.sources.compression import SNIFF_BYTES, Compression, detect_compression, is_tar
from imgslim.sources.reference import is_reference


class Transport(StrEnum):
    DAEMON = "docker-daemon"
    DOCKER_ARCHIVE = "docker-archive"
    OCI = "oci"
    OCI_ARCHIVE = "oci-archive"
    ARCHIVE = "archive"
    """A file whose format is recognised by its members."""
    STDIN = "-"


@dataclass(frozen=True, slots=True)
class Location:
    """Where an image is: ``path`` of a file or folder ("" for the others), ``reference`` in it.

    ``passed_over`` is a file or folder of that name that is no image, for the error when there is
    no such image either.
    """

    transport: Transport
    path: str = ""
    reference: str = ""
    passed_over: str = ""


_PATH_LIKE = re.compile(r"[./~]|.*\.(?:tar|tgz|oci|tar\.\w+|tzst)$")
_UNREAD_TRANSPORT = re.compile(r"docker://|containers-storage:|(?:dir|ostree|sif|tarball):/")


def parse_location(text: str) -> Location:
    """Read a location.

    A bare word is, in this order: a folder with an ``oci-layout`` file, a file that is a tar or
    compressed one, else an image in the engine. So ``app`` is the image, although the folder or
    the program ``app`` lies beside its Dockerfile; ``./app`` is always the file.
    Raises UsageError for a transport that imgslim does not read, ImageNotFoundError.
    """
    if text == "-":
        return Location(Transport.STDIN)
    if not text:
        raise UsageError("the image's name is empty", hint="name an image, archive or folder")
    if _UNREAD_TRANSPORT.match(text):
        raise UsageError(
            f"imgslim does not read {text.partition(':')[0]}: locations",
            hint=f"pull the image into the engine, or run: skopeo copy {text} oci:FOLDER",
        )
    transport, colon, rest = text.partition(":")
    if colon and transport == Transport.DAEMON:
        return Location(Transport.DAEMON, reference=_checked_reference(rest))
    if colon and transport in (Transport.DOCKER_ARCHIVE, Transport.OCI, Transport.OCI_ARCHIVE):
        path, reference = _split_path(rest)
        return Location(_existing(Transport(transport), path), path, reference)
    return _recognise(text)


def _recognise(text: str) -> Location:
    path = Path(text)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        mode = 0
    if stat.S_ISDIR(mode) and (path / "oci-layout").exists():
        return Location(Transport.OCI, text)
    is_path = text.startswith(("/", ".")) or not is_reference(text)
    if mode and not stat.S_ISDIR(mode) and (is_path or _is_archive(path)):
        return Location(Transport.ARCHIVE, text)
    if not mode and _PATH_LIKE.match(text):
        raise ImageNotFoundError(f"there is no file {text}", hint="check the path")
    if not is_path:
        return Location(
            Transport.DAEMON,
            reference=text,
            passed_over="folder" if stat.S_ISDIR(mode) else "file" if mode else "",
        )
    if stat.S_ISDIR(mode):
        raise ImageNotFoundError(
            f"{text} is a folder without an oci-layout file", hint="name an image or archive"
        )
    raise UsageError(
        f"{text!r} is neither a file nor an image's name",
        hint="names are lower case: name[:tag], name@digest or an id",
    )


def _is_archive(path: Path) -> bool:
    """Whether a file looks like one; unreadable and odd ones do, so that the error tells why."""
    if not path.is_file():
        return True
    try:
        with path.open("rb") as file:
            head = file.read(SNIFF_BYTES)
    except OSError:
        return True
    return not head or is_tar(head) or detect_compression(head, path.name) is not Compression.NONE


def _split_path(text: str) -> tuple[str, str]:
    """``PATH[:REF]``: the shortest PATH that exists, for colons in names; else at the first one."""
    cuts = [match.start() for match in re.finditer(":", text)]
    for cut in [*cuts, len(text)]:
        if Path(text[:cut]).exists():
            return text[:cut], text[cut + 1 :]
    path, _, reference = text.partition(":")
    return path, reference


def _existing(transport: Transport, path: str) -> Transport:
    if not Path(path).exists():
        raise ImageNotFoundError(f"there is no file or folder {path}", hint="check the path")
    if transport is Transport.OCI and not Path(path).is_dir():
        raise UsageError(f"{path} is no folder", hint=f"write oci-archive:{path} for an archive")
    if transport is not Transport.OCI and Path(path).is_dir():
        raise UsageError(f"{path} is a folder", hint=f"write oci:{path} for an OCI layout")
    return transport


def _checked_reference(reference: str) -> str:
    if not is_reference(reference):
        raise UsageError(
            f"{reference!r} is no image's name",
            hint="names are lower case: name[:tag], name@digest or an id",
        )
    return reference
