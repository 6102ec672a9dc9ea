"""The user's own decisions about a plan: what a pattern names, what is kept or dropped anyway.

A pattern is an absolute path (links in it are followed), a glob, or the key of an owner:
``deb:NAME``, ``apk:NAME``, ``pypi:NAME``. A directory stands for all that lies below it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice

from imgslim.choices import Level
from imgslim.errors import PathNotFoundError, UsageError
from imgslim.model import Entry, Group, Need, Package, Problem, Scope, Severity, unique_size_bytes
from imgslim.rootfs import Rootfs
from imgslim.world import World

_OWNER_KEY = re.compile(r"(?:deb|apk|pypi):[^/]+")
_WILDCARD = re.compile(r"[*?\[]")
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
_NEAR_NAMES = 3

RISKS = {
    Level.BALANCED: "it leaves out tests, distributions and large parts of the standard library "
    "that nothing reaches; code that loads these by computed names may miss some",
    Level.TIGHT: "it keeps only the modules that imports reach; code that loads modules by "
    "computed names may miss some",
}
"""What each level but the first risks, for people."""


@dataclass(frozen=True, slots=True)
class NextLevel:
    """The level after a plan's own: the bytes that it would leave out besides, and its risks."""

    level: Level
    saves_bytes: int
    risks: str


@dataclass(frozen=True, slots=True)
class Match:
    """What a pattern names: ``tops`` are entries by canonical path, a directory with all below it
    (but not of an owner: it shares its directories); ``links`` those that a path leads through."""

    pattern: str
    tops: tuple[Entry, ...]
    links: tuple[str, ...] = ()
    is_owner: bool = False

    def paths(self, rootfs: Rootfs) -> Iterator[str]:
        """Every canonical path that the pattern stands for, links on its way not among them."""
        for top in self.tops:
            if self.is_owner:
                yield top.path
            else:
                yield from (entry.path for entry in rootfs.walk(top.path))


def find_match(world: World, pattern: str) -> Match | None:
    """What ``pattern`` names in the image; None when that is nothing.

    A path that ends in a link names what the link leads to, if that is there. A name with ``*``,
    ``?`` or ``[`` in it is a path where it exists. Raises UsageError for what is no pattern.
    """
    if _OWNER_KEY.fullmatch(pattern):
        return _owned(world, pattern)
    if not pattern.startswith("/"):
        raise UsageError(
            f"{pattern!r} is neither an absolute path nor an owner",
            hint="give /PATH, a glob such as '/opt/app/**/*.so', or deb:NAME, apk:NAME, pypi:NAME",
        )
    resolved = world.rootfs.resolve(pattern)
    if resolved.entry is not None:
        return Match(pattern, (resolved.entry,), resolved.links)
    dangling = world.rootfs.resolve(pattern, follow_last=False)
    if dangling.entry is not None:
        return Match(pattern, (dangling.entry,), dangling.links)
    found = tuple(world.rootfs.glob(pattern)) if _WILDCARD.search(pattern) else ()
    return Match(pattern, found) if found else None


def require_match(world: World, pattern: str) -> Match:
    """What ``pattern`` names. Raises PathNotFoundError with near names, UsageError."""
    match = find_match(world, pattern)
    if match is None:
        raise PathNotFoundError(f"{pattern} is not in the image", hint=_near_hint(world, pattern))
    return match


def _owned(world: World, key: str) -> Match | None:
    kind, _, name = key.partition(":")
    files: Iterable[str] = ()
    if kind != "pypi":
        package = world.packages.packages.get(key)
        files = package.files if package is not None else ()
    else:
        # PEP 503: the names of distributions differ neither by case nor by these characters.
        key = f"pypi:{re.sub(r'[-_.]+', '-', name).lower()}"
        owned = [dist for dist in world.packages.distributions if dist.key == key]
        files = (path for dist in owned for path in (*dist.files, dist.metadata_path))
    entries = (world.rootfs.get(path) for path in dict.fromkeys(files))
    found = tuple(entry for entry in entries if entry is not None and not entry.is_directory)
    return Match(key, found, is_owner=True) if found else None


def owner_key(world: World, path: str) -> str:
    """The key of the package or distribution that owns a canonical path; "" when none does."""
    owner: Package | None = world.packages.owner(path)
    if owner is not None:
        return owner.key
    distribution = world.packages.distribution_owner(path)
    return distribution.key if distribution is not None else ""


def _near_hint(world: World, pattern: str) -> str:
    near = list(islice(_near_names(world, pattern), _NEAR_NAMES))
    return f"did you mean {' or '.join(near)}?" if near else "check the spelling"


