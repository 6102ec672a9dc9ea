"""The runtime module of Java: homes, launches, and what the code in an image reaches of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from imgslim.commands import join, word_needs
from imgslim.model import (
    Claim,
    Entry,
    Finding,
    Group,
    Need,
    Problem,
    Scope,
    Severity,
    unique_size_bytes,
)
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.elf.parse import open_file
from imgslim.runtimes.java.archives import DAMAGE, Code
from imgslim.runtimes.java.classfile import MAGIC
from imgslim.runtimes.java.describing import described, found_frameworks, starts_java
from imgslim.runtimes.java.homes import JavaHome, find_homes, home_of
from imgslim.runtimes.java.launch import (
    Launch,
    parse_launch,
    read_argument_file,
    variable_options,
)
from imgslim.runtimes.java.leavings import find_tools, home_claims, source_claims, tool_claims
from imgslim.runtimes.java.modules import module_problem
from imgslim.runtimes.java.parts import Use, home_needs, left_out, part_needs
from imgslim.runtimes.java.reach import (
    Libraries,
    command_findings,
    is_code,
    launch_needs,
    manifest_needs,
    path_findings,
)
from imgslim.runtimes.java.tables import BuildTool, Part, parts
from imgslim.world import World

_T = TypeVar("_T")

_LAUNCHERS = frozenset(("java", "javaw"))
_PAGES = (".jsp", ".jspx", ".jspf", ".tag", ".groovy", ".gsp")
"""Sources that are compiled at run time."""

_LARGEST_PAGE_BYTES = 1 << 20


class JavaRuntime(Runtime):
    """Java homes by the parts that are in use, class paths, and what class files name."""

    name = "java"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._used: dict[str, JavaHome] = {}
        self._granted: set[tuple[str, str]] = set()
        self._programs: set[str] = set()
        self._launches: list[Launch] = []
        self._pending: list[Entry] = []
        self._code = Code()
        self._seen: set[object] = set()
        self._libraries = Libraries(world)

    @cached_property
    def _homes(self) -> tuple[JavaHome, ...]:
        return find_homes(self.world.rootfs)

    @cached_property
    def _by_path(self) -> dict[str, JavaHome]:
        return {home.path: home for home in self._homes}

    @cached_property
    def _tools(self) -> tuple[tuple[str, BuildTool], ...]:
        return tuple(find_tools(self.world)) if self._homes else ()

    @property
    def has_levels(self) -> bool:
        return bool(self._used)

    def claims(self) -> Iterable[Claim]:
        if self._homes:
            yield from home_claims(self.world, self._homes)
            yield from tool_claims(self._tools)
            yield from source_claims(self.world)

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        home = home_of(path, self._homes) if self._homes else None
        if home is None:
            yield from self._tool_needs(path)
            return
        directory, _, name = path.rpartition("/")
        if directory.endswith("/bin"):
            self._programs.add(name)
        if name in _LAUNCHERS:
            yield from self._launch(argv, path, because)

    def _launch(self, argv: Sequence[str], path: str, because: str) -> Iterator[Finding]:
        world = self.world
        launch = parse_launch(argv, variable_options(world), read_argument_file(world))
        self._launches.append(launch)
        if not launch.class_path and not launch.jar:
            # java(1): without -cp the variable, without that the working directory
            value = world.config.env_value("CLASSPATH")
            launch_path = tuple(filter(None, value.split(":"))) if value else ()
            yield from launch_needs(world, Launch((), class_path=launch_path), because)
        yield from launch_needs(world, launch, because)
        yield from word_needs(world, launch.options, because)
        jar = join(world.working_dir, launch.jar) if launch.jar else ""
        if jar and "$" not in jar and world.rootfs.lookup(jar) is None:
            yield Problem(
                "missing-jar",
                Severity.WARNING if because.startswith("<") else Severity.INFO,
                path,
                f"runs the jar {launch.jar}, which is not in the image",
                "nothing to keep; what a mounted jar needs is not known: name it with --keep",
            )

    def _tool_needs(self, path: str) -> Iterator[Finding]:
        """A build tool that the image runs compiles when it starts: it is kept whole."""
        for top, tool in self._tools:
            if path.startswith(f"{top}/"):
                yield Need(top, Group.RUNTIME, tool.unit, path, Scope.TREE)
                yield Problem(
                    "build-tool",
                    Severity.WARNING,
                    path,
                    f"the image runs {tool.unit}, which builds when it starts",
                    "kept the tool; run what it builds instead, and it goes",
                    unique_size_bytes(self.world.rootfs.walk(top)),
                )

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if not self._homes:
            return ()
        if entry.is_directory:
            home = self._by_path.get(entry.path)
            return self._use(home) if home is not None else ()
        is_page = entry.path.endswith(_PAGES) and entry.size_bytes <= _LARGEST_PAGE_BYTES
        if (is_code(entry) or is_page) and home_of(entry.path, self._homes) is None:
            self._pending.append(entry)
        return ()

    def _use(self, home: JavaHome) -> Iterator[Need]:
        if home.path not in self._used:
            self._used[home.path] = home
            yield from home_needs(self.world.rootfs, home, self.world.choices.level)

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        if not self._used and self._pending:
            # Something else starts a machine that nobody saw: code is there, and a home for it.
            for home in self._homes:
                reason = "Java homes beside kept code"
                yield Need(home.path, Group.RUNTIME, reason, self._pending[0].path)
        if not self._used:
            return
        pending, self._pending = self._pending, []
        classes: list[bytes] = []
        for entry in pending:
            yield from self._read(entry, classes)
        self._code.take_callers(classes, "<class files>")
        yield from self._named()
        for home in tuple(self._used.values()):
            yield from self._grant(home)

    def _read(self, entry: Entry, classes: list[bytes]) -> Iterator[Finding]:
        rootfs, code = self.world.rootfs, self._code
        if entry.path.endswith(_PAGES):
            code.take_text(rootfs.read_bytes(entry), entry.path)
        elif entry.path.endswith(".class"):
            data = rootfs.read_bytes(entry)
            if data.startswith(MAGIC):
                code.take_class(data, entry.path)
                classes.append(data)
        else:
            yield from self._read_archive(entry)

    def _read_archive(self, entry: Entry) -> Iterator[Finding]:
        try:
            self._code.take_archive(open_file(self.world.rootfs, entry), entry.path)
        except DAMAGE as error:
            yield Problem(
                "unreadable-archive",
                Severity.INFO,
                entry.path,
                f"cannot be read as a jar ({error}): what its classes need is not known",
                "kept as it is",
            )
        manifest = self._code.manifests.get(entry.path)
        if manifest is not None:
            yield from manifest_needs(self.world, entry.path, manifest)

    def _named(self) -> Iterator[Finding]:
        """What the code read since the last time names outside of itself."""
        world, code = self.world, self._code
        for words, source in self._new(code.commands):
            yield from command_findings(world, words, source)
        for path, source in self._new(code.paths):
            yield from path_findings(world, path, source)
        for name, source in self._new(code.libraries):
            yield from self._libraries.named(name, source)
        for facts, source in self._new(code.natives):
            yield from self._libraries.linked(facts, source.partition("!")[0])

    def _new(self, found: Mapping[_T, str]) -> Iterator[tuple[_T, str]]:
        for key, source in tuple(found.items()):
            if key not in self._seen:
                self._seen.add(key)
                yield key, source

    def _grant(self, home: JavaHome) -> Iterator[Need]:
        """The parts of a home that are asked for by now."""
        options = [option for launch in self._launches for option in launch.options]
        options += variable_options(self.world)
        use = Use(self._programs, options, self._code.classes, self._code.units)
        for part in parts():
            if (home.path, part.unit) in self._granted or not use.asks_for(part):
                continue
            self._granted.add((home.path, part.unit))
            because = self._asker(part, home)
            yield from part_needs(self.world.rootfs, home, part, because)
            target = self._libraries.target_of(home.path)
            if target is not None:
                for soname in part.libraries:
                    yield from self._libraries.opened(soname, target, because)

    def _asker(self, part: Part, home: JavaHome) -> str:
        """The first kept file whose classes ask for a part, for the chain of reasons."""
        named = self._code.classes.items()
        return next(
            (source for name, source in named if part.classes and name.startswith(part.classes)),
            home.path,
        )

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        """What of each home in use was left out, and what its one file of modules holds in vain."""
        rootfs, level = self.world.rootfs, self.world.choices.level
        yield from left_out(rootfs, self._used.values(), level, kept)
        named = [name for launch in self._launches for name in launch.add_modules]
        named += [launch.main.partition("/")[0] for launch in self._launches]
        for home in self._used.values():
            problem = module_problem(rootfs, home, self._code.classes, named)
            if problem is not None:
                yield problem

    def describe(self, entry: Entry) -> str | None:
        if not self._homes or not entry.is_executable:
            return None
        home = home_of(entry.path, self._homes)
        if home is None:
            return self._describe_script(entry)
        directory, _, name = entry.path.rpartition("/")
        if not directory.endswith("/bin"):
            return None
        apps = described(self.world, self._launches, self._code.manifests)
        return ", ".join([_title(home), *(apps if name in _LAUNCHERS else (name,))])

    def _describe_script(self, entry: Entry) -> str | None:
        """A shell script that starts a server whose jars are kept."""
        if not self._used or not starts_java(self.world, entry):
            return None
        found = found_frameworks(self._code.manifests.values())
        homes = [_title(home) for home in self._used.values()]
        return f"script that starts {', '.join([*homes, *found])}" if found else None


def _title(home: JavaHome) -> str:
    words = " ".join(word for word in ("Java", home.version) if word)
    return f"{words} ({home.vendor})" if home.vendor else words
