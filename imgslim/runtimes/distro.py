"""System packages: what of the package that owns a kept path is needed with it.

This is the rule for stacks that no module knows. A distribution's packages are cut so that a
program works when its package and its dependencies are there (Debian policy 7.2), so that is what
is kept, less what people, compilers and init systems read. The tables say where less is enough.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import cache

from imgslim.model import (
    Entry,
    Finding,
    Group,
    Need,
    Package,
    Problem,
    Scope,
    Severity,
    unique_size_bytes,
)
from imgslim.runtimes.alternative_links import AlternativeLinks
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.compilers import Compilers
from imgslim.runtimes.extensions import Extensions
from imgslim.runtimes.site_packages import SitePackages
from imgslim.runtimes.spare_libraries import SpareLibraries
from imgslim.runtimes.trimmed import any_of, trimmed_row
from imgslim.runtimes.web_libraries import WebLibraries
from imgslim.tables import entries_at, find_toolchains, generated_table, load_table
from imgslim.world import World

_UCF_REGISTRY = "/var/lib/ucf/registry"
_SHARED_OBJECT = re.compile(r"\.so(?:\.|$)")


class _Extent(IntEnum):
    """How much of a package is kept: what was reached, its libraries and data, or all of it."""

    REACHED = 0
    DATA = 1
    WHOLE = 2


@dataclass(frozen=True, slots=True)
class _Rules:
    left_out: re.Pattern[str]
    program_directories: frozenset[str]
    collections: re.Pattern[str]
    complete: re.Pattern[str]
    handled: re.Pattern[str]
    script_only: re.Pattern[str]
    companions: Mapping[str, Sequence[str]]
    companion_suffixes: tuple[str, ...]


@cache
def _rules() -> _Rules:
    table = load_table("packages")
    return _Rules(
        left_out=any_of(table["left_out"]),
        program_directories=frozenset(table["program_directories"]),
        collections=any_of(table["collections"]),
        complete=any_of(table["complete"]),
        handled=any_of(name for names in table["handled"].values() for name in names),
        script_only=any_of(name for names in table["script_only"].values() for name in names),
        companions=table["companions"],
        companion_suffixes=tuple(table["companion_suffixes"]),
    )


class DistroPackages(Runtime):
    """Keeps the packages that kept programs and libraries belong to, and toolchains that are of
    one piece."""

    name = "system packages"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._extensions = Extensions(world)
        self._spare = SpareLibraries(world)
        self._alternatives = AlternativeLinks(world)
        self._compilers = Compilers(world)
        self._sites = SitePackages(world)
        self._web = WebLibraries(world)
        self._levels: dict[str, _Extent] = {}
        self._whole_sites: set[str] = set()
        self._licensed: set[str] = set()
        self._whole_trees: dict[str, str] | None = None
        self._ucf_files: dict[str, list[str]] | None = None

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        package = self.world.packages.owner(path)
        if package is None:
            return
        yield from self._keep(package, _Extent.WHOLE, path)
        yield from self._compilers.command_needs(path)
        if _limited(package, _Extent.WHOLE) is _Extent.WHOLE:
            for extension in self._extensions.of(package):
                yield from self._keep(extension, _Extent.WHOLE, path)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if entry.is_directory:
            return
        package = self.world.packages.owner(entry.path)
        if package is None:
            yield from self._toolchain_needs(entry)
            return
        # A link in the root is where merged-/usr put a directory of many packages.
        if _rules().left_out.match(entry.path) or _is_link_in_root(entry):
            return
        yield from self._licence_needs(package, entry.path)
        # A configuration file is read by others too: openssl.cnf does not say that libssl is used.
        if entry.is_file and not entry.path.startswith("/etc/"):
            level = _Extent.WHOLE if _is_program(entry) else _Extent.DATA
            yield from self._keep(package, level, entry.path)

    def _keep(self, package: Package, level: _Extent, because: str) -> Iterator[Need]:
        """Everything that keeping ``package`` at ``level`` brings, dependencies included."""
        pending = [] if self._web.waits(package, None) else [(package, level, True)]
        while pending:
            package, level, by_import = pending.pop()
            level = _limited(package, level)
            imported = self._sites.imported(package)
            is_new = not by_import and imported and package.key not in self._whole_sites
            known = self._levels.get(package.key, _Extent.REACHED)
            if level is _Extent.REACHED or (level <= known and not is_new):
                continue
            self._levels[package.key] = max(level, known)
            if is_new:
                self._whole_sites.add(package.key)
            without = () if package.key in self._whole_sites else imported
            yield from self._content_needs(package, level, because, without)
            for dependency in self._dependencies(package):
                if not self._is_left_to_others(dependency, package):
                    pending.append((dependency, level, bool(imported)))
            plug_ins = self._extensions.plug_ins(package)
            pending.extend((plug_in, level, False) for plug_in in plug_ins)

    def _is_left_to_others(self, package: Package, asker: Package) -> bool:
        """Whether imports or links say what is needed of a package that ``asker`` depends on."""
        if self._web.waits(package, asker):
            return True
        imported = self._sites.imported(package) if self._sites.imported(asker) else frozenset()
        entries = (self.world.rootfs.entries[p] for p in package.files if p not in imported)
        return bool(imported) and not any(self._is_wanted(e, _Extent.WHOLE) for e in entries)

    def _dependencies(self, package: Package) -> Iterator[Package]:
        known = self.world.packages.packages
        rules = _rules()
        suffix = next((s for s in rules.companion_suffixes if package.name.endswith(s)), "")
        patterns = [*rules.companions.get(package.name, ()), package.name.removesuffix(suffix)]
        companions = [p.key for p in known.values() if _is_named(p.name, patterns)]
        _, without = self._trimmed(package)
        for key in (*package.depends, *companions):
            dependency = known.get(key)
            if dependency is None or rules.script_only.match(dependency.name):
                continue
            if dependency.name not in without:
                yield dependency

    def _trimmed(self, package: Package) -> tuple[re.Pattern[str] | None, frozenset[str]]:
        """What is left out of a package: its paths, and the dependencies that only those need."""
        row = trimmed_row(package.name, self.world.choices.level)
        return (None, frozenset()) if row is None else (row.paths, row.depends)

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        yield from self._alternatives.settle(kept)
        yield from self._compilers.settle(self._levels)
        # What others have just added may link some; one more round follows then.
        if kept.all_shown:
            yield from self._spare.settle(kept)

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        """The programs and libraries that were left out of kept packages, and their price."""
        yield from self._spare.conclude(kept)
        yield from self._web.conclude(kept, self._levels)
        for package in self.world.packages.packages.values():
            paths, without = self._trimmed(package)
            if paths is None or package.key not in self._levels:
                continue
            entries = self._unkept(package, kept)
            left = [entry for entry in entries if paths.match(entry.path)]
            owners = [p for p in self.world.packages.packages.values() if p.name in without]
            more = [e for owner in self._closure(owners) for e in self._unkept(owner, kept)]
            names = sorted({e.path.rpartition("/")[2] for e in left if _is_program(e)})
            absent = "".join(f", {o.name}" for o in owners if o.key not in self._levels)
            if names and any(entry.is_file for entry in left):
                yield Problem(
                    "left-out-by-level",
                    Severity.INFO,
                    package.database,
                    f"package {package.name}: left out {', '.join(names)} and what only they "
                    f"need{absent}",
                    f"add --keep {package.key}, or --also-run one of them",
                    unique_size_bytes([*left, *more]),
                )

    def _unkept(self, package: Package, kept: KeptPaths) -> list[Entry]:
        entries = (self.world.rootfs.entries[path] for path in package.files if path not in kept)
        return [entry for entry in entries if self._is_wanted(entry, _Extent.WHOLE)]

    def _closure(self, packages: Iterable[Package]) -> Sequence[Package]:
        """Packages with all that they depend on, as far as programs need it."""
        found: dict[str, Package] = {}
        pending = list(packages)
        while pending:
            package = pending.pop()
            is_whole = _limited(package, _Extent.WHOLE) is _Extent.WHOLE
            if is_whole and package.key not in found:
                found[package.key] = package
                pending.extend(self._dependencies(package))
        return list(found.values())

    def _content_needs(
        self, package: Package, level: _Extent, because: str, without: Container[str]
    ) -> Iterator[Need]:
        reason = f"package {package.name} {package.version}"
        trimmed, _ = self._trimmed(package)
        for path in package.files:
            if path in without or (trimmed is not None and trimmed.match(path)):
                continue
            entry = self.world.rootfs.entries[path]
            need = Need(path, Group.PACKAGE, reason, because, optional=True)
            if self._is_wanted(entry, level) and not self._spare.defers(package, entry, need):
                yield need
        for path in self._generated_for(package):
            yield Need(path, Group.PACKAGE, reason, because, optional=True)

    def _is_wanted(self, entry: Entry, level: _Extent) -> bool:
        if _rules().left_out.match(entry.path):
            return False
        if entry.is_directory:
            plain = (entry.uid, entry.gid, entry.mode) == (0, 0, 0o755)
            return not plain or not self.world.rootfs.children(entry.path)
        if level is _Extent.WHOLE:
            return True
        target = self.world.rootfs.lookup(entry.path) if entry.is_symlink else entry
        return target is None or not _is_program_file(target)

    def _generated_for(self, package: Package) -> Iterator[str]:
        """What package scripts made for this package: the tables' ``used_by``, ucf's registry."""
        rootfs, table = self.world.rootfs, generated_table()
        for row in table.paths:
            if _is_named(package.name, row.used_by):
                for pattern in row.paths:
                    found = entries_at(rootfs, pattern)
                    yield from (entry.path for entry in found if row.matches(rootfs, entry))
        for copy_row in table.copies:
            if _is_named(package.name, copy_row.used_by):
                yield from (path for path, _ in copy_row.pairs)
        for link_row in table.links:
            if _is_named(package.name, link_row.used_by):
                for top in link_row.under:
                    found = rootfs.walk(top.rstrip("/"))
                    yield from (e.path for e in found if e.is_symlink and link_row.matches(e))
        yield from self._ucf_of(package.name)

    def _ucf_of(self, name: str) -> Sequence[str]:
        if self._ucf_files is None:
            self._ucf_files = {}
            for line in self.world.rootfs.read_text(_UCF_REGISTRY).splitlines():
                owner, _, path = line.partition(" ")
                self._ucf_files.setdefault(owner.strip(), []).append(path.strip())
        return self._ucf_files.get(name, ())

    def _licence_needs(self, package: Package, because: str) -> Iterator[Need]:
        """Debian policy 12.5: /usr/share/doc/PACKAGE/copyright, also behind a link; Alpine, Wolfi:
        /usr/share/licenses/PACKAGE; rpm's ``%license``: below there (its ``_defaultlicensedir``),
        often under the name of the package that this one was built with."""
        if package.key in self._licensed:
            return
        self._licensed.add(package.key)
        for path, scope in (
            (f"/usr/share/doc/{package.name}/copyright", Scope.PATH),
            (f"/usr/share/licenses/{package.name}", Scope.TREE),
        ):
            if self.world.rootfs.lookup(path) is not None:
                yield Need(path, Group.PACKAGE, "licence texts", because, scope, optional=True)
        for path in package.files:
            is_text = path.startswith("/usr/share/licenses/")
            if is_text and not self.world.rootfs.entries[path].is_directory:
                yield Need(path, Group.PACKAGE, "licence texts", because, optional=True)

    def _toolchain_needs(self, entry: Entry) -> Iterator[Need]:
        if self._whole_trees is None:
            self._whole_trees = {
                path: toolchain.unit
                for toolchain in find_toolchains(self.world.rootfs, self.world.config)
                if toolchain.whole
                for path in toolchain.paths
            }
        if not self._whole_trees:
            return
        path = entry.path
        while path:
            unit = self._whole_trees.pop(path, None)
            if unit is not None:
                yield Need(path, Group.RUNTIME, unit, entry.path, Scope.TREE)
            path = path.rpartition("/")[0]


def _limited(package: Package, level: _Extent) -> _Extent:
    """The base set and collections of programs are kept as far as they are reached, and so is what
    a module or the ambient needs decide about."""
    rules = _rules()
    if rules.handled.match(package.name):
        return _Extent.REACHED
    return _Extent.REACHED if stands_alone(package) else level


def stands_alone(package: Package) -> bool:
    """Whether each program of a package needs nothing of it but itself and its libraries."""
    rules = _rules()
    if rules.complete.match(package.name):
        return False
    return package.essential or rules.collections.match(package.name) is not None


def is_of_libc(package: Package) -> bool:
    """Whether a package is the C library's: its loader and tools need nothing that is not known."""
    names = load_table("packages")["handled"]["libc"]
    return any(fnmatchcase(package.name, pattern) for pattern in names)


def _is_program(entry: Entry) -> bool:
    """An executable in a directory of programs, or in one right below it (``libexec/NAME/``)."""
    directories = entry.path.split("/")[1:-1]
    return entry.is_executable and not _rules().program_directories.isdisjoint(directories[-2:])


def _is_link_in_root(entry: Entry) -> bool:
    return entry.is_symlink and entry.path.count("/") == 1


def _is_program_file(entry: Entry) -> bool:
    """A program, wherever it lies: not part of what a library needs of its package.
    Shared objects are executable on some distributions (Debian policy 8.1: not on Debian)."""
    return entry.is_executable and not _SHARED_OBJECT.search(entry.path)


def _is_named(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
