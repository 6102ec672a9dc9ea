"""``npm start`` and its kin: the script of package.json that a package manager runs in the end.

Sources: docs.npmjs.com, scripts (pre and post scripts, the environment), npm-start (``node
server.js`` without a script); classic.yarnpkg.com, yarn run; pnpm.io, pnpm run.
"""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from imgslim.commands import join, locate, resolve_command
from imgslim.model import Finding, Problem, Severity, unique_size_bytes
from imgslim.runtimes.base import KeptPaths
from imgslim.runtimes.node.invoke import ManagerCommand
from imgslim.runtimes.node.packages import FOLDER, Manifest, PackageTree
from imgslim.world import World

_SHELL = "/bin/sh"
_OPERATORS = frozenset("|&;<>()$`\\\"'*?[#~\n")


@dataclass(frozen=True, slots=True)
class Task:
    """What runs in the end: command lines in ``directory`` with ``path`` before PATH; ``words`` is
    what asked for it. Without lines, nothing was found."""

    words: ManagerCommand
    directory: str = ""
    lines: tuple[str, ...] = ()
    main: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Managed:
    task: Task
    manager: str
    because: str


class Tasks:
    """Scripts of package.json files, and the commands of installed packages."""

    def __init__(self, world: World, tree: PackageTree) -> None:
        self._world = world
        self._tree = tree
        self._managed: dict[tuple[str, str, tuple[str, ...]], _Managed] = {}

    def find(self, words: ManagerCommand) -> Task:
        """The script or the installed command that ``words`` name."""
        start = join(self._world.working_dir, words.directory or ".")
        manifest = self._tree.scope(join(self._world.rootfs.resolve(start).path, "-"))
        if words.workspace:
            manifest = self._workspace(words.workspace, manifest) or manifest
        directory = manifest.directory if manifest is not None else start
        path = tuple(self._command_path(directory))
        lines: list[str] = []
        main = ""
        if words.only != "command" and manifest is not None:
            main = self._script(manifest, words)
            if main:
                arguments = shlex.join(words.arguments)
                main = f"{main} {arguments}".strip()
                scripts = manifest.table("scripts")
                around = (scripts.get(f"{when}{words.name}") for when in ("pre", "post"))
                before, after = (s if isinstance(s, str) else "" for s in around)
                lines = [line for line in (before, main, after) if line]
        if not lines and words.name and words.only != "script":
            main = shlex.join((words.name, *words.arguments))
            lines = [main]
        return Task(words, directory, tuple(lines), main, path)

    def _script(self, manifest: Manifest, words: ManagerCommand) -> str:
        script = manifest.table("scripts").get(words.name)
        if isinstance(script, str):
            return script
        server = join(manifest.directory, "server.js")
        is_default = words.kind in ("npm", "pnpm") and words.name == "start"
        return "node server.js" if is_default and self._world.rootfs.lookup(server) else ""

    def _workspace(self, name: str, root: Manifest | None) -> Manifest | None:
        top = root.directory if root is not None else self._world.working_dir
        direct = self._tree.manifest(self._world.rootfs.resolve(join(top, name)).path)
        if direct is not None:
            return direct
        for path in self._world.rootfs.entries:
            inside = path.startswith(f"{top.rstrip('/')}/") and f"/{FOLDER}/" not in path
            if inside and path.endswith("/package.json"):
                manifest = self._tree.manifest(posixpath.dirname(path))
                if manifest is not None and manifest.name == name.strip("."):
                    return manifest
        return None

    def _command_path(self, directory: str) -> Iterator[str]:
        while directory:
            folder = f"{directory}/{FOLDER}/.bin"
            if self._world.rootfs.lookup(folder) is not None:
                yield folder
            directory = directory.rpartition("/")[0]

    def findings(self, task: Task, manager: str, because: str) -> Iterator[Finding]:
        """The command lines of a task as commands of the shell that the manager starts."""
        words = task.words
        key = manager, words.name, words.arguments
        if key in self._managed:
            return
        self._managed[key] = _Managed(task, manager, because)
        if not task.lines:
            yield Problem(
                "script-not-found",
                Severity.WARNING,
                join(task.directory, "package.json"),
                f"{because} has {words.kind} run {words.name}, which is no script there",
                "nothing to keep",
            )
        label = join(task.directory, "package.json") if manager else because
        value = ":".join((*task.path, *self._world.search_path))
        for line in task.lines:
            text = f"cd {shlex.quote(task.directory)} && export PATH={shlex.quote(value)}; {line}"
            yield from resolve_command(self._world, (_SHELL, "-c", text), label)

    @cached_property
    def command_folders(self) -> tuple[str, ...]:
        """Every ``node_modules/.bin``."""
        return tuple(
            path for path in self._world.rootfs.entries if path.endswith(f"/{FOLDER}/.bin")
        )

    def behind_shim(self, path: str) -> str | None:
        """The file that a shell script in ``.bin`` runs (pnpm writes those in place of links);
        None for what is none."""
        entry = self._world.rootfs.get(path)
        folder = posixpath.dirname(path)
        if entry is None or not entry.is_file or not folder.endswith(f"/{FOLDER}/.bin"):
            return None
        text = self._world.rootfs.read_text(path)
        for line in text.splitlines():
            _, found, rest = line.partition('"$basedir/')
            target = self._world.rootfs.lookup(join(folder, rest.partition('"')[0]))
            is_program = target is not None and target.is_file and "/.bin/" not in target.path
            if found and "exec" in line and target is not None and is_program:
                return target.path
        return None

    def described(self, manager: str) -> list[str]:
        """What a package manager's file is asked to run, in a few words."""
        rows = (row for row in self._managed.values() if row.manager == manager)
        return [f"{row.task.words.name}: {row.task.main}" for row in rows if row.task.main]

    def problems(self, kept: KeptPaths) -> Iterator[Problem]:
        """That a package manager stays for nothing but to run a script, and what would do."""
        for row in self._managed.values():
            top = self._tree.top(row.manager)
            if not row.manager or not row.because.startswith("<") or not row.task.main:
                continue
            top = top or posixpath.dirname(posixpath.dirname(row.manager))
            below = self._world.rootfs.walk(top)
            cost = unique_size_bytes(entry for entry in below if entry.path in kept)
            kind = row.task.words.kind
            before = [line for line in row.task.lines if line != row.task.main]
            also = f" (after {'; '.join(before)})" if before else ""
            yield Problem(
                "package-manager",
                Severity.INFO,
                row.manager,
                f"{row.because} has {kind} run {row.task.main}{also}, so {kind} stays",
                f"with {self._instead(row.task)} in its place {kind} goes",
                cost,
            )

    def _instead(self, task: Task) -> str:
        """The instruction that runs a task without its manager."""
        where = (
            "" if task.directory == self._world.working_dir else f"WORKDIR {task.directory} and "
        )
        if len(task.lines) == 1 and not _OPERATORS & set(task.main):
            first, *rest = task.main.split()
            name = self._beside(task, first) or first
            if "=" not in first:
                return f"{where}CMD {json.dumps([name, *rest])}"
        *before, last = task.lines
        plain = not set("&;|") & set(last) and "=" not in last.partition(" ")[0]
        if last == task.main and plain:
            last = f"exec {last}"
        lines = [*before, last]
        if any(self._beside(task, line.partition(" ")[0]) for line in task.lines):
            lines.insert(0, f"export PATH={':'.join(task.path)}:$PATH")
        return f"{where}CMD {json.dumps(['/bin/sh', '-c', ' && '.join(lines)])}"

    def _beside(self, task: Task, word: str) -> str | None:
        """The command of an installed package that a word means: only a manager finds it."""
        if "/" in word or locate(self._world, word) is not None:
            return None
        found = (join(folder, word) for folder in task.path)
        return next((path for path in found if self._world.rootfs.lookup(path)), None)
