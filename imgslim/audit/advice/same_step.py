"""What a COPY or ADD brings, and a later RUN changes in mode or owner, or deletes.

``COPY --chown`` and ``--chmod`` set both as the files come in (Dockerfile reference, COPY);
``RUN --mount=type=bind`` shows a file of the context to one instruction and stores nothing
(the same, RUN --mount).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from imgslim.audit.advice.join import is_removing
from imgslim.audit.advice.model import Draft, Facts, largest, shares_of
from imgslim.audit.advice.scripts import Argv, commands_of
from imgslim.audit.advice.steps import Step
from imgslim.audit.model import AdviceKind, How, WastedFile
from imgslim.model import Entry
from imgslim.paths import above

_MOST_LINES = 20
"""Lines of a ``.dockerignore`` beyond which what is deleted is no list any more."""


def advise(facts: Facts) -> Iterator[Draft]:
    for (layer, by_layer, how), files in _groups(facts).items():
        copying, later = facts.steps[layer], facts.steps[by_layer]
        if how is How.CHANGED:
            edit = _set_edit(facts, copying, later, files)
            title = f"{later.name} stores again what layer {layer} copied, for its mode or owner"
        else:
            edit = _delete_edit(facts, copying, later, files)
            title = f"{later.name} deletes what layer {layer} copied"
        if edit:
            yield Draft(
                AdviceKind.SAME_STEP,
                title,
                edit,
                shares_of(files),
                layer_index=layer,
                instruction=copying.text,
                paths=largest(files),
            )


def _groups(facts: Facts) -> dict[tuple[int, int, How], list[WastedFile]]:
    groups: dict[tuple[int, int, How], list[WastedFile]] = {}
    for file in facts.wasted:
        if file.by_layer is None or file.how not in (How.CHANGED, How.DELETED):
            continue
        if facts.steps[file.layer_index].is_copy and facts.steps[file.by_layer].is_run:
            groups.setdefault((file.layer_index, file.by_layer, file.how), []).append(file)
    return groups


def _set_edit(facts: Facts, copying: Step, later: Step, files: Sequence[WastedFile]) -> str:
    before = {entry.path: entry for entry in facts.layers[copying.layer_index].entries}
    after = {entry.path: entry for entry in facts.layers[later.layer_index].entries}
    pairs = [
        (before[file.path], after[file.path])
        for file in files
        if file.path in before and file.path in after
    ]
    if len(pairs) < len(files):
        return ""
    options = []
    commands = commands_of(later.script)
    if any((old.uid, old.gid) != (new.uid, new.gid) for old, new in pairs):
        owners = {(new.uid, new.gid) for _, new in pairs}
        if len(owners) > 1:
            return ""
        options.append(f"--chown={_owner(commands, *owners.pop())}")
    context = ""
    if any(old.mode != new.mode for old, new in pairs):
        modes = {new.mode for _, new in pairs}
        if len(modes) == 1:
            options.append(f"--chmod={modes.pop():o}")
        else:
            context = "give the files their modes in the build context, which COPY keeps"
    name = f"{copying.keyword} {' '.join(options)}" if options else ""
    edits = [context, f"write {name} in {copying.name}" if name else ""]
    programs = [argv for argv in commands if argv[0] in ("chown", "chmod", "chgrp")]
    gone = " and ".join(f"`{' '.join(argv)}`" for argv in programs) or "what changes them"
    return "; ".join([*filter(None, edits), f"leave {gone} out of {later.name}"])


def _owner(commands: Sequence[Argv], uid: int, gid: int) -> str:
    """As the chown of the script has it, where that names both, else in numbers: without a group
    ``--chown`` takes the user's number for it."""
    for argv in commands:
        operands = [word for word in argv[1:] if not word.startswith("-")]
        if argv[0] == "chown" and operands and "$" not in operands[0]:
            user, colon, group = operands[0].partition(":")
            if user and colon and group:
                return operands[0]
    return f"{uid}:{gid}"


def _delete_edit(facts: Facts, copying: Step, later: Step, files: Sequence[WastedFile]) -> str:
    if not copying.target or copying.unpacks:
        return ""
    entries = [e for e in facts.layers[copying.layer_index].entries if not e.is_directory]
    is_unread = later.layer_index == copying.layer_index + 1 and is_removing(later)
    without = f"leave its deletion out of {later.name}"
    if len(entries) == len(files):
        if is_unread:
            return f"leave out {copying.name}, and {without}"
        if copying.sources or len(files) == 1:
            return f"{_mount_edit(facts, copying, later, files)}, and {without}"
    elif is_unread and (names := _ignored(copying, entries, files)):
        return "\n".join((f"in .dockerignore, and {without}:", *names))
    return ""


def _mount_edit(facts: Facts, copying: Step, later: Step, files: Sequence[WastedFile]) -> str:
    between = facts.steps[copying.layer_index + 1 : later.layer_index + 1]
    names = " and ".join(step.name for step in between if step.is_run)
    mounts = " ".join(
        f"--mount=type=bind,source={source},target={target}"
        for source, target in _mounts(copying, files)
    )
    return f"leave out {copying.name}, and write RUN {mounts} in {names}"


def _mounts(copying: Step, files: Sequence[WastedFile]) -> Iterator[tuple[str, str]]:
    """(path in the context, path in the container) of each thing that was copied."""
    sources = copying.sources or tuple(posixpath.basename(file.path) for file in files)
    for source in sources:
        name = posixpath.basename(source.rstrip("/"))
        is_one = len(sources) == 1 and any(file.path == copying.target for file in files)
        target = copying.target if is_one else posixpath.join(copying.target, name)
        if not any(file.path == target for file in files) and len(sources) == 1:
            target = copying.target
        yield source, target


def _ignored(
    copying: Step, entries: Sequence[Entry], files: Sequence[WastedFile]
) -> tuple[str, ...]:
    """The paths to leave out, relative to what is copied: the highest directories that hold
    nothing else."""
    prefix = copying.target.rstrip("/") + "/"
    gone = {file.path for file in files}
    if not all(path.startswith(prefix) for path in gone):
        return ()
    kept = {parent for entry in entries if entry.path not in gone for parent in above(entry.path)}
    tops = set()
    for path in gone:
        ways = [one for one in (*[*above(path)][::-1], path) if one.startswith(prefix)]
        tops.add(next(way for way in ways if way not in kept))
    if len(tops) > _MOST_LINES:
        return ()
    return tuple(f"**/{top.removeprefix(prefix)}" for top in sorted(tops))
