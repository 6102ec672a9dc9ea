"""What the built-ins of a shell do to its names, and what plain commands print."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from imgslim.commands import join, locate, name_of
from imgslim.rootfs import split_pattern
from imgslim.runtimes.shell.scope import Fields, Word, distinct
from imgslim.runtimes.shell.syntax import WORD_TYPES, text_of
from imgslim.tables import load_table

if TYPE_CHECKING:
    from tree_sitter import Node

    from imgslim.runtimes.shell.interpreter import Interpreter

_MAX_MATCHES = 16
"""Files that a partly known name may mean before it counts as unknown."""

_MAX_PRINTED_BYTES = 4096
"""A file longer than this is no command or path that ``$(cat FILE)`` would give."""

Effect = Callable[["Interpreter", Fields, "Node"], None]


def is_builtin(name: str) -> bool:
    """Whether a shell runs ``name`` by itself, without a file."""
    table = load_table("shell")["builtins"]
    return any(name in table[group] for group in ("posix", "bash", "other"))


def _exec(shell: Interpreter, fields: Fields, node: Node) -> None:
    rest = list(fields[1:])
    while rest and rest[0].text.startswith("-"):
        option = rest.pop(0).text
        if option == "--":
            break
        if option == "-a":
            del rest[:1]
    shell.execute(tuple(rest), node, external=True)


def _command(shell: Interpreter, fields: Fields, node: Node) -> None:
    rest = list(fields[1:])
    while rest and rest[0].text.startswith("-"):
        option = rest.pop(0).text
        if option in ("-v", "-V"):
            return
    shell.execute(tuple(rest), node, external=True)


def _time(shell: Interpreter, fields: Fields, node: Node) -> None:
    rest = fields[2:] if len(fields) > 1 and fields[1].text == "-p" else fields[1:]
    shell.execute(rest, node)


def _cd(shell: Interpreter, fields: Fields, node: Node) -> None:
    words = [word for word in fields[1:] if not word.text.startswith("-")]
    shell.mention(words)
    if not words:
        words = list(shell.scope.lookup("HOME") or ())
    if words and words[0].known:
        there = [join(here, words[0].text) for here in shell.scope.directories]
        rootfs = shell.world.rootfs
        shell.scope.change_directory(rootfs.resolve(p, follow_last=False).path for p in there)


def _eval(shell: Interpreter, fields: Fields, node: Node) -> None:
    text = " ".join(word.text for word in fields[1:])
    if not all(word.known for word in fields[1:]) and len(fields) > 1 and not fields[1].known:
        shell.unresolved(node)
        return
    shell.interpret(text.encode("utf-8", "surrogateescape"))


def _trap(shell: Interpreter, fields: Fields, node: Node) -> None:
    words = [word for word in fields[1:] if word.text != "--"]
    if len(words) > 1 and words[0].known and words[0].text not in ("", "-"):
        with shell.scope.conditionally():
            shell.interpret(words[0].text.encode("utf-8", "surrogateescape"))


def _source(shell: Interpreter, fields: Fields, node: Node) -> None:
    words = [word for word in fields[1:] if word.text != "--"]
    if not words:
        return
    target, arguments = words[0], tuple(words[1:])
    shell.mention(arguments)
    places = [target.text] if target.known else matching_files(shell, target.text)
    for place in places:
        directories = [*shell.scope.directories]
        if "/" not in place:
            directories = [*shell.place().search_path, *directories]
        for path in (join(directory, place) for directory in directories):
            if shell.world.rootfs.lookup(path) is not None:
                shell.source(path, arguments)
                break


def _set(shell: Interpreter, fields: Fields, node: Node) -> None:
    shell.mention(fields[1:])
    words = list(fields[1:])
    explicit = False
    while words and words[0].text[:1] in ("-", "+"):
        option = words.pop(0).text
        if option == "--":
            explicit = True
            break
        # `set -euo pipefail`: each o takes a word of its own (POSIX XCU 2.14, set).
        del words[: option.count("o")]
    if words or explicit:
        shell.scope.set_params((tuple(words),))


def _shift(shell: Interpreter, fields: Fields, node: Node) -> None:
    count = fields[1].text if len(fields) > 1 else "1"
    shell.scope.shift(int(count) if count.isdigit() else 1)


def _export(shell: Interpreter, fields: Fields, node: Node) -> None:
    for word in fields[1:]:
        name, equals, value = word.text.partition("=")
        if equals:
            shell.assign(name, (Word(value, word.known),))


def _read(shell: Interpreter, fields: Fields, node: Node) -> None:
    names = [word.text for word in fields[1:] if re.fullmatch(r"[A-Za-z_]\w*", word.text)]
    for name in names or ["REPLY"]:
        shell.scope.variables[name] = shell.scope.piped or (Word(f"${name}", known=False),)


EFFECTS: dict[str, Effect] = {
    "exec": _exec,
    "command": _command,
    "builtin": _command,
    "time": _time,
    "coproc": _time,
    "noglob": _time,
    "!": _time,
    "cd": _cd,
    "chdir": _cd,
    "pushd": _cd,
    "eval": _eval,
    "trap": _trap,
    ".": _source,
    "source": _source,
    "set": _set,
    "shift": _shift,
    "export": _export,
    "readonly": _export,
    "local": _export,
    "declare": _export,
    "typeset": _export,
    "read": _read,
    "mapfile": _read,
    "readarray": _read,
}
"""Built-ins that change what later words mean, or that run something."""


def matching_files(shell: Interpreter, text: str) -> list[str]:
    """The few files that a partly known absolute path may mean; none when that is too vague."""
    pattern = re.sub(r"\$\{[^}]*\}|\$\([^)]*\)|`[^`]*`|\$\w+|\$[@*#?]", "*", text)
    if not pattern.startswith("/") or pattern.startswith(("/*", "//")):
        return []
    fixed, rest = split_pattern(pattern)
    vague = fixed in load_table("wrappers")["fhs"]["directories"] and set("".join(rest)) == {"*"}
    if not rest or vague:
        return []
    found = [e.path for e in shell.world.rootfs.glob(pattern) if not e.is_directory]
    return found if len(found) <= _MAX_MATCHES else []


def listed(shell: Interpreter, node: Node) -> tuple[Word, ...]:
    """The files that ``find DIR`` or ``ls DIR`` prints into a pipe, for a known directory."""
    name, words = _plain_command(shell, node)
    if name not in ("find", "ls"):
        return ()
    found: list[Word] = []
    for word in words:
        entry = shell.world.rootfs.lookup(word.text) if word.text.startswith("/") else None
        if entry is not None and entry.is_directory:
            below = shell.world.rootfs.walk(entry.path)
            found += [Word(e.path) for e in islice(below, _MAX_MATCHES * 4) if e.is_file]
    return distinct(found)


def _plain_command(shell: Interpreter, node: Node) -> tuple[str, Fields]:
    """The name and the words of a command whose words have one possible value."""
    if node.type == "redirected_statement" and node.named_children:
        node = node.named_children[0]
    name = node.child_by_field_name("name") if node.type == "command" else None
    if name is None:
        return "", ()
    words = shell.fields([c for c in node.named_children if c.type in WORD_TYPES])
    return text_of(name), words[0] if words else ()


def printed(shell: Interpreter, node: Node) -> tuple[Word, ...]:
    """What a statement may print; () when only running it could tell. Notes what it runs."""
    if node.type == "list" and node.named_child_count == 2:
        first, last = node.named_children
        shell.visit(first)
        return printed(shell, last)
    shell.visit(node)
    name, words = _plain_command(shell, node)
    prints = _PRINTS.get(name)
    if prints is not None and all(word.known for word in words):
        return prints(shell, [word.text for word in words])
    return ()


def reads_script(node: Node) -> bool:
    """Whether a command is a shell that reads its script from standard input."""
    if node.type in ("redirected_statement", "pipeline") and node.named_children:
        return any(reads_script(child) for child in node.named_children)
    name = node.child_by_field_name("name") if node.type == "command" else None
    if name is None or name_of(text_of(name)) not in load_table("shell")["shells"]["names"]:
        return False
    words = [text_of(child) for child in node.named_children if child.type in WORD_TYPES]
    return all(word.startswith("-") and "c" not in word for word in words)


def _operands(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.startswith("-")]


def _dirname(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    path = (_operands(words) or [""])[-1].rstrip("/")
    return (Word(path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")),)


def _basename(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    path, *suffix = _operands(words) or [""]
    name = path.rstrip("/").rpartition("/")[2]
    return (Word(name.removesuffix(suffix[0]) if suffix else name),)


def _pwd(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    return tuple(Word(directory) for directory in shell.scope.directories)


def _readlink(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    path = join(shell.scope.directories[0], (_operands(words) or [""])[-1])
    if any(re.fullmatch(r"-\w*[efm]\w*", word) for word in words):
        return (Word(shell.world.rootfs.resolve(path).path),)
    entry = shell.world.rootfs.get(shell.world.rootfs.canonical(path))
    return (Word(entry.link_target),) if entry is not None and entry.is_symlink else ()


def _realpath(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    path = join(shell.scope.directories[0], (_operands(words) or [""])[-1])
    return (Word(shell.world.rootfs.resolve(path).path),)


def _command_v(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    found = [locate(shell.world, word, shell.place()) for word in _operands(words)]
    return tuple(Word(path or "") for path in found) or ()


def _echo(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    while words and re.fullmatch(r"-[neE]+", words[0]):
        words = words[1:]
    return (Word(" ".join(words)),)


def _printf(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    if not words or re.search(r"%[^s]", words[0]) or words[0].count("%s") > len(words) - 1:
        return ()
    text = words[0].replace("\\n", "\n")
    for word in words[1:]:
        text = text.replace("%s", word, 1)
    return (Word(text.rstrip("\n")),)


def _cat(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    paths = [join(shell.scope.directories[0], word) for word in _operands(words)]
    entry = shell.world.rootfs.lookup(paths[0]) if len(paths) == 1 else None
    if entry is None or not entry.is_file or entry.size_bytes > _MAX_PRINTED_BYTES:
        return ()
    text = shell.world.rootfs.read_bytes(entry).decode("utf-8", "surrogateescape")
    return (Word(text.rstrip("\n")),)


def _uname(shell: Interpreter, words: Sequence[str]) -> tuple[Word, ...]:
    if list(words) == ["-m"]:
        machine = load_table("shell")["machines"].get(shell.world.platform.architecture)
        return (Word(machine),) if machine else ()
    return (Word("Linux"),) if list(words) in ([], ["-s"]) else ()


_PRINTS: dict[str, Callable[[Interpreter, Sequence[str]], tuple[Word, ...]]] = {
    "dirname": _dirname,
    "basename": _basename,
    "pwd": _pwd,
    "readlink": _readlink,
    "realpath": _realpath,
    "command": _command_v,
    "which": _command_v,
    "type": _command_v,
    "echo": _echo,
    "printf": _printf,
    "cat": _cat,
    "uname": _uname,
}
"""Commands whose output follows from their words and the image."""
