"""Decide how each kept path gets into the slim image: plan and merged tree in, COPY steps out.

Three shapes, each exact for what it carries (measured on Docker's legacy builder, buildah and
BuildKit; docs/copies.md has the table):

* a plain COPY in the final stage, of regular files or of a whole directory that is root's and 0755;
* a pruned tree: a directory copied into the gathered tree, what the plan drops removed from it;
* gathered entries: links, hard links, special files, names that COPY cannot say, and the
  directories' own owner, mode and time, put into the gathered tree by the image's own tools.

The gathered tree is copied last and whole, so every directory arrives as it was. An image without
such tools has a sidecar in its place: a tar beside the Dockerfile, which is added last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from imgslim.copyplan.choice import Kept, is_changed
from imgslim.copyplan.cuts import plan_cuts
from imgslim.copyplan.draft import (
    MAX_COPIES,
    Draft,
    contents_of,
    draft_steps,
    plain_copies,
    tree_contents,
)
from imgslim.copyplan.lasting import (
    gathered_patterns,
    join_versions,
    named_by_version,
    with_patterns,
)
from imgslim.copyplan.moves import moved_tree, placed_tree, plan_moves
from imgslim.copyplan.steps import CopyPlan, Gathered, PlainCopy, PrunedTree, Sidecar
from imgslim.copyplan.surplus import list_surplus_trees, move_scattered, move_surplus
from imgslim.copyplan.tools import find_tools
from imgslim.copyplan.words import is_shell_word
from imgslim.errors import UnsupportedImageError
from imgslim.model import Entry, Group, Image, Keep, Kind, Plan, Problem, Severity
from imgslim.rootfs import Rootfs

__all__ = ("MAX_COPIES", "has_capability", "plan_copies")

MAX_STAGE_LAYERS = 60
"""Layers of the fat image up to which a stage can be built on it; the rest is for its own."""

TOUCHED_DIRECTORIES = frozenset({"/etc", "/run"})
"""Where builders put their mount points during RUN: the time that RUN sees is the build's."""

MOUNTED_TREES = ("/dev", "/proc", "/sys")
"""Mounted over during RUN (runtime-spec, config-linux.md, "Default Filesystems")."""

MOUNTED_FILES = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
"""The builder's own files during RUN: trap 23."""


def plan_copies(
    image: Image,
    rootfs: Rootfs,
    plan: Plan,
    *,
    lasting: bool = False,
    replaced: frozenset[str] = frozenset(),
) -> CopyPlan:
    """The COPY steps that bring exactly the kept paths of ``plan``.

    With ``lasting`` they suit later builds as well: names that carry a version become patterns,
    the app's directories are copied whole rather than file by file. At the paths ``replaced`` the
    final stage has something that a COPY of a single file could write through. Raises
    UnsupportedImageError when steps that are to last need a shell and tools that are not there.
    """
    tools = find_tools(rootfs)
    moves = plan_moves(rootfs, plan.keeps) if tools is not None else ()
    rootfs = moved_tree(rootfs, moves) if moves else placed_tree(rootfs, plan.keeps)
    steps = CopyPlan(
        plain=(),
        gathered=Gathered(),
        tools=tools,
        place=_free_name(rootfs, image.config.volumes),
        clean_base=bool(image.config.on_build) or len(image.layers) > MAX_STAGE_LAYERS,
        problems=(*_root_problem(rootfs), *_unmoved(rootfs, plan.keeps)),
        lasting=lasting,
        moves=moves,
    )
    if tools is None and not lasting:
        placed = {keep.entry.path for keep in plan.keeps if keep.moved_from}
        return _with_sidecar(steps, _kept(rootfs, plan.keeps, replaced.union(placed)))
    hidden = (*MOUNTED_TREES, *(path.rstrip("/") or "/" for path in image.config.volumes))
    cuts = plan_cuts(rootfs, plan.keeps, can_cut=tools is not None, hidden=hidden)
    kept = _kept(rootfs, cuts.keeps, replaced, hidden, MOUNTED_FILES, lasting=lasting)
    draft = draft_steps(kept, can_prune=tools is not None)
    if tools is None:
        plain, gathered = plain_copies(kept, draft), Gathered()
        problems = (*cuts.problems, *_check_without_tools(draft))
    else:
        plain = _settled(kept, draft)
        gathered = replace(_gather(kept, draft), filters=cuts.filters)
        problems = cuts.problems
    problems = (*steps.problems, *problems, *_unsayable(draft))
    steps = replace(steps, plain=_ordered(kept, plain), gathered=gathered, problems=problems)
    return replace(steps, problems=(*problems, *named_by_version(steps))) if lasting else steps


