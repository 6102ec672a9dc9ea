"""An audit as comma-separated values (RFC 4180): one table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence

from imgslim.audit.model import Audit, Weight
from imgslim.dirt import Dirt
from imgslim.reports.audit_tables import ADVICE, DIRT, OVERVIEW, View
from imgslim.reports.words import printable

_WEIGHT = (
    "size_bytes",
    "needed_bytes",
    "removable_bytes",
    "undecided_bytes",
    "hidden_bytes",
    "file_count",
)


def render_audit(audit: Audit, dirt: Dirt, view: View = OVERVIEW) -> str:
    """The rows of one table; without ``view.by`` the whole account: one row for all files that
    agree in layer, directory, package, kind and verdict; the sizes add up to the image's."""
    tables: dict[str, Callable[[Audit], Iterator[Sequence[object]]]] = {
        "": _cells,
        "layer": _layers,
        "package": _packages,
        "kind": _kinds,
        "dir": _directories,
        ADVICE: _advice,
        DIRT: lambda audit: _dirt(dirt),
    }
    head, *rows = tables[view.by](audit)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(head)
    for row in rows if view.top is None else rows[: view.top]:
        writer.writerow([_text(value) for value in row])
    return buffer.getvalue()


def _cells(audit: Audit) -> Iterator[Sequence[object]]:
    yield (
        "layer",
        "directory",
        "package",
        "kind",
        "unit",
        "verdict",
        "size_bytes",
        "file_count",
        "example",
    )
    for cell in sorted(audit.cells, key=lambda cell: -cell.size_bytes):
        yield (
            cell.layer_index,
            cell.directory,
            cell.package,
            cell.kind,
            cell.unit,
            cell.verdict.value,
            cell.size_bytes,
            cell.file_count,
            cell.example,
        )


def _layers(audit: Audit) -> Iterator[Sequence[object]]:
    yield ("layer", "instruction", "in_base", *_WEIGHT, "why")
    for row in audit.layers:
        yield (row.index, row.instruction, row.in_base, *_weight(row.weight), row.why)


def _packages(audit: Audit) -> Iterator[Sequence[object]]:
    yield ("package", "version", *_WEIGHT, "why")
    for row in audit.packages:
        yield (row.key, row.version, *_weight(row.weight), row.why)


def _kinds(audit: Audit) -> Iterator[Sequence[object]]:
    yield ("kind", *_WEIGHT, "why")
    for row in audit.kinds:
        yield (row.name, *_weight(row.weight), row.why)


def _directories(audit: Audit) -> Iterator[Sequence[object]]:
    yield ("directory", "own_bytes", *_WEIGHT, "why")
    for row in audit.directories:
        yield (row.path, row.own_bytes, *_weight(row.weight), row.why)


def _advice(audit: Audit) -> Iterator[Sequence[object]]:
    yield ("saved_bytes", "kind", "layer", "instruction", "title", "edit", "packages")
    for row in audit.advice:
        layer = "" if row.layer_index is None else row.layer_index
        packages = " ".join(row.packages)
        yield (
            row.saved_bytes,
            row.kind.value,
            layer,
            row.instruction,
            row.title,
            tuple(row.edit.split("\n")),
            packages,
        )


def _dirt(dirt: Dirt) -> Iterator[Sequence[object]]:
    yield ("kind", "where", "line", "verdict", "rule", "owner", "count", "layer", "instruction")
    for row in dirt.findings:
        yield (
            row.kind.value,
            row.where,
            row.line or "",
            row.verdict.value if row.verdict else "",
            row.rule,
            row.owner,
            row.count,
            "" if row.layer_index is None else row.layer_index,
            row.instruction,
        )


def _weight(weight: Weight) -> list[int]:
    return [getattr(weight, name) for name in _WEIGHT]


def _text(value: object) -> object:
    """Strings that a spreadsheet does not take for a formula (OWASP, CSV injection); a tuple is the
    lines of one."""
    if isinstance(value, tuple):
        return "\n".join(map(printable, value))
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
