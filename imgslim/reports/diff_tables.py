"""What differs between two images as tables, before anybody draws them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from imgslim.comparison.changes import (
    Aspect,
    Comparison,
    Detail,
    How,
    LayerChange,
    LayerSide,
    PackageChange,
    PathChange,
    Sizes,
)
from imgslim.reports.words import count_text, share_text, size_text

T = TypeVar("T")

LONGEST_INSTRUCTION = 120
"""Characters of an instruction that are shown, unless everything is asked for."""

_UNSAID = "(the image does not say)"
_ARROW = "→"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row; ``notes`` are words below its first literal cell."""

    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiffTable:
    """A table whose last ``numbers`` columns are numbers. The columns ``literal`` hold names and
    values of the image, not words. ``hidden`` rows are left out; ``remarks`` stand below."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[TableRow, ...]
    numbers: int
    literal: tuple[int, ...] = (0,)
    hidden: int = 0
    remarks: tuple[str, ...] = ()


def diff_tables(found: Comparison, top: int | None) -> Iterator[DiffTable]:
    """The tables that have something to say, each with its first ``top`` rows (None: all)."""
    yield _sizes(found)
    if any(change.how is not How.SAME for change in found.layers):
        yield _layers(found.layers, top)
    if found.directories:
        yield _directories(found, top)
    if found.packages:
        yield _packages(found.packages, top)
    yield from _paths(found.paths, top)
    if found.config:
        yield _config(found)


def growth_text(growth_bytes: int) -> str:
    """Bytes with a sign: ``+1.2 MB``, ``-212 B``, ``0 B``."""
    return f"{'+' if growth_bytes > 0 else ''}{size_text(growth_bytes)}"


def _sizes(found: Comparison) -> DiffTable:
    one, two = found.before, found.after
    values: list[tuple[str, Callable[[Sizes], int]]] = [
        ("files of the tree", lambda sizes: sizes.tree_bytes),
        ("all layers", lambda sizes: sizes.stored_bytes),
        ("hidden by later layers", lambda sizes: sizes.hidden_bytes),
    ]
    rows = [_size_row(what, value(one), value(two)) for what, value in values]
    paths = two.path_count - one.path_count
    rows.append(TableRow(("paths", f"{one.path_count:,}", f"{two.path_count:,}", f"{paths:+,}")))
    title = "Sizes" if found.under == "/" else f"Sizes under {found.under}"
    return DiffTable(title, ("", "before", "after", "growth"), tuple(rows), 3, literal=())


def _size_row(what: str, before: int, after: int) -> TableRow:
    growth = growth_text(after - before)
    if before and after != before:
        sign = "+" if after > before else ""
        growth += f" ({sign}{share_text(after - before, before)})"
    return TableRow((what, size_text(before), size_text(after), growth))


def _layers(layers: Sequence[LayerChange], top: int | None) -> DiffTable:
    changed = [change for change in layers if change.how is not How.SAME]
    same = [change for change in layers if change.how is How.SAME]
    rows, hidden = _cut(sorted(changed, key=lambda change: -abs(change.growth_bytes)), top)
    shared = sum(change.after.size_bytes for change in same if change.after)
    verb = "is" if len(same) == 1 else "are"
    remark = f"{count_text(len(same), 'layer')} ({size_text(shared)}) {verb} in both images"
    return DiffTable(
        "Which instruction brought the growth",
        ("layer", "made by", "before", "after", "growth"),
        tuple(_layer(change, whole=top is None) for change in rows),
        numbers=3,
        literal=(1,),
        hidden=hidden,
        remarks=(remark,) if same else (),
    )


def _layer(change: LayerChange, *, whole: bool) -> TableRow:
    one, two = change.before, change.after
    sides = [str(side.index) if side else "" for side in (one, two)]
    words = [_instruction(side.instruction, whole=whole) for side in (one, two) if side]
    notes = [f"was: {words[0]}"] if words[0] != words[-1] else []
    if two and change.repeated_bytes:
        part = _part(change.repeated_bytes, two)
        notes.append(f"{part} repeats files of layers below")
    elif two and change.known_bytes:
        notes.append(f"{_part(change.known_bytes, two)} had the same path and content before")
    if two and two.hidden_bytes:
        notes.append(f"{_part(two.hidden_bytes, two)} is hidden by later layers")
    cells = (
        _ARROW.join(sides) if one and two else f"{sides[0]} gone" if one else f"{sides[1]} new",
        words[-1],
        size_text(one.size_bytes) if one else "",
        size_text(two.size_bytes) if two else "",
        growth_text(change.growth_bytes),
    )
    return TableRow(cells, tuple(notes))


def _part(part_bytes: int, layer: LayerSide) -> str:
    return "all of it" if part_bytes == layer.size_bytes else f"{size_text(part_bytes)} of it"


def _instruction(text: str, *, whole: bool) -> str:
    if not text:
        return _UNSAID
    is_long = len(text) > LONGEST_INSTRUCTION and not whole
    return f"{text[: LONGEST_INSTRUCTION - 1]}…" if is_long else text


def _directories(found: Comparison, top: int | None) -> DiffTable:
    rows, hidden = _cut(found.directories, top)
    return DiffTable(
        "Directories where growth gathers",
        ("directory", "paths", "in all", "not listed deeper"),
        tuple(
            TableRow(
                (
                    row.path,
                    f"{row.path_count:,}",
                    growth_text(row.growth_bytes),
                    growth_text(row.own_growth_bytes),
                )
            )
            for row in rows
        ),
        numbers=3,
        hidden=hidden,
    )


def _packages(packages: Sequence[PackageChange], top: int | None) -> DiffTable:
    ordered = sorted(packages, key=lambda row: (-abs(row.growth_bytes), row.key))
    rows, hidden = _cut(ordered, top)
    counts = _counts(
        {
            "added": sum(row.how is How.ADDED for row in packages),
            "removed": sum(row.how is How.REMOVED for row in packages),
            "of another version": sum(_has_other_versions(row) for row in packages),
            "of another size alone": sum(
                row.versions_before == row.versions_after for row in packages
            ),
        }
    )
    return DiffTable(
        f"Packages ({counts})",
        ("package", "before", "after", "growth"),
        tuple(
            TableRow(
                (
                    row.key,
                    ", ".join(row.versions_before),
                    ", ".join(row.versions_after),
                    growth_text(row.growth_bytes),
                )
            )
            for row in rows
        ),
        numbers=1,
        literal=(0, 1, 2),
        hidden=hidden,
    )


def _has_other_versions(row: PackageChange) -> bool:
    return row.how is How.CHANGED and row.versions_before != row.versions_after


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def _paths(paths: Sequence[PathChange], top: int | None) -> Iterator[DiffTable]:
    timed = [change for change in paths if change.is_time_only]
    changed = [c for c in paths if c.how is How.CHANGED and not c.is_time_only]
    for how in (How.ADDED, How.REMOVED):
        if rows := [change for change in paths if change.how is how]:
            yield _whole_paths(f"Paths that were {how}", rows, top)
    if changed:
        counts = Counter(d.aspect for c in changed for d in c.details if d.aspect != Aspect.MTIME)
        detail = ", ".join(f"{aspect} {count:,}" for aspect, count in counts.most_common())
        yield _changed_paths(f"Paths that changed ({len(changed):,}: {detail})", changed, top)
    if timed:
        yield _changed_paths(
            f"Paths that differ in their time alone ({len(timed):,})",
            timed,
            None if top is None else 0,
        )


def _whole_paths(title: str, changes: Sequence[PathChange], top: int | None) -> DiffTable:
    rows, hidden = _cut(sorted(changes, key=_weight), top)
    return DiffTable(
        f"{title} ({len(changes):,})",
        ("path", "package", "layer", "growth"),
        tuple(
            TableRow(
                (
                    _with_kind(row),
                    row.owner,
                    str(row.layer_before if row.layer_after is None else row.layer_after),
                    growth_text(row.growth_bytes),
                )
            )
            for row in rows
        ),
        numbers=2,
        literal=(0, 1),
        hidden=hidden,
    )


def _changed_paths(title: str, changes: Sequence[PathChange], top: int | None) -> DiffTable:
    rows, hidden = _cut(sorted(changes, key=_weight), top)
    return DiffTable(
        title,
        ("path", "what", "growth"),
        tuple(
            TableRow((_with_kind(row), _details(row), growth_text(row.growth_bytes)))
            for row in rows
        ),
        numbers=1,
        literal=(0, 1),
        hidden=hidden,
    )


def _weight(change: PathChange) -> tuple[int, int, str]:
    return -abs(change.growth_bytes), -max(change.size_before, change.size_after), change.path


def _with_kind(change: PathChange) -> str:
    return f"{change.path}/" if change.kind == "directory" and change.path != "/" else change.path


def _details(change: PathChange) -> str:
    """What differs; a new time goes without saying where anything else does."""
    told = [d for d in change.details if d.aspect != Aspect.MTIME or change.is_time_only]
    return ", ".join(map(_detail, told))


def _detail(detail: Detail) -> str:
    if detail.aspect == Aspect.CONTENT:
        return detail.aspect
    before, after = detail.before or "none", detail.after or "none"
    if detail.aspect == Aspect.SIZE:
        before, after = size_text(int(before)), size_text(int(after))
    return f"{detail.aspect} {before} {_ARROW} {after}"


def _config(found: Comparison) -> DiffTable:
    rows = tuple(
        TableRow((row.field, _value(row.before), _value(row.after))) for row in found.config
    )
    return DiffTable("Config", ("field", "before", "after"), rows, numbers=0, literal=(0, 1, 2))


def _value(value: str | None) -> str:
    """Ports and volumes are names alone, without a value."""
    return "(not set)" if value is None else value or "(set)"


def _cut(rows: Sequence[T], top: int | None) -> tuple[Sequence[T], int]:
    shown = rows if top is None else rows[:top]
    return shown, len(rows) - len(shown)


def remarks_on(found: Comparison, platforms: Iterable[str]) -> list[str]:
    """What is to be known of the comparison as a whole."""
    lines = []
    if len(set(platforms)) > 1:
        lines.append("The images are for different platforms: no program of them can be the same.")
    if not found.is_different:
        times = " but modification times" if any(c.is_time_only for c in found.paths) else ""
        lines.append(f"Nothing differs{times}.")
    if found.read_files:
        files = count_text(found.read_files, "file")
        lines.append(f"Contents read to compare them: {files}, {size_text(found.read_bytes)}.")
    return lines
