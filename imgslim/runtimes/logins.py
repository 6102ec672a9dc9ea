"""Servers that let people log in: the shells of their users, and what people expect of one.

What they type cannot be derived. The shell and the home directories are needed for any login; the
programs of the base system, on which all may rely (Debian policy 3.8), stay below ``tight``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from imgslim.accounts import accounts
from imgslim.choices import Level
from imgslim.commands import name_of, resolve_command
from imgslim.model import (
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
from imgslim.tables import load_table
from imgslim.world import World


class LoginRuntime(Runtime):
    """What a server that starts login shells needs beyond its own package."""

    name = "logins"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        table = load_table("logins")
        self._gates = frozenset(name for row in table["gate"] for name in row["programs"])
        self._refusing = frozenset(table["refusing"]["names"])
        self._gate = ""

    @property
    def has_levels(self) -> bool:
        return bool(self._gate)

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        if self._gate or name_of(path) not in self._gates:
            return
        self._gate = path
        users = self._users()
        for shell in dict.fromkeys(shell for _, shell in users):
            yield from resolve_command(self.world, (shell, "-l"), path)
        for home in dict.fromkeys(home for home, _ in users if home.strip("/")):
            reason = "home directories of those who log in"
            yield Need(home, Group.SYSTEM, reason, path, Scope.TREE, optional=True)
        if self.world.choices.level is not Level.TIGHT:
            reason = "programs of the base system, for those who log in"
            for program, entry in self._programs():
                owner = self.world.packages.owner(entry.path)
                if owner is not None and owner.essential:
                    yield Need(program, Group.PROGRAM, reason, path, optional=True)

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        """The programs that nobody who logs in will find, and their price."""
        left = [entry for _, entry in self._programs() if entry.path not in kept]
        if self._gate and left:
            yield Problem(
                "programs-for-logins",
                Severity.WARNING,
                self._gate,
                f"lets people log in, who may run any of {len(left)} programs that nothing here is "
                "seen to run",
                "left out: add --also-run CMD for each that they use",
                unique_size_bytes(left),
            )

    def _users(self) -> list[tuple[str, str]]:
        """Home and shell of those whom passwd(5) lets in; an empty shell means /bin/sh."""
        known = accounts(self.world.rootfs)
        users = [(account.home, account.shell.strip() or "/bin/sh") for account in known]
        return [(home, shell) for home, shell in users if name_of(shell) not in self._refusing]

    def _programs(self) -> Iterator[tuple[str, Entry]]:
        """The programs on PATH, by the paths under which they are found."""
        rootfs = self.world.rootfs
        for directory in dict.fromkeys(self.world.search_path):
            for child in rootfs.children(rootfs.resolve(directory).path):
                entry = rootfs.lookup(f"{directory}/{child}")
                if entry is not None and entry.is_file and entry.is_executable:
                    yield f"{directory}/{child}", entry
