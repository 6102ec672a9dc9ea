"""supervisord's configuration (supervisor/options.py; supervisord.org, "Configuration File")."""

from __future__ import annotations

import configparser
import contextlib
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imgslim.commands import join
from imgslim.model import Finding, Group, Need, Problem, Scope, Severity
from imgslim.runtimes.supervisors.started import Started
from imgslim.world import World

_PROGRAMS = ("program", "eventlistener", "fcgi-program")
_NAMED_PATHS = re.compile(r"(?:.*_)?logfile|pidfile|file|childlogdir|directory|serverurl|socket")
_EXPANSION = re.compile(r"%%|%\(([\w-]+)\)(\d*[sd])")
_MOST_PROCESSES = 64
_REASON = "supervisord's configuration"


@dataclass(frozen=True, slots=True)
class Section:
    """One section: ``here`` is the directory that its file lies in."""

    name: str
    path: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def here(self) -> str:
        return posixpath.dirname(self.path)


def read_supervisord(
    world: World, words: Sequence[str], program: str, because: str
) -> Iterator[Finding | Started]:
    """What ``supervisord WORDS`` starts; ``program`` is its file, links unresolved."""
    path = _configuration(world, words, program)
    if path is None:
        yield Problem(
            "supervisor-configuration",
            Severity.WARNING,
            "",
            f"{because} runs supervisord, whose configuration is in none of its places",
            "nothing is kept for it; name what it runs with --also-run",
        )
        return
    sections = list(_sections(world, path))
    for each in dict.fromkeys((path, *(section.path for section in sections))):
        yield Need(each, Group.APP, _REASON, because, optional=True)
    inherited = _inherited(world, sections)
    for section in sections:
        yield from _places(world, section, inherited)
        if section.name.partition(":")[0] in _PROGRAMS:
            yield from _programs(section, inherited)


def _configuration(world: World, words: Sequence[str], program: str) -> str | None:
    """``-c FILE``, or the first of the places that supervisor searches."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-c", "--configuration") and rest:
            return _existing(world, rest[0])
        if word.startswith("--configuration="):
            return _existing(world, word.partition("=")[2])
        if word.startswith("-c") and not word.startswith("--"):
            return _existing(world, word[2:])
    prefix = posixpath.dirname(posixpath.dirname(program))
    places = (
        *(f"{prefix}/etc/supervisord.conf", f"{prefix}/supervisord.conf"),
        *("supervisord.conf", "etc/supervisord.conf"),
        *("/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"),
    )
    return next((found for place in places if (found := _existing(world, place))), None)


def _existing(world: World, word: str) -> str | None:
    path = join(world.working_dir, word)
    return path if world.rootfs.lookup(path) is not None else None


def _sections(world: World, path: str) -> Iterator[Section]:
    """All sections of a file and of those that it includes. A section that comes again adds its
    options, as one parser reads all files."""
    merged: dict[str, Section] = {}
    for each in (path, *_included(world, path)):
        parser = _parsed(world.rootfs.read_text(each))
        for name in parser.sections():
            known = merged.get(name)
            own = dict(parser.items(name))
            options = {**(known.options if known else {}), **own}
            merged[name] = Section(name, each if known is None else known.path, options)
    yield from merged.values()


def _parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    # What was read before a fault stands; supervisord itself would not start.
    with contextlib.suppress(configparser.Error):
        parser.read_string(text)
    return parser


def _included(world: World, path: str) -> Iterator[str]:
    """``[include] files``: globs, relative to the directory of the main file; not nested."""
    parser = _parsed(world.rootfs.read_text(path))
    if not parser.has_option("include", "files"):
        return
    here = posixpath.dirname(path)
    for pattern in _expand(parser.get("include", "files"), _variables(world), here).split():
        yield from sorted(entry.path for entry in world.rootfs.glob(join(here, pattern)))


def _variables(world: World) -> dict[str, str]:
    return {f"ENV_{name}": values[0] for name, values in world.values_at_start.items()}


def _inherited(world: World, sections: Sequence[Section]) -> dict[str, str]:
    """The expansions: the variables of the image and those of ``[supervisord] environment``."""
    known = _variables(world)
    for section in sections:
        if section.name == "supervisord":
            given = _expand(section.options.get("environment", ""), known, section.here)
            known |= {f"ENV_{name}": value for name, value in parse_environment(given)}
    return known


def _programs(section: Section, known: Mapping[str, str]) -> Iterator[Started]:
    """One command for each process of a program whose words differ."""
    name = section.name.partition(":")[2].strip()
    options = section.options
    count, first = (_number(options.get(key, ""), default) for key, default in _COUNTS)
    seen: set[Started] = set()
    for number in range(first, first + min(count, _MOST_PROCESSES)):
        own = {**known, "program_name": name, "group_name": name}
        own |= {"process_num": str(number), "numprocs": str(count), "host_node_name": "localhost"}
        text = _expand(options.get("environment", ""), own, section.here)
        variables = tuple(parse_environment(text))
        own |= {f"ENV_{key}": value for key, value in variables}
        command = _expand(options.get("command", ""), own, section.here)
        started = Started(
            _words(command),
            section.path,
            section.name,
            _expand(options.get("directory", ""), own, section.here),
            variables,
            _expand(options.get("user", ""), own, section.here),
        )
        if started not in seen:
            seen.add(started)
            yield started


_COUNTS = (("numprocs", 1), ("numprocs_start", 0))


def _number(text: str, default: int) -> int:
    return int(text) if text.strip().isdigit() else default


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return tuple(command.split())


def _expand(text: str, known: Mapping[str, str], here: str) -> str:
    """Python's ``%``-formatting by name; a name that nobody knows stays as it is written."""

    def one(match: re.Match[str]) -> str:
        if match[1] is None:
            return "%"
        value = here if match[1] == "here" else known.get(match[1])
        if value is None:
            return match[0]
        width = match[2][:-1]
        return value.rjust(int(width), "0" if width.startswith("0") else " ") if width else value

    return _EXPANSION.sub(one, text)


def parse_environment(text: str) -> Iterator[tuple[str, str]]:
    """``KEY="value",KEY2=value`` (supervisor/datatypes.py, dict_of_key_value_pairs)."""
    lexer = shlex.shlex(text)
    lexer.wordchars += "/.+-():"
    try:
        tokens = list(lexer)
    except ValueError:
        return
    for start in range(0, len(tokens), 4):
        group = tokens[start : start + 3]
        if len(group) == 3 and group[1] == "=":
            yield group[0], group[2].strip("'\"")


def _places(world: World, section: Section, known: Mapping[str, str]) -> Iterator[Need]:
    """The directories of logs, sockets and the like: they must be there to be written to."""
    for name, value in section.options.items():
        path = _expand(value, known, section.here).removeprefix("unix://")
        if not path.startswith("/") or _NAMED_PATHS.fullmatch(name) is None:
            continue
        for place in (path, posixpath.dirname(path)):
            entry = world.rootfs.lookup(place)
            if entry is not None and entry.is_directory and entry.path != "/":
                yield Need(place, Group.DIRECTORY, _REASON, section.path, Scope.PATH, True)
                break
