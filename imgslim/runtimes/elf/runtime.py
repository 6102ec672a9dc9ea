"""The runtime module of native code: loaders and shared libraries of everything that is kept."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from imgslim.commands import resolve_command
from imgslim.model import Entry, Finding, Group, Need, Package, Problem, Severity
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.distro import stands_alone
from imgslim.runtimes.elf.lines import STARTERS, commands_run
from imgslim.runtimes.elf.loader import Loader, Mapped
from imgslim.runtimes.elf.opened import Opened
from imgslim.runtimes.elf.parse import ElfFacts, elf_facts
from imgslim.runtimes.elf.places import Target, architecture
from imgslim.runtimes.elf.sections import read_layout
from imgslim.tables import load_table
from imgslim.world import World

_PRELOAD_FILE = "/etc/ld.so.preload"
_NAMES_SHOWN = 3

_RUNS_TOO = {"amd64": "386", "arm64": "arm"}
"""What a 64-bit kernel also runs (Linux: CONFIG_IA32_EMULATION, CONFIG_COMPAT)."""


class ElfRuntime(Runtime):
    """Programs and libraries: their interpreter, what they need, and what they say they open."""

    name = "elf"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        library_path = world.config.env_value("LD_LIBRARY_PATH")
        self._library_path = re.split("[:;]", library_path) if library_path else []
        self._loader: Loader | None = None
        self._preload = _preloaded(world)
        self._programs: set[str] = set()
        self._reached: set[str] = set()
        self._sonames: set[tuple[str, Target]] = set()
        self._missing: dict[tuple[str, Target], list[tuple[str, str]]] = {}
        self._foreign: list[Entry] = []
        self._by_name: dict[str, list[str]] = {}
        self._opened = Opened(world, lambda: self.loader)

    def add_library_path(self, directories: Iterable[str]) -> None:
        """Search these directories, too: an LD_LIBRARY_PATH that something sets at run time.

        Counts for what is loaded from now on.
        """
        self._library_path.extend(d for d in directories if d not in self._library_path)
        self._loader = None

    @property
    def loader(self) -> Loader:
        if self._loader is None:
            rootfs, directory = self.world.rootfs, self.world.working_dir
            self._loader = Loader(rootfs, directory, self._library_path)
        return self._loader

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        entry = self.world.rootfs.lookup(path)
        if entry is None or entry.path in self._programs:
            return
        self._programs.add(entry.path)
        facts = elf_facts(self.world.rootfs, entry)
        if facts is None:
            return
        if self._is_native(facts):
            yield from self._opened.files(entry, facts)
            yield from self._shell_lines(entry, facts)
        else:
            yield self._foreign_program(entry, facts)

    def _shell_lines(self, entry: Entry, facts: ElfFacts) -> Iterator[Finding]:
        """The shell, and the programs in lines for it: of a package's program only those that it
        depends on, and those of the base system, on which nothing has to depend (Debian policy 3.5
        and 3.8). What it would only like to have is left out."""
        owner = self.world.packages.owner(entry.path)
        if STARTERS.isdisjoint(facts.imports) or (owner is not None and stands_alone(owner)):
            return
        layout = read_layout(self.world.rootfs, entry)
        lines = () if layout is None else commands_run(self.world.rootfs, entry, layout)
        found = [argv for argv in lines if self._is_meant(argv[0], owner)]
        if found:
            yield from resolve_command(self.world, ("/bin/sh",), entry.path)
        for argv in found:
            yield from resolve_command(self.world, argv, entry.path)

    def _is_meant(self, word: str, asker: Package | None) -> bool:
        path = self.world.which(word)
        if path is None or asker is None:
            return path is not None
        owner = self.world.packages.owner(path)
        return owner is not None and (owner.essential or owner.key in asker.depends)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        facts = elf_facts(self.world.rootfs, entry)
        if facts is None:
            return
        names = {posixpath.basename(entry.path), facts.soname}
        self._sonames.update((name, facts.target) for name in names if name)
        if not facts.is_dynamic:
            return
        if not self._is_native(facts):
            self._foreign.append(entry)
            return
        if entry.path not in self._reached:
            yield from self._load(entry, facts)
        if facts.soname:
            yield from self._soname_link(entry, facts.soname)
        yield from self._opened.libraries(entry, facts)
        if not facts.is_program and self.world.packages.owner(entry.path) is not None:
            yield from self._shell_lines(entry, facts)

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        yield from self._opened.free(kept)
        for (soname, target), askers in sorted(self._missing.items()):
            if (soname, target) not in self._sonames:
                yield from self._look_elsewhere(soname, target, askers)

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        yield from self._opened.problems(kept)
        if self._foreign:
            yield _foreign_problem(self._foreign, self.world.platform.architecture)

    def describe(self, entry: Entry) -> str | None:
        facts = elf_facts(self.world.rootfs, entry)
        if facts is None:
            return None
        machine = architecture(facts.target).title or facts.machine.removeprefix("EM_")
        if not facts.is_program:
            return f"ELF {machine} shared library"
        if not facts.interpreter:
            return f"static ELF {machine} program"
        libc = next((n for n in facts.needed if re.match(r"libc\.|ld-musl", n)), "")
        return f"ELF {machine} program, dynamically linked" + (f" to {libc}" if libc else "")

    def _is_native(self, facts: ElfFacts) -> bool:
        """Whether the image's platform runs it: its own architecture, or one that the kernel runs
        as well when its loader is in the image."""
        own = self.world.platform.architecture
        oci = architecture(facts.target).oci
        if oci == own or not oci:
            return True
        if oci != _RUNS_TOO.get(own):
            return False
        return not facts.interpreter or self.world.rootfs.lookup(facts.interpreter) is not None

    def _foreign_program(self, entry: Entry, facts: ElfFacts) -> Problem:
        known = architecture(facts.target)
        machine = known.oci or known.title or facts.machine
        return Problem(
            "foreign-program",
            Severity.WARNING,
            entry.path,
            f"is run, but is for {machine} in an image for {self.world.platform.architecture}: "
            'without an emulator on the host starting it fails with "exec format error"',
            "kept as a file; its libraries are not looked for",
        )

    def _load(self, entry: Entry, facts: ElfFacts) -> Iterator[Finding]:
        preload: tuple[str, ...] = ()
        if facts.interpreter:
            reason = "dynamic loader"
            yield Need(facts.interpreter, Group.LIBRARY, reason, entry.path, optional=True)
            if self.world.rootfs.lookup(facts.interpreter) is None:
                yield self._missing_loader(entry, facts)
            preload = self._preload
        loading = self.loader.load(entry, facts, preload)
        for library in loading.mapped:
            self._reached.add(library.entry.path)
            because = library.asked_by.entry.path if library.asked_by else entry.path
            yield _library_need(library.path, because)
        for soname, asker in loading.missing:
            askers = self._missing.setdefault((soname, facts.target), [])
            askers.append((asker.entry.path, entry.path))
        for owner in (Mapped(entry.path, entry, facts), *loading.mapped):
            yield from self._announced(owner)

    def _soname_link(self, entry: Entry, soname: str) -> Iterator[Need]:
        """The link beside a library that bears its soname (ldconfig(8) makes it): what found the
        file by another name may open it by this one, as ``ctypes.util.find_library`` has done."""
        link = posixpath.join(posixpath.dirname(entry.path), posixpath.basename(soname))
        found = self.world.rootfs.lookup(link)
        if link != entry.path and found is not None and found.path == entry.path:
            yield _library_need(link, entry.path, "the library's soname")

    def _announced(self, owner: Mapped) -> Iterator[Need]:
        """What ``.note.dlopen`` says that a file opens: kept where the image has it."""
        for soname in owner.facts.dlopens:
            for path in self.loader.find(soname, owner.facts.target, musl=owner.facts.is_musl):
                yield _library_need(path, owner.entry.path, "shared library opened at run time")

    def _look_elsewhere(
        self, soname: str, target: Target, askers: Sequence[tuple[str, str]]
    ) -> Iterator[Finding]:
        """A library that no search finds: another one with that name may be loaded before it is
        asked for, or a directory be added at run time. Keep those; else say that it is missing."""
        candidates = [p for p in self._named(soname) if self._fits(p, target)]
        because = askers[0][0]
        if candidates:
            for path in candidates:
                yield _library_need(path, because, "shared library, found by its name only")
            yield Problem(
                "library-by-name",
                Severity.INFO,
                because,
                f"needs {soname}, which no search path of its loader leads to",
                f"kept {', '.join(candidates)}: it may be loaded before, or by LD_LIBRARY_PATH",
            )
            return
        yield self._missing_library(soname, askers)

    def _missing_library(self, soname: str, askers: Sequence[tuple[str, str]]) -> Problem:
        files = list(dict.fromkeys(asker for asker, _ in askers))
        shown = ", ".join(files[:_NAMES_SHOWN])
        more = len(files) - _NAMES_SHOWN
        message = f"{soname} is not in the image, though {shown} needs it"
        if more > 0:
            message = f"{soname} is not in the image, though {shown} and {more} more need it"
        host = _host_of(soname)
        if host:
            resolution = f"{host} brings it when the container starts"
            return Problem("host-library", Severity.INFO, files[0], message, resolution)
        fatal = any(program in self._programs for _, program in askers)
        return Problem(
            "missing-library",
            Severity.ERROR if fatal else Severity.WARNING,
            files[0],
            message,
            "nothing to keep: the fat image lacks it, too",
        )

    def _missing_loader(self, entry: Entry, facts: ElfFacts) -> Problem:
        return Problem(
            "missing-loader",
            Severity.ERROR if entry.path in self._programs else Severity.WARNING,
            entry.path,
            f"needs the loader {facts.interpreter}, which is not in the image: starting it fails "
            'with "no such file or directory"',
            "nothing to keep: the fat image lacks it, too",
        )

    def _named(self, soname: str) -> list[str]:
        """All paths of the image whose last component is ``soname``."""
        name = posixpath.basename(soname)
        if not self._by_name:
            wanted = {posixpath.basename(soname) for soname, _ in self._missing}
            for path in self.world.rootfs.entries:
                if (last := path[path.rfind("/") + 1 :]) in wanted:
                    self._by_name.setdefault(last, []).append(path)
        return self._by_name.get(name, [])

    def _fits(self, path: str, target: Target) -> bool:
        entry = self.world.rootfs.lookup(path)
        facts = elf_facts(self.world.rootfs, entry) if entry is not None else None
        return facts is not None and facts.target == target


def _library_need(path: str, because: str, reason: str = "shared library") -> Need:
    return Need(path, Group.LIBRARY, reason, because, optional=True)


def _preloaded(world: World) -> tuple[str, ...]:
    """What every dynamic program loads first (ld.so(8)): LD_PRELOAD (colons or spaces), LD_AUDIT
    (colons) and ``/etc/ld.so.preload`` (white space or colons)."""
    values = [world.config.env_value(name) or "" for name in ("LD_AUDIT", "LD_PRELOAD")]
    values.append(re.sub(r"#.*", "", world.rootfs.read_text(_PRELOAD_FILE)))
    return tuple(name for name in re.split(r"[:\s]+", " ".join(values)) if name)


def _host_of(soname: str) -> str:
    """Who brings a library from the host, by ``data/host_libraries.toml``; "" for nobody."""
    for row in load_table("host_libraries")["library"]:
        if any(fnmatch.fnmatchcase(soname, pattern) for pattern in row["sonames"]):
            return str(row["host"])
    return ""


def _foreign_problem(entries: Sequence[Entry], architecture_name: str) -> Problem:
    shown = ", ".join(entry.path for entry in entries[:_NAMES_SHOWN])
    more = len(entries) - _NAMES_SHOWN
    return Problem(
        "foreign-architecture",
        Severity.INFO,
        entries[0].path,
        f"{shown}{f' and {more} more' if more > 0 else ''}: not for {architecture_name}, the "
        "image's platform",
        "kept as files; their libraries are not looked for",
        sum(entry.size_bytes for entry in entries),
    )
