"""The user's own decisions about a plan: what is kept or dropped anyway, and what that breaks."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from imgslim.choices import Choices, Level
from imgslim.errors import UsageError
from imgslim.matches import (
    Match,
    find_match,
    find_package,
    near_hint,
    near_package_hint,
    owner_key,
)
from imgslim.model import Entry, Group, Need, Problem, Scope, Severity, unique_size_bytes
from imgslim.rootfs import Rootfs
from imgslim.world import World

_NAMES_SHOWN = 3
_ABSENCES = frozenset(
    (
        "commands-not-in-image",
        "dangling-link",
        "library-by-name",
        "missing-command",
        "missing-healthcheck",
        "missing-interpreter",
        "missing-library",
        "missing-path",
        "missing-script",
        "module-not-found",
    )
)
"""Problems of what an image lacks: untrue of what the user dropped."""
_NAMES = re.compile(r"[\s/,:;()'`]+")

BROKEN = "broken-by-drop"
"""The code of the problem that a plan has where a dropped path is needed."""

_RISKS = {
    Level.BALANCED: "it leaves out tests, packages for development and large parts of libraries "
    "that nothing reaches; code that loads these by computed names may miss some",
    Level.TIGHT: "where imports can be followed it keeps only what they reach{bytecode}; code that "
    "loads modules by computed names may miss some",
}
"""What each level but the first risks, for people."""
_LATE = ", and no Python bytecode (slower starts)"


def risks_of(choices: Choices, before: Choices) -> str:
    """What the level of ``choices`` risks that of ``before`` does not, for people."""
    loses = before.keeps_bytecode and not choices.keeps_bytecode
    return _RISKS[choices.level].format(bytecode=_LATE if loses else "")


@dataclass(frozen=True, slots=True)
class NextLevel:
    """The level after a plan's own: the bytes that it would leave out besides, and its risks."""

    level: Level
    saves_bytes: int
    risks: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One of the user's decisions as it was given: ``str()`` is the option and its value."""

    option: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.option} {self.pattern}"


@dataclass(frozen=True, slots=True)
class Decisions:
    """What the user decided, in terms of the image: ``needs`` to keep, and the rule by which each
    canonical path in ``dropped`` has to go."""

    needs: tuple[Need, ...] = ()
    dropped: Mapping[str, Rule] = field(default_factory=dict)

    def gone(self, rootfs: Rootfs) -> Set[str]:
        """What is dropped, and the links that would lead nowhere without it."""
        links = (path for path, entry in rootfs.entries.items() if entry.is_symlink)
        ways = ((link, rootfs.resolve(link)) for link in links)
        return self.dropped.keys() | {
            link for link, way in ways if any(p in self.dropped for p in (*way.links, way.path))
        }


def decide(world: World) -> Decisions:
    """The user's rules on what to keep and what to drop in this image; what both name is kept.

    Raises UsageError for a rule that names nothing, and for what is named by both.
    """
    choices = world.choices
    keeps = [
        *_named_by(world, "--keep", choices.keep, _path_match),
        *_named_by(world, "--keep-package", choices.keep_packages, _package_match),
    ]
    drops = [
        *_named_by(world, "--drop", choices.drop, _itself_match),
        *_named_by(world, "--drop-package", choices.drop_packages, _package_match),
    ]
    _refuse_both(world, keeps, drops)
    kept = {path for _, match in keeps for path in (*match.links, *match.paths(world.rootfs))}
    dropped: dict[str, Rule] = {}
    for rule, match in drops:
        for path in match.paths(world.rootfs):
            if path not in kept:
                dropped.setdefault(path, rule)
    needs = tuple(need for rule, match in keeps for need in _needs(world, rule, match))
    return Decisions(needs, dropped)


def keeping(world: World, pattern: str) -> Choices:
    """The user's choices with ``pattern`` kept besides: less the rules that drop exactly that."""
    choices = world.choices
    exact = _exactly(world, _path_match(world, Rule("--keep", pattern)))
    drops = _named_by(world, "--drop", choices.drop, _itself_match)
    packages = _named_by(world, "--drop-package", choices.drop_packages, _package_match)
    return replace(
        choices,
        keep=(*choices.keep, pattern),
        drop=tuple(rule.pattern for rule, match in drops if _exactly(world, match) != exact),
        drop_packages=tuple(
            rule.pattern for rule, match in packages if _exactly(world, match) != exact
        ),
    )


_Named = tuple[Rule, Match]


def _named_by(
    world: World,
    option: str,
    patterns: Iterable[str],
    find: Callable[[World, Rule], Match],
) -> Iterator[_Named]:
    for pattern in patterns:
        rule = Rule(option, pattern)
        match = find(world, rule)
        yield replace(rule, pattern=match.pattern), match


def _path_match(world: World, rule: Rule) -> Match:
    match = find_match(world, rule.pattern)
    if match is None:
        raise _nothing(rule, near_hint(world, rule.pattern))
    return match


def _itself_match(world: World, rule: Rule) -> Match:
    """As ``_path_match``, but a link is dropped itself: what it leads to may have other users."""
    if rule.pattern.startswith("/"):
        entry = world.rootfs.resolve(rule.pattern, follow_last=False).entry
        if entry is not None:
            return Match(rule.pattern, (entry,))
    return _path_match(world, rule)


