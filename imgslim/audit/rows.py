"""The account by layer, kind, package and directory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from imgslim.audit.instructions import instruction
from imgslim.audit.kinds import kind_titles
from imgslim.audit.model import (
    HIDDEN,
    NOBODY,
    Cell,
    DirectoryAudit,
    KindAudit,
    LayerAudit,
    PackageAudit,
    Verdict,
    Weight,
    add_weights,
    weigh,
)
from imgslim.audit.needed import Explain
from imgslim.model import Layer
from imgslim.paths import above

K = TypeVar("K")

DIRECTORY_SHARE = 0.02
"""A directory is named when it holds this share of the tree beyond the directories named in it."""


def layer_rows(
    layers: Sequence[Layer], cells: Iterable[Cell], base_count: int, explain: Explain
) -> tuple[LayerAudit, ...]:
    """Every layer; the first ``base_count`` are the base image's."""
    groups = _group(cells, lambda cell: cell.layer_index)
    return tuple(
        LayerAudit(
            layer.index,
            layer.blob.diff_id,
            instruction(layer.blob.created_by),
            layer.blob.stored_size_bytes,
            layer.index < base_count,
            weigh(groups.get(layer.index, ())),
            why_of(groups.get(layer.index, ()), explain),
        )
        for layer in layers
    )


def kind_rows(cells: Iterable[Cell], explain: Explain) -> tuple[KindAudit, ...]:
    """The kinds that the image has, largest first, then HIDDEN."""
    titles = {**kind_titles(), HIDDEN: "(hidden by later layers)"}
    rows = [
        KindAudit(name, titles[name], weigh(group), _units(group), why_of(group, explain))
        for name, group in _group(cells, lambda cell: _or_hidden(cell, cell.kind)).items()
    ]
    return tuple(sorted(rows, key=lambda row: (row.name == HIDDEN, -row.weight.size_bytes)))


def package_rows(
    cells: Iterable[Cell],
    versions: Mapping[str, str],
    modules: Mapping[str, tuple[str, ...]],
    explain: Explain,
) -> tuple[PackageAudit, ...]:
    """The packages that own stored files, largest first, then NOBODY and HIDDEN."""
    groups = _group(cells, lambda cell: _or_hidden(cell, cell.package or NOBODY))
    rows = [
        PackageAudit(
            key, versions.get(key, ""), weigh(group), modules.get(key, ()), why_of(group, explain)
        )
        for key, group in groups.items()
    ]
    last = {NOBODY: 1, HIDDEN: 2}
    return tuple(
        sorted(rows, key=lambda row: (last.get(row.key, 0), -row.weight.size_bytes, row.key))
    )


def directory_rows(cells: Iterable[Cell], explain: Explain) -> tuple[DirectoryAudit, ...]:
    """The directories that say something: hierarchical heavy hitters over the tree of bytes.

    From the leaves up, a directory is named when what it holds beyond those already named in it
    reaches a share of the whole: so neither /usr with everything in it, nor each of a thousand
    small directories, but the places where bytes gather. The root takes what is left.
    """
    groups = _group(
        (cell for cell in cells if cell.verdict is not Verdict.HIDDEN), lambda cell: cell.directory
    )
    weights, largest = _below(groups)
    rest = {path: weight.size_bytes for path, weight in weights.items()}
    threshold = max(1.0, rest.get("/", 0) * DIRECTORY_SHARE)
    named = []
    for path in sorted(weights, key=lambda path: -path.count("/") if path != "/" else 1):
        own = rest[path]
        if own < threshold and path != "/":
            continue
        if own:
            why = explain(largest[path][1]) if largest[path][0] else ""
            named.append(DirectoryAudit(path, own, weights[path], why))
        for parent in above(path):
            rest[parent] -= own
    return tuple(sorted(named, key=lambda row: (-row.own_bytes, row.path)))


def why_of(cells: Iterable[Cell], explain: Explain) -> str:
    """What needs the largest of the needed files."""
    needed = [cell for cell in cells if cell.verdict is Verdict.NEEDED and cell.file_count]
    if not needed:
        return ""
    return explain(max(needed, key=lambda cell: (cell.size_bytes, cell.example)).example)


def _below(
    groups: Mapping[str, Sequence[Cell]],
) -> tuple[dict[str, Weight], dict[str, tuple[int, str]]]:
    """For each directory with something below it: its weight, and the largest needed cell's bytes
    and example."""
    parts: dict[str, list[Weight]] = defaultdict(list)
    largest: dict[str, tuple[int, str]] = defaultdict(lambda: (0, ""))
    for directory, group in groups.items():
        weight = weigh(group)
        most = max(
            ((c.size_bytes, c.example) for c in group if c.verdict is Verdict.NEEDED),
            default=(0, ""),
        )
        for path in (directory, *above(directory)):
            parts[path].append(weight)
            largest[path] = max(largest[path], most)
    return {path: add_weights(weights) for path, weights in parts.items()}, largest


def _or_hidden(cell: Cell, key: str) -> str:
    return HIDDEN if cell.verdict is Verdict.HIDDEN else key


def _units(cells: Iterable[Cell]) -> tuple[tuple[str, int], ...]:
    sizes: dict[str, int] = defaultdict(int)
    for cell in cells:
        sizes[cell.unit] += cell.size_bytes
    return tuple(sorted(sizes.items(), key=lambda row: (-row[1], row[0])))


def _group(cells: Iterable[Cell], key: Callable[[Cell], K]) -> dict[K, list[Cell]]:
    groups: dict[K, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[key(cell)].append(cell)
    return groups
