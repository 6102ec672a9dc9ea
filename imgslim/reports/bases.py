"""What another image holds of a plan, and which one would be the best base, in lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from imgslim.bases import Overlay, held_bytes
from imgslim.bases.proposals import Proposal
from imgslim.model import Plan
from imgslim.reports.words import count_text, printable, size_text


def render_overlay(overlay: Overlay, plan: Plan) -> str:
    """One line: what the base holds of ``plan``, what is copied over it, and the sum."""
    held = count_text(len(overlay.held), "path")
    return (
        f"upon {printable(overlay.base.image.reference)} "
        f"({size_text(overlay.base.size_bytes)}): {held} held, {size_text(held_bytes(overlay))}; "
        f"{size_text(overlay.copied_bytes)} copied; {size_text(overlay.size_bytes)} in all, "
        f"{size_text(plan.slim_size_bytes)} from scratch\n"
    )


def render_proposals(proposals: Sequence[Proposal], plan: Plan) -> str:
    """The compared images as a table, the best first."""
    if not proposals:
        return "no image of the engine is small enough to be a base: built from scratch\n"
    rows: list[tuple[str, ...]] = [("base", "its bytes", "copied", "sum", "")]
    rows += [
        (printable(one.reference), size_text(one.base_bytes), "", "", printable(one.reason))
        if one.reason
        else (
            printable(one.reference),
            *map(size_text, (one.base_bytes, one.copied_bytes, one.size_bytes)),
            "",
        )
        for one in proposals
    ]
    slim = size_text(plan.slim_size_bytes)
    rows.append(("scratch", size_text(0), slim, slim, ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = (
        "  ".join(
            [row[0].ljust(widths[0]), *(row[n].rjust(widths[n]) for n in (1, 2, 3)), row[4]]
        ).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)
