"""The runtime module of Ruby: interpreters, their library, apps, gems and Bundler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from imgslim.choices import Level
from imgslim.commands import join, locate, name_of, resolve_command
from imgslim.model import Claim, Entry, Finding, Group, Need, Problem, Scope, Severity
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.ruby.bundle import find_bundles
from imgslim.runtimes.ruby.claims import binstub_gem, claims_of
from imgslim.runtimes.ruby.doubts import closing_problems
from imgslim.runtimes.ruby.gems import GemIndex, newest_first
from imgslim.runtimes.ruby.invoke import parse_bundle, parse_ruby
from imgslim.runtimes.ruby.layout import RubyHome, embeds, find_homes, is_interpreter
from imgslim.runtimes.ruby.library import Library
from imgslim.runtimes.ruby.reach import RubyClosure
from imgslim.runtimes.ruby.source import read_source
from imgslim.runtimes.ruby.tables import ruby_table
from imgslim.runtimes.script import is_script_for
from imgslim.world import World

_BUNDLERS = frozenset(("bundle", "bundler"))


class RubyRuntime(Runtime):
    """What Ruby programs need: derived from their sources, Gemfiles and specifications."""

    name = "ruby"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._interpreters: dict[str, None] = {}
        self._own: list[Entry] = []
        self._tasks: list[Entry] = []
        self._programs: set[str] = set()
        self._started = False
        self._asked: set[str] = set()

    @cached_property
    def homes(self) -> tuple[RubyHome, ...]:
        return tuple(find_homes(self.world.rootfs))

    @cached_property
    def index(self) -> GemIndex:
        return GemIndex(self.world)

    @cached_property
    def closure(self) -> RubyClosure:
        return RubyClosure(self.world, self.index)

    @property
    def has_levels(self) -> bool:
        return bool(self._interpreters)

    def claims(self) -> Iterable[Claim]:
        if self.homes:
            yield from claims_of(self.world, self.homes, self.index)

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        entry = self.world.rootfs.lookup(path)
        if not self.homes or entry is None or not argv:
            return
        if is_interpreter(self.world.rootfs, entry):
            yield from self._ruby(argv, because)
        elif is_script_for(self.world, entry, "ruby"):
            self._program(path)
            yield from self._script(path, tuple(argv[1:]), because)

    def _ruby(self, argv: Sequence[str], because: str) -> Iterator[Finding]:
        command = parse_ruby(argv)
        for feature in command.required:
            self.closure.load(feature, because, own=True)
        for code in command.code:
            facts = read_source(code.encode("utf-8", "surrogateescape"))
            for value, _ in facts.features:
                self.closure.load(value.text, because, own=True, complete=value.complete)
        if not command.script:
            return
        if command.searched:
            place = locate(self.world, command.script)
        else:
            place = join(self.world.working_dir, command.script)
        entry = self.world.rootfs.lookup(place) if place else None
        if place is None or entry is None:
            return
        yield Need(place, Group.PROGRAM, "programs that run", because)
        self._program(entry.path)
        yield from self._script(entry.path, command.arguments, because)

    def _program(self, path: str) -> None:
        self._programs.add(name_of(path))
        entry = self.world.rootfs.lookup(path)
        if entry is not None:
            self.closure.take_own(entry)

    def _script(self, path: str, words: tuple[str, ...], because: str) -> Iterator[Finding]:
        gem = binstub_gem(self.world.rootfs, path)
        if gem:
            self.closure.reach_name(gem, path)
        if name_of(path) not in _BUNDLERS:
            return
        self.closure.reach_name("bundler", path)
        self.closure.load("bundler", path, own=True)
        what, rest = parse_bundle(words)
        if what == "exec" and rest:
            yield from self._in_bundle(rest, path)

    def _in_bundle(self, words: tuple[str, ...], because: str) -> Iterator[Finding]:
        """``bundle exec``: from PATH, to which Bundler adds the programs of the bundle."""
        found = list(resolve_command(self.world, words, because))
        if not found:
            for home in self.index.homes:
                found += resolve_command(
                    self.world, (f"{home}/bin/{words[0]}", *words[1:]), because
                )
        if not found:
            yield Problem(
                "missing-command",
                Severity.WARNING,
                because,
                f"bundle exec runs {words[0]}, which is not in the image",
                "nothing to keep",
            )
        yield from found

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if not self.homes or entry.is_directory:
            return ()
        path = entry.path
        if embeds(entry) or is_interpreter(self.world.rootfs, entry):
            return self._use(path)
        if self.index.gem_of(path) is not None or self._is_library(entry):
            self.closure.take_kept(entry)
        elif entry.is_file and self.world.packages.owner(path) is None:
            self._take_own(entry)
        return ()

    def _is_library(self, entry: Entry) -> bool:
        return entry.is_file and entry.path.startswith(self.closure.prefixes)

    def _use(self, path: str) -> Iterator[Finding]:
        if path in self._interpreters:
            return
        self._interpreters[path] = None
        known = {library.home.archdir for library in self.closure.libraries}
        homes = [home for home in self.homes if home.is_interpreter(path)] or self.homes
        for home in homes:
            if home.archdir not in known:
                library = Library(self.world.rootfs, home, self.world.choices.level)
                self.closure.libraries.append(library)
                yield from library.needs(path)
                yield from self._homes_of_gems(path)

    def _homes_of_gems(self, because: str) -> Iterator[Need]:
        """The directories of gems themselves, which the environment names."""
        for name in ("GEM_HOME", "GEM_PATH", "BUNDLE_PATH"):
            for part in (self.world.config.env_value(name) or "").split(":"):
                if part.startswith("/"):
                    yield Need(part, Group.RUNTIME, "directories of gems", because, optional=True)

    def _take_own(self, entry: Entry) -> None:
        table = ruby_table()
        directory, _, name = entry.path.rpartition("/")
        if name in table.task_files or name.endswith(table.task_suffixes):
            self._tasks.append(entry)
        elif table.tests.isdisjoint(directory.split("/")) and not name.endswith(".gemspec"):
            is_source = name.endswith(table.suffixes) or name in table.source_names
            if is_source or ("." not in name and is_script_for(self.world, entry, "ruby")):
                self._own.append(entry)

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        if not self._interpreters:
            return
        if not self._started:
            self._started = True
            yield from self._start()
        own, self._own = self._own, []
        if not ruby_table().task_programs.isdisjoint(self._programs):
            tasks, self._tasks = self._tasks, []
            own += tasks
        for entry in own:
            self.closure.take_own(entry)
        for part in (part for lib in self.closure.libraries for part in ruby_table().parts):
            if not part.programs.isdisjoint(self._programs):
                for library in self.closure.libraries:
                    yield from library.use(part, min(self._interpreters))
        yield from self.closure.drain()
        if self.closure.dynamic and not self.closure.bundles:
            self.closure.reach_all(min(self.closure.dynamic))
            yield from self.closure.drain()
        yield from self._asks()

    def _start(self) -> Iterator[Finding]:
        options = [v for name, v, _ in self.world.variables if name == "RUBYOPT"]
        for value in options:
            for feature in parse_ruby(("ruby", *value.split())).required:
                self.closure.load(feature, "<env RUBYOPT>", own=True)
        self.closure.take_bundles(find_bundles(self.world, self._is_own))
        for bundle in self.closure.bundles:
            yield from self._local_gems(bundle.directory, bundle.lock.paths)
        if self.world.choices.level is Level.SAFE:
            for gem in self.index.gems:
                if gem.directory and self.world.packages.owner(gem.spec_path) is None:
                    self.closure.reach(gem, min(self._interpreters))

    def _local_gems(self, directory: str, paths: Iterable[str]) -> Iterator[Finding]:
        """Gems in directories of the app: Bundler evaluates their gemspecs at every start."""
        for place in paths:
            top = self.world.rootfs.resolve(join(directory, place)).path
            yield Need(top, Group.APP, "gems in a path", directory, Scope.TREE, optional=True)
            for name in self.world.rootfs.children(top):
                entry = self.world.rootfs.get(f"{top}/{name}")
                if entry is not None and name.endswith(".gemspec"):
                    self.closure.take_own(entry)

    def _is_own(self, path: str) -> bool:
        return self.index.gem_of(path) is None and self.world.packages.owner(path) is None

    def _asks(self) -> Iterator[Finding]:
        names = {gem.name: gem for gem in self.closure.reached}
        for row in ruby_table().asks:
            gem = names.get(row.gem)
            if gem is None or row.gem in self._asked or (row.unless and row.unless in names):
                continue
            self._asked.add(row.gem)
            for path in row.paths:
                reason = f"what {row.gem} reads"
                yield Need(path, Group.SYSTEM, reason, gem.spec_path, Scope.TREE, optional=True)
            for program in row.programs:
                yield from resolve_command(self.world, (program,), gem.spec_path)

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        if self._interpreters:
            yield from closing_problems(self.world, self.closure, kept)

    def describe(self, entry: Entry) -> str | None:
        if not self.homes or not entry.is_file:
            return None
        if is_interpreter(self.world.rootfs, entry):
            homes = [h for h in self.homes if h.is_interpreter(entry.path)] or self.homes[:1]
            return ", ".join([f"Ruby {homes[0].version}", *self._apps()])
        if not entry.is_executable or not is_script_for(self.world, entry, "ruby"):
            return None
        gem = binstub_gem(self.world.rootfs, entry.path)
        installed = newest_first(self.index.by_name.get(gem, []))
        if gem and installed:
            label = f"{name_of(entry.path)} of {installed[0].label}"
            return ", ".join([label, *self._apps()]) if gem == "bundler" else label
        return "Ruby script"

    def _apps(self) -> Iterator[str]:
        """The apps that have a bundle, with the frameworks that it names."""
        for bundle in self.closure.bundles:
            names = bundle.lock.versions
            used = [
                f"{label} {min(names[gem]).partition('-')[0]}"
                for gem, label in ruby_table().frameworks
                if gem in names and (gem != "rack" or len(names) < 4)
            ]
            on = f" on {' and '.join(used[:3])}" if used else ""
            yield f"app {bundle.directory or '/'}{on}"
