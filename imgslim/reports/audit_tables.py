"""The tables of an audit, as text: what the reports for people share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from imgslim.audit.model import (
    HIDDEN,
    NOBODY,
    Audit,
    Duplicate,
    Efficiency,
    Evidence,
    How,
    Undone,
    Weight,
)
from imgslim.reports.words import count_text, share_text, size_text

T = TypeVar("T")

ADVICE = "advice"
"""What ``--by`` calls the advice, which is a list and no table."""

DIRT = "dirt"
"""What it calls the findings of what should not be in an image."""

BAR_WIDTH = 10
OVERVIEW_ROWS = 8
"""Rows of each table of the overview, unless the user says how many."""

TABLE_ROWS = 20
"""Rows of the one table that was asked for, unless the user says how many."""

SHOWN_COPIES = 4
"""Copies of the same content that are named."""

_NAMES = {NOBODY: "(no package)", HIDDEN: "(hidden by later layers)"}
_UNDONE = {
    How.DELETED: "deleted by",
    How.OVERWRITTEN: "overwritten by",
    How.CHANGED: "other mode or owner by",
    How.REPEATED: "the same again by",
}


@dataclass(frozen=True, slots=True)
class View:
    """What of an audit is to be seen: one table ``by`` "layer", "package", "kind" or "dir",
    ADVICE or DIRT ("": an overview), and ``top`` rows of each (None: a few)."""

    by: str = ""
    top: int | None = None

    @property
    def rows(self) -> int:
        return self.top or (TABLE_ROWS if self.by else OVERVIEW_ROWS)


OVERVIEW = View()


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; ``is_number`` aligns right, ``may_cut`` may be cut to fit a line."""

    title: str
    is_number: bool = False
    may_cut: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """The cells, and ``note``: what needs the most of it."""

    cells: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One table; ``hidden_rows`` are not in it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    hidden_rows: int = 0


def summary_lines(audit: Audit) -> list[str]:
    """The totals in a few sentences."""
    weight = audit.weight
    where = "" if audit.under == "/" else f" below {audit.under}"
    lines = [
        f"{size_text(weight.size_bytes)} in {count_text(len(audit.layers), 'layer')}{where}, "
        f"of which {size_text(weight.hidden_bytes)} "
        f"({share_text(weight.hidden_bytes, weight.size_bytes)}) are hidden by later ones"
    ]
    if audit.has_plan:
        lines.append(_verdicts(weight))
    else:
        lines.append(f"nothing is marked as needed: {audit.no_plan}")
    return [*lines, _efficiency(audit.efficiency), _base(audit)]


def _verdicts(weight: Weight) -> str:
    whole = weight.size_bytes
    needed = f"needed {size_text(weight.needed_bytes)} ({share_text(weight.needed_bytes, whole)})"
    text = f"{needed}, removable {size_text(weight.removable_bytes)}"
    undecided = weight.undecided_bytes
    return f"{text}, undecided {size_text(undecided)}" if undecided else text


def _efficiency(efficiency: Efficiency) -> str:
    whole = efficiency.stored_bytes
    text = f"efficiency {share_text(efficiency.tree_bytes, whole)}: what is stored and in use"
    ours, dive = (
        share_text(efficiency.tree_bytes, whole),
        share_text(efficiency.dive_useful_bytes, efficiency.dive_stored_bytes),
    )
    return text if ours == dive else f"{text} (dive: {dive}, it counts bytes twice)"


def _base(audit: Audit) -> str:
    base = audit.base
    if base.layer_count is None:
        known = f"{base.reference}, by its label; " if base.reference else "not known: "
        return f"base image: {known}{base.note}"
    how = {
        Evidence.OPTION: "as --base says",
        Evidence.LOCAL: "the engine has it",
        Evidence.LABEL: "by its label",
    }[base.evidence]
    size, own = audit.base_weight.size_bytes, audit.own_weight.size_bytes
    return (
        f"base image: {base.reference} ({how}), {count_text(base.layer_count, 'layer')}, "
        f"{size_text(size)}; {size_text(own)} are your own"
    )


