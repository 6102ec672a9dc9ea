"""What became of limits in words: what the reports of a check share."""

from __future__ import annotations

import math
from collections.abc import Iterator

from imgslim.dirt import DirtKind
from imgslim.limits import Checked, Outcome, Reason, Unit
from imgslim.limits.forbidden import kind_of
from imgslim.reports.dirt_text import ADVICE
from imgslim.reports.words import count_text, printable, size_text
from imgslim.sources.reference import repository

SHOWN_REASONS = 5
"""Reasons of one limit, unless everything is asked for."""

_TITLES = {
    "max-size": "size of all layers",
    "max-growth": "growth since the reference",
    "max-growth-percent": "growth since the reference, in per cent of it",
    "max-waste": "bytes that a later layer deletes or overwrites",
    "max-waste-percent": "bytes that a later layer deletes or overwrites, in per cent of all",
    "min-efficiency": "share of the stored bytes that is in use",
    "max-removable": "bytes that a slim image leaves out",
    "max-removable-percent": "bytes that a slim image leaves out, in per cent of all",
    "dive-lowestEfficiency": "efficiency as dive counts it",
    "dive-highestWastedBytes": "wasted bytes as dive counts them",
    "dive-highestUserWastedPercent": "wasted bytes as dive counts them, by those above layer 0",
}


def title_of(outcome: Outcome) -> str:
    """What the rule is about."""
    kind = kind_of(outcome.rule)
    if not kind:
        return _TITLES[outcome.rule]
    what = "findings" if outcome.unit is Unit.FINDINGS else "files"
    return f"{what} of the kind {kind}"


def amounts_of(outcome: Outcome) -> tuple[str, str]:
    """What was found and what is allowed: ``154.5 MB``, ``at most 100.0 MB``."""
    if kind_of(outcome.rule):
        return _count(outcome), "none"
    found, limit = (_amount(outcome.unit, value) for value in (outcome.found, outcome.limit))
    if found == limit and outcome.found != outcome.limit:
        # Alike when rounded: then to the last digit.
        found, limit = (_exact(outcome.unit, value) for value in (outcome.found, outcome.limit))
    return found, f"at {'least' if outcome.is_least else 'most'} {limit}"


def sentence_of(outcome: Outcome) -> str:
    """Both in one: ``154.5 MB, at most 100.0 MB``; ``3 files, none allowed``."""
    found, allowed = amounts_of(outcome)
    return f"{found}, {f'{allowed} allowed' if kind_of(outcome.rule) else allowed}"


def excepted_of(outcome: Outcome) -> str:
    """What does not count, or ""."""
    if not outcome.excepted:
        return ""
    if outcome.unit is Unit.FILES:
        return f"{count_text(outcome.excepted, 'file')} that a slim image needs not counted"
    return f"{count_text(outcome.excepted, 'finding')} that packages brought not counted"


def reason_text(reason: Reason) -> str:
    """All in one line."""
    return "; ".join(reason_lines(reason))


def reason_lines(reason: Reason) -> list[str]:
    """``18.2 MB: deb:coreutils, 264 files, /usr/bin/du``, of a finding also what becomes of it in
    the slim image; then what made the layer, and what became of it."""
    where = f"{reason.where}:{reason.line}" if reason.line else reason.where
    files = count_text(reason.file_count, "file") if reason.file_count > 1 else ""
    text = ", ".join(part for part in (reason.what, files, where, reason.verdict) if part)
    size = "" if reason.size_bytes is None else size_text(reason.size_bytes)
    lines = (": ".join(part for part in (size, text) if part), _layer(reason), reason.undone)
    return [printable(line) for line in lines if line]


def _layer(reason: Reason) -> str:
    if reason.layer_index is None:
        return reason.instruction
    made_by = f": {reason.instruction}" if reason.instruction else ""
    return f"layer {reason.layer_index}{made_by}"


def advice_for(outcome: Outcome, checked: Checked) -> str:
    """What to do next."""
    image, kind = checked.location, kind_of(outcome.rule)
    if kind in list(DirtKind):
        return ADVICE.get(DirtKind(kind), f"imgslim audit {image} tells more")
    if kind:
        return f"imgslim audit {image} --by kind tells more, imgslim rewrite leaves it out"
    if outcome.rule.startswith("max-growth") and checked.reference:
        return f"imgslim diff {checked.reference.location} {image} tells what brought it"
    if outcome.rule.startswith("max-removable"):
        return f"imgslim rewrite {image} leaves it out"
    return f"imgslim audit {image} tells more"


def name_of(checked: Checked) -> str:
    """The image without its tag, which may be another in each run."""
    return printable(repository(checked.image.reference)) or "image"


def broken_lines(checked: Checked) -> str:
    """The limits that do not hold, with the first reasons: what a log is to have when the report
    is elsewhere."""
    return "".join(f"{line}\n" for outcome in checked.broken for line in _lines(outcome, checked))


def _lines(outcome: Outcome, checked: Checked) -> Iterator[str]:
    name = printable(checked.image.reference)
    yield f"imgslim: {name}: {outcome.rule}: {sentence_of(outcome)}"
    for reason in outcome.reasons[:SHOWN_REASONS]:
        yield f"  {reason_text(reason)}"


def _count(outcome: Outcome) -> str:
    noun = "finding" if outcome.unit is Unit.FINDINGS else "file"
    return count_text(int(outcome.found), noun) if outcome.found else "none"


def _amount(unit: Unit, value: float) -> str:
    if not math.isfinite(value):
        return "nothing" if math.isnan(value) else "everything"
    if unit is Unit.BYTES:
        return size_text(int(value))
    return f"{value:.1f} %" if unit is Unit.PERCENT else f"{value:.3f}"


def _exact(unit: Unit, value: float) -> str:
    if unit is Unit.BYTES:
        return f"{int(value):,} B"
    return f"{value!r} %" if unit is Unit.PERCENT else repr(value)
