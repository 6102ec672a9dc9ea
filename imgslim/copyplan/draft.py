"""Walk the kept tree into a draft of its steps: what each directory's shape leaves to be copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby

from imgslim.copyplan.choice import Choice, Kept, Shape, choose_shapes
from imgslim.copyplan.steps import Content, PlainCopy
from imgslim.model import Entry, Group, Keep

MAX_COPIES = 60
"""COPY instructions of one kind: an image of 129 layers builds and does not run (trap 19)."""

COPY_BYTES = 50_000
"""Names in one COPY: an instruction has 65,535 bytes (trap 24), some for what escapes them."""

_LINE_COSTS = (6, 12, 25, 50, 100, 400)


@dataclass(slots=True)
class Draft:
    """The steps while the tree is walked."""

    files: dict[tuple[str, Group], list[Keep]] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)
    trees: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    loose: list[Keep] = field(default_factory=list)
    directories: list[Entry] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)


def draft_steps(kept: Kept, *, can_prune: bool) -> Draft:
    """The tree written as cheaply as it can be with a bearable number of COPY lines. Without
    ``can_prune`` no directory is copied less what is dropped of it."""
    for line_cost in _LINE_COSTS:
        choices = choose_shapes(kept, line_cost=line_cost, can_prune=can_prune)
        draft = Draft()
        _walk(kept, choices, "/", draft)
        if len(draft.whole) <= MAX_COPIES and len(draft.trees) <= MAX_COPIES:
            break
    return draft


def _walk(kept: Kept, choices: dict[str, Choice], path: str, draft: Draft) -> None:
    entry = kept.keeps[path].entry
    match choices[path].shape:
        case Shape.WHOLE:
            draft.whole.append(path)
        case Shape.PRUNED:
            draft.trees.append((path, tuple(kept.removed_below(path))))
            draft.directories += kept.pruned_directories(path)
        case Shape.SPLIT:
            for keep in kept.children(path):
                if keep.entry.is_directory:
                    _walk(kept, choices, keep.entry.path, draft)
                elif kept.is_plain(keep.entry):
                    draft.files.setdefault((path, keep.group), []).append(keep)
                elif kept.is_hidden(keep.entry.path):
                    draft.lost.append(keep.entry)
                else:
                    draft.loose.append(keep)
    if path != "/":
        draft.directories.append(entry)


def plain_copies(kept: Kept, draft: Draft) -> list[PlainCopy]:
    """The COPY lines of a draft: of files by directory and group, then of whole directories."""
    return [*_file_copies(draft), *_directory_copies(kept, draft)]


def _file_copies(draft: Draft) -> list[PlainCopy]:
    return [
        PlainCopy(tuple(keep.entry.path for keep in part), False, contents_of(part))
        for keeps in filter(None, draft.files.values())
        for part in _parts(keeps)
    ]


def _parts(keeps: Sequence[Keep]) -> Iterator[list[Keep]]:
    """Cut a list of files into what one instruction can hold."""
    used = [0, *accumulate(len(keep.entry.path.encode("utf-8", "replace")) + 3 for keep in keeps)]
    for _, part in groupby(zip(used, keeps, strict=False), key=lambda p: p[0] // COPY_BYTES):
        yield [keep for _, keep in part]


def _directory_copies(kept: Kept, draft: Draft) -> list[PlainCopy]:
    return [PlainCopy((path,), True, tree_contents(kept, path)) for path in draft.whole]


def tree_contents(kept: Kept, path: str) -> tuple[Content, ...]:
    """What a directory brings, all below it included."""
    return contents_of([kept.keeps[path], *kept.below(path)])


def contents_of(keeps: Sequence[Keep]) -> tuple[Content, ...]:
    """Count files by reason; directories and links speak only where there is no file."""
    counts: dict[tuple[Group, str], list[int]] = {}
    inodes: set[int] = set()
    for keep in [keep for keep in keeps if keep.entry.is_file] or keeps:
        row = counts.setdefault((keep.group, keep.reason), [0, 0])
        row[0] += keep.entry.is_file
        if keep.entry.inode not in inodes:
            row[1] += keep.entry.size_bytes if keep.content is None else keep.size_bytes
        inodes.add(keep.entry.inode)
    contents = [Content(*key, *row) for key, row in counts.items()]
    contents.sort(key=lambda c: (-c.size_bytes, -c.file_count, c.group.name, c.reason))
    return tuple(contents)
