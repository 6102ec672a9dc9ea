"""Choose for each kept directory how it is cheapest to write: whole, pruned, or split.

The cost is words that a reader sees: a COPY line costs several, a path on a line one. Each
directory takes the cheapest of what is exact for it, bottom-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from imgslim.copyplan.patterns import is_versioned, may_vanish
from imgslim.copyplan.words import is_copy_word, is_shell_word
from imgslim.model import Entry, Group, Keep, paths_by_inode
from imgslim.rootfs import Rootfs


class Shape(Enum):
    """How a directory is written."""

    WHOLE = "one plain COPY"
    PRUNED = "copied into the gathered tree, less what is dropped"
    SPLIT = "its files by name, its directories each as they choose"


@dataclass(frozen=True, slots=True)
class Choice:
    """The cheapest shape of a directory, with what it costs and how much is dropped below it.
    ``strips``: whether a file in it or below is stripped."""

    shape: Shape
    cost: int
    removed: int
    pruned_directories: int
    strips: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept part of a merged tree, as the choice asks it.

    ``torn`` are directories whose content has a hard link outside them: such a directory cannot
    be copied by itself. ``hidden`` are trees that a running stage does not see as they are.
    ``stripped`` are files that the build strips, or cuts, once they are gathered. ``lasting``:
    the steps are to suit later builds as well, in which names carry other versions.
    """

    rootfs: Rootfs
    keeps: dict[str, Keep]
    linked: frozenset[int]
    torn: frozenset[str]
    hidden: tuple[str, ...]
    mounted_files: frozenset[str]
    stripped: frozenset[str] = frozenset()
    lasting: bool = False

    @classmethod
    def of(
        cls,
        rootfs: Rootfs,
        keeps: Iterable[Keep],
        *,
        hidden: Sequence[str],
        mounted_files: frozenset[str],
        stripped: frozenset[str] = frozenset(),
        lasting: bool = False,
    ) -> Kept:
        by_path = {keep.entry.path: keep for keep in keeps}
        files = [keep.entry for keep in by_path.values() if keep.entry.is_file]
        counts = Counter(entry.inode for entry in files)
        names = paths_by_inode(entry for entry in files if counts[entry.inode] > 1)
        torn = frozenset(path for group in names.values() for path in _torn_by(group))
        linked = frozenset(names)
        return cls(rootfs, by_path, linked, torn, tuple(hidden), mounted_files, stripped, lasting)

    def children(self, path: str) -> Iterator[Keep]:
        """The kept children of a directory, by name."""
        prefix = "" if path == "/" else path
        for name in self.rootfs.children(path):
            keep = self.keeps.get(f"{prefix}/{name}")
            if keep is not None:
                yield keep

    def below(self, path: str) -> Iterator[Keep]:
        """Everything kept below a directory."""
        for keep in self.children(path):
            yield keep
            if keep.entry.is_directory:
                yield from self.below(keep.entry.path)

    def removed_below(self, path: str) -> Iterator[str]:
        """The topmost paths below a kept directory that are not kept."""
        for name in self.rootfs.children(path):
            child = f"{path}/{name}"
            keep = self.keeps.get(child)
            if keep is None:
                yield child
            elif keep.entry.is_directory:
                yield from self.removed_below(child)

    def pruned_directories(self, path: str) -> Iterator[Entry]:
        """The kept directories below ``path`` whose time changes: they lose a child, or strip
        writes beside one."""
        for keep in self.children(path):
            if keep.entry.is_directory:
                yield from self.pruned_directories(keep.entry.path)
                if self.dropped_children(keep.entry.path) or self.stripped_children(
                    keep.entry.path
                ):
                    yield keep.entry

    def dropped_children(self, path: str) -> list[str]:
        """The children of a directory that are not kept."""
        prefix = "" if path == "/" else path
        children = (f"{prefix}/{name}" for name in self.rootfs.children(path))
        return [child for child in children if child not in self.keeps]

    def stripped_children(self, path: str) -> bool:
        """Whether a directory itself holds a file that the build strips."""
        return any(keep.entry.path in self.stripped for keep in self.children(path))

    def is_linked(self, entry: Entry) -> bool:
        """Whether another kept name leads to the same file."""
        return entry.inode in self.linked

    def is_hidden(self, path: str) -> bool:
        """Whether a stage that RUNs sees a mount or volume in place of this path."""
        return any(below_or_same(path, top) for top in self.hidden)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """All that a running stage does not see as it is."""
        return (*self.hidden, *sorted(self.mounted_files))

    def is_renamed(self, path: str) -> bool:
        """Whether a later build has this directory under another name, or not at all."""
        return self.lasting and (is_versioned(path) or may_vanish(path))

    def grows(self, path: str) -> bool:
        """Whether a later build may have further files in this directory: those of the app, of
        its dependencies and of the language."""
        return self.lasting and any(keep.group in _GROWING for keep in self.children(path))

    def is_plain(self, entry: Entry) -> bool:
        """Whether a COPY that names this entry is exact.

        A named link is followed, a further name of a file becomes a second file, and the legacy
        builder drops the capability of a named file (not of one in a copied directory).
        """
        if not entry.is_file or not is_copy_word(entry.path):
            return False
        if entry.path in self.mounted_files:
            return True
        if entry.path in self.stripped:
            return False
        has_capability = any(name == "security.capability" for name, _ in entry.xattrs)
        return not has_capability and not self.is_linked(entry)


