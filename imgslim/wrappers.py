"""Programs that run another command which is among their arguments: ``env``, ``tini``, ``gosu`` …

Their syntax is data (``data/wrappers.toml``); this module holds the one reading of that table.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from imgslim.tables import load_table

Argv = tuple[str, ...]

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


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
    directory_options: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    applet: bool = False
    inner: bool = True
    joined: bool = False
    takes_input: bool = False
    shell: bool = False


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
            tuple(row.get("directory_options", ())),
            tuple(row.get("ends", ())),
            row.get("applet", False),
            row.get("inner", True),
            row.get("joined", False),
            row.get("takes_input", False),
            row.get("shell", False),
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
        if inner and wrapper.joined and (len(inner) == 1 or " " in inner[0]):
            yield ("/bin/sh", "-c", " ".join(inner))
        elif inner:
            yield inner
    if wrapper.shell and not strings:
        yield ("/bin/sh",)


def runs_inner(argv: Sequence[str], path: str) -> bool:
    """Whether the program does nothing without a command inside (``gosu USER``, ``env -i``)."""
    wrapper = find_wrapper(name_of(argv[0])) or find_wrapper(name_of(path))
    return wrapper is not None and wrapper.inner and not wrapper.separator


def settings_of(
    argv: Sequence[str], path: str, inner: Sequence[str]
) -> tuple[Mapping[str, str], str]:
    """The variables and the directory that ``argv`` sets for its ``inner`` command."""
    wrapper = find_wrapper(name_of(argv[0])) or find_wrapper(name_of(path))
    if wrapper is None or tuple(argv[len(argv) - len(inner) :]) != tuple(inner):
        return {}, ""
    before = argv[: len(argv) - len(inner)]
    pairs = [word.partition("=") for word in before[1:] if _ASSIGNMENT.match(word)]
    directories = list(_option_values(wrapper.directory_options, before))
    variables = {name: value for name, _, value in pairs} if wrapper.assignments else {}
    return variables, directories[-1] if directories else ""


def environment_paths(
    argv: Sequence[str], path: str, inner: Sequence[str], directories: Sequence[str]
) -> tuple[str, ...]:
    """The directories, existing or not, that ``argv`` puts before PATH for its ``inner`` command:
    of the environment that it names, or that belongs to the working ``directories``."""
    before = argv[: len(argv) - len(inner)]
    found: list[str] = []
    for row in load_table("wrappers")["environment"]:
        if not {name_of(argv[0]), name_of(path)} & set(row["names"]) or row["word"] not in before:
            continue
        home = path.rpartition("/")[0].rpartition("/")[0]
        for name in _option_values(row.get("name_options", ()), before):
            found += [place.format(home=home, name=name) for place in row["named"]]
        for prefix in _option_values(row.get("prefix_options", ()), before):
            found.append(f"{prefix.rstrip('/')}/bin")
        found += [f"{top.rstrip('/')}/{place}" for top in directories for place in row["here"]]
    return tuple(found)


def central_environments(argv: Sequence[str], path: str, inner: Sequence[str]) -> tuple[str, ...]:
    """Where the environments of all projects are for ``argv``: globs of their directories of
    programs, with the placeholders of ``tables.Places``."""
    before = argv[: len(argv) - len(inner)]
    names = {name_of(argv[0]), name_of(path)}
    rows = [row for row in load_table("wrappers")["environment"] if names & set(row["names"])]
    return tuple(p for row in rows if row["word"] in before for p in row.get("central", ()))


def project_hashes(directory: str) -> tuple[str, ...]:
    """What poetry (of the directory) and pipenv (of the Pipfile in it) put into the name of a
    project's environment: the start of a SHA-256, as base64 of URLs."""
    names = (directory, f"{directory.rstrip('/')}/Pipfile")
    digests = (hashlib.sha256(name.encode()).digest() for name in names)
    return tuple(base64.urlsafe_b64encode(digest).decode()[:8] for digest in digests)


def _positional(wrapper: Wrapper, argv: Sequence[str]) -> Argv:
    """The words left after the wrapper's own options, operands and assignments."""
    rest = list(argv[1:])
    if wrapper.separator:
        return tuple(rest[rest.index(wrapper.separator) + 1 :]) if wrapper.separator in rest else ()
    prefix = _skip_options(wrapper, rest)
    for _ in range(wrapper.operands):
        del rest[:1]
        prefix += _skip_options(wrapper, rest)
    end = next((i for i, word in enumerate(rest) if word in wrapper.ends), len(rest))
    words = prefix + rest[:end]
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


def name_of(path: str) -> str:
    """The last component of a path."""
    return path.rpartition("/")[2]
