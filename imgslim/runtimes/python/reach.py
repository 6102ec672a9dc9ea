"""The closure over imports: from code that runs to the distributions that it can load, whole.

An import in any function of any module of a reached distribution counts.
"""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterable, Iterator

from imgslim.model import Distribution, Finding, Group, Need, Problem, Scope, Severity
from imgslim.packages.pypi import normalise_name
from imgslim.runtimes.python.callouts import (
    library_findings,
    opens_libraries,
    program_findings,
    programs_run,
)
from imgslim.runtimes.python.hints import reference, url_modules
from imgslim.runtimes.python.layout import Environment
from imgslim.runtimes.python.modules import ModuleIndex, Unit
from imgslim.runtimes.python.plugins import PluginGroups
from imgslim.runtimes.python.search import OPTIONAL_MODULES, Search, Source
from imgslim.runtimes.python.source import RELATIVE, Code, Import, candidate_names, read_code
from imgslim.runtimes.python.tables import OptionalPart, hidden, optional_parts
from imgslim.world import World

_STARTUP_MODULES = ("sitecustomize", "usercustomize")
"""Imported by site.py at every start."""

_IMPORT_CALLS = (b"import_module", b"__import__", b"import_string")
_SYSTEM_ZONES = "/usr/share/zoneinfo"


