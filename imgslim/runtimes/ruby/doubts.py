"""What to say at the end about Ruby: what was left out, its price, what was not understood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from imgslim.choices import Level
from imgslim.model import Entry, Problem, Severity, unique_size_bytes
from imgslim.runtimes.base import KeptPaths
from imgslim.runtimes.ruby.reach import RubyClosure
from imgslim.world import World

_SHOWN = 6


def closing_problems(world: World, closure: RubyClosure, kept: KeptPaths) -> Iterator[Problem]:
    """Unreached gems, parts of reached ones and of the library, requires that are not known."""
    yield from _unreached(closure, kept)
    yield from _left_out(world, closure, kept)
    for path, line in sorted(closure.dynamic.items()):
        bundled = bool(closure.bundles)
        yield Problem(
            "dynamic-require",
            Severity.INFO if bundled else Severity.WARNING,
            path,
            f"requires what only a run knows (line {line})",
            "kept: the app's own files and "
            + ("the gems of its bundle" if bundled else "every installed gem")
            + "; --keep PATH for others",
        )


def _unreached(closure: RubyClosure, kept: KeptPaths) -> Iterator[Problem]:
    sizes = {}
    for gem in closure.index.gems:
        if gem in closure.reached or not gem.directory:
            continue
        entries = [e for e in closure.index.files(gem) if e.is_file and e.path not in kept]
        if entries:
            sizes[gem] = unique_size_bytes(entries)
    if not sizes:
        return
    largest = sorted(sizes, key=lambda gem: (-sizes[gem], gem.key))
    more = f" and {len(largest) - _SHOWN} more" if len(largest) > _SHOWN else ""
    names = ", ".join(f"{gem.name} {gem.version}".strip() for gem in largest[:_SHOWN])
    yield Problem(
        "unreached-gems",
        Severity.INFO,
        largest[0].home,
        f"nothing that runs reaches the gems {names}{more}",
        "left out: groups for development, or nothing requires them; --keep PATH for one",
        sum(sizes.values()),
    )


def _left_out(world: World, closure: RubyClosure, kept: KeptPaths) -> Iterator[Problem]:
    if world.choices.level is Level.SAFE:
        return
    parts: dict[str, list[Entry]] = defaultdict(list)
    for library in closure.libraries:
        for unit, entry in library.left_out(kept):
            parts[unit].append(entry)
    for gem in closure.reached:
        for entry in closure.index.files(gem):
            if entry.is_file and entry.path not in kept:
                parts["tests, documents and sources of extensions of gems"].append(entry)
    everything = [entry for part in parts.values() for entry in part]
    if everything:
        yield Problem(
            "left-out-by-level",
            Severity.INFO,
            closure.libraries[0].home.archdir,
            f"Ruby: left out {', '.join(sorted(parts))}",
            "--level safe keeps them, --keep PATH one of them",
            unique_size_bytes(everything),
        )
