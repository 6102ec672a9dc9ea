"""Headers, static libraries and build metadata that a RUN installed without a package, as ``make
install`` does: only a compiler reads them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from imgslim.audit.advice.model import Draft, Facts, by_layer, shares_of
from imgslim.audit.advice.scripts import commands_of
from imgslim.audit.model import AdviceKind, Verdict
from imgslim.paths import above
from imgslim.tables import building_commands

_KINDS = ("headers", "static-libraries")
_METADATA = "build metadata"
_MOST_WORDS = 12
"""Paths that one command names."""


def advise(facts: Facts) -> Iterator[Draft]:
    """For each RUN behind which none builds, the command that takes them away."""
    found = [
        file
        for file in facts.files
        if (file.kind in _KINDS or file.unit == _METADATA)
        and file.verdict is Verdict.REMOVABLE
        and not file.package
    ]
    for index, files in by_layer(found):
        step = facts.steps[index]
        words = _removed(facts, [file.path for file in files])
        if not step.is_run or len(words) > _MOST_WORDS or _builds_later(facts, index):
            continue
        yield Draft(
            AdviceKind.CLEAN,
            f"{step.name} leaves headers and libraries for linking",
            f"add `rm -rf {' '.join(map(shlex.quote, words))}` to {step.name}, at its end",
            shares_of(files),
            layer_index=index,
            instruction=step.text,
            paths=tuple(words),
        )


def _removed(facts: Facts, gone: Sequence[str]) -> list[str]:
    """The highest directories that hold nothing but ``gone``, and the other files by themselves."""
    held: Counter[str] = Counter()
    for cell in facts.cells:
        if cell.verdict is not Verdict.HIDDEN:
            held[cell.directory] += cell.file_count
    held.subtract(path.rpartition("/")[0] or "/" for path in gone)
    full = [directory for directory, count in held.items() if count > 0]
    kept = {one for directory in full for one in (directory, *above(directory))}
    return sorted(
        {next((a for a in [*above(path)][-2::-1] if a not in kept), path) for path in gone}
    )


def _builds_later(facts: Facts, index: int) -> bool:
    later = facts.steps[index + 1 :]
    return any(
        argv[0] in building_commands() for step in later for argv in commands_of(step.script)
    )
