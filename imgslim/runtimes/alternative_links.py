"""Names that update-alternatives(1) gives to files which are not programs: plug-ins, tables.

A program is reached by the name that a command has. What is opened by a name that a program puts
together (uWSGI's ``plugins = python3``) is not seen to be reached; a link costs nothing, so it
stays with the file that it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from imgslim.model import Group, Need
from imgslim.runtimes.base import KeptPaths
from imgslim.world import World

_CHOSEN = "/etc/alternatives/"
_REASON = "names of alternatives"


class AlternativeLinks:
    """The generic names of one image, by the canonical path of the file that they lead to."""

    def __init__(self, world: World) -> None:
        self._world = world

    def settle(self, kept: KeptPaths) -> Iterator[Need]:
        """The names of all kept files."""
        for path, link in self._links:
            if path in kept and link not in kept:
                yield Need(link, Group.PACKAGE, _REASON, path, optional=True)

    @cached_property
    def _links(self) -> tuple[tuple[str, str], ...]:
        rootfs = self._world.rootfs
        found = []
        for link, entry in rootfs.entries.items():
            if entry.is_symlink and entry.link_target.startswith(_CHOSEN):
                target = rootfs.lookup(link)
                if target is not None and target.is_file and not _is_program(target.mode, link):
                    found.append((target.path, link))
        return tuple(found)


def _is_program(mode: int, link: str) -> bool:
    return bool(mode & 0o111) and ".so" not in link.rpartition("/")[2]
