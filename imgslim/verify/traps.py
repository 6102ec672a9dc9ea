"""What most likely changed a path on its way into the image, in words that need no book.

Each is a way in which COPY, its builders or the tools of a stage are known to lose something:
measured on Docker's legacy builder, buildah and BuildKit (docs/copies.md), or reported of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from imgslim.model import Entry, Kind
from imgslim.verify.config import ITEMS
from imgslim.verify.differences import NOTHING, Aspect, Mismatch

_SPECIAL_BITS = 0o7000
_BUILDERS_FILES = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
_ODD_NAME = re.compile(r"""["'\\\[\]*?$\x00-\x1f\x7f\udc80-\udcff]""")


def trap_of(mismatch: Mismatch, volumes: tuple[str, ...]) -> str:
    """Why ``mismatch`` may have come about; ``volumes`` are those of the fat image's config."""
    if not mismatch.path:
        return _of_config(mismatch)
    if mismatch.aspect == Aspect.PRESENCE:
        return _of_presence(mismatch, volumes)
    return _of_entry(mismatch, volumes)


def _of_config(mismatch: Mismatch) -> str:
    if mismatch.aspect in ("os", "architecture", "variant"):
        return "the builder made it for another platform: build with --platform"
    if mismatch.found == NOTHING and mismatch.aspect == "CMD":
        return "ENTRYPOINT resets CMD, which must stand after it"
    if mismatch.found == NOTHING and mismatch.aspect == "HEALTHCHECK":
        return "HEALTHCHECK was dropped"
    if mismatch.found == NOTHING:
        return "the instruction for it was left out"
    if mismatch.expected == NOTHING:
        return "the stage inherited it from its base, or an instruction was added"
    if mismatch.aspect.rpartition(" ")[0] in ITEMS:
        return "the builder expanded a quote, $ or backslash in it, or the instruction was changed"
    return "the instruction for it was changed"


def _of_presence(mismatch: Mismatch, volumes: tuple[str, ...]) -> str:
    if mismatch.wanted is None:
        return "a directory was copied whole that holds more than the plan keeps, or it was added"
    if _ODD_NAME.search(mismatch.path):
        return "COPY expands $ and globs in names, and strips quotes"
    if mismatch.wanted.kind in (Kind.CHAR_DEVICE, Kind.BLOCK_DEVICE):
        return "a builder without root may not make devices"
    return _of_volume(mismatch.path, volumes) or "no instruction brought it"


def _of_volume(path: str, volumes: tuple[str, ...]) -> str:
    if any(f"{path}/".startswith(f"{volume.rstrip('/')}/") for volume in volumes):
        return "the legacy builder discards what a RUN changes under a VOLUME"
    return ""


def _of_entry(mismatch: Mismatch, volumes: tuple[str, ...]) -> str:
    wanted, given = mismatch.wanted, mismatch.given
    assert wanted is not None and given is not None
    reasons: dict[str, Callable[[], str]] = {
        Aspect.KIND: lambda: _of_kind(wanted),
        Aspect.MODE: lambda: _of_mode(wanted, given),
        Aspect.OWNER: lambda: _of_owner(wanted, given),
        Aspect.MTIME: lambda: _of_time(wanted),
        Aspect.CAPABILITY: lambda: _of_capability(given),
        Aspect.HARD_LINKS: lambda: _of_links(mismatch),
        Aspect.LINK_TARGET: lambda: "the link was made anew instead of copied",
        Aspect.STRIPPED: lambda: "strip damaged the file, or another was put in its place",
        Aspect.DEVICE: lambda: "the device was made anew instead of moved",
    }
    return reasons.get(mismatch.aspect, lambda: _of_content(wanted.path, volumes))()


def _of_content(path: str, volumes: tuple[str, ...]) -> str:
    if path in _BUILDERS_FILES:
        return "the builder lays its own file over this one while a RUN works"
    return _of_volume(path, volumes) or (
        "it was built from another image than the plan's, or an instruction changed the file"
    )


def _of_kind(wanted: Entry) -> str:
    if wanted.is_symlink:
        return "COPY follows a link that it names, and brings what it leads to"
    if wanted.is_directory:
        return "something was copied to the directory's own name"
    return "something else was put in its place"


_FROM_COPY = "COPY makes the one that it names, and its parents, root's and 0755"


def _of_mode(wanted: Entry, given: Entry) -> str:
    if wanted.is_directory and given.mode == 0o755:
        return f"the directory lost its own mode: {_FROM_COPY}"
    if wanted.mode & _SPECIAL_BITS & ~given.mode:
        return "setuid, setgid or sticky was lost: a chown clears them, as some old builders do"
    return "COPY --chmod or a RUN changed it"


def _of_owner(wanted: Entry, given: Entry) -> str:
    if wanted.is_symlink:
        return "the link was made anew, as busybox's tar does, instead of copied"
    if wanted.is_directory and (given.uid, given.gid) == (0, 0):
        return f"the directory lost its owner: {_FROM_COPY}"
    return "owners were flattened: COPY --chown, or tools that did not run as root"


def _of_time(wanted: Entry) -> str:
    if wanted.is_symlink:
        return "the link was made anew, as busybox's tar does, at the time of the build"
    if wanted.is_directory:
        return "COPY makes the directory that it names anew, and writing into one changes its time"
    return (
        "a layer from the builder's cache, which compares files without their times: build "
        "with --no-cache"
    )


def _of_capability(given: Entry) -> str:
    if any(name == "security.capability" for name, _ in given.xattrs):
        return "setcap in a RUN changed it"
    return (
        "the file capability was lost: busybox's cp and tar drop it, and the legacy builder that "
        "of a file which COPY names"
    )


def _of_links(mismatch: Mismatch) -> str:
    if mismatch.expected.endswith(" files"):
        return "a later step linked files that were apart"
    return "each name that a COPY line names becomes a file of its own, and is stored again"
