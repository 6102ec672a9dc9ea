"""What no file names but programs expect of a system: the rows of ``data/ambient.toml``, the
directories that the config names, and the empty ones under ``/run`` and ``/var``.

All of it is optional: an image that lacks a path lacks nothing. Each row waits for the evidence
that something kept can use it, and its reason says what it is.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from imgslim.accounts import accounts
from imgslim.choices import Level
from imgslim.globs import any_of, split_pattern
from imgslim.model import (
    Entry,
    Finding,
    Group,
    ImageConfig,
    Need,
    Problem,
    Scope,
    Severity,
    unique_size_bytes,
)
from imgslim.rootfs import Rootfs
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.elf import ElfFacts, elf_facts
from imgslim.runtimes.elf.loader import Loader
from imgslim.runtimes.elf.places import Target
from imgslim.tables import load_table
from imgslim.world import World

_NOBODY = "<system>"
_STATE_TOPS = ("/run", "/var")

_LARGEST_CONFIG_BYTES = 256 << 10
_LIBRARY_NAME = re.compile(r"[\w.+/-]+\.so(?:\.\d+)*(?![\w.])")

_DEFAULT_SERVICES = ("files", "dns", "compat")
"""What glibc asks without a word in nsswitch.conf (its nss/nss_database.c)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; the fields are explained in ``data/ambient.toml``."""

    reason: str
    when: tuple[str, ...]
    paths: tuple[str, ...]
    libraries: tuple[str, ...]
    excepted: tuple[str, ...]
    names_libraries: bool
    modules: str
    until: Level | None


@dataclass(frozen=True, slots=True)
class _Trigger:
    """A condition that came true: ``because`` of which path, and the directory of that."""

    because: str
    directory: str


class AmbientNeeds(Runtime):
    """The system around the programs."""

    name = "ambient"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._rows = load_rows()
        self._triggers: dict[str, dict[str, _Trigger]] = {"always": {"": _Trigger(_NOBODY, "")}}
        self._importers: dict[str, list[str]] = {}
        self._targets: set[Target] = set()
        self._said: set[tuple[int, str]] = set()
        self._left_out: list[tuple[Row, _Trigger]] = []
        self._patterns = {c for row in self._rows for c in row.when if c.startswith("keeps ")}
        globs = (pattern.removeprefix("keeps ") for pattern in self._patterns)
        self._interesting = any_of(globs).fullmatch
        for name, value, because in world.variables:
            triggers = self._triggers.setdefault(f"env {name}", {})
            triggers.setdefault(value, _Trigger(because, value))
        variable = foreign_charset(world.config)
        if variable:
            self._triggers["charset"] = {"": _Trigger(f"<env {variable}>", "")}

    @cached_property
    def loader(self) -> Loader:
        library_path = self.world.config.env_value("LD_LIBRARY_PATH")
        directories = library_path.split(":") if library_path else ()
        return Loader(self.world.rootfs, self.world.working_dir, directories)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        """Notes what a kept entry gives reason for; the needs come when all is known."""
        if not entry.is_directory:
            self._note_name(entry)
            facts = elf_facts(self.world.rootfs, entry)
            if facts is not None:
                self._note_facts(entry, facts)
        return ()

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        yield from config_needs(self.world)
        yield from state_directories(self.world.rootfs)
        for index, row in enumerate(self._rows):
            for trigger in self._fired(row):
                if (index, trigger.directory) not in self._said:
                    self._said.add((index, trigger.directory))
                    yield from self._row_findings(row, trigger)

    def _note_name(self, entry: Entry) -> None:
        name = entry.path[entry.path.rfind("/") + 1 :]
        if self._interesting(name) is None:
            return
        directory = posixpath.dirname(entry.path)
        for pattern in self._patterns:
            if fnmatch.fnmatchcase(name, pattern.removeprefix("keeps ")):
                known = self._triggers.setdefault(pattern, {})
                known.setdefault(directory, _Trigger(entry.path, directory))

    def _note_facts(self, entry: Entry, facts: ElfFacts) -> None:
        if facts.interpreter and facts.is_dynamic:
            self._targets.add(facts.target)
            libc = "musl" if facts.is_musl else "glibc"
            self._triggers.setdefault(libc, {"": _Trigger(entry.path, "")})
        if facts.imports and not facts.is_libc:
            for symbol in facts.imports:
                self._importers.setdefault(f"imports {symbol}", []).append(entry.path)

    def _fired(self, row: Row) -> Iterator[_Trigger]:
        """The triggers of a row: one is enough, except that each ``{dir}`` counts."""
        found = [
            trigger
            for condition in row.when
            for trigger in (
                *self._triggers.get(condition, {}).values(),
                *self._of(condition, row),
                *self._said_by_text(condition),
            )
        ]
        by_directory = any("{dir}" in path for path in row.paths)
        for trigger in found if by_directory else found[:1]:
            yield trigger if by_directory else _Trigger(trigger.because, "")

    def _of(self, condition: str, row: Row) -> Iterator[_Trigger]:
        """The first importer of a symbol that the row does not except."""
        for path in self._importers.get(condition, ()):
            name = posixpath.basename(path)
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in row.excepted):
                yield _Trigger(path, "")
                return

    def _said_by_text(self, condition: str) -> Iterator[_Trigger]:
        """``value NAME REGEX`` and ``line PATH REGEX``: what a variable or a text file says."""
        kind, _, rest = condition.partition(" ")
        name, _, pattern = rest.partition(" ")
        if kind == "value" and re.match(pattern, self.world.config.env_value(name) or ""):
            yield _Trigger(f"<env {name}>", "")
        elif kind == "line" and re.search(pattern, self.world.rootfs.read_text(name), re.MULTILINE):
            yield _Trigger(name, "")

    def _row_findings(self, row: Row, trigger: _Trigger) -> Iterator[Finding]:
        if row.until is None or row.until.reaches(self.world.choices.level):
            yield from self._row_needs(row, trigger)
        else:
            self._left_out.append((row, trigger))

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        """What the level leaves out of what something could use, with its price."""
        for row, trigger in self._left_out:
            patterns = [path.replace("{dir}", trigger.directory) for path in row.paths]
            found = {path: self._unkept(path, kept) for path in patterns}
            left = [entry for entries in found.values() for entry in entries]
            size = unique_size_bytes([*left, *self._brought(left, kept)])
            if size:
                named = " ".join(f"--keep '{path}'" for path in found if found[path])
                yield Problem(
                    "left-out-by-level",
                    Severity.INFO,
                    trigger.because,
                    f"could use {row.reason}, which are left out",
                    f"add {named} where they are needed",
                    size,
                )

    def _unkept(self, pattern: str, kept: KeptPaths) -> list[Entry]:
        rootfs = self.world.rootfs
        found: list[Entry] = []
        for need in path_needs(rootfs, pattern, "", ""):
            entry = rootfs.lookup(need.path)
            if need.scope is Scope.TREE:
                found += rootfs.walk(need.path)
            elif entry is not None and not entry.is_directory:
                found.append(entry)
        return [entry for entry in found if entry.path not in kept]

    def _brought(self, entries: Iterable[Entry], kept: KeptPaths) -> Iterator[Entry]:
        """The libraries that only these entries link."""
        for entry in entries:
            facts = elf_facts(self.world.rootfs, entry)
            if facts is not None and facts.is_dynamic:
                mapped = self.loader.load(entry, facts).mapped
                yield from (each.entry for each in mapped if each.entry.path not in kept)

    def _row_needs(self, row: Row, trigger: _Trigger) -> Iterator[Need]:
        for pattern in row.paths:
            concrete = pattern.replace("{dir}", trigger.directory)
            for need in path_needs(self.world.rootfs, concrete, row.reason, trigger.because):
                yield need
                if row.names_libraries:
                    modules = row.modules.replace("{dir}", trigger.directory)
                    yield from self._libraries_named_in(need, modules)
        for soname in row.libraries:
            for name in self._service_names(soname):
                yield from self._library(name, row.reason, trigger.because)

    def _library(self, name: str, reason: str, because: str) -> Iterator[Need]:
        for target in sorted(self._targets):
            for path in self.loader.find(name, target):
                yield Need(path, Group.LIBRARY, reason, because, optional=True)

    def _libraries_named_in(self, need: Need, modules: str) -> Iterator[Need]:
        """What the configuration at ``need`` names: by soname, by an absolute path, by one from
        the file's own directory, or as one of the directory of ``modules`` ("" for none)."""
        rootfs = self.world.rootfs
        top = rootfs.lookup(need.path)
        for entry in rootfs.walk(top.path) if top is not None else ():
            found = rootfs.lookup(entry.path) if entry.is_symlink else entry
            if found is None or not found.is_file or found.size_bytes > _LARGEST_CONFIG_BYTES:
                continue
            text = rootfs.read_bytes(found).decode("utf-8", "replace")
            for name in dict.fromkeys(_LIBRARY_NAME.findall(text)):
                path = posixpath.join(posixpath.dirname(entry.path), name)
                module = posixpath.join(modules, posixpath.basename(name)) if modules else path
                places = (path, module) if "/" in name else (module,) if modules else ()
                found_at = next((place for place in places if rootfs.lookup(place)), None)
                if found_at is not None:
                    yield Need(found_at, Group.LIBRARY, need.reason, entry.path, optional=True)
                elif "/" not in name:
                    yield from self._library(name, need.reason, entry.path)

    def _service_names(self, soname: str) -> Iterator[str]:
        if "{service}" not in soname:
            yield soname
            return
        for service in name_services(self.world.rootfs.read_text("/etc/nsswitch.conf")):
            yield soname.replace("{service}", service)


