"""The runtime module of Node.js: interpreters, apps, npm packages, package managers."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from imgslim.commands import join, name_of
from imgslim.model import Claim, Entry, Finding, Group, Need, Problem, Severity
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.node.closure import NodeClosure, is_node_script
from imgslim.runtimes.node.doubts import closing_problems
from imgslim.runtimes.node.invoke import (
    ManagerCommand,
    NodeCommand,
    manager_of,
    parse_manager_argv,
    parse_node_argv,
    parse_node_options,
)
from imgslim.runtimes.node.layout import (
    app_label,
    claims_of,
    is_interpreter,
    is_other_runtime,
    version_of,
)
from imgslim.runtimes.node.managers import Task, Tasks
from imgslim.runtimes.node.packages import FOLDER, is_manager, is_third_party
from imgslim.runtimes.node.resolve import Target
from imgslim.runtimes.node.source import read_source
from imgslim.runtimes.node.tables import node_table
from imgslim.runtimes.node.units import is_code
from imgslim.world import World

_MENTION = b"node_modules"
_LARGEST_TEXT_BYTES = 256 << 10


class NodeRuntime(Runtime):
    """What Node.js programs need: derived from their sources, manifests and packages."""

    name = "node"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.closure = NodeClosure(world)
        self.tasks = Tasks(world, self.closure.tree)
        self._interpreters: dict[str, str] = {}
        self._started = False
        self._apps: dict[str, None] = {}
        self._scopes: dict[str, str] = {}
        self._others = False
        self._mentions: list[Entry] = []
        self._any = any(f"/{FOLDER}/" in path for path in world.rootfs.entries)

    @property
    def has_levels(self) -> bool:
        return bool(self.closure.packages or self.closure.left)

    def claims(self) -> Iterable[Claim]:
        return claims_of(self.world, self.closure.tree)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if entry.is_directory:
            return ()
        path = entry.path
        if is_interpreter(self.world, entry):
            self._interpreters.setdefault(path, path)
        elif is_third_party(path):
            self._take_third_party(entry)
        elif entry.is_symlink:
            target = self.world.rootfs.lookup(path)
            if target is not None and is_third_party(target.path):
                self._take_third_party(target)
        elif entry.is_file and self.closure.is_own(path):
            self._take_own(entry)
        return ()

    def _take_own(self, entry: Entry) -> None:
        if is_code(entry.path) or entry.path.endswith("/package.json"):
            self.closure.take_own(entry)
        elif not self._any:
            return
        elif entry.is_executable and is_node_script(self.world, entry):
            self.closure.take_own(entry)
        elif is_other_runtime(self.world, entry):
            self._others = True
        elif entry.size_bytes <= _LARGEST_TEXT_BYTES and _may_mention(entry.path):
            self._mentions.append(entry)

    def _take_third_party(self, entry: Entry) -> None:
        """Something else needs a file of a package: it is reached with what it depends on."""
        top = self.closure.tree.top(entry.path)
        name = top.rpartition("/")[2]
        is_package = name != ".bin" and name not in node_table().clutter and not is_manager(top)
        if top and not entry.is_symlink and is_package:
            self.closure.reach(top, entry.path)

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        entry = self.world.rootfs.lookup(path)
        if entry is None or not argv:
            return
        manager = manager_of(argv[0])
        if is_interpreter(self.world, entry):
            yield from self._node(parse_node_argv(argv), because)
        elif manager is not None:
            yield from self._manage(parse_manager_argv(manager, argv), path, because)
        elif is_third_party(path):
            yield from self._package_program(argv, path, because)
        elif is_node_script(self.world, entry):
            self._run(Target(path, path), because)
            self._hint_files(argv[1:], because)

    def _node(self, command: NodeCommand, because: str) -> Iterator[Finding]:
        directory = self.world.working_dir
        self.closure.flags.update(command.flags)
        for module in command.modules:
            self._preload(module, because)
        if command.code:
            self._code(command.code, because)
        if command.task:
            words = ManagerCommand("node", command.task, command.arguments, only="script")
            yield from self._task(self.tasks.find(words), "", because)
        manager = manager_of(command.script) if command.script else None
        if manager is not None and is_third_party(self.world.rootfs.resolve(command.script).path):
            words = parse_manager_argv(manager, (command.script, *command.arguments))
            yield from self._manage(words, self.world.rootfs.resolve(command.script).path, because)
        elif command.script and "$" not in command.script:
            targets = list(self.closure.resolver.load(join(directory, command.script)))
            # An entrypoint that hands node what is no command asks for one or the other.
            if not targets and self.world.which(command.script) is None:
                yield _missing(command.script, because)
            for target in targets:
                if is_third_party(target.path):
                    yield from self._package_program(
                        (target.asked, *command.arguments), target.path, because
                    )
                else:
                    self._run(target, because)
            self._hint_files(command.arguments, because)

    def _preload(self, module: str, because: str) -> None:
        origin = join(self.world.working_dir, "-")
        for target in self.closure.resolver.resolve(module, origin):
            self._run(target, because)

    def _code(self, code: str, because: str) -> None:
        facts = read_source(code.encode("utf-8", "surrogateescape"), ".js")
        origin = join(self.world.working_dir, "[eval]")
        for value, _ in facts.modules:
            for target in self.closure.resolver.resolve(value.text, origin):
                self._run(target, because)

    def _run(self, target: Target, because: str) -> None:
        self._started = True
        self.closure.load(target, because)
        scope = self.closure.tree.scope(target.path)
        if scope is not None and not is_third_party(target.path):
            self._apps[scope.directory] = None

    def _package_program(self, argv: Sequence[str], path: str, because: str) -> Iterator[Finding]:
        """A program of a package: it runs files of the app that its arguments name, or what it
        finds in the working directory."""
        self._started = True
        target = self.tasks.behind_shim(path) or path
        self.closure.sparing.note(self.closure.tree.scope(target), argv[1:])
        self.closure.load(Target(target, target), because)
        yield Need(target, Group.PROGRAM, "programs of npm packages", because)
        if is_manager(self.closure.tree.top(path)):
            return
        if not self._hint_files(argv[1:], because):
            directory = self.world.working_dir
            scope = self.closure.tree.scope(join(directory, "-"))
            top = scope.directory if scope is not None else directory
            self._apps[top] = None
            if top not in ("", "/") or scope is not None:
                self._scopes[top] = because

    def _hint_files(self, words: Iterable[str], because: str) -> bool:
        """Whether words name sources of the app; they run, or are the settings of what runs."""
        found = False
        for word in words:
            place = join(self.world.working_dir, word.rpartition("=")[2])
            entry = self.world.rootfs.lookup(place) if "$" not in word else None
            if entry is None or not entry.is_file or not self.closure.is_own(entry.path):
                continue
            if is_code(entry.path):
                found = True
                self._run(Target(place, entry.path), because)
            elif entry.path.endswith(".json"):
                found = True
                self.closure.read_settings(entry.path)
        return found

    def _manage(self, words: ManagerCommand, path: str, because: str) -> Iterator[Finding]:
        if is_third_party(path):
            self.closure.load(Target(path, path), because)
        if words.own:
            return
        yield from self._task(self.tasks.find(words), path, because)

    def _task(self, task: Task, manager: str, because: str) -> Iterator[Finding]:
        if task.directory:
            self._apps[task.directory] = None
            self.closure.count(task.directory)
        yield from self.tasks.findings(task, manager, because)

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        if not self._any and not self._interpreters:
            return
        for value, because in self._node_options():
            options = parse_node_options(value)
            self.closure.flags.update(options.flags)
            for module in options.modules:
                self._preload(module, because)
        for top, because in self._scopes.items():
            self.closure.run_scope(top, because)
        self._read_mentions()
        idle = self._interpreters and not self._started and not self.closure.running
        if idle or self._others:
            self.closure.count_all()
        yield from self.closure.drain()
        yield from self._links(kept)

    def _node_options(self) -> Iterator[tuple[str, str]]:
        for name, value, because in self.world.variables:
            if name == "NODE_OPTIONS" and self._interpreters:
                yield value, because

    def _read_mentions(self) -> None:
        """Files of other languages that name packages: a web server's settings, templates."""
        mentions, self._mentions = self._mentions, []
        for entry in mentions:
            data = self.world.rootfs.read_bytes(entry)
            if _MENTION in data and b"\0" not in data:
                self.closure.read_mention(entry.path, data.decode("utf-8", "replace"))

    def _links(self, kept: KeptPaths) -> Iterator[Need]:
        """The commands of packages that are kept (``node_modules/.bin``)."""
        for folder in self.tasks.command_folders:
            for name in self.world.rootfs.children(folder):
                link = f"{folder}/{name}"
                target = self.tasks.behind_shim(link) or self.world.rootfs.resolve(link).path
                if target != link and target in kept and link not in kept:
                    yield Need(link, Group.DEPENDENCY, "commands of npm packages", target)

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        if self._any or self._interpreters:
            yield from self.tasks.problems(kept)
            yield from closing_problems(self.world, self.closure, kept)

    def describe(self, entry: Entry) -> str | None:
        if is_interpreter(self.world, entry):
            return ", ".join([self._node_label(entry.path), *self._app_labels()])
        if not entry.is_file:
            return None
        runs = is_node_script(self.world, entry)
        third_party = is_third_party(entry.path)
        if not runs and not (third_party and is_code(entry.path)):
            return None
        manifest = self.closure.tree.scope(entry.path)
        parts = ["Node.js script"]
        if manifest is not None:
            where = "npm package" if third_party else "app"
            parts = [f"{name_of(entry.path)} of {where} {manifest.label}"]
        tasks = self.tasks.described(entry.path)
        if tasks or third_party:
            parts += [*tasks, *map(self._node_label, self._interpreters), *self._app_labels()]
        return ", ".join(parts)

    def _node_label(self, path: str) -> str:
        return f"Node.js {version_of(self.world, path)}".strip()

    def _app_labels(self) -> list[str]:
        return [label for top in self._apps if (label := app_label(self.closure.tree, top))]


def _may_mention(path: str) -> bool:
    name = posixpath.basename(path)
    return not any(fnmatchcase(name, pattern) for pattern in node_table().unread)


def _missing(script: str, because: str) -> Problem:
    return Problem(
        "module-not-found",
        Severity.WARNING,
        "",
        f"{because} has Node.js run {script}, which is not in the image",
        "nothing to keep",
    )
