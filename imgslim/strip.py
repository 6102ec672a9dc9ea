"""What only debuggers read of the kept ELF files: how much it is, and where it can go.

Stripping is the image's own ``strip``'s work, in the build; for an archive, which has no build, it
is this machine's. Which files it must not touch: those that patchelf or the like changed
(auditwheel#716: their segments are laid out as no linker does it, and strip breaks them), those
with data of their own behind or beside the sections, and those that are checked by a sum. Tables:
``[strip]`` in ``data/native.toml``.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise

from imgslim.copyplan.tools import TOOL_DIRECTORIES, find_tools
from imgslim.copyplan.words import shell_word
from imgslim.model import Entry, Keep, Kind, Problem, Severity
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf import elf_facts
from imgslim.runtimes.elf.places import architecture, machine_names
from imgslim.runtimes.elf.sections import Layout, Section, read_layout
from imgslim.sources.platforms import host_platform
from imgslim.tables import load_table
from imgslim.world import World

_LINKED = ("ET_DYN", "ET_EXEC")
"""Objects for a linker and kernel modules (ET_REL) need their symbols."""

_SECTION_ROW_BYTES = {32: 40, 64: 64}
"""An Elf32_Shdr and an Elf64_Shdr."""

_NAMES_SHOWN = 3
_IN_IMAGE = "in the fat image"

_PATCHED = "changed after they were linked (patchelf, prelink), which strip breaks"
_OWN_DATA = "with data of their own in the file"
_CHECKED = "checked by a sum of their content"
_PRIVILEGED = "setuid, or with attributes that strip drops"
_LINKS = "of several kept names"
_FOREIGN = "of another architecture"
_HIDDEN = "in a volume, which a build cannot change"


@dataclass(frozen=True, slots=True)
class _Rules:
    debug: re.Pattern[str]
    symbols: frozenset[str]
    known: re.Pattern[str]
    with_symbols: frozenset[str]
    changed: frozenset[str]
    checksums: tuple[str, ...]
    never: tuple[str, ...]
    least_bytes: int


@cache
def _rules() -> _Rules:
    table = load_table("native")["strip"]
    return _Rules(
        debug=_any_of(table["debug"]),
        symbols=frozenset(table["symbols"]),
        known=_any_of([*table["debug"], *table["symbols"], *table["neutral"]]),
        with_symbols=frozenset(table["with_symbols"]),
        changed=frozenset(table["changed"]),
        checksums=tuple(table["checksums"]),
        never=tuple(table["never"]),
        least_bytes=table["least_bytes"],
    )


@dataclass(frozen=True, slots=True)
class _Strip:
    """A kept file, what stripping saves of it, and whether its symbol table has to stay."""

    path: str
    saves_bytes: int
    keeps_symbols: bool

    def command(self, tool: str) -> str:
        """``-p``: the time of the file stays."""
        option = "--strip-debug" if self.keeps_symbols else "--strip-unneeded"
        return f"{shell_word(tool)} -p {option}"


def plan_strips(world: World, keeps: Sequence[Keep]) -> tuple[tuple[Keep, ...], list[Problem]]:
    """``keeps`` with the command that strips each file (none unless ``world.choices.strip``), also
    marked where another form of the slim image may strip it, though this one cannot; and what
    there is to say: what stripping saves or would save, and what has to stay as it is."""
    found, refused = _candidates(world, keeps)
    if not world.choices.strip:
        return tuple(keeps), [_offer(found)] if found else []
    tool = _tool(world)
    problems = [_refusal(reason, strips) for reason, strips in sorted(refused.items())]
    either = {strip.path for strip in (*found, *refused.get(_HIDDEN, ()))}
    keeps = [replace(k, strippable=True) if k.entry.path in either else k for k in keeps]
    if not found:
        return tuple(keeps), problems
    if tool is None:
        return tuple(keeps), [_no_tool(world, found), *problems]
    by_path = {strip.path: strip for strip in found}
    return (
        tuple(_stripped(keep, by_path.get(keep.entry.path), tool) for keep in keeps),
        [_done(world, found, tool), *problems],
    )


def _tool(world: World) -> str | None:
    """What strips, if anything can: this machine's strip, or the image's own in a stage of it."""
    if world.choices.strip_on_host:
        return find_host_strip(world.platform.architecture)
    strip = find_strip(world.rootfs, world.platform.architecture)
    return strip if find_tools(world.rootfs) is not None else None


def _stripped(keep: Keep, strip: _Strip | None, tool: str) -> Keep:
    if strip is None:
        return keep
    return replace(keep, strip=strip.command(tool), strip_bytes=strip.saves_bytes)


def find_host_strip(oci_architecture: str) -> str | None:
    """The name of a program on this machine's PATH that strips files of that architecture: its own
    strip for its own, one named for a target, or LLVM's, which takes any."""
    is_own = sys.platform == "linux" and host_platform().architecture == oci_architecture
    names = ["strip"] if is_own else []
    names += [f"{machine}-linux-gnu-strip" for machine in machine_names(oci_architecture)]
    return next((name for name in (*names, "llvm-strip") if shutil.which(name)), None)


