"""Checksums that a package database records, read when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

Checksum = tuple[str, str]
"""(algorithm as hashlib names it, lower-case hex digest)."""


class LazyChecksums(Mapping[str, Checksum]):
    """Path → checksum; ``known`` are at hand, ``load`` reads the rest at the first miss.

    Databases hold a checksum for every file of the image, and hardly any is ever asked for.
    """

    def __init__(
        self, known: Mapping[str, Checksum], load: Callable[[], Mapping[str, Checksum]]
    ) -> None:
        self._known = known
        self._load = load
        self._all: Mapping[str, Checksum] | None = None

    def __getitem__(self, path: str) -> Checksum:
        return self._known[path] if path in self._known else self._loaded()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def __len__(self) -> int:
        return len(self._loaded())

    def _loaded(self) -> Mapping[str, Checksum]:
        if self._all is None:
            self._all = {**self._load(), **self._known}
        return self._all
