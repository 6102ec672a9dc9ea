"""What a level leaves out of single packages: the rows ``[[trimmed]]`` of ``packages.toml``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from imgslim.choices import Level
from imgslim.tables import load_table
from imgslim.world import World

_VERSION_TAIL = re.compile(r"\d[\d.]*$")


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What is left out of a package: its paths, the dependencies that only those need, and the
    programs that others of its scripts start for rare options."""

    paths: re.Pattern[str]
    depends: frozenset[str]
    programs: frozenset[str]


@cache
def _trimmed(level: Level) -> Mapping[str, Trimmed]:
    """The rows by package, as far as the level follows them."""
    if level is Level.SAFE:
        return {}
    prefixes = ("", "tight_") if level is Level.TIGHT else ("",)
    return {
        row["package"]: Trimmed(
            any_of(path for prefix in prefixes for path in row.get(f"{prefix}paths", ())),
            frozenset(row["depends"]),
            frozenset(name for prefix in prefixes for name in row.get(f"{prefix}programs", ())),
        )
        for row in load_table("packages")["trimmed"]
    }


def trimmed_row(name: str, level: Level) -> Trimmed | None:
    """The row of a package; one whose name ends in ``*`` is of any version."""
    rows = _trimmed(level)
    return rows.get(name) or rows.get(_VERSION_TAIL.sub("*", name))


def trimmed_programs(world: World, script: str) -> frozenset[str]:
    """The programs that a script of a package may start, and that the level leaves out; none of a
    script that is itself left out unless something names it: then all of it is wanted."""
    owner = world.packages.owner(script)
    row = _trimmed(world.choices.level).get(owner.name) if owner is not None else None
    return frozenset() if row is None or row.paths.match(script) else row.programs


def trimmed_paths(world: World, package: str) -> Sequence[str]:
    """The files of ``package`` that the level leaves out unless something names them."""
    row = _trimmed(world.choices.level).get(package)
    if row is None:
        return ()
    match = row.paths.match
    owners = (p for p in world.packages.packages.values() if p.name == package)
    return [path for owner in owners for path in owner.files if match(path)]


def any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """A pattern that matches a name or path for which one of the globs holds: ``*`` within a
    component, ``**`` over any number of them."""
    return re.compile("|".join(_glob_regex(pattern) for pattern in patterns))


def _glob_regex(pattern: str) -> str:
    tokens = re.split(r"(\*\*|\*|\[[^]]*\]|\?)", pattern)
    known = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = [known.get(t) or (t if t.startswith("[") else re.escape(t)) for t in tokens]
    return f"(?:{''.join(parts)})\\Z"