def _package_match(world: World, rule: Rule) -> Match:
    key = find_package(world, rule.pattern)
    if key is None:
        raise _nothing(rule, near_package_hint(world, rule.pattern))
    match = find_match(world, key)
    if match is None:
        raise UsageError(
            f"{rule}: the package has no file in the image",
            hint="name the packages that it stands for",
        )
    return match


def _nothing(rule: Rule, hint: str) -> UsageError:
    return UsageError(f"{rule} names nothing in the image", hint=hint)


def _refuse_both(world: World, keeps: Sequence[_Named], drops: Sequence[_Named]) -> None:
    named = {_exactly(world, match): rule for rule, match in keeps}
    for rule, match in drops:
        kept = named.get(_exactly(world, match))
        if kept is not None:
            raise UsageError(f"{kept} and {rule} contradict each other", hint="give one of them")


def _exactly(world: World, match: Match) -> str:
    """The pattern, a path in its canonical form."""
    if match.is_owner or not match.pattern.startswith("/"):
        return match.pattern
    return world.rootfs.resolve(match.pattern, follow_last=False).path


def _needs(world: World, rule: Rule, match: Match) -> Iterator[Need]:
    reason, because = f"kept by {rule}", f"<keep {match.pattern}>"
    # A path by itself is asked for as it was given: the links on its way are kept, too.
    single = (match.pattern,) if match.links else None
    for path in single or (entry.path for entry in match.tops):
        entry = world.rootfs.lookup(path)
        is_tree = entry is not None and entry.is_directory and not match.is_owner
        scope = Scope.TREE if is_tree else Scope.PATH
        yield Need(path, _group_of(world, path), reason, because, scope)


def _group_of(world: World, path: str) -> Group:
    key = owner_key(world, path)
    if not key:
        return Group.APP
    return Group.DEPENDENCY if key.startswith("pypi:") else Group.PACKAGE


@dataclass(frozen=True, slots=True)
class Refused:
    """A need that was not met: it leads to ``target``, which the user wants dropped."""

    need: Need
    target: Entry

    @property
    def breaks(self) -> bool:
        """Whether something that is kept relies on it: not so where the file merely belongs to the
        user or to a system as programs expect it, or is compiled from a source (PEP 3147: Python
        compiles again what is missing)."""
        if self.need.because.startswith(("<user>", "<keep ")):
            return False
        if self.target.path.endswith(".pyc") and "/__pycache__/" in self.target.path:
            return False
        return self.need.group not in (Group.SYSTEM, Group.DIRECTORY)


def drop_problems(
    decisions: Decisions, refused: Iterable[Refused], kept: Container[str]
) -> Iterator[Problem]:
    """What each rule leaves out, with its bytes, and what it breaks of what is ``kept``."""
    by_rule: dict[Rule, list[Refused]] = {rule: [] for rule in decisions.dropped.values()}
    for one in refused:
        by_rule[decisions.dropped[one.target.path]].append(one)
    for rule, found in by_rule.items():
        targets = {one.target.path: one.target for one in found}
        yield Problem(
            "dropped",
            Severity.INFO,
            rule.pattern if rule.pattern.startswith("/") else "",
            f"left out by {rule}: {_count(len(targets))} that would be kept without it",
            "what only they need is left out, too",
            unique_size_bytes(targets.values()),
        )
        yield from _breaks(rule, [one for one in found if one.breaks], kept)


def blames_drop(problem: Problem, dropped: Iterable[str]) -> bool:
    """Whether ``problem`` says that the image lacks what the user dropped of it."""
    if problem.code not in _ABSENCES:
        return False
    names = {path.rpartition("/")[2] for path in dropped}
    return not names.isdisjoint(_NAMES.split(f"{problem.path} {problem.message}"))


def _breaks(rule: Rule, found: Sequence[Refused], kept: Container[str]) -> Iterator[Problem]:
    by_reason: dict[str, list[Refused]] = {}
    for one in found:
        because = one.need.because
        if because.startswith("<") or because in kept:
            by_reason.setdefault(one.need.reason, []).append(one)
    for reason, rows in by_reason.items():
        targets = {one.target.path: one.target for one in rows}
        paths = sorted(targets)
        askers = _listing(dict.fromkeys(_asker(one.need) for one in rows))
        others = f", with {_count(len(paths) - 1, ' more')}," if len(paths) > 1 else ","
        yield Problem(
            BROKEN,
            Severity.ERROR,
            paths[0],
            f"is left out by {rule}{others} but needed by {askers} ({reason})",
            "narrow the --drop, or --keep what is needed; --force leaves it out all the same",
            unique_size_bytes(targets.values()),
        )


def _asker(need: Need) -> str:
    return f"{need.because} line {need.line}" if need.line else need.because


def _count(number: int, more: str = "") -> str:
    return f"{number:,}{more} path{'' if number == 1 else 's'}"


def _listing(names: Iterable[str]) -> str:
    every = list(names)
    hidden = len(every) - _NAMES_SHOWN
    shown = ", ".join(every[:_NAMES_SHOWN])
    return f"{shown} and {hidden:,} more" if hidden > 0 else shown
