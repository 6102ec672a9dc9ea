"""Go: binaries by their build information, and what the toolchain leaves in an image.

A Go binary carries its runtime, so it needs little: what crypto/x509, mime, net, os/user and time
read are rows of ``data/ambient.toml``. Here is what only Go knows: the toolchain's own time zones,
its trees and caches, and the sources that a built program no longer reads.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from imgslim.commands import resolve_command
from imgslim.model import (
    Claim,
    Entry,
    Finding,
    Group,
    Kind,
    Need,
    Origin,
    OriginKind,
    Problem,
    Scope,
    Severity,
    unique_size_bytes,
)
from imgslim.rootfs import Rootfs
from imgslim.runtimes.base import Runtime
from imgslim.runtimes.elf.parse import elf_facts, open_file
from imgslim.runtimes.go_buildinfo import BuildInfo, read_build_info
from imgslim.runtimes.go_callouts import started_programs
from imgslim.world import World

_TOOLCHAIN = Origin(OriginKind.RUNTIME, "Go toolchain")
_MODULE_CACHE = Origin(OriginKind.CACHE, "Go module cache")
_BUILD_CACHE = Origin(OriginKind.CACHE, "Go build cache")
_SOURCES = Origin(OriginKind.SOURCE, "Go sources")

_SMALLEST_BYTES = 256 << 10
"""A hello world of any Go release, stripped, is over 800 kB."""

_VERSION = re.compile(rb"(?:devel )?go1[.0-9a-z]*|devel [+-]")
_CACHE_README = b"This directory holds cached build artifacts from the Go build system"
"""What cmd/go/internal/cache writes to $GOCACHE/README."""

_ZONE_DIRECTORIES = ("/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ")
"""time/zoneinfo_unix.go, platformZoneSources (with /etc/zoneinfo, NixOS); then GOROOT's zip."""

_SOURCE_NAMES = frozenset({"go.mod", "go.sum", "go.work", "go.work.sum"})
_STARTS_PROGRAMS = b"os/exec.(*Cmd).Start\0"
"""A name in the function table (pclntab), which stripping leaves in place."""

_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class GoTrees:
    """What the toolchain left: each a list of canonical directories.

    ``modules`` are (directory, module path) of each ``go.mod`` outside of the others.
    """

    roots: tuple[str, ...] = ()
    module_caches: tuple[str, ...] = ()
    build_caches: tuple[str, ...] = ()
    modules: tuple[tuple[str, str], ...] = field(default=())


