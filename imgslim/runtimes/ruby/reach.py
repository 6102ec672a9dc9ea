"""The closure over Ruby code: which gems and which of the library the code in an image loads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from imgslim.choices import Level
from imgslim.globs import glob_regex
from imgslim.model import Entry, Finding, Group, Need, Scope
from imgslim.runtimes.literal_starts import literal_library, named_programs, start_findings
from imgslim.runtimes.ruby.bundle import Bundle, active_groups
from imgslim.runtimes.ruby.gems import Gem, GemIndex
from imgslim.runtimes.ruby.library import Library, words_in
from imgslim.runtimes.ruby.source import Facts, Text, read_source
from imgslim.runtimes.ruby.tables import ruby_table
from imgslim.world import World

_QUICK = re.compile(
    rb"""(?:require|autoload|gem|load)[\s(]+(?::\w+,\s*)?["']([\w./#{}-]{1,120})["']"""
)
_CALLS_OUT = re.compile(
    rb"""^[^#\n]*(?:\b(?:system|exec|spawn|popen\w*|capture[23]e?|which|ffi_lib|dlopen|dlload|"""
    rb"""find\w*_files)\b|%x\W|`|\b(?:require|autoload|load)\b[^\n]*\#\{)""",
    re.MULTILINE,
)
_ABI = re.compile(r"/(\d+\.\d+)/[^/]+\.so$")


class RubyClosure:
    """What is reached, in the order in which it is found out. ``drain`` gives what that needs."""

    def __init__(self, world: World, index: GemIndex) -> None:
        self.world = world
        self.index = index
        self.libraries: list[Library] = []
        self.bundles: list[Bundle] = []
        self.reached: dict[Gem, str] = {}
        self.dynamic: dict[str, int] = {}
        self.missing_programs: dict[str, str] = {}
        self._wanted: frozenset[str] = frozenset()
        self._only_development: frozenset[str] = frozenset()
        self._seen: set[tuple[str, bool]] = set()
        self._taken: set[str] = set()
        self._of_parts: set[str] = set()
        self._sources: list[tuple[Entry, bool]] = []
        self._found: list[Finding] = []

    @property
    def level(self) -> Level:
        return self.world.choices.level

    @property
    def prefixes(self) -> tuple[str, ...]:
        return tuple(f"{top}/" for lib in self.libraries for top in lib.home.load_path)

    def take_bundles(self, bundles: Iterable[Bundle]) -> None:
        """The apps' bundles: the gems of the groups that a container loads are reached."""
        active = active_groups(self.world)
        for bundle in bundles:
            self.bundles.append(bundle)
            whole = bundle.all_names() | bundle.names(active)
            wanted = whole if self.level is Level.SAFE else bundle.names(active)
            self._wanted |= wanted
            self._only_development |= whole - wanted
            for name in sorted(wanted):
                for gem in self._locked(name, bundle):
                    self.reach(gem, bundle.manifest)
            for gem in self.index.gems:
                if gem.from_git and _is_at(gem, bundle.lock.revisions):
                    self.reach(gem, bundle.manifest)
            for name in sorted(whole - wanted):
                for gem in self._locked(name, bundle):
                    self._found += self._record_needs(gem, bundle.manifest)
            for feature in bundle.required:
                self.load(feature, bundle.manifest, own=True)
        self._only_development -= self._wanted

    def _locked(self, name: str, bundle: Bundle) -> list[Gem]:
        """The installed gems of a name: of the locked versions where these are there."""
        revisions = bundle.lock.revisions
        known = self.index.by_name.get(name, [])
        gems = [gem for gem in known if not gem.from_git or _is_at(gem, revisions)]
        versions = {v.partition("-")[0] for v in bundle.lock.versions.get(name, ())}
        return [gem for gem in gems if gem.from_git or gem.version in versions] or gems

    def reach(self, gem: Gem, because: str) -> None:
        """A gem is loaded: with its files, and the gems that it depends on."""
        if gem in self.reached:
            return
        self.reached[gem] = because
        self._found += self._gem_needs(gem, because)
        is_wanted = gem.name in self._wanted
        for name in self.index.dependencies(gem):
            for other in self.index.by_name.get(name, ()):
                if not is_wanted or (name in self._wanted and self._is_locked(other)):
                    self.reach(other, gem.spec_path)

    def _is_locked(self, gem: Gem) -> bool:
        return any(gem in self._locked(gem.name, bundle) for bundle in self.bundles)

    def reach_name(self, name: str, because: str) -> None:
        """All installed gems of a name."""
        for gem in self.index.by_name.get(name, ()):
            self.reach(gem, because)

    def _record_needs(self, gem: Gem, because: str) -> Iterator[Need]:
        """What Bundler's setup wants of every gem of the lock, loaded or not: that it is known,
        and that its extensions are built (Gem::BasicSpecification#missing_extensions?)."""
        reason = "specifications of gems that the lock names"
        paths = [gem.spec_path, *(f"{place}/gem.build_complete" for place in gem.extensions)]
        for path in paths:
            yield Need(path, Group.DEPENDENCY, reason, because, optional=True)

    def _gem_needs(self, gem: Gem, because: str) -> Iterator[Need]:
        whole = self.level is Level.SAFE
        yield Need(gem.spec_path, Group.DEPENDENCY, gem.label, because, optional=True)
        for place in (gem.directory, *gem.extensions) if whole else ():
            if place:
                yield Need(place, Group.DEPENDENCY, gem.label, because, Scope.TREE, optional=True)
        for entry in self.index.files(gem):
            if self._is_code(entry.path):
                self._sources.append((entry, False))
            wanted = not entry.is_directory or entry.path == gem.directory
            if not whole and wanted and not self.is_left_out(gem, entry):
                yield Need(entry.path, Group.DEPENDENCY, gem.label, because, optional=True)
        yield Need(
            f"{gem.home}/plugins/{gem.name}_plugin.rb",
            Group.DEPENDENCY,
            gem.label,
            because,
            optional=True,
        )

    def is_left_out(self, gem: Gem, entry: Entry) -> bool:
        """Whether a file of a reached gem is one that no program reads."""
        path = entry.path
        for place in gem.extensions:
            if path.startswith(f"{place}/"):
                return path.rpartition("/")[2] in ruby_table().records or self._is_twice(
                    gem, entry, path[len(place) + 1 :]
                )
        if not gem.directory or not path.startswith(f"{gem.directory}/"):
            return False
        inside = path[len(gem.directory) + 1 :]
        loaded = any(_is_below(path, (place,)) for place in gem.load_path if place != gem.directory)
        if loaded:
            return self._is_of_other_ruby(path)
        name = inside.rpartition("/")[2].upper()
        if name.startswith(("LICENSE", "LICENCE", "COPYING", "MIT-LICENSE", "NOTICE")):
            return False
        return ruby_table().left_out.fullmatch(inside) is not None

    def _is_twice(self, gem: Gem, entry: Entry, name: str) -> bool:
        """RubyGems installs an extension into the gem's own directory as well: the load path has
        that next, and ``require_relative`` finds it there alone."""
        places = (f"{gem.directory}/{part}/{name}" for part in gem.require_paths)
        others = (self.world.rootfs.get(place) for place in places if gem.directory)
        return any(o is not None and o.size_bytes == entry.size_bytes for o in others)

    def _is_of_other_ruby(self, path: str) -> bool:
        """Built gems carry an extension for each Ruby (``lib/NAME/3.1/NAME.so``)."""
        match = _ABI.search(path)
        abis = {library.home.abi.rpartition(".")[0] for library in self.libraries}
        if match is None or not abis or match[1] in abis:
            return False
        parent, name = path[: match.start()], path.rpartition("/")[2]
        return any(self.world.rootfs.get(f"{parent}/{abi}/{name}") is not None for abi in abis)

    def load(self, feature: str, because: str, *, own: bool, complete: bool = True) -> None:
        """``require`` of a feature, or of all that begin so. ``own``: by the app's own code."""
        name = feature[:-3] if complete and feature.endswith((".rb", ".so")) else feature
        key = (name if complete else f"{name}*", own)
        if not name or key in self._seen or (not complete and len(name) < 3):
            return
        self._seen.add(key)
        for gem in self._gems_with(name, complete):
            if own or self._may_load(gem):
                self.reach(gem, because)
        for library in self.libraries:
            self._load_library(library, name, because, complete)

    def _gems_with(self, name: str, complete: bool) -> Sequence[Gem]:
        features = self.index.features
        if complete:
            return features.get(name, ())
        found = [gem for f, gems in features.items() if f.startswith(name) for gem in gems]
        return tuple(dict.fromkeys(found))

    def _may_load(self, gem: Gem) -> bool:
        """Whether a gem's code can load another: Bundler shows those of the lock only."""
        if not self.bundles:
            return True
        return gem.name in self._wanted and self._is_locked(gem)

    def _load_library(self, library: Library, name: str, because: str, complete: bool) -> None:
        known = library.features
        names = [name] if complete else [f for f in known if f.startswith(name)]
        for found in names:
            paths = known.get(found, ())
            part = library.part_of(found) if paths else None
            if part is not None and part.unit not in library.used:
                needs = list(library.use(part, because))
                self._found += needs
                self._of_parts |= {need.path for need in needs}
                self._take_files(need.path for need in needs)
            firsts = {path[-3:]: path for path in reversed(paths)}
            for path in sorted(firsts.values()):
                self._take_library_file(library, path, because)

    def _take_library_file(self, library: Library, path: str, because: str) -> None:
        if path in self._taken:
            return
        group, reason = Group.RUNTIME, library.reason
        self._found.append(Need(path, group, reason, because, optional=True))
        self._take_files((path,))

    def _take_files(self, paths: Iterable[str]) -> None:
        for path in paths:
            entry = self.world.rootfs.lookup(path)
            if entry is not None and path not in self._taken:
                self._taken.add(path)
                self._sources.append((entry, False))

    def take_kept(self, entry: Entry) -> None:
        """A file of a Ruby's load path or of a gem that is kept: what it loads is needed."""
        gem = self.index.gem_of(entry.path)
        if gem is not None and gem not in self.reached and self._is_code(entry.path):
            self.reach(gem, entry.path)
        elif gem is None and self._is_code(entry.path) and entry.path not in self._taken:
            self._taken.add(entry.path)
            self._sources.append((entry, False))

    def take_own(self, entry: Entry) -> None:
        """A source of the app's own."""
        if entry.path not in self._taken:
            self._taken.add(entry.path)
            self._sources.append((entry, True))

    @staticmethod
    def _is_code(path: str) -> bool:
        return path.endswith((".rb", ".so", ".rake", ".gemspec"))

    def drain(self) -> Iterator[Finding]:
        """What the code reached so far needs."""
        while self._sources or self._found:
            found, self._found = self._found, []
            yield from found
            sources, self._sources = self._sources, []
            for entry, own in sources:
                yield from self._read(entry, own)

    def _read(self, entry: Entry, own: bool) -> Iterator[Finding]:
        path = entry.path
        if not entry.is_file:
            return
        if path.endswith(".so"):
            self._read_extension(entry)
            return
        standard = self._is_standard(path)
        if standard and self.level is not Level.TIGHT and path not in self._of_parts:
            return
        data = self.world.rootfs.read_bytes(entry)
        if not own and not standard and not self._is_new(data):
            return
        facts = read_source(data)
        gem = self.index.gem_of(path)
        if gem is not None and gem.name in ruby_table().self_contained:
            if self.level is Level.TIGHT:
                self._take_library_only(facts, path)
            return
        self._take_facts(facts, path, own)
        if not standard:
            yield from self._calls_out(facts, path, own)

    def _read_extension(self, entry: Entry) -> None:
        path = entry.path
        if self.level is Level.TIGHT or not path.startswith(self.prefixes):
            for word in words_in(self.world.rootfs, entry):
                if any(word in library.features for library in self.libraries):
                    self.load(word, path, own=False)

    def _calls_out(self, facts: Facts, path: str, own: bool) -> Iterator[Finding]:
        yield from start_findings(self.world, facts.starts, path, own=own)
        for name, _ in facts.libraries:
            yield from literal_library(self.world, name, path)
        if own and (facts.starts or facts.starts_unknown):
            yield from named_programs(self.world, facts.starts, facts.strings, path)

    def _is_standard(self, path: str) -> bool:
        return any(_is_below(path, library.home.library) for library in self.libraries)

    def _is_new(self, data: bytes) -> bool:
        """A quick look: whether a source may load what is not loaded yet, or start something."""
        if _CALLS_OUT.search(data):
            return True
        names = (name.decode("utf-8", "replace") for name in _QUICK.findall(data))
        return any((name.removesuffix(".rb"), False) not in self._seen for name in names)

    def _take_facts(self, facts: Facts, path: str, own: bool) -> None:
        for value, _ in facts.features:
            if value.here:
                self._relative(value, path)
            else:
                self.load(value.text, path, own=own, complete=value.complete)
        for name, _ in facts.gems:
            for gem in self.index.by_name.get(name, ()):
                if own or self._may_load(gem):
                    self.reach(gem, path)
        for pattern, _ in facts.files:
            self._plugins(pattern, path)
        if own and facts.dynamic:
            self.dynamic[path] = facts.dynamic[0]

    def _take_library_only(self, facts: Facts, path: str) -> None:
        for value, _ in facts.features:
            for library in self.libraries:
                name = value.text.removesuffix(".rb")
                if value.complete and library.part_of(name) is None:
                    self._load_library(library, name, path, complete=True)

    def _relative(self, value: Text, path: str) -> None:
        """``require_relative`` inside of the library, where files are kept one by one."""
        if not self._is_standard(path):
            return
        rootfs = self.world.rootfs
        place = rootfs.resolve(f"{path.rpartition('/')[0]}/{value.text}").path
        directory = place.rpartition("/")[0]
        for library in self.libraries:
            for name in rootfs.children(directory):
                found = f"{directory}/{name}"
                stem = found.removesuffix(".rb").removesuffix(".so")
                begins = not value.complete and found.startswith(place)
                if found.endswith((".rb", ".so")) and (stem == place or found == place or begins):
                    self._take_library_file(library, found, path)

    def _plugins(self, pattern: str, because: str) -> None:
        matches = re.compile(glob_regex(pattern.removesuffix(".rb"))).fullmatch
        for feature, gems in self.index.features.items():
            if matches(feature):
                for gem in gems:
                    if self._may_load(gem):
                        self.reach(gem, because)

    def reach_all(self, because: str) -> None:
        """Every gem outside of those that come with Ruby: nobody can tell which are loaded."""
        for gem in self.index.gems:
            if not self.comes_with_ruby(gem) and gem.name not in self._only_development:
                self.reach(gem, because)

    def comes_with_ruby(self, gem: Gem) -> bool:
        return any(gem.home == library.home.gem_home for library in self.libraries)


def _is_at(gem: Gem, revisions: Iterable[str]) -> bool:
    """Bundler names a checkout after its repository and the first 12 digits of its revision."""
    return any(gem.full_name.endswith(f"-{revision[:12]}") for revision in revisions)


def _is_below(path: str, directories: Iterable[str]) -> bool:
    return any(path.startswith(f"{top}/") for top in directories)
