"""What should not be in an image, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding

from imgslim.audit.model import Verdict
from imgslim.dirt import Dirt, DirtKind, Finding, Scanned, Spared
from imgslim.reports.console import Look, cell, heading, indented_text
from imgslim.reports.words import count_text, size_text

SHOWN_ROWS = 12
"""Rows of one kind, unless everything is asked for."""

TITLES = {
    DirtKind.SETUID: "setuid programs",
    DirtKind.SETGID: "setgid programs",
    DirtKind.CAPABILITIES: "programs with file capabilities",
    DirtKind.WORLD_WRITABLE: "what everyone may write",
    DirtKind.HISTORY: "histories",
    DirtKind.PRIVATE_KEY: "private keys",
    DirtKind.CREDENTIALS: "logins of tools, environment files",
    DirtKind.TOKEN: "secrets in the config or the history",
    DirtKind.SECRET: "secrets in files",
}

ADVICE = {
    DirtKind.TOKEN: "everyone who has the image can read it: use RUN --mount=type=secret to build, "
    "and give it to the container when it starts; replace the secret",
    DirtKind.PRIVATE_KEY: "mount it, into the build (RUN --mount=type=ssh or secret) or into the "
    "container; replace the key",
    DirtKind.CREDENTIALS: "RUN --mount=type=secret brings it into a build and leaves nothing; "
    "replace the secret",
    DirtKind.SECRET: "give it to the container when it starts; replace the secret",
    DirtKind.HISTORY: "may hold what was typed: remove it in the RUN that made it",
}

HEADING = "What should not be in an image"

_PRIVILEGED = (DirtKind.SETUID, DirtKind.SETGID, DirtKind.CAPABILITIES)


def paint_dirt(console: Console, dirt: Dirt, look: Look) -> None:
    """A section of a report, for the console that paints it."""
    heading(console, HEADING)
    if not dirt.findings:
        console.print(cell("  nothing was found"))
    for kind in DirtKind:
        found = [finding for finding in dirt.findings if finding.kind is kind]
        if found:
            _kind(console, kind, found, look)
    for line in _notes(dirt):
        console.print(indented_text(line, "dim"))


def finding_lines(dirt: Dirt) -> list[str]:
    """Each finding in a line of its own, then what was not looked at."""
    found = [
        "; ".join((f"{TITLES[row.kind]}: {_named(row, ', ')} ({_rule(row)})", *_made(row)))
        for row in dirt.findings
    ]
    return [*(found or ["nothing was found"]), *_notes(dirt)]


def _kind(console: Console, kind: DirtKind, found: Sequence[Finding], look: Look) -> None:
    console.print(cell(f"  {TITLES[kind]}"))
    is_apart = kind in _PRIVILEGED and not look.verbose
    apart = [finding for finding in found if is_apart and finding.owner]
    rows = [finding for finding in found if finding not in apart]
    shown = rows if look.verbose else rows[:SHOWN_ROWS]
    for finding in shown:
        _line(console, f"    {_named(finding, '  ')}  ({_rule(finding)})", look)
        for line in _made(finding):
            _line(console, f"      {line}", look, "dim")
    if apart:
        programs = f"{count_text(len(apart), 'program')}{_by_verdict(apart)}"
        _line(console, f"    {programs} of {_by_owner(apart)}", look)
    if len(rows) > len(shown):
        console.print(
            cell(f"    … and {len(rows) - len(shown):,} more: --verbose lists them", "dim")
        )
    if advice := ADVICE.get(kind, ""):
        console.print(Padding(cell(f"→ {advice}"), (0, 0, 0, 4)))


def _line(console: Console, text: str, look: Look, style: str = "") -> None:
    """A line, cut at the width unless everything is asked for."""
    console.print(cell(text, style), no_wrap=not look.verbose, overflow="ellipsis")


def _named(finding: Finding, between: str) -> str:
    """The place, and what becomes of it in the slim image."""
    where = f"{finding.where}:{finding.line}" if finding.line else finding.where
    return f"{where}{between}{finding.verdict}" if finding.verdict else where


def _rule(finding: Finding) -> str:
    words = [finding.rule]
    if finding.count > 1 and finding.kind is DirtKind.WORLD_WRITABLE:
        words.append(f"with {finding.count - 1:,} below it")
    elif finding.count > 1:
        words.append(f"{finding.count:,} times")
    if finding.owner:
        words.append(finding.owner)
    return ", ".join(words)


def _made(finding: Finding) -> list[str]:
    """The layer with its instruction, and the one that took it away."""
    lines = []
    if finding.layer_index is not None:
        lines.append(_layer("layer", finding.layer_index, finding.instruction))
    elif finding.instruction:
        lines.append(finding.instruction)
    if undone := finding.deleted_by:
        lines.append(_layer(f"{undone.how} by layer", undone.layer_index, undone.instruction))
    return lines


def _layer(words: str, index: int, instruction: str) -> str:
    return f"{words} {index}" + (f": {instruction}" if instruction else "")


def _by_owner(findings: Iterable[Finding]) -> str:
    """``deb:mount 2, deb:passwd 5``."""
    counts = Counter(finding.owner for finding in findings)
    return ", ".join(f"{owner} {count}" for owner, count in sorted(counts.items()))


def _by_verdict(findings: Sequence[Finding]) -> str:
    """`` (needed 2, removable 5)``."""
    counts = Counter(finding.verdict for finding in findings)
    words = [f"{verdict} {counts[verdict]}" for verdict in Verdict if counts[verdict]]
    return f" ({', '.join(words)})" if words else ""


def _notes(dirt: Dirt) -> list[str]:
    notes = []
    if dirt.spared:
        words = "not told" if dirt.scanned is None else "not read"
        notes.append(f"{words}: {', '.join(_spared(row) for row in dirt.spared)}")
    if dirt.scanned is None:
        notes.append("contents of other files were not read: --secrets does")
    else:
        notes.append(_scanned(dirt.scanned))
    return notes


def _spared(row: Spared) -> str:
    return f"{count_text(row.files, 'file')} of a {row.origin.value} ({size_text(row.size_bytes)})"


def _scanned(scanned: Scanned) -> str:
    read = f"read for secrets: {count_text(scanned.files, 'file')}, {size_text(scanned.size_bytes)}"
    if not scanned.compressed_files:
        return read
    return f"{read}; not unpacked: {count_text(scanned.compressed_files, 'compressed file')}"
