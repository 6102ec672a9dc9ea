"""What language packages say of themselves: kept with any of their files.

Scanners find a Python distribution by its METADATA or PKG-INFO and an npm package by its
``package.json`` (syft's python-installed-package-cataloger and javascript-package-cataloger), and
the files of a distribution by its RECORD.
"""

from __future__ import annotations

from collections.abc import Sequence

from imgslim.databases.kept import Kept, owning
from imgslim.model import Distribution, Group, Keep, Problem, Severity
from imgslim.packages.npm import read_npm

_OF_DISTRIBUTIONS = ("METADATA", "PKG-INFO", "RECORD")


def add_metadata(kept: Kept) -> None:
    """Add the metadata of every distribution and npm package that owns a kept file or link."""
    distributions = {dist.metadata_path: dist for dist in kept.world.packages.distributions}
    for key in sorted(owning(kept, {path: dist.files for path, dist in distributions.items()})):
        dist = distributions[key]
        reason = f"distribution {dist.name} {dist.version}"
        for path in _metadata(dist, kept):
            kept.add(path, Group.DEPENDENCY, reason, _first(kept, dist.files))
    _leave_out_duplicates(kept)
    for package in read_npm(kept.world.rootfs):
        if any(kept.has_file(path) for path in package.files):
            reason = f"npm package {package.name} {package.version}"
            kept.add(package.database, Group.DEPENDENCY, reason, _first(kept, package.files))


def _leave_out_duplicates(kept: Kept) -> None:
    """A build leaves an egg-info in the project's sources; once the project is installed, it says
    the same a second time (setuptools, "Development mode")."""
    distributions = kept.world.packages.distributions
    installed = {
        (dist.name, dist.version): dist
        for dist in distributions
        if dist.files and any(kept.has_file(path) for path in _metadata(dist, kept))
    }
    for dist in distributions:
        known = installed.get((dist.name, dist.version))
        if dist.files or known is None:
            continue
        gone = kept.remove(dist.metadata_path)
        if gone:
            kept.problems.append(_duplicate(dist, known, gone))


def _duplicate(dist: Distribution, known: Distribution, gone: Sequence[Keep]) -> Problem:
    return Problem(
        "duplicate-metadata",
        Severity.INFO,
        dist.metadata_path,
        f"says of {dist.name} {dist.version} what {known.metadata_path} says, which is kept",
        f"left out: scanners would find the distribution twice; add --keep {dist.metadata_path}",
        sum(keep.size_bytes for keep in gone),
    )


def _metadata(dist: Distribution, kept: Kept) -> list[str]:
    entry = kept.world.rootfs.lookup(dist.metadata_path)
    if entry is None or not entry.is_directory:
        return [dist.metadata_path]
    return [f"{dist.metadata_path}/{name}" for name in _OF_DISTRIBUTIONS]


def _first(kept: Kept, files: tuple[str, ...]) -> str:
    return next(path for path in files if kept.has_file(path))