@cache
def load_rows() -> tuple[Row, ...]:
    """The rows of ``data/ambient.toml``."""
    return tuple(
        Row(
            reason=row["reason"],
            when=tuple(row["when"]),
            paths=tuple(row.get("paths", ())),
            libraries=tuple(row.get("libraries", ())),
            excepted=tuple(row.get("except", ())),
            names_libraries=row.get("names", False),
            modules=row.get("modules", ""),
            until=Level(row["until"]) if "until" in row else None,
        )
        for row in load_table("ambient")["need"]
    )


def path_needs(rootfs: Rootfs, pattern: str, reason: str, because: str) -> Iterator[Need]:
    """Needs for what a row's glob matches; ``…/**`` asks for whole trees. A fixed part that leads
    through links is asked for by itself, so that these stay."""
    scope = Scope.TREE if pattern.endswith("/**") else Scope.PATH
    pattern = pattern.removesuffix("/**")
    fixed, rest = split_pattern(pattern)
    if not rest:
        if rootfs.resolve(pattern, follow_last=False).entry is not None:
            yield Need(pattern, Group.SYSTEM, reason, because, scope, optional=True)
        return
    matches = list(rootfs.glob(pattern))
    if matches and rootfs.resolve(fixed).links:
        yield Need(fixed, Group.SYSTEM, reason, because, optional=True)
    for entry in matches:
        yield Need(entry.path, Group.SYSTEM, reason, because, scope, optional=True)


