"""The layers of two images side by side: which instruction is the same, which came, which grew."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from imgslim.audit import instruction
from imgslim.comparison.changes import How, LayerChange, LayerSide
from imgslim.comparison.sides import Scope, Side
from imgslim.model import Entry, Kind, Layer, unique_size_bytes

_SAME_TAR, _SAME_WORDS, _LIKE_WORDS = 4.0, 2.0, 1.0
"""What two layers are worth that stand for each other: the same bytes, the same instruction, or
one that was edited."""

_LEAST_LIKENESS = 0.5
"""Words that two instructions have in common, of those that each has, to be one that was edited."""

_Pair = tuple[LayerSide | None, LayerSide | None]


def compare_layers(
    before: Sequence[LayerSide],
    after: Sequence[LayerSide],
    known_bytes: Sequence[int],
    repeated_bytes: Sequence[int],
) -> tuple[LayerChange, ...]:
    """Every layer of both images, in the order of both; the last two are for each layer after."""
    return tuple(
        _change(one, two, known_bytes, repeated_bytes) for one, two in align(before, after)
    )


def layer_sides(side: Side, scope: Scope) -> tuple[LayerSide, ...]:
    """The layers of an image, each with its bytes in ``scope``."""
    alive = {entry.inode for entry in side.rootfs.entries.values() if entry.is_file}
    return tuple(_side(layer, _files(layer, side, scope), alive) for layer in side.layers)


def known_bytes(side: Side, after: Iterable[Entry], same: Container[str]) -> tuple[int, ...]:
    """For each layer of the image after, the bytes of its files among ``after`` whose paths are in
    ``same``: that have the content that they have in the image before."""
    of_layer: list[list[Entry]] = [[] for _ in side.layers]
    for entry in after:
        if entry.path in same:
            of_layer[entry.layer_index].append(entry)
    return tuple(unique_size_bytes(entries) for entries in of_layer)


def _files(layer: Layer, side: Side, scope: Scope) -> list[Entry]:
    files = [entry for entry in layer.entries if entry.kind is Kind.FILE]
    if scope.is_everything:
        return files
    return [entry for entry in files if side.rootfs.canonical(entry.path) in scope]


def _side(layer: Layer, files: Iterable[Entry], alive: Container[int]) -> LayerSide:
    size_bytes = hidden_bytes = 0
    for entry in files:
        size_bytes += entry.size_bytes
        hidden_bytes += 0 if entry.inode in alive else entry.size_bytes
    words = instruction(layer.blob.created_by)
    return LayerSide(layer.index, layer.blob.diff_id, words, size_bytes, hidden_bytes)


def _change(
    one: LayerSide | None,
    two: LayerSide | None,
    known_bytes: Sequence[int],
    repeated_bytes: Sequence[int],
) -> LayerChange:
    growth = (two.size_bytes if two else 0) - (one.size_bytes if one else 0)
    if one is not None and two is not None and _is_same_tar(one, two):
        return LayerChange(How.SAME, one, two, growth, two.size_bytes, 0)
    how = How.ADDED if one is None else How.REMOVED if two is None else How.CHANGED
    known = known_bytes[two.index] if two else 0
    repeated = repeated_bytes[two.index] if two else 0
    return LayerChange(how, one, two, growth, known, repeated)


def align(before: Sequence[LayerSide], after: Sequence[LayerSide]) -> list[_Pair]:
    """The layers in pairs, in the order of both images, so that as much as can be stands for each
    other (Needleman and Wunsch's alignment; what stands for nothing is in a pair with None)."""
    shared = 0
    while shared < min(len(before), len(after)) and _is_same_tar(before[shared], after[shared]):
        shared += 1
    base: list[_Pair] = list(zip(before[:shared], after[:shared], strict=True))
    return base + _align_rest(before[shared:], after[shared:])


def _align_rest(before: Sequence[LayerSide], after: Sequence[LayerSide]) -> list[_Pair]:
    worth = [[_worth(one, two) for two in after] for one in before]
    best = [[0.0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i in range(len(before) - 1, -1, -1):
        for j in range(len(after) - 1, -1, -1):
            both = worth[i][j] + best[i + 1][j + 1] if worth[i][j] else 0.0
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    pairs: list[_Pair] = []
    i = j = 0
    while i < len(before) and j < len(after):
        if worth[i][j] and best[i][j] == worth[i][j] + best[i + 1][j + 1]:
            pairs.append((before[i], after[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((before[i], None))
            i += 1
        else:
            pairs.append((None, after[j]))
            j += 1
    gone: list[_Pair] = [(one, None) for one in before[i:]]
    new: list[_Pair] = [(None, two) for two in after[j:]]
    return pairs + gone + new


def _worth(one: LayerSide, two: LayerSide) -> float:
    """How well ``two`` stands for ``one``; 0 where it is another instruction."""
    likeness = _likeness(one.instruction, two.instruction)
    if _is_same_tar(one, two):
        return _SAME_TAR + likeness
    if not one.instruction or likeness < _LEAST_LIKENESS:
        return 0.0
    return likeness + (_SAME_WORDS if one.instruction == two.instruction else _LIKE_WORDS)


def _is_same_tar(one: LayerSide, two: LayerSide) -> bool:
    return one.diff_id == two.diff_id != ""


def _likeness(one: str, two: str) -> float:
    """The words of two instructions that they have in common (Dice's coefficient); 0 for two of
    different kinds: a COPY never stands for a RUN."""
    words, others = one.split(), two.split()
    if words[:1] != others[:1]:
        return 0.0
    total = len(set(words)) + len(set(others))
    return 2 * len(set(words) & set(others)) / total if total else 1.0