class GoRuntime(Runtime):
    """Go programs, toolchains, caches and sources."""

    name = "go"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._known: dict[int, BuildInfo | None] = {}

    @cached_property
    def trees(self) -> GoTrees:
        return find_trees(self.world)

    def claims(self) -> Iterable[Claim]:
        trees = self.trees
        yield from (Claim(root, _TOOLCHAIN) for root in trees.roots)
        for cache in trees.module_caches:
            yield Claim(cache, _MODULE_CACHE)
            yield Claim(posixpath.join(posixpath.dirname(cache), "sumdb"), _MODULE_CACHE)
        yield from (Claim(cache, _BUILD_CACHE) for cache in trees.build_caches)
        built = self._built_modules() if trees.modules else frozenset()
        for directory, module in trees.modules:
            if module in built or "*" in built:
                yield from _source_claims(self.world.rootfs, directory)

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        if any(path in (f"{root}/bin/go", f"{root}/bin/gofmt") for root in self.trees.roots):
            yield from self._tool_needs(path)
            return
        entry = self.world.rootfs.lookup(path)
        info = None if entry is None else self.build_info(entry)
        if entry is None or info is None or not _contains(self.world.rootfs, entry):
            return
        yield from self._started(info)
        yield Problem(
            "may-start-programs",
            Severity.INFO,
            path,
            "links os/exec, so it may start programs other than those that its sources in the "
            "image name",
            "name those that it needs with --also-run",
        )

    def _started(self, info: BuildInfo) -> Iterator[Finding]:
        """The commands that the main module's own sources, where they are in the image, start."""
        rootfs = self.world.rootfs
        for directory in (top for top, module in self.trees.modules if module == info.module):
            for entry in rootfs.walk(directory):
                name = entry.path.rpartition("/")[2]
                if entry.is_file and name.endswith(".go") and not name.endswith("_test.go"):
                    for argv in started_programs(rootfs.read_text(entry.path)):
                        yield from resolve_command(self.world, argv, entry.path)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        info = self.build_info(entry)
        if info is None:
            return
        environment_root = self.world.config.env_value("GOROOT")
        for root in self.trees.roots:
            from_build = info.setting("-trimpath") != "true" and self._is_version(root, info)
            archive = f"{root}/lib/time/zoneinfo.zip"
            if (from_build or root == environment_root) and self._adds_zones(archive):
                yield Need(
                    archive,
                    Group.SYSTEM,
                    "time zones of the Go toolchain",
                    entry.path,
                    optional=True,
                )

    def describe(self, entry: Entry) -> str | None:
        info = self.build_info(entry)
        if info is None:
            return None
        facts = elf_facts(self.world.rootfs, entry)
        dynamic = facts is not None and bool(facts.interpreter or facts.needed)
        parts = [f"Go {info.version.removeprefix('go')} binary"]
        if info.module or info.path:
            parts.append(f"module {info.module}" if info.module else f"package {info.path}")
        parts.append("dynamically linked to libc" if dynamic else "statically linked")
        return ", ".join(parts)

    def build_info(self, entry: Entry) -> BuildInfo | None:
        """The build information of a program, None for all that Go did not build."""
        if not entry.is_executable or entry.size_bytes < _SMALLEST_BYTES:
            return None
        if entry.inode not in self._known:
            facts = elf_facts(self.world.rootfs, entry)
            is_program = facts is not None and facts.is_program
            info = read_build_info(self.world.rootfs, entry) if is_program else None
            self._known[entry.inode] = info
        return self._known[entry.inode]

    def _built_modules(self) -> frozenset[str]:
        """The modules that a binary in the image was built from: its main one, and those that a
        ``replace`` took from a directory; ``*``, all, when the image runs a Go program."""
        built: set[str] = set()
        trees = (*self.trees.roots, *self.trees.module_caches)
        for path, entry in self.world.rootfs.entries.items():
            if not entry.is_executable or entry.size_bytes < _SMALLEST_BYTES:
                continue
            if _is_below(path, trees) or self.world.packages.owner(path) is not None:
                continue
            info = self.build_info(entry)
            if info is not None:
                built.add(info.module)
                built.update(
                    n for n, version in info.dependencies if version.startswith((".", "/"))
                )
        if any(self._is_go_program(word) for word in _command_words(self.world)):
            built.add("*")
        return frozenset(built)

    def _is_go_program(self, word: str) -> bool:
        path = self.world.which(word)
        entry = self.world.rootfs.lookup(path) if path else None
        in_toolchain = entry is not None and _is_below(entry.path, self.trees.roots)
        return entry is not None and not in_toolchain and self.build_info(entry) is not None

    def _is_version(self, root: str, info: BuildInfo) -> bool:
        return self.world.rootfs.read_text(f"{root}/VERSION").split("\n")[0] == info.version

    def _adds_zones(self, archive: str) -> bool:
        """Whether the toolchain's archive has a zone that the system's directories lack."""
        import zipfile

        rootfs = self.world.rootfs
        entry = rootfs.lookup(archive)
        if entry is None:
            return False
        try:
            with zipfile.ZipFile(open_file(rootfs, entry)) as opened:
                names = [name for name in opened.namelist() if not name.endswith("/")]
        except (zipfile.BadZipFile, OSError, ValueError):
            return True
        tops = [rootfs.resolve(top).path for top in (*_ZONE_DIRECTORIES, "/etc/zoneinfo")]
        return any(all(rootfs.lookup(f"{top}/{name}") is None for top in tops) for name in names)

    def _tool_needs(self, path: str) -> Iterator[Finding]:
        rootfs, trees = self.world.rootfs, self.trees
        kept = [
            *((root, Group.RUNTIME, "Go toolchain") for root in trees.roots),
            *((cache, Group.DEPENDENCY, "Go module cache") for cache in trees.module_caches),
            *((directory, Group.APP, "Go sources") for directory, _ in trees.modules),
        ]
        for directory, group, reason in kept:
            yield Need(directory, group, reason, path, Scope.TREE, optional=True)
        entries = [entry for directory, _, _ in kept for entry in rootfs.walk(directory)]
        yield Problem(
            "go-tool",
            Severity.WARNING,
            path,
            "the image runs the go tool, which compiles when it starts",
            "kept the toolchain, the module cache and the sources whole; run a built binary "
            "instead, and all of them go",
            unique_size_bytes(entries),
        )


