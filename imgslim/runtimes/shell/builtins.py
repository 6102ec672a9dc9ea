"""What the built-ins of a shell do to its names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from imgslim.commands import join
from imgslim.globs import split_pattern
from imgslim.runtimes.shell.alternatives import split
from imgslim.runtimes.shell.printing import printed
from imgslim.runtimes.shell.scope import EMPTY, Fields, Word, distinct
from imgslim.tables import load_table

if TYPE_CHECKING:
    from tree_sitter import Node

    from imgslim.runtimes.shell.interpreter import Interpreter

_MAX_MATCHES = 16
"""Files that a partly known name may mean before it counts as unknown."""

Effect = Callable[["Interpreter", Fields, "Node"], None]


def is_builtin(name: str) -> bool:
    """Whether a shell runs ``name`` by itself, without a file."""
    table = load_table("shell")["builtins"]
    return any(name in table[group] for group in ("posix", "bash", "other"))


def _exec(shell: Interpreter, fields: Fields, node: Node) -> None:
    """The program takes the shell's place, so a built-in of that name is none (POSIX, exec)."""
    rest = list(fields[1:])
    while rest and rest[0].text.startswith("-"):
        option = rest.pop(0).text
        if option == "--":
            break
        if option == "-a":
            del rest[:1]
    if not rest and len(fields) == 1:
        shell.unset_only(node)
    if rest and rest[0].known and is_builtin(rest[0].text):
        shell.run_program(tuple(rest), node, sure=True)
    else:
        shell.execute(tuple(rest), node, external=True)


def _command(shell: Interpreter, fields: Fields, node: Node) -> None:
    rest = list(fields[1:])
    while rest and rest[0].text.startswith("-"):
        option = rest.pop(0).text
        if option in ("-v", "-V"):
            _check(shell, tuple(rest), node)
            return
    shell.execute(tuple(rest), node, external=True)


def _time(shell: Interpreter, fields: Fields, node: Node) -> None:
    rest = fields[2:] if len(fields) > 1 and fields[1].text == "-p" else fields[1:]
    shell.execute(rest, node)


def _check(shell: Interpreter, fields: Fields, node: Node) -> None:
    """``command -v NAME`` and its kin: the script asks first, it does not run ``NAME``."""
    shell.facts.checked |= {(shell.script, word.text) for word in fields}


def _cd(shell: Interpreter, fields: Fields, node: Node) -> None:
    words = [word for word in fields[1:] if not word.text.startswith("-")]
    shell.mention(words)
    if not words:
        words = list(shell.scope.lookup("HOME") or ())
    if fields[-1].text == "-" and shell.scope.earlier:
        shell.scope.change_directory(shell.scope.earlier)
    elif words and words[0].known:
        there = [join(here, words[0].text) for here in shell.scope.directories]
        rootfs = shell.world.rootfs
        shell.scope.change_directory(rootfs.resolve(p, follow_last=False).path for p in there)


def _eval(shell: Interpreter, fields: Fields, node: Node) -> None:
    text = " ".join(word.text for word in fields[1:])
    if not text.strip():
        shell.unset_only(node)
    elif shell.is_long or (not fields[1].known and re.match(r"[$`]", fields[1].text)):
        shell.unresolved(node)
    else:
        shell.interpret(text.encode("utf-8", "surrogateescape"), shell.line(node), whole=False)


def _trap(shell: Interpreter, fields: Fields, node: Node) -> None:
    words = [word for word in fields[1:] if word.text != "--"]
    if len(words) > 1 and words[0].known and words[0].text not in ("", "-"):
        with shell.scope.conditionally():
            text = words[0].text.encode("utf-8", "surrogateescape")
            shell.interpret(text, shell.line(node), whole=False)


def _source(shell: Interpreter, fields: Fields, node: Node) -> None:
    words = [word for word in fields[1:] if word.text != "--"]
    if not words or not words[0].text:
        shell.unset_only(node)
        return
    target, arguments = words[0], tuple(words[1:])
    shell.mention(arguments)
    places = [target.text] if target.known else matching_files(shell, target.text)
    if not places:
        shell.unresolved(node)
    for place in places:
        directories = [*shell.scope.directories]
        if "/" not in place:
            directories = [*shell.place().search_path, *directories]
        for path in (join(directory, place) for directory in directories):
            if shell.world.rootfs.lookup(path) is not None or path in shell.scope.written:
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
        if "a" in option:
            shell.scope.exports_all = option[0] == "-"
        # `set -euo pipefail`: each o takes a word of its own (POSIX XCU 2.14, set).
        for word in words[: option.count("o")]:
            if word.text == "allexport":
                shell.scope.exports_all = option[0] == "-"
        del words[: option.count("o")]
    if words or explicit:
        shell.scope.set_params((tuple(words),))


