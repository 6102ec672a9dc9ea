"""The runtime module of Perl: interpreters, their library, modules and apps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import cached_property

from imgslim.choices import Level
from imgslim.commands import join, name_of
from imgslim.model import (
    Claim,
    Entry,
    Finding,
    Group,
    Need,
    Origin,
    OriginKind,
    Problem,
    Scope,
    Severity,
    unique_size_bytes,
)
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.literal_starts import literal_library, named_programs, start_findings
from imgslim.runtimes.perl.invoke import parse_perl
from imgslim.runtimes.perl.layout import PerlHome, embeds, find_homes, is_interpreter
from imgslim.runtimes.perl.library import Library
from imgslim.runtimes.perl.source import Facts, is_module_name, read_source
from imgslim.runtimes.script import is_script_for
from imgslim.tables import load_table
from imgslim.world import World


class _Trust(IntEnum):
    """What is known of a source: it lies beside one that is loaded, it is loaded, or it is the
    app's own."""

    BESIDE = 0
    LOADED = 1
    OWN = 2


class PerlRuntime(Runtime):
    """What Perl programs need: derived from their sources and @INC."""

    name = "perl"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._libraries: list[Library] = []
        self._interpreters: dict[str, None] = {}
        self._pending: list[tuple[Entry, _Trust]] = []
        self._read: dict[str, _Trust] = {}
        self._modules: dict[str, str] = {}
        self._loaded: set[str] = set()
        self._words: dict[str, str] = {}
        self._found: list[Finding] = []
        self._dynamic: dict[str, int] = {}
        self._embedded = ""

    @cached_property
    def homes(self) -> tuple[PerlHome, ...]:
        return find_homes(self.world.rootfs)

    @property
    def has_levels(self) -> bool:
        return bool(self._interpreters)

    def claims(self) -> Iterable[Claim]:
        rootfs = self.world.rootfs
        for home in self.homes:
            origin = Origin(OriginKind.RUNTIME, f"Perl {home.version}")
            yield from (Claim(top, origin) for top in home.core)
            programs = rootfs.resolve(home.config.get("installbin") or "/usr/local/bin").path
            for name in rootfs.children(programs):
                entry = rootfs.get(f"{programs}/{name}")
                tools = load_table("perl")["sources"]["tools"]
                is_tool = any(fnmatchcase(name, tool) for tool in tools)
                if entry is not None and (is_tool or is_interpreter(rootfs, entry)):
                    yield Claim(entry.path, origin, Scope.PATH)

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        entry = self.world.rootfs.lookup(path)
        if not self.homes or entry is None or not argv:
            return
        if is_interpreter(self.world.rootfs, entry):
            command = parse_perl(argv)
            for module in command.modules:
                self._load(module, because)
            for code in command.code:
                self._take(
                    read_source(code.encode("utf-8", "surrogateescape")), because, _Trust.OWN
                )
            script = join(self.world.working_dir, command.script) if command.script else ""
            target = self.world.rootfs.lookup(script) if script else None
            if target is not None and target.is_file:
                yield Need(script, Group.PROGRAM, "programs that run", because)
                self._pending.append((target, _Trust.OWN))
        elif is_script_for(self.world, entry, "perl"):
            self._pending.append((entry, _Trust.OWN))

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if not self.homes or not entry.is_file:
            return ()
        path = entry.path
        if embeds(entry):
            self._embedded = path
            return self._use(path)
        if is_interpreter(self.world.rootfs, entry):
            return self._use(path)
        table = load_table("perl")["sources"]
        is_source = path.endswith(tuple(table["suffixes"]))
        owned = self.world.packages.owner(path) is not None
        if owned and not is_source:
            return ()
        if is_source or ("." not in name_of(path) and is_script_for(self.world, entry, "perl")):
            tests = frozenset(table["tests"])
            if owned or tests.isdisjoint(path.split("/")):
                self._pending.append((entry, _Trust.BESIDE if owned else _Trust.OWN))
        return ()

    def _use(self, path: str) -> Iterator[Finding]:
        if path in self._interpreters:
            return
        first = not self._interpreters
        self._interpreters[path] = None
        if first:
            value = self.world.config.env_value("PERL5LIB") or ""
            more = [part for part in value.split(":") if part.startswith("/")]
            level = self.world.choices.level
            for home in self.homes:
                library = Library(self.world.rootfs, home, level, more)
                self._libraries.append(library)
                yield from library.needs(path)

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        if not self._interpreters:
            return
        for name, value, because in self.world.variables:
            if name == "PERL5OPT":
                for module in parse_perl(("perl", *value.split())).modules:
                    self._load(module, because)
        while self._pending or self._found:
            found, self._found = self._found, []
            yield from found
            pending, self._pending = self._pending, []
            for entry, trust in pending:
                yield from self._source(entry, trust)
        yield from self._worded()
        yield from self._extending()
        for library in self._libraries if self._embedded else ():
            yield from library.copies(kept, self._embedded)

    def _source(self, entry: Entry, trust: _Trust) -> Iterator[Finding]:
        path = entry.path
        if self._read.get(path, -1) >= trust:
            return
        self._read[path] = trust
        own = trust is _Trust.OWN
        core = any(library.is_core(path) for library in self._libraries)
        if core and self.world.choices.level is Level.SAFE:
            return
        facts = read_source(self.world.rootfs.read_bytes(entry))
        self._take(facts, path, trust, strings=not core)
        if core:
            return
        yield from start_findings(self.world, facts.starts, path, own=own)
        for name in facts.libraries:
            yield from literal_library(self.world, name, path)
        if own and (facts.starts or facts.starts_unknown):
            yield from named_programs(self.world, facts.starts, facts.texts, path)
        if own and facts.dynamic:
            self._dynamic[path] = facts.dynamic[0]

    def _take(self, facts: Facts, because: str, trust: _Trust, *, strings: bool = True) -> None:
        beneath = min(trust, _Trust.LOADED)
        for module in facts.modules:
            self._load(module, because, beneath)
        for name in facts.files:
            self._load_file(name, because, beneath)
        for text in facts.texts:
            if "::" in text:
                self._load(text, because, beneath if strings else _Trust.BESIDE)
            if trust is _Trust.OWN and is_module_name(text):
                for prefix in load_table("perl")["namespaces"]["names"]:
                    self._load(f"{prefix}::{text}", because, beneath)

        if strings and trust is not _Trust.BESIDE:
            self._words |= dict.fromkeys(facts.texts.keys() - self._words.keys(), because)
            for prefix in facts.prefixes:
                for library in self._libraries:
                    for module in library.below(prefix):
                        self._load(module, because, beneath)

    def _worded(self) -> Iterator[Need]:
        for library in self._libraries:
            for part in library.worded(self._loaded, self._words.keys()):
                word = min(part.words & self._words.keys())
                yield from library.use(part, self._words[word])

    def _load(self, module: str, because: str, trust: _Trust = _Trust.LOADED) -> None:
        module = module.replace("'", "::")
        known = self._loaded if trust is _Trust.LOADED else self._modules.keys()
        if module in known or not is_module_name(module):
            return
        self._modules.setdefault(module, because)
        if trust is _Trust.LOADED:
            self._loaded.add(module)
        if self._load_file(f"{module.replace('::', '/')}.pm", because, trust):
            for library in self._libraries:
                for entry in library.autoloaded(module):
                    self._found.append(library.need(entry.path, because))

    def _load_file(self, name: str, because: str, trust: _Trust) -> bool:
        """Whether a file is there; what only lies beside loaded ones brings no part of the core
        library with it."""
        known = False
        for library in self._libraries:
            entry = library.find(name)
            if entry is None:
                continue
            part = library.part_of(name) if library.is_core(entry.path) else None
            if part is not None and trust is _Trust.BESIDE:
                continue
            known = True
            self._found.append(library.need(entry.path, because))
            if part is not None:
                self._found += library.use(part, because)
            self._pending.append((entry, trust))
        return known

    def _extending(self) -> Iterator[Finding]:
        """Installed modules below the name of one that is loaded: what frameworks load by names
        that only a run knows. With a require of which nothing is known, all that is installed."""
        rootfs = self.world.rootfs
        for library in self._libraries:
            for module, path in library.added.items():
                owner = self.world.packages.owner(path)
                if module in self._modules or owner is None:
                    continue
                # Debian's section for libraries of Perl; other systems have none.
                is_library = owner.section in ("perl", "")
                asker = self._extended(module) or min(
                    self._dynamic if is_library else (), default=""
                )
                entry = rootfs.lookup(path)
                if asker and entry is not None:
                    self._modules[module] = asker
                    yield library.need(path, asker)
                    self._pending.append((entry, _Trust.BESIDE))

    def _extended(self, module: str) -> str:
        prefix = module.rpartition("::")[0]
        while prefix:
            if prefix in self._modules and any(prefix in lib.added for lib in self._libraries):
                return self._modules[prefix]
            prefix = prefix.rpartition("::")[0]
        return ""

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        for path, line in sorted(self._dynamic.items()):
            yield Problem(
                "dynamic-require",
                Severity.INFO,
                path,
                f"requires what only a run knows (line {line})",
                "kept: the app's own files and every module that a package brought; of the core "
                "library --keep what it may load",
            )
        if self.world.choices.level is not Level.SAFE:
            yield from self._left_out(kept)

    def _left_out(self, kept: KeptPaths) -> Iterator[Problem]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for library in self._libraries:
            for unit, entry in library.left_out(kept):
                found[unit].append(entry)
        if found:
            yield Problem(
                "left-out-by-level",
                Severity.INFO,
                self._libraries[0].home.core[-1],
                f"Perl: left out {', '.join(sorted(found))}",
                "--level safe keeps them, --keep PATH one of them",
                unique_size_bytes(entry for part in found.values() for entry in part),
            )

    def describe(self, entry: Entry) -> str | None:
        if not self.homes or not entry.is_file:
            return None
        if is_interpreter(self.world.rootfs, entry):
            return ", ".join([f"Perl {self.homes[0].version}", *self._frameworks()])
        if entry.is_executable and is_script_for(self.world, entry, "perl"):
            return ", ".join(["Perl script", *self._frameworks()])
        return None

    def _frameworks(self) -> Iterator[str]:
        used = []
        for row in load_table("perl")["framework"]:
            name = row["module"]
            paths = [library.added.get(name) for library in self._libraries]
            if name in self._modules and any(paths):
                owner = next((self.world.packages.owner(path) for path in paths if path), None)
                used.append(f"{name} {owner.version}" if owner is not None else name)
        if used:
            yield f"on {' and '.join(used[:2])}"
