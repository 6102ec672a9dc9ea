"""How much of what is stored is in the tree, and why dive says something else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from imgslim.audit.dive import Counted, DiveCount, count_as_dive
from imgslim.audit.model import Efficiency, Miscount
from imgslim.audit.stored import Names, stored_files
from imgslim.model import Layer

DELETED_DIRECTORY = "a deleted directory counts again, beside the files that were in it"
SMALLEST_COPY = "of several copies the smallest counts as the one in use, which is larger"
UNSEEN = (
    "hidden by a directory's deletion, an opaque directory or a link, which dive does not follow"
)
STILL_USED = "deleted at this path in one layer, in use all the same: stored again, or hard-linked"
TWICE = "stored twice by one layer, of which dive knows the last"
UNREAD = "in a layer that dive stops reading, at the deletion of what it does not find"


def measure_efficiency(layers: Sequence[Layer], names: Names) -> Efficiency:
    """The score of an image, and dive's with the bytes that make the difference.

    The score is the share of the stored bytes that are in the merged tree. dive's is right for a
    file that is deleted, and for one that is overwritten by as many bytes. It counts twice:

    - a directory that is deleted: its bytes are stored again in the denominator at the directory's
      own path, and, since one leaf alone has that path, they are useful there, as are those of the
      files in it (``DELETED_DIRECTORY``, ``UNSEEN``);
    - a file that is overwritten by a larger one: of the one in use only as many bytes are useful as
      the smallest copy has (``SMALLEST_COPY``); and ``dive_wasted_bytes`` has the one in use, too.

    It does not count what opaque directories and links hide (``UNSEEN``), and takes for wasted what
    a hard link still uses (``STILL_USED``). ``TWICE`` and ``UNREAD`` are rarer.
    """
    stored = tree = 0
    living: dict[str, int] = {}
    held: dict[str, int] = {}
    asked = _asked(layers, names)
    for entry in stored_files(layers):
        in_use = bool(names.of(entry))
        stored += entry.size_bytes
        tree += entry.size_bytes if in_use else 0
        if entry.path in asked:
            held[entry.path] = held.get(entry.path, 0) + entry.size_bytes
            living[entry.path] = living.get(entry.path, 0) + in_use * entry.size_bytes
    dive = count_as_dive(layers, asked)
    lost = dive.unread - asked
    for entry in stored_files(layers) if lost else ():
        if entry.path in lost:
            held[entry.path] = living[entry.path] = entry.size_bytes
    miscounts = tuple(_miscounts(dive, held, living))
    return Efficiency(
        tree,
        stored,
        tree + sum(row.useful_bytes for row in miscounts),
        stored + sum(row.stored_bytes for row in miscounts),
        sum(counted.sum_bytes for counted in dive.paths.values() if counted.leaves > 1),
        miscounts,
    )


def _asked(layers: Sequence[Layer], names: Names) -> Set[str]:
    """The paths at which dive may count otherwise, and some more: those of several members, of
    whiteouts, and of hidden files."""
    asked = {path for layer in layers for path in layer.whiteouts}
    in_tree = names.entries.get
    for layer in layers:
        # What is in the tree as its layer has it is the last member of its path.
        asked.update([e.path for e in layer.entries if in_tree(e.path) is not e])
    return asked


def _miscounts(dive: DiveCount, held: dict[str, int], living: dict[str, int]) -> Iterable[Miscount]:
    for path in sorted({*dive.paths, *held}):
        counted = dive.paths.get(path, Counted())
        useful = counted.least_bytes - living.get(path, 0)
        stored = counted.sum_bytes - held.get(path, 0)
        if useful or stored:
            why = UNREAD if path in dive.unread else _why(counted, useful)
            yield Miscount(path, useful, stored, why)


def _why(counted: Counted, useful_bytes: int) -> str:
    if counted.deleted_bytes:
        return DELETED_DIRECTORY
    if useful_bytes > 0:
        return UNSEEN
    if useful_bytes < 0:
        return STILL_USED if counted.is_deleted else SMALLEST_COPY
    return TWICE
