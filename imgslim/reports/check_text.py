"""The report of a check for people, in a terminal."""

from __future__ import annotations

from rich.console import Console, OverflowMethod

from imgslim.limits import Checked, Outcome
from imgslim.reports.check_words import (
    SHOWN_REASONS,
    advice_for,
    amounts_of,
    excepted_of,
    reason_lines,
    sentence_of,
    title_of,
)
from imgslim.reports.console import Look, cell, columns, draw, heading, indented, indented_text
from imgslim.reports.text import title_of as title_of_image
from imgslim.reports.words import count_text, size_text


def render_check(checked: Checked, look: Look) -> str:
    """The whole report of ``imgslim check``."""

    def paint(console: Console) -> None:
        console.print(cell(title_of_image(checked.image), "bold"))
        console.print(indented_text(_summary(checked)))
        if checked.reference is not None:
            size = size_text(checked.reference.size_bytes)
            console.print(indented_text(f"compared with {checked.reference.location} ({size})"))
        if checked.no_plan:
            console.print(indented_text(f"nothing is marked as needed: {checked.no_plan}"))
        _limits(console, checked)
        for outcome in checked.broken:
            _broken(console, outcome, checked, look)

    return draw(look, paint)


def _summary(checked: Checked) -> str:
    broken, count = len(checked.broken), len(checked.outcomes)
    if not broken:
        return "the limit holds" if count == 1 else f"all {count} limits hold"
    verb = "does" if broken == 1 else "do"
    return f"{broken} of {count_text(count, 'limit')} {verb} not hold"


def _limits(console: Console, checked: Checked) -> None:
    heading(console, "Limits")
    table = columns("", "limit", "found", "allowed")
    for outcome in checked.outcomes:
        found, allowed = amounts_of(outcome)
        verdict = cell("holds", "green") if outcome.holds else cell("broken", "bold red")
        name = cell(outcome.rule)
        if note := excepted_of(outcome):
            name.append("\n").append_text(cell(note, "dim"))
        table.add_row(verdict, name, cell(found), cell(allowed))
    console.print(indented(table))


def _broken(console: Console, outcome: Outcome, checked: Checked, look: Look) -> None:
    heading(console, f"{outcome.rule}: {sentence_of(outcome)}")
    console.print(indented_text(title_of(outcome), "dim"))
    shown = outcome.reasons if look.verbose else outcome.reasons[:SHOWN_REASONS]
    for reason in shown:
        first, *others = reason_lines(reason)
        _line(console, f"  {first}", look)
        for line in others:
            _line(console, f"    {line}", look, "dim")
    more = len(outcome.reasons) - len(shown)
    if more:
        console.print(cell(f"  … {more:,} more: --verbose lists them", "dim"))
    console.print(indented_text(f"→ {advice_for(outcome, checked)}"))


def _line(console: Console, text: str, look: Look, style: str = "") -> None:
    """A line, cut at the width unless everything is asked for."""
    overflow: OverflowMethod = "fold" if look.verbose else "ellipsis"
    console.print(cell(text, style), no_wrap=not look.verbose, overflow=overflow)
