"""RUN instructions that are to be one: what the first stores, a later one deletes or stores again.

A layer keeps what it has stored, whatever later layers say (OCI image spec, layer.md); Docker's
building best practices, "RUN": clean up in the instruction that made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from imgslim.audit.advice.model import Draft, Facts, shares_of
from imgslim.audit.advice.scripts import commands_of
from imgslim.audit.advice.steps import Step
from imgslim.audit.model import AdviceKind, How, WastedFile

LEAST_AGAIN_BYTES = 1_000_000
"""Below it, what is stored twice (a package database that each installation writes) does not ask
for one RUN in place of two: that has its price in the build's cache."""

_REMOVING = frozenset(("rm", "rmdir", "unlink", "set", "cd", "true", ":", "echo", "sync"))
_REMOVING_WORDS = (
    ("apt-get", "clean"),
    ("apt", "clean"),
    ("apt-get", "autoclean"),
    ("dnf", "clean"),
    ("yum", "clean"),
    ("microdnf", "clean"),
    ("npm", "cache"),
    ("yarn", "cache"),
    ("pip", "cache"),
    ("conda", "clean"),
    ("go", "clean"),
)


def advise(facts: Facts) -> Iterator[Draft]:
    """For each run of layers that belong together, the edit that makes them one."""
    for first, last in _intervals(facts):
        files = [file for file in facts.wasted if _is_within(file, first, last)]
        steps = facts.steps[first : last + 1]
        example = max(files, key=lambda file: file.size_bytes)
        yield Draft(
            AdviceKind.JOIN,
            _title(steps, files),
            _edit(steps),
            shares_of(files),
            reason=f"{example.path}: stored by layer {example.layer_index}, {example.how.value} by "
            f"layer {example.by_layer}",
            layer_index=first,
            instruction=steps[0].text,
            paths=_tops(files),
        )


def is_removing(step: Step) -> bool:
    """Whether a RUN only takes files away."""
    commands = commands_of(step.script)
    return bool(commands) and all(
        argv[0] in _REMOVING
        or argv[:2] in _REMOVING_WORDS
        or (argv[0] == "find" and argv[-1] in ("-delete", "+", ";"))
        for argv in commands
    )


def _intervals(facts: Facts) -> list[tuple[int, int]]:
    """(first, last) layers, those that share a layer as one."""
    again: dict[tuple[int, int], int] = {}
    wanted: set[tuple[int, int]] = set()
    for file in facts.wasted:
        if file.by_layer is None or not _can_join(facts.steps, file.layer_index, file.by_layer):
            continue
        pair = file.layer_index, file.by_layer
        again[pair] = again.get(pair, 0) + file.size_bytes
        if file.how is How.DELETED and file.size_bytes:
            wanted.add(pair)
    wanted |= {pair for pair, size in again.items() if size >= LEAST_AGAIN_BYTES}
    merged: list[tuple[int, int]] = []
    for first, last in sorted(wanted):
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _can_join(steps: Sequence[Step], first: int, last: int) -> bool:
    return first < last and all(steps[index].joins for index in range(first + 1, last + 1))


def _is_within(file: WastedFile, first: int, last: int) -> bool:
    return file.by_layer is not None and first <= file.layer_index and file.by_layer <= last


def _title(steps: Sequence[Step], files: Iterable[WastedFile]) -> str:
    how = {file.how for file in files}
    first, last = steps[0].layer_index, steps[-1].layer_index
    what = "deletes" if how == {How.DELETED} else "deletes or stores again"
    later = f"layer {last}" if last == first + 1 else f"layers {first + 1} to {last}"
    verb = what if last == first + 1 else what.replace("s ", " ").removesuffix("s")
    return f"{later} {verb} what layer {first} stored: one RUN for them"


def _edit(steps: Sequence[Step]) -> str:
    first, last = steps[0], steps[-1]
    if len(steps) == 2 and is_removing(last) and "\n" not in last.script:
        return (
            f"end {first.name} with `&& {last.script.strip()}`, and leave out {last.name}"
        ) + _moved(steps)
    names = ", ".join(str(step.layer_index) for step in steps[:-1])
    return (
        f"join the RUNs of layers {names} and {last.layer_index} into one RUN, with `&&` between "
        "their commands"
    ) + _moved(steps)


def _moved(steps: Sequence[Step]) -> str:
    moved = dict.fromkeys(word for step in steps[1:] for word in step.moved)
    return f"; move the {' and '.join(moved)} between them up before it" if moved else ""


def _tops(files: Sequence[WastedFile]) -> tuple[str, ...]:
    """The largest files, a few."""
    ranked = sorted(files, key=lambda file: (-file.size_bytes, file.path))
    return tuple(file.path for file in ranked[:8])
