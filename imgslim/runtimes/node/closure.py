"""The closure of a Node.js app: what its sources name, over the packages that are reached."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from imgslim.choices import Level
from imgslim.commands import join
from imgslim.model import Entry, Finding, Group, Need
from imgslim.runtimes.node.locks import development_packages
from imgslim.runtimes.node.packages import is_third_party, package_name
from imgslim.runtimes.node.programs import program_findings
from imgslim.runtimes.node.reach import PackageClosure
from imgslim.runtimes.node.resolve import Target, is_bare, is_path
from imgslim.runtimes.node.source import Facts, read_source
from imgslim.runtimes.node.tables import node_table
from imgslim.runtimes.node.units import is_code
from imgslim.runtimes.node.values import CWD, Value
from imgslim.runtimes.script import is_script_for
from imgslim.world import World

_MENTIONED = re.compile(r"node_modules/((?:@[\w.-]+/)?[\w.-]+)")


class NodeClosure(PackageClosure):
    """Packages and sources that are reached, and the needs that follow from them."""

    @cached_property
    def development(self) -> Mapping[str, str]:
        """``locks.development_packages`` of the image."""
        return development_packages(self.world.rootfs)

    def run_scope(self, directory: str, because: str) -> None:
        """A program of a package runs on the app in ``directory``: it may load all its sources,
        but for tests and the settings of other tools."""
        rows = [r for r in node_table().left_out if r.what in ("tests", "settings of tools")]
        self.count(directory)
        for path in sorted(self._own):
            place = path.removeprefix(f"{directory.rstrip('/')}/")
            if place != path and not any(row.paths.fullmatch(place) for row in rows):
                self.load(Target(path, path), because)

    def drain(self) -> Iterator[Finding]:
        """What has been found since the last time."""
        worked = False
        while self._work or self._own.keys() - self._seen_own:
            worked = True
            if self._work:
                kind, path = self._work.popleft()
                {
                    "file": self._file,
                    "package": self._package,
                    "entries": self._entries,
                    "manifest": self._manifest,
                }[kind](path)
            else:
                self._others()
        for directory in [] if self._level is not Level.SAFE else tuple(self._manifests):
            self.count(directory)
        self._reconsider()
        if worked:
            self._load_spelled()
        if self._work:
            yield from self.drain()
        found, self._found = self._found, []
        yield from found

    def facts(self, path: str) -> Facts:
        """What a source says; nothing for what is none."""
        entry = self.world.rootfs.get(path)
        if entry is None or not entry.is_file:
            return Facts()
        extension = posixpath.splitext(path)[1]
        if extension and not is_code(path):
            return Facts()
        is_script = not extension and path in self.running  # bin/www
        if not is_code(path) and not is_script and not is_node_script(self.world, entry):
            return Facts()
        return read_source(self.world.rootfs.read_bytes(entry), extension)

    def read_settings(self, path: str) -> None:
        """A JSON file that a command line names: its strings are files and packages."""
        entry = self.world.rootfs.get(path)
        value = None if entry is None else self.world.rootfs.read_json(entry)
        self._strings([(text, 0) for text in _strings_in(value)], path)

    def read_mention(self, path: str, text: str) -> None:
        """A file of the user's in another language that names ``node_modules``."""
        directory = posixpath.dirname(path)
        named = dict.fromkeys(_MENTIONED.findall(text))
        for name in named:
            for start in (directory, *self._manifests):
                if self.name(name, start, path):
                    break
        if not named:
            self.count_all()

    def _file(self, path: str) -> None:
        own = self.is_own(path)
        if own:
            self._seen_own.add(path)
            self.count(posixpath.dirname(path))
        elif not self.tree.top(path):
            return
        facts = self.facts(path)
        self._modules(facts, path, running=True)
        for value, line in facts.files:
            self._file_value(value, path, line, running=True)
        self._found += program_findings(self.world, path, facts.starts, own=own)
        if own and posixpath.basename(path) not in node_table().records:
            self._strings(facts.strings.items(), path)
        if self._is_tight:
            self._keep_in_mind(facts, path)
        if facts.dynamic:
            self.dynamic[path] = facts.dynamic[0]
            if not own:
                self._all_of(self.tree.top(path))

    def _keep_in_mind(self, facts: Facts, path: str) -> None:
        """The strings of a source that may be specifiers of installed packages."""
        self._spelled += [
            (text, path, line)
            for text, line in facts.strings.items()
            if is_bare(text) and package_name(text)[0] in self.units.names
        ]

    def _load_spelled(self) -> None:
        """Strings that lead to a module of a package which is reached anyway: sources hand such
        names to functions that load them (next's table of ``resolve("styled-jsx/style")``, where
        ``resolve`` is ``require.resolve`` by another name)."""
        waiting, self._spelled = self._spelled, []
        for text, path, line in waiting:
            targets = self.resolver.resolve(text, path)
            if all(self.tree.top(target.path) in self.packages for target in targets):
                for target in targets:
                    self.load(target, path, line)
            else:
                self._spelled.append((text, path, line))

    def _others(self) -> None:
        """The user's sources that are not known to run: they may, but not with what only
        development needs."""
        for path in sorted(self._own.keys() - self._seen_own):
            self._seen_own.add(path)
            facts = self.facts(path)
            self._modules(facts, path, running=False)
            for value, line in facts.files:
                self._file_value(value, path, line, running=False)
            self._found += program_findings(self.world, path, facts.starts, own=True)

    def _modules(self, facts: Facts, path: str, *, running: bool) -> None:
        for value, line in facts.modules:
            if value.based:
                self._module_path(value, path, line, running=running)
            elif not value.complete:
                self._prefix(value.text, path, line, running=running)
            else:
                self._specifier(value.text, path, line, running=running)

    def _specifier(self, text: str, path: str, line: int, *, running: bool) -> None:
        names_package = is_bare(text)
        name, _ = package_name(text)
        directory = posixpath.dirname(path)
        if names_package and self._goes_without(name, path, running=running):
            return
        targets = self.resolver.resolve(text, path)
        for target in targets:
            if running or self.tree.top(target.path):
                self.load(target, path, line)
        if names_package and targets:
            self._link(name, directory, path, line)
        if running and not targets and names_package and "!" not in text:
            self.missing.setdefault(text, (path, line))

    def _goes_without(self, name: str, path: str, *, running: bool) -> bool:
        """Whether a package that a source names is one that a run does not have."""
        if not running:
            return self._is_for_tools(name, posixpath.dirname(path))
        return self._does_without(name, path)

    def _link(self, name: str, directory: str, because: str, line: int) -> None:
        """The way to a package, which may lead through a link (pnpm, workspaces)."""
        for place in self.tree.find(name, directory)[:1]:
            need = Need(place, Group.DEPENDENCY, self._reason(place), because, line=line)
            self._found.append(need)

    def _module_path(self, value: Value, path: str, line: int, *, running: bool) -> None:
        for place in self._places(value, path):
            found = list(self.resolver.load(place)) if value.complete else []
            for target in found:
                if running or self.tree.top(target.path):
                    self.load(target, path, line)
            if not found and place.strip("/"):
                self._directory(place, path, line, running=running)

    def _prefix(self, text: str, path: str, line: int, *, running: bool) -> None:
        """A specifier of which the beginning is known."""
        directory = posixpath.dirname(path)
        if is_path(text):
            self._directory(join(directory, text), path, line, running=running)
            return
        name, subpath = package_name(text)
        if subpath or (text.count("/") == (2 if text.startswith("@") else 1)):
            self.name(name, directory, path, line)
            for place in self.tree.find(name, directory)[:1]:
                self._directory(join(place, subpath or "."), path, line, running=running)
            return
        for candidate in self._named_like(text, directory):
            if not self._goes_without(candidate, path, running=running):
                self.name(candidate, directory, path, line)

    def _named_like(self, prefix: str, directory: str) -> Iterator[str]:
        scope, _, start = prefix.rpartition("/")
        for place in self.tree.find(scope, directory) if scope else self._folders(directory):
            entry = self.world.rootfs.lookup(place)
            for child in self.world.rootfs.children(entry.path) if entry is not None else ():
                if child.startswith(start) and start:
                    yield f"{scope}/{child}" if scope else child

    def _folders(self, directory: str) -> Iterator[str]:
        while directory:
            yield f"{directory}/node_modules"
            directory = directory.rpartition("/")[0]

    def _directory(self, place: str, path: str, line: int, *, running: bool) -> None:
        """Whatever lies in a directory, or starts with a name there, may be loaded."""
        for entry in self._entries_at(place):
            top = self.tree.top(entry.path)
            wanted = running and entry.path in self._own
            if top:
                wanted = top not in self.packages or self._is_loose(entry, top)
            if wanted:
                self.load(Target(entry.path, entry.path), path, line)

    def _is_loose(self, entry: Entry, top: str) -> bool:
        """Whether a file of a package that is reached is kept only if something loads it."""
        if not self._is_tight or not is_code(entry.path):
            return False
        return entry.path not in self._left_paths(top)

    def _entries_at(self, place: str) -> Iterable[Entry]:
        rootfs = self.world.rootfs
        place = posixpath.normpath(place)
        entry = rootfs.lookup(place)
        if entry is not None and entry.is_directory:
            tops = (
                [entry.path] if entry.path.count("/") > 1 or entry.path in self._manifests else []
            )
        else:
            parent, _, start = place.rpartition("/")
            folder = rootfs.lookup(parent) if parent else None
            names = rootfs.children(folder.path) if folder is not None else ()
            tops = [f"{folder.path}/{n}" for n in names if folder and start and n.startswith(start)]
        for top in tops:
            inside = is_third_party(top)
            for each in rootfs.walk(top):
                if each.is_file and (inside or not is_third_party(each.path)):
                    yield each

    def _places(self, value: Value, path: str) -> Iterator[str]:
        text = value.text.removesuffix("/__filename")
        if value.base == CWD:
            scope = self.tree.scope(path)
            tops = [self.world.working_dir, *([scope.directory] if scope is not None else [])]
        else:
            tops = [posixpath.dirname(path)]
        for top in dict.fromkeys(tops):
            yield posixpath.normpath(f"{top}/{text}")

    def _file_value(self, value: Value, path: str, line: int, *, running: bool) -> None:
        """A file that a source names: read, served, or run in a worker."""
        if not value.based and not value.text.startswith("/"):
            value = Value(f"/{value.text}", value.complete, CWD)
        for place in self._places(value, path) if value.based else (value.text,):
            entry = self.world.rootfs.lookup(place)
            if entry is not None and entry.is_file:
                if running or self.tree.top(entry.path):
                    self.load(Target(place, entry.path), path, line)
            elif is_third_party(f"{place}/") or is_third_party(path):
                self._directory(place, path, line, running=False)

    def _strings(self, strings: Iterable[tuple[str, int]], path: str) -> None:
        """Strings of a source that runs: names of packages and files that others load by them."""
        directory = posixpath.dirname(path)
        for text, line in strings:
            if not text or " " in text or "\n" in text:
                continue
            if "node_modules/" in text:
                rest = text.rpartition("node_modules/")[2]
                self._prefix(f"{rest.rstrip('/')}/", path, line, running=True)
            elif is_code(text) or text.endswith(".json"):
                for place in (join(directory, text), join(self.world.working_dir, text)):
                    entry = self.world.rootfs.lookup(posixpath.normpath(place))
                    if entry is not None and entry.path in self._own:
                        self.load(Target(entry.path, entry.path), path, line)
            elif is_bare(text):
                self.name(package_name(text)[0], directory, path, line)


def is_node_script(world: World, entry: Entry) -> bool:
    """Whether a file's first line says that Node.js runs it."""
    return is_script_for(world, entry, "node", "tsx")


def _strings_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings_in(each)
