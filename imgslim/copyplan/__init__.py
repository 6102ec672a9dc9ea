"""Decide how each kept path gets into the slim image: plan and merged tree in, COPY steps out.

Three shapes, each exact for what it carries (measured on Docker's legacy builder, buildah and
BuildKit; docs/copies.md has the table):

* a plain COPY in the final stage, of regular files or of a whole directory that is root's and 0755;
* a pruned tree: a directory copied into the gathered tree, what the plan drops removed from it;
* gathered entries: links, hard links, special files, names that COPY cannot say, and the
  directories' own owner, mode and time, put into the gathered tree by the image's own tools.

The gathered tree is copied last and whole, so every directory arrives as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby

from imgslim.copyplan.choice import Choice, Kept, Shape, below_or_same, choose_shapes, is_changed
from imgslim.copyplan.cuts import plan_cuts
from imgslim.copyplan.lasting import gathered_patterns, join_versions, with_patterns
from imgslim.copyplan.steps import Content, CopyPlan, Gathered, PlainCopy, PrunedTree
from imgslim.copyplan.tools import Tools, find_tools
from imgslim.copyplan.words import is_shell_word
from imgslim.errors import UnsupportedImageError
from imgslim.model import Entry, Group, Image, Keep, Kind, Plan, Problem, Severity
from imgslim.rootfs import Rootfs

MAX_COPIES = 60
"""COPY instructions of one kind: an image of 129 layers builds and does not run (trap 19)."""

MAX_STAGE_LAYERS = 60
"""Layers of the fat image up to which a stage can be built on it; the rest is for its own."""

TOUCHED_DIRECTORIES = frozenset({"/etc", "/run"})
"""Where builders put their mount points during RUN: the time that RUN sees is the build's."""

MOUNTED_TREES = ("/dev", "/proc", "/sys")
"""Mounted over during RUN (runtime-spec, config-linux.md, "Default Filesystems")."""

MOUNTED_FILES = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
"""The builder's own files during RUN: trap 23."""

COPY_BYTES = 50_000
"""Names in one COPY: an instruction has 65,535 bytes (trap 24), some for what escapes them."""

SCATTERED_COPIES = 8
"""COPY lines of files for one reason; more (a licence text in each of 40 directories) are one
list in the gathered tree instead of as many layers."""

_LINE_COSTS = (6, 12, 25, 50, 100, 400)