def _shift(shell: Interpreter, fields: Fields, node: Node) -> None:
    count = fields[1].text if len(fields) > 1 else "1"
    shell.scope.shift(int(count) if count.isdigit() else 1)


def _declare(shell: Interpreter, fields: Fields, node: Node) -> None:
    """``export``, ``declare`` and the like with their words known: NAME, NAME=VALUE, options."""
    name = fields[0].text
    options = [word.text for word in fields[1:] if word.text.startswith("-")]
    exports = name == "export" or any("x" in option for option in options)
    for word in fields[1:]:
        target, equals, value = word.text.partition("=")
        if not re.fullmatch(r"[A-Za-z_][\w.:-]*", target):
            continue
        if any("f" in option for option in options):
            shell.scope.exported_functions |= {target} if exports else set()
            continue
        if exports:
            shell.scope.exported.add(target)
        if equals:
            shell.assign(target, (Word(value, word.known),))


def _alias(shell: Interpreter, fields: Fields, node: Node) -> None:
    for word in fields[1:]:
        name, equals, value = word.text.partition("=")
        if equals and word.known:
            shell.scope.aliases[name] = value


def _read(shell: Interpreter, fields: Fields, node: Node) -> None:
    """``read``: each line that standard input may give, split over the names (POSIX read)."""
    names, is_array = _read_names(fields)
    lines = [line for text in shell.scope.stdin for line in text.split("\n") if line.strip()]
    separators = shell.prefixed("IFS", shell.scope.separators())
    parts = [split(Word(line), separators or None) for line in lines]
    if is_array:
        shell.scope.assign_array(names[0], distinct(parts) or _unknown(names[0]))
        return
    for index, name in enumerate(names):
        if index < len(names) - 1:
            values = distinct(part[index] if index < len(part) else EMPTY for part in parts)
        else:
            rest = (Word(" ".join(word.text for word in part[index:])) for part in parts)
            values = distinct(rest) if index else distinct(Word(line.strip()) for line in lines)
        shell.scope.variables[name] = values or (Word(f"${name}", known=False),)


def _read_names(fields: Fields) -> tuple[list[str], bool]:
    """The variables that ``read`` sets, and whether the only one is an array."""
    words = [word.text for word in fields[1:]]
    names: list[str] = []
    is_array = False
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            is_array |= "a" in word
            # read -d DELIM -n N -p PROMPT -t SECONDS -u FD (bash(1), read)
            if word[-1] in "dinNptu" and words:
                del words[0]
        elif re.fullmatch(r"[A-Za-z_]\w*", word):
            names.append(word)
    return names or ["REPLY"], is_array


def _mapfile(shell: Interpreter, fields: Fields, node: Node) -> None:
    names = [word.text for word in fields[1:] if re.fullmatch(r"[A-Za-z_]\w*", word.text)]
    name = names[-1] if names else "MAPFILE"
    texts = [text.rstrip("\n").split("\n") for text in shell.scope.stdin]
    lists = distinct(tuple(Word(line) for line in lines) for lines in texts)
    shell.scope.assign_array(name, lists or _unknown(name))


def _unknown(name: str) -> tuple[Fields, ...]:
    return ((Word(f"${{{name}[@]}}", known=False),),)


def _getopts(shell: Interpreter, fields: Fields, node: Node) -> None:
    """An option's argument is a word of the parameters, or the end of one."""
    params = shell.scope.params
    if params is not None:
        words = [word for found in params for word in found]
        ends = [Word(w.text[2:], w.known) for w in words if re.match(r"-\w.", w.text)]
        shell.scope.variables["OPTARG"] = distinct((*words, *ends)) or (EMPTY,)
    if len(fields) > 2:
        shell.scope.variables[fields[2].text] = (Word(f"${fields[2].text}", known=False),)


def _printf(shell: Interpreter, fields: Fields, node: Node) -> None:
    """``printf -v NAME`` sets a variable."""
    shell.mention(fields[1:])
    if len(fields) > 3 and fields[1].text == "-v":
        texts = printed(shell, (fields[0], *fields[3:]))
        unknown = Word(f"${fields[2].text}", known=False)
        shell.assign(fields[2].text, tuple(Word(text) for text in texts) or (unknown,))


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
    "export": _declare,
    "readonly": _declare,
    "local": _declare,
    "declare": _declare,
    "typeset": _declare,
    "read": _read,
    "mapfile": _mapfile,
    "readarray": _mapfile,
    "getopts": _getopts,
    "printf": _printf,
    "alias": _alias,
    "type": _check,
    "hash": _check,
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
