"""The report of an audit as GitHub Flavored Markdown: for a pull request, or a job's summary."""

from __future__ import annotations

from collections.abc import Iterator

from imgslim.audit.model import Audit
from imgslim.dirt import Dirt
from imgslim.model import Image
from imgslim.reports.advice import advice_title, markdown_lines
from imgslim.reports.audit_tables import (
    ADVICE,
    DIRT,
    OVERVIEW,
    Section,
    View,
    sections,
    summary_lines,
)
from imgslim.reports.dirt_text import HEADING, finding_lines
from imgslim.reports.text import title_of
from imgslim.reports.words import count_text, markdown_text


def render_audit(image: Image, audit: Audit, dirt: Dirt, view: View = OVERVIEW) -> str:
    """The tables of ``imgslim audit``, each with what needs its rows, and the dirt as a list."""
    lines = [f"## {markdown_text(title_of(image))}", ""]
    lines += [f"- {markdown_text(line)}" for line in summary_lines(audit)]
    if view.by == ADVICE or (audit.advice and not view.by):
        lines += ["", f"### {markdown_text(advice_title(audit))}", ""]
        lines += markdown_lines(audit, view.rows)
    for section in sections(audit, view):
        lines += ["", f"### {markdown_text(section.title)}", "", *_table(section)]
    if view.by in ("", DIRT):
        lines += ["", f"### {HEADING}", ""]
        lines += [f"- {markdown_text(line)}" for line in finding_lines(dirt)]
    return "\n".join(lines) + "\n"


def _table(section: Section) -> Iterator[str]:
    has_notes = any(row.note for row in section.rows)
    titles = [column.title or " " for column in section.columns]
    rules = ["---:" if column.is_number else "---" for column in section.columns]
    yield _line([*titles, "because of"] if has_notes else titles)
    yield _line([*rules, "---"] if has_notes else rules)
    for row in section.rows:
        cells = [markdown_text(text) for text in row.cells]
        yield _line([*cells, markdown_text(row.note)] if has_notes else cells)
    if section.hidden_rows > 0:
        yield ""
        yield f"… and {count_text(section.hidden_rows, 'row')} more"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
