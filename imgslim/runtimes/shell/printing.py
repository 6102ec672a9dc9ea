"""What plain commands print, as far as their words and the image tell."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from imgslim.commands import join, locate, name_of
from imgslim.runtimes.shell.scope import Fields, Word
from imgslim.tables import load_table

if TYPE_CHECKING:
    from imgslim.runtimes.shell.interpreter import Interpreter

_MAX_LISTED = 256
"""Files of one directory that a listing gives."""

_MAX_PRINTED_BYTES = 64 * 1024
"""A file longer than this is no list of names, and no script that a shell would be fed."""

_MAX_OUTPUTS = 16


@dataclass(slots=True)
class Output:
    """What the commands of a substitution or of a stage of a pipeline print."""

    texts: list[str] = field(default_factory=list)
    unknown: bool = False
    """The last of them prints something that only a run knows."""
    or_unknown: bool = False
    """An alternative of what is known does."""

    def words(self, source: str) -> tuple[Word, ...]:
        """The values that a substitution, written as ``source``, may have; () for none known."""
        found = [Word(text.rstrip("\n")) for text in self.texts]
        if self.unknown or self.or_unknown:
            found.append(Word(source, known=False))
        return tuple(dict.fromkeys(found))


@contextmanager
def capturing(shell: Interpreter, output: Output | None) -> Iterator[None]:
    """What is printed inside goes to ``output``; nowhere when that is None."""
    before, shell.output = shell.output, output
    try:
        yield
    finally:
        shell.output = before


def note_printed(shell: Interpreter, fields: Fields) -> None:
    """A command runs while its output is of interest."""
    output = shell.output
    if output is None or not fields:
        return
    name = name_of(fields[0].text)
    if name in load_table("shell")["prints_nothing"]["commands"]:
        return
    texts = printed(shell, fields)
    output.unknown = not texts
    if len(output.texts) < _MAX_OUTPUTS:
        output.texts += texts


def printed(shell: Interpreter, fields: Fields) -> list[str]:
    """What one command may print; [] when only running it could tell."""
    name = name_of(fields[0].text)
    words = [word.text for word in fields[1:]]
    prints = _PRINTS.get(name)
    if prints is not None:
        known = all(word.known for word in fields[1:]) or name in ("find", "ls")
        return prints(shell, words) if known else []
    if name in load_table("shell")["filters"]["commands"]:
        return list(shell.scope.stdin)
    return []


def _operands(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.startswith("-")]


def _find(shell: Interpreter, words: Sequence[str]) -> list[str]:
    """The files below the directories, of the names that one ``-name`` asks for."""
    names = [words[i + 1] for i, word in enumerate(words[:-1]) if word in ("-name", "-iname")]
    pattern = names[0] if len(names) == 1 and "!" not in words else "*"
    below = [
        entry.path
        for top in _directories(shell, words)
        for entry in shell.world.rootfs.walk(top)
        if not entry.is_directory and fnmatch.fnmatchcase(name_of(entry.path), pattern)
    ]
    return _listing(below)


def _ls(shell: Interpreter, words: Sequence[str]) -> list[str]:
    operands = _operands(words)
    files = [w for w in operands if w.startswith("/") and w not in _directories(shell, [w])]
    names = [
        name
        for top in _directories(shell, operands or ["."])
        for name in shell.world.rootfs.children(top)
    ]
    return _listing([*files, *sorted(names)])


def _listing(lines: Sequence[str]) -> list[str]:
    return ["\n".join(islice(lines, _MAX_LISTED))] if lines else []


def _directories(shell: Interpreter, words: Sequence[str]) -> list[str]:
    """The canonical paths of those words that name a directory other than the root."""
    found = []
    for word in words:
        if not word or word.startswith(("-", "(", "!")):
            continue
        entry = shell.world.rootfs.lookup(join(shell.scope.directories[0], word))
        if entry is not None and entry.is_directory and entry.path != "/":
            found.append(entry.path)
    return found


def _dirname(shell: Interpreter, words: Sequence[str]) -> list[str]:
    path = (_operands(words) or [""])[-1].rstrip("/")
    return [path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")]


def _basename(shell: Interpreter, words: Sequence[str]) -> list[str]:
    path, *suffix = _operands(words) or [""]
    name = path.rstrip("/").rpartition("/")[2]
    return [name.removesuffix(suffix[0]) if suffix else name]


def _pwd(shell: Interpreter, words: Sequence[str]) -> list[str]:
    return list(shell.scope.directories)


def _readlink(shell: Interpreter, words: Sequence[str]) -> list[str]:
    path = join(shell.scope.directories[0], (_operands(words) or [""])[-1])
    if any(re.fullmatch(r"-\w*[efm]\w*", word) for word in words):
        return [shell.world.rootfs.resolve(path).path]
    entry = shell.world.rootfs.get(shell.world.rootfs.canonical(path))
    return [entry.link_target] if entry is not None and entry.is_symlink else []


def _realpath(shell: Interpreter, words: Sequence[str]) -> list[str]:
    path = join(shell.scope.directories[0], (_operands(words) or [""])[-1])
    return [shell.world.rootfs.resolve(path).path]


def _which(shell: Interpreter, words: Sequence[str]) -> list[str]:
    """Where a command is; what is not in the image prints nothing, so nothing runs for it."""
    found = (locate(shell.world, word, shell.place()) for word in _operands(words))
    return [path for path in found if path] or [""]


def _echo(shell: Interpreter, words: Sequence[str]) -> list[str]:
    while words and re.fullmatch(r"-[neE]+", words[0]):
        words = words[1:]
    return [" ".join(words).replace("\\n", "\n")]


def _printf(shell: Interpreter, words: Sequence[str]) -> list[str]:
    if not words:
        return []
    template, *values = words
    if template == "%s\\n":
        return ["\n".join(values)]
    if re.search(r"%[^sq]", template) or len(re.findall("%[sq]", template)) > len(values):
        return []
    text = template.replace("\\n", "\n")
    for value in values:
        text = re.sub("%[sq]", lambda _, value=value: value, text, count=1)  # type: ignore[misc]
    return [text]


def _cat(shell: Interpreter, words: Sequence[str]) -> list[str]:
    operands = _operands(words)
    if not operands:
        return list(shell.scope.stdin)
    return text_in(shell, operands[0]) if len(operands) == 1 else []


def text_in(shell: Interpreter, path: str) -> list[str]:
    """The text of a short file: one that the script has written, or one of the image."""
    whole = join(shell.scope.directories[0], path)
    if whole in shell.scope.written:
        return list(shell.scope.written[whole])
    entry = shell.world.rootfs.lookup(whole)
    if entry is None or not entry.is_file or entry.size_bytes > _MAX_PRINTED_BYTES:
        return []
    content = shell.world.rootfs.read_bytes(entry)
    return [] if b"\0" in content else [content.decode("utf-8", "surrogateescape")]


def _uname(shell: Interpreter, words: Sequence[str]) -> list[str]:
    if list(words) in (["-m"], ["-p"]):
        machine = load_table("shell")["machines"].get(shell.world.platform.architecture)
        return [machine] if machine else []
    return ["Linux"] if list(words) in ([], ["-s"]) else []


def _seq(shell: Interpreter, words: Sequence[str]) -> list[str]:
    numbers = [int(word) for word in words if re.fullmatch(r"-?\d{1,9}", word)]
    if not words or len(numbers) != len(words) or len(numbers) > 3:
        return []
    first = numbers[0] if len(numbers) > 1 else 1
    step = numbers[1] if len(numbers) == 3 else 1
    past = numbers[-1] + (1 if step > 0 else -1)
    members = range(first, past, step) if step else range(0)
    return ["\n".join(str(number) for number in islice(members, _MAX_LISTED))]


_PRINTS: dict[str, Callable[[Interpreter, Sequence[str]], list[str]]] = {
    "dirname": _dirname,
    "basename": _basename,
    "pwd": _pwd,
    "readlink": _readlink,
    "realpath": _realpath,
    "command": _which,
    "which": _which,
    "type": _which,
    "echo": _echo,
    "printf": _printf,
    "cat": _cat,
    "uname": _uname,
    "seq": _seq,
    "find": _find,
    "ls": _ls,
}
"""Commands whose output follows from their words and the image."""
