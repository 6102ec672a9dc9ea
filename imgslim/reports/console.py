"""The look that all text reports share: plain tables that fit the width they are given."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imgslim.reports.words import printable

MIN_WIDTH = 60
"""Columns below which a table says nothing any more; the terminal may wrap instead."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a report is to look: columns, colours or none, and whether nothing is cut."""

    width: int = 100
    colour: bool = False
    verbose: bool = False


def draw(look: Look, paint: Callable[[Console], None]) -> str:
    """What ``paint`` prints, as text."""
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=max(MIN_WIDTH, look.width),
        force_terminal=look.colour,
        color_system="standard" if look.colour else None,
        no_color=not look.colour,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    paint(console)
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())


def cell(text: str, style: str = "") -> Text:
    """A cell of a table, safe for a terminal whatever a file is called."""
    return Text(printable(text), style=style)


def heading(console: Console, text: str) -> None:
    """A title with an empty line above."""
    console.print()
    console.print(cell(text, "bold"))


def columns(*headers: str, numbers: int = 0) -> Table:
    """A table without lines; its last ``numbers`` columns are numbers, the first takes the room."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(headers))
    for index, header in enumerate(headers):
        is_number = index >= len(headers) - numbers
        table.add_column(
            Text(header, style="dim"),
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
        )
    return table


def indented(table: Table) -> Padding:
    """``table`` two columns in."""
    return Padding(table, (0, 0, 0, 2))


def indented_text(text: str, style: str = "") -> Padding:
    """``text`` two columns in, on as many lines as it takes."""
    return Padding(cell(text, style), (0, 0, 0, 2))
