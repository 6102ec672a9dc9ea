"""Code to examine, and the environments that it is examined in."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imgslim.model import Entry
from imgslim.runtimes.python.layout import Environment
from imgslim.runtimes.python.modules import ModuleIndex
from imgslim.runtimes.python.source import Import
from imgslim.runtimes.python.tables import hidden, optional_parts, tight

OPTIONAL_MODULES = frozenset(module for part in optional_parts() for module in part.modules)
"""The modules of the standard library's optional parts."""


@dataclass(frozen=True, slots=True)
class Source:
    """Code to examine: a file, or ``text`` that ``path`` holds. ``own``: the user's, whose strings
    and calls count beside its imports. ``environment`` is the one that runs it, if
    known."""

    path: str
    entry: Entry | None = None
    text: bytes = b""
    own: bool = False
    environment: Environment | None = None


class Search:
    """One active environment: its modules, and the names behind which something is unreached."""

    def __init__(self, index: ModuleIndex) -> None:
        self.index = index
        self.open = {name: set(units) for name, units in index.providers.items()}
        self._names: dict[str, list[str]] = {}
        for name, units in index.providers.items():
            for key in units:
                self._names.setdefault(key, []).append(name)

    def close(self, key: str) -> None:
        """Note that a unit is reached: names that lead to nothing else need no second look."""
        for name in self._names.get(key, ()):
            units = self.open[name]
            units.discard(key)
            if not units:
                del self.open[name]

    def is_aside(self, source: Source, imported: Import, module: str) -> bool:
        """Whether an import is of no program that runs: the standard library's of its tools for
        people, of what a prompt or another system needs and of stand-ins for compiled modules that
        are there (PEP 399), a test's of tools."""
        is_tool = module.partition(".")[0] in tight().tools
        if source.own:
            return is_tool and hidden().is_test(posixpath.basename(source.path))
        if not self.index.is_standard(source.path):
            return False
        importer = self.index.name_of(source.path) or ""
        elsewhere = tight().elsewhere.get(importer, ())
        at_prompt = importer == "site" and module in tight().prompt
        return (
            (is_tool and not imported.firm)
            or at_prompt
            or module in elsewhere
            or bool(self.index.standard(tight().fallbacks.get(module, "")))
        )

    def standard_named(self, names: Iterable[str]) -> Iterator[str]:
        """The files of the standard library's modules among ``names``, tools for people aside."""
        for name in names:
            if name.partition(".")[0] not in tight().tools:
                yield from self.index.standard(name)

    def unsettled(self, names: set[str]) -> set[str]:
        """Those of ``names`` that lead to something unreached, as far as names tell."""
        found = names & self.open.keys()
        found |= names & OPTIONAL_MODULES
        found |= {n for n in names & hidden().aliases.keys() if n not in self.index.stdlib}
        return found

    def absolute(self, path: str, imported: Import) -> str:
        """The absolute name of what a file imports ("" for a relative one of no known package)."""
        if not imported.level:
            return imported.module
        name = self.index.name_of(path)
        if name is None:
            return ""
        inner = 0 if path.endswith(("/__init__.py", "/__init__.pyc")) else 1
        parts = name.split(".")
        package = parts[: len(parts) + 1 - inner - imported.level]
        return ".".join([*package, *([imported.module] if imported.module else [])])

    def is_needed(self, source: Source, imported: Import, top: str) -> bool:
        """Whether an import of the weak module ``top`` is one that a run can need: in the user's
        own code, at the top of a distribution, or wherever the table says that it counts."""
        if source.own:
            return not hidden().is_test(posixpath.basename(source.path))
        root = self.index.root_of(source.path)
        below = source.path[len(root) + 1 :] if root is not None else source.path
        if hidden().is_test(below):
            return False
        unit = self.index.unit_at(source.path)
        inside = unit is not None and unit.key in self.index.providers.get(top, {})
        is_top = "/" not in below or below.split("/")[1:] == ["__init__.py"]
        return inside or is_top or (imported.firm and hidden().weak[top])
