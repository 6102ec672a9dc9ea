"""The report of a comparison for people, in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from imgslim.comparison import Comparison
from imgslim.model import Image
from imgslim.reports.console import Look, cell, columns, draw, heading, indented, indented_text
from imgslim.reports.diff_tables import DiffTable, TableRow, diff_tables, remarks_on
from imgslim.reports.text import title_of


def render_diff(before: Image, after: Image, found: Comparison, look: Look, top: int) -> str:
    """The whole report of ``imgslim diff``; ``top`` rows of each table, or all as ``look`` says."""

    def paint(console: Console) -> None:
        console.print(cell(f"before  {title_of(before)}", "bold"))
        console.print(cell(f"after   {title_of(after)}", "bold"))
        for line in remarks_on(found, (str(before.platform), str(after.platform))):
            console.print(indented_text(line))
        for table in diff_tables(found, None if look.verbose else top):
            _paint(console, table)

    return draw(look, paint)


def _paint(console: Console, table: DiffTable) -> None:
    heading(console, table.title)
    if table.rows:
        drawn = columns(*table.headers, numbers=table.numbers)
        for row in table.rows:
            drawn.add_row(*(_cell(table, row, index) for index in range(len(row.cells))))
        console.print(indented(drawn))
    if table.hidden:
        more = "more: " if table.rows else ""
        console.print(cell(f"  … {table.hidden:,} {more}--verbose lists them", "dim"))
    for remark in table.remarks:
        console.print(indented_text(remark, "dim"))


def _cell(table: DiffTable, row: TableRow, index: int) -> Text:
    text = cell(row.cells[index])
    if table.literal and index == table.literal[0]:
        for note in row.notes:
            text.append("\n").append_text(cell(note, "dim"))
    return text
