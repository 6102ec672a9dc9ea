"""The data tables of this package, typed: ``data/python.toml`` and ``data/python-hidden.toml``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from imgslim.tables import load_table


@dataclass(frozen=True, slots=True)
class OptionalPart:
    """A part of the standard library that is left out unless one of ``modules`` is used; at
    ``safe`` only ``tests`` are."""

    paths: tuple[str, ...]
    prefix_paths: tuple[str, ...]
    modules: frozenset[str]
    tests: bool = False
    compiled: str = ""
    """The extension module that has to be there in its place (PEP 399); "" for none."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What reached code uses though no import statement says so (python-hidden.toml)."""

    weak: dict[str, bool]
    """Module: whether a module's unconditional import counts in any place of a distribution."""
    aliases: dict[str, str]
    test_directories: frozenset[str]
    test_names: frozenset[str]
    test_prefixes: tuple[str, ...]
    left_out_names: frozenset[str]
    test_suffixes: tuple[str, ...]
    test_tools: frozenset[str]
    group_names: frozenset[str]
    group_prefixes: tuple[str, ...]
    plugin_markers: tuple[bytes, ...]
    url_modules: dict[str, tuple[str, ...]]
    calls: dict[str, str]
    find_library: tuple[str, ...]
    find_library_fallbacks: tuple[str, ...]
    handed: dict[str, str]
    """Ends of the paths of modules that look for the libraries which callers of a function name."""
    config_suffixes: tuple[str, ...]
    largest_config_bytes: int
    pickle_suffixes: tuple[str, ...]
    pickle_texts: tuple[str, ...]

    def is_test(self, path: str) -> bool:
        """Whether a path below a package is one of its tests, or a build script."""
        name = path.rpartition("/")[2]
        return (
            self.is_left_out(path) or name in self.test_names or name.endswith(self.test_suffixes)
        )

    def is_left_out(self, path: str) -> bool:
        """Whether a file of a distribution, by its path below the site directory, is surely a
        test: ``setup.py`` or ``speed_test.py`` in a package may be anything."""
        *directories, name = path.split("/")
        return (
            name in self.left_out_names
            or name.startswith(self.test_prefixes)
            or not self.test_directories.isdisjoint(directories)
        )

    def is_plugin_group(self, group: str) -> bool:
        return group not in self.group_names and not group.startswith(self.group_prefixes)


@cache
def optional_parts() -> tuple[OptionalPart, ...]:
    """The rows of ``[[optional]]``."""
    return tuple(
        OptionalPart(
            tuple(row["paths"]),
            tuple(row.get("prefix", ())),
            frozenset(row["modules"]),
            row.get("tests", False),
            row.get("compiled", ""),
        )
        for row in load_table("python")["optional"]
    )


@cache
def claimed_paths(standalone: bool) -> tuple[str, ...]:
    """Globs below a CPython's prefix; ``standalone``: those of a prefix of its own, too."""
    rows = load_table("python")["claim"]
    chosen = (row for row in rows if standalone or not row.get("standalone", False))
    return tuple(path for row in chosen for path in row["paths"])


def venv_paths() -> tuple[str, ...]:
    """Globs below a virtual environment for what no distribution put there."""
    return tuple(load_table("python")["venv"]["paths"])


def site_paths() -> tuple[str, ...]:
    """Names in a site directory that are no user's."""
    return tuple(load_table("python")["site"]["paths"])


@cache
def hidden() -> Hidden:
    """The whole of python-hidden.toml."""
    table = load_table("python-hidden")
    tests, groups, find = table["tests"], table["groups"], table["find_library"]
    return Hidden(
        weak={name: row["firm"] for row in table["weak"] for name in row["modules"]},
        aliases={row["module"]: row["provided_by"] for row in table["alias"]},
        test_directories=frozenset(tests["directories"]),
        test_names=frozenset(tests["names"]),
        test_prefixes=tuple(tests["prefixes"]),
        left_out_names=frozenset(tests["left_out"]),
        test_suffixes=tuple(tests["suffixes"]),
        test_tools=frozenset(tests["tools"]),
        group_names=frozenset(groups["names"]),
        group_prefixes=tuple(groups["prefixes"]),
        plugin_markers=tuple(marker.encode() for marker in groups["markers"]),
        url_modules={
            scheme: tuple(row["modules"]) for row in table["url"] for scheme in row["schemes"]
        },
        calls={name: row["kind"] for row in table["call"] for name in row["names"]},
        find_library=tuple(find["needs"]),
        find_library_fallbacks=tuple(find["fallbacks"]),
        handed=dict(find["handed"]),
        config_suffixes=tuple(table["config"]["suffixes"]),
        largest_config_bytes=table["config"]["largest_bytes"],
        pickle_suffixes=tuple(table["pickles"]["suffixes"]),
        pickle_texts=tuple(table["pickles"]["texts"]),
    )


@dataclass(frozen=True, slots=True)
class Tight:
    """python-tight.toml: what is left out of kept distributions, what computed imports load."""

    waste: dict[bool, tuple[str, ...]]
    """Suffixes that no running program reads; under True those of ``tight`` too."""
    compiling: frozenset[str]
    spots: dict[str, tuple[str, ...]]
    for_people: frozenset[str]
    """Modules whose functions import for tests and documentation alone."""
    for_tests: tuple[str, ...]
    """Globs of modules whose imports do not count: their distribution's tests alone load them."""
    also: dict[str, tuple[str, ...]]
    beside: dict[str, tuple[str, ...]]
    """Modules that come along alone, where those of ``also`` come whole."""
    fallbacks: dict[str, str]
    """Modules of the standard library by the compiled ones that they stand in for."""
    standard: tuple[str, ...]
    tools: frozenset[str]
    prompt: frozenset[str]
    """What only an interpreter at a prompt loads."""
    elsewhere: dict[str, frozenset[str]]
    """By module of the standard library: what it imports on other systems alone."""
    self_run: re.Pattern[str]
    """Names of functions by which the standard library's modules test and show themselves."""
    frozen: frozenset[str]
    """Modules inside the interpreter, whose files it does not read."""
    data: str


@cache
def tight() -> Tight:
    """The whole of python-tight.toml."""
    table = load_table("python-tight")
    waste = table["waste"]
    return Tight(
        waste={
            False: tuple(waste["balanced"]),
            True: (*waste["balanced"], *waste["tight"]),
        },
        compiling=frozenset(waste["compiling"]),
        spots={row["module"]: tuple(row["loads"]) for row in table.get("spot", ())},
        for_people=frozenset(
            row["module"] for row in table.get("spot", ()) if not row.get("functions", True)
        ),
        for_tests=tuple(row["modules"] for row in table.get("tests", ())),
        beside={row["module"]: tuple(row.get("modules", ())) for row in table.get("also", ())},
        fallbacks=dict(table["standard"]["fallbacks"]),
        also={row["module"]: tuple(row["loads"]) for row in table.get("also", ())},
        standard=tuple(table["standard"]["modules"]),
        tools=frozenset(table["standard"]["tools"]),
        prompt=frozenset(table["standard"]["prompt"]),
        elsewhere={key: frozenset(names) for key, names in table["standard"]["elsewhere"].items()},
        self_run=re.compile("|".join(table["standard"]["self_run"])),
        frozen=frozenset(table["standard"]["frozen"]),
        data=table["standard"]["data"],
    )
