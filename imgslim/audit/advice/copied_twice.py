"""The same files in two COPYs: a link in the place of the second.

Only where contents were compared (``--duplicates``), and where all who read find the same: both
copies alike in mode and owner, nothing more in either place, nothing of another layer.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping, Sequence

from imgslim.audit.advice.model import Draft, Facts, Stored, by_layer, shares_of
from imgslim.audit.advice.steps import Step
from imgslim.audit.model import AdviceKind
from imgslim.model import Entry
from imgslim.paths import above

_ROOT = ("", "root", "0", "root:root", "0:0", "root:0", "0:root")

Twins = Mapping[tuple[int, str], int]
"""The number of its group of equal contents, by a file's layer and path."""


def advise(facts: Facts) -> Iterator[Draft]:
    """For each COPY all of whose files another brought before, the link; ``ln`` needs a shell, as
    the RUNs do, and root."""
    can_link = any(step.is_run for step in facts.steps) and facts.user in _ROOT
    if not facts.duplicates or not can_link:
        return
    twins = {
        (copy.layer_index, copy.path): number
        for number, group in enumerate(facts.duplicates)
        for copy in group.copies
        if not copy.hidden
    }
    twice = (file for file in facts.files if (file.layer_index, file.path) in twins)
    brought = {i: files for i, files in by_layer(twice) if facts.steps[i].is_copy}
    for index, files in brought.items():
        for earlier in (one for one in brought if one < index):
            pair = _linked(facts, twins, facts.steps[earlier], brought[earlier], index, files)
            if pair is not None:
                yield _draft(facts, facts.steps[index], *pair, files)
                break


def _draft(facts: Facts, step: Step, source: str, target: str, files: Sequence[Stored]) -> Draft:
    parent = posixpath.dirname(target)
    inside = f"{parent.rstrip('/')}/"
    command = f"ln -s {shlex.quote(source)} {shlex.quote(target)}"
    before = (entry.path for layer in facts.layers[: step.layer_index] for entry in layer.entries)
    if not any(path == parent or path.startswith(inside) for path in before):
        command = f"mkdir -p {shlex.quote(parent)} && {command}"
    return Draft(
        AdviceKind.LINK,
        f"{step.name} brings again what is at {source}",
        f"write `RUN {command}` in place of {step.name}",
        shares_of(files),
        reason="whoever reads finds the same at both; whoever writes one of them writes both",
        layer_index=step.layer_index,
        instruction=step.text,
        paths=(target,),
    )


def _linked(
    facts: Facts,
    twins: Twins,
    earlier: Step,
    before: Sequence[Stored],
    index: int,
    files: Sequence[Stored],
) -> tuple[str, str] | None:
    """(where the link leads, where it is), if one can stand for all that layer ``index`` has."""
    for source, target in _tops(twins, earlier, before, facts.steps[index], files):
        own = _below(facts, target, index)
        other = _below(facts, source, earlier.layer_index)
        if own is None or other is None or len(own) != len(other) or not own:
            continue
        known = {*own, *above(target)}
        is_all = all(entry.path in known for entry in facts.layers[index].entries)
        if is_all and _are_alike(twins, (earlier.layer_index, other), (index, own)):
            return source, target
    return None


def _tops(
    twins: Twins, earlier: Step, before: Sequence[Stored], later: Step, files: Sequence[Stored]
) -> Iterator[tuple[str, str]]:
    """What may be the two places: a file each, or the directories that are copied to."""
    if len(files) == 1:
        wanted = twins[later.layer_index, files[0].path]
        for one in before:
            if twins[earlier.layer_index, one.path] == wanted:
                yield one.path, files[0].path
    elif earlier.target and later.target:
        yield earlier.target, later.target


def _below(facts: Facts, top: str, index: int) -> Mapping[str, tuple[str, Entry]] | None:
    """What layer ``index`` has at ``top`` and below, by path, with the path from there; None where
    another layer has something there, too."""
    prefix = f"{top.rstrip('/')}/"
    found: dict[str, tuple[str, Entry]] = {}
    for layer in facts.layers:
        for entry in layer.entries:
            if entry.path != top and not entry.path.startswith(prefix):
                continue
            if layer.index != index:
                return None
            found[entry.path] = (entry.path.removeprefix(top), entry)
    return found


_Place = tuple[int, Mapping[str, tuple[str, Entry]]]


def _are_alike(twins: Twins, one: _Place, other: _Place) -> bool:
    sides = [
        {relative: _facts_of(twins, index, entry) for relative, entry in found.values()}
        for index, found in (one, other)
    ]
    return sides[0] == sides[1] and None not in sides[0].values()


def _facts_of(twins: Twins, index: int, entry: Entry) -> tuple[object, ...] | None:
    """What has to be the same; None where there is no saying: a relative link leads elsewhere."""
    number = twins.get((index, entry.path), -1)
    if not entry.is_directory and (number < 0 or not entry.is_file):
        return None
    return entry.kind, entry.mode, entry.uid, entry.gid, entry.xattrs, number
