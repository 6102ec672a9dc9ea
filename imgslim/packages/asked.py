"""Which packages somebody asked for by name, and which came only because others need them.

Sources: apt-mark(8), ``/var/lib/apt/extended_states`` has what was installed automatically;
apk-world(5), ``/etc/apk/world`` has what was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from imgslim.model import Package
from imgslim.rootfs import Rootfs

_EXTENDED_STATES = "/var/lib/apt/extended_states"
_APK_WORLD = "/etc/apk/world"


def asked_packages(rootfs: Rootfs, packages: Mapping[str, Package]) -> frozenset[str] | None:
    """The keys of those that somebody asked for, what the base image came with included; None where
    the package manager keeps no record of that."""
    states = rootfs.read_text(_EXTENDED_STATES)
    if states:
        automatic = {
            name
            for stanza in states.split("\n\n")
            if "Auto-Installed: 1" in stanza
            for name in re.findall(r"(?m)^Package: (\S+)", stanza)
        }
        return frozenset(key for key, package in packages.items() if package.name not in automatic)
    world = rootfs.read_text(_APK_WORLD).split()
    if world:
        asked = {re.split(r"[=<>~@]", word)[0] for word in world}
        return frozenset(key for key, package in packages.items() if package.name in asked)
    return None
