"""The user's own Dockerfile, kept byte for byte, as what the slim image is copied from.

Read with tree-sitter-containerfile, which knows heredocs, continuations and ``# escape=``. The one
change is a name for the stage that the image is built from, where it has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from imgslim.errors import DockerfileError, UsageError
from imgslim.runtimes.syntax_trees import parser
from imgslim.sources.reference import is_reference

if TYPE_CHECKING:
    from tree_sitter import Node

STAGE_NAME = "base"

_MARK = b"\xef\xbb\xbf"

_HEREDOC = re.compile(rb"\d*<<-?[^<]*")
"""The words that open a heredoc (BuildKit, frontend/dockerfile/parser, ``reHeredoc``)."""

_TOKEN = (
    rb"\A\xef\xbb\xbf"
    rb"|^[ \t]*(?:#.*|(?:EXPOSE|STOPSIGNAL)[ \t][^\n]*)$"
    rb"|ESC[ \t]*\r?$"
    rb"|^[ \t]*(?P<keyword>USER|WORKDIR|SHELL)(?P<rest>[ \t]+(?:(?!ESC[ \t]*\r?$)[^\n])+)"
    rb"|(?P<word>(?:\"(?:[^\"\\\n]|\\[^\n])*\"|'[^'\n]*'"
    rb"|\\(?![ \t]*\r?$)[^\n]|(?!ESC[ \t]*\r?$)[^ \t\r\n])+)"
)
"""What the grammar is to see as it is (a byte order mark, comments, instructions that take no
text, ESC where a line goes on); instructions whose form it knows too narrowly; or a word with its
quotes and escapes."""

_ODD = re.compile(rb"[^A-Za-z0-9_./:@=,-]")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')

_REFERENCE = "from"
"""The flag of COPY and ADD, and the key of ``RUN --mount``, that name a stage or an image."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM: ``name`` ("": none), ``image`` as written, ``platform`` (the flag's value, or "").

    ``end`` is where its image ends: the byte offset at which a name can be added.
    """

    name: str
    image: str
    platform: str
    end: int


@dataclass(frozen=True, slots=True)
class Source:
    """A Dockerfile: its bytes, its stages in order, every name that a stage of ours must not take
    (lower case), and the escape character that its directive chooses."""

    data: bytes
    stages: tuple[Stage, ...]
    taken: frozenset[str]
    escape: str = "\\"


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the final stage: ``text`` ends with a line end, ``stage`` is the name of
    the fat image's stage in it, ``platform`` the one that it asks for ("": none), ``base`` the
    image that it is built from, through other stages too, as the user names it ("": scratch, or one
    that an ARG chooses).

    Our further stages must not be called as in ``taken``. Lines end with ``newline``.
    """

    text: str
    stage: str
    platform: str = ""
    taken: frozenset[str] = frozenset()
    escape: str = "\\"
    newline: str = "\n"
    base: str = ""

    def free_name(self, wanted: str) -> str:
        """``wanted``, or that with a number behind it: no stage and no image here has it."""
        return _free_name(wanted, self.taken)


def load_source(path: str, target: str = "") -> Head:
    """The Dockerfile at ``path`` with a named stage. Raises UsageError when it cannot be read."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror or error}",
            hint="--source takes the Dockerfile that IMAGE was built from",
        ) from error
    return with_named_stage(parse_source(data), target)


def parse_source(data: bytes) -> Source:
    """Read a Dockerfile. Raises DockerfileError, with the line, for what no builder takes."""
    root = _parse(data)
    stages = tuple(_stage(data, node) for node in _children(root, "from_instruction"))
    if not stages:
        raise DockerfileError("the Dockerfile has no FROM", hint="name the one IMAGE is built from")
    return Source(data, stages, frozenset(_names(data, root, stages)), _escape(data))


def with_named_stage(source: Source, target: str = "") -> Head:
    """``source`` with a name for its last stage, or for the one that ``target`` (a name or an
    index, as ``docker build --target`` takes it) says. Raises DockerfileError."""
    stage = _target(source.stages, target) if target else source.stages[-1]
    data, name = source.data, stage.name
    if not name:
        name = _free_name(STAGE_NAME, source.taken)
        data = data[: stage.end] + f" AS {name}".encode() + data[stage.end :]
    newline = "\r\n" if data.count(b"\r\n") * 2 > data.count(b"\n") else "\n"
    if not data.endswith(b"\n"):
        data += newline.encode()
    text = data.decode("utf-8", "surrogateescape")
    line = _line(source.stages, stage)
    platform = next((one.platform for one in line if one.platform), "")
    taken = source.taken | {name.lower()}
    return Head(text, name, platform, taken, source.escape, newline, _image(line[-1]))


def goes_on() -> DockerfileError:
    """The error for a file whose last instruction would swallow what is put behind it."""
    return DockerfileError(
        "the Dockerfile's last instruction goes on behind its end",
        hint="remove the last line's continuation",
    )


def _parse(data: bytes) -> Node:
    """The syntax tree; its offsets are those of ``data``."""
    import tree_sitter_containerfile

    escape = _escape(data)
    masked = _tokens(escape).sub(_mask, data)
    root = parser(tree_sitter_containerfile.language()).parse(masked).root_node
    if root.has_error:
        last = data.rstrip().rpartition(b"\n")[2]
        if last.endswith(escape.encode()) and not last.lstrip().startswith(b"#"):
            raise goes_on()
        line, text = _first_error(root, data)
        raise DockerfileError(
            f"line {line} of the Dockerfile is none that is known: {text}",
            hint="does it build? `docker build -f` says what is wrong with it",
        )
    return root


@cache
def _tokens(escape: str) -> re.Pattern[bytes]:
    pattern = _TOKEN.replace(b"ESC", re.escape(escape.encode()))
    return re.compile(pattern, re.MULTILINE | re.IGNORECASE)


def _mask(token: re.Match[bytes]) -> bytes:
    """What the structure does not depend on, replaced byte for byte: inside a word the grammar
    takes ``#`` for a comment and ``<<`` for a heredoc, and knows no shell's quotes."""
    keyword, rest, word = token["keyword"], token["rest"], token["word"]
    if keyword is not None:
        head = token[0][: len(token[0]) - len(rest)]
        value = rest.lstrip()
        gap = rest[: len(rest) - len(value)]
        if keyword.upper() == b"SHELL":
            return head + gap + _STRING.sub(_blank_string, value)
        return head + gap + b"x" * len(value.rstrip()) + value[len(value.rstrip()) :]
    if word is None or _HEREDOC.fullmatch(word):
        return token[0]
    return _ODD.sub(b"_", word)