def is_changed(keep: Keep) -> bool:
    """Whether the build changes a file once it is gathered: strips it, or cuts it."""
    return bool(keep.strip) or keep.content is not None


def below_or_same(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def _torn_by(names: Sequence[str]) -> Iterator[str]:
    """The directories that hold some but not all of one file's names."""
    parents = [_ancestors(name) for name in names]
    shared = set.intersection(*map(set, parents))
    for chain in parents:
        yield from (path for path in chain if path not in shared)


def _ancestors(path: str) -> list[str]:
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[:depth]) for depth in range(len(parts) + 1)]


_NEVER = 1 << 40

_GROWING = (Group.APP, Group.DEPENDENCY, Group.RUNTIME)

_NAME_COST = 4
"""Words that a name costs where a later build may have further ones beside it."""


def choose_shapes(kept: Kept, *, line_cost: int, can_prune: bool) -> dict[str, Choice]:
    """A choice for every kept directory that a walk from the root can reach.

    ``line_cost`` is the price of a COPY line in words. Without ``can_prune`` a directory is whole
    or split.
    """
    choices: dict[str, Choice] = {}
    _choose(kept, "/", line_cost, can_prune, choices)
    return choices


def _choose(
    kept: Kept, path: str, line_cost: int, can_prune: bool, choices: dict[str, Choice]
) -> Choice:
    words, removed, pruned = 1 + _file_words(kept, path, line_cost), 0, 0
    strips = own_strips = kept.stripped_children(path)
    for keep in kept.children(path):
        if keep.entry.is_directory:
            below = _choose(kept, keep.entry.path, line_cost, can_prune, choices)
            words += below.cost
            removed += below.removed
            pruned += below.pruned_directories
            strips |= below.strips
    dropped = kept.dropped_children(path)
    removed += len(dropped)
    pruned += bool(dropped) or own_strips
    options = [(words, Shape.SPLIT)]
    if path not in kept.torn and is_copy_word(path) and not kept.is_renamed(path):
        entry = kept.keeps[path].entry
        if removed == 0 and not strips and (entry.mode, entry.uid, entry.gid) == (0o755, 0, 0):
            options.append((0 if kept.grows(path) else line_cost // 2, Shape.WHOLE))
        if can_prune and path != "/":
            price = line_cost + 1 + removed + pruned if removed or not kept.grows(path) else 1
            options.append((price if all(map(is_shell_word, dropped)) else _NEVER, Shape.PRUNED))
    cost, shape = min(options, key=lambda option: (option[0], option[1] is Shape.PRUNED))
    choices[path] = Choice(shape, cost, removed, pruned, strips)
    return choices[path]


def _file_words(kept: Kept, path: str, line_cost: int) -> int:
    """What a directory's own files, links and the like cost when they are named."""
    words = 0
    groups = set()
    for keep in kept.children(path):
        if keep.entry.is_directory:
            continue
        words += _NAME_COST if kept.lasting and keep.group in _GROWING else 1
        if kept.is_plain(keep.entry):
            groups.add(keep.group)
        elif kept.is_hidden(path):
            words += _NEVER
    return words + line_cost // 2 * len(groups)
