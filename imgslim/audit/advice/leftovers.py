"""What installing leaves besides caches: documentation, logs, backups (``advice.toml``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imgslim.audit.advice.model import Draft, Facts, Stored, by_layer, shares_of
from imgslim.audit.model import AdviceKind, Verdict
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
            where = f"to {step.name}" if step.is_run else "to the RUN that makes them"
            yield Draft(
                AdviceKind.CLEAN,
                f"{step.name} leaves {row['title']}",
                f"add `{row['command']}` {where}, at its end",
                shares_of(files),
                layer_index=index,
                instruction=step.text,
                paths=tuple(row["paths"]),
            )


def _matching(facts: Facts, row: Mapping[str, Any]) -> Iterator[Stored]:
    pattern = any_of(path.removeprefix("/") for path in row["paths"])
    spared = tuple(f"/{name}" for name in row.get("except", ()))
    for file in facts.files:
        if file.verdict is Verdict.NEEDED or not pattern.fullmatch(file.path, 1):
            continue
        if not spared or not file.path.endswith(spared):
            yield file