@dataclass(slots=True)
class _Draft:
    """The steps while the tree is walked."""

    files: dict[tuple[str, Group], list[Keep]] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)
    trees: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    loose: list[Keep] = field(default_factory=list)
    directories: list[Entry] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)


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
    UnsupportedImageError when something needs the gathered tree and the image has no shell and
    tools to make one.
    """
    tools = find_tools(rootfs)
    hidden = (*MOUNTED_TREES, *(path.rstrip("/") or "/" for path in image.config.volumes))
    cuts = plan_cuts(rootfs, plan.keeps, can_cut=tools is not None, hidden=hidden)
    kept = Kept.of(
        rootfs,
        cuts.keeps,
        hidden=hidden,
        mounted_files=MOUNTED_FILES,
        stripped=replaced.union(keep.entry.path for keep in cuts.keeps if is_changed(keep)),
        lasting=lasting,
    )
    draft = _draft(kept, tools)
    problems = [*_root_problem(rootfs), *cuts.problems]
    if tools is None:
        plain = [*_file_copies(draft), *_directory_copies(kept, draft)]
        problems += _check_without_tools(draft)
        gathered = Gathered()
    else:
        plain = _settled(kept, draft)
        gathered = replace(_gather(kept, draft), filters=cuts.filters)
    problems += _unsayable(draft)
    return CopyPlan(
        plain=tuple(with_patterns(kept, copy) for copy in sorted(plain, key=_reading_order)),
        gathered=gathered,
        tools=tools,
        place=_free_name(rootfs, image.config.volumes),
        clean_base=bool(image.config.on_build) or len(image.layers) > MAX_STAGE_LAYERS,
        problems=tuple(problems),
        lasting=lasting,
    )


def _settled(kept: Kept, draft: _Draft) -> list[PlainCopy]:
    """The plain copies, once all that is better gathered has gone to the other steps of a draft."""
    if kept.lasting:
        join_versions(kept, draft.files, draft.loose)
    plain = [*_file_copies(draft), *_directory_copies(kept, draft)]
    plain = _gather_surplus(kept, draft, plain)
    _list_surplus_trees(kept, draft)
    return plain


def _draft(kept: Kept, tools: Tools | None) -> _Draft:
    """Walk the tree as cheaply as it can be written with a bearable number of COPY lines."""
    for line_cost in _LINE_COSTS:
        choices = choose_shapes(kept, line_cost=line_cost, can_prune=tools is not None)
        draft = _Draft()
        _walk(kept, choices, "/", draft)
        if len(draft.whole) <= MAX_COPIES and len(draft.trees) <= MAX_COPIES:
            break
    return draft


def _walk(kept: Kept, choices: dict[str, Choice], path: str, draft: _Draft) -> None:
    entry = kept.keeps[path].entry
    match choices[path].shape:
        case Shape.WHOLE:
            draft.whole.append(path)
        case Shape.PRUNED:
            draft.trees.append((path, tuple(kept.removed_below(path))))
            draft.directories += kept.pruned_directories(path)
        case Shape.SPLIT:
            for keep in kept.children(path):
                if keep.entry.is_directory:
                    _walk(kept, choices, keep.entry.path, draft)
                elif kept.is_plain(keep.entry):
                    draft.files.setdefault((path, keep.group), []).append(keep)
                elif kept.is_hidden(keep.entry.path):
                    draft.lost.append(keep.entry)
                else:
                    draft.loose.append(keep)
    if path != "/":
        draft.directories.append(entry)


def _file_copies(draft: _Draft) -> list[PlainCopy]:
    return [
        PlainCopy(tuple(keep.entry.path for keep in part), False, _contents(part))
        for keeps in filter(None, draft.files.values())
        for part in _parts(keeps)
    ]


def _parts(keeps: Sequence[Keep]) -> Iterator[list[Keep]]:
    """Cut a list of files into what one instruction can hold."""
    used = [0, *accumulate(len(keep.entry.path.encode("utf-8", "replace")) + 3 for keep in keeps)]
    for _, part in groupby(zip(used, keeps, strict=False), key=lambda p: p[0] // COPY_BYTES):
        yield [keep for _, keep in part]


def _directory_copies(kept: Kept, draft: _Draft) -> list[PlainCopy]:
    return [PlainCopy((path,), True, _tree_contents(kept, path)) for path in draft.whole]


def _tree_contents(kept: Kept, path: str) -> tuple[Content, ...]:
    return _contents([kept.keeps[path], *kept.below(path)])


def _contents(keeps: Sequence[Keep]) -> tuple[Content, ...]:
    """Count files by reason; directories and links speak only where there is no file."""
    counts: dict[tuple[Group, str], list[int]] = {}
    inodes: set[tuple[int, int]] = set()
    for keep in [keep for keep in keeps if keep.entry.is_file] or keeps:
        row = counts.setdefault((keep.group, keep.reason), [0, 0])
        row[0] += keep.entry.is_file
        if keep.entry.inode not in inodes:
            row[1] += keep.entry.size_bytes if keep.content is None else keep.size_bytes
        inodes.add(keep.entry.inode)
    contents = [Content(*key, *row) for key, row in counts.items()]
    contents.sort(key=lambda c: (-c.size_bytes, -c.file_count, c.group.name, c.reason))
    return tuple(contents)


_GROUP_ORDER = list(Group)


def _reading_order(copy: PlainCopy) -> tuple[int, str, bool, str]:
    first = copy.contents[0]
    return (_GROUP_ORDER.index(first.group), first.reason, copy.is_directory, copy.sources[0])


def _gather_surplus(kept: Kept, draft: _Draft, plain: list[PlainCopy]) -> list[PlainCopy]:
    """Where there would be too many COPY lines, some go into the gathered tree: files that one
    reason scatters over many directories, then the lightest files, then the lightest directories.
    """
    movable = [copy for copy in plain if _can_gather(kept, copy.sources)]
    files = [copy for copy in movable if not copy.is_directory]
    per_reason = Counter(_reason(copy) for copy in files)
    gone = {copy.sources for copy in files if per_reason[_reason(copy)] > SCATTERED_COPIES}
    rest = [copy for copy in movable if copy.sources not in gone]
    rest.sort(key=lambda copy: (copy.is_directory, copy.size_bytes, copy.sources))
    surplus = max(0, len(plain) - len(gone) - MAX_COPIES)
    gone |= {copy.sources for copy in rest[:surplus]}
    for sources in sorted(gone):
        for path in sources:
            _list(kept, draft, path)
    return [copy for copy in plain if copy.sources not in gone]


def _list_surplus_trees(kept: Kept, draft: _Draft) -> None:
    """Where there would be too many trees, what the smallest hold is listed instead."""
    sizes = {path: sum(1 for _ in kept.below(path)) for path, _ in draft.trees}
    movable = [path for path in sizes if _can_gather(kept, [path])]
    movable.sort(key=lambda path: (sizes[path], path))
    gone = set(movable[: max(0, len(sizes) - MAX_COPIES)])
    for path in sorted(gone):
        _list(kept, draft, path)
    draft.trees = [tree for tree in draft.trees if tree[0] not in gone]


def _list(kept: Kept, draft: _Draft, path: str) -> None:
    """Gather a file, or all that is kept below a directory, by name."""
    known = {entry.path for entry in draft.directories}
    for keep in (kept.keeps[path], *kept.below(path)):
        if not keep.entry.is_directory:
            draft.loose.append(keep)
        elif keep.entry.path not in known:
            draft.directories.append(keep.entry)


def _reason(copy: PlainCopy) -> tuple[Group, str]:
    return copy.contents[0].group, copy.contents[0].reason


def _can_gather(kept: Kept, paths: Sequence[str]) -> bool:
    """Whether a running stage sees these paths and all below them as they are."""
    return not any(
        kept.is_hidden(path) or any(below_or_same(hard, path) for hard in kept.unreadable)
        for path in paths
    )


def _gather(kept: Kept, draft: _Draft) -> Gathered:
    loose = [keep for keep in draft.loose if is_shell_word(keep.entry.path)]
    loose.sort(key=lambda keep: keep.entry.path)
    units: dict[tuple[int, int] | str, list[Entry]] = {}
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
        contents=_contents(loose),
        trees=tuple(
            PrunedTree(path, removed, _tree_contents(kept, path))
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


def _unsayable(draft: _Draft) -> list[Problem]:
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


def _check_without_tools(draft: _Draft) -> list[Problem]:
    """Without a shell nothing can be gathered: only what plain COPY lines carry may be kept."""
    odd = [entry for entry in draft.directories if not _is_default_directory(entry)]
    needed = sorted((*(keep.entry for keep in draft.loose), *odd), key=lambda entry: entry.path)
    if needed:
        first = needed[0]
        raise UnsupportedImageError(
            f"{len(needed)} kept paths need a shell and tar or cp in the image to be copied as "
            f"they are, and it has none: {first.path} ({first.kind}, "
            f"{first.mode:04o} {first.uid}:{first.gid}) is the first",
            hint="keep the whole directories that hold them, or add a shell to the fat image",
        )
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


def _is_default_directory(entry: Entry) -> bool:
    return (entry.mode, entry.uid, entry.gid) == (0o755, 0, 0)
