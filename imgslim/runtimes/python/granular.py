"""The closure over imports, module by module: what ``tight`` keeps.

A reached distribution gives its metadata alone, each module of it when something imports it; with
a module comes the data beside it. Spots that cannot be resolved are kept whole: a package that
loads its own members by computed names, or that looks them up on disk.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from imgslim.model import Distribution, Entry, Scope
from imgslim.runtimes.python.accesses import Accesses, LazyPackage
from imgslim.runtimes.python.bytecode import is_compiled
from imgslim.runtimes.python.callouts import opens_libraries
from imgslim.runtimes.python.conditions import parse_version
from imgslim.runtimes.python.doubts import unparsed
from imgslim.runtimes.python.dynamic import Spot
from imgslim.runtimes.python.facts import (
    Facts,
    read_facts,
    run_imports,
    text_imports,
)
from imgslim.runtimes.python.hints import modules_run
from imgslim.runtimes.python.layout import Environment
from imgslim.runtimes.python.modules import Unit
from imgslim.runtimes.python.package_data import CODE
from imgslim.runtimes.python.reach import (
    STARTUP_MODULES,
    is_command,
    is_local_project,
)
from imgslim.runtimes.python.search import Search, Source
from imgslim.runtimes.python.source import Code, Import, read_code
from imgslim.runtimes.python.tables import hidden, tight
from imgslim.runtimes.python.taking import INITS, TakingClosure
from imgslim.world import World

_FREEZES_MODULES = (3, 11)
"""The Python that has the modules of its start in itself (What's New in Python 3.11)."""


class ModuleClosure(TakingClosure):
    """Reaches modules from code; fed and drained as its base class."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._accesses = Accesses(world.rootfs)

    def take_file(self, entry: Entry, *, own: bool, environment: Environment | None) -> None:
        """A kept source: kept means reached, so that it counts wherever it lies."""
        self.examine(Source(entry.path, entry, b"", own, environment))

    def loaded_at_start(self) -> set[str]:
        files = self._startup.files(self._named)
        for search in self._searches.values():
            version = parse_version(search.index.environment.base.version)
            if version is not None and version >= _FREEZES_MODULES:
                files.difference_update(filter(None, map(search.index.file_of, tight().frozen)))
        return files

    def _reach_native(self, search: Search, module: str, because: str) -> None:
        if module in tight().prompt and search.index.is_standard(because):
            return  # the method of files that is called so
        if search.index.name_of(because) not in tight().spots:
            self._startup.note(because, search, module)
            self._reach_module(search, module, because)

    def activate(self, environment: Environment, because: str) -> None:
        known = environment in self._searches
        super().activate(environment, because)
        if known:
            return
        search = self._searches[environment]
        for module in (*STARTUP_MODULES, *tight().standard):
            self._startup.add_module(search, module)
            self._reach_module(search, module, because)

    def run_module(self, environment: Environment, module: str, because: str) -> bool:
        search = self._searches[environment]
        for name in (module, f"{module}.__main__"):
            self._startup.add_module(search, name)
            self._reach_module(search, name, because, named=True)
        self._run_standard(search, module, because)
        return super().run_module(environment, module, because)

    def _run_standard(self, search: Search, module: str, because: str) -> None:
        """``python -m`` of the standard library: what its modules do as programs counts."""
        for name in (module, f"{module}.__main__"):
            for path in search.index.standard(name):
                self._named.add(path)
                if path in self._taken:  # read before, as what others import
                    self._queue.append(Source(path, self._world.rootfs.get(path)))
                self._take(search, path, because)

    def _follow_source(
        self, source: Source, data: bytes, names: set[str], searches: Sequence[Search]
    ) -> None:
        if is_compiled(source.path):
            for search in searches:
                self._follow_compiled(search, source, names)
            return
        standard = any(s.index.is_standard(source.path) for s in searches)
        libraries = not standard and "ctypes" in names and opens_libraries(data)
        code = read_code(data) if source.own or libraries else None
        if code is not None and libraries:
            self._findings.extend(self._libraries.findings(source.path, code.calls))
        if code is not None and source.own:
            self._take_own(source, code, searches)
        for search in searches:
            self._follow_facts(search, source, data)

    def _follow(self, search: Search, source: Source, imported: Import) -> None:
        module = self._imported(search, source, imported)
        top = module.partition(".")[0]
        if search.is_aside(source, imported, module):
            return
        if top in hidden().weak and not self._counts(search, source, imported, top):
            self._waiting.append((search, source, imported))
            return
        if not self._has_sibling(source, top):
            self._want_parts(search, top, source.path)
        names = [f"{module}.{name}" for name in imported.names if name != "*"]
        for name in (module, *names):
            self._reach_module(search, name, source.path, named=source.own)
            if source.own or not imported.scope:
                self._startup.note(source.path, search, name)

    def _follow_facts(self, search: Search, source: Source, data: bytes) -> None:
        name = search.index.name_of(source.path) or ""
        is_package = source.path.endswith(INITS)
        package = name if is_package else name.rpartition(".")[0]
        runs = source.own or source.path in self._named or source.path.endswith("/__main__.py")
        if (source.own and not hidden().is_test(source.path[1:])) or not name:
            self._startup.add_file(source.path)
        version = parse_version(search.index.environment.base.version)
        facts = read_facts(data, name, package, runs=runs, version=version)
        if facts is None:
            self._findings.append(unparsed(source.path))
            for imported in text_imports(data):
                self._follow(search, source, imported)
            return
        imports = (
            facts.imports
            if source.own
            else tuple(run_imports(facts, name, standard=search.index.is_standard(source.path)))
        )
        for imported in imports:
            self._follow(search, source, imported)
        for module, line in facts.dynamics.modules if name not in tight().spots else ():
            self._follow(search, source, Import(module, line=line))
        self._follow_names(search, source, facts, imports)
        if is_package and facts.lazy:
            for asked in self._accesses.add_package(LazyPackage(name, search, source, facts)):
                self._answer(*asked)
        for path in self._data.named(data, self._top_of(search, source.path)) if name else ():
            self._take_named_data(search, path, source.path)
        if name and not source.own:
            self._follow_dynamics(search, source, facts, package)

    def _follow_compiled(self, search: Search, source: Source, words: set[str]) -> None:
        """Bytecode without its source: all that its words can mean, and its own package whole."""
        own = search.index.name_of(source.path) or ""
        if "." in own or source.path.endswith(INITS):
            self._take_whole(search, own.partition(".")[0], source.path)
        for name in sorted(words):
            top = name.partition(".")[0]
            if top not in hidden().weak and (
                top in search.index.stdlib or search.index.file_of(name)
            ):
                self._reach_module(search, name, source.path)

    def _follow_names(
        self, search: Search, source: Source, facts: Facts, imports: Iterable[Import]
    ) -> None:
        """Dotted names in strings that are modules, and what is asked of imported packages."""
        standard = search.index.is_standard(source.path)
        for name in () if standard else facts.names:
            if name.partition(".")[0] in search.index.providers:
                self._reach_named(search, name, source.path)
        if standard and (facts.dynamics.handed or facts.dynamics.spots):
            for path in search.standard_named(facts.names):
                self._take(search, path, source.path)
        for word in () if standard else facts.words:
            if word in search.index.providers and word not in hidden().weak:
                self._reach_module(search, word, source.path)
        for prefix in facts.prefixes if facts.dynamics.spots or facts.dynamics.handed else ():
            if prefix.partition(".")[0] in search.index.providers and "." in prefix:
                self._take_whole(search, prefix, source.path)
        for name in facts.accesses:
            dots = len(name) - len(name.lstrip("."))
            absolute = search.absolute(source.path, Import(name[dots:], level=dots))
            self._note_access(absolute, source.path)
        for imported in imports:
            module = search.absolute(source.path, imported)
            for attribute in imported.names:
                self._note_access(f"{module}.{attribute}", source.path)

    def _note_access(self, name: str, because: str) -> None:
        for asked in self._accesses.note(name, because):
            self._answer(*asked)

    def _reach_named(self, search: Search, name: str, because: str) -> None:
        """A string that names a module, or something in a module that is no top-level one."""
        parent = name.rpartition(".")[0]
        if name.partition(".")[0] in hidden().weak:
            return
        if search.index.file_of(name) or ("." in parent and search.index.file_of(parent)):
            self._reach_module(search, name, because)

    def _answer(self, package: LazyPackage, attribute: str, because: str) -> None:
        """What a lazy package loads for ``attribute``."""
        search, source, facts = package.search, package.source, package.facts
        module = f"{package.name}.{attribute}"
        if search.index.file_of(module):
            self._startup.note(because, search, module)
            self._reach_module(search, module, because)
        elif not facts.star:
            for names, imported in facts.deferred:
                if not names or attribute in names:
                    self._startup.note(because, search, search.absolute(source.path, imported))
                    self._follow(search, source, imported)
            if facts.replaced or any(
                spot.lazy and spot.pieces[0] is None for spot in facts.dynamics.spots
            ):
                self._take_whole(search, package.name, source.path)

    def _follow_dynamics(self, search: Search, source: Source, facts: Facts, package: str) -> None:
        for listed in facts.listed:
            dots = len(listed) - len(listed.lstrip("."))
            named = search.absolute(source.path, Import(listed[dots:], level=dots))
            if named and search.index.file_of(named) is None:
                # The package is in a variable: one of those that the module names in strings.
                for name in sorted(filter(search.index.places, facts.names)):
                    if name.partition(".")[0] not in search.index.stdlib:
                        self._take_whole(search, name, source.path)
            elif named or package:
                self._take_whole(search, named or package, source.path)
        for spot in facts.dynamics.spots:
            if not spot.lazy:
                self._follow_spot(search, source, spot, package)

    def _follow_spot(self, search: Search, source: Source, spot: Spot, package: str) -> None:
        resolved = tight().spots.get(search.index.name_of(source.path) or "")
        if resolved is not None:
            for module in resolved:
                self._take_whole(search, module, source.path)
            return
        first = spot.pieces[0]
        if first is not None:
            self._from_prefix(search, source, first)
            return
        infix = next((piece for piece in spot.pieces if piece and piece.strip(".")), "")
        if infix:
            key = (infix.strip("."), spot.pieces[-1] is None)
            if key not in self._infixes:
                self._infixes[key] = None
                for name, known in tuple(self._packages.items()):
                    self._try_infix(known, name, key, source.path)
        elif package:
            self._take_whole(search, package, source.path)

    def _from_prefix(self, search: Search, source: Source, prefix: str) -> None:
        """``"pkg.sub." + x`` can be any member of pkg.sub, ``"pkg.x_" + y`` those named so."""
        package, _, start = prefix.rpartition(".")
        if package and not start:
            self._take_whole(search, package, source.path)
            return
        for name in search.index.members(package):
            if name.startswith(start):
                self._reach_module(search, f"{package}.{name}" if package else name, source.path)

    def _follow_hint(self, search: Search, module: str, because: str) -> None:
        """A module that text names; a package so named is handed to a framework, which loads its
        parts by convention (Django's apps, celery's tasks): whole."""
        top, dot, _ = module.partition(".")
        if top not in search.index.providers or (top in hidden().weak and not is_command(because)):
            return
        self._reach_module(search, module, because, named=True)
        self._startup.add_module(search, module)
        if dot and search.index.file_of(module) and search.index.places(module):
            self._take_whole(search, module, because, named=True)

    def _take_own(self, source: Source, code: Code, searches: Iterable[Search]) -> None:
        super()._take_own(source, code, searches)
        for search in searches:
            for name in code.listed:
                if name in search.index.providers and search.index.places(name):
                    self._take_whole(search, name, source.path)
            for module in modules_run(code):
                self._run_standard(search, module, source.path)

    def _reach_distribution(self, dist: Distribution, label: str, because: str) -> None:
        """The metadata, and what lies outside of the site directory but is no program."""
        self._need(dist.metadata_path, label, because, Scope.TREE)
        for path in dist.files:
            name = posixpath.basename(path)
            outside = not path.startswith(f"{dist.site_path}/") and "/bin/" not in path
            if (outside and not name.endswith(CODE)) or name.endswith(".pth"):
                self._need(path, label, because)
            if name.startswith(("__editable__", "_editable_")):
                self._need(path, label, because)
        if is_local_project(self._world, dist):
            # The user's own (PEP 610): kept whole.
            for path in dist.files:
                self._need(path, label, because)
        self._reach_required(dist)

    def _reach_plugins(self) -> bool:
        before = len(self._findings)
        for search in tuple(self._searches.values()):
            for dist, group, because in self._plugins.match(
                self._world, search.index.distributions
            ):
                for point in dist.entry_points:
                    if point.group == group:
                        self._reach(Unit(dist.metadata_path, dist), because)
                        self._reach_module(search, point.value.partition(":")[0], because)
        return len(self._findings) > before or bool(self._queue)

    def _searches_of(self, source: Source) -> list[Search]:
        found = super()._searches_of(source)
        if "-packages/" in source.path:
            return found
        fitting = [s for s in found if s.index.is_standard(source.path)]
        return fitting or found
