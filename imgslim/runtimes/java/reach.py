"""From what class files name to what an image has: programs, libraries, files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from urllib.parse import unquote

from imgslim.commands import existing_paths, is_system_directory, join, locate, resolve_command
from imgslim.model import Entry, Finding, Group, Need, Scope
from imgslim.runtimes.elf import ElfFacts, elf_facts
from imgslim.runtimes.elf.loader import Loader
from imgslim.runtimes.elf.places import Target
from imgslim.runtimes.java.archives import ARCHIVES
from imgslim.runtimes.java.launch import Launch
from imgslim.runtimes.java.tables import library_directories
from imgslim.tables import load_table
from imgslim.world import World

_CLASS_PATH = "class path"
_NAMED = "files named in class files"
_LIBRARIES = "native libraries of class files"
_FIRST_WORD = re.compile(r"\s*(?:\w+=\S*\s+)*([\w./+-]+)")
_NAME_OF_LIBRARY = re.compile(r"lib(.+?)\.so(?:\.[\d.]+)?")
_OWN_TREE_DEPTH = 3
"""A directory at least this deep is a program's own; /usr/share or /var/lib is a place."""


def command_findings(world: World, words: Sequence[str], because: str) -> Iterator[Finding]:
    """A command that a class may start; nothing where its program is not in the image."""
    inner = words[-1] if words[1:2] == ("-c",) else ""
    first = _FIRST_WORD.match(inner)
    if inner and (first is None or locate(world, first[1]) is None):
        return
    yield from resolve_command(world, words, because)


def path_findings(world: World, text: str, because: str) -> Iterator[Finding]:
    """A path that a class names: a program may be started, a directory is read as a whole."""
    for path in existing_paths(world.rootfs, text):
        entry = world.rootfs.lookup(path)
        if entry is None or _is_ignored(path) or _is_ignored(entry.path):
            continue
        if entry.is_executable:
            yield from resolve_command(world, (path,), because)
        elif not entry.is_directory:
            yield Need(path, Group.SYSTEM, _NAMED, because, optional=True)
        elif not is_system_directory(entry):
            scope = Scope.PATH if _is_place(entry) else Scope.TREE
            yield Need(path, Group.SYSTEM, _NAMED, because, scope, optional=True)


def launch_needs(world: World, launch: Launch, because: str) -> Iterator[Need]:
    """The class path, module path, agents, argument files and library path of a start."""
    for name in (*launch.agents, *launch.argument_files, *filter(None, [launch.jar])):
        path = join(world.working_dir, name)
        yield Need(path, Group.APP, _CLASS_PATH, because, optional=True)
    for part in (*launch.class_path, *launch.module_path):
        yield from path_element_needs(world, join(world.working_dir, part), because)
    for part in launch.library_path:
        yield from _tree(world, join(world.working_dir, part), _LIBRARIES, because)


def path_element_needs(world: World, path: str, because: str) -> Iterator[Need]:
    """One element of a class path (java(1), "-cp"): a jar, a directory of classes, or with ``/*``
    all jars of a directory."""
    rootfs = world.rootfs
    if path.endswith("/*"):
        top = path[:-2] or "/"
        directory = rootfs.resolve(top).path
        for name in rootfs.children(directory):
            if name.lower().endswith(".jar"):
                yield Need(f"{top}/{name}", Group.APP, _CLASS_PATH, because, optional=True)
        return
    yield from _tree(world, path, _CLASS_PATH, because)


def _tree(world: World, path: str, reason: str, because: str) -> Iterator[Need]:
    """A path; a directory with all below it, unless that is one of the system's own. Of a
    directory of modules (a module path) the jars are what lies in it as well."""
    entry = world.rootfs.lookup(path)
    if entry is not None and entry.path != "/":
        whole = entry.is_directory and not is_system_directory(entry)
        scope = Scope.TREE if whole else Scope.PATH
        yield Need(path, Group.APP, reason, because, scope, optional=True)


def manifest_needs(world: World, path: str, manifest: Mapping[str, str]) -> Iterator[Need]:
    """``Class-Path`` of a jar: URLs from where it lies, as it is called and as it really is
    (JAR File Specification, "Class-Path")."""
    for url in manifest.get("Class-Path", "").split():
        name = unquote(url.removeprefix("file:"))
        element = posixpath.normpath(join(posixpath.dirname(path), name))
        yield from path_element_needs(world, element, path)


class Libraries:
    """Native libraries: by the names that code loads them by, and those that others link."""

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def _loader(self) -> Loader:
        value = self._world.config.env_value("LD_LIBRARY_PATH")
        return Loader(
            self._world.rootfs, self._world.working_dir, value.split(":") if value else ()
        )

    @cached_property
    def _by_name(self) -> Mapping[str, Sequence[str]]:
        """Libraries in the places of the machine, by what System.loadLibrary calls them."""
        found: dict[str, list[str]] = {}
        for pattern in library_directories():
            for directory in self._directories(pattern):
                for name in self._world.rootfs.children(directory):
                    match = _NAME_OF_LIBRARY.fullmatch(name)
                    if match:
                        found.setdefault(match[1], []).append(f"{directory}/{name}")
        return found

    def _directories(self, pattern: str) -> Iterable[str]:
        rootfs = self._world.rootfs
        places = [entry.path for entry in rootfs.glob(pattern)] if "*" in pattern else [pattern]
        return dict.fromkeys(rootfs.resolve(place).path for place in places)

    def named(self, name: str, because: str) -> Iterator[Need]:
        """A library by the name in a call (``tcnative-1``)."""
        stem = name.removeprefix("lib").partition(".so")[0]
        for path in dict.fromkeys((*self._by_name.get(name, ()), *self._by_name.get(stem, ()))):
            yield Need(path, Group.LIBRARY, _LIBRARIES, because, optional=True)

    def linked(self, facts: ElfFacts, because: str) -> Iterator[Need]:
        """What a library inside of a jar links, as far as the image has it."""
        for soname in facts.needed:
            yield from self.opened(soname, facts.target, because)

    def opened(self, soname: str, target: Target, because: str) -> Iterator[Need]:
        """A library by its soname, as dlopen(3) finds it."""
        for path in self._loader.find(soname, target):
            yield Need(path, Group.LIBRARY, _LIBRARIES, because, optional=True)

    def target_of(self, home: str) -> Target | None:
        """What the machine of a Java home is built for."""
        rootfs = self._world.rootfs
        machines = (e for e in rootfs.walk(home) if e.path.endswith("/libjvm.so") and e.is_file)
        facts = next((f for e in machines if (f := elf_facts(rootfs, e)) is not None), None)
        return None if facts is None else facts.target


def is_code(entry: Entry) -> bool:
    """Whether a file is one that a class loader reads."""
    return entry.is_file and entry.path.endswith((*ARCHIVES, ".class"))


def _is_ignored(path: str) -> bool:
    tops = load_table("native")["strings"]["ignored"]
    return any(path == top or path.startswith(f"{top}/") for top in tops)


def _is_place(entry: Entry) -> bool:
    name = posixpath.basename(entry.path)
    places = load_table("native")["strings"]["places"]
    is_shared = any(fnmatchcase(name, pattern) for pattern in places)
    return is_shared or entry.path.count("/") < _OWN_TREE_DEPTH
