"""The report of a comparison as Markdown (GitHub's: tables, as in its spec 4.10), for a comment on
a change."""

from __future__ import annotations

import re
from collections.abc import Iterable

from imgslim.comparison import Comparison
from imgslim.model import Image
from imgslim.reports.diff_tables import DiffTable, TableRow, diff_tables, remarks_on
from imgslim.reports.text import title_of
from imgslim.reports.words import printable


def render_diff(before: Image, after: Image, found: Comparison, top: int | None) -> str:
    """The whole report of ``imgslim diff --format markdown``; ``top`` rows of each table."""
    blocks = [f"- before: {_code(title_of(before))}\n- after: {_code(title_of(after))}"]
    blocks += remarks_on(found, (str(before.platform), str(after.platform)))
    for table in diff_tables(found, top):
        blocks += _blocks(table)
    return "\n\n".join(blocks) + "\n"


def _blocks(table: DiffTable) -> Iterable[str]:
    yield f"### {_words(table.title)}"
    if table.rows:
        words = len(table.headers) - table.numbers
        rule = ["---"] * words + ["---:"] * table.numbers
        lines = [map(_words, table.headers), rule, *(_cells(table, row) for row in table.rows)]
        yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if table.hidden:
        yield f"… {table.hidden:,} more" if table.rows else f"… {table.hidden:,}, not listed"
    yield from table.remarks


def _cells(table: DiffTable, row: TableRow) -> list[str]:
    cells = [
        _code(text) if index in table.literal else _words(text)
        for index, text in enumerate(row.cells)
    ]
    for note in row.notes:
        cells[table.literal[0]] += f"<br>{_words(note)}"
    return cells


def _code(text: str) -> str:
    """A code span: its fence is longer than what is in it (CommonMark 6.1); a bar ends a cell
    even there."""
    if not text:
        return ""
    shown = printable(text).replace("|", "\\|")
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _words(text: str) -> str:
    """Text in which nothing is markup: punctuation escaped (CommonMark 2.4)."""
    return re.sub(r"([\\`*_{}\[\]<>|#~&])", r"\\\1", printable(text))
