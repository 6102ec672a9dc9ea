"""The report of an audit for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from imgslim.audit import Audit
from imgslim.dirt import Dirt
from imgslim.model import Image
from imgslim.reports.console import Look, cell, columns, draw, heading, indented
from imgslim.reports.dirt_text import paint_dirt
from imgslim.reports.text import title_of
from imgslim.reports.words import count_text, share_text, size_text

T = TypeVar("T")

SHOWN_ROWS = 12
"""Rows of a table, unless everything is asked for."""


def render_audit(image: Image, audit: Audit, dirt: Dirt, look: Look) -> str:
    """The whole report of ``imgslim audit``."""

    def paint(console: Console) -> None:
        console.print(cell(title_of(image), "bold"))
        for line in _totals(audit):
            console.print(cell(f"  {line}"))
        _layers(console, audit)
        _wasted(console, audit, look)
        _directories(console, audit, look)
        _files(console, audit, look)
        _packages(console, audit, look)
        paint_dirt(console, dirt, look)

    return draw(look, paint)


def _totals(audit: Audit) -> list[str]:
    wasted = sum(file.size_bytes for file in audit.wasted)
    lines = [
        f"{size_text(audit.stored_bytes)} in all layers, of which {size_text(wasted)} are deleted "
        f"or overwritten by a later one ({share_text(wasted, audit.stored_bytes)})",
    ]
    if audit.kept_bytes is not None:
        dropped = audit.size_bytes - audit.kept_bytes
        lines.append(
            f"{size_text(audit.size_bytes)} in the tree, of which the plan would drop "
            f"{size_text(dropped)} ({share_text(dropped, audit.size_bytes)})"
        )
    return lines


def _layers(console: Console, audit: Audit) -> None:
    heading(console, "Layers, the base first")
    table = _table(audit, "", "made by", "files", "size", "in vain", numbers=3)
    for layer in audit.layers:
        alive = layer.size_bytes - layer.wasted_bytes
        table.add_row(
            str(layer.index),
            cell(layer.instruction or "(the image does not say)"),
            f"{layer.file_count:,}",
            size_text(layer.size_bytes),
            size_text(layer.wasted_bytes) if layer.wasted_bytes else "",
            *_dropped(alive, layer.kept_bytes),
        )
    console.print(indented(table))


def _wasted(console: Console, audit: Audit, look: Look) -> None:
    if not audit.wasted:
        return
    heading(console, "Stored in vain")
    table = columns("file", "what happened", "size", numbers=1)
    for file in _shown(audit.wasted, look):
        by = "" if file.by_layer is None else f" by layer {file.by_layer}"
        table.add_row(
            cell(file.path),
            f"of layer {file.layer_index}, {file.how}{by}",
            size_text(file.size_bytes),
        )
    console.print(indented(table))
    _say_more(console, audit.wasted, look)


def _directories(console: Console, audit: Audit, look: Look) -> None:
    heading(console, "Directories where bytes gather")
    table = _table(audit, "directory", "files", "in all", "not listed deeper", numbers=3)
    for directory in _shown(audit.directories, look):
        table.add_row(
            cell(directory.path),
            f"{directory.file_count:,}",
            size_text(directory.size_bytes),
            size_text(directory.own_bytes),
            *_dropped(directory.size_bytes, directory.kept_bytes),
        )
    console.print(indented(table))
    _say_more(console, audit.directories, look)


def _files(console: Console, audit: Audit, look: Look) -> None:
    heading(console, "Largest files")
    table = _table(audit, "file", "owner", "layer", "size", numbers=2)
    for file in _shown(audit.files, look):
        table.add_row(
            cell(file.path),
            cell(file.owner),
            str(file.layer_index),
            size_text(file.size_bytes),
            *({True: [""], False: ["yes"], None: []}[file.kept]),
        )
    console.print(indented(table))
    _say_more(console, audit.files, look)


def _packages(console: Console, audit: Audit, look: Look) -> None:
    if not audit.packages:
        return
    heading(console, f"Largest packages ({count_text(len(audit.packages), 'package')} installed)")
    table = _table(audit, "package", "version", "files", "size", numbers=2)
    for package in _shown(audit.packages, look):
        table.add_row(
            cell(package.key),
            cell(package.version),
            f"{package.file_count:,}",
            size_text(package.size_bytes),
            *_dropped(package.size_bytes, package.kept_bytes),
        )
    console.print(indented(table))
    _say_more(console, audit.packages, look)


def _table(audit: Audit, *headers: str, numbers: int) -> Table:
    """A table with a last column for what the plan would drop, where there is a plan."""
    if audit.kept_bytes is None:
        return columns(*headers, numbers=numbers)
    return columns(*headers, "dropped", numbers=numbers + 1)


def _dropped(size_bytes: int, kept_bytes: int | None) -> list[str]:
    return [] if kept_bytes is None else [size_text(size_bytes - kept_bytes)]


def _shown(rows: Sequence[T], look: Look) -> Sequence[T]:
    return rows if look.verbose else rows[:SHOWN_ROWS]


def _say_more(console: Console, rows: Sequence[object], look: Look) -> None:
    hidden = len(rows) - len(_shown(rows, look))
    if hidden:
        console.print(cell(f"  … and {hidden:,} more: --verbose lists them", "dim"))
