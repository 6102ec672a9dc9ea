"""The report of an audit for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from imgslim.audit.model import Audit
from imgslim.dirt import Dirt
from imgslim.model import Image
from imgslim.reports.advice import paint_advice
from imgslim.reports.audit_tables import (
    ADVICE,
    DIRT,
    OVERVIEW,
    Column,
    Section,
    View,
    sections,
    summary_lines,
    widest,
)
from imgslim.reports.console import Look, cell, draw, heading, indented, indented_text
from imgslim.reports.dirt_text import paint_dirt
from imgslim.reports.text import title_of
from imgslim.reports.words import count_text


def render_audit(image: Image, audit: Audit, dirt: Dirt, look: Look, view: View = OVERVIEW) -> str:
    """The report of ``imgslim audit``. Instructions are cut to the width, unless everything is
    asked for; then each row also says what needs it."""

    def paint(console: Console) -> None:
        console.print(cell(title_of(image), "bold"))
        for line in summary_lines(audit):
            console.print(indented_text(line))
        if view.by == ADVICE or (audit.advice and not view.by):
            paint_advice(console, audit, look, view)
        for section in sections(audit, view):
            _paint(console, section, look)
        if view.by in ("", DIRT):
            paint_dirt(console, dirt, look)

    return draw(look, paint)


def _paint(console: Console, section: Section, look: Look) -> None:
    heading(console, section.title)
    table = _table(section.columns, look)
    width = len(section.columns)
    for row in section.rows:
        table.add_row(*(cell(text) for text in row.cells))
        if look.verbose and row.note:
            wide = widest(section.columns)
            note = [cell("")] * width
            note[wide] = cell(f"  {row.note}", "dim")
            table.add_row(*note)
    console.print(indented(table))
    if section.hidden_rows > 0:
        more = count_text(section.hidden_rows, "row")
        console.print(cell(f"  … and {more} more: --top N shows them", "dim"))


def _table(columns: tuple[Column, ...], look: Look) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        is_cut = column.may_cut and not look.verbose
        table.add_column(
            cell(column.title, "dim"),
            justify="right" if column.is_number else "left",
            no_wrap=column.is_number or column.title == "" or is_cut,
            overflow="ellipsis" if is_cut else "fold",
            ratio=1 if column.may_cut else None,
        )
    table.expand = any(column.may_cut for column in columns)
    return table
