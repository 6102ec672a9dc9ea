"""How a Python program is started: command lines, first lines of scripts, archives."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgslim.model import Entry
from imgslim.runtimes.python.layout import is_interpreter
from imgslim.world import World

_FIRST_BYTES = 512
_TRAMPOLINE = re.compile(rb"""'''exec' (?:"?(/[^"'\n]*?)"?|(?:"\$\(.*?\)")?/?'([^'\n]+)') "\$0" """)
_CODING_OPTIONS = "WX"
_LONG_WITH_VALUE = ("--check-hash-based-pycs",)
_ZIP_MAGIC = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class PythonCommand:
    """What an interpreter is told to run: one of ``script``, ``module`` and ``code``, or nothing
    (the terminal or standard input); and the words that it passes on."""

    script: str = ""
    module: str = ""
    code: str = ""
    arguments: tuple[str, ...] = ()


def parse_python_argv(argv: Sequence[str]) -> PythonCommand:
    """Read an interpreter's command line (docs.python.org, "Command line and environment")."""
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        if word == "-" or not word.startswith("-"):
            return PythonCommand(script="" if word == "-" else word, arguments=tuple(words))
        if word.startswith("--"):
            if word in _LONG_WITH_VALUE and words:
                words.pop(0)
            continue
        for position, letter in enumerate(word[1:], start=2):
            if letter in "cm" or letter in _CODING_OPTIONS:
                rest = word[position:]
                value = rest or (words.pop(0) if words else "")
                if letter == "m":
                    return PythonCommand(module=value, arguments=tuple(words))
                if letter == "c":
                    return PythonCommand(code=value, arguments=tuple(words))
                break
    return PythonCommand()


def shebang_interpreter(world: World, entry: Entry) -> str | None:
    """The path of the Python that a script names in its first line; None for other files.

    Also the two lines of a shell trampoline that installers write where a path is too long or
    shall be relative (distlib's and uv's script templates).
    """
    head = world.rootfs.read_bytes(entry, _FIRST_BYTES)
    if not head.startswith(b"#!"):
        return None
    line, _, rest = head.partition(b"\n")
    words = line[2:].decode("utf-8", "surrogateescape").split()
    trampoline = _TRAMPOLINE.match(rest)
    if trampoline:
        named = (trampoline[1] or trampoline[2]).decode("utf-8", "surrogateescape")
        path = posixpath.join(posixpath.dirname(entry.path), named)
        return path if is_interpreter(posixpath.basename(path)) else None
    if not words:
        return None
    if posixpath.basename(words[0]) == "env":
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        name = posixpath.basename(names[0]) if names else ""
        return (world.which(names[0]) or names[0]) if is_interpreter(name) else None
    return words[0] if is_interpreter(posixpath.basename(words[0])) else None


def archive_sources(data: bytes) -> Iterator[bytes]:
    """The Python sources in a zip application, with or without a first line before the archive
    (docs.python.org, zipapp); nothing for other data."""
    start = data.find(b"\n") + 1 if data.startswith(b"#!") else 0
    if not data.startswith(_ZIP_MAGIC, start):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                if name.endswith(".py"):
                    yield archive.read(name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError):
        return
