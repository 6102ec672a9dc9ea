"""Data in packages: what lies beside reached modules, and in directories that code names.

A package's data is read through ``__file__``, ``importlib.resources`` or ``pkgutil.get_data``. A
directory of data may hold an ``__init__.py`` for packaging's sake alone, and no import tells of it:
then some module of the same package has its name as a part of a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgslim.rootfs import Rootfs
from imgslim.runtimes.python.waste import is_waste
from imgslim.world import World

CODE = (".py", ".pyc", ".so")
"""What ends a module's file (importlib.machinery's suffixes on Linux)."""

_PART_OF_PATH = re.compile(rb"""["'/]([\w.-]{2,80})(?=["'/])""")


class PackageData:
    """The data of reached packages; each path is given once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rootfs: Rootfs = world.rootfs
        self._given: set[str] = set()
        self._words: dict[str, set[bytes]] = {}
        self._waiting: dict[str, dict[bytes, list[str]]] = {}

    def beside(self, directory: str, top: str) -> Iterator[str]:
        """The data files of a reached package's directory, and of those below it that hold no
        code or that a source below ``top`` has named."""
        if directory in self._given:
            return
        self._given.add(directory)
        for name in self._rootfs.children(directory):
            path = f"{directory}/{name}"
            if not self._rootfs.entries[path].is_directory:
                if self._is_data(path):
                    yield path
            elif name != "__pycache__":
                yield from self._below(path, name.encode("utf-8", "surrogateescape"), top)

    def _below(self, directory: str, name: bytes, top: str) -> Iterator[str]:
        if not self._holds_code(directory):
            for entry in self._rootfs.walk(directory):
                if not entry.is_directory and self._is_data(entry.path):
                    yield entry.path
        elif name in self._words.get(top, ()):
            yield from self.beside(directory, top)
        else:
            self._waiting.setdefault(top, {}).setdefault(name, []).append(directory)

    def named(self, data: bytes, top: str) -> Iterator[str]:
        """The data in directories that one more source below ``top`` names."""
        words = self._words.setdefault(top, set())
        fresh = set(_PART_OF_PATH.findall(data)) - words
        words |= fresh
        waiting = self._waiting.get(top, {})
        for name in sorted(fresh & waiting.keys()):
            for directory in waiting.pop(name):
                yield from self.beside(directory, top)

    def _is_data(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        return not name.endswith(CODE) and ".so." not in name and not is_waste(self._world, path)

    def _holds_code(self, directory: str) -> bool:
        return any(entry.path.endswith(CODE) for entry in self._rootfs.walk(directory))
