"""Programs that run with more rights than who starts them has, and what everyone may write."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from imgslim.dirt.model import DirtKind, Finding
from imgslim.dirt.rules import capability_names
from imgslim.model import Entry, Kind
from imgslim.rootfs import Rootfs

_SETUID, _SETGID, _STICKY, _OTHERS_WRITE = 0o4000, 0o2000, 0o1000, 0o002

Tell = Callable[[DirtKind, Entry, str, int], Finding]
"""Makes a finding: its kind, the entry, the rule, how many it stands for."""


def find_privileged(rootfs: Rootfs, tell: Tell) -> Iterator[Finding]:
    """setuid and setgid programs (execve(2): the bits count for executables) and those with file
    capabilities; of hard links the first path."""
    seen: set[int] = set()
    found = [entry for entry in rootfs.entries.values() if _is_privileged(entry)]
    for entry in sorted(found, key=lambda entry: entry.path):
        if entry.inode in seen:
            continue
        seen.add(entry.inode)
        if entry.mode & _SETUID:
            yield tell(DirtKind.SETUID, entry, f"runs as {_who('user', entry.uid)}", 1)
        if entry.mode & _SETGID:
            yield tell(DirtKind.SETGID, entry, f"runs as {_who('group', entry.gid)}", 1)
        for name, value in entry.xattrs:
            if name == "security.capability":
                yield tell(DirtKind.CAPABILITIES, entry, _capabilities(value), 1)


def _is_privileged(entry: Entry) -> bool:
    if not (entry.mode & (_SETUID | _SETGID) or entry.xattrs) or entry.kind is not Kind.FILE:
        return False
    if entry.mode & (_SETUID | _SETGID) and entry.mode & 0o111:
        return True
    return any(name == "security.capability" for name, _ in entry.xattrs)


def _who(what: str, number: int) -> str:
    return "root" if number == 0 and what == "user" else f"{what} {number}"


def _capabilities(value: bytes) -> str:
    """The permitted capabilities of the xattr: ``struct vfs_cap_data``, little-endian, of which
    versions 2 and 3 have two words of 32 bits for each set (linux/capability.h)."""
    words = struct.unpack(f"<{len(value) // 4}I", value[: len(value) // 4 * 4])
    permitted = (words[1] if len(words) > 1 else 0) | (words[3] << 32 if len(words) > 4 else 0)
    names = capability_names()
    found = [number for number in range(64) if permitted >> number & 1]
    shown = [names[number] if number < len(names) else str(number) for number in found]
    return ", ".join(f"cap_{name}" for name in shown) or "no capability"


def find_world_writable(rootfs: Rootfs, tell: Tell) -> Iterator[Finding]:
    """Files and directories that everyone may write, directories without the sticky bit
    (inode(7)); what lies below one that is told is counted with it."""
    top, count = None, 0
    found = [entry for entry in rootfs.entries.values() if _is_open(entry)]
    for entry in sorted(found, key=lambda entry: entry.path.split("/")):
        if top is not None and entry.path.startswith(f"{top.path.rstrip('/')}/"):
            count += 1
            continue
        if top is not None:
            yield tell(DirtKind.WORLD_WRITABLE, top, _open_rule(top), count)
        top, count = entry, 1
    if top is not None:
        yield tell(DirtKind.WORLD_WRITABLE, top, _open_rule(top), count)


def _is_open(entry: Entry) -> bool:
    if not entry.mode & _OTHERS_WRITE:
        return False
    return entry.is_file or (entry.is_directory and not entry.mode & _STICKY)


def _open_rule(entry: Entry) -> str:
    return "everyone may write it" if entry.is_file else "everyone may write it, no sticky bit"
