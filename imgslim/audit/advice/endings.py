"""What a RUN leaves behind, and the command that it should end with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imgslim.audit.advice.model import Draft, Stored, shares_of
from imgslim.audit.advice.steps import Step
from imgslim.audit.model import AdviceKind


def at_end(step: Step, command: str) -> str:
    """The edit that has the RUN of ``step`` end with ``command``; where the history does not say
    which RUN made the layer, in words."""
    where = f"to {step.name}" if step.is_run else "to the RUN that makes them"
    return f"add `{command}` {where}, at its end"


def left_behind(
    step: Step, what: str, edit: str, files: Iterable[Stored], paths: Sequence[str]
) -> Draft:
    """The advice on ``what`` is left: ``edit`` takes away ``files``, which are at ``paths``."""
    return Draft(
        AdviceKind.CLEAN,
        f"{step.name} leaves {what}",
        edit,
        shares_of(files),
        layer_index=step.layer_index,
        instruction=step.text,
        paths=tuple(paths),
    )
