"""Advice for people: each edit with what it saves, the most first."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imgslim.audit.model import Advice, Audit
from imgslim.reports.audit_tables import View
from imgslim.reports.console import Look, cell, heading, indented, indented_text
from imgslim.reports.words import count_text, markdown_text, printable, size_text

SHOWN_PACKAGES = 12
"""Packages that are named, unless everything is asked for."""

NONE = "no edit of its Dockerfile is known that would make this image smaller"


def advice_title(audit: Audit) -> str:
    """The heading: how many edits, and what all of them save."""
    if not audit.advice:
        return "Advice"
    edits = count_text(len(audit.advice), "edit")
    return f"Advice: {edits} of the Dockerfile, {size_text(audit.advised_bytes)} in all"


def notes(audit: Audit) -> Iterator[str]:
    """What the reader has to know of all of it."""
    if not audit.advice:
        yield NONE
    elif audit.base.layer_count is None:
        yield (
            "which layers are the base image's is not known: what is not in your Dockerfile is in "
            "that of its base (--base IMAGE tells)"
        )


def packages_text(advice: Advice, most: int | None = SHOWN_PACKAGES) -> str:
    """The names of the packages that go, the first ``most`` (None: all)."""
    names = [key.partition(":")[2] for key in advice.packages]
    shown = names if most is None else names[:most]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def paint_advice(console: Console, audit: Audit, look: Look, view: View) -> None:
    """A section of a report, for the console that paints it."""
    top = view.rows
    heading(console, advice_title(audit))
    for line in notes(audit):
        console.print(indented_text(line, "dim"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for advice in audit.advice[:top]:
        table.add_row(cell(size_text(advice.saved_bytes)), cell(advice.title, "bold"))
        for text in _lines(advice, look):
            table.add_row("", text)
    console.print(indented(table))
    more = len(audit.advice) - top
    if more > 0:
        rest = size_text(sum(advice.saved_bytes for advice in audit.advice[top:]))
        words = count_text(more, "more edit")
        option = "--top N" if view.by else "--by advice"
        console.print(cell(f"  … and {words}, {rest}: {option} shows them", "dim"))


def _lines(advice: Advice, look: Look) -> Iterator[Text | Padding]:
    if advice.instruction:
        made_by = cell(advice.instruction, "dim")
        if not look.verbose:
            made_by.no_wrap, made_by.overflow = True, "ellipsis"
        yield made_by
    if advice.packages:
        yield cell(packages_text(advice, None if look.verbose else SHOWN_PACKAGES), "dim")
    if look.verbose and advice.reason:
        yield cell(advice.reason, "dim")
    first, *others = advice.edit.split("\n")
    yield cell(f"→ {first}")
    yield from (Padding(cell(line), (0, 0, 0, 2)) for line in others)


def markdown_lines(audit: Audit, top: int) -> Iterator[str]:
    """The same as a list for a pull request: edits as code, so that nothing in them is markup."""
    for line in notes(audit):
        yield f"- {line}"
    for advice in audit.advice[:top]:
        yield f"- **{size_text(advice.saved_bytes)}** {markdown_text(advice.title)}"
        if advice.packages:
            yield f"  ({markdown_text(packages_text(advice, None))})"
        yield ""
        yield "  ````text"
        yield from (f"  {printable(line)}" for line in advice.edit.split("\n"))
        yield "  ````"
    more = len(audit.advice) - top
    if more > 0:
        rest = size_text(sum(advice.saved_bytes for advice in audit.advice[top:]))
        yield f"- … and {count_text(more, 'more edit')}, {rest}"
