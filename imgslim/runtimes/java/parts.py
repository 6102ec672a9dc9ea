"""What of a Java home is kept: the whole at ``safe``, else all that ``java.toml`` does not leave
out, and of that what the programs, options and classes in use ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from imgslim.choices import Level
from imgslim.model import Entry, Group, Need, Problem, Scope, Severity, unique_size_bytes
from imgslim.rootfs import Rootfs
from imgslim.runtimes.base import KeptPaths
from imgslim.runtimes.java.homes import JavaHome, links_to
from imgslim.runtimes.java.tables import Part, kept_programs, parts


@dataclass(frozen=True, slots=True)
class Use:
    """What is in use of any Java home: programs of ``bin/`` that run, options of machines, the
    JDK's classes that kept code names (with slashes), the units of parts with words that some
    archive asks for."""

    programs: Set[str]
    options: Iterable[str]
    classes: Iterable[str]
    units: Set[str] = frozenset()

    def asks_for(self, part: Part) -> bool:
        """Whether something asks for a part that the level would leave out."""
        return (
            not part.programs.isdisjoint(self.programs)
            or any(option.startswith(part.options) for option in self.options if part.options)
            or (part.unit in self.units if part.words else self._names(part))
        )

    def _names(self, part: Part) -> bool:
        return any(name.startswith(part.classes) for name in self.classes if part.classes)


def reason_of(home: JavaHome) -> str:
    return " ".join(part for part in ("Java", home.version) if part)


def home_needs(rootfs: Rootfs, home: JavaHome, level: Level) -> Iterator[Need]:
    """What is kept of a home in use, whatever uses it: a file, or at ``safe`` the tree."""
    reason, because = reason_of(home), home.path
    for link in links_to(rootfs, home):
        yield Need(link, Group.RUNTIME, reason, because, optional=True)
    if level is Level.SAFE:
        yield Need(home.path, Group.RUNTIME, reason, because, Scope.TREE)
        return
    for entry in _files(rootfs, home):
        inside = entry.path[len(home.path) + 1 :]
        if not _is_left_out_program(inside) and part_of(inside, level) is None:
            yield Need(entry.path, Group.RUNTIME, reason, because, optional=True)


def part_needs(rootfs: Rootfs, home: JavaHome, part: Part, because: str) -> Iterator[Need]:
    """A part of a home that something asks for."""
    for entry in _files(rootfs, home):
        if part.holds(entry.path[len(home.path) + 1 :]):
            yield Need(entry.path, Group.RUNTIME, part.unit, because, optional=True)


def part_of(inside: str, level: Level) -> Part | None:
    """The part to which a path from the home belongs, if the level leaves that out."""
    rows = (part for part in parts() if level.reaches(part.level))
    return next((part for part in rows if part.holds(inside)), None)


def left_out(
    rootfs: Rootfs, homes: Iterable[JavaHome], level: Level, kept: KeptPaths
) -> Iterator[Problem]:
    """One problem for each kept home that lost something, and one for each part that only the
    ``tight`` level leaves out, with what it would cost to keep."""
    for home in homes:
        gone: dict[str, list[Entry]] = {}
        for entry in _files(rootfs, home):
            inside = entry.path[len(home.path) + 1 :]
            if entry.path not in kept:
                part = part_of(inside, level)
                gone.setdefault("programs" if part is None else part.unit, []).append(entry)
        if gone:
            yield _left_out_problem(home, gone)


def _left_out_problem(home: JavaHome, gone: dict[str, list[Entry]]) -> Problem:
    sizes = {unit: unique_size_bytes(entries) for unit, entries in gone.items()}
    units = ", ".join(sorted(gone, key=lambda unit: -sizes[unit]))
    return Problem(
        "left-out-by-level",
        Severity.INFO,
        home.path,
        f"{reason_of(home)}: left out what nothing asks for: {units}",
        f"add --keep '{home.path}/**', or one path of it, or --also-run a program of it",
        unique_size_bytes(entry for entries in gone.values() for entry in entries),
    )


def _files(rootfs: Rootfs, home: JavaHome) -> Iterator[Entry]:
    """What lies in a home; directories come along, unless they are empty."""
    for entry in rootfs.walk(home.path):
        if not entry.is_directory or not rootfs.children(entry.path):
            yield entry


def _is_left_out_program(inside: str) -> bool:
    """Programs are kept when they run; what lies in directories below ``bin`` is no program."""
    directory, _, name = inside.removeprefix("jre/").rpartition("/")
    return directory == "bin" and name not in kept_programs()
