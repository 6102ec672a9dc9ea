"""Amounts that can be limited, and what each of them is made of."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from imgslim.audit.model import Audit, Cell, How, LayerAudit, Undone, Verdict
from imgslim.limits.model import Facts, Outcome, Reason, Reference, Unit

GROWTH = ("max-growth", "max-growth-percent")
"""Rules that need a reference."""

REMOVABLE = ("max-removable", "max-removable-percent")
"""Rules that need a plan."""

DIVE_EFFICIENCY = "dive-lowestEfficiency"
DIVE_WASTE = "dive-highestWastedBytes"
DIVE_USER_WASTE = "dive-highestUserWastedPercent"


@dataclass(frozen=True, slots=True)
class Measure:
    """One amount: ``of`` an image, and the ``reasons`` for it. ``is_least``: the limit is the least
    that is allowed."""

    rule: str
    unit: Unit
    of: Callable[[Facts], float]
    reasons: Callable[[Facts], Iterable[Reason]]
    is_least: bool = False

    def outcome(self, facts: Facts, limit: float) -> Outcome:
        """Whether the amount keeps to ``limit``; what is no number does, as for dive."""
        found = self.of(facts)
        breaks = limit > found if self.is_least else found > limit
        reasons = sorted(self.reasons(facts), key=lambda reason: -(reason.size_bytes or 0))
        return Outcome(
            self.rule, not breaks, self.unit, limit, found, self.is_least, tuple(reasons)
        )


def group_reasons(audit: Audit, cells: Iterable[Cell]) -> Iterator[Reason]:
    """``cells`` by the layer and the package (else the unit, else the directory) of their files."""
    groups: dict[tuple[int, str, bool], list[Cell]] = defaultdict(list)
    for cell in cells:
        what = cell.package or cell.unit or cell.directory
        groups[cell.layer_index, what, cell.verdict is Verdict.HIDDEN].append(cell)
    for (index, what, is_hidden), group in groups.items():
        yield Reason(
            what,
            where=max(group, key=lambda cell: (cell.size_bytes, cell.example)).example,
            size_bytes=sum(cell.size_bytes for cell in group),
            file_count=sum(cell.file_count for cell in group),
            layer_index=index,
            instruction=audit.layers[index].instruction,
            undone="deleted or overwritten by a later layer" if is_hidden else "",
        )


def divide(part: float, whole: float) -> float:
    """As a processor divides (IEEE 754), and so Go: never an error."""
    if whole:
        return part / whole
    return math.nan if part == 0 else math.copysign(math.inf, part)


def _size(facts: Facts) -> int:
    return facts.audit.weight.size_bytes


def _waste(facts: Facts) -> int:
    return facts.audit.weight.hidden_bytes


def _removable(facts: Facts) -> int:
    return facts.audit.weight.removable_bytes


def _growth(facts: Facts) -> int:
    return _size(facts) - _reference(facts).size_bytes


def _reference(facts: Facts) -> Reference:
    assert facts.reference is not None
    return facts.reference


def _dive_user_waste(facts: Facts) -> float:
    """What dive calls wasted, of all layers but the first (dive/image/analysis.go)."""
    user = sum(layer.weight.size_bytes for layer in facts.audit.layers[1:])
    return divide(facts.audit.efficiency.dive_wasted_bytes, user)


def _layers(facts: Facts) -> Iterator[Reason]:
    return _layer_reasons(facts.audit.layers)


def _new_layers(facts: Facts) -> Iterator[Reason]:
    known = _reference(facts).diff_ids
    return _layer_reasons(layer for layer in facts.audit.layers if layer.diff_id not in known)


def _layer_reasons(layers: Iterable[LayerAudit]) -> Iterator[Reason]:
    for layer in layers:
        if layer.weight.size_bytes:
            yield Reason(
                size_bytes=layer.weight.size_bytes,
                file_count=layer.weight.file_count,
                layer_index=layer.index,
                instruction=layer.instruction,
            )


def _wasted(facts: Facts) -> Iterator[Reason]:
    for row in facts.audit.undone:
        yield Reason(
            where=row.example,
            size_bytes=row.size_bytes,
            file_count=row.file_count,
            layer_index=row.layer_index,
            instruction=facts.audit.layers[row.layer_index].instruction,
            undone=_undone(facts.audit, row),
        )


_UNDONE = {
    How.DELETED: "deleted",
    How.OVERWRITTEN: "overwritten",
    How.CHANGED: "stored again with another mode or owner",
    How.REPEATED: "stored again unchanged",
}


def _undone(audit: Audit, row: Undone) -> str:
    if row.by_layer is None:
        return _UNDONE[row.how]
    by = audit.layers[row.by_layer].instruction
    return f"{_UNDONE[row.how]} by layer {row.by_layer}" + (f": {by}" if by else "")


def _removable_reasons(facts: Facts) -> Iterator[Reason]:
    cells = (cell for cell in facts.audit.cells if cell.verdict is Verdict.REMOVABLE)
    return group_reasons(facts.audit, cells)


def _percent(part: Callable[[Facts], int], whole: Callable[[Facts], int]) -> Callable[..., float]:
    return lambda facts: 100 * divide(part(facts), whole(facts))


MEASURES = (
    Measure("max-size", Unit.BYTES, _size, _layers),
    Measure("max-growth", Unit.BYTES, _growth, _new_layers),
    Measure(
        "max-growth-percent",
        Unit.PERCENT,
        _percent(_growth, lambda facts: _reference(facts).size_bytes),
        _new_layers,
    ),
    Measure("max-waste", Unit.BYTES, _waste, _wasted),
    Measure("max-waste-percent", Unit.PERCENT, _percent(_waste, _size), _wasted),
    Measure(
        "min-efficiency",
        Unit.RATIO,
        lambda facts: facts.audit.efficiency.score,
        _wasted,
        is_least=True,
    ),
    Measure("max-removable", Unit.BYTES, _removable, _removable_reasons),
    Measure("max-removable-percent", Unit.PERCENT, _percent(_removable, _size), _removable_reasons),
    Measure(
        DIVE_EFFICIENCY,
        Unit.RATIO,
        lambda facts: facts.audit.efficiency.dive_score,
        _wasted,
        is_least=True,
    ),
    Measure(
        DIVE_WASTE,
        Unit.BYTES,
        lambda facts: facts.audit.efficiency.dive_wasted_bytes,
        _wasted,
    ),
    Measure(DIVE_USER_WASTE, Unit.RATIO, _dive_user_waste, _wasted),
)
"""All of them, in the order of reports."""
