"""The runtime module of PHP: programs with their settings, composer's packages, sources."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from imgslim.choices import Level
from imgslim.commands import join, resolve_command, split_words, word_needs
from imgslim.model import (
    Claim,
    Command,
    Entry,
    Finding,
    Group,
    Keep,
    Need,
    Problem,
    Scope,
    Severity,
    unique_size_bytes,
)
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.php.composer import (
    INSTALLED,
    Package,
    Project,
    package_claims,
    projects_of,
    without_packages,
)
from imgslim.runtimes.php.configured import Located, program_needs, settings_needs
from imgslim.runtimes.php.programs import (
    Program,
    installed_claims,
    is_program,
    read_program,
)
from imgslim.runtimes.php.settings import Setting
from imgslim.runtimes.php.source import LARGEST_SOURCE_BYTES, Facts, only_defines, read_source
from imgslim.runtimes.php.tables import php_table
from imgslim.runtimes.script import is_script_for
from imgslim.tables import building_commands
from imgslim.world import World

_SUFFIXES = (".php", ".phtml", ".inc", ".phar", ".module", ".install", ".theme")
_PACKAGES = "composer packages"
_OPTIONS_WITH_VALUE = ("-c", "-d", "-z", "-t", "-B", "-R", "-F", "-E", "-S", "-y", "-p", "-g")
_MENTIONS = (b"exec", b"system", b"passthru", b"popen", b"proc_open", b"mail", b"`", b"Process")


class PhpRuntime(Runtime):
    """What PHP needs: its settings, extensions, and the packages that composer installed."""

    name = "php"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._programs: dict[str, Program] = {}
        self._reached: dict[str, set[str]] = {}
        self._sources: list[Entry] = []
        self._names: dict[str, str] = {}
        self._inert: dict[str, bool] = {}

    @cached_property
    def projects(self) -> tuple[Project, ...]:
        return tuple(projects_of(self.world.rootfs))

    @property
    def has_levels(self) -> bool:
        return bool(self._programs) and bool(self.projects)

    @cached_property
    def _package_of(self) -> dict[str, tuple[Project, Package]]:
        return {
            package.directory: (project, package)
            for project in self.projects
            for package in project.packages.values()
        }

    def claims(self) -> Iterable[Claim]:
        yield from installed_claims(self.world)
        for project in self.projects:
            yield from package_claims(project)

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        entry = self.world.rootfs.lookup(path)
        if entry is None or not is_program(self.world, entry):
            return
        program = self._program(entry)
        given, settings = _given(argv)
        if given:
            yield from program_needs(self.world, program, given)
        located = [Located(setting, because) for setting in settings]
        yield from settings_needs(self.world, program, located)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if not entry.is_file:
            return
        if is_program(self.world, entry):
            program = self._program(entry)
            yield from program_needs(self.world, program)
            return
        if self._is_source(entry):
            self._sources.append(entry)
        found = self._owner(entry.path)
        # What autoload loads at every start does not bring the rest of its package.
        if found is not None and entry.path not in found[1].files:
            yield from self._reach(found[0], found[1].name, entry.path)

    def _program(self, entry: Entry) -> Program:
        if entry.path not in self._programs:
            self._programs[entry.path] = read_program(self.world, entry)
        return self._programs[entry.path]

    def _owner(self, path: str) -> tuple[Project, Package] | None:
        if not self._package_of:
            return None
        directory = posixpath.dirname(path)
        while len(directory) > 1:
            found = self._package_of.get(directory)
            if found is not None:
                return found
            directory = posixpath.dirname(directory)
        return None

    def _is_source(self, entry: Entry) -> bool:
        if entry.size_bytes > LARGEST_SOURCE_BYTES:
            return False
        if entry.path.endswith(_SUFFIXES):
            return True
        return entry.is_executable and is_script_for(self.world, entry, "php")

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        if not self._programs:
            return
        if self.world.choices.level is Level.SAFE:
            for claim in installed_claims(self.world):
                if claim.origin.unit in ("PHP", "PEAR"):
                    because = next(iter(self._programs))
                    yield Need(
                        claim.path, Group.RUNTIME, claim.origin.unit, because, claim.scope, True
                    )
        sources, self._sources = self._sources, []
        for entry in sources:
            yield from self._source(entry)
        for project in self.projects:
            yield from self._project(project)

    def _project(self, project: Project) -> Iterator[Finding]:
        """The packages of production; those for development where the user's sources name them."""
        everything = self.world.choices.level is Level.SAFE
        wanted = {
            name
            for name, package in project.packages.items()
            if everything or not package.for_development
        }
        for name, package in project.packages.items():
            if self._named(project, package) or not self._is_inert(package):
                wanted.add(name)
        because = f"{project.vendor}{INSTALLED}"
        for name in sorted(project.closure(wanted)):
            yield from self._reach(project, name, because)
        for package in project.packages.values():
            for path in package.files:
                yield Need(
                    path, Group.DEPENDENCY, "files that autoload loads", because, optional=True
                )

    def _is_inert(self, package: Package) -> bool:
        """Whether what every start loads of a package needs nothing more of it."""
        for path in package.files:
            entry = self.world.rootfs.lookup(path)
            if entry is not None and entry.is_file and path not in self._inert:
                data = self.world.rootfs.read_bytes(entry, LARGEST_SOURCE_BYTES)
                self._inert[path] = only_defines(data)
        return all(self._inert.get(path, True) for path in package.files)

    def _named(self, project: Project, package: Package) -> str:
        prefixes = tuple(prefix.lower().rstrip("\\") for prefix in package.prefixes if prefix)
        for name, because in self._names.items():
            if project.class_map.get(name) == package.name:
                return because
            if any(name == prefix or name.startswith(f"{prefix}\\") for prefix in prefixes):
                return because
        return ""

    def _reach(self, project: Project, name: str, because: str) -> Iterator[Finding]:
        known = self._reached.setdefault(project.vendor, set())
        for each in sorted(project.closure([name]) - known):
            known.add(each)
            yield from self._package(project, project.packages[each], because)

    def _package(self, project: Project, package: Package, because: str) -> Iterator[Need]:
        rootfs, reason = self.world.rootfs, f"composer package {package.name} {package.version}"
        for child in rootfs.children(package.directory):
            path = f"{package.directory}/{child}"
            if not self._is_aside(package, path):
                yield Need(path, Group.DEPENDENCY, reason, because, Scope.TREE, optional=True)
        for program in package.programs:
            shim = f"{project.vendor}/bin/{posixpath.basename(program)}"
            yield Need(shim, Group.DEPENDENCY, reason, because, optional=True)

    def _is_aside(self, package: Package, path: str) -> bool:
        if self.world.choices.level is Level.SAFE:
            return False
        if posixpath.basename(path) not in php_table().left_out:
            return False
        return not any(f"{mapped}/".startswith(f"{path}/") for mapped in package.mapped)

    def _source(self, entry: Entry) -> Iterator[Finding]:
        """Names of classes, files of the include path, programs."""
        path, world = entry.path, self.world
        is_packaged = world.packages.owner(path) is not None
        is_own = not is_packaged and self._owner(path) is None and f"/{_VENDOR}/" not in path
        data = world.rootfs.read_bytes(entry)
        if not is_own and not any(word in data for word in (*_MENTIONS, b"/autoload.php")):
            return
        facts = read_source(data)
        if is_own and self._is_of_a_project(path):
            for name in facts.names:
                self._names.setdefault(name.lower(), path)
        yield from self._included(facts, path)
        if facts.starts and not is_packaged:
            yield from self._started(facts, path, is_own=is_own)

    def _is_of_a_project(self, path: str) -> bool:
        """Whether a source runs with the packages of a project: it is not of its tests, nor of
        another project (a copy of a package) that is not installed."""
        tops = [top for project in self.projects for top in project.development_sources]
        if any(path.startswith(f"{top}/") for top in tops):
            return False
        scope = self._scope(posixpath.dirname(path))
        return not scope or any(project.root == scope for project in self.projects)

    def _scope(self, directory: str) -> str:
        """The nearest directory that has a composer.json; "" for none."""
        while len(directory) > 1:
            if self.world.rootfs.get(f"{directory}/composer.json") is not None:
                return directory
            directory = posixpath.dirname(directory)
        return ""

    def _included(self, facts: Facts, path: str) -> Iterator[Need]:
        tops = [top for program in self._programs.values() for top in program.includes]
        for name in sorted(facts.includes):
            for top in dict.fromkeys((posixpath.dirname(path), self.world.working_dir, *tops)):
                where = join(top, name)
                if name and self.world.rootfs.lookup(where) is not None:
                    yield Need(where, Group.DEPENDENCY, "files that PHP includes", path)
                    break

    def _started(self, facts: Facts, path: str, *, is_own: bool) -> Iterator[Finding]:
        """Command lines that are literal, and programs of which a string begins with the name."""
        yield Need(
            "/bin/sh", Group.PROGRAM, "shell of PHP's program execution", path, optional=True
        )
        building = building_commands()
        found: set[str] = set()
        for line, is_whole in sorted(facts.commands):
            words = split_words(line)
            if words and (is_own or words[0] not in building):
                found.add(words[0])
                if is_whole:
                    yield from resolve_command(self.world, ("/bin/sh", "-c", line), path)
                yield from resolve_command(self.world, words, path)
                yield from word_needs(self.world, words[1:], path)
        for word in sorted(facts.strings - building - found):
            yield from resolve_command(self.world, (word,), path)

    def arrange(
        self, keeps: tuple[Keep, ...], commands: Iterable[Command]
    ) -> tuple[tuple[Keep, ...], tuple[Problem, ...]]:
        """Composer's list of what is installed, less the packages that are left out."""
        lists = {
            f"{project.vendor}{INSTALLED}": left
            for project in self.projects
            if (left := self._left_out(project))
        }
        if not self._programs or not lists:
            return keeps, ()
        return tuple(self._listed(keep, lists.get(keep.entry.path)) for keep in keeps), ()

    def _listed(self, keep: Keep, left: set[str] | None) -> Keep:
        if left is None:
            return keep
        data = self.world.rootfs.read_bytes(keep.entry)
        return replace(keep, content=without_packages(data, left))

    def _left_out(self, project: Project) -> set[str]:
        return set(project.packages) - self._reached.get(project.vendor, set())

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        if not self._programs:
            return
        yield from self._left_programs(kept)
        for project in self.projects:
            left = sorted(self._left_out(project))
            if left:
                entries = [
                    entry
                    for name in left
                    for entry in self.world.rootfs.walk(project.packages[name].directory)
                    if entry.path not in kept
                ]
                yield Problem(
                    "left-out-by-level",
                    Severity.INFO,
                    project.vendor,
                    f"left out what composer installed for development: {', '.join(left)}",
                    "--level safe keeps all, --keep 'DIRECTORY/**' one of them",
                    unique_size_bytes(entries),
                )

    def _left_programs(self, kept: KeptPaths) -> Iterator[Problem]:
        claimed = [self.world.rootfs.entries[claim.path] for claim in installed_claims(self.world)]
        left = [e for e in claimed if e.path not in kept and is_program(self.world, e)]
        if left:
            yield Problem(
                "left-out-by-level",
                Severity.INFO,
                left[0].path,
                f"left out programs of PHP that nothing runs: {', '.join(e.path for e in left)}",
                f"--also-run {posixpath.basename(left[0].path)} keeps one, as for docker exec",
                unique_size_bytes(left),
            )

    def describe(self, entry: Entry) -> str | None:
        if is_program(self.world, entry):
            program = self._program(entry) if entry.path in self._programs else None
            program = program or read_program(self.world, entry)
            apps = [app for project in self.projects if (app := _app_label(project))]
            sapi = "FPM" if program.is_fpm else ""
            parts = [f"PHP {program.version} {sapi}".strip(), *apps[:2]]
            return ", ".join(parts)
        if entry.is_file and (entry.path.endswith(".php") or self._is_script(entry)):
            return "PHP script"
        return None

    def _is_script(self, entry: Entry) -> bool:
        return entry.is_executable and self._is_source(entry)


_VENDOR = "vendor"


def _app_label(project: Project) -> str:
    """The project's name and the frameworks that it has."""
    name = project.manifest.get("name")
    frameworks = [
        f"{label} {project.packages[package].version}"
        for package, label in php_table().frameworks.items()
        if package in project.packages
    ]
    on = f" on {' and '.join(frameworks)}" if frameworks else ""
    return f"app {name}{on}" if isinstance(name, str) else on.strip()


def _given(argv: Sequence[str]) -> tuple[str, list[Setting]]:
    """The php.ini and the settings that a command line gives (php.net, "Command line options")."""
    given, settings, rest = "", [], list(argv[1:])
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        option, value = word[:2], word[2:]
        if option in _OPTIONS_WITH_VALUE and not value and rest:
            value = rest.pop(0)
        if option == "-c":
            given = value
        elif option == "-d":
            key, _, setting = value.partition("=")
            settings.append(Setting(key.strip().lower(), setting.strip("\"' ")))
    return given, settings
