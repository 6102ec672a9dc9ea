"""From the words of a command to files: the program, and the paths that it names.

Nothing here looks at the host.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from imgslim.model import Command, Entry, Finding, Group, Need, Scope
from imgslim.rootfs import Rootfs
from imgslim.tables import Places, load_table
from imgslim.world import World
from imgslim.wrappers import Argv as Argv
from imgslim.wrappers import (
    central_environments,
    environment_paths,
    project_hashes,
    settings_of,
)
from imgslim.wrappers import find_wrapper as find_wrapper
from imgslim.wrappers import inner_commands as inner_commands
from imgslim.wrappers import name_of as name_of
from imgslim.wrappers import split_words as split_words

_PATH_IN_TEXT = re.compile(
    r"""(?:^-[A-Za-z]|^@|^|[\s:=,;'"()<>{}|&\[\]`])(/[^\s:=,;'"()<>{}|&`]+)"""
)
_REASON = "files named by commands"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is looked up: working directories (the first that fits) and PATH."""

    directories: tuple[str, ...]
    search_path: tuple[str, ...]

    @classmethod
    def of(cls, world: World) -> Place:
        """Where the image's own config starts a command."""
        return cls((world.working_dir,), world.search_path)


def locate(world: World, word: str, place: Place | None = None) -> str | None:
    """The path by which running ``word`` reaches an executable file, links unresolved.

    As execvp(3): a word with a slash is taken from the working directory, others from PATH.
    """
    place = place or Place.of(world)
    directories = place.directories if "/" in word else place.search_path
    for candidate in (join(directory, word) for directory in directories):
        entry = world.rootfs.lookup(candidate)
        if entry is not None and entry.is_executable:
            return candidate
    return None


def resolve_command(
    world: World,
    argv: Sequence[str],
    because: str,
    place: Place | None = None,
) -> Iterator[Finding]:
    """The way to the program that ``argv`` runs and the Command itself; nothing if not found.

    Where the config's own PATH or working directory would lead elsewhere than ``place``, the
    words are made absolute, so that who reads the Command needs no other place. So are the names
    of the commands inside it.
    """
    found = locate(world, argv[0], place) if argv and argv[0] else None
    if found is None:
        return
    yield Need(found, Group.PROGRAM, "programs that run", because)
    canonical = world.rootfs.resolve(found).path
    name = argv[0] if locate(world, argv[0]) == found else found
    words = [_from_home(world, word, place) for word in argv[1:]]
    for start, path in _inner_names(world, argv, canonical, place or Place.of(world)):
        words[start - 1] = path
    yield Command((name, *words), canonical, because)


def place_inside(
    world: World, place: Place, argv: Sequence[str], path: str, inner: Sequence[str]
) -> Place:
    """Where ``argv`` (whose program is the file ``path``) looks its ``inner`` command up: ``env``
    and its kin may set PATH or change the directory, ``conda run`` and its kin put the directory
    of an environment's programs before PATH."""
    variables, directory = settings_of(argv, path, inner)
    if directory:
        there = tuple(join(here, directory) for here in place.directories)
        place = replace(place, directories=there)
    own = environment_paths(argv, path, inner, place.directories)
    central = _central(world, central_environments(argv, path, inner), place.directories)
    place = replace(place, search_path=(*own, *central, *place.search_path))
    value = variables.get("PATH")
    if value is None or "$" in value:
        return place
    here = place.directories[0]
    return replace(place, search_path=tuple(join(here, part) for part in value.split(":")))


def _central(world: World, globs: Sequence[str], directories: Sequence[str]) -> list[str]:
    """The directories that ``globs`` find; first those named after the working ``directories``."""
    if not globs:
        return []
    places = Places(world.rootfs, world.config)
    found = [entry.path for pattern in globs for entry in places.find(pattern)]
    hashes = [name for directory in directories for name in project_hashes(directory)]
    return sorted(found, key=lambda path: not any(name in path for name in hashes))


def _inner_names(
    world: World, argv: Sequence[str], path: str, place: Place
) -> Iterator[tuple[int, str]]:
    """Which words of ``argv`` name commands inside it that ``place`` finds, but not the config's
    own PATH and directory: their indices and the absolute paths."""
    start = 0
    for _ in range(_MAX_WRAPPERS):
        words = tuple(argv[start:])
        inner = next((i for i in inner_commands(words, path) if words[-len(i) :] == i), ())
        if not inner or len(inner) >= len(words):
            return
        place = place_inside(world, place, words, path, inner)
        start += len(words) - len(inner)
        found = locate(world, inner[0], place)
        if found is None:
            return
        if locate(world, inner[0]) != found:
            yield start, found
        path = world.rootfs.resolve(found).path


_MAX_WRAPPERS = 8
"""Commands inside each other (env, tini, gosu …) that are looked into."""


def _from_home(world: World, word: str, place: Place | None) -> str:
    """A relative path that exists in the command's own directory, as an absolute one."""
    if place is None or not word or word.startswith(("/", "-")):
        return word
    if place.directories[0] == world.working_dir or len(word) > _LONGEST_PATH or "\n" in word:
        return word
    for path in (join(directory, word) for directory in place.directories):
        if world.rootfs.lookup(path) is not None:
            return path
    return word


_LONGEST_PATH = 4096
"""PATH_MAX of linux/limits.h."""


def word_needs(
    world: World, words: Sequence[str], because: str, place: Place | None = None
) -> Iterator[Need]:
    """Optional needs for the existing paths that ``words`` name.

    Absolute ones also inside of a word (``--opt=PATH``, ``-fPATH``, ``@PATH``), relative ones as
    whole words or behind ``=``. Directories are kept as such, without what is in them.
    """
    directories = (place or Place.of(world)).directories
    for word in dict.fromkeys(words):
        yield from (_named(path, because) for path in existing_paths(world.rootfs, word))
        relative = word.rpartition("=")[2] if word.startswith("-") else word
        if not relative or relative.startswith(("/", "-")) or len(relative) > _LONGEST_PATH:
            continue
        for path in (join(directory, relative) for directory in directories):
            entry = world.rootfs.lookup(path)
            if entry is not None and entry.path != "/":
                yield _named(path, because)


def _named(path: str, because: str, scope: Scope = Scope.PATH) -> Need:
    return Need(path, Group.APP, _REASON, because, scope, optional=True)


def existing_paths(rootfs: Rootfs, text: str) -> Iterator[str]:
    """The absolute paths in ``text`` that are in the image, the root directory left out."""
    if "/" not in text:
        return
    if text.startswith("/") and "\n" not in text and _exists(rootfs, text):
        yield join("/", text)
        return
    for match in _PATH_IN_TEXT.finditer(text):
        found = next((p for p in _trimmed(match[1]) if _exists(rootfs, p)), None)
        if found is not None:
            yield join("/", found)


def _trimmed(path: str) -> Iterator[str]:
    """A path as it stands in a text, then without the punctuation that may follow it."""
    yield path
    if path[-1] in ".!?]/*\\":
        yield path.rstrip(".!?]/*\\")


def _exists(rootfs: Rootfs, path: str) -> bool:
    if len(path) > _LONGEST_PATH:
        return False
    entry = rootfs.lookup(path)
    return entry is not None and entry.path != "/"


def tree_needs(world: World, argv: Sequence[str], because: str) -> Iterator[Finding]:
    """What programs that read a whole directory (``cp -r DIR``, ``run-parts DIR``) need of it."""
    name = name_of(argv[0])
    for row in load_table("wrappers")["tree"]:
        if name not in row["names"] or not _has_flag(row.get("flags", ()), argv):
            continue
        for path in (path for word in argv[1:] for path in existing_paths(world.rootfs, word)):
            entry = world.rootfs.lookup(path)
            if entry is None or not entry.is_directory or is_system_directory(entry):
                continue
            if not row.get("runs"):
                yield _named(path, because, Scope.TREE)
                continue
            yield _named(path, because)
            for child in (join(entry.path, name) for name in world.rootfs.children(entry.path)):
                if not keeps_house(world, child):
                    yield _named(child, because, Scope.TREE)
                    yield from resolve_command(world, (child,), because)


def keeps_house(world: World, path: str) -> bool:
    """Whether a periodic job is of a package that keeps the system's own records (apt, man-db):
    nothing of the kind is in a slim image."""
    package = world.packages.owner(path)
    patterns = load_table("supervisors")["housekeeping"]["packages"]
    return package is not None and any(fnmatch.fnmatchcase(package.name, p) for p in patterns)


def _has_flag(flags: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether a word of ``argv`` is one of the long ``flags``, or a cluster with a short one."""
    if not flags:
        return True
    short = {flag for flag in flags if not flag.startswith("-")}
    return any(
        word in flags or (word[:1] == "-" and word[:2] != "--" and short & set(word[1:]))
        for word in argv[1:]
    )


def may_be_absent(argv: Sequence[str]) -> bool:
    """Whether a command's paths need not be there: it removes or makes them."""
    name = name_of(argv[0]) if argv else ""
    return any(name in row["names"] for row in load_table("wrappers")["absent"])


def is_system_directory(entry: Entry) -> bool:
    """Whether a directory is a top of the system's tree (FHS), never meant as a whole."""
    table = load_table("wrappers")
    if entry.path in table["fhs"]["directories"]:
        return True
    parent, _, name = entry.path.rpartition("/")
    return parent == "/usr/lib" and fnmatch.fnmatchcase(name, table["multiarch"]["pattern"])


def nearest_names(world: World, name: str) -> list[str]:
    """Up to three commands on PATH whose names resemble ``name``."""
    known = {
        child
        for directory in world.search_path
        for child in world.rootfs.children(world.rootfs.resolve(directory).path)
    }
    return difflib.get_close_matches(name_of(name), sorted(known), n=3, cutoff=0.7)


def join(directory: str, path: str) -> str:
    """``path`` from ``directory``, absolute, with ``.`` and empty components taken out.

    ``..`` stays: what it means depends on the links before it.
    """
    whole = path if path.startswith("/") else f"{directory}/{path}"
    return "/" + "/".join(part for part in whole.split("/") if part not in ("", "."))