class ImportClosure:
    """Reaches distributions from code. Feed it code and names, then ``drain`` what they need."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._searches: dict[Environment, Search] = {}
        self._queue: deque[Source] = deque()
        self._sources: dict[tuple[str, bytes], Source] = {}
        self._waiting: list[tuple[Search, Source, Import]] = []
        self._named: set[str] = set()
        self._hints: dict[tuple[str, str], None] = {}
        self._findings: deque[Finding] = deque()
        self._plugins = PluginGroups()
        self.reached: dict[str, Unit] = {}
        self.wanted_parts: dict[OptionalPart, str] = {}
        self.programs: dict[tuple[str, str], str] = {}
        self.weak: dict[tuple[str, str], Unit] = {}

    @property
    def environments(self) -> Iterable[Environment]:
        return self._searches.keys()

    def activate(self, environment: Environment, because: str) -> None:
        """An interpreter of ``environment`` runs: all code known so far may run in it."""
        if environment in self._searches:
            return
        index = ModuleIndex(self._world, environment, self._python_path())
        search = self._searches[environment] = Search(index)
        for key in self.reached:
            search.close(key)
        for file in index.path_files:
            if index.unit_at(file.path) is None:
                self._need(file.path, f"{environment.base.label} site directories", because)
                self.examine(Source(file.path, text=file.code))
        for unit in index.editable_units():
            self._reach(unit, because)
        for module in _STARTUP_MODULES:
            self._reach_module(search, module, because)
        self._queue.extend(self._sources.values())
        for hint, origin in tuple(self._hints):
            self._follow_hint(search, hint, origin)

    def _python_path(self) -> tuple[str, ...]:
        value = self._world.config.env_value("PYTHONPATH") or ""
        places = (posixpath.join(self._world.working_dir, part) for part in value.split(":"))
        found = (self._world.rootfs.lookup(place) for place in places if value)
        return tuple(dict.fromkeys(entry.path for entry in found if entry and entry.path != "/"))

    def examine(self, source: Source) -> None:
        """Queue code whose imports count."""
        key = (source.path, source.text)
        known = self._sources.get(key)
        if known is None or (source.own and not known.own):
            self._sources[key] = source
            self._queue.append(source)

    def hint(self, module: str, because: str) -> None:
        """A name that may be a module: reached where an environment has it."""
        if (module, because) not in self._hints:
            self._hints[module, because] = None
            for search in self._searches.values():
                self._follow_hint(search, module, because)

    def reach_owner(self, path: str, because: str) -> bool:
        """Reach the distribution that owns a file, in any environment; False if none does."""
        dist = self._world.packages.distribution_owner(path)
        if dist is None:
            return False
        self._reach(Unit(dist.metadata_path, dist), because)
        return True

    def drain(self) -> Iterator[Finding]:
        """Examine all that is queued, and what follows from it; the needs as they arise."""
        while True:
            while self._queue or self._findings:
                while self._findings:
                    yield self._findings.popleft()
                if self._queue:
                    self._examine(self._queue.popleft())
            if not self._retry_weak() and not self._reach_plugins():
                return

    def _examine(self, source: Source) -> None:
        searches = self._searches_of(source)
        if not searches:
            return
        data = source.text
        if source.entry is not None:
            data = self._world.rootfs.read_bytes(source.entry)
        names = self._candidates(source, data, searches)
        if not source.own:
            self._note_dependency_traits(source, data, names)
        if "zoneinfo" in names:
            self._reach_zones(searches, source.path)
        libraries = "ctypes" in names and opens_libraries(data)
        if not (source.own or libraries or self._brings_news(source, names, searches)):
            return
        deep = source.own or libraries or any(marker in data for marker in _IMPORT_CALLS)
        code = read_code(data, statements_only=not deep)
        if code is None:
            self._take_unparsed(source, searches, names)
            return
        if libraries:
            self._findings.extend(library_findings(self._world, source.path, code.calls))
        for search in searches:
            for imported in _all_imports(code):
                self._follow(search, source, imported)
        if source.own:
            self._take_own(source, code, searches)

    def _brings_news(self, source: Source, names: set[str], searches: Iterable[Search]) -> bool:
        """Whether one of ``names`` may lead to something that is not kept already; weak ones that
        cannot count from here are put aside without a closer look."""
        news = False
        for search in searches:
            for name in sorted(search.unsettled(names)):
                if name in hidden().weak and not self._may_count(search, source, name):
                    self._waiting.append((search, source, Import(name)))
                else:
                    news = True
        return news

    def _may_count(self, search: Search, source: Source, top: str) -> bool:
        return source.path in self._named or search.is_needed(source, Import(top, firm=True), top)

    def _candidates(self, source: Source, data: bytes, searches: Iterable[Search]) -> set[str]:
        names = candidate_names(data)
        if RELATIVE in names:
            roots = (search.index.root_of(source.path) for search in searches)
            tops = (source.path[len(root) + 1 :].partition("/")[0] for root in roots if root)
            names.update(tops)
        return names

    def _searches_of(self, source: Source) -> list[Search]:
        """The active environments that may run a source: those on whose path it lies, the one
        whose interpreter it names, else all."""
        searches = list(self._searches.values())
        if source.environment is not None:
            named = self._searches.get(source.environment)
            return [named] if named else searches
        if "/site-packages/" in source.path or "/dist-packages/" in source.path:
            return [s for s in searches if s.index.root_of(source.path) is not None]
        return searches

    def _note_dependency_traits(self, source: Source, data: bytes, names: set[str]) -> None:
        dist = self._world.packages.distribution_owner(source.path)
        if dist is None:
            return
        self._plugins.note(dist, data, names)
        for program in programs_run(data) if "subprocess" in names or "shutil" in names else ():
            self.programs.setdefault((f"{dist.name} {dist.version}", program), source.path)

    def _take_own(self, source: Source, code: Code, searches: Iterable[Search]) -> None:
        for search in searches:
            self._follow_strings(search, source, code)
        self._plugins.literals.update(text for text, _ in code.strings)
        if hidden().is_test(posixpath.basename(source.path)):
            return
        self._findings.extend(program_findings(self._world, source.path, code.calls))
        for call in code.calls:
            kind = hidden().calls.get(call.name)
            argument = call.arguments[0] if call.arguments else None
            if kind == "metadata" and isinstance(argument, str):
                for search in searches:
                    unit = search.index.by_name.get(normalise_name(argument))
                    if unit is not None:
                        self._reach(unit, source.path)
            elif call.name in ("importlib.import_module", "__import__") and argument is None:
                self._findings.append(_dynamic_import(source.path, call.line))

    def _take_unparsed(self, source: Source, searches: Iterable[Search], names: set[str]) -> None:
        self._findings.append(
            Problem(
                "unparsed-source",
                Severity.INFO,
                source.path,
                "is no Python that this version of imgslim can parse",
                "kept; every module that a line of it may import counts as imported",
            )
        )
        for search in searches:
            for name in sorted(names & search.open.keys()):
                self._follow(search, source, Import(name, firm=True))

    def _follow(self, search: Search, source: Source, imported: Import) -> None:
        module = search.absolute(source.path, imported)
        top = module.partition(".")[0]
        alias = hidden().aliases.get(top)
        if alias and top not in search.index.stdlib:
            module = top = alias
        if top in OPTIONAL_MODULES or top in search.open:
            if top in hidden().weak and not self._counts(search, source, imported, top):
                self._waiting.append((search, source, imported))
                return
        elif not source.own or top in search.index.stdlib:
            return
        if not self._has_sibling(source, top):
            self._want_parts(search, top, source.path)
        wanted = [f"{module}.{n}" for n in imported.names if n != "*"] if imported.names else []
        for name in (*wanted, *(() if wanted else (module,))):
            self._reach_module(search, name, source.path, named=source.own)
        if "*" in imported.names:
            self._reach_module(search, module, source.path, named=source.own)

    def _want_parts(self, search: Search, top: str, because: str) -> None:
        for part in optional_parts() if top in OPTIONAL_MODULES else ():
            if top in part.modules and top in search.index.stdlib:
                self.wanted_parts.setdefault(part, because)

    def _has_sibling(self, source: Source, top: str) -> bool:
        """Whether the user's own module of that name hides the standard library's."""
        if top not in OPTIONAL_MODULES or self._world.packages.distribution_owner(source.path):
            return False
        entries = self._world.rootfs.entries
        directory = posixpath.dirname(source.path)
        while len(directory) > 1 and not directory.endswith("-packages"):
            if f"{directory}/{top}" in entries or f"{directory}/{top}.py" in entries:
                return True
            directory = posixpath.dirname(directory)
        return False

    def run_module(self, environment: Environment, module: str, because: str) -> bool:
        """``python -m module``: reach what that runs; False if the environment lacks it."""
        search = self._searches[environment]
        top = module.partition(".")[0]
        self._want_parts(search, top, because)
        if top in search.index.stdlib:
            return True
        targets = list(search.index.resolve(module))
        for target in targets:
            self._named.add(target.path)
            self._reach(target.unit, because)
        return bool(targets)

    def _counts(self, search: Search, source: Source, imported: Import, top: str) -> bool:
        return source.path in self._named or search.is_needed(source, imported, top)

    def _retry_weak(self) -> bool:
        """Follow the weak imports of modules that the user's code turned out to name."""
        waiting, self._waiting = self._waiting, []
        for search, source, imported in waiting:
            if source.path in self._named:
                self._follow(search, source, imported)
            else:
                self._waiting.append((search, source, imported))
        return len(self._waiting) < len(waiting)

    def unfollowed(self) -> Iterator[tuple[str, str]]:
        """The weak imports that did not count: (top-level module, the file that has it)."""
        for search, source, imported in self._waiting:
            top = search.absolute(source.path, imported).partition(".")[0]
            top = hidden().aliases.get(top, top)
            if top in search.open:
                yield top, source.path

    def _reach_module(
        self, search: Search, module: str, because: str, *, named: bool = False
    ) -> None:
        for target in search.index.resolve(module):
            if named:
                self._named.add(target.path)
            if target.unit.key not in self.reached or target.unit.distribution is None:
                self._reach(target.unit, because)

    def _follow_strings(self, search: Search, source: Source, code: Code) -> None:
        for text, _ in code.strings:
            module = reference(text)
            if module is not None:
                self._follow_hint(search, module, source.path)
            for driver in url_modules(text):
                self._follow_hint(search, driver, source.path)

    def _follow_hint(self, search: Search, module: str, because: str) -> None:
        top = module.partition(".")[0]
        if top in search.open and (top not in hidden().weak or _is_command(because)):
            self._reach_module(search, module, because, named=True)

    def _reach_zones(self, searches: Iterable[Search], because: str) -> None:
        """Without the system's time zones, ``zoneinfo`` reads the tzdata distribution (PEP 615)."""
        if self._world.rootfs.children(_SYSTEM_ZONES):
            return
        for search in searches:
            unit = search.index.by_name.get("tzdata")
            if unit is not None:
                self._reach(unit, because)

    def _reach_plugins(self) -> bool:
        found = False
        for search in self._searches.values():
            unreached = (
                d for d in search.index.distributions if d.metadata_path not in self.reached
            )
            for dist, because in self._plugins.match(self._world, unreached):
                self._reach(Unit(dist.metadata_path, dist), because)
                found = True
        return found

    def _reach(self, unit: Unit, because: str) -> None:
        if unit.key in self.reached:
            return
        self.reached[unit.key] = unit
        for search in self._searches.values():
            search.close(unit.key)
        if unit.distribution is None:
            self._need(unit.key, unit.label, because, Scope.TREE)
            for entry in self._world.rootfs.walk(unit.key):
                if entry.is_file and entry.path.endswith(".py"):
                    self.examine(Source(entry.path, entry))
        else:
            self._reach_distribution(unit.distribution, unit.label, because)

    def _reach_distribution(self, dist: Distribution, label: str, because: str) -> None:
        rootfs = self._world.rootfs
        self._need(dist.metadata_path, label, because)
        own = is_local_project(self._world, dist)
        cut = len(dist.site_path) + 1
        for path in dist.files:
            self._need(path, label, because)
            if path.endswith(".py") and not hidden().is_test(path[cut:]):
                entry = rootfs.get(path)
                if entry is not None and entry.is_file:
                    self.examine(Source(path, entry, own=own))
        for search in self._searches.values():
            if search.index.unit_at(dist.metadata_path) is None:
                continue
            for name in dist.requires:
                unit = search.index.by_name.get(name)
                if unit is not None:
                    self._reach(unit, dist.metadata_path)
            for file in search.index.path_files:
                if self._world.packages.distribution_owner(file.path) is dist:
                    self.examine(Source(file.path, text=file.code))

    def _need(self, path: str, reason: str, because: str, scope: Scope = Scope.PATH) -> None:
        self._findings.append(Need(path, Group.DEPENDENCY, reason, because, scope, optional=True))


def is_local_project(world: World, dist: Distribution) -> bool:
    """Whether a distribution was installed from a directory: the user's own (PEP 610)."""
    text = world.rootfs.read_text(f"{dist.metadata_path}/direct_url.json")
    return '"dir_info"' in text


def _is_command(because: str) -> bool:
    return because.startswith("<") and not because.startswith("<env")


def _all_imports(code: Code) -> Iterator[Import]:
    """The import statements, and the calls that import a constant name."""
    yield from code.imports
    for call in code.calls:
        if hidden().calls.get(call.name) == "module" and call.arguments:
            name = call.arguments[0]
            if isinstance(name, str) and name and not name.startswith("."):
                yield Import(name.partition(":")[0], line=call.line)


def _dynamic_import(path: str, line: int) -> Problem:
    return Problem(
        "dynamic-import",
        Severity.INFO,
        path,
        f"line {line} imports a module whose name is computed",
        "your own files are all kept; a distribution that only this line reaches needs --keep",
    )
