"""Limits that an image must keep, for CI: which of them hold, and what breaks the others."""

from __future__ import annotations

from imgslim.limits.forbidden import FORBIDDABLE as FORBIDDABLE
from imgslim.limits.forbidden import forbidden_outcomes
from imgslim.limits.measures import MEASURES
from imgslim.limits.model import Checked as Checked
from imgslim.limits.model import Facts as Facts
from imgslim.limits.model import Limits as Limits
from imgslim.limits.model import Outcome as Outcome
from imgslim.limits.model import Reason as Reason
from imgslim.limits.model import Reference as Reference
from imgslim.limits.model import Unit as Unit


def check_limits(limits: Limits, facts: Facts) -> tuple[Outcome, ...]:
    """What became of each of ``limits``: those on amounts in the order of ``MEASURES``, then the
    kinds that must not be there, in the order in which they were given."""
    amounts = [
        measure.outcome(facts, limits.amounts[measure.rule])
        for measure in MEASURES
        if measure.rule in limits.amounts
    ]
    return (*amounts, *forbidden_outcomes(limits, facts))