def _blank_string(text: re.Match[bytes]) -> bytes:
    return b'"' + b"x" * (len(text[0]) - 2) + b'"'


def _first_error(root: Node, data: bytes) -> tuple[int, str]:
    """The line (from 1) of the first thing that the grammar cannot place, and its text."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            text = data[node.start_byte : node.end_byte]
            line = data.count(b"\n", 0, node.end_byte - len(text.lstrip()))
            return line + 1, data.split(b"\n")[line].decode("utf-8", "replace").strip()[:80]
        pending.extend(child for child in reversed(node.children) if child.has_error)
    return 1, ""


def _stage(data: bytes, node: Node) -> Stage:
    image = _only(node, "image_spec")
    flags = dict(_flag(data, flag) for flag in _children(node, "param"))
    return Stage(
        _text(data, _only(node, "image_alias")),
        _text(data, image),
        flags.get("platform", ""),
        node.end_byte if image is None else image.end_byte,
    )


def _names(data: bytes, root: Node, stages: Sequence[Stage]) -> Iterator[str]:
    """Stages, and images that a name of ours would hide: in FROM, in flags, in defaults of ARG."""
    for stage in stages:
        yield from (stage.name.lower(), stage.image.lower())
    pending = [root]
    while pending:
        node = pending.pop()
        pending.extend(node.named_children)
        if node.type in ("param", "mount_param_param", "arg_pair"):
            key, value = _flag(data, node)
            if key == _REFERENCE or node.type == "arg_pair":
                yield value.lower()


def _flag(data: bytes, node: Node) -> tuple[str, str]:
    key, _, value = _text(data, node).lstrip("-").partition("=")
    return key, value.strip("\"'")


def _children(node: Node, kind: str) -> Iterator[Node]:
    return (child for child in node.named_children if child.type == kind)


def _only(node: Node, kind: str) -> Node | None:
    return next(_children(node, kind), None)


def _text(data: bytes, node: Node | None) -> str:
    return "" if node is None else data[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _escape(data: bytes) -> str:
    """What ``# escape=`` says: parser directives come first, one a line (Dockerfile reference)."""
    for line in data.removeprefix(_MARK).decode("utf-8", "replace").splitlines():
        key, equals, value = line.strip().partition("=")
        key = key.removeprefix("#").strip()
        if not line.strip().startswith("#") or not equals or not key.isalnum():
            break
        if key.lower() == "escape":
            return value.strip() if value.strip() in ("\\", "`") else "\\"
    return "\\"


def _target(stages: Sequence[Stage], target: str) -> Stage:
    named = {stage.name.lower(): stage for stage in stages if stage.name}
    if target.lower() in named:
        return named[target.lower()]
    if target.isdecimal() and int(target) < len(stages):
        return stages[int(target)]
    near = get_close_matches(target.lower(), named, n=3, cutoff=0.5) or list(named)[-3:]
    raise DockerfileError(
        f"no stage of the Dockerfile is called {target}",
        hint=f"there is {', '.join(near)}" if near else "its stages have no names: use an index",
    )


def _line(stages: Sequence[Stage], stage: Stage) -> list[Stage]:
    """A stage, the one that it is built from, and so on: it has the platform of the first that asks
    for one, and the image of the last."""
    line = [stage]
    named = {one.name.lower(): one for one in stages if one.name and one.end < stage.end}
    while below := named.get(line[-1].image.lower()):
        named = {name: one for name, one in named.items() if one.end < below.end}
        line.append(below)
    return line


def _image(stage: Stage) -> str:
    name = stage.image.lower()
    return stage.image if is_reference(stage.image) and name != "scratch" else ""


def _free_name(wanted: str, taken: frozenset[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name
