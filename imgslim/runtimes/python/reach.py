"""The closure over imports: from code that runs to what it can load."""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from imgslim.model import Distribution, Entry, Finding, Group, Need, Problem, Scope
from imgslim.packages.pypi import normalise_name
from imgslim.runtimes.python.bytecode import compiled_words, is_compiled
from imgslim.runtimes.python.callouts import (
    literal_commands,
    program_findings,
    programs_run,
)
from imgslim.runtimes.python.doubts import dynamic_import, import_doubts
from imgslim.runtimes.python.handed import HandedLibraries
from imgslim.runtimes.python.hints import modules_run, reference, url_modules
from imgslim.runtimes.python.layout import Environment
from imgslim.runtimes.python.modules import ModuleIndex, Unit
from imgslim.runtimes.python.native import Words, native_imports, read_words
from imgslim.runtimes.python.plugins import PluginGroups
from imgslim.runtimes.python.search import OPTIONAL_MODULES, Search, Source
from imgslim.runtimes.python.source import RELATIVE, Code, Import, candidate_names, tops_asked_for
from imgslim.runtimes.python.tables import OptionalPart, hidden, optional_parts
from imgslim.world import World

STARTUP_MODULES = ("sitecustomize", "usercustomize")
"""Imported by site.py at every start."""
_SYSTEM_ZONES = "/usr/share/zoneinfo"


