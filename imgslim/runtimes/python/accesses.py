"""What sources ask of packages that load their members when asked (PEP 562)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgslim.rootfs import Rootfs
from imgslim.runtimes.python.facts import Facts, attributes_in
from imgslim.runtimes.python.search import Search, Source


@dataclass(frozen=True, slots=True)
class LazyPackage:
    """A package that answers for more than it defines."""

    name: str
    search: Search
    source: Source
    facts: Facts


Asked = tuple[LazyPackage, str, str]
"""Of which package, for which attribute, the file that asks."""


class Accesses:
    """Who asks for what, and which packages are lazy; each question is given once, when both are
    known."""

    def __init__(self, rootfs: Rootfs) -> None:
        self._rootfs = rootfs
        self._askers: dict[str, dict[str, dict[str, None]]] = {}
        self._lazy: dict[str, LazyPackage] = {}
        self._asked: set[tuple[str, str]] = set()
        self._attributes: dict[str, frozenset[str]] = {}

    def add_package(self, package: LazyPackage) -> Iterator[Asked]:
        """What has been asked of a package that turns out to be lazy."""
        self._lazy.setdefault(package.name, package)
        for attribute, askers in tuple(self._askers.get(package.name, {}).items()):
            for because in tuple(askers):
                yield from self._ask(package.name, attribute, because)

    def note(self, name: str, because: str) -> Iterator[Asked]:
        """Somebody asks, by its text, for each part of a dotted name from the part before it."""
        parts = name.split(".")
        for depth in range(1, len(parts)):
            package, attribute = ".".join(parts[:depth]), parts[depth]
            askers = self._askers.setdefault(package, {}).setdefault(attribute, {})
            if because not in askers:
                askers[because] = None
                if package in self._lazy:
                    yield from self._ask(package, attribute, because)

    def _ask(self, name: str, attribute: str, because: str) -> Iterator[Asked]:
        package = self._lazy[name]
        known = attribute in package.facts.bound or attribute.startswith("__")
        if known or (name, attribute) in self._asked or because == package.source.path:
            return
        if attribute in self._attributes_of(because):
            self._asked.add((name, attribute))
            yield package, attribute, because

    def _attributes_of(self, path: str) -> frozenset[str]:
        """What a source really asks for: not in its comments or texts."""
        if path not in self._attributes:
            entry = self._rootfs.get(path)
            data = self._rootfs.read_bytes(entry) if entry is not None else b""
            self._attributes[path] = attributes_in(data)
        return self._attributes[path]
