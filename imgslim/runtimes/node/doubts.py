"""What to say at the end about Node.js: what was left out, its price, what was not understood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from imgslim.choices import Level
from imgslim.model import Entry, Problem, Severity, unique_size_bytes
from imgslim.runtimes.base import KeptPaths
from imgslim.runtimes.node.closure import NodeClosure
from imgslim.world import World

_SHOWN = 6


def closing_problems(world: World, closure: NodeClosure, kept: KeptPaths) -> Iterator[Problem]:
    """Unreached packages, parts of reached ones, requires that are not known, missing modules."""
    yield from _unreached(world, closure, kept)
    yield from _left_out(world, closure, kept)
    for path, line in sorted(closure.dynamic.items()):
        if closure.is_own(path):
            yield Problem(
                "dynamic-require",
                Severity.WARNING,
                path,
                f"loads a module whose name only a run knows (line {line})",
                "kept: the app's own files, and every package that its package.json names for "
                "production; --keep npm:NAME for others",
            )
    for name, (path, line) in sorted(closure.missing.items()):
        yield Problem(
            "missing-module",
            Severity.INFO,
            path,
            f"loads {name} (line {line}), which is not in the image",
            "nothing to keep",
        )


def _unreached(world: World, closure: NodeClosure, kept: KeptPaths) -> Iterator[Problem]:
    sizes: dict[str, int] = {}
    folder = ""
    for top, entries in closure.units.files.items():
        manifest = closure.tree.manifest(top)
        if manifest is None or top in closure.packages or _of_npm(top):
            continue
        if any(entry.path in kept for entry in entries):
            continue
        sizes[top] = unique_size_bytes(entries)
        folder = folder or top[: top.index("/node_modules") + len("/node_modules")]
    if not sizes:
        return
    largest = sorted(sizes, key=lambda top: (-sizes[top], top))
    manifests = [m for top in largest[:_SHOWN] if (m := closure.tree.manifest(top))]
    more = f" and {len(largest) - _SHOWN} more" if len(largest) > _SHOWN else ""
    yield Problem(
        "unreached-npm-packages",
        Severity.INFO,
        folder,
        f"nothing that runs reaches {', '.join(m.label for m in manifests)}{more}"
        f"{_by_locks(closure.development, largest)}",
        "left out: what only development needs, or nothing names; --keep npm:NAME for one",
        sum(sizes.values()),
    )


def _by_locks(development: Mapping[str, str], tops: list[str]) -> str:
    """How many of the packages are for development only, and which lock files say so."""
    marked = [development[top] for top in tops if top in development]
    if not marked:
        return ""
    count = "all" if len(marked) == len(tops) else f"{len(marked)} of them"
    files = " and ".join(dict.fromkeys(marked))
    return f": {count} development dependencies by {files}"


def _of_npm(top: str) -> bool:
    return any(f"/lib/node_modules/{name}" in top for name in ("npm", "corepack"))


def _left_out(world: World, closure: NodeClosure, kept: KeptPaths) -> Iterator[Problem]:
    if world.choices.level is Level.SAFE:
        return
    parts: dict[str, list[Entry]] = defaultdict(list)
    for left in closure.left.values():
        for entry, row in left:
            if entry.path not in kept:
                parts[row.what if row is not None else "addons of other platforms"].append(entry)
    if world.choices.level is Level.TIGHT:
        told = {entry.path for part in parts.values() for entry in part}
        for top in closure.packages:
            parts["modules that nothing loads"] += [
                entry
                for entry in closure.units.files.get(top, ())
                if entry.path not in kept and entry.path not in told
            ]
    everything = [entry for part in parts.values() for entry in part]
    if everything:
        first = min(entry.path for entry in everything)
        yield Problem(
            "left-out-by-level",
            Severity.INFO,
            first[: first.index("/node_modules") + len("/node_modules")],
            f"npm packages: left out {', '.join(sorted(p for p in parts if parts[p]))}",
            "--level safe keeps them, --keep PATH one of them",
            unique_size_bytes(everything),
        )
