"""How Node.js and the package managers around it are started."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from imgslim.commands import name_of
from imgslim.runtimes.node.tables import node_table


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """What a command line of ``node`` runs: code, a script, a script of package.json, or nothing
    (what it is given on its standard input). ``modules`` are loaded before."""

    script: str = ""
    code: str = ""
    task: str = ""
    modules: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ManagerCommand:
    """What a package manager is to run: a script of package.json or an installed command (``name``)
    with arguments; ``own`` when it is one of the manager's own commands, which runs neither.
    ``only``: "script" or "command" where the words say which."""

    kind: str
    name: str = ""
    arguments: tuple[str, ...] = ()
    directory: str = ""
    workspace: str = ""
    only: str = ""
    own: bool = False


def parse_node_argv(argv: Sequence[str]) -> NodeCommand:
    """node's own options end at the script (nodejs.org/api/cli.html, Synopsis)."""
    table = node_table()
    rest, modules, flags = list(argv[1:]), [], []
    code = task = ""
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if not equals and name in table.value_options and rest:
            value = rest.pop(0)
        flags.append(name)
        if name in table.module_options:
            modules.append(value)
        elif name in table.code_options:
            code = value
        elif name == "--run":
            task = value
    if code or task or not rest or rest[0] == "-":
        return NodeCommand("", code, task, tuple(modules), tuple(flags), tuple(rest))
    return NodeCommand(rest[0], "", "", tuple(modules), tuple(flags), tuple(rest[1:]))


def parse_node_options(value: str) -> NodeCommand:
    """NODE_OPTIONS: options alone, separated by spaces, perhaps in double quotes."""
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    return parse_node_argv(("node", *words))


def manager_of(word: str) -> str | None:
    """Which package manager a program's name is, None for none."""
    return node_table().managers.get(name_of(word))


def parse_manager_argv(kind: str, argv: Sequence[str]) -> ManagerCommand:
    """npm, npx, yarn, pnpm and corepack as their manuals have it."""
    table = node_table()
    rest = list(argv[1:])
    directory = workspace = ""
    while rest and rest[0].startswith("-") and rest[0] != "--":
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not equals and name in (*table.directory_options, *table.workspace_options) and rest:
            value = rest.pop(0)
        if name in table.directory_options:
            directory = value
        elif name in table.workspace_options:
            workspace = value
        elif kind == "npx" and name in ("-p", "--package") and not equals and rest:
            rest.pop(0)
    if kind == "corepack":
        inner = table.managers.get(rest[0]) if rest else None
        return parse_manager_argv(inner, rest) if inner else ManagerCommand(kind, own=True)
    if kind == "yarn" and rest[:1] == ["workspace"] and len(rest) > 2:
        workspace, rest = rest[1], rest[2:]
    return _what(kind, rest, directory, workspace)


def _what(kind: str, rest: list[str], directory: str, workspace: str) -> ManagerCommand:
    first = rest[0] if rest else ""
    others = rest[1:]
    if kind == "npx":
        return _made(kind, rest, directory, workspace, only="command")
    if first in ("run", "run-script", "rum", "urn"):
        return _made(kind, others, directory, workspace, only="script")
    if first in ("exec", "x"):
        return _made(kind, others, directory, workspace, only="command")
    if first in ("start", "stop", "restart", "test", "t", "tst"):
        name = "test" if first.startswith("t") else first
        return _made(kind, [name, *others], directory, workspace, only="script")
    is_own = kind == "npm" or first in node_table().own_words.get(kind, ()) or not first
    if is_own:
        return ManagerCommand(kind, first, tuple(others), directory, workspace, own=True)
    return _made(kind, rest, directory, workspace)


def _made(
    kind: str, words: list[str], directory: str, workspace: str, only: str = ""
) -> ManagerCommand:
    """Options may follow the verb as well, and ``--`` ends them."""
    table = node_table()
    rest = list(words)
    name = ""
    while rest and not name:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if word == "--" or not word.startswith("-"):
            name = "" if word == "--" else word
        elif option in (*table.directory_options, *table.workspace_options):
            value = value if equals else (rest.pop(0) if rest else "")
            workspace = value if option in table.workspace_options else workspace
            directory = value if option in table.directory_options else directory
    while rest and only == "script" and kind == "npm" and rest[0].startswith("-"):
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if word == "--":
            break
        if option in (*table.directory_options, *table.workspace_options):
            value = value if equals else (rest.pop(0) if rest else "")
            workspace = value if option in table.workspace_options else workspace
            directory = value if option in table.directory_options else directory
    return ManagerCommand(kind, name, tuple(rest), directory, workspace, only)