def sections(audit: Audit, view: View) -> Iterator[Section]:
    """The tables that ``view`` asks for."""
    tables: dict[str, Callable[[Audit, int], Section]] = {
        "layer": layer_section,
        "kind": kind_section,
        "package": package_section,
        "dir": directory_section,
    }
    if view.by:
        if view.by in tables:
            yield tables[view.by](audit, view.rows)
        return
    yield layer_section(audit, max(view.rows, OVERVIEW_ROWS))
    if audit.undone:
        yield undone_section(audit, view.rows)
    yield kind_section(audit, view.rows)
    if any(row.key not in _NAMES for row in audit.packages):
        yield package_section(audit, view.rows)
    yield directory_section(audit, view.rows)
    yield file_section(audit, view.rows)
    if audit.duplicates:
        yield duplicate_section(audit.duplicates, view.rows)


def widest(columns: tuple[Column, ...]) -> int:
    """The column that has the most room for a sentence."""
    return next(
        (i for i, column in enumerate(columns) if column.may_cut),
        next(i for i, column in enumerate(columns) if not column.is_number),
    )


def layer_section(audit: Audit, top: int) -> Section:
    """The layers, base first; of many the largest. What is neither needed nor hidden is removable
    or undecided."""
    largest = sorted(audit.layers, key=lambda layer: -layer.weight.size_bytes)[:top]
    shown = [layer for layer in audit.layers if layer in largest]
    most = _most(layer.weight for layer in shown)
    has_hidden = audit.weight.hidden_bytes > 0
    rows = []
    for layer in shown:
        weight = layer.weight
        made_by = ("base: " if layer.in_base else "") + _made_by(layer.instruction)
        cells = [str(layer.index), size_text(weight.size_bytes), bar(weight, most)]
        cells += [_size(weight.needed_bytes)] if audit.has_plan else []
        cells += [_size(weight.hidden_bytes)] if has_hidden else []
        rows.append(Row((*cells, made_by), layer.why))
    titles = ["needed"] * audit.has_plan + ["hidden"] * has_hidden
    columns = (
        *(Column("", is_number=True), Column("size", is_number=True), Column("")),
        *(Column(title, is_number=True) for title in titles),
        Column("made by", may_cut=True),
    )
    return _section("Layers, the base first", columns, rows, len(audit.layers))


def kind_section(audit: Audit, top: int) -> Section:
    """The kinds, with what is hidden at the end."""
    shown = _with_last(audit.kinds, top, lambda row: row.name == HIDDEN)
    named = [(row.title, row.weight, row.why) for row in shown]
    return _weight_section("Kinds", "kind", audit, named, len(audit.kinds))


def package_section(audit: Audit, top: int) -> Section:
    """The packages, with what is no package's at the end."""
    shown = _with_last(audit.packages, top, lambda row: row.key in _NAMES)
    named = [(package_title(row.key), row.weight, row.why) for row in shown]
    return _weight_section("Packages", "package", audit, named, len(audit.packages))


def directory_section(audit: Audit, top: int) -> Section:
    """The directories where bytes gather, each with what the others in the table do not hold."""
    shown = audit.directories[:top]
    most = max((row.own_bytes for row in shown), default=0)
    columns = (
        Column("directory"),
        Column("own", is_number=True),
        Column(""),
        Column("in all", is_number=True),
        *([Column("needed", is_number=True)] if audit.has_plan else []),
    )
    rows = []
    for row in shown:
        share = Weight(removable_bytes=row.own_bytes)
        cells = [row.path, size_text(row.own_bytes), bar(share, most)]
        cells.append(size_text(row.weight.size_bytes))
        cells += [_size(row.weight.needed_bytes)] if audit.has_plan else []
        rows.append(Row(tuple(cells), row.why))
    title = "Directories where bytes gather (own: outside those that are listed below it)"
    return _section(title, columns, rows, len(audit.directories))


def file_section(audit: Audit, top: int) -> Section:
    rows = [
        Row(
            (
                row.path,
                row.package or row.kind,
                str(row.layer_index),
                size_text(row.size_bytes),
                *([row.verdict.value] if audit.has_plan else []),
            ),
            row.why,
        )
        for row in audit.files[:top]
    ]
    columns = (
        Column("file"),
        Column("owner, kind"),
        Column("layer", is_number=True),
        Column("size", is_number=True),
        *([Column("")] if audit.has_plan else []),
    )
    return _section("Largest files", columns, rows, len(audit.files))


