"""The accounts of an image: ``/etc/passwd``."""

from __future__ import annotations

from dataclasses import dataclass

from imgslim.rootfs import Rootfs


@dataclass(frozen=True, slots=True)
class Account:
    """A line of passwd(5); ``uid`` and ``gid`` are as written, to compare with a config's USER."""

    name: str
    uid: str
    gid: str
    home: str
    shell: str


def accounts(rootfs: Rootfs) -> tuple[Account, ...]:
    """All accounts in the order of the file. A line without a home is none; one that ends with the
    home has an empty shell, as in glibc (nss/nss_files/files-pwd.c)."""
    rows = (line.split(":") for line in rootfs.read_text("/etc/passwd").split("\n"))
    return tuple(
        Account(row[0], row[2], row[3], row[5], row[6] if len(row) > 6 else "")
        for row in rows
        if len(row) > 5
    )