def _near_names(world: World, pattern: str) -> Iterator[str]:
    """Files of the same name elsewhere, else names like it beside it; owners like an owner."""
    if _OWNER_KEY.fullmatch(pattern):
        keys = [*world.packages.packages, *(dist.key for dist in world.packages.distributions)]
        yield from get_close_matches(pattern, keys, _NEAR_NAMES)
        return
    name = posixpath.basename(pattern)
    same = [path for path in world.rootfs.entries if path.endswith(f"/{name}")] if name else []
    yield from same
    if same:
        return
    above = posixpath.normpath(pattern)
    while above != "/" and world.rootfs.lookup(above) is None:
        above, name = posixpath.split(above)
    directory = world.rootfs.resolve(above).path.rstrip("/")
    for near in get_close_matches(name, world.rootfs.children(directory or "/"), _NEAR_NAMES):
        yield f"{directory}/{near}"


@dataclass(frozen=True, slots=True)
class Decisions:
    """What the user decided, in terms of the image: ``needs`` to keep, and the pattern by which
    each canonical path in ``dropped`` has to go."""

    needs: tuple[Need, ...] = ()
    dropped: Mapping[str, str] = field(default_factory=dict)

    def gone(self, rootfs: Rootfs) -> Set[str]:
        """What is dropped, and the links that would lead nowhere without it."""
        links = (path for path, entry in rootfs.entries.items() if entry.is_symlink)
        ways = ((link, rootfs.resolve(link)) for link in links)
        return self.dropped.keys() | {
            link for link, way in ways if any(p in self.dropped for p in (*way.links, way.path))
        }


def decide(world: World) -> Decisions:
    """The user's ``--keep`` and ``--drop`` in this image; what both name is kept.

    Raises UsageError for a pattern that names nothing, and for a path that is named by both.
    """
    choices = world.choices
    if not (choices.keep or choices.drop):
        return Decisions()
    keeps = [_named(world, pattern, "--keep") for pattern in choices.keep]
    drops = [_named_itself(world, pattern) for pattern in choices.drop]
    _refuse_both(world, keeps, drops)
    kept = {path for match in keeps for path in (*match.links, *match.paths(world.rootfs))}
    dropped: dict[str, str] = {}
    for match in drops:
        for path in match.paths(world.rootfs):
            if path not in kept:
                dropped.setdefault(path, match.pattern)
    needs = tuple(need for match in keeps for need in _needs(world, match))
    return Decisions(needs, dropped)


def _named(world: World, pattern: str, option: str) -> Match:
    match = find_match(world, pattern)
    if match is None:
        raise UsageError(
            f"{option} {pattern} names nothing in the image", hint=_near_hint(world, pattern)
        )
    return match


def _named_itself(world: World, pattern: str) -> Match:
    """As ``_named``, but a link is dropped itself: what it leads to may have other users."""
    if pattern.startswith("/"):
        entry = world.rootfs.resolve(pattern, follow_last=False).entry
        if entry is not None:
            return Match(pattern, (entry,))
    return _named(world, pattern, "--drop")


def _refuse_both(world: World, keeps: Sequence[Match], drops: Sequence[Match]) -> None:
    named = {_exactly(world, match): match.pattern for match in keeps}
    for match in drops:
        pattern = named.get(_exactly(world, match))
        if pattern is not None:
            raise UsageError(
                f"--keep {pattern} and --drop {match.pattern} contradict each other",
                hint="give one of them",
            )


def _exactly(world: World, match: Match) -> str:
    """The pattern, a path in its canonical form."""
    if match.is_owner or not match.pattern.startswith("/"):
        return match.pattern
    return world.rootfs.resolve(match.pattern, follow_last=False).path


def _needs(world: World, match: Match) -> Iterator[Need]:
    reason, because = f"kept by --keep {match.pattern}", f"<keep {match.pattern}>"
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
    """What each ``--drop`` leaves out, with its bytes, and what it breaks of what is ``kept``."""
    by_pattern: dict[str, list[Refused]] = {pattern: [] for pattern in decisions.dropped.values()}
    for one in refused:
        by_pattern[decisions.dropped[one.target.path]].append(one)
    for pattern, found in by_pattern.items():
        targets = {one.target.path: one.target for one in found}
        yield Problem(
            "dropped",
            Severity.INFO,
            "" if not pattern.startswith("/") else pattern,
            f"left out by --drop {pattern}: {_count(len(targets))} that would be kept without it",
            "what only they need is left out, too",
            unique_size_bytes(targets.values()),
        )
        yield from _breaks(pattern, [one for one in found if one.breaks], kept)


def blames_drop(problem: Problem, dropped: Iterable[str]) -> bool:
    """Whether ``problem`` says that the image lacks what the user dropped of it."""
    if problem.code not in _ABSENCES:
        return False
    names = {path.rpartition("/")[2] for path in dropped}
    return not names.isdisjoint(_NAMES.split(f"{problem.path} {problem.message}"))


def _breaks(pattern: str, found: Sequence[Refused], kept: Container[str]) -> Iterator[Problem]:
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
            f"is left out by --drop {pattern}{others} but needed by {askers} ({reason})",
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
