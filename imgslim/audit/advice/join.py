"""RUN instructions that are to be one: what the first stores, a later one deletes or stores again.

A layer keeps what it has stored, whatever later layers say (OCI image spec, layer.md); Docker's
building best practices, "RUN": clean up in the instruction that made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from imgslim.audit.advice.model import Draft, Facts, largest, shares_of
from imgslim.audit.advice.scripts import Argv, commands_of
from imgslim.audit.advice.steps import Step
from imgslim.audit.model import AdviceKind, How, WastedFile

LEAST_AGAIN_BYTES = 1_000_000
"""Below it, what is stored twice (a package database that each installation writes) does not ask
for one RUN in place of two: that has its price in the build's cache."""

_REMOVING = frozenset(("rm", "rmdir", "unlink", "set", "cd", "true", ":", "echo", "sync"))
_CLEANING = frozenset(("clean", "autoclean", "cache"))
"""The second word of package managers' commands that empty a cache."""

_PASSIVE = frozenset(("COPY", "ADD", "WORKDIR"))
"""What reads no file of the image."""

Pair = tuple[int, int]


def advise(facts: Facts) -> Iterator[Draft]:
    """For each run of layers that belong together, the edit that makes them one."""
    pairs = _pairs(facts)
    joined = _merged(pair for pair in pairs if _can_join(facts.steps, *pair))
    for first, last in joined:
        files = [file for file in facts.wasted if _is_within(file, first, last)]
        yield _draft(facts.steps[first : last + 1], files)
    for pair in pairs:
        if not _can_join(facts.steps, *pair) and _can_move(facts, *pair):
            files = [f for f in facts.wasted if (f.layer_index, f.by_layer) == pair]
            yield _draft((facts.steps[pair[0]], facts.steps[pair[1]]), files)


def is_removing(step: Step) -> bool:
    """Whether a RUN only takes files away."""
    commands = commands_of(step.script)
    return bool(commands) and all(map(_removes, commands))


def _removes(argv: Argv) -> bool:
    if argv[0] in _REMOVING:
        return True
    if argv[0] == "find":
        return argv[-1] == "-delete" or "rm" in argv
    return len(argv) > 1 and argv[1] in _CLEANING


def _pairs(facts: Facts) -> Sequence[Pair]:
    """The (layer, later layer) of which the later one deletes, or stores much of again."""
    sizes: dict[Pair, int] = {}
    deleting: set[Pair] = set()
    for file in facts.wasted:
        if file.by_layer is None or file.by_layer == file.layer_index:
            continue
        pair = file.layer_index, file.by_layer
        sizes[pair] = sizes.get(pair, 0) + file.size_bytes
        if file.how is How.DELETED and file.size_bytes:
            deleting.add(pair)
    return sorted(
        pair for pair, size in sizes.items() if pair in deleting or size >= LEAST_AGAIN_BYTES
    )


def _merged(pairs: Iterator[Pair]) -> list[Pair]:
    """(first, last) layers, those that share a layer as one."""
    merged: list[Pair] = []
    for first, last in pairs:
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _can_join(steps: Sequence[Step], first: int, last: int) -> bool:
    return all(steps[index].joins for index in range(first + 1, last + 1))


def _can_move(facts: Facts, first: int, last: int) -> bool:
    """Whether the last RUN deletes from the first alone, and nothing between reads the image."""
    steps = facts.steps
    if not (steps[first].is_run and steps[last].is_run and is_removing(steps[last])):
        return False
    passive = all(step.keyword in _PASSIVE for step in steps[first + 1 : last])
    return passive and all(
        file.layer_index == first for file in facts.wasted if file.by_layer == last
    )


def _is_within(file: WastedFile, first: int, last: int) -> bool:
    return file.by_layer is not None and first <= file.layer_index and file.by_layer <= last


def _draft(steps: Sequence[Step], files: Sequence[WastedFile]) -> Draft:
    return Draft(
        AdviceKind.JOIN,
        _title(steps, {file.how: True for file in files}),
        _edit(steps),
        shares_of(files),
        layer_index=steps[0].layer_index,
        instruction=steps[0].text,
        paths=largest(files),
    )


def _title(steps: Sequence[Step], how: Mapping[How, bool]) -> str:
    first, last = steps[0].layer_index, steps[-1].layer_index
    if len(steps) == 2:
        what = "deletes" if How.DELETED in how else "stores again"
        return f"layer {last} {what} what layer {first} stored"
    return f"layers {first} to {last} store what one of them deletes or stores again"


def _edit(steps: Sequence[Step]) -> str:
    first, last = steps[0], steps[-1]
    if len(steps) == 2 and is_removing(last) and "\n" not in last.script:
        edit = f"end {first.name} with `&& {last.script.strip()}`, and leave out {last.name}"
    else:
        names = ", ".join(str(step.layer_index) for step in steps[:-1])
        edit = f"join the RUNs of layers {names} and {last.layer_index} into one, with `&&` between"
    moved = dict.fromkeys(word for step in steps[1:] for word in step.moved)
    return f"{edit}; move the {' and '.join(moved)} between them up before it" if moved else edit
