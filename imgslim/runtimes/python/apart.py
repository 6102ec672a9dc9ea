"""Large subpackages of reached distributions that nothing names: what `balanced` sets apart.

A package can only be loaded by code that has its name from somewhere. A subpackage is set apart
where its own name stands in no code, configuration, command or variable of the image but its own
(comments aside), and where no module of the packages around it could find it on disk. Such are
Django's contrib apps that no settings list. A distribution with compiled modules of its own is left
alone: names in those are not all legible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from imgslim.model import Distribution, Problem, Severity, unique_size_bytes
from imgslim.world import World

_SMALLEST_BYTES = 100_000
"""A subpackage below this is not worth the smallest doubt."""

_WORD = re.compile(rb"[A-Za-z_]\w*")
_PLAIN_WORD = re.compile(rb"(?<![\w/@-])[A-Za-z_]\w*(?![\w/@-])")
_COMMENT = re.compile(rb"^[ \t]*#.*$", re.MULTILINE)
_FINDS_ON_DISK = re.compile(
    rb"import_module|__import__|import_string|find_spec|iter_modules|walk_packages"
    rb"|\blistdir|\bscandir|\biterdir|\bglob\b|\bos\.walk"
)
"""What a module has that loads a neighbour whose name it computes or finds: started with other
variables, the image may mean another one (importlib, pkgutil, os)."""

Part = tuple[Distribution, str, str]
"""A distribution, its label and the path that reached it."""


@dataclass(slots=True)
class _Subpackage:
    """A subpackage that waits: its files, and whose they are."""

    name: str
    part: Part
    files: list[str] = field(default_factory=list)


class SetApart:
    """The subpackages that wait for their names; each file is given once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._words: set[bytes] = set()
        self._waiting: dict[str, _Subpackage] = {}

    def note(self, data: bytes, *, source: bool) -> None:
        """The names in a source or another text of the image; of a text not the parts of paths."""
        found = _WORD.findall(_COMMENT.sub(b"", data)) if source else _PLAIN_WORD.findall(data)
        self._words.update(found)

    def divide(self, dist: Distribution, label: str, because: str) -> tuple[str, ...]:
        """The files of a distribution that are no part of a subpackage that waits from now on."""
        part = (dist, label, because)
        for directory in self._subpackages(dist):
            name = directory.rpartition("/")[2]
            self._waiting.setdefault(directory, _Subpackage(name, part))
        return tuple(path for path in dist.files if not self._hold(path))

    def named(self) -> Iterator[tuple[Part, str]]:
        """The files of what has been named since: with whose part they are."""
        for directory, waiting in tuple(self._waiting.items()):
            if waiting.name.encode() in self._words:
                yield from self._release(directory)

    def at(self, path: str) -> Iterator[tuple[Part, str]]:
        """The files of the subpackages around a path that is needed after all."""
        for directory in tuple(self._waiting):
            if f"{path}/".startswith(f"{directory}/"):
                yield from self._release(directory)

    def below(self, top: str) -> Iterator[tuple[Part, str]]:
        """The files of all subpackages of a top-level package, which a compiled module names."""
        for directory, waiting in tuple(self._waiting.items()):
            if directory.startswith(f"{waiting.part[0].site_path}/{top}/"):
                yield from self._release(directory)

    def problems(self) -> Iterator[Problem]:
        """What still waits, each with its price."""
        for directory, waiting in self._waiting.items():
            entries = [self._world.rootfs.entries[path] for path in waiting.files]
            if entries:
                _, label, _ = waiting.part
                yield Problem(
                    "left-out-by-level",
                    Severity.INFO,
                    directory,
                    f"{label}: nothing in the image names its part {waiting.name}, left out",
                    f"add --keep {directory} if its name comes from outside the image",
                    unique_size_bytes(entries),
                )

    def _release(self, directory: str) -> Iterator[tuple[Part, str]]:
        waiting = self._waiting.pop(directory, None)
        for path in waiting.files if waiting is not None else ():
            if waiting is not None and not self._hold(path):
                yield waiting.part, path

    def _hold(self, path: str) -> bool:
        """Put a file to the innermost subpackage around it that waits; False if none does."""
        directory = path.rpartition("/")[0]
        while "-packages/" in directory:
            waiting = self._waiting.get(directory)
            if waiting is not None:
                waiting.files.append(path)
                return True
            directory = directory.rpartition("/")[0]
        return False

    def _subpackages(self, dist: Distribution) -> Iterator[str]:
        files = [path for path in dist.files if path.startswith(f"{dist.site_path}/")]
        if any(path.endswith(".so") or _is_sourceless(path) for path in files):
            return
        sizes: dict[str, int] = {}
        packages = {path.rpartition("/")[0] for path in files if path.endswith("/__init__.py")}
        for path in files:
            entry = self._world.rootfs.get(path)
            directory = path.rpartition("/")[0]
            while entry is not None and directory != dist.site_path and "/" in directory:
                sizes[directory] = sizes.get(directory, 0) + entry.size_bytes
                directory = directory.rpartition("/")[0]
        for directory in sorted(packages):
            parent = directory.rpartition("/")[0]
            is_large = parent in packages and sizes.get(directory, 0) >= _SMALLEST_BYTES
            if is_large and not self._is_found_on_disk(directory, packages):
                yield directory

    def _is_found_on_disk(self, directory: str, packages: set[str]) -> bool:
        """Whether a module beside it, or a package around it, may load it without its name."""
        parent = directory.rpartition("/")[0]
        names = [f"{parent}/{child}" for child in self._world.rootfs.children(parent)]
        beside = [path for path in names if path.endswith(".py")]
        while parent in packages:
            beside.append(f"{parent}/__init__.py")
            parent = parent.rpartition("/")[0]
        entries = (self._world.rootfs.get(path) for path in beside)
        return any(
            _FINDS_ON_DISK.search(self._world.rootfs.read_bytes(entry)) is not None
            for entry in entries
            if entry is not None and entry.is_file
        )


def _is_sourceless(path: str) -> bool:
    return path.endswith(".pyc") and "/__pycache__/" not in path
