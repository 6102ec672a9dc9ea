"""Caches and repositories that a RUN leaves behind: what keeps them out of its layer."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from imgslim.audit.advice.endings import at_end, left_behind
from imgslim.audit.advice.model import Draft, Facts, Stored, by_layer, top_of_origin
from imgslim.audit.advice.scripts import Argv, commands_of
from imgslim.audit.advice.stages import base_name, copy_lines
from imgslim.audit.advice.steps import Step
from imgslim.audit.model import AdviceKind, Verdict
from imgslim.tables import load_table

_KINDS = ("caches", "vcs")
_MOST_TOPS = 8
"""Directories that one command names."""


def advise(facts: Facts) -> Iterator[Draft]:
    """For each layer and each cache in it, the edit of the RUN."""
    caches = [file for file in facts.files if file.kind in _KINDS and _may_go(file)]
    for index, files in by_layer(caches):
        step = facts.steps[index]
        units: dict[str, list[Stored]] = {}
        for file in files:
            units.setdefault(file.unit, []).append(file)
        for unit, own in units.items():
            if step.in_base or step.is_copy:
                continue
            draft = _draft(facts, step, unit, own)
            if draft is not None:
                yield draft


def _may_go(file: Stored) -> bool:
    return file.verdict is not Verdict.NEEDED and file.size_bytes > 0


def _draft(facts: Facts, step: Step, unit: str, files: Sequence[Stored]) -> Draft | None:
    tops = _tops(facts, unit, files)
    row = _row(unit, tops)
    edit = _edit(facts, step, row, tops)
    if not edit:
        return None
    draft = left_behind(step, _named(unit, files[0].kind), edit, files, tops)
    return replace(draft, kind=AdviceKind.BUILD_STAGE) if edit.startswith("FROM") else draft


def _named(unit: str, kind: str) -> str:
    if kind == "vcs":
        return f"the history of a repository ({unit})"
    article = "" if unit.endswith("s") else "a " if unit[:1].lower() not in "aeiou" else "an "
    return f"{article}{unit}"


def _tops(facts: Facts, unit: str, files: Sequence[Stored]) -> tuple[str, ...]:
    """The outermost directories (or files) that are of the cache."""
    own = (file.path for file in files if facts.origin_of(file.path).unit == unit)
    return tuple(sorted({top_of_origin(facts, path) for path in own}))


def _row(unit: str, tops: Sequence[str]) -> Mapping[str, Any]:
    for row in load_table("advice")["cache"]:
        under = row.get("under", "/")
        if row["unit"] == unit and any(top.startswith(under) for top in tops):
            return dict(row)
    return {}


def _edit(facts: Facts, step: Step, row: Mapping[str, Any], tops: Sequence[str]) -> str:
    command = row.get("command", "")
    if not command:
        if not 0 < len(tops) <= _MOST_TOPS:
            return ""
        command = f"rm -rf {' '.join(map(shlex.quote, tops))}"
    reader = _later_reader(facts, step, row)
    if reader is not None:
        return _edit_for_reader(facts, step, row, reader, command)
    commands = commands_of(step.script)
    if any(_is_call(argv, call) for argv in commands for call in row.get("flag_for", ())):
        edit = f"add `{row['flag']}` to {row['flag_text']} in {step.name}"
        fillers = [call for call in row.get("filled_by", ()) if _says(step, call)]
        return f"{edit}, and leave `{fillers[0]}` out of it" if fillers else edit
    return at_end(step, command)


def _edit_for_reader(
    facts: Facts, step: Step, row: Mapping[str, Any], reader: Step, command: str
) -> str:
    """Where a later RUN reads what this one stored: one RUN for both, else each fetches its own,
    else both in a build stage."""
    between = facts.steps[step.layer_index + 1 : reader.layer_index + 1]
    if all(one.joins for one in between):
        return (
            f"join the RUNs of layers {step.layer_index} to {reader.layer_index}, which read it, "
            f"into one RUN that ends with `{command}`"
        )
    fillers = row.get("filled_by", ())
    if fillers:
        readers = [one for one in between if one.is_run and _reads(one, row)]
        return (
            f"begin {_listed(readers)} with `{fillers[0]} &&`, and end it and {step.name} with "
            f"`&& {command}`"
        )
    base = base_name(facts)
    lines = (
        f"FROM {base} AS build",
        f"# {step.name} and all up to {reader.name}",
        f"FROM {base}",
        "# the other instructions",
        *copy_lines(facts, step.layer_index),
    )
    return "\n".join(lines)


def _listed(steps: Sequence[Step]) -> str:
    return " and ".join(step.name for step in steps)


def _later_reader(facts: Facts, step: Step, row: Mapping[str, Any]) -> Step | None:
    """The last RUN behind ``step`` that reads the cache without filling it itself."""
    later = [one for one in facts.steps[step.layer_index + 1 :] if _reads(one, row)]
    return later[-1] if later else None


def _reads(step: Step, row: Mapping[str, Any]) -> bool:
    if not step.is_run or any(_says(step, call) for call in row.get("filled_by", ())):
        return False
    return any(_says(step, call) for call in row.get("read_by", ()))


def _says(step: Step, call: str) -> bool:
    return any(_is_call(argv, call) for argv in commands_of(step.script))


def _is_call(argv: Argv, call: str) -> bool:
    """Whether a command is ``call``: a program, or with a word that has to follow it (options may
    stand between)."""
    program, _, word = call.partition(" ")
    if argv[0].rstrip("0123456789.") != program and argv[0] != program:
        return False
    return not word or word in argv[1:]
