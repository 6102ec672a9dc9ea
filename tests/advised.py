"""A Dockerfile edited as advice says, word by word: what a person does who follows it.

The Dockerfiles of these tests have one instruction a line. ``edit`` finds in the text of the advice
the command, option, path or stage that it names; nothing is taken from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from imgslim.audit.model import Advice

_LAYERS = ("RUN ", "COPY ", "ADD ", "WORKDIR ")
"""The instructions that make a layer (a WORKDIR where it makes a directory)."""


@dataclass(frozen=True)
class Source:
    """A Dockerfile of one stage upon a base of ``base_layers``, and its context."""

    lines: tuple[str, ...]
    files: Mapping[str, bytes]
    base_layers: int = 1

    @classmethod
    def of(cls, text: str, files: Mapping[str, bytes] | None = None) -> Source:
        return cls(tuple(text.strip().split("\n")), files or {})

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def place(self, layer: int) -> int:
        """The line of the instruction that made a layer."""
        places = [n for n, line in enumerate(self.lines) if line.startswith(_LAYERS)]
        return places[layer - self.base_layers]

    def change(self, layer: int, change: Callable[[str], str]) -> Source:
        lines = list(self.lines)
        place = self.place(layer)
        lines[place] = change(lines[place])
        return replace(self, lines=tuple(lines))

    def without(self, *layers: int) -> Source:
        gone = {self.place(layer) for layer in layers}
        return replace(self, lines=tuple(v for n, v in enumerate(self.lines) if n not in gone))


def edited(source: Source, advice: Sequence[Advice]) -> Source:
    """``source`` after all of the ``advice``. Layers are those of the Dockerfile as it was."""
    gone: list[int] = []
    for row in advice:
        source, left_out = _edited(source, row)
        gone += left_out
    return source.without(*gone)


def _edited(source: Source, advice: Advice) -> tuple[Source, list[int]]:
    for pattern, follow in _EDITS.items():
        match = re.search(pattern, advice.edit, re.DOTALL)
        if match:
            return follow(source, match)
    raise AssertionError(f"nobody could follow: {advice.edit}")


def _end_with(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    added = match["command"]
    return source.change(int(match["layer"]), lambda line: f"{line} && {added}"), []


def _begin_with(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    added = match["command"]
    return source.change(
        int(match["layer"]), lambda line: line.replace("RUN ", f"RUN {added} && ", 1)
    ), []


def _in_place(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    return source.change(int(match["layer"]), lambda line: match["line"]), []


def _append_and_leave_out(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    return _end_with(source, match)[0], [int(match["later"])]


def _join(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    first, *others = [int(word) for word in re.findall(r"\d+", match["layers"])]
    scripts = [source.lines[source.place(layer)].removeprefix("RUN ") for layer in others]
    joined = " && ".join(scripts)
    return source.change(first, lambda line: f"{line} && {joined}"), others


def _add_flag(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    flag, command = match["flag"], match["command"]
    names = (match["names"] or "").split()

    def change(line: str) -> str:
        assert command in line
        return line.replace(command, " ".join((command, flag, *names)))

    return source.change(int(match["layer"]), change), []


def _ignore(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    files = {**source.files, ".dockerignore": match["lines"].encode()}
    later = match["later"]
    return replace(source, files=files), [int(later)] if later else []


def _copy_with(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    later, gone = int(match["later"]), match["gone"]
    changed = source.change(
        int(match["layer"]), lambda line: line.replace("COPY", f"COPY {match['options']}", 1)
    )
    line = changed.lines[changed.place(later)]
    if line == f"RUN {gone}":
        return changed, [later]
    return changed.change(later, lambda line: line.replace(f"{gone} && ", "")), []


def _mount(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    def change(line: str) -> str:
        line = re.sub(r" && rm [^&]*", "", line)
        return line.replace("RUN", f"RUN {match['mounts']}", 1)

    return source.change(int(match["later"]), change), [int(match["layer"])]


def _stage(source: Source, match: re.Match[str]) -> tuple[Source, list[int]]:
    """The whole file as the build stage; the last one has the same without its COPYs and RUNs but
    the one that is to be there, with fewer words or not at all."""
    head = source.lines[0]
    layer = int(re.findall(r"layer (\d+)", match["steps"])[0])
    kept = [line for line in source.lines[1:] if not line.startswith(_LAYERS)]
    words = (match["words"] or "").split()
    last = []
    if words:
        line = source.lines[source.place(layer)]
        for word in words:
            assert f" {word}" in line
            line = line.replace(f" {word}", "", 1)
        last.append(line.replace("install -y", " ".join(("install -y", *_named(match)))))
    copies = re.findall(r"^COPY --from=build .*$", match[0], re.MULTILINE)
    lines = (f"{head} AS build", *source.lines[1:], head, *last, *copies, *kept)
    return replace(source, lines=lines), []


def _named(match: re.Match[str]) -> list[str]:
    found = re.search(r"needs of theirs: (.*)", match[0])
    return found[1].split() if found else []


_EDITS: Mapping[str, Callable[[Source, re.Match[str]], tuple[Source, list[int]]]] = {
    r"^add `(?P<command>[^`]+)` to the RUN of layer (?P<layer>\d+), at its end$": _end_with,
    r"^end the RUN of layer (?P<layer>\d+) with `&& (?P<command>[^`]+)`, and leave out the RUN of "
    r"layer (?P<later>\d+)$": _append_and_leave_out,
    r"^join the RUNs of layers (?P<layers>[\d, and]+) into one, with `&&` between": _join,
    r"^begin the RUN of layer (?P<layer>\d+) with `(?P<command>[^`]+) &&`$": _begin_with,
    r"^write `(?P<line>RUN [^`]+)` in place of the COPY of layer (?P<layer>\d+)$": _in_place,
    r"^add `(?P<flag>--[^`]+)` to `(?P<command>[^`]+)` in the RUN of layer (?P<layer>\d+)"
    r"(?:, and to its packages, for the program needs them: (?P<names>.*))?$": _add_flag,
    r"^in \.dockerignore(?:, and leave its deletion out of the RUN of layer (?P<later>\d+))?:\n"
    r"(?P<lines>.*)": _ignore,
    r"^write COPY (?P<options>.*) in the COPY of layer (?P<layer>\d+); leave `(?P<gone>[^`]+)` out "
    r"of the RUN of layer (?P<later>\d+)$": _copy_with,
    r"^leave out the COPY of layer (?P<layer>\d+), and write RUN (?P<mounts>--mount.*) in the RUN "
    r"of layer (?P<later>\d+), and leave its deletion out of": _mount,
    r"^FROM \S+ AS build\n# (?P<steps>[^\n]*), and what it builds"
    r"(?:, with (?P<words>[^\n]*))?\n.*": _stage,
}
