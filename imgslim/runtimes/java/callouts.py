"""Programs that classes start: the strings of the methods that start one, and of those that call
such a method in their own class or archive."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from imgslim.runtimes.java.bytecode import Method, read_methods

_STARTERS = frozenset(
    {
        ("java/lang/ProcessBuilder", "<init>"),
        ("java/lang/ProcessBuilder", "command"),
        ("java/lang/Runtime", "exec"),
        ("org/apache/commons/exec/CommandLine", "<init>"),
        ("org/apache/commons/exec/CommandLine", "parse"),
        ("org/zeroturnaround/exec/ProcessExecutor", "<init>"),
        ("org/zeroturnaround/exec/ProcessExecutor", "command"),
    }
)
"""java.lang.ProcessBuilder, java.lang.Runtime.exec; Apache Commons Exec and zt-exec, which wrap
them."""

_MARKS = tuple(sorted({owner.encode() for owner, _ in _STARTERS}))
_MAKERS = frozenset(("<init>", "<clinit>"))
"""What a class sets up when it is made, for its methods to use."""

_SHELLS = frozenset(("sh", "bash", "/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash"))
_OPERATOR = re.compile(r"[|&;<>$`()]")
_WORD = re.compile(r"[\w./+-]+")
_LONGEST = 1000


def may_start(data: bytes) -> bool:
    """Whether a class file names a class that starts programs."""
    return any(mark in data for mark in _MARKS)


def started_commands(classes: Iterable[bytes]) -> Iterator[tuple[str, ...]]:
    """The commands that the class files of one archive may start."""
    files = tuple(classes)
    known: dict[str, tuple[Method, ...]] = {}
    reached: dict[str, set[str]] = {}
    for methods in (read_methods(data) for data in files if may_start(data)):
        starting = {m.name for m in methods if not m.calls.isdisjoint(_STARTERS)}
        if starting:
            known[methods[0].owner] = methods
            reached[methods[0].owner] = _callers(methods, starting)
    targets = {(owner, name) for owner, names in reached.items() for name in names}
    marks = [owner.encode() for owner in reached]
    for data in files if targets else ():
        if any(mark in data for mark in marks):
            methods = read_methods(data)
            calling = {m.name for m in methods if not m.calls.isdisjoint(targets)}
            if calling:
                owner = methods[0].owner
                known[owner] = methods
                reached.setdefault(owner, set()).update(_callers(methods, calling))
    for owner, names in reached.items():
        yield from _commands(_strings(known[owner], names | _MAKERS))


def _callers(methods: Iterable[Method], names: set[str]) -> set[str]:
    """``names`` and the methods of the same class that lead to them; a lambda's body is a method
    ``lambda$NAME$0`` of its own (javac, LambdaToMethod)."""
    found = set(names)
    known = tuple(methods)
    while True:
        around = {name.split("$")[1] for name in found if name.startswith("lambda$")}
        more = {m.name for m in known if any((m.owner, name) in m.calls for name in found)}
        if more | around <= found:
            return found - _MAKERS
        found |= more | around


def _strings(methods: Iterable[Method], names: Iterable[str]) -> tuple[str, ...]:
    wanted = set(names)
    found = (text for m in methods if m.name in wanted for text in m.strings)
    return tuple(dict.fromkeys(found))


def _commands(strings: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What strings of methods that start programs may be: a program's name, a whole command line,
    or one for a shell, where they name a shell and ``-c``."""
    shell = next((word for word in strings if word in _SHELLS), None) if "-c" in strings else None
    for text in strings:
        if not 1 < len(text) <= _LONGEST or "\n" in text:
            continue
        if shell is not None and (" " in text or _OPERATOR.search(text)):
            yield (shell, "-c", text)
        elif _WORD.fullmatch(text):
            yield (text,)
        elif " " in text and not _OPERATOR.search(text):
            try:
                words = shlex.split(text)
            except ValueError:
                continue
            if words and _WORD.fullmatch(words[0]):
                yield tuple(words)