def find_strip(rootfs: Rootfs, oci_architecture: str) -> str | None:
    """The path of the image's own strip: binutils', one named for a target of the image's
    architecture, or LLVM's, which takes any."""
    table = load_table("native")["strip"]["tools"]
    machines = machine_names(oci_architecture)
    names = (name.replace("{machine}", m) for name in table["names"] for m in machines)
    for name in dict.fromkeys(names):
        for directory in (*TOOL_DIRECTORIES, *table["places"]):
            for path in _paths_at(rootfs, f"{directory}/{name}"):
                program = rootfs.lookup(path)
                if program is not None and program.is_executable:
                    return path
    return None


def _paths_at(rootfs: Rootfs, pattern: str) -> Iterable[str]:
    """A plain path as it is written, so that the Dockerfile says ``strip``."""
    return (entry.path for entry in rootfs.glob(pattern)) if "*" in pattern else (pattern,)


def stripped_size_bytes(layout: Layout, *, keep_symbols: bool = False) -> int:
    """The size of a file after ``strip --strip-unneeded`` (``keep_symbols``: ``--strip-debug``).

    As binutils' bfd/elf.c lays a file out anew: what is mapped stays, the unmapped sections follow
    with their alignment, then their names, then the table of sections, aligned to 8. Some symbols
    go with the debug sections: with ``keep_symbols`` the size is an upper bound.
    """
    rules = _rules()
    size, names, count = layout.mapped_end, len("\0.shstrtab\0"), 2
    for section in layout.sections:
        if section.name == ".shstrtab" or _goes(rules, section, keep_symbols):
            continue
        count += 1
        names += len(section.name) + 1
        if not section.is_mapped:
            size = _aligned(size, section.alignment) + section.stored_bytes
    return _aligned(size + names, 8) + count * _SECTION_ROW_BYTES[layout.bits]


def _goes(rules: _Rules, section: Section, keep_symbols: bool) -> bool:
    if section.is_mapped:
        return False
    is_symbols = not keep_symbols and section.name in rules.symbols
    return is_symbols or rules.debug.match(section.name) is not None


def _aligned(offset: int, alignment: int) -> int:
    step = max(alignment, 1)
    return -(-offset // step) * step


def _candidates(
    world: World, keeps: Iterable[Keep]
) -> tuple[list[_Strip], Mapping[str, list[_Strip]]]:
    """What stripping can save by file, and by reason what it must not touch."""
    entries = [keep.entry for keep in keeps if keep.entry.kind is Kind.FILE]
    names = Counter(entry.inode for entry in entries)
    found: list[_Strip] = []
    refused: dict[str, list[_Strip]] = {}
    for entry in entries:
        layout = read_layout(world.rootfs, entry)
        if layout is None or layout.type not in _LINKED or not layout.sections:
            continue
        with_symbols = any(layout.named(name) for name in _rules().with_symbols)
        saves = entry.size_bytes - stripped_size_bytes(layout, keep_symbols=with_symbols)
        if saves < _rules().least_bytes or _is_debug_file(layout):
            continue
        reason = _refuse(world, entry, layout, names[entry.inode])
        strips = refused.setdefault(reason, []) if reason else found
        strips.append(_Strip(entry.path, saves, with_symbols))
    return found, refused


def _is_debug_file(layout: Layout) -> bool:
    """What ``objcopy --only-keep-debug`` leaves: its code is not in the file."""
    return any(section.is_code and not section.has_content for section in layout.sections)


def _refuse(world: World, entry: Entry, layout: Layout, names: int) -> str:
    """Why a file has to stay as it is; "" when it can be stripped."""
    facts = elf_facts(world.rootfs, entry)
    if facts is None or architecture(facts.target).oci != world.platform.architecture:
        return _FOREIGN
    if _was_changed(layout):
        return _PATCHED
    if entry.size_bytes > layout.end or _has_own_sections(layout):
        return _OWN_DATA
    if _is_checked(world.rootfs, entry.path):
        return _CHECKED
    if entry.mode & 0o6000 or entry.xattrs:
        return _PRIVILEGED
    if names > 1:
        return _LINKS
    in_build = not world.choices.strip_on_host
    return _HIDDEN if in_build and _in_volume(world, entry.path) else ""


def _was_changed(layout: Layout) -> bool:
    """Whether something moved what a linker put in its place.

    Linkers write the table of segments right behind the header, segments in the order of their
    addresses (System V ABI, gabi chapter 5, PT_LOAD), and header and dynamic strings where they
    cannot be written. patchelf puts what got longer into a writable segment of its own, at the end
    of a library or around the header of a program (its src/patchelf.cc, rewriteSectionsLibrary and
    rewriteSectionsExecutable); LIEF moves the table.
    """
    starts = [(segment.offset, segment.address) for segment in layout.segments]
    in_order = all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(starts))
    writable = any(
        segment.is_writable and segment.offset <= offset < segment.end
        for segment in layout.segments
        for offset in (0, layout.strings_at)
    )
    moved = layout.segments_at != layout.header_end
    return moved or not in_order or writable or any(map(layout.named, _rules().changed))


