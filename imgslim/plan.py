"""The worklist: roots and the user's files in, the closed set of what is needed out.

Each kept entry goes once to every runtime, each command once to every runtime; when nothing is
left, the runtimes are asked what depends on the whole. The result is closed over parents and over
the targets of links, and every path carries the reason that first asked for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace

from imgslim.databases import with_databases
from imgslim.decisions import Decisions, Refused, blames_drop, decide, drop_problems
from imgslim.doubts import find_doubts, price_unresolved
from imgslim.model import (
    Command,
    Drop,
    Entry,
    Finding,
    Group,
    Keep,
    Need,
    Origin,
    OriginKind,
    Plan,
    Problem,
    Program,
    Scope,
    Severity,
)
from imgslim.rootfs import Resolved
from imgslim.runtimes.base import Runtime
from imgslim.strip import plan_strips
from imgslim.world import World

Classifier = Callable[[str], Origin]

_PARENT_REASON = "parent directory"
_OWN_TREE_DEPTH = 3
"""A link to a directory at least this deep means that directory; /usr or /var/log is a place."""

_MOST_WORDS = 4096
"""A command line that has grown beyond this starts itself: hostile, and never run to its end."""

_SEVERITY_ORDER = (Severity.ERROR, Severity.WARNING, Severity.INFO)


def build_plan(
    world: World,
    commands: Sequence[Command],
    findings: Iterable[Finding],
    runtimes: Sequence[Runtime],
    origin_of: Classifier,
) -> Plan:
    """Close ``commands``, ``findings``, the files that ``origin_of`` says are the user's and what
    ``world.choices`` keeps over everything that ``runtimes`` know about them, less what it drops.
    Paths in the plan are sorted. Raises UsageError for choices that name nothing."""
    decisions = decide(world)
    roots = [*commands, *findings]
    closure = first = _close(world, roots, runtimes, origin_of, decisions)
    entries = world.rootfs.entries
    if decisions.dropped:
        # What a runtime has learnt of a dropped file it does not forget: all start again.
        roots = [finding for finding in roots if not first.refuses(finding)]
        world = world.without(decisions.gone(world.rootfs))
        runtimes = _restarted(runtimes, world)
        closure = _close(world, roots, runtimes, origin_of, Decisions(decisions.needs))
    started = closure.commands.values()
    keeps, about_moves = _arranged(closure, runtimes)
    keeps, about_databases = with_databases(world, keeps)
    kept = {path for keep in keeps for path in (keep.entry.path, keep.moved_from)}
    dropped = (path for path in sorted(entries) if path not in kept)
    drops = tuple(Drop(entries[path], origin_of(path)) for path in dropped)
    doubts = find_doubts(world, closure.kept, started, runtimes, origin_of)
    verdicts = (problem for runtime in runtimes for problem in runtime.conclude(closure))
    keeps, about_strips = plan_strips(world, keeps)
    problems = [*closure.problems, *doubts, *verdicts]
    problems += [*about_strips, *about_databases, *about_moves]
    problems = [p for p in problems if not blames_drop(p, decisions.dropped)]
    problems += drop_problems(decisions, first.refused, closure)
    problems = price_unresolved(world, closure, problems)
    problems.sort(key=lambda p: (_SEVERITY_ORDER.index(p.severity), p.code, p.path))
    programs = tuple(_program(world, command, runtimes) for command in commands)
    has_levels = any(runtime.has_levels for runtime in runtimes)
    return Plan(programs, keeps, drops, tuple(problems), has_levels)


def _close(
    world: World,
    roots: Iterable[Finding],
    runtimes: Sequence[Runtime],
    origin_of: Classifier,
    decisions: Decisions,
) -> Closure:
    closure = Closure(world, runtimes, decisions.dropped)
    closure.close(roots, user_needs(world, origin_of))
    if decisions.needs:
        closure.close(decisions.needs)
    return closure


def _arranged(
    closure: Closure, runtimes: Iterable[Runtime]
) -> tuple[tuple[Keep, ...], list[Problem]]:
    """What is kept, sorted by path, at the paths that the runtimes want it to have."""
    keeps = tuple(closure.kept[path] for path in sorted(closure.kept))
    said: list[Problem] = []
    for runtime in runtimes:
        keeps, problems = runtime.arrange(keeps, closure.commands.values())
        said += problems
    return keeps, said


def _restarted(runtimes: Iterable[Runtime], world: World) -> Sequence[Runtime]:
    started: list[Runtime] = []
    for runtime in runtimes:
        started.append(runtime.restarted(world, tuple(started)))
    return started


class Closure:
    """The plan while it grows: what is kept, and what is still to be looked at."""

    def __init__(
        self, world: World, runtimes: Sequence[Runtime], dropped: Container[str] = frozenset()
    ) -> None:
        self.kept: dict[str, Keep] = {}
        self.commands: dict[tuple[str, tuple[str, ...]], Command] = {}
        self.refused: list[Refused] = []
        self._dropped = dropped
        self._world = world
        self._runtimes = runtimes
        # An image may have a million files: those with nothing to say of one are not asked.
        self._asked = [r for r in runtimes if type(r).needs is not Runtime.needs]
        self._queue: deque[Finding] = deque()
        self._fresh: deque[Entry] = deque()
        self._problems: dict[tuple[str, str, str], Problem] = {}

    def __contains__(self, path: object) -> bool:
        return path in self.kept

    def entries(self) -> Iterator[Entry]:
        return (keep.entry for keep in tuple(self.kept.values()))

    @property
    def all_shown(self) -> bool:
        return not self._fresh

    @property
    def problems(self) -> Iterable[Problem]:
        return self._problems.values()

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._take(finding)

    def close(self, *batches: Iterable[Finding]) -> None:
        """Add the batches one after the other, each with all that it brings; then settle."""
        for findings in batches:
            self.add(findings)
            self.run()
        while self.settle():
            self.run()

    def refuses(self, finding: Finding) -> bool:
        """Whether a need or a command leads to something that the user wants dropped."""
        if isinstance(finding, Problem):
            return False
        return self._refusal(self._world.rootfs.resolve(finding.path)) is not None

    def run(self) -> None:
        """Work until nothing is queued and every kept entry has been shown to every runtime."""
        while self._queue or self._fresh:
            while self._queue:
                self._take(self._queue.popleft())
            if self._fresh:
                entry = self._fresh.popleft()
                for runtime in self._asked:
                    self._queue.extend(runtime.needs(entry))

    def settle(self) -> bool:
        """Ask every runtime about the whole; True when that brought anything new."""
        before = len(self.kept), len(self.commands)
        for runtime in self._runtimes:
            for finding in runtime.settle(self):
                self._take(finding)
        return (len(self.kept), len(self.commands)) != before or bool(self._fresh)

    def _take(self, finding: Finding) -> None:
        match finding:
            case Need():
                self._take_need(finding)
            case Command():
                self._take_command(finding)
            case Problem():
                self._problems.setdefault((finding.code, finding.path, finding.message), finding)

    def _take_command(self, command: Command) -> None:
        key = (command.path, command.argv)
        if key in self.commands or len(command.argv) > _MOST_WORDS:
            return
        self.commands[key] = command
        because, line = command.because, command.line
        need = Need(command.path, Group.PROGRAM, "programs that run", because, line=line)
        self._take_need(need)
        if self._refusal(self._world.rootfs.resolve(command.path)):
            return
        for runtime in self._runtimes:
            self._queue.extend(runtime.command_needs(command.argv, command.path, command.because))

    def _take_need(self, need: Need) -> None:
        rootfs = self._world.rootfs
        known = self.kept.get(need.path)
        if known is not None and not known.entry.is_symlink and need.scope is Scope.PATH:
            self._upgrade(known, need)
            return
        resolved = rootfs.resolve(need.path)
        refused = self._refusal(resolved)
        if refused is not None:
            self._refuse(need, refused)
            return
        for link in resolved.links:
            self._keep(rootfs.entries[link], need)
            if not self._is_place(link):
                need = replace(need, because=link, line=0)
        if resolved.entry is None:
            if not need.optional or resolved.links:
                self._note_missing(need, resolved.path, dangling=bool(resolved.links))
            return
        self._keep(resolved.entry, need)
        if need.scope is Scope.TREE and resolved.entry.is_directory:
            self._keep_tree(resolved.entry.path, need)

    def _keep_tree(self, top: str, need: Need) -> None:
        for entry in self._world.rootfs.walk(top):
            if entry.is_symlink:
                self._take_need(replace(need, path=entry.path, scope=Scope.PATH, optional=True))
            elif entry.path in self._dropped:
                self.refused.append(Refused(need, entry))
            else:
                self._keep(entry, need)

    def _is_place(self, link: str) -> bool:
        """Whether a link stands for a directory (``/lib``): it is on the way of many, so its own
        chain is not that of what lies behind it."""
        target = self._world.rootfs.lookup(link)
        return target is not None and target.is_directory

    def _refuse(self, need: Need, dropped: Entry) -> None:
        is_tree = need.scope is Scope.TREE and dropped.is_directory
        below = self._world.rootfs.walk(dropped.path) if is_tree else (dropped,)
        self.refused += [Refused(need, entry) for entry in below if entry.path in self._dropped]

    def _refusal(self, resolved: Resolved) -> Entry | None:
        """The first entry on a way, or at its end, that the user wants dropped."""
        way = (*resolved.links, resolved.path)
        dropped = next((path for path in way if path in self._dropped), None)
        return None if dropped is None else self._world.rootfs.get(dropped)

    def _keep(self, entry: Entry, need: Need) -> None:
        known = self.kept.get(entry.path)
        if known is not None:
            self._upgrade(known, need)
            return
        self._keep_parents(entry.path)
        self.kept[entry.path] = _keep_of(entry, need)
        self._fresh.append(entry)

    def _upgrade(self, known: Keep, need: Need) -> None:
        """A directory that came along as a parent takes the first reason of its own."""
        if known.reason == _PARENT_REASON and need.reason != _PARENT_REASON:
            self.kept[known.entry.path] = _keep_of(known.entry, need)

    def _keep_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0] or "/"
        if path == "/" or parent in self.kept:
            return
        self._keep_parents(parent)
        entry = self._world.rootfs.entries[parent]
        self.kept[parent] = Keep(entry, Group.DIRECTORY, _PARENT_REASON, path)
        self._fresh.append(entry)

    def _note_missing(self, need: Need, target: str, *, dangling: bool) -> None:
        if dangling:
            problem = Problem(
                "dangling-link",
                Severity.INFO,
                need.path,
                f"is a link to {target}, which is not in the image",
                "the link is kept as it is",
            )
        else:
            problem = Problem(
                "missing-path",
                Severity.WARNING,
                need.path,
                f"is not in the image, though {need.because} needs it ({need.reason})",
                "nothing to keep",
            )
        self._take(problem)


def _keep_of(entry: Entry, need: Need) -> Keep:
    return Keep(entry, need.group, need.reason, need.because, line=need.line)


def user_needs(world: World, origin_of: Classifier) -> Iterator[Need]:
    """Needs for all that the user put into the image, directories included.

    A directory that holds something comes along as the parent of what is kept in it; it is asked
    for by itself when it is empty or has an owner or mode that a fresh one would not have.
    """
    for path, entry in world.rootfs.entries.items():
        origin = origin_of(path)
        if origin.kind is not OriginKind.USER or path == "/":
            continue
        reason = origin.unit or "files that no package put there"
        if not entry.is_directory:
            yield Need(path, Group.APP, reason, "<user>", optional=True)
            if entry.is_symlink:
                yield from _behind_link(world, path, origin_of)
        elif not world.rootfs.children_paths(path) or not _is_plain(entry):
            yield Need(path, Group.DIRECTORY, "directories that no package made", "<user>")


def _is_plain(entry: Entry) -> bool:
    return (entry.uid, entry.gid, entry.mode) == (0, 0, 0o755)


def _behind_link(world: World, path: str, origin_of: Classifier) -> Iterator[Need]:
    """A user's link to a package's directory stands for what the packages put there."""
    target = world.rootfs.lookup(path)
    if target is None or not target.is_directory or target.path.count("/") < _OWN_TREE_DEPTH:
        return
    for entry in world.rootfs.walk(target.path):
        if origin_of(entry.path).kind is OriginKind.PACKAGE:
            yield Need(entry.path, Group.PACKAGE, f"behind the link {path}", path, optional=True)


def _program(world: World, command: Command, runtimes: Sequence[Runtime]) -> Program:
    resolved = world.rootfs.resolve(command.path)
    description = ""
    if resolved.entry is not None:
        answers = (runtime.describe(resolved.entry) for runtime in runtimes)
        description = next((answer for answer in answers if answer), "file of unknown kind")
    return Program(command.because, command.argv, command.path, description)
