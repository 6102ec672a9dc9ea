"""Package databases of an image: who owns which path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from imgslim.model import Package, Problem, Severity
from imgslim.packages.apk import read_apk
from imgslim.packages.dpkg import read_dpkg
from imgslim.packages.pypi import read_distributions
from imgslim.packages.rpm import read_rpm, unreadable_databases
from imgslim.packages.rpm_database import find_older
from imgslim.rootfs import Rootfs
from imgslim.world import PackageIndex

_READERS = (read_dpkg, read_apk, read_rpm)
"""One reader a database; a new one is a module here and its name in this list."""

_UNREAD = {
    "pacman": ("/var/lib/pacman/local/ALPM_DB_VERSION",),
    "opkg": ("/usr/lib/opkg/status", "/var/lib/opkg/status"),
    "portage": ("/var/db/pkg",),
    "nix": ("/nix/var/nix/db/db.sqlite",),
    "xbps": ("/var/db/xbps",),
}
"""Databases that no reader knows, where their package managers keep them."""


_MACHINES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "armhf": "armv7l",
    "armel": "armv6l",
    "i386": "i686",
    "x86": "i686",
    "ppc64el": "ppc64le",
}
"""Debian's and Alpine's names of architectures where they differ from the kernel's."""


def load_packages(rootfs: Rootfs) -> PackageIndex:
    """Read every package database in the image, and every Python distribution's metadata."""
    packages = [package for read in _READERS for package in read(rootfs)]
    owners = PackageIndex.build(packages, ())
    distributions = read_distributions(rootfs, owners.owner, _machine(packages))
    return PackageIndex.build(packages, distributions)


def _machine(packages: Iterable[Package]) -> str:
    """What ``uname -m`` says where most of the packages run; PC hardware without any."""
    counts = Counter(package.architecture for package in packages)
    known = [name for name, _ in counts.most_common() if name not in ("all", "noarch", "")]
    return _MACHINES.get(known[0], known[0]) if known else "x86_64"


def unread_databases(rootfs: Rootfs) -> tuple[Problem, ...]:
    """A warning for each package database in the image that cannot be read: what its packages
    put there counts as the user's, and is kept."""
    rpm = (*find_older(rootfs), *unreadable_databases(rootfs))
    found = (
        (kind, next((path for path in paths if rootfs.lookup(path)), None))
        for kind, paths in (("rpm", rpm), *_UNREAD.items())
    )
    return tuple(
        Problem(
            "unread-package-database",
            Severity.WARNING,
            path,
            f"the {kind} database cannot be read yet, so packages cannot be told from your files",
            "all that is not otherwise known is kept: the image gets hardly smaller",
        )
        for kind, path in found
        if path is not None
    )
