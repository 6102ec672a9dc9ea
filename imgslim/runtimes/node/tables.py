"""The rows of ``data/node.toml``, typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from imgslim.globs import any_of
from imgslim.tables import load_table


@dataclass(frozen=True, slots=True)
class Left:
    """Files of a package that are left out beyond ``safe``: ``paths`` matches their place in the
    package; only where one of ``beside`` lies in the package's directory (empty: always)."""

    what: str
    paths: re.Pattern[str]
    beside: tuple[str, ...]
    unless: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spare:
    """What a package loads only to build: dependencies by ``names``, its own files by ``paths``.
    Not where one of ``files`` lies beside a package.json, nor unless its program is given one of
    the words ``serves``, and a build left one of ``lists``."""

    package: str
    names: re.Pattern[str]
    paths: re.Pattern[str]
    files: tuple[str, ...]
    serves: tuple[str, ...]
    lists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeTable:
    built_in: frozenset[str]
    global_folders: tuple[str, ...]
    conditions: frozenset[str]
    mains: tuple[str, ...]
    extensions: tuple[str, ...]
    sources: tuple[str, ...]
    transpiled: Mapping[str, Sequence[str]]
    value_options: frozenset[str]
    module_options: frozenset[str]
    code_options: frozenset[str]
    managers: Mapping[str, str]
    manager_packages: frozenset[str]
    own_words: Mapping[str, frozenset[str]]
    directory_options: frozenset[str]
    workspace_options: frozenset[str]
    calls: Mapping[str, str]
    call_markers: tuple[bytes, ...]
    frameworks: tuple[str, ...]
    left_out: tuple[Left, ...]
    spare: tuple[Spare, ...]
    brings: tuple[tuple[str, re.Pattern[str]], ...]
    records: frozenset[str]
    runtime_symbol: bytes
    smallest_runtime_bytes: int
    unread: tuple[str, ...]
    clutter: frozenset[str]
    architectures: Mapping[str, str]


@cache
def node_table() -> NodeTable:
    """``node.toml``."""
    table = load_table("node")
    resolution, options, managers = table["resolution"], table["options"], table["managers"]
    rows = table["call"]
    return NodeTable(
        built_in=frozenset(resolution["built_in"]),
        global_folders=tuple(resolution["global_folders"]),
        conditions=frozenset(resolution["conditions"]),
        mains=tuple(resolution["mains"]),
        extensions=tuple(resolution["extensions"]),
        sources=tuple(resolution["sources"]),
        transpiled=resolution["transpiled"],
        value_options=frozenset(options["values"]),
        module_options=frozenset(options["modules"]),
        code_options=frozenset(options["code"]),
        managers={name: kind for kind, names in managers["names"].items() for name in names},
        manager_packages=frozenset(managers["packages"]),
        own_words={kind: frozenset(words) for kind, words in managers["own_words"].items()},
        directory_options=frozenset(managers["directory_options"]),
        workspace_options=frozenset(managers["workspace_options"]),
        calls={name: row["kind"] for row in rows for name in row["names"]},
        call_markers=tuple(m.encode() for row in rows for m in row["modules"]),
        frameworks=tuple(table["frameworks"]["packages"]),
        left_out=tuple(
            Left(
                row["what"],
                any_of(row["paths"]),
                tuple(row.get("beside", ())),
                tuple(row.get("unless", ())),
            )
            for row in table["left_out"]
        ),
        spare=tuple(
            Spare(
                row["package"],
                any_of(row["dependencies"]),
                any_of(row["paths"]),
                tuple(row["unless_files"]),
                tuple(row["serves"]),
                tuple(row["lists"]),
            )
            for row in table["spare"]
        ),
        brings=tuple((row["package"], any_of(row["packages"])) for row in table["brings"]),
        records=frozenset(table["records"]["names"]),
        runtime_symbol=table["other_runtimes"]["symbol"].encode(),
        smallest_runtime_bytes=table["other_runtimes"]["smallest_bytes"],
        unread=tuple(table["mentions"]["skipped"]),
        clutter=frozenset(table["clutter"]["names"]),
        architectures=table["platform"]["architectures"],
    )
