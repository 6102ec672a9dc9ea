"""Dependencies between installed packages: names and what others provide, resolved to keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Candidate:
    """An installed package as a dependency can mean it: by its own name or what it provides."""

    key: str
    architecture: str


@dataclass(slots=True)
class Installed:
    """What is installed, by package name and by provided name."""

    names: dict[str, list[Candidate]] = field(default_factory=dict)
    provided: dict[str, list[Candidate]] = field(default_factory=dict)

    def add(self, name: str, candidate: Candidate, provides: Iterable[str]) -> None:
        self.names.setdefault(name, []).append(candidate)
        for virtual in provides:
            self.provided.setdefault(virtual, []).append(candidate)

    def find(self, name: str, architecture: str) -> str | None:
        """The key of the package that satisfies ``name``: a real one before a virtual one, one
        of the same architecture before any other."""
        for table in (self.names, self.provided):
            key = _of_architecture(table, name, architecture)
            if key is not None:
                return key
        return None

    def resolve(self, clauses: Iterable[Iterable[str]], architecture: str) -> tuple[str, ...]:
        """The installed package of each clause (its alternatives in order), each key once."""
        found: dict[str, None] = {}
        for alternatives in clauses:
            keys = (self.find(name, architecture) for name in alternatives)
            key = next((key for key in keys if key is not None), None)
            if key is not None:
                found[key] = None
        return tuple(found)


def _of_architecture(
    table: Mapping[str, list[Candidate]], name: str, architecture: str
) -> str | None:
    candidates = table.get(name)
    if not candidates:
        return None
    same = (c.key for c in candidates if c.architecture in (architecture, "all", "noarch"))
    return next(same, candidates[0].key)
