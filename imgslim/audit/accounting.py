"""The account: every stored byte once, with all that is known about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace

from imgslim.audit.advice.model import Stored
from imgslim.audit.kinds import Kinds, NamedKind
from imgslim.audit.model import Cell, FileAudit, Verdict
from imgslim.audit.needed import Explain, Fate
from imgslim.audit.ownership import Ownership
from imgslim.audit.stored import Names
from imgslim.model import Entry, Origin, OriginKind

MAX_FILES = 100
"""Files that an audit lists, unless it is asked for more."""

_Key = tuple[int, str, str, str, str, Verdict]
_Ranked = tuple[int, str, int, str, NamedKind, Verdict, int]


@dataclass(frozen=True, slots=True)
class Account:
    """``cells`` in the order of layer, directory and the other fields; ``largest`` the largest
    files of the tree; ``hidden`` the stored files that are not in it; ``own`` those of the tree
    that are not in the base's layers."""

    cells: tuple[Cell, ...]
    largest: tuple[FileAudit, ...]
    hidden: tuple[Entry, ...]
    own: tuple[Stored, ...]


class Bookkeeper:
    """Enters stored files into an account, one after the other."""

    def __init__(
        self,
        ownership: Ownership,
        kinds: Kinds,
        origin_of: Callable[[str], Origin],
        fate: Fate,
        names: Names,
        under: str = "/",
        base_count: int = 0,
        max_files: int = MAX_FILES,
    ) -> None:
        self._ownership = ownership
        self._kinds = kinds
        self._origin_of = origin_of
        self._fate = fate
        self._names = names
        self._under = "" if under == "/" else under
        self._max_files = max_files
        self._sums: dict[_Key, list[int]] = {}
        self._examples: dict[_Key, tuple[int, str]] = {}
        self._largest: list[_Ranked] = []
        self._hidden: list[Entry] = []
        self._base_count = base_count
        self._own: list[Stored] = []

    def enter(self, stored: Iterable[Entry]) -> None:
        """Count ``stored``, each once."""
        names_of = self._names.of
        for entry in stored:
            names = names_of(entry)
            if not names:
                self._hidden.append(entry)
            elif not self._under or any(self._is_inside(name) for name in names):
                self._enter(entry, names)

    def enter_hidden(self, hidden: Iterable[tuple[Entry, str, NamedKind]]) -> None:
        """Count hidden files: each with its path and kind."""
        for entry, path, (kind, unit) in hidden:
            if self._is_inside(path):
                directory = path.rpartition("/")[0] or "/"
                key = (entry.layer_index, directory, "", kind, unit, Verdict.HIDDEN)
                self._add(key, entry.size_bytes, 1, path)

    def close(self, explain: Explain) -> Account:
        """The account of all that was entered."""
        cells = tuple(
            Cell(*key, size_bytes=size, file_count=count, example=self._examples[key][1])
            for key, (size, count) in sorted(self._sums.items())
        )
        ranked = sorted(self._largest, key=lambda row: (-row[0], row[1]))
        largest = tuple(
            FileAudit(
                path,
                size,
                layer_index,
                owner,
                *kind,
                verdict,
                explain(path) if verdict is Verdict.NEEDED else "",
                kept,
            )
            for size, path, layer_index, owner, kind, verdict, kept in ranked
        )
        return Account(cells, largest, tuple(self._hidden), tuple(self._own))

    @property
    def hidden(self) -> Sequence[Entry]:
        return self._hidden

    def _is_inside(self, path: str) -> bool:
        return not self._under or path == self._under or path.startswith(f"{self._under}/")

    def _enter(self, entry: Entry, names: tuple[str, ...]) -> None:
        path, owner, origin = self._stands_for(entry, names)
        directory = path[: path.rfind("/")]
        kind = self._kinds.of(path, directory, owner, origin)
        verdict = self._fate.verdict(path, names)
        size = entry.size_bytes
        key = (entry.layer_index, directory or "/", owner, *kind, verdict)
        kept = 0
        if verdict is Verdict.NEEDED:
            kept = self._fate.needed_bytes(entry)
            if kept < size:
                removable = (*key[:-1], Verdict.REMOVABLE)
                self._add(removable, size - kept, 0, path)
            self._add(key, kept, 1, path)
        else:
            self._add(key, size, 1, path)
        if entry.layer_index >= self._base_count:
            self._own.append(Stored(entry, path, owner, *kind, verdict))
        if len(self._largest) < self._max_files or size > self._largest[0][0]:
            self._rank((size, path, entry.layer_index, owner, kind, verdict, kept))

    def _stands_for(self, entry: Entry, names: tuple[str, ...]) -> tuple[str, str, Origin]:
        """The name under which a file counts, its owner and origin: of hard links one that a
        package owns, or one outside of caches, which hold links to what was installed of them."""
        if len(names) == 1:
            return self._owned(names[0], entry)
        found = [self._owned(path, entry) for path in names if self._is_inside(path)]
        return min(found, key=lambda one: (not one[1], one[2].kind is OriginKind.CACHE, one[0]))

    def _owned(self, path: str, entry: Entry) -> tuple[str, str, Origin]:
        origin = self._origin_of(path)
        owner = self._ownership.owner(path, path[: path.rfind("/")], entry, origin)
        return path, owner, origin

    def _add(self, key: _Key, size: int, count: int, path: str) -> None:
        total = self._sums.get(key)
        if total is None:
            self._sums[key] = [size, count]
            self._examples[key] = (size, path)
            return
        total[0] += size
        total[1] += count
        if size > self._examples[key][0]:
            self._examples[key] = (size, path)

    def _rank(self, row: _Ranked) -> None:
        if len(self._largest) < self._max_files:
            heappush(self._largest, row)
        else:
            heapreplace(self._largest, row)
