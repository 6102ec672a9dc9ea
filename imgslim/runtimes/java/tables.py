"""The rows of ``data/java.toml``, typed; what the fields mean stands at the head of that file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from imgslim.choices import Level
from imgslim.globs import any_of
from imgslim.tables import load_table


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a Java home that is left out from ``level`` on, unless something asks for it."""

    unit: str
    level: Level
    paths: re.Pattern[str]
    programs: frozenset[str]
    classes: tuple[str, ...]
    options: tuple[str, ...]
    libraries: tuple[str, ...]
    words: frozenset[str]

    def holds(self, inside: str) -> bool:
        """Whether a path from the Java home, such as ``lib/ct.sym``, belongs to it."""
        return self.paths.fullmatch(inside.removeprefix("jre/")) is not None


@dataclass(frozen=True, slots=True)
class ServiceModule:
    """A module that no reference leads to; ``of``: whose users need it ("": all)."""

    module: str
    of: str


@dataclass(frozen=True, slots=True)
class Framework:
    """How a framework shows: an attribute of the manifest, the main class, or a title."""

    name: str
    attribute: str
    main_class: str
    title: str

    def shown(self, manifest: Mapping[str, str], main: str) -> str:
        """The framework and, where it is known, its version; "" for a jar of something else."""
        version = manifest.get(self.attribute, "")
        if not version and self.title and manifest.get("Implementation-Title") == self.title:
            version = manifest.get("Implementation-Version", "")
        if version:
            return f"{self.name} {version}"
        return self.name if self.main_class and self.main_class == main else ""


@dataclass(frozen=True, slots=True)
class BuildTool:
    unit: str
    paths: tuple[str, ...]
    contains: str
    programs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sources:
    build_files: frozenset[str]
    suffixes: tuple[str, ...]
    left_over: tuple[str, ...]
    built: tuple[str, ...]


@cache
def parts() -> tuple[Part, ...]:
    """The rows of ``[[part]]``."""
    return tuple(
        Part(
            unit=row["unit"],
            level=Level(row["level"]),
            paths=any_of(row["paths"]),
            programs=frozenset(row.get("programs", ())),
            classes=tuple(row.get("classes", ())),
            options=tuple(row.get("options", ())),
            libraries=tuple(row.get("libraries", ())),
            words=frozenset(row.get("words", ())),
        )
        for row in load_table("java")["part"]
    )


@cache
def parts_with_words() -> tuple[Part, ...]:
    """The parts that have ``words``."""
    return tuple(part for part in parts() if part.words)


@cache
def service_modules() -> tuple[ServiceModule, ...]:
    """The rows of ``[[service_module]]``."""
    rows = load_table("java")["service_module"]
    return tuple(ServiceModule(row["module"], row["of"]) for row in rows)


@cache
def frameworks() -> tuple[Framework, ...]:
    """The rows of ``[[framework]]``."""
    rows = load_table("java")["framework"]
    return tuple(
        Framework(row["name"], row.get("attribute", ""), row.get("class", ""), row.get("title", ""))
        for row in rows
    )


@cache
def build_tools() -> tuple[BuildTool, ...]:
    """The rows of ``[[tool]]``."""
    return tuple(
        BuildTool(row["unit"], tuple(row["paths"]), row["contains"], frozenset(row["programs"]))
        for row in load_table("java")["tool"]
    )


@cache
def sources() -> Sources:
    """``[sources]``."""
    row = load_table("java")["sources"]
    return Sources(
        frozenset(row["build_files"]),
        tuple(row["suffixes"]),
        tuple(row["left_over"]),
        tuple(row["built"]),
    )


@cache
def kept_programs() -> frozenset[str]:
    """Programs of ``bin/`` that stay with a Java home."""
    return frozenset(load_table("java")["programs"]["kept"])


@cache
def installed_paths() -> tuple[str, ...]:
    """Files that come with an image's Java home."""
    return tuple(load_table("java")["installed"]["paths"])


@cache
def library_directories() -> tuple[str, ...]:
    """Where native libraries are looked for by name (globs)."""
    return tuple(load_table("java")["library_path"]["directories"])
