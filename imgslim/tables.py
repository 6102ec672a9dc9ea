"""The data tables on who puts what into an image, read from ``imgslim/data`` and typed.

Each row names its evidence; what the fields mean stands at the head of each file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from imgslim.accounts import accounts
from imgslim.model import Entry, ImageConfig, Kind
from imgslim.rootfs import Rootfs

_KINDS = {"link": Kind.SYMLINK, "file": Kind.FILE, "directory": Kind.DIRECTORY}


@cache
def load_table(name: str) -> Mapping[str, Any]:
    """The parsed ``imgslim/data/NAME.toml``."""
    return tomllib.loads((files("imgslim") / "data" / f"{name}.toml").read_text("utf-8"))


@cache
def building_commands() -> frozenset[str]:
    """Programs that build, install or deploy: what only names them does not need them."""
    return frozenset(load_table("shell")["building"]["commands"])


def entries_at(rootfs: Rootfs, pattern: str) -> Iterator[Entry]:
    """Entries whose path matches a glob; a link at the end of a plain path is itself the match."""
    if any(sign in pattern for sign in "*?["):
        yield from rootfs.glob(pattern)
        return
    entry = rootfs.get(rootfs.canonical(pattern))
    if entry is not None:
        yield entry


@dataclass(frozen=True, slots=True)
class Generated:
    """Paths that package scripts make; ``used_by`` are globs of the packages that need them.

    With ``contents`` only a file that holds exactly one of them: any other has been edited.
    """

    unit: str
    paths: tuple[str, ...]
    kind: Kind | None
    names: tuple[str, ...]
    contents: tuple[bytes, ...]
    used_by: tuple[str, ...]

    def matches(self, rootfs: Rootfs, entry: Entry) -> bool:
        """Whether an entry at one of ``paths`` is of the row's kind, name and content."""
        if self.kind is not None and entry.kind is not self.kind:
            return False
        if self.contents and rootfs.read_bytes(entry) not in self.contents:
            return False
        name = entry.path.rpartition("/")[2]
        return not self.names or any(fnmatchcase(name, pattern) for pattern in self.names)

    @property
    def has_filter(self) -> bool:
        return self.kind is not None or bool(self.names) or bool(self.contents)


@dataclass(frozen=True, slots=True)
class GeneratedLink:
    """Links that package scripts make: in one of ``under``, to a target that starts with ``to``."""

    unit: str
    under: tuple[str, ...]
    to: tuple[str, ...]
    used_by: tuple[str, ...]

    def matches(self, entry: Entry) -> bool:
        return entry.link_target.startswith(self.to) and entry.path.startswith(self.under)


@dataclass(frozen=True, slots=True)
class GeneratedCopy:
    """Files that package scripts copy, as (copy, original) pairs."""

    unit: str
    pairs: tuple[tuple[str, str], ...]
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GeneratedTable:
    paths: tuple[Generated, ...]
    links: tuple[GeneratedLink, ...]
    copies: tuple[GeneratedCopy, ...]


@cache
def generated_table() -> GeneratedTable:
    """``generated.toml``."""
    table = load_table("generated")
    return GeneratedTable(
        tuple(
            Generated(
                row["unit"],
                tuple(row["paths"]),
                _KINDS.get(row.get("kind", "")),
                tuple(row.get("names", ())),
                tuple(text.encode() for text in row.get("contents", ())),
                tuple(row.get("used_by", ())),
            )
            for row in table["generated"]
        ),
        tuple(
            GeneratedLink(
                row["unit"], tuple(row["under"]), tuple(row["to"]), tuple(row.get("used_by", ()))
            )
            for row in table["link"]
        ),
        tuple(
            GeneratedCopy(
                row["unit"],
                tuple((copy, original) for copy, original in row["pairs"]),
                tuple(row.get("used_by", ())),
            )
            for row in table["copy"]
        ),
    )


@dataclass(frozen=True, slots=True)
class Toolchain:
    """An unpackaged toolchain that is in the image: its trees and files, canonical."""

    unit: str
    paths: tuple[str, ...]
    whole: bool


def find_toolchains(rootfs: Rootfs, config: ImageConfig) -> Iterator[Toolchain]:
    """The rows of ``toolchains.toml`` that are in this image."""
    table = load_table("toolchains")
    places = Places(rootfs, config, table["names"])
    for row in table["toolchain"]:
        if all(any(entries_at(rootfs, path)) for path in row["when"]):
            paths = tuple(entry.path for path in row["paths"] for entry in places.find(path))
            if paths:
                yield Toolchain(row["unit"], tuple(dict.fromkeys(paths)), row["whole"])


class Places:
    """Expands the ``{home}``, ``{cache}`` and ``{VARIABLE}`` of a table's paths in one image."""

    def __init__(
        self, rootfs: Rootfs, config: ImageConfig, names: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._rootfs = rootfs
        self._config = config
        homes = home_directories(rootfs, config)
        moved = config.env_value("XDG_CACHE_HOME")
        self._values: dict[str, Sequence[str]] = {
            "home": homes,
            "cache": [*(f"{home}/.cache" for home in homes), *([moved] if moved else [])],
            **(names or {}),
        }

    def find(self, pattern: str) -> Iterator[Entry]:
        """What lies at a table's path, which may be a glob; variables that are unset, relative or
        the root directory give nothing."""
        for path in self._expand(pattern):
            yield from (e for e in entries_at(self._rootfs, path) if e.path != "/")

    def _expand(self, pattern: str) -> Iterator[str]:
        before, brace, rest = pattern.partition("{")
        if not brace:
            if pattern.startswith("/"):
                yield pattern
            return
        name, _, after = rest.partition("}")
        for value in self._values.get(name) or self._variable(name):
            yield from self._expand(f"{before}{value}{after}")

    def _variable(self, name: str) -> Sequence[str]:
        value = (self._config.env_value(name) or "").rstrip("/")
        return [value] if value.startswith("/") else []


def home_directories(rootfs: Rootfs, config: ImageConfig) -> tuple[str, ...]:
    """The home directories that exist: of ``/etc/passwd``, HOME and root, the root directory
    left out."""
    named = (account.home for account in accounts(rootfs))
    candidates = dict.fromkeys(["/root", config.env_value("HOME") or "", *named])
    homes = (path.rstrip("/") for path in candidates)
    return tuple(path for path in homes if path and rootfs.lookup(path) is not None)
