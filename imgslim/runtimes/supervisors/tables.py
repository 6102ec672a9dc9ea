"""``data/supervisors.toml``, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from imgslim.tables import load_table
from imgslim.world import World


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A row of ``[[program]]``; what the fields mean stands at the head of the table."""

    reads: str
    beside: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    oneshots: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    value_options: tuple[str, ...] = ()
    file_options: tuple[str, ...] = ()
    directory_options: tuple[str, ...] = ()
    runs_arguments: bool = False


@dataclass(frozen=True, slots=True)
class Crontab:
    """A row of ``[[crontab]]``: where tables of a kind lie, and what stands before a command."""

    paths: tuple[str, ...] = ()
    fields: int = 5
    most_fields: int = 5
    named: bool = False
    user: bool = False
    percent: bool = False


@cache
def _supervisors() -> Mapping[str, Supervisor]:
    rows = load_table("supervisors")["program"]
    return {name: Supervisor(**_fields(row, "names")) for row in rows for name in row["names"]}


@cache
def crontabs() -> Mapping[str, Crontab]:
    """The rows by their kind."""
    rows = load_table("supervisors")["crontab"]
    return {row["kind"]: Crontab(**_fields(row, "kind")) for row in rows}


def _fields(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in row.items()
        if name not in (key, "evidence")
    }


def find_supervisor(world: World, name: str) -> Supervisor | None:
    """The row of a program of that basename, as far as the image has what it goes with."""
    row = _supervisors().get(name)
    if row is None or not row.beside:
        return row
    there = any(next(world.rootfs.glob(pattern), None) for pattern in row.beside)
    return row if there else None


def service_scripts() -> tuple[str, ...]:
    """The names of what is run in a service's directory, as globs."""
    return tuple(load_table("supervisors")["service"]["scripts"])