def _kept(
    rootfs: Rootfs,
    keeps: Iterable[Keep],
    replaced: frozenset[str],
    hidden: Sequence[str] = (),
    mounted_files: frozenset[str] = frozenset(),
    *,
    lasting: bool = False,
) -> Kept:
    keeps = tuple(keeps)
    stripped = replaced.union(keep.entry.path for keep in keeps if is_changed(keep))
    return Kept.of(
        rootfs,
        keeps,
        hidden=hidden,
        mounted_files=mounted_files,
        stripped=stripped,
        lasting=lasting,
    )


def _with_sidecar(steps: CopyPlan, kept: Kept) -> CopyPlan:
    """The steps where no stage can run anything, so none hides a path either: plain copies, and in
    the sidecar what they lose, if they lose more than the times of directories."""
    draft = draft_steps(kept, can_prune=False)
    plain = plain_copies(kept, draft)
    if not draft.loose and len(plain) <= MAX_COPIES and not _odd_directories(draft):
        problems = (*steps.problems, *_lost_times(draft))
        return replace(steps, plain=_ordered(kept, plain), problems=problems)
    plain = move_surplus(kept, draft, plain)
    directories = [kept.keeps[entry.path] for entry in draft.directories]
    keeps = sorted([*draft.loose, *directories], key=lambda keep: keep.entry.path)
    sidecar = Sidecar(tuple(keeps), contents_of(draft.loose))
    return replace(steps, plain=_ordered(kept, plain), sidecar=sidecar)


def _settled(kept: Kept, draft: Draft) -> list[PlainCopy]:
    """The plain copies, once all that is better gathered has gone to the other steps of a draft."""
    if kept.lasting:
        join_versions(kept, draft.files, draft.loose)
    plain = move_scattered(kept, draft, plain_copies(kept, draft))
    plain = move_surplus(kept, draft, plain)
    list_surplus_trees(kept, draft)
    return plain


def _ordered(kept: Kept, plain: Iterable[PlainCopy]) -> tuple[PlainCopy, ...]:
    return tuple(with_patterns(kept, copy) for copy in sorted(plain, key=_reading_order))


_GROUP_ORDER = list(Group)


def _reading_order(copy: PlainCopy) -> tuple[int, str, bool, str]:
    first = copy.contents[0]
    return (_GROUP_ORDER.index(first.group), first.reason, copy.is_directory, copy.sources[0])


def _gather(kept: Kept, draft: Draft) -> Gathered:
    loose = [keep for keep in draft.loose if is_shell_word(keep.entry.path)]
    loose.sort(key=lambda keep: keep.entry.path)
    units: dict[int | str, list[Entry]] = {}
    for entry in (keep.entry for keep in loose):
        key = entry.inode if entry.is_file and kept.is_linked(entry) else entry.path
        units.setdefault(key, []).append(entry)
    groups = [tuple(unit) for unit in units.values()]
    moved = tuple(group for group in groups if _needs_move(group[0]))
    rest = tuple(group for group in groups if not _needs_move(group[0]))
    # A rename changes the time of the directory that it takes from.
    touched = TOUCHED_DIRECTORIES.union(group[0].path.rpartition("/")[0] for group in moved)
    stated = {
        entry.path
        for entry in draft.directories
        if entry.path in touched or kept.is_hidden(entry.path)
    }
    removed = [path for _, paths in draft.trees for path in paths]
    directories = sorted(draft.directories, key=lambda entry: entry.path, reverse=True)
    return Gathered(
        contents=contents_of(loose),
        trees=tuple(
            PrunedTree(path, removed, tree_contents(kept, path))
            for path, removed in sorted(draft.trees)
        ),
        units=rest,
        moved=moved,
        directories=tuple(entry for entry in directories if entry.path not in stated),
        stated=tuple(entry for entry in directories if entry.path in stated),
        strips=tuple(keep for keep in kept.keeps.values() if keep.strip),
        patterns=gathered_patterns(kept, rest, directories, removed),
    )


