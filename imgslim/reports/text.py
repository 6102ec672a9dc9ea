"""The report of an analysis for people: what runs, what that needs, what goes, what is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table

from imgslim.decisions import NextLevel
from imgslim.model import Image, Keep, Plan, Problem, Severity
from imgslim.reports.console import Look, cell, columns, draw, heading, indented, indented_text
from imgslim.reports.summary import (
    Row,
    Section,
    chain_finder,
    dropped_sections,
    kept_sections,
    largest_rows,
)
from imgslim.reports.words import count_text, share_text, size_text

SHOWN_ROWS = 6
"""Units under one heading, unless everything is asked for."""

SHOWN_PROBLEMS = 5
"""Problems of one kind that are printed, unless everything is asked for."""

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_NAMES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render_analysis(
    image: Image, plan: Plan, look: Look, next_level: NextLevel | None = None
) -> str:
    """The whole report of ``imgslim analyze``."""

    def paint(console: Console) -> None:
        console.print(cell(title_of(image), "bold"))
        _programs(console, plan)
        _sections(console, "What that needs", kept_sections(plan), look, chain_finder(plan))
        _sections(console, "What is left out", dropped_sections(plan), look, None)
        heading(console, "Size of the files")
        console.print(cell(f"  {size_line(plan)}"))
        _next_level(console, next_level)
        _problems(console, plan.problems, look)

    return draw(look, paint)


def render_brief(image: Image, plan: Plan, look: Look, next_level: NextLevel | None = None) -> str:
    """What ``imgslim rewrite`` says beside the Dockerfile: sizes, and what was not decided."""

    def paint(console: Console) -> None:
        console.print(cell(f"{image.reference}: {size_line(plan)}", "bold"))
        _next_level(console, next_level)
        _problems(console, plan.problems, look)

    return draw(look, paint)


def render_built(tag: str, image_id: str, size_bytes: int, predicted: int, look: Look) -> str:
    """What ``imgslim rewrite --build`` says of the image: measured and predicted bytes."""
    difference = size_bytes - predicted
    sign = "+" if difference > 0 else "-" if difference < 0 else "±"

    def paint(console: Console) -> None:
        heading(console, f"Built {tag}  {image_id[:19]}")
        table = columns("", "", "", numbers=2)
        table.add_row("predicted", size_text(predicted), f"{predicted:,} B")
        table.add_row("measured", size_text(size_bytes), f"{size_bytes:,} B")
        share = share_text(abs(difference), predicted)
        table.add_row("difference", f"{sign}{share}", f"{difference:+,} B")
        console.print(indented(table))
        console.print(cell("  bytes of regular files over all layers, a hard link once", "dim"))

    return draw(look, paint)


def title_of(image: Image) -> str:
    """One line that names the image."""
    layers = count_text(len(image.layers), "layer")
    return f"{image.reference}  {image.platform}  {image.image_id[:19]}  {layers}"


def size_line(plan: Plan) -> str:
    """``829.0 MB → 15.3 MB (1.8 %), 813.7 MB less``, and what of that stripping saves."""
    fat, slim = plan.fat_size_bytes, plan.slim_size_bytes
    saved = size_text(fat - slim)
    line = f"{size_text(fat)} → {size_text(slim)} ({share_text(slim, fat)}), {saved} less"
    stripped = [keep.strip_bytes for keep in plan.keeps if keep.strip]
    if not stripped:
        return line
    files = count_text(len(stripped), "file")
    return f"{line}; saves {size_text(sum(stripped))} by stripping {files}"


def _next_level(console: Console, next_level: NextLevel | None) -> None:
    if next_level is not None:
        saved = size_text(next_level.saves_bytes) if next_level.saves_bytes > 0 else "nothing"
        line = f"--level {next_level.level} would save {saved} more: {next_level.risks}"
        console.print(indented_text(line))


def _programs(console: Console, plan: Plan) -> None:
    heading(console, "What it runs")
    table = columns("", "")
    for program in plan.programs:
        table.add_row(cell(program.label.strip("<>"), "bold"), cell(" ".join(program.argv)))
        about = f"{program.path}: {program.description}" if program.description else program.path
        table.add_row("", cell(about, "dim"))
    if not plan.programs:
        table.add_row(cell("nothing", "bold"), cell("no process: only the files are used"))
    console.print(indented(table))


def _sections(
    console: Console,
    title: str,
    sections: Sequence[Section],
    look: Look,
    chain: Callable[[Keep], tuple[str, ...]] | None,
) -> None:
    console.print()
    table = columns(title, "files", "size", numbers=2)
    table.columns[0].header = cell(title, "bold")
    table.columns[0].ratio = 1
    table.expand = True
    for section in sections:
        if not section.count and not look.verbose:
            continue  # directories alone
        table.add_row(
            cell(f"  {section.title}", "cyan"), f"{section.count:,}", size_text(section.size_bytes)
        )
        for row in _worth_rows(section, look):
            table.add_row(cell(f"    {row.title}"), f"{row.count:,}", size_text(row.size_bytes))
            if look.verbose and chain is not None and row.first is not None:
                table.add_row(cell(f"      {' → '.join(chain(row.first))}", "dim"), "", "")
    console.print(table)


def _worth_rows(section: Section, look: Look) -> Sequence[Row]:
    """The largest rows with files in them; none where the only one repeats the heading."""
    if look.verbose:
        return section.rows
    if [row.title for row in section.rows] == [section.title]:
        return ()
    rows = tuple(row for row in section.rows if row.count)
    return largest_rows(Section(section.title, rows), SHOWN_ROWS)


def _problems(console: Console, problems: Sequence[Problem], look: Look) -> None:
    if not problems:
        return
    heading(console, f"What to know: {count_problems(problems)}")
    table = columns("", "")
    hidden = 0
    for _, same in groupby(problems, key=lambda problem: (problem.severity, problem.code)):
        found = list(same)
        shown = found if look.verbose else _worth_showing(found)
        hidden += len(found) - len(shown)
        for problem in shown:
            _problem(table, problem)
    console.print(indented(table))
    if hidden:
        console.print(cell(f"  … and {hidden:,} more: --verbose lists all", "dim"))


def _worth_showing(problems: list[Problem]) -> list[Problem]:
    """The dearest of one kind; mere notes wait for --verbose."""
    if problems[0].severity is Severity.INFO:
        return []
    dearest = sorted(problems, key=lambda problem: -problem.cost_bytes)
    return dearest[:SHOWN_PROBLEMS]


def _problem(table: Table, problem: Problem) -> None:
    where = f"{problem.path}: " if problem.path else ""
    price = f" ({size_text(problem.cost_bytes)})" if problem.cost_bytes else ""
    style = _STYLES[problem.severity]
    table.add_row(cell(_NAMES[problem.severity], style), cell(f"{where}{problem.message}{price}"))
    if problem.resolution:
        table.add_row("", cell(f"→ {problem.resolution}", "dim"))


def count_problems(problems: Iterable[Problem]) -> str:
    """``1 error, 2 warnings, 3 notes``."""
    severities = [problem.severity for problem in problems]
    counts = ((_NAMES[severity], severities.count(severity)) for severity in Severity)
    return ", ".join(count_text(count, name) for name, count in counts if count)
