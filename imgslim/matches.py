"""What a user's pattern names in an image.

A pattern is an absolute path (links in it are followed), a glob, or the key of a package:
``deb:NAME``, ``pypi:NAME``. A directory stands for all that lies below it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from imgslim.errors import PathNotFoundError, UsageError
from imgslim.model import Entry, Package
from imgslim.packages.npm import read_npm
from imgslim.rootfs import Rootfs
from imgslim.world import World

_PACKAGE_KEY = re.compile(r"[a-z]+:[^/].*", re.DOTALL)
_WILDCARD = re.compile(r"[*?\[]")
_NEAR_NAMES = 3
_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Match:
    """What a pattern names: ``tops`` are entries by canonical path, a directory with all below it
    (but not of a package: it shares its directories); ``links`` those that a path leads through."""

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
    if _PACKAGE_KEY.fullmatch(pattern):
        return _package_match(world, pattern)
    if not pattern.startswith("/"):
        raise UsageError(
            f"{pattern!r} is neither an absolute path nor a package",
            hint="give /PATH, a glob such as '/opt/app/**/*.so', or a package as deb:NAME, "
            "pypi:NAME",
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
        raise PathNotFoundError(f"{pattern} is not in the image", hint=near_hint(world, pattern))
    return match


def find_package(world: World, name: str) -> str | None:
    """The key of the package that ``name`` names, which is a key or, of a package in one database
    only, the bare name; None when there is none. Raises UsageError for a bare name of several.

    >>> find_package(world, "tzdata")
    'deb:tzdata'
    """
    known = packages_of(world, name.partition(":")[0] if _PACKAGE_KEY.fullmatch(name) else "")
    key = package_key(name)
    if key in known:
        return key
    found = [each for each in known if each == package_key(f"{each.partition(':')[0]}:{name}")]
    if len(found) > 1:
        raise UsageError(
            f"{name} is the name of several packages: {', '.join(found)}",
            hint=f"say which one: {' or '.join(found)}",
        )
    return found[0] if found else None


def packages_of(world: World, kind: str = "") -> Mapping[str, tuple[str, ...]]:
    """The packages in the image by their keys, with the canonical paths of their files and of
    their own metadata: system packages, then those of languages. ``npm:NAME`` stands for all of
    its versions, ``npm:NAME@VERSION`` for one. With a ``kind``, others may be missing."""
    found: dict[str, tuple[str, ...]] = {
        key: package.files for key, package in world.packages.packages.items()
    }
    for dist in world.packages.distributions:
        found[dist.key] = (*found.get(dist.key, ()), *dist.files, dist.metadata_path)
    for package in read_npm(world.rootfs) if kind in ("", "npm") else ():
        for key in (f"npm:{package.name}", package.key):
            found[key] = (*found.get(key, ()), *package.files)
    return found


def package_key(text: str) -> str:
    """A package's key in the spelling of the index: PEP 503 has names of Python distributions
    that differ neither by case nor by ``-``, ``_`` and ``.``."""
    kind, colon, name = text.partition(":")
    return f"pypi:{_SEPARATORS.sub('-', name).lower()}" if kind == "pypi" and colon else text


def owner_key(world: World, path: str) -> str:
    """The key of the package or distribution that owns a canonical path; "" when none does."""
    owner: Package | None = world.packages.owner(path)
    if owner is not None:
        return owner.key
    distribution = world.packages.distribution_owner(path)
    return distribution.key if distribution is not None else ""


def _package_match(world: World, pattern: str) -> Match | None:
    key = package_key(pattern)
    files = packages_of(world, key.partition(":")[0]).get(key, ())
    entries = (world.rootfs.get(path) for path in dict.fromkeys(files))
    found = tuple(entry for entry in entries if entry is not None and not entry.is_directory)
    return Match(key, found, is_owner=True) if found else None


def near_hint(world: World, pattern: str) -> str:
    """What the user may have meant by a pattern that names nothing, as a hint."""
    if _PACKAGE_KEY.fullmatch(pattern):
        return near_package_hint(world, pattern)
    return _hint_of(_near_paths(world, pattern))


def near_package_hint(world: World, name: str) -> str:
    """What the user may have meant by a package that is not there, as a hint."""
    known = packages_of(world)
    kind = name.partition(":")[0] if _PACKAGE_KEY.fullmatch(name) else ""
    kinds = dict.fromkeys(key.partition(":")[0] for key in known)
    if not known:
        return "no package database was found in the image: name paths, with --keep and --drop"
    if kind and kind not in kinds:
        return f"the image has packages of these kinds: {', '.join(kinds)}"
    bare = {key.partition(":")[2]: key for key in known}
    names = known if kind else bare
    near = get_close_matches(package_key(name), names, _NEAR_NAMES)
    return _hint_of(near if kind else (bare[each] for each in near))


def _hint_of(names: Iterable[str]) -> str:
    near = list(islice(names, _NEAR_NAMES))
    return f"did you mean {' or '.join(near)}?" if near else "check the spelling"


def _near_paths(world: World, pattern: str) -> Iterator[str]:
    """Files of the same name elsewhere, else names like it beside it."""
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
