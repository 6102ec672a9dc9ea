"""From the words of a command to files: the program, the commands inside it, the paths it names.

The syntax of programs that run other programs is data (``data/wrappers.toml``); this module holds
the one reading of that table. Nothing here looks at the host.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from imgslim.model import Command, Entry, Finding, Group, Need, Scope
from imgslim.rootfs import Rootfs
from imgslim.tables import load_table
from imgslim.world import World

Argv = tuple[str, ...]

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
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


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A row of ``wrappers.toml``: how a program's arguments hold another command."""

    value_options: frozenset[str] = frozenset()
    operands: int = 0
    assignments: bool = False
    separator: str = ""
    string_options: tuple[str, ...] = ()
    split_options: tuple[str, ...] = ()
    exec_options: frozenset[str] = frozenset()
    program_options: frozenset[str] = frozenset()
    applet: bool = False
    inner: bool = True


@cache
def _wrappers() -> tuple[Mapping[str, Wrapper], tuple[tuple[str, Wrapper], ...]]:
    """The table, by exact name and by pattern."""
    exact: dict[str, Wrapper] = {}
    patterns: list[tuple[str, Wrapper]] = []
    for row in load_table("wrappers")["wrapper"]:
        wrapper = Wrapper(
            frozenset(row.get("value_options", ())),
            row.get("operands", 0),
            row.get("assignments", False),
            row.get("separator", ""),
            tuple(row.get("string_options", ())),
            tuple(row.get("split_options", ())),
            frozenset(row.get("exec_options", ())),
            frozenset(row.get("program_options", ())),
            row.get("applet", False),
            row.get("inner", True),
        )
        for name in row["names"]:
            if any(char in name for char in "*?["):
                patterns.append((name, wrapper))
            else:
                exact[name] = wrapper
    return exact, tuple(patterns)


def find_wrapper(name: str) -> Wrapper | None:
    """The table's row for a program of this basename."""
    exact, patterns = _wrappers()
    if name in exact:
        return exact[name]
    return next((wrapper for pat, wrapper in patterns if fnmatch.fnmatchcase(name, pat)), None)


def inner_commands(argv: Sequence[str], path: str) -> Iterator[Argv]:
    """The commands that running ``argv`` (whose program is the file ``path``) runs in turn.

    A string for a shell comes out as ``/bin/sh -c STRING``. Only one level is taken off.
    """
    name = name_of(argv[0])
    wrapper = find_wrapper(name) or find_wrapper(name_of(path))
    if wrapper is None or (wrapper.applet and name != name_of(path)):
        return
    strings = list(_option_values(wrapper.string_options, argv))
    yield from (("/bin/sh", "-c", text) for text in strings)
    yield from _exec_options(wrapper, argv)
    yield from _program_options(wrapper, argv)
    if wrapper.inner and not strings:
        inner = _positional(wrapper, argv)
        if inner:
            yield inner


def _positional(wrapper: Wrapper, argv: Sequence[str]) -> Argv:
    """The words left after the wrapper's own options, operands and assignments."""
    rest = list(argv[1:])
    if wrapper.separator:
        return tuple(rest[rest.index(wrapper.separator) + 1 :]) if wrapper.separator in rest else ()
    prefix = _skip_options(wrapper, rest)
    for _ in range(wrapper.operands):
        del rest[:1]
        prefix += _skip_options(wrapper, rest)
    words = prefix + rest
    while wrapper.assignments and words and _ASSIGNMENT.match(words[0]):
        del words[:1]
    return tuple(words)


def _skip_options(wrapper: Wrapper, rest: list[str]) -> list[str]:
    """Remove leading options from ``rest``; the words that a splitting option (env -S) gave."""
    prefix: list[str] = []
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        split = next((o for o in wrapper.split_options if _has_value(o, option)), None)
        if split is not None:
            attached = option[len(split) :].removeprefix("=")
            text = attached or (rest.pop(0) if rest else "")
            prefix += split_words(text)
        elif option in wrapper.value_options:
            del rest[:1]
    return prefix


def _has_value(option: str, word: str) -> bool:
    """Whether ``word`` is ``option``, alone or with its value attached (getopt(3))."""
    if option.startswith("--"):
        return word == option or word.startswith(f"{option}=")
    return word.startswith(option)


def _option_values(options: Sequence[str], argv: Sequence[str]) -> Iterator[str]:
    for index, word in enumerate(argv[1:], 1):
        for option in options:
            if word == option and index + 1 < len(argv):
                yield argv[index + 1]
            elif option.startswith("--") and word.startswith(f"{option}="):
                yield word[len(option) + 1 :]


def _exec_options(wrapper: Wrapper, argv: Sequence[str]) -> Iterator[Argv]:
    """The commands of ``find``: from -exec up to ``;`` or ``+`` after ``{}``."""
    words = iter(argv)
    for word in words:
        if word in wrapper.exec_options:
            inner: list[str] = []
            for part in words:
                if part == ";" or (part == "+" and inner[-1:] == ["{}"]):
                    break
                inner.append(part)
            if inner:
                yield tuple(inner)


def _program_options(wrapper: Wrapper, argv: Sequence[str]) -> Iterator[Argv]:
    programs = [*_option_values(sorted(wrapper.program_options), argv)]
    if programs:
        end = argv.index("--") if "--" in argv else len(argv)
        yield (programs[-1], *argv[end + 1 :])


def split_words(text: str) -> list[str]:
    """Shell words without expansion; plain whitespace where the quoting is broken."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


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
    words are made absolute, so that who reads the Command needs no other place.
    """
    found = locate(world, argv[0], place) if argv and argv[0] else None
    if found is None:
        return
    yield Need(found, Group.PROGRAM, "programs that run", because)
    canonical = world.rootfs.resolve(found).path
    name = argv[0] if locate(world, argv[0]) == found else found
    words = (_from_home(world, word, place) for word in argv[1:])
    yield Command((name, *words), canonical, because)


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
    for word in words:
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
            yield _named(path, because, Scope.TREE)
            if row.get("runs"):
                for child in world.rootfs.children(entry.path):
                    yield from resolve_command(world, (join(entry.path, child),), because)


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


def name_of(path: str) -> str:
    """The last component of a path."""
    return path.rpartition("/")[2]
