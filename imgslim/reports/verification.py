"""What verification says to people: one line when all is well, else one line for each difference.

Lines are not wrapped: each is whole, to be searched and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from imgslim.reports.console import Look
from imgslim.reports.words import count_text, printable
from imgslim.verify import Allowance, Difference, Verification
from imgslim.verify.differences import Aspect

SHOWN_DIFFERENCES = 50
"""Differences that are printed, unless everything is asked for."""

_LONGEST_VALUE = 80

_UNNAMED = (Aspect.PRESENCE, Aspect.KIND)
"""What is expected and found says these by itself."""


def render_verification(result: Verification, look: Look) -> str:
    """The report of ``imgslim verify``."""
    return render_differences(result, look) + "".join(
        f"  allowed: {line}\n" for line in _allowances(result, look)
    )


def render_differences(result: Verification, look: Look) -> str:
    """What ``rewrite --build`` says of the built image: one line if all is well."""
    lines = [_summary(result)]
    shown = result.differences if look.verbose else result.differences[:SHOWN_DIFFERENCES]
    lines += [f"  {difference_line(difference)}" for difference in shown]
    hidden = len(result.differences) - len(shown)
    if hidden:
        lines.append(f"  … and {hidden:,} more: --verbose lists all")
    return "".join(f"{line}\n" for line in lines)


def difference_line(difference: Difference) -> str:
    """The path (or field), what was expected, what was found, and why that may be."""
    where = printable(difference.path) if difference.path else "config"
    aspect = "" if difference.aspect in _UNNAMED else f"{printable(difference.aspect)} "
    expected, found = _short(difference.expected), _short(difference.found)
    return f"{where}: {aspect}expected {expected}, found {found} ({difference.why})"


def _summary(result: Verification) -> str:
    paths = count_text(result.path_count, "path")
    if result.differences:
        differences = count_text(len(result.differences), "difference")
        return f"not as planned: {differences} in {paths}"
    stripped = f", {result.stripped_count:,} of them stripped" if result.stripped_count else ""
    return f"verified: {paths} as planned{stripped}"


def _allowances(result: Verification, look: Look) -> Iterator[str]:
    """What no Dockerfile can say: counted, or with ``--verbose`` one by one."""
    if look.verbose:
        yield from map(_allowance_line, result.allowances)
        return
    for (_, message), count in Counter((a.code, a.message) for a in result.allowances).items():
        yield f"{count:,} x {message}"


def _allowance_line(allowance: Allowance) -> str:
    where = printable(allowance.path) if allowance.path else "config"
    return f"{where}: {printable(allowance.aspect)}: {allowance.message}"


def _short(value: str) -> str:
    text = printable(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
