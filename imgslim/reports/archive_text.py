"""The words about an archive that was written."""

from __future__ import annotations

from rich.console import Console

from imgslim.archive import Written
from imgslim.reports.console import Look, cell, columns, draw, heading, indented, indented_text
from imgslim.reports.words import count_text, printable, size_text

_NAMES_SHOWN = 3


def render_archived(written: Written, load_command: str, look: Look) -> str:
    """The image, its layers with their files' bytes, what strip refused, and how to load it."""

    def paint(console: Console) -> None:
        title = f"Wrote {written.name or 'an image without a name'}"
        heading(console, f"{title}  {written.image_id[:19]}")
        table = columns("", "", "", numbers=2)
        if base := written.base:
            name, layers = (
                printable(base.image.reference),
                count_text(len(base.image.layers), "layer"),
            )
            table.add_row(cell(f"all of {name}"), layers, size_text(base.size_bytes))
        for layer, blob in written.layers:
            files = sum(member.keep.entry.is_file for member in layer.members)
            table.add_row(layer.part.value, count_text(files, "file"), size_text(layer.size_bytes))
            if look.verbose:
                table.add_row(cell(f"  {blob.diff_id}", "dim"), "", "")
        console.print(indented(table))
        if written.not_stripped:
            console.print(indented_text(_refused(written.not_stripped)))
        if load_command:
            console.print(cell(f"  to load it: {load_command}", "dim"))

    return draw(look, paint)


def _refused(paths: tuple[str, ...]) -> str:
    names = ", ".join(map(printable, paths[:_NAMES_SHOWN]))
    more = f", {len(paths) - _NAMES_SHOWN:,} more" if len(paths) > _NAMES_SHOWN else ""
    return (
        f"warning: strip refused {count_text(len(paths), 'file')}, kept as they are: {names}{more}"
    )