def _needs_move(entry: Entry) -> bool:
    """Devices (a rootless builder may not make them) and capabilities (tools drop them)."""
    return entry.kind in (Kind.CHAR_DEVICE, Kind.BLOCK_DEVICE) or has_capability(entry)


def has_capability(entry: Entry) -> bool:
    return any(name == "security.capability" for name, _ in entry.xattrs)


def _free_name(rootfs: Rootfs, volumes: Iterable[str]) -> str:
    taken = {path.split("/")[1] for path in (*rootfs.entries, *volumes) if path != "/"}
    name = "imgslim"
    while name in taken:
        name += "-"
    return f"/{name}"


def _unsayable(draft: Draft) -> list[Problem]:
    """What neither COPY nor a shell word can name, or what no stage can reach."""
    lost = [keep.entry for keep in draft.loose if not is_shell_word(keep.entry.path)]
    return [
        Problem(
            "uncopyable-path",
            Severity.ERROR,
            entry.path,
            f"no instruction of a Dockerfile can copy this {entry.kind} exactly",
            "it is left out of the Dockerfile",
            entry.size_bytes,
        )
        for entry in (*draft.lost, *lost)
    ]


def _unmoved(rootfs: Rootfs, keeps: Iterable[Keep]) -> Iterator[Problem]:
    """What no rule of ``Moves`` brings to its new path."""
    for keep in keeps:
        if keep.moved_from and keep.entry.path not in rootfs.entries:
            yield Problem(
                "uncopyable-path",
                Severity.ERROR,
                keep.entry.path,
                f"no step of a Dockerfile puts {keep.moved_from} there",
                "it is left out of the Dockerfile; a slim archive has it",
                keep.size_bytes,
            )


def _root_problem(rootfs: Rootfs) -> list[Problem]:
    root = rootfs.entries["/"]
    if (root.mode, root.uid, root.gid) == (0o755, 0, 0):
        return []
    return [
        Problem(
            "root-directory",
            Severity.WARNING,
            "/",
            f"is {root.mode:04o} {root.uid}:{root.gid}; a build cannot set that of the root",
            "it becomes 0755 0:0",
        )
    ]


def _check_without_tools(draft: Draft) -> list[Problem]:
    """What is to suit later builds cannot bring files of today's in a sidecar: without a shell only
    what plain COPY lines carry may be kept."""
    odd = _odd_directories(draft)
    needed = sorted((*(keep.entry for keep in draft.loose), *odd), key=lambda entry: entry.path)
    if not needed:
        return _lost_times(draft)
    first = needed[0]
    raise UnsupportedImageError(
        f"{len(needed):,} kept paths need a shell and tar or cp in the image to be copied as they "
        f"are in every build of it, and it has none: {first.path} ({first.kind}, "
        f"{first.mode:04o} {first.uid}:{first.gid}) is the first",
        hint="drop --source (-o FILE brings them in a tar beside it), or write the image itself "
        "(-o slim.tar)",
    )


def _lost_times(draft: Draft) -> list[Problem]:
    if not draft.directories:
        return []
    return [
        Problem(
            "directory-times",
            Severity.INFO,
            "",
            "the image has no shell and tar: the directories get the time of the build",
        )
    ]


def _odd_directories(draft: Draft) -> list[Entry]:
    """The directories that are not as a COPY makes them, beside their time."""
    return [
        entry for entry in draft.directories if (entry.mode, entry.uid, entry.gid) != (0o755, 0, 0)
    ]