def find_trees(world: World) -> GoTrees:
    """Find Go's trees by what is in them, wherever they lie."""
    rootfs = world.rootfs
    found: dict[str, list[str]] = {"VERSION": [], "go.mod": [], "trim.txt": [], "download": []}
    for path in rootfs.entries:
        if path.endswith(("/VERSION", "/go.mod", "/trim.txt", "/cache/download")):
            directory, _, name = path.rpartition("/")
            found[name].append(directory or "/")
    roots = tuple(d for d in found["VERSION"] if _is_goroot(rootfs, d))
    caches = [posixpath.dirname(d) for d in found["download"] if d.endswith("/pkg/mod/cache")]
    own_cache = world.config.env_value("GOMODCACHE")
    if own_cache and rootfs.lookup(own_cache) is not None:
        caches.append(rootfs.resolve(own_cache).path)
    build_caches = tuple(d for d in found["trim.txt"] if _is_build_cache(rootfs, d))
    elsewhere = (*roots, *caches)
    modules = tuple(
        (directory, _module_name(rootfs, directory))
        for directory in found["go.mod"]
        if not _is_below(directory, elsewhere) and "/vendor/" not in directory
    )
    return GoTrees(roots, tuple(dict.fromkeys(caches)), build_caches, modules)


def _is_goroot(rootfs: Rootfs, directory: str) -> bool:
    entry = rootfs.lookup(f"{directory}/VERSION")
    if entry is None or _VERSION.match(rootfs.read_bytes(entry, 64)) is None:
        return False
    names = rootfs.children(directory)
    return rootfs.lookup(f"{directory}/src/runtime") is not None and (
        "pkg" in names or rootfs.lookup(f"{directory}/bin/go") is not None
    )


def _is_build_cache(rootfs: Rootfs, directory: str) -> bool:
    readme = rootfs.get(f"{directory}/README")
    return readme is not None and rootfs.read_bytes(readme, 128).startswith(_CACHE_README)


def _module_name(rootfs: Rootfs, directory: str) -> str:
    """The ``module`` of a go.mod (go.dev/ref/mod, "module directive")."""
    text = rootfs.read_text(posixpath.join(directory, "go.mod"))
    match = re.search(r"^\s*module\s+[\"`]?([^\s\"`]+)", text, re.MULTILINE)
    return match[1] if match else ""


def _source_claims(rootfs: Rootfs, directory: str) -> Iterator[Claim]:
    """The Go files of a module's tree, and its vendored modules; what lies beside is the user's."""
    for entry in rootfs.walk(directory):
        name = posixpath.basename(entry.path)
        if entry.kind is Kind.DIRECTORY:
            if name == "vendor" and rootfs.get(f"{entry.path}/modules.txt") is not None:
                yield Claim(entry.path, _SOURCES)
        elif name.endswith(".go") or name in _SOURCE_NAMES:
            yield Claim(entry.path, _SOURCES, Scope.PATH)


def _command_words(world: World) -> list[str]:
    """The words of the image's command, those of a shell's string included."""
    argv = [*(world.config.entrypoint or ()), *(world.config.cmd or ())]
    return [word for argument in argv for word in argument.split()]


def _is_below(path: str, directories: Iterable[str]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in directories)


def _contains(rootfs: Rootfs, entry: Entry) -> bool:
    """Whether a binary has the function that starts programs."""
    for offset in range(0, entry.size_bytes, _CHUNK_BYTES):
        size = _CHUNK_BYTES + len(_STARTS_PROGRAMS)
        if _STARTS_PROGRAMS in rootfs.pread(entry, offset, size):
            return True
    return False
