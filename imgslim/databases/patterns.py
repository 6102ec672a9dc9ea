"""Say which of many paths are meant with few patterns: paths with a verdict in, patterns out.

The patterns are those of a shell's ``case``: the first that matches decides, and ``*`` matches
slashes too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

_LEAST_ALIKE = 4
"""So many paths that differ in one directory's name alone become one pattern."""

_MOST_BYTES = 16_000
"""A build has to say the patterns in one instruction of 65,535 bytes, and people read it."""

_DEEPEST = 60
"""Directories below this one are not told apart: no package has them, a hostile list might."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Literal parts with anything between them (``*``): one part alone is a path."""

    parts: tuple[bytes, ...]
    verdict: bool

    def regex(self) -> bytes:
        return b"(?s:" + b".*".join(map(re.escape, self.parts)) + rb")\Z"


@dataclass(frozen=True)
class Patterns:
    """``rows`` in order, the first match decides; ``otherwise`` where none does."""

    rows: tuple[Pattern, ...]
    otherwise: bool

    def __call__(self, path: bytes) -> bool:
        """The verdict on ``path``."""
        for verdict, regex in self._compiled:
            if regex.match(path):
                return verdict
        return self.otherwise

    @cached_property
    def _compiled(self) -> Sequence[tuple[bool, re.Pattern[bytes]]]:
        return [
            (verdict, re.compile(b"|".join(pattern.regex() for pattern in rows)))
            for verdict, rows in self.groups()
        ]

    def groups(self) -> list[tuple[bool, list[Pattern]]]:
        """Neighbours of one verdict together."""
        grouped = groupby(self.rows, key=lambda pattern: pattern.verdict)
        return [(verdict, list(rows)) for verdict, rows in grouped]

    @property
    def size_bytes(self) -> int:
        """How long the patterns are when they are written out."""
        return sum(len(part) + 2 for pattern in self.rows for part in pattern.parts)


ALL = Patterns((), True)
"""Every path."""


@dataclass(slots=True)
class _Directory:
    files: list[tuple[bytes, bool]] = field(default_factory=list)
    directories: dict[bytes, _Directory] = field(default_factory=dict)
    costs: dict[bool, int] = field(default_factory=dict)


def patterns_of(verdicts: Mapping[bytes, bool]) -> Patterns:
    """The patterns that give each path its verdict; what they say of other paths is open.

    A directory counts as all of one verdict, with exceptions in it, where that is shorter.
    """
    root = _Directory()
    for path, verdict in verdicts.items():
        *names, _ = path.split(b"/", _DEEPEST)
        directory = root
        for name in names:
            directory = directory.directories.setdefault(name, _Directory())
        directory.files.append((path, verdict))
    _weigh(root)
    otherwise = root.costs[True] < root.costs[False]
    exact: list[Pattern] = []
    trees: list[tuple[int, Pattern]] = []
    _collect(root, b"", 0, otherwise, exact, trees)
    trees.sort(key=lambda row: (-row[0], row[1].verdict, row[1].parts))
    rows = (*_alike(exact, verdicts), *(pattern for _, pattern in trees))
    return Patterns(tuple(rows), otherwise)


def sayable(verdicts: Mapping[bytes, bool]) -> Patterns:
    """The patterns of ``patterns_of``, or, where they are too many to be read, one that keeps all:
    a list of files is then longer than what is kept, and a list of packages is not."""
    patterns = patterns_of(verdicts)
    return patterns if patterns.size_bytes <= _MOST_BYTES else ALL


def _order(pattern: Pattern) -> tuple[bool, tuple[bytes, ...]]:
    return pattern.verdict, pattern.parts


def _weigh(directory: _Directory) -> None:
    """The number of patterns below a directory, were all of it kept or all of it gone."""
    for below in directory.directories.values():
        _weigh(below)
    for verdict in (True, False):
        own = sum(1 for _, is_kept in directory.files if is_kept is not verdict)
        directory.costs[verdict] = own + sum(
            min(below.costs[verdict], below.costs[not verdict] + 1)
            for below in directory.directories.values()
        )


def _collect(
    directory: _Directory,
    prefix: bytes,
    depth: int,
    verdict: bool,
    exact: list[Pattern],
    trees: list[tuple[int, Pattern]],
) -> None:
    exact += [Pattern((path,), kept) for path, kept in directory.files if kept is not verdict]
    for name, below in directory.directories.items():
        path = prefix + name + b"/"
        inner = verdict
        if below.costs[not verdict] + 1 < below.costs[verdict]:
            inner = not verdict
            trees.append((depth, Pattern((path, b""), inner)))
        _collect(below, path, depth + 1, inner, exact, trees)


def _alike(exact: Sequence[Pattern], verdicts: Mapping[bytes, bool]) -> Iterator[Pattern]:
    """``usr/share/doc/*/copyright`` for many such paths, with the few that it does not mean by
    name before it."""
    families: dict[tuple[bytes, bytes, bool], list[Pattern]] = defaultdict(list)
    for pattern in exact:
        directory, slash, name = pattern.parts[0].rpartition(b"/")
        above = directory[: directory.rfind(b"/") + 1]
        families[above, slash + name, pattern.verdict].append(pattern)
    named: dict[Pattern, None] = {}
    wide: list[Pattern] = []
    for (above, name, verdict), members in families.items():
        pattern = Pattern((above, name), verdict)
        others = list(_others(pattern, verdicts)) if len(members) >= _LEAST_ALIKE else members
        if len(others) + 1 < len(members):
            wide.append(pattern)
            members = others
        named.update(dict.fromkeys(members))
    yield from sorted(named, key=_order)
    yield from wide


def _others(wide: Pattern, verdicts: Mapping[bytes, bool]) -> Iterator[Pattern]:
    """The paths that a pattern matches and does not mean."""
    matches = re.compile(wide.regex()).match
    for path, verdict in verdicts.items():
        if verdict is not wide.verdict and matches(path):
            yield Pattern((path,), verdict)
