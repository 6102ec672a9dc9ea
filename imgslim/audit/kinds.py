"""What kind of thing a file is: documentation, a cache, a toolchain … (``kinds.toml``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from imgslim.globs import glob_regex
from imgslim.model import Origin, OriginKind, Package
from imgslim.tables import load_table

APP = "app"
RUNTIME = "runtime"
OTHER = "other"

NamedKind = tuple[str, str]
"""A kind's name and the unit: what it is more exactly, or ""."""

_UNITS_OF_OWNERS = {
    "deb": "system packages",
    "apk": "system packages",
    "rpm": "system packages",
    "pypi": "PyPI packages",
    "npm": "npm packages",
    "gem": "gems",
    "cpan": "CPAN distributions",
    "jar": "Java archives",
    "go": "Go programs",
}
_OWN_BUILDS = ("go", "jar")
"""Owners that are programs themselves: without a package around it, such a file is the app."""

_UNNAMED = frozenset((OriginKind.USER, OriginKind.PACKAGE, OriginKind.DISTRIBUTION))
"""Origins that no row of ``kinds.toml`` names: their packages are named in their place."""


@cache
def kind_titles() -> Mapping[str, str]:
    """The names of the kinds and their titles, in the order of reports."""
    return {row["name"]: row["title"] for row in load_table("kinds")["kind"]}


class Kinds:
    """Tells the kinds of files; what depends on a directory or an owner alone is looked up once.

    ``package_of`` gives the system package of a key, None for other keys.
    """

    def __init__(self, package_of: Callable[[str], Package | None] = lambda key: None) -> None:
        self._package_of = package_of
        self._rows: Sequence[Mapping[str, Any]] = load_table("kinds")["row"]
        self._none = len(self._rows)
        self._tree = _combined(enumerate(row.get("trees", ()) for row in self._rows))
        self._suffixes = _by_extension(self._rows)
        self._by_directory: dict[str, int] = {}
        self._by_owner: dict[str, int] = {}
        self._by_origin: dict[Origin, int] = {}

    def of(self, path: str, directory: str, owner: str, origin: Origin) -> NamedKind:
        """The kind of a file of the merged tree, in ``directory``."""
        found = self._place(path, directory)
        if owner:
            found = min(found, self._of_owner(owner))
        if origin.kind not in _UNNAMED:
            found = min(found, self._of_origin(origin))
        if found == self._none:
            return _unclaimed(owner, origin)
        row = self._rows[found]
        unit = row.get("unit", "")
        return row["kind"], unit or ("" if owner else origin.unit)

    def of_hidden(self, path: str, directory: str) -> NamedKind:
        """The kind of a file that is not in the merged tree: what its path says."""
        found = self._place(path, directory)
        for kind, pattern, units in _hidden_places():
            match = pattern.match(path)
            if match:
                return kind, units[int((match.lastgroup or "r0")[1:])]
        return (OTHER, "") if found == self._none else _named(self._rows[found])

    def is_tool(self, key: str) -> bool:
        """Whether a package is one that builds or installs, by its name or its subject area."""
        row = self._of_owner(key)
        return row != self._none and self._rows[row]["kind"] in ("toolchain", "package-managers")

    def _place(self, path: str, directory: str) -> int:
        """The first row that claims a path by its directory or the end of its name."""
        found = self._by_directory.get(directory)
        if found is None:
            match = self._tree.match(f"{directory}/")
            found = int((match.lastgroup or "")[1:]) if match else self._none
            self._by_directory[directory] = found
        for suffix, row in self._suffixes.get(path[path.rfind(".") :], ()):
            if row < found and path.endswith(suffix):
                found = row
        return found

    def _of_owner(self, key: str) -> int:
        found = self._by_owner.get(key)
        if found is None:
            found = self._by_owner[key] = self._find_owner(key)
        return found

    def _find_owner(self, key: str) -> int:
        package = self._package_of(key)
        name, section = (package.name, package.section) if package else (key, "")
        for index, row in enumerate(self._rows):
            patterns = row.get("packages", ())
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                return index
            if section and section in row.get("sections", ()):
                return index
        return self._none

    def _of_origin(self, origin: Origin) -> int:
        found = self._by_origin.get(origin)
        if found is None:
            found = self._by_origin[origin] = next(
                (i for i, row in enumerate(self._rows) if _is_of(origin, row)), self._none
            )
        return found


def _is_of(origin: Origin, row: Mapping[str, Any]) -> bool:
    return any(
        origin.kind.value == word
        or (origin.kind is OriginKind.RUNTIME and fnmatchcase(origin.unit, word))
        for word in row.get("origins", ())
    )


def _unclaimed(owner: str, origin: Origin) -> NamedKind:
    prefix = owner.partition(":")[0]
    if origin.kind is OriginKind.USER and (not owner or prefix in _OWN_BUILDS):
        return APP, _UNITS_OF_OWNERS.get(prefix, "")
    if origin.kind is OriginKind.SOURCE:
        return APP, origin.unit
    if origin.kind is OriginKind.ENGINE:
        return OTHER, origin.unit
    if owner:
        return RUNTIME, _UNITS_OF_OWNERS.get(prefix, "")
    made = origin.kind is OriginKind.GENERATED
    return RUNTIME, "made by package scripts" if made else origin.unit


def _named(row: Mapping[str, Any]) -> NamedKind:
    return row["kind"], row.get("unit", "")


def _by_extension(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[str, int]]]:
    """The suffixes of all rows and the rows' numbers, by what follows the last dot of each."""
    found: dict[str, list[tuple[str, int]]] = {}
    for index, row in enumerate(rows):
        for suffix in row.get("suffixes", ()):
            found.setdefault(suffix[suffix.rfind(".") :], []).append((suffix, index))
    return found


def _combined(rows: Iterable[tuple[int, Iterable[str]]]) -> re.Pattern[str]:
    """One expression of all rows' globs of directories, for a path that ends in a slash; of several
    that match, the group of the first row does."""
    parts = []
    for index, globs in rows:
        inner = "|".join(glob_regex(glob.removeprefix("/")) for glob in globs)
        if inner:
            parts.append(f"(?P<r{index}>/(?:{inner})/)")
    return re.compile("|".join(parts), re.DOTALL)


@cache
def _hidden_places() -> tuple[tuple[str, re.Pattern[str], Sequence[str]], ...]:
    """Where caches and version control data lie, whatever is there now: the patterns of
    ``caches.toml``, every directory taken for a home, places that a variable names left out."""
    table = load_table("caches")
    control = table["version_control"]
    caches = [(row["unit"], tuple(_anywhere(row["paths"]))) for row in table["cache"]]
    return (
        (
            "vcs",
            _combined((i, [f"**/{row['directory']}"]) for i, row in enumerate(control)),
            [row["unit"] for row in control],
        ),
        (
            "caches",
            _whole(caches),
            [unit for unit, _ in caches],
        ),
    )


def _anywhere(patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        expanded = pattern.replace("{home}", "/**").replace("{cache}", "/**/.cache")
        if "{" not in expanded:
            yield expanded.lstrip("/")


def _whole(rows: Iterable[tuple[str, Iterable[str]]]) -> re.Pattern[str]:
    """As ``_combined``, where a glob may also name the file itself."""
    parts = []
    for index, (_, globs) in enumerate(rows):
        inner = "|".join(map(glob_regex, globs))
        if inner:
            parts.append(f"(?P<r{index}>/(?:{inner})(?:/|$))")
    return re.compile("|".join(parts), re.DOTALL)
