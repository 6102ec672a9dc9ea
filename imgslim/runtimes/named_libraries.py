"""Libraries that code opens by name (dlopen(3)), and where a loader looks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgslim.model import Group, Need
from imgslim.world import World

_MULTIARCH = re.compile(r"[a-z0-9_]+-linux-[a-z0-9_]+")
_REASON = "libraries opened by name"


def library_needs(world: World, name: str, path: str, files: str) -> Iterator[Need]:
    """The library that the code at ``path`` opens by ``name``: where that is a path the file, else
    all whose file names the regular expression ``files`` matches in full."""
    if "/" in name:
        yield Need(name, Group.LIBRARY, _REASON, path, optional=True)
        return
    fits = re.compile(files).fullmatch
    for directory in library_directories(world):
        for child in filter(fits, world.rootfs.children(directory)):
            yield Need(f"{directory}/{child}", Group.LIBRARY, _REASON, path, optional=True)


def library_directories(world: World) -> tuple[str, ...]:
    """The directories where a loader finds libraries by soname, canonical: LD_LIBRARY_PATH and
    the usual ones (ld.so(8), /etc/ld.so.conf.d of the distributions, musl's default path)."""
    named = (world.config.env_value("LD_LIBRARY_PATH") or "").split(":")
    usual = ["/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64", "/usr/local/lib64"]
    usual += [
        f"{top}/{name}"
        for top in ("/lib", "/usr/lib", "/usr/local/lib")
        for name in world.rootfs.children(world.rootfs.resolve(top).path)
        if _MULTIARCH.fullmatch(name)
    ]
    places = [world.rootfs.resolve(place).path for place in (*named, *usual) if place]
    return tuple(dict.fromkeys(places))
