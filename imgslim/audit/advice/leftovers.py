"""What installing leaves besides caches: documentation, logs, backups (``advice.toml``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imgslim.audit.advice.endings import at_end, left_behind
from imgslim.audit.advice.model import Draft, Facts, Stored, by_layer
from imgslim.audit.model import Verdict
from imgslim.globs import any_of
from imgslim.tables import load_table


def advise(facts: Facts) -> Iterator[Draft]:
    """For each layer and each row, the command that the RUN should end with."""
    for row in load_table("advice")["leftover"]:
        if row.get("needs_plan") and not facts.has_plan:
            continue
        for index, files in by_layer(_matching(facts, row)):
            step = facts.steps[index]
            if step.in_base or step.is_copy:
                continue
            there = [path for path in row["paths"] if _any_matches(path, files)]
            yield left_behind(step, row["title"], at_end(step, _command(row, there)), files, there)


def _matching(facts: Facts, row: Mapping[str, Any]) -> Iterator[Stored]:
    pattern = any_of(path.removeprefix("/") for path in row["paths"])
    place, name = row.get("spare", ("/", ""))
    above = place.removesuffix("**")
    for file in facts.files:
        if file.verdict is Verdict.NEEDED or not pattern.fullmatch(file.path, 1):
            continue
        if not name or not (file.path.startswith(above) and file.path.endswith(f"/{name}")):
            yield file


def _any_matches(path: str, files: Sequence[Stored]) -> bool:
    pattern = any_of([path.removeprefix("/")])
    return any(pattern.fullmatch(file.path, 1) for file in files)


def _command(row: Mapping[str, Any], there: Sequence[str]) -> str:
    place, name = row.get("spare", ("", ""))
    removed = [path.replace("**", "*") for path in there if path != place]
    commands = [f"rm -rf {' '.join(removed)}"] if removed else []
    if place in there:
        folder = place.removesuffix("/**")
        commands.append(f"find {folder} -type f ! -name {name} -delete")
    return " && ".join(commands)
