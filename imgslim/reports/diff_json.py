"""The report of a comparison for programs (docs/json.md)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from imgslim import __version__
from imgslim.comparison import Comparison
from imgslim.model import Image
from imgslim.reports.json import Row, image_row, render_document
from imgslim.verify.planfile import VERSION


def render_diff(before: Image, after: Image, found: Comparison) -> str:
    """The document of ``imgslim diff --format json``; it has every row."""
    return render_document(
        {
            "version": VERSION,
            "kind": "diff",
            "imgslim": __version__,
            "before": image_row(before),
            "after": image_row(after),
            "diff": diff_document(found),
        }
    )


def diff_document(found: Comparison) -> Row:
    """A comparison as plain data."""
    return {
        "different": found.is_different,
        "under": found.under,
        "sizes": {"before": asdict(found.before), "after": asdict(found.after)},
        "layers": _rows(found.layers),
        "directories": _rows(found.directories),
        "packages": _rows(found.packages),
        "paths": _rows(found.paths),
        "config": _rows(found.config),
        "contents_read": {"files": found.read_files, "bytes": found.read_bytes},
    }


def _rows(rows: tuple[Any, ...]) -> list[Row]:
    return [
        {name: list(value) if isinstance(value, tuple) else value for name, value in row.items()}
        for row in map(asdict, rows)
    ]
