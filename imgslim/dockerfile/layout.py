"""Lines of a Dockerfile: comments, sizes, and long instructions wrapped for readers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imgslim.copyplan.steps import Content
from imgslim.model import Group

LINE_WIDTH = 100
_INDENT = "    "
_NAMED_REASONS = 12


def comment(text: str) -> str:
    """A comment line; what a file name or reason holds cannot end it."""
    clean = "".join(char if char.isprintable() else "?" for char in text)
    return f"# {clean}"


def count(number: int, noun: str) -> str:
    """``1 file``, ``12 files``."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def size(size_bytes: int) -> str:
    """Bytes in decimal units, as docker prints them."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000 - 0.05:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def wrapped(start: str, words: Sequence[str], *, indent: str = _INDENT) -> str:
    """``start`` and ``words`` on one line, or on several that a backslash joins.

    Words are never broken; a line holds as many as fit.
    """
    if len(start) + 1 + sum(len(word) + 1 for word in words) <= LINE_WIDTH:
        return " ".join([start, *words])
    lines = [start]
    room = 0
    for word in words:
        if room < len(word) + 1:
            lines.append(indent + word)
            room = LINE_WIDTH - len(lines[-1]) - 2
        else:
            lines[-1] += " " + word
            room -= len(word) + 1
    return " \\\n".join(lines)


def describe_contents(contents: Iterable[Content]) -> list[str]:
    """Comment lines that say for each reason how many files and bytes it brings."""
    sums: dict[tuple[Group, str], tuple[int, int]] = {}
    for content in contents:
        files, size_bytes = sums.get((content.group, content.reason), (0, 0))
        total = files + content.file_count, size_bytes + content.size_bytes
        sums[content.group, content.reason] = total
    rows = sorted(sums.items(), key=lambda row: (-row[1][1], row[0][0].name, row[0][1]))
    lines = [
        comment(f"{group.value}: {reason}{_amount(files, size_bytes)}")
        for (group, reason), (files, size_bytes) in rows[:_NAMED_REASONS]
    ]
    rest = rows[_NAMED_REASONS:]
    if rest:
        files = sum(row[1][0] for row in rest)
        size_bytes = sum(row[1][1] for row in rest)
        more = count(len(rest), "more reason")
        lines.append(comment(f"{more}{_amount(files, size_bytes)}"))
    return lines


def _amount(files: int, size_bytes: int) -> str:
    """Nothing is said of what is links and directories alone."""
    return f" ({count(files, 'file')}, {size(size_bytes)})" if files else ""
