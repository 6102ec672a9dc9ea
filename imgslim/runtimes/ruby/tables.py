"""The rows of ``data/ruby.toml``, typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from imgslim.globs import any_of
from imgslim.tables import load_table


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the library that goes beyond ``safe``, unless one of ``features`` is required or
    one of ``programs`` runs."""

    unit: str
    features: re.Pattern[str]
    programs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Asks:
    """What a gem needs of the system, unless the gem ``unless`` is there."""

    gem: str
    paths: tuple[str, ...]
    programs: tuple[str, ...]
    unless: str


@dataclass(frozen=True, slots=True)
class RubyTable:
    always: re.Pattern[str]
    directories: tuple[str, ...]
    parts: tuple[Part, ...]
    calls: Mapping[str, str]
    development: frozenset[str]
    environments: tuple[str, ...]
    default_environment: str
    manifests: tuple[str, ...]
    self_contained: frozenset[str]
    suffixes: tuple[str, ...]
    task_suffixes: tuple[str, ...]
    task_files: frozenset[str]
    source_names: frozenset[str]
    tests: frozenset[str]
    task_programs: frozenset[str]
    left_out: re.Pattern[str]
    records: frozenset[str]
    home_records: frozenset[str]
    home_parts: tuple[str, ...]
    asks: tuple[Asks, ...]
    frameworks: tuple[tuple[str, str], ...]


@cache
def ruby_table() -> RubyTable:
    """``ruby.toml``."""
    table = load_table("ruby")
    bundler, sources, gem = table["bundler"], table["sources"], table["gem"]
    return RubyTable(
        always=any_of(table["interpreter"]["always"]),
        directories=tuple(table["search"]["directories"]),
        parts=tuple(
            Part(row["unit"], any_of(row["features"]), frozenset(row.get("programs", ())))
            for row in table["part"]
        ),
        calls={name: row["kind"] for row in table["call"] for name in row["names"]},
        development=frozenset(bundler["development"]),
        environments=tuple(bundler["environments"]),
        default_environment=bundler["default_environment"],
        manifests=tuple(bundler["manifests"]),
        self_contained=frozenset(bundler["self_contained"]),
        suffixes=tuple(sources["suffixes"]),
        task_suffixes=tuple(sources["tasks"]),
        task_files=frozenset(sources["task_files"]),
        source_names=frozenset(sources["names"]),
        tests=frozenset(sources["tests"]),
        task_programs=frozenset(sources["task_programs"]),
        left_out=any_of(gem["left_out"]),
        records=frozenset(gem["records"]),
        home_records=frozenset(table["home"]["records"]),
        home_parts=tuple(table["home"]["parts"]),
        asks=tuple(_asks(row) for row in table["asks"]),
        frameworks=tuple((row["gem"], row["name"]) for row in table["framework"]),
    )


def _asks(row: Mapping[str, object]) -> Asks:
    def words(key: str) -> tuple[str, ...]:
        value = row.get(key, ())
        return tuple(str(word) for word in value) if isinstance(value, list) else ()

    return Asks(str(row["gem"]), words("paths"), words("programs"), str(row.get("unless", "")))
