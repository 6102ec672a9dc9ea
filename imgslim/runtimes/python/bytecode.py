"""Compiled sources beside their sources (PEP 3147, PEP 488)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from imgslim.model import Group, Need
from imgslim.world import World

_OPTIMISED = ".opt-"
_SHORT_TEXT = re.compile(rb"[zZ\xfa\xda](?=[\x01-\xff])")
_WORD = re.compile(rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


def is_compiled(path: str) -> bool:
    """Whether a path is bytecode that is imported without a source (PEP 3147, "Case 4")."""
    return path.endswith(".pyc") and "/__pycache__/" not in path


def compiled_words(data: bytes) -> set[str]:
    """The words in bytecode, names of imports among them: marshal (Python/marshal.c,
    TYPE_SHORT_ASCII) writes a name as a letter, a byte of length and its characters."""
    found = (
        data[match.end() + 1 : match.end() + 1 + data[match.end()]]
        for match in _SHORT_TEXT.finditer(data)
    )
    return {word.decode("ascii") for word in found if _WORD.fullmatch(word)}


def bytecode_needs(world: World, path: str) -> Iterator[Need]:
    """``__pycache__/NAME.TAG.pyc`` of a kept source, whichever interpreters wrote it.

    The variants of ``-O`` and ``-OO`` (``.opt-1``, ``.opt-2``) are read by interpreters that run
    so: only where PYTHONOPTIMIZE is set. Without one, a module is compiled when it is imported.
    """
    if not world.choices.keeps_bytecode:
        return
    directory, _, name = path.rpartition("/")
    cache, prefix = f"{directory}/__pycache__", f"{name[:-3]}."
    group = Group.DEPENDENCY if "-packages/" in path else Group.RUNTIME
    optimised = bool(world.config.env_value("PYTHONOPTIMIZE"))
    for child in world.rootfs.children(cache):
        compiled = child.startswith(prefix) and child.endswith(".pyc")
        if compiled and (optimised or _OPTIMISED not in child):
            reason = "Python bytecode of kept sources"
            yield Need(posixpath.join(cache, child), group, reason, path, optional=True)
