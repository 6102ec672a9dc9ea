"""Absolute paths inside the constants of a program that stores its strings without an end.

Rust, Go, Haskell and Java's native images keep literals one after the other, with their lengths
elsewhere, so only the image's own tree can say where a path ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf.sections import Layout
from imgslim.runtimes.elf.strings import constants

_TEXT = re.compile(rb"/[!-~]{3,}")
_MORE = re.compile(r"[\w.-]")
_SHORTEST_NAME = 3
"""Letters of a last name that others follow: fewer are the start of some other word."""


def embedded_files(rootfs: Rootfs, entry: Entry, layout: Layout) -> Iterator[str]:
    """The files (and links to files) of the image whose paths are in the constants of a program,
    each once, as they are written there."""
    seen: set[str] = set()
    for data in constants(rootfs, entry, layout):
        for text in _TEXT.findall(data):
            words = text.decode("ascii")
            starts = [at for at in range(len(words)) if words[at] == "/"]
            for path in (_file_at(rootfs, words[start:]) for start in starts):
                if path and path not in seen:
                    seen.add(path)
                    yield path


def _file_at(rootfs: Rootfs, text: str) -> str:
    """The file that ``text`` starts with: at each step the longest name that is there; else ""."""
    path, rest, here = "", text, rootfs.lookup("/")
    while here is not None and here.is_directory and rest.startswith("/"):
        names = [name for name in rootfs.children(here.path) if rest.startswith(name, 1)]
        if not names:
            return ""
        name = max(names, key=len)
        path, rest = f"{path}/{name}", rest[1 + len(name) :]
        here = rootfs.lookup(path)
    is_whole = not _MORE.match(rest) or len(path.rpartition("/")[2]) >= _SHORTEST_NAME
    return path if here is not None and here.is_file and is_whole else ""
