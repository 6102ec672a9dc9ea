"""The instruction behind each layer, as the image's history tells it.

Three builders write it in three ways: Docker's legacy builder and buildah ``/bin/sh -c SCRIPT`` and
``/bin/sh -c #(nop) COPY dir:HASH in /app``, BuildKit ``RUN /bin/sh -c SCRIPT # buildkit`` and
``COPY . /app # buildkit``; all put build arguments as ``|2 NAME=VALUE …`` before the shell. kaniko
writes the Dockerfile's own line.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from imgslim.audit.instructions import instruction, without_marks
from imgslim.model import HistoryRow, Layer

_KEYWORDS = frozenset(
    (
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    )
)
_SHELL = re.compile(
    r"^(?:\|\d+ (?:.*? )??)?/\S*?(?:sh|bash|ash|dash) (?:-o \S+ |-\S+ )*?-\w*c (?P<script>.*)$",
    re.DOTALL,
)
_HASHED = re.compile(r"^(?P<kind>\w+):(?:sha256:)?[0-9a-f]{20,} in (?P<to>.*)$", re.DOTALL)

_PASSIVE = frozenset(
    ("CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "STOPSIGNAL")
)
"""Instructions that change nothing for a RUN behind them: they may stand anywhere."""

_BEFORE = frozenset(("ARG", "ENV"))
"""Those that a RUN behind them needs, and one before them hardly minds: they may move up."""


@dataclass(frozen=True, slots=True)
class Step:
    """The instruction that made a layer.

    ``text`` is it in one line ("": the image does not say), ``keyword`` its first word, ``script``
    the shell text of a RUN. ``sources`` are what a COPY or ADD names where the history has it (not
    with the legacy builder and buildah), ``target`` the absolute path to which it copies ("": not
    known), ``unpacks`` whether it may have been an archive. ``in_base`` is what the user's
    Dockerfile does not have. ``joins``: it is a RUN, and so is the layer before, with nothing
    between that keeps them apart; ``moved`` are what then has to move up before both.
    """

    layer_index: int
    text: str = ""
    keyword: str = ""
    script: str = ""
    sources: tuple[str, ...] = ()
    target: str = ""
    unpacks: bool = False
    in_base: bool = False
    joins: bool = False
    moved: tuple[str, ...] = ()

    @property
    def is_run(self) -> bool:
        return self.keyword == "RUN" and not self.in_base

    @property
    def is_copy(self) -> bool:
        return self.keyword in ("COPY", "ADD") and not self.in_base

    @property
    def name(self) -> str:
        """``the RUN of layer 3``."""
        return f"the {self.keyword or 'instruction'} of layer {self.layer_index}"


def read_steps(
    layers: Sequence[Layer], history: Sequence[HistoryRow], base_count: int | None
) -> tuple[Step, ...]:
    """The steps of ``layers``; the first ``base_count`` are the base's. Where that is not known
    (None), a first layer that adds a root file system is: every base image starts with one."""
    steps: list[Step] = []
    directory = "/"
    between: list[str] = []
    for row in history if _pairs(layers, history) else _rows_of(layers):
        keyword, rest, is_script = _parsed(row.created_by)
        if keyword == "WORKDIR":
            directory = posixpath.join(directory, rest.strip())
        if row.empty_layer:
            between.append(keyword)
            continue
        index = len(steps)
        is_base = index < base_count if base_count is not None else _is_root(layers, index, keyword)
        step = Step(index, instruction(row.created_by), keyword, in_base=is_base)
        if keyword in ("COPY", "ADD"):
            step = _copying(step, rest, directory)
        elif is_script:
            step = replace(step, script=rest)
        steps.append(_joined(step, steps[-1:], between))
        between = []
    return tuple(steps)


def _pairs(layers: Sequence[Layer], history: Sequence[HistoryRow]) -> bool:
    """As ``sources.config.pair_history``: other numbers, and nobody can tell whose a row is."""
    return sum(not row.empty_layer for row in history) == len(layers)


def _rows_of(layers: Sequence[Layer]) -> Iterator[HistoryRow]:
    return (HistoryRow(layer.blob.created_by, False) for layer in layers)


def _is_root(layers: Sequence[Layer], index: int, keyword: str) -> bool:
    return index == 0 and len(layers) > 1 and keyword in ("ADD", "")


def _parsed(created_by: str) -> tuple[str, str, bool]:
    """(keyword, the rest of the instruction, whether that is a script)."""
    text, is_marked = without_marks(created_by)
    if not is_marked:
        plain = text.removeprefix("RUN ")
        shell = _SHELL.match(plain)
        if shell:
            return "RUN", shell["script"], True
        if plain != text or text.startswith("/"):
            return "RUN", plain, True
    keyword, _, rest = text.partition(" ")
    return (keyword, rest.strip(), False) if keyword in _KEYWORDS else ("", text, False)


def _copying(step: Step, rest: str, directory: str) -> Step:
    hashed = _HASHED.match(rest)
    if hashed:
        target = posixpath.normpath(posixpath.join(directory, hashed["to"].strip()))
        may_unpack = step.keyword == "ADD" and hashed["kind"] == "file"
        return replace(step, target=target, unpacks=may_unpack)
    words = [word for word in _operands(rest) if not word.startswith("--")]
    if len(words) < 2:
        return step
    target = posixpath.normpath(posixpath.join(directory, words[-1]))
    return replace(step, sources=tuple(words[:-1]), target=target, unpacks=step.keyword == "ADD")


def _operands(rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError:
        return rest.split()


def _joined(step: Step, before: Sequence[Step], between: Sequence[str]) -> Step:
    runs = step.is_run and any(one.is_run for one in before)
    if not runs or not set(between) <= _PASSIVE | _BEFORE:
        return step
    moved = tuple(dict.fromkeys(word for word in between if word in _BEFORE))
    return replace(step, joins=True, moved=moved)