def foreign_charset(config: ImageConfig) -> str:
    """The variable that names a locale with a charset other than UTF-8, "" when none does.

    Precedence by locale(7): LC_ALL, LC_CTYPE, LANG. A locale without a charset in its name has an
    older one, except for C and POSIX.
    """
    for variable in ("LC_ALL", "LC_CTYPE", "LANG"):
        value = config.env_value(variable)
        if value:
            name, _, charset = value.partition("@")[0].partition(".")
            is_utf8 = charset.lower().replace("-", "") == "utf8"
            return "" if is_utf8 or name in ("C", "POSIX") else variable
    return ""


def name_services(text: str) -> tuple[str, ...]:
    """The services that nsswitch.conf(5) names, and the defaults; actions in brackets left out."""
    names = dict.fromkeys(_DEFAULT_SERVICES)
    for line in text.splitlines():
        _, colon, services = line.partition("#")[0].partition(":")
        if colon:
            names.update(dict.fromkeys(re.sub(r"\[[^]]*\]", " ", services).split()))
    return tuple(names)


def config_needs(world: World) -> Iterator[Need]:
    """The directories that the config names: WORKDIR, HOME, the user's home, volumes whole."""
    if world.config.working_dir:
        yield _directory(world.config.working_dir, "working directory", "<workdir>")
    home = world.config.env_value("HOME")
    if home and home.startswith("/"):
        yield _directory(home, "home directory", "<env HOME>")
    home = home_of(world.rootfs, world.config.user)
    if home:
        yield _directory(home, "home directory", "<user>")
    yield from _own_homes(world)
    for volume in world.config.volumes:
        reason = "what a volume starts with"
        yield Need(volume, Group.APP, reason, "<volume>", Scope.TREE, optional=True)


def _own_homes(world: World) -> Iterator[Need]:
    """The homes of accounts that own theirs, without what is in them: who delivers mail, shares
    files or changes the user writes there, and seldom may make one (useradd(8), --create-home)."""
    for account in accounts(world.rootfs):
        entry = world.rootfs.lookup(account.home) if account.home.startswith("/") else None
        if entry is not None and entry.is_directory and account.uid == str(entry.uid) != "0":
            yield _directory(account.home, "home directory", "/etc/passwd")


def home_of(rootfs: Rootfs, user: str) -> str:
    """The home directory of the config's USER (a name or number, perhaps with ``:group``; ""
    means root) by passwd(5); "" when it has none there."""
    name = user.partition(":")[0] or "0"
    known = (a.home for a in accounts(rootfs) if name in (a.name, a.uid))
    home = next(known, "")
    return home if home.startswith("/") else ""


def state_directories(rootfs: Rootfs) -> Iterator[Need]:
    """Directories under /run and /var in which there is no file, with all of theirs: programs
    write there and do not make them. Those of ``data/state_directories.toml`` are left out."""
    for top in _STATE_TOPS:
        entry = rootfs.lookup(top)
        if entry is not None:
            yield from (
                _directory(path, "empty directories under /run and /var", _NOBODY)
                for path in _fileless(rootfs, entry.path)[1]
            )


def _fileless(rootfs: Rootfs, directory: str) -> tuple[bool, list[str]]:
    """Whether a directory holds no file at any depth, and such directories in it (or itself)."""
    if _skips()(directory):
        return False, []
    is_fileless, found = True, [directory]
    for name in rootfs.children(directory):
        child = rootfs.entries[f"{'' if directory == '/' else directory}/{name}"]
        if child.is_directory:
            below, more = _fileless(rootfs, child.path)
            is_fileless &= below
            found.extend(more)
        elif not child.is_symlink:
            is_fileless = False
    return is_fileless, found if is_fileless else found[1:]


@cache
def _skips() -> Any:
    rows = load_table("state_directories")["skip"]
    return any_of(path for row in rows for path in row["paths"]).fullmatch


def _directory(path: str, reason: str, because: str) -> Need:
    return Need(path, Group.DIRECTORY, reason, because, optional=True)
