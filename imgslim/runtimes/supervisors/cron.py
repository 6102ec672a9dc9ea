"""Tables of cron, anacron and supercronic (crontab(5), anacrontab(5)): lines that a shell runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imgslim.commands import join, keeps_house
from imgslim.model import Entry, Finding, Group, Need, Problem, Severity, unique_size_bytes
from imgslim.runtimes.base import KeptPaths
from imgslim.runtimes.supervisors.started import Started
from imgslim.runtimes.supervisors.tables import Crontab, Supervisor, crontabs
from imgslim.world import World

_ASSIGNMENT = re.compile(r"""\s*(["']?)(\w+)\1\s*=\s*(.*?)\s*""")
_TIME = re.compile(
    r"(?:[\d*/,?LW#-]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)+",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"(?<!\\)%")
_JOBS = "/etc/cron.*/*"
_REASON = "tables of cron"


def read_crontabs(
    world: World, row: Supervisor, words: Sequence[str], because: str
) -> Iterator[Finding | Started]:
    """What a cron starts: each table of its kinds, and those that its words name."""
    found = False
    for kind in row.tables:
        table = crontabs()[kind]
        for path in _paths(world, row, table, kind, words):
            entry = world.rootfs.lookup(path)
            if entry is None or not entry.is_file or keeps_house(world, entry.path):
                continue
            found = True
            yield Need(path, Group.SYSTEM, _REASON, because, optional=True)
            yield from table_commands(world.rootfs.read_text(path), table, path)
    if not found:
        yield Problem(
            "supervisor-configuration",
            Severity.WARNING,
            "",
            f"{because} runs cron, but no table of jobs is in the image",
            "nothing is kept for it; name what it runs with --also-run",
        )


def _paths(
    world: World, row: Supervisor, table: Crontab, kind: str, words: Sequence[str]
) -> Iterator[str]:
    for pattern in table.paths:
        yield from (entry.path for entry in world.rootfs.glob(pattern))
    for index, word in enumerate(words):
        if kind == "operands" and not word.startswith("-"):
            yield join(world.working_dir, word)
        elif kind == "users" and index and words[index - 1] in row.directory_options:
            found = world.rootfs.glob(join(join(world.working_dir, word), "*"))
            yield from (entry.path for entry in found)


def table_commands(text: str, table: Crontab, path: str) -> Iterator[Started]:
    """The jobs of one table, in order; the variables that stand before a job are its own."""
    variables: dict[str, str] = {}
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment is not None:
            variables[assignment[2]] = _unquoted(assignment[3])
            continue
        found = _command(stripped, table)
        if found is not None:
            user, command = found
            given = tuple(item for item in variables.items() if item[0] != "SHELL")
            argv = (variables.get("SHELL") or "/bin/sh", "-c", command)
            yield Started(argv, path, "a job", variables=given, user=user)


def _command(line: str, table: Crontab) -> tuple[str, str] | None:
    """User ("": none) and command of a job: what follows the fields of its time."""
    rest = line
    fields, most = table.fields, table.most_fields
    if rest.startswith("@") and not table.named:
        # crontab(5): @daily and the like; cronexpr: @every DURATION
        fields = most = 2 if rest.startswith("@every") else 1
    for taken in range(most):
        word, after = _split(rest)
        if taken >= fields and _TIME.fullmatch(word) is None:
            break
        rest = after
    user = ""
    if table.user:
        user, rest = _split(rest)
    command = _without_input(rest) if table.percent else rest
    return (user.partition(":")[0], command) if command else None


def _split(text: str) -> tuple[str, str]:
    first, *rest = text.split(None, 1) or [""]
    return first, rest[0] if rest else ""


def _without_input(command: str) -> str:
    return _PERCENT.split(command, maxsplit=1)[0].replace("\\%", "%").strip()


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def left_out_jobs(world: World, kept: KeptPaths) -> Iterator[Problem]:
    """The jobs of packages that keep the system's own records."""
    jobs = [
        entry
        for entry in world.rootfs.glob(_JOBS)
        if entry.is_file and keeps_house(world, entry.path)
    ]
    names: list[Entry] = sorted(jobs, key=lambda entry: entry.path)
    if names:
        yield Problem(
            "housekeeping-jobs",
            Severity.INFO,
            "",
            "jobs of the system's own records are not followed: "
            + ", ".join(entry.path for entry in names),
            "--also-run one of them where the container depends on it",
            unique_size_bytes(entry for entry in names if entry.path not in kept),
        )
