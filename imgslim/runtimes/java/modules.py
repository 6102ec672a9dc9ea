"""The JDK's own modules: which of them an image's code reaches, and what the others weigh.

They lie in one file, which a copy cannot cut; ``jlink`` can, in the build of the image.
"""

from __future__ import annotations

from collections.abc import Iterable

from imgslim.model import Problem, Severity
from imgslim.rootfs import Rootfs
from imgslim.runtimes.java.homes import JavaHome
from imgslim.runtimes.java.jimage import SystemModules, read_modules
from imgslim.runtimes.java.tables import service_modules

_BASE = "java.base"


def reached_modules(
    modules: SystemModules, classes: Iterable[str], named: Iterable[str]
) -> frozenset[str]:
    """The modules that ``classes`` (with slashes) lie in, those that ``named`` names, those that
    both require, and the services that the JDK finds by itself (java.toml)."""
    packages = {name.rpartition("/")[0] for name in classes}
    roots = {_BASE, *named} | {modules.packages[p] for p in packages if p in modules.packages}
    closed = modules.closure(roots)
    services = {row.module for row in service_modules() if not row.of or row.of in closed}
    return frozenset(modules.closure(closed | services))


def module_problem(
    rootfs: Rootfs, home: JavaHome, classes: Iterable[str], named: Iterable[str]
) -> Problem | None:
    """What ``jlink`` would save of a home in use; None where that is nothing, or not known."""
    entry = rootfs.lookup(home.modules_path) if home.modules_path else None
    modules = None if entry is None else read_modules(rootfs, entry)
    if modules is None or not modules.requires:
        return None
    reached = reached_modules(modules, classes, named)
    saved = sum(size for name, size in modules.sizes_bytes.items() if name not in reached)
    if not saved:
        return None
    roots = reached - {
        inner for name in reached for inner in modules.requires.get(name, ()) if inner in reached
    }
    return Problem(
        "java-modules",
        Severity.INFO,
        home.modules_path,
        f"holds {len(modules.sizes_bytes)} modules in one file, which a copy cannot cut; kept code "
        f"reaches {len(reached)} of them",
        "kept whole; a build stage can make a Java home of these alone: jlink --add-modules "
        f"{','.join(sorted(roots))} --strip-debug --no-header-files --no-man-pages --output DIR",
        saved,
    )
