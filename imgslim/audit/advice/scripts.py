"""The commands that a RUN instruction's shell text says, by the shell's grammar."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from imgslim.runtimes.shell.invocation import is_shell, parse_invocation
from imgslim.runtimes.shell.syntax import WORD_TYPES, parse_shell
from imgslim.runtimes.syntax_trees import text_of
from imgslim.wrappers import inner_commands

if TYPE_CHECKING:
    from tree_sitter import Node

Argv = tuple[str, ...]

_DEPTH = 4
"""Commands around commands that are followed: ``sudo env A=b sh -c …`` are three."""


@lru_cache(maxsize=512)
def commands_of(script: str) -> tuple[Argv, ...]:
    """The simple commands of ``script`` in their order, each as its words, and those inside of
    ``env``, ``sudo``, ``sh -c`` and the like behind the ones around them.

    Quotes are taken off; what a shell would put in (``$NAME``, globs) stays as it is written. The
    program is without its directory.
    """
    return tuple(_commands(script, _DEPTH))


def _commands(script: str, depth: int) -> Iterator[Argv]:
    pending = [parse_shell(script.encode("utf-8", "surrogateescape"))]
    while pending:
        node = pending.pop()
        if node.type == "command":
            argv = tuple(_words(node))
            if argv:
                yield from _unwrapped(argv, depth)
        pending.extend(reversed(node.named_children))


def _unwrapped(argv: Argv, depth: int) -> Iterator[Argv]:
    yield (argv[0].rpartition("/")[2], *argv[1:])
    if not depth:
        return
    string = parse_invocation(argv).string if is_shell(argv[0], argv[0]) else None
    if string is not None:
        yield from _commands(string, depth - 1)
    for inner in inner_commands(argv, argv[0]):
        yield from _unwrapped(inner, depth - 1)


def _words(node: Node) -> Iterator[str]:
    for child in node.named_children:
        part = child.named_children[0] if child.type == "command_name" else child
        if part.type in WORD_TYPES:
            yield _plain(text_of(part))


def _plain(text: str) -> str:
    try:
        return " ".join(shlex.split(text))
    except ValueError:
        return text
