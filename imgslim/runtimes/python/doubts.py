"""What Python code leaves undecided, as problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from imgslim.model import Problem, Severity, unique_size_bytes
from imgslim.runtimes.base import KeptPaths
from imgslim.runtimes.python.modules import Unit
from imgslim.world import World


def unparsed(path: str) -> Problem:
    """What is said of a source that the running Python cannot parse."""
    return Problem(
        "unparsed-source",
        Severity.INFO,
        path,
        "is no Python that this version of imgslim can parse",
        "kept; every module that a line of it may import counts as imported",
    )


def dynamic_import(path: str, line: int) -> Problem:
    return Problem(
        "dynamic-import",
        Severity.INFO,
        path,
        f"line {line} imports a module whose name is computed",
        "your own files are all kept; a distribution that only this line reaches needs --keep",
    )


def program_doubts(
    world: World, programs: Mapping[tuple[str, str], str], kept: KeptPaths
) -> Iterator[Problem]:
    """The programs that distributions can run and that are left out.

    ``programs`` maps (distribution, program) to the source that names the program.
    """
    for (dist, program), path in programs.items():
        found = world.which(program)
        entry = world.rootfs.lookup(found) if found else None
        if entry is not None and entry.path not in kept:
            yield Problem(
                "program-of-dependency",
                Severity.INFO,
                path,
                f"distribution {dist} can run {program}, which is left out",
                f"add --also-run {program} if the app uses that",
                entry.size_bytes,
                (entry.path,),
            )


def import_doubts(world: World, left: Iterable[tuple[str, str, Unit]]) -> Iterator[Problem]:
    """The imports that do not count: each module with the source that has it and what it is."""
    askers: dict[str, list[str]] = {}
    units: dict[str, Unit] = {}
    for module, path, unit in left:
        askers.setdefault(module, []).append(path)
        units[module] = unit
    for module, paths in askers.items():
        more = f" (so can {len(paths) - 1} more)" if len(paths) > 1 else ""
        dist = units[module].distribution
        left_out = dist.files if dist else ()
        files = (world.rootfs.get(path) for path in left_out)
        flag = f"--keep {dist.key}" if dist else f"--keep {units[module].key}"
        yield Problem(
            "optional-import",
            Severity.INFO,
            paths[0],
            f"can import {module}{more}, but nothing that runs needs that",
            f"left out; import it in your own code, or {flag}",
            unique_size_bytes(entry for entry in files if entry is not None),
            left_out,
        )
