"""The report of a check for programs (docs/json.md)."""

from __future__ import annotations

import math

from imgslim.limits import Checked, Outcome
from imgslim.reports.json import Row, document_head, fields_of, render_document


def render_check(checked: Checked) -> str:
    """The document of ``imgslim check --format json``; it has every reason."""
    head = document_head("check", checked.image)
    return render_document({**head, "check": check_document(checked)})


def check_document(checked: Checked) -> Row:
    """A check as plain data."""
    reference = checked.reference
    against = (
        None
        if reference is None
        else {"reference": reference.location, "size_bytes": reference.size_bytes}
    )
    return {
        "holds": not checked.broken,
        "against": against,
        "no_plan": checked.no_plan,
        "limits": [_limit(outcome) for outcome in checked.outcomes],
    }


def _limit(outcome: Outcome) -> Row:
    return {
        **fields_of(outcome),
        # JSON has no infinite numbers.
        "found": outcome.found if math.isfinite(outcome.found) else None,
        "reasons": [fields_of(reason) for reason in outcome.reasons],
    }