def _has_own_sections(layout: Layout) -> bool:
    known = _rules().known
    return any(not known.match(s.name) for s in layout.sections if not s.is_mapped)


def _is_checked(rootfs: Rootfs, path: str) -> bool:
    directory, _, name = path.rpartition("/")
    stem = name.partition(".so")[0]
    beside = (text.format(name=name, stem=stem) for text in _rules().checksums)
    if any(rootfs.lookup(f"{directory}/{other}") for other in beside):
        return True
    return any(_matches_path(path, pattern) for pattern in _rules().never)


def _matches_path(path: str, pattern: str) -> bool:
    """``fnmatch`` over a whole path: a star also stands for directories."""
    return fnmatchcase(path, pattern.replace("**", "*"))


def _in_volume(world: World, path: str) -> bool:
    volumes = (volume.rstrip("/") + "/" for volume in world.config.volumes)
    return any(path.startswith(volume) for volume in volumes)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """A pattern for names of sections, which are no paths: ``*`` is any text."""
    parts = (re.escape(pattern).replace(r"\*", ".*") for pattern in patterns)
    return re.compile(f"(?:{'|'.join(parts)})\\Z")


def _listing(strips: Sequence[_Strip]) -> Iterator[str]:
    heaviest = sorted(strips, key=lambda strip: (-strip.saves_bytes, strip.path))
    yield from (strip.path for strip in heaviest[:_NAMES_SHOWN])
    if len(strips) > _NAMES_SHOWN:
        yield f"{len(strips) - _NAMES_SHOWN} more"


def _problem(
    code: str, strips: Sequence[_Strip], message: str, resolution: str, severity: Severity
) -> Problem:
    saves = sum(strip.saves_bytes for strip in strips)
    text = message.format(count=len(strips), names=", ".join(_listing(strips)))
    return Problem(code, severity, "", text, resolution, saves)


def _offer(strips: Sequence[_Strip]) -> Problem:
    message = "{count} kept files hold what only debuggers read: {names}"
    resolution = "kept; --strip removes it in the build"
    return _problem("debug-sections", strips, message, resolution, Severity.INFO)


def _done(world: World, strips: Sequence[_Strip], tool: str) -> Problem:
    message = "{count} kept files lose what only debuggers read: {names}"
    where = "on this machine" if world.choices.strip_on_host else "in the build"
    return _problem("stripped", strips, message, f"by {tool}, {where}", Severity.INFO)


def _no_tool(world: World, strips: Sequence[_Strip]) -> Problem:
    if world.choices.strip_on_host:
        lacks, remedy = f"this machine has no strip for {world.platform}", "on this machine"
    elif find_strip(world.rootfs, world.platform.architecture) is None:
        lacks, remedy = "the image has no strip", _IN_IMAGE
    else:
        lacks, remedy = "the image has no shell and tar or cp to use its strip with", _IN_IMAGE
    message = f"{{count}} files are not stripped, as {lacks}: {{names}}"
    resolution = f"kept as they are; install binutils {remedy}"
    return _problem("no-strip", strips, message, resolution, Severity.WARNING)


def _refusal(reason: str, strips: Sequence[_Strip]) -> Problem:
    message = f"{{count}} files are not stripped: {reason}: {{names}}"
    return _problem("not-stripped", strips, message, "kept as they are", Severity.INFO)