def undone_section(audit: Audit, top: int) -> Section:
    """What one instruction stored and another undid."""
    columns = (
        Column("size", is_number=True),
        Column("files", is_number=True),
        Column("stored by", may_cut=True),
        Column("undone by", may_cut=True),
    )
    rows = [
        Row(
            (
                size_text(row.size_bytes),
                f"{row.file_count:,}",
                layer_name(audit, row.layer_index),
                _undone_by(audit, row),
            ),
            row.example,
        )
        for row in audit.undone[:top]
    ]
    return _section("Stored in vain", columns, rows, len(audit.undone))


def duplicate_section(duplicates: Sequence[Duplicate], top: int) -> Section:
    """The largest groups of files with the same content."""
    columns = (Column("content"), Column("layer", is_number=True), Column("each", is_number=True))
    rows = []
    for group in duplicates[:top]:
        size = f"{len(group.copies)} × {size_text(group.size_bytes)}"
        for copy in group.copies[:SHOWN_COPIES]:
            hidden = " (hidden)" if copy.hidden else ""
            rows.append(Row((f"{copy.path}{hidden}", str(copy.layer_index), size)))
            size = ""
        more = len(group.copies) - SHOWN_COPIES
        if more > 0:
            rows.append(Row((f"… and {more:,} more", "", "")))
    extra = sum(group.extra_bytes for group in duplicates)
    title = f"The same content several times: {size_text(extra)} more than once in the tree"
    return Section(title, columns, tuple(rows), max(0, len(duplicates) - top))


def _weight_section(
    title: str, heading: str, audit: Audit, named: Sequence[tuple[str, Weight, str]], total: int
) -> Section:
    """A table of (name, weight, what needs it), with a bar for the share of the largest."""
    most = _most(weight for name, weight, _ in named if not name.startswith("("))
    verdicts = ["needed", "removable"] if audit.has_plan else []
    verdicts += ["undecided"] if verdicts and audit.weight.undecided_bytes else []
    columns = (
        *(Column(heading), Column("size", is_number=True), Column("")),
        *(Column(verdict, is_number=True) for verdict in verdicts),
    )
    rows = [
        Row(
            (
                name,
                size_text(weight.size_bytes),
                bar(weight, most),
                *(_size(getattr(weight, f"{verdict}_bytes")) for verdict in verdicts),
            ),
            why,
        )
        for name, weight, why in named
    ]
    return _section(title, columns, rows, total)


def _most(weights: Iterable[Weight]) -> int:
    return max((weight.size_bytes for weight in weights), default=0)


def bar(weight: Weight, most_bytes: int) -> str:
    """A bar whose full length stands for ``most_bytes`` or more: solid for what is needed, shaded
    for the rest."""
    if not most_bytes:
        return ""
    length = min(BAR_WIDTH, round(BAR_WIDTH * weight.size_bytes / most_bytes))
    solid = min(length, round(BAR_WIDTH * weight.needed_bytes / most_bytes))
    return "█" * solid + "░" * (length - solid)


def _size(size_bytes: int) -> str:
    return size_text(size_bytes) if size_bytes else ""


def _section(title: str, columns: tuple[Column, ...], rows: Sequence[Row], total: int) -> Section:
    return Section(title, columns, tuple(rows), total - len(rows))


def _with_last(rows: Sequence[T], top: int, is_last: Callable[[T], bool]) -> list[T]:
    """The first ``top`` rows, and those that stand at the end for a reason."""
    return [*[row for row in rows if not is_last(row)][:top], *filter(is_last, rows)]


def _made_by(text: str) -> str:
    return text or "(the image does not say)"


def package_title(key: str) -> str:
    """What the row of a package is called: its key, or what NOBODY and HIDDEN stand for."""
    return _NAMES.get(key, key)


def layer_name(audit: Audit, index: int) -> str:
    """``3 RUN make``: its number and the instruction that made it."""
    return f"{index} {_made_by(audit.layers[index].instruction)}"


def _undone_by(audit: Audit, row: Undone) -> str:
    if row.by_layer is None:
        return row.how.value
    return f"{_UNDONE[row.how]} {layer_name(audit, row.by_layer)}"