class ImportClosure:
    """What closures over imports share. Feed one code and names, then ``drain`` what they need.

    ``DistributionClosure`` reaches whole distributions, ``ModuleClosure`` single modules.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._searches: dict[Environment, Search] = {}
        self._queue: deque[Source] = deque()
        self._sources: dict[tuple[str, bytes], Source] = {}
        self._waiting: list[tuple[Search, Source, Import]] = []
        self._named: set[str] = set()
        self._asks_loaded: dict[str, frozenset[str]] = {}
        self._hints: dict[tuple[str, str], None] = {}
        self._findings: deque[Finding] = deque()
        self._plugins = PluginGroups()
        self._libraries = HandedLibraries(world)
        self._asking: tuple[str, int] = ("", 0)
        self.reached: dict[str, Unit] = {}
        self.wanted_parts: dict[OptionalPart, str] = {}
        self.programs: dict[tuple[str, str], str] = {}

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
        for module in STARTUP_MODULES:
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

    def take_file(self, entry: Entry, *, own: bool, environment: Environment | None) -> None:
        """Take note of a kept source, and whose it is."""
        raise NotImplementedError

    def take_native(self, entry: Entry) -> None:
        """A kept extension module: reach the modules that it names."""
        words: Words | None = None
        for search in self._searches_of(Source(entry.path)):
            name = search.index.name_of(entry.path)
            if name is not None:
                words = words or read_words(self._world.rootfs, entry)
                for module in self._native_imports(search, entry.path, name, words):
                    self._reach_native(search, module, entry.path)

    def loaded_at_start(self) -> set[str]:
        """The sources that are worth their bytecode alone; the others' is kept in any case."""
        return set()

    def _reach_native(self, search: Search, module: str, because: str) -> None:
        """Reach a module that an extension names."""
        raise NotImplementedError

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
        self._findings.extend(self._libraries.note(source.path, data))
        if not source.own:
            self._asks_loaded[source.path] = tops_asked_for(data)
            self._note_dependency_traits(source, data, names)
        if "zoneinfo" in names:
            self._reach_zones(searches, source.path)
        self._follow_source(source, data, names, searches)

    def _follow_source(
        self, source: Source, data: bytes, names: set[str], searches: Sequence[Search]
    ) -> None:
        """What a source leads to; ``names`` are the top-level names that it may import."""
        raise NotImplementedError

    def _native_imports(self, search: Search, path: str, name: str, words: Words) -> Iterator[str]:
        """The modules that a compiled extension may import, weak ones left out."""
        dist = self._world.packages.distribution_owner(path)
        units = (search.index.by_name.get(required) for required in (dist.requires if dist else ()))
        dists = (unit.distribution for unit in units if unit is not None)
        required = {top for found in dists if found is not None for top in found.top_level}
        for module in native_imports(search.index, words, name, sorted(required)):
            if module.partition(".")[0] not in hidden().weak:
                yield module

    def _candidates(self, source: Source, data: bytes, searches: Iterable[Search]) -> set[str]:
        if is_compiled(source.path):
            return compiled_words(data)
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
        self._findings.extend(literal_commands(self._world, source.path, code))
        for search, module in ((s, m) for s in searches for m in modules_run(code)):
            self._want_parts(search, module.partition(".")[0], source.path)
        for call in code.calls:
            kind = hidden().calls.get(call.name)
            argument = call.arguments[0] if call.arguments else None
            if kind == "metadata" and isinstance(argument, str):
                for search in searches:
                    unit = search.index.by_name.get(normalise_name(argument))
                    if unit is not None:
                        self._reach(unit, source.path)
            elif call.name in ("importlib.import_module", "__import__") and argument is None:
                self._findings.append(dynamic_import(source.path, call.line))

    def _follow(self, search: Search, source: Source, imported: Import) -> None:
        """What one import leads to."""
        raise NotImplementedError

    def _imported(self, search: Search, source: Source, imported: Import) -> str:
        """The absolute name of what is imported, from where it comes today; whatever is needed
        next is asked for in its line."""
        self._asking = (source.path, imported.line)
        module = search.absolute(source.path, imported)
        top = module.partition(".")[0]
        alias = hidden().aliases.get(top)
        return alias if alias and top not in search.index.stdlib else module

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
        if self._is_conditional(source, top):
            return False
        return source.path in self._named or search.is_needed(source, imported, top)

    def _is_conditional(self, source: Source, top: str) -> bool:
        """Whether ``source`` asks first whether a tool is loaded: then something else has to bring
        that."""
        return not hidden().weak[top] and top in self._asks_loaded.get(source.path, ())

    def _retry_weak(self) -> bool:
        """Follow the weak imports of modules that the user's code turned out to name."""
        waiting, self._waiting = self._waiting, []
        for search, source, imported in waiting:
            top = search.absolute(source.path, imported).partition(".")[0]
            if source.path in self._named and not self._is_conditional(source, top):
                self._follow(search, source, imported)
            else:
                self._waiting.append((search, source, imported))
        return len(self._waiting) < len(waiting)

    def note_text(self, data: bytes) -> None:
        """A text of the user's that may name modules."""

    def doubts(self) -> Iterator[Problem]:
        """What is left out and may still be wanted."""
        return import_doubts(self._world, self.unfollowed())

    def unfollowed(self) -> Iterator[tuple[str, str, Unit]]:
        """The weak imports that did not count: top-level module, the file that has it, and what
        that would bring."""
        for search, source, imported in self._waiting:
            top = search.absolute(source.path, imported).partition(".")[0]
            top = hidden().aliases.get(top, top)
            for key in sorted(search.open.get(top, ())):
                yield top, source.path, search.index.providers[top][key]

    def _reach_module(
        self, search: Search, module: str, because: str, *, named: bool = False
    ) -> None:
        """Reach what importing ``module`` loads; ``named``: by the user's own code."""
        raise NotImplementedError

    def _follow_strings(self, search: Search, source: Source, code: Code) -> None:
        for text, _ in code.strings:
            module = reference(text)
            if module is not None:
                self._follow_hint(search, module, source.path)
            for driver in url_modules(text):
                self._follow_hint(search, driver, source.path)

    def _follow_hint(self, search: Search, module: str, because: str) -> None:
        """Reach what a text may name."""
        raise NotImplementedError

    def _reach_zones(self, searches: Iterable[Search], because: str) -> None:
        """Without the system's time zones, ``zoneinfo`` reads the tzdata distribution (PEP 615)."""
        if self._world.rootfs.children(_SYSTEM_ZONES):
            return
        for search in searches:
            unit = search.index.by_name.get("tzdata")
            if unit is not None:
                self._reach(unit, because)

    def _reach_plugins(self) -> bool:
        """Reach plugins whose group reached code names; whether there were any new ones."""
        raise NotImplementedError

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
        """Keep of a distribution what being reached keeps, whatever is imported of it."""
        raise NotImplementedError

    def _reach_required(self, dist: Distribution) -> None:
        """What a distribution says that it needs, and the code of its ``.pth`` files."""
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

    def _need(
        self,
        path: str,
        reason: str,
        because: str,
        scope: Scope = Scope.PATH,
        *,
        group: Group = Group.DEPENDENCY,
    ) -> None:
        asker, line = self._asking
        line = line if asker == because else 0
        need = Need(path, group, reason, because, scope, optional=True, line=line)
        self._findings.append(need)


def is_local_project(world: World, dist: Distribution) -> bool:
    """Whether a distribution was installed from a directory: the user's own (PEP 610)."""
    text = world.rootfs.read_text(f"{dist.metadata_path}/direct_url.json")
    return '"dir_info"' in text


def is_command(because: str) -> bool:
    return because.startswith("<") and not because.startswith("<env")
