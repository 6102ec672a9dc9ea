"""The closure over imports, whole distributions at a time: what ``safe`` and ``balanced`` keep.

An import in any function of any module of a reached distribution counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from imgslim.choices import Level
from imgslim.model import Distribution, Entry, Problem, Scope
from imgslim.runtimes.python.apart import Part, SetApart
from imgslim.runtimes.python.bytecode import is_compiled
from imgslim.runtimes.python.callouts import opens_libraries
from imgslim.runtimes.python.doubts import unparsed
from imgslim.runtimes.python.layout import Environment
from imgslim.runtimes.python.modules import Target, Unit
from imgslim.runtimes.python.reach import ImportClosure, is_command, is_local_project
from imgslim.runtimes.python.search import OPTIONAL_MODULES, Search, Source
from imgslim.runtimes.python.source import Code, Import, read_code
from imgslim.runtimes.python.tables import hidden
from imgslim.runtimes.python.waste import is_waste, test_tree
from imgslim.world import World

_IMPORT_CALLS = (b"import_module", b"__import__", b"import_string")
_IMPORTS_TESTS = re.compile(
    rb"^[ \t]*(?:from|import)\b[^\n#]*\b(?:tests?\b|test_|conftest|distutils\b)", re.MULTILINE
)


class DistributionClosure(ImportClosure):
    """Reaches distributions from code; fed and drained as its base class."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._tests: set[str] = set()
        self._keeps_tests = world.choices.level is Level.SAFE
        self._apart = SetApart(world)

    def note_text(self, data: bytes) -> None:
        self._apart.note(data, source=False)

    def doubts(self) -> Iterator[Problem]:
        yield from super().doubts()
        yield from self._apart.problems()

    def take_file(self, entry: Entry, *, own: bool, environment: Environment | None) -> None:
        """A kept source; a distribution's tests are no part of what runs."""
        self._take_parts(self._apart.at(entry.path))
        owner = self._world.packages.distribution_owner(entry.path)
        if owner is None or not hidden().is_test(entry.path[len(owner.site_path) + 1 :]):
            self.examine(Source(entry.path, entry, b"", own, environment))

    def _reach_native(self, search: Search, module: str, because: str) -> None:
        self._take_parts(self._apart.below(module.partition(".")[0]))
        if module.partition(".")[0] in search.open:
            self._reach_module(search, module, because)

    def _follow_source(
        self, source: Source, data: bytes, names: set[str], searches: Sequence[Search]
    ) -> None:
        """What a source leads to; ``names`` are the top-level names that it may import."""
        self._apart.note(data, source=True)
        if is_compiled(source.path):
            self._take_compiled(source, names, searches)
            return
        libraries = "ctypes" in names and opens_libraries(data)
        news = source.own or libraries or self._brings_news(source, names, searches)
        calls = any(marker in data for marker in _IMPORT_CALLS)
        if not (news or calls or _IMPORTS_TESTS.search(data)):
            return
        deep = source.own or libraries or calls
        code = read_code(data, statements_only=not deep)
        if code is None:
            self._take_unparsed(source, searches, names)
            return
        if libraries:
            self._findings.extend(self._libraries.findings(source.path, code.calls))
        for search in searches:
            for imported in _all_imports(code):
                self._follow(search, source, imported)
            if _imports_unknown(code):
                self._follow_words(search, source, code)
        if source.own:
            self._take_own(source, code, searches)

    def _follow_words(self, search: Search, source: Source, code: Code) -> None:
        """Beside an import of an unknown name, constants that are modules may be that name."""
        for text, _ in code.strings:
            if text in search.open and text not in hidden().weak:
                self._reach_module(search, text, source.path)

    def _take_compiled(self, source: Source, words: set[str], searches: Iterable[Search]) -> None:
        """Bytecode without its source: every module that its words can mean."""
        for search in searches:
            for word in sorted(words):
                if word.partition(".")[0] in search.open:
                    self._follow(search, source, Import(word))

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
        return self._counts(search, source, Import(top, firm=True), top)

    def _take_unparsed(self, source: Source, searches: Iterable[Search], names: set[str]) -> None:
        self._findings.append(unparsed(source.path))
        for search in searches:
            for name in sorted(names & search.open.keys()):
                self._follow(search, source, Import(name, firm=True))

    def _follow(self, search: Search, source: Source, imported: Import) -> None:
        module = self._imported(search, source, imported)
        top = module.partition(".")[0]
        if top in OPTIONAL_MODULES or top in search.open:
            if top in hidden().weak and not self._counts(search, source, imported, top):
                self._waiting.append((search, source, imported))
                return
        elif top in search.index.stdlib or not (source.own or _names_test(module, imported)):
            return
        if not self._has_sibling(source, top):
            self._want_parts(search, top, source.path)
        wanted = [f"{module}.{n}" for n in imported.names if n != "*"] if imported.names else []
        for name in (*wanted, *(() if wanted else (module,))):
            self._reach_module(search, name, source.path, named=source.own)
        if "*" in imported.names:
            self._reach_module(search, module, source.path, named=source.own)

    def _reach_module(
        self, search: Search, module: str, because: str, *, named: bool = False
    ) -> None:
        for target in search.index.resolve(module):
            self._take_parts(self._apart.at(target.path))
            if named:
                self._named.add(target.path)
            if target.unit.key not in self.reached or target.unit.distribution is None:
                self._reach(target.unit, because)
            self._reach_tests(target, because)

    def _reach_tests(self, target: Target, because: str) -> None:
        """Tests are left out of a distribution; those that its own code imports stay whole."""
        dist = target.unit.distribution
        tree = test_tree(dist, target.path) if dist is not None else None
        if tree is None or tree in self._tests or self._keeps_tests:
            return
        self._tests.add(tree)
        self._need(tree, target.unit.label, because, Scope.TREE)
        for entry in self._world.rootfs.walk(tree):
            if entry.is_file and entry.path.endswith(".py"):
                self.examine(Source(entry.path, entry))

    def _follow_hint(self, search: Search, module: str, because: str) -> None:
        top = module.partition(".")[0]
        if top in search.open and (top not in hidden().weak or is_command(because)):
            self._reach_module(search, module, because, named=True)

    def _reach_plugins(self) -> bool:
        found = self._take_parts(self._apart.named())
        for search in self._searches.values():
            unreached = (
                d for d in search.index.distributions if d.metadata_path not in self.reached
            )
            for dist, _, because in self._plugins.match(self._world, unreached):
                self._reach(Unit(dist.metadata_path, dist), because)
                found = True
        return found

    def _reach_distribution(self, dist: Distribution, label: str, because: str) -> None:
        self._need(dist.metadata_path, label, because)
        own = is_local_project(self._world, dist)
        divides = not own and self._world.choices.level is Level.BALANCED
        files = self._apart.divide(dist, label, because) if divides else dist.files
        for path in files:
            self._take_part(dist, label, because, path, own=own)
        self._reach_required(dist)

    def _take_part(
        self, dist: Distribution, label: str, because: str, path: str, *, own: bool
    ) -> None:
        is_test = test_tree(dist, path) is not None
        if own or self._keeps_tests or not (is_test or is_waste(self._world, path)):
            self._need(path, label, because)
        if (path.endswith(".py") or is_compiled(path)) and not is_test:
            entry = self._world.rootfs.get(path)
            if entry is not None and entry.is_file:
                self.examine(Source(path, entry, own=own))

    def _take_parts(self, parts: Iterable[tuple[Part, str]]) -> bool:
        """Keep what was set apart and is named after all; whether there is any."""
        found = list(parts)
        for (dist, label, because), path in found:
            self._take_part(dist, label, because, path, own=False)
        return bool(found)


def _all_imports(code: Code) -> Iterator[Import]:
    """The import statements, and the calls that import a constant name."""
    yield from code.imports
    for call in code.calls:
        if hidden().calls.get(call.name) == "module" and call.arguments:
            name = call.arguments[0]
            if isinstance(name, str) and name and not name.startswith("."):
                yield Import(name.partition(":")[0], line=call.line)


def _names_test(module: str, imported: Import) -> bool:
    names = (*module.split("."), *imported.names)
    return any(
        hidden().is_test(f"{name}.py") or name in hidden().test_directories for name in names
    )


def _imports_unknown(code: Code) -> bool:
    return any(
        hidden().calls.get(call.name) == "module" and call.arguments and call.arguments[0] is None
        for call in code.calls
    )
