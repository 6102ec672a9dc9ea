"""Configuration files of servers: the files, directories and programs that their values name.

A package's configuration names what the package has, which is kept with it, and what was made or
put there later: certificates, included files, document roots, scripts. There is no common grammar;
a value is what looks like an absolute path, outside of comments, and is in the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from imgslim.commands import existing_paths, resolve_command
from imgslim.model import Entry, Finding, Group, Need, Package, Scope
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.tables import entries_at, load_table
from imgslim.world import World

_REASON = "named in configuration"


class ConfigurationRuntime(Runtime):
    """What configuration names: that of the packages whose programs run, and the user's own."""

    name = "configuration"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._table = load_table("configuration")
        self._places = tuple(self._table["directories"])
        self._running: set[str] = set()
        self._waiting: dict[str, list[Entry]] = {}
        self._ready: list[Entry] = []
        self._read: set[str] = set()

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        package = self.world.packages.owner(path)
        if package is not None and _stem(package) not in self._running:
            self._running.add(_stem(package))
            self._ready += self._waiting.pop(_stem(package), [])
        for named in (p for word in argv[1:] for p in existing_paths(self.world.rootfs, word)):
            entry = self.world.rootfs.lookup(named)
            if entry is not None and self._is_readable(entry):
                self._ready.append(entry)
        return ()

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if self._is_configuration(entry):
            owner = self.world.packages.owner(entry.path)
            readers = () if owner is None else (_stem(owner), self._place(entry.path))
            if owner is None or not self._running.isdisjoint(readers):
                self._ready.append(entry)
            else:
                for reader in readers:
                    self._waiting.setdefault(reader, []).append(entry)
        return ()

    def _place(self, path: str) -> str:
        """The server in whose directory another package's configuration lies (``/etc/apache2``)."""
        top = next(top for top in self._table["directories"] if path.startswith(top))
        return path[len(top) :].partition("/")[0]

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        ready, self._ready = self._ready, []
        for entry in ready:
            if entry.path not in self._read:
                self._read.add(entry.path)
                yield from self._named(entry)

    def _is_configuration(self, entry: Entry) -> bool:
        return entry.path.startswith(self._places) and self._is_readable(entry)

    def _is_readable(self, entry: Entry) -> bool:
        return (
            entry.is_file
            and not entry.is_executable
            and entry.size_bytes <= self._table["largest_bytes"]
            and not any(fnmatchcase(entry.path, p) for p in self._table["of_the_system"])
        )

    def _named(self, entry: Entry) -> Iterator[Finding]:
        content = self.world.rootfs.read_bytes(entry)
        if b"\0" in content:
            return
        comments = tuple(self._table["comments"])
        for number, line in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
            if "/" in line and not line.lstrip().startswith(comments):
                yield from self._values(line, entry.path, number)

    def _values(self, line: str, because: str, number: int) -> Iterator[Finding]:
        rootfs = self.world.rootfs
        for word in line.replace('"', " ").replace("'", " ").replace(";", " ").split():
            _, slash, rest = word.partition("/")
            if slash and any(sign in rest for sign in "*?["):
                pattern = f"/{rest}".rstrip(",)>")
                for entry in entries_at(rootfs, pattern) if pattern.count("/") > 1 else ():
                    yield self._need(entry.path, because, number)
        for path in existing_paths(rootfs, line):
            found = rootfs.lookup(path)
            if found is None or found.path.count("/") < 2:
                continue
            if found.is_executable:
                if self.world.packages.owner(because) is None:
                    yield from resolve_command(self.world, (path,), because)
            elif found.is_directory:
                scope = Scope.TREE if self._is_served(found.path) else Scope.PATH
                yield self._need(path, because, number, scope)
            else:
                yield self._need(path, because, number)
                if self._is_included(found, because):
                    self._ready.append(found)

    def _is_included(self, found: Entry, because: str) -> bool:
        """Whether what configuration names is more of it: by the same ending."""
        name = because.rpartition("/")[2]
        ending = name[name.rfind(".") :] if "." in name else ""
        return bool(ending) and found.path.endswith(ending) and self._is_readable(found)

    def _need(self, path: str, because: str, line: int, scope: Scope = Scope.PATH) -> Need:
        return Need(path, Group.SYSTEM, _REASON, because, scope, optional=True, line=line)

    def _is_served(self, path: str) -> bool:
        if any(fnmatchcase(path, pattern) for pattern in self._table["not_served"]):
            return False
        return any(fnmatchcase(path, pattern) for pattern in self._table["served"])


def _stem(package: Package) -> str:
    """What the packages of one server have in common: apache2 and apache2-bin, php8.2-fpm and
    php8.2-common. One of them has the program, another one its configuration."""
    return package.name.partition("-")[0]
