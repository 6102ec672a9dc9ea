"""What an installation of CPython consists of: what its programs need, and what it claims."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator

from imgslim.model import Claim, Entry, Group, Need, Origin, OriginKind, Scope
from imgslim.runtimes.python.layout import Environment, Installation, Layout, is_interpreter
from imgslim.runtimes.python.tables import (
    OptionalPart,
    claimed_paths,
    optional_parts,
    site_paths,
    venv_paths,
)
from imgslim.world import World

_PACKAGES = ("site-packages", "dist-packages")
_CACHE = Origin(OriginKind.GENERATED, "Python bytecode")


def stdlib_needs(
    world: World, base: Installation, wanted: Collection[OptionalPart], because: str
) -> Iterator[Need]:
    """The standard library, less the optional parts that are not ``wanted``."""
    reason = f"{base.label} standard library"
    parts = [p for p in optional_parts() if p not in wanted and _is_replaced(world, base, p)]
    left_out = [pattern for part in parts for pattern in part.paths]
    wanted_paths = [pattern for part in wanted for pattern in part.paths]
    for directory in base.stdlib:
        prunes = set(_matching(world, directory, left_out))
        prunes -= set(_matching(world, directory, wanted_paths))
        for entry in _walk_without(world, directory, prunes):
            yield Need(entry.path, Group.RUNTIME, reason, because, optional=True)
    yield from archive_needs(world, base, because)


def _is_replaced(world: World, base: Installation, part: OptionalPart) -> bool:
    """Whether what a part stands in for is there; true of what stands in for nothing."""
    if not part.compiled:
        return True
    names = (n for d in base.stdlib for n in world.rootfs.children(f"{d}/lib-dynload"))
    return any(name.startswith(f"{part.compiled}.") for name in names)


def archive_needs(world: World, base: Installation, because: str) -> Iterator[Need]:
    """The standard library as a zip file, its licence, and the directory that shows where it is
    (getpath.py's landmark ``lib-dynload``)."""
    reason = f"{base.label} standard library"
    for directory in base.stdlib:
        archive = f"{posixpath.dirname(directory)}/python{base.version.replace('.', '')}.zip"
        for path in (archive, f"{directory}/LICENSE.txt", f"{directory}/lib-dynload"):
            yield Need(path, Group.RUNTIME, reason, because, optional=True)


def prefix_needs(
    world: World, base: Installation, wanted: Collection[OptionalPart], because: str
) -> Iterator[Need]:
    """What the ``wanted`` parts have outside of the standard library's directory."""
    reason = f"{base.label} standard library"
    patterns = [pattern for part in wanted for pattern in part.prefix_paths]
    for path in _matching(world, base.prefix or "/", patterns):
        yield Need(path, Group.RUNTIME, reason, because, Scope.TREE, optional=True)


def _matching(world: World, top: str, patterns: Iterable[str]) -> Iterator[str]:
    """The paths below ``top`` that match; a link is named itself, not where it leads."""
    for pattern in patterns:
        if "*" in pattern or "[" in pattern:
            yield from (entry.path for entry in world.rootfs.glob(f"{top}/{pattern}"))
            continue
        path = world.rootfs.canonical(f"{top}/{pattern}")
        if world.rootfs.get(path) is not None:
            yield path


def _walk_without(world: World, top: str, prunes: set[str]) -> Iterator[Entry]:
    entry = world.rootfs.get(top)
    if entry is None:
        return
    for name in world.rootfs.children(top):
        path = f"{top}/{name}"
        if path in prunes or name in _PACKAGES or name == "__pycache__":
            continue
        child = world.rootfs.entries[path]
        if child.is_directory:
            yield from _walk_without(world, path, prunes)
        else:
            yield child


def interpreter_needs(world: World, environment: Environment, because: str) -> Iterator[Need]:
    """The other names of an environment's interpreter, and what makes it find its own tree."""
    rootfs = world.rootfs
    prefix, base = environment.prefix, environment.base
    reason = f"{base.label} interpreter"
    if environment.config:
        yield Need(environment.config, Group.RUNTIME, reason, because)
        yield Need(f"{prefix}/lib64", Group.RUNTIME, reason, because, optional=True)
    bin_path = f"{prefix}/bin"
    target = rootfs.resolve(because).path
    for name in rootfs.children(rootfs.resolve(bin_path).path):
        if is_interpreter(name):
            path = f"{bin_path}/{name}"
            entry = rootfs.get(path)
            if entry is not None and entry.is_symlink and rootfs.resolve(path).path == target:
                yield Need(path, Group.PROGRAM, reason, because)
    for path in (f"{because}._pth", f"{target}._pth", f"{prefix}/conda-meta/history"):
        # conda-meta/history: what makes a directory an environment to conda (PREFIX_MAGIC_FILE).
        yield Need(path, Group.RUNTIME, reason, because, optional=True)
    for name in ("activate.d", "deactivate.d"):  # conda docs, "Saving environment variables"
        path = f"{prefix}/etc/conda/{name}"
        yield Need(path, Group.RUNTIME, reason, because, Scope.TREE, optional=True)


def library_links(world: World, base: Installation) -> Iterator[tuple[str, str]]:
    """The links to a shared libpython in an installation's prefix: (link, where it leads).

    Debian has the library in the directory of the architecture, for several versions at once.
    """
    rootfs = world.rootfs
    for name in ("lib", "lib64"):
        directory = rootfs.resolve(f"{base.prefix}/{name}").path
        for child in rootfs.children(directory):
            if child.startswith("libpython") and ".so" in child:
                path = f"{directory}/{child}"
                yield path, rootfs.resolve(path).path
    for entry in rootfs.glob(f"{base.prefix}/lib/*-linux-*/libpython{base.version}.so*"):
        yield entry.path, rootfs.resolve(entry.path).path


def layout_claims(world: World, layout: Layout) -> Iterator[Claim]:
    """What no package owns and still is not the user's: CPython's own trees, the skeletons of
    virtual environments, bytecode caches."""
    for base in layout.installations:
        if not any(world.packages.owner(path) for path in _landmarks(base)):
            yield from _installation_claims(world, base)
    for environment in layout.environments:
        if environment.config:
            origin = Origin(OriginKind.RUNTIME, "virtual environment")
            for path in _matching(world, environment.prefix, venv_paths()):
                yield Claim(path, origin, _scope(world, path))
    yield from (Claim(path, _CACHE) for path in layout.caches)


def _landmarks(base: Installation) -> Iterator[str]:
    for directory in base.stdlib:
        yield from (f"{directory}/os.py", f"{directory}/os.pyc", f"{directory}/lib-dynload")


def _installation_claims(world: World, base: Installation) -> Iterator[Claim]:
    origin = Origin(OriginKind.RUNTIME, base.label)
    for directory in base.stdlib:
        for name in world.rootfs.children(directory):
            path = f"{directory}/{name}"
            if name not in _PACKAGES:
                yield Claim(path, origin, _scope(world, path))
                continue
            yield Claim(path, origin, Scope.PATH)
            for member in site_paths():
                yield Claim(f"{path}/{member}", origin)
        yield Claim(directory, origin, Scope.PATH)
    version = base.version
    for pattern in claimed_paths(_is_standalone(base)):
        for path in _matching(world, base.prefix or "/", [pattern.replace("{version}", version)]):
            yield Claim(path, origin, _scope(world, path))


def _is_standalone(base: Installation) -> bool:
    return base.prefix not in ("", "/usr", "/usr/local", "/opt")


def _scope(world: World, path: str) -> Scope:
    entry = world.rootfs.get(path)
    return Scope.TREE if entry is not None and entry.is_directory else Scope.PATH
