"""What Python code asks of the system: programs that it runs, libraries that it opens by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from imgslim.commands import resolve_command
from imgslim.model import Finding, Group, Need, Problem, Severity
from imgslim.runtimes.elf.ldcache import parse_cache
from imgslim.runtimes.named_libraries import library_directories, library_needs
from imgslim.runtimes.python.source import Call, Code
from imgslim.runtimes.python.tables import hidden
from imgslim.tables import building_commands
from imgslim.world import World

_SHELL = "/bin/sh"
_PROGRAM = re.compile(r"[a-z][\w.+-]*")
_LINE = re.compile(r" -{1,2}\w| [|>&;] |&&|\|\|")
"""What tells a command line from a sentence: an option, or an operator of the shell."""
_LONGEST_LINE = 2000
_RUNS = re.compile(
    rb"""\b(?:run|Popen|call|check_call|check_output|which|find_executable)"""
    rb"""\(\s*\[?\s*["']([A-Za-z][\w.+-]*)["']"""
)
_RUN_MARKERS = (b"subprocess", b"which", b"find_executable")
_LIBRARY_MARKERS = (b"CDLL", b"LoadLibrary", b"find_library", b"dlopen")


def opens_libraries(data: bytes) -> bool:
    """Whether a source may open libraries by name: worth a look at its calls."""
    return b"ctypes" in data and any(marker in data for marker in _LIBRARY_MARKERS)


def programs_run(data: bytes) -> set[str]:
    """The programs that a source runs by a literal name, as a quick pattern sees them."""
    if not any(marker in data for marker in _RUN_MARKERS):
        return set()
    return {name.decode("ascii") for name in _RUNS.findall(data)}


def program_findings(world: World, path: str, calls: Iterable[Call]) -> Iterator[Finding]:
    """The commands that the user's own code runs by literal words."""
    for call in calls:
        kind = hidden().calls.get(call.name)
        because = f"{path}"
        words = _words(call, kind)
        if call.template and (kind == "line" or (kind == "argv" and call.shell)):
            words = (call.template,)
        elif call.template and kind in ("argv", "arguments"):
            # A program whose name is known, with arguments that are not.
            words = tuple(word for word in call.template.split()[:1] if "$_" not in word)
        if not words:
            continue
        if kind == "program":
            found = world.which(words[0])
            if found is not None:
                yield Need(found, Group.PROGRAM, "programs that run", because)
        elif kind == "line" or (kind == "argv" and call.shell):
            yield from resolve_command(world, (_SHELL, "-c", words[0]), because)
        elif kind in ("argv", "arguments"):
            yield from resolve_command(world, words, because)


def literal_commands(world: World, path: str, code: Code) -> Iterator[Finding]:
    """Commands that the user's own code holds as text, to run them in some way: lists that start
    with the name of an installed program, and lines that look like one's command line."""
    building = building_commands()
    for row in dict.fromkeys(code.rows):
        if _PROGRAM.fullmatch(row[0]) and world.which(row[0]):
            yield from resolve_command(world, row, path)
    for text in dict.fromkeys(text for text, _ in code.strings):
        first = text.partition(" ")[0]
        looks_like_one = _LINE.search(text) and len(text) <= _LONGEST_LINE
        names_one = _PROGRAM.fullmatch(first) and first not in building
        if looks_like_one and names_one and world.which(first):
            yield from resolve_command(world, (_SHELL, "-c", text), path)


def _words(call: Call, kind: str | None) -> tuple[str, ...]:
    if kind is None or not call.arguments:
        return ()
    first = call.arguments[0]
    if kind == "arguments":
        words = [first]
        # os.execl*: the second argument is what the program sees as its own name.
        rest = call.arguments[2:] if call.name.startswith("os.") else call.arguments[1:]
        words += list(rest)
    elif kind == "argv" and len(call.arguments) > 1 and call.name.startswith("os."):
        second = call.arguments[1]
        words = [first, *(second[1:] if isinstance(second, tuple) else ())]
    else:
        words = list(first) if isinstance(first, tuple) else [first]
    leading: list[str] = []
    for word in words:
        if not isinstance(word, str):
            break
        leading.append(word)
    return tuple(leading) if leading and leading[0] else ()


def library_findings(world: World, path: str, calls: Iterable[Call]) -> Iterator[Finding]:
    """The libraries that code opens by a literal name, and what ``find_library`` itself needs."""
    for call in calls:
        kind = hidden().calls.get(call.name)
        name = call.arguments[0] if call.arguments else None
        if kind == "find":
            yield from _find_library_needs(world, path, name)
            if isinstance(name, str):
                link = f"lib{name}.so"
                yield from library_needs(world, link, path, rf"{re.escape(link)}(\..*)?")
        elif kind == "library" and isinstance(name, str) and ".so" in name:
            yield from library_needs(world, name, path, re.escape(name))


def _find_library_needs(world: World, path: str, name: object) -> Iterator[Finding]:
    """What ``find_library(name)`` runs: ldconfig, and the linker where its cache has no answer.

    ``_findSoname_ldconfig`` wants a soname that starts with ``libNAME.``; a library of another
    soname (``libyaml-0.so.2`` for ``yaml``) is found by ``ld -t`` through the development link,
    and its soname read by objdump (Lib/ctypes/util.py, trap 26).
    """
    reason = "ctypes.util.find_library"
    for needed in hidden().find_library:
        yield Need(needed, Group.SYSTEM, reason, path, optional=True)
    linker = [found for tool in hidden().find_library_fallbacks if (found := world.which(tool))]
    if not linker:
        return
    if not isinstance(name, str):
        yield Problem(
            "find-library-fallback",
            Severity.INFO,
            path,
            f"ctypes.util.find_library of a computed name may run {', '.join(linker)}",
            "left out: name the library by its soname, or keep them with --also-run",
        )
    elif _only_the_linker_finds(world, name):
        for tool in linker:
            yield Need(tool, Group.SYSTEM, reason, path)


def _only_the_linker_finds(world: World, name: str) -> bool:
    """Whether ``libNAME.so`` is there, which is what the linker looks for (ld(1), ``-l``), and no
    soname in the loader's cache starts so."""
    if any(soname.startswith(f"lib{name}.") for soname in _cached_sonames(world)):
        return False
    link = f"lib{name}.so"
    return any(link in world.rootfs.children(place) for place in library_directories(world))


def _cached_sonames(world: World) -> Iterable[str]:
    cache_file = world.rootfs.lookup("/etc/ld.so.cache")
    return parse_cache(world.rootfs.read_bytes(cache_file)) if cache_file else ()
