"""The stage that puts bytecode in the place of its sources, with the image's own shell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from imgslim.copyplan.moves import CACHE, Moves
from imgslim.copyplan.words import shell_word
from imgslim.dockerfile.layout import comment, count, wrapped
from imgslim.dockerfile.runs import INDENT

_MOVE = (
    'plain() { [ -f "$1" ] && [ ! -h "$1" ]; };',
    "holds() {",
    '  for each in "$1"/* "$1"/.[!.]* "$1"/..?*; do',
    '    if [ -e "$each" ] || [ -h "$each" ]; then return 0; fi;',
    "  done;",
    "  return 1;",
    "};",
    "move() {",
    f'  if [ -d "$1/{CACHE}" ] && [ ! -h "$1/{CACHE}" ]; then',
    f'    touch -r "$1" {{place}}.1; touch -r "$1/{CACHE}" {{place}}.2;',
    f'    for file in "$1"/{CACHE}/*{{suffix}}; do',
    "      name=${file##*/}; name=${name%{suffix}};",
    '      if ! plain "$file" || ! plain "$1/$name.py"; then continue; fi;',
    '      if [ -e "$1/$name.pyc" ] || [ -h "$1/$name.pyc" ]; then continue; fi;',
    '      if stays "$1/$name.py"; then continue; fi;',
    '      mv "$file" "$1/$name.pyc";',
    f'      rm -f "$1/$name.py" "$1/{CACHE}/$name".cpython-*.pyc;',
    "    done;",
    f'    if holds "$1/{CACHE}"; then touch -r {{place}}.2 "$1/{CACHE}";',
    f'    else rm -r "$1/{CACHE}"; fi;',
    '    touch -r {place}.1 "$1";',
    "  fi;",
    '  for below in "$1"/*/; do',
    '    if [ -d "$below" ] && [ ! -h "${below%/}" ]; then move "${below%/}"; fi;',
    "  done;",
    "};",
)
"""A directory keeps its time; links are not followed, hidden directories not entered."""


def move_runs(moves: Iterable[Moves], place: str) -> Iterator[str]:
    """One RUN for all roots in one directory; ``place`` is a free name at the root."""
    for move in moves:
        heading = comment(f"{count(move.count, 'Python source')} left out, bytecode in their place")
        for parent, roots in groupby(move.roots, key=lambda root: root.rpartition("/")[0]):
            tops = list(roots)
            left = [path for path in move.left if any(_is_in(path, top) for top in tops)]
            words = [shell_word(f".{root[len(parent) :]}") for root in tops]
            lines = [
                line.replace("{place}", place).replace("{suffix}", move.suffix) for line in _MOVE
            ]
            steps = [
                f"RUN set -eu; cd {shell_word(parent or '/')};",
                *_stays(left, parent),
                *lines,
                f'for top in {" ".join(words)}; do move "$top"; done;'
                if len(words) < 4
                else wrapped("for top in", words, indent=INDENT) + '; do move "$top"; done;',
                f"rm -f {place}.1 {place}.2",
            ]
            yield f"{heading}\n" + " \\\n    ".join(steps)


def _is_in(path: str, top: str) -> bool:
    return path.startswith(f"{top}/")


def _stays(left: Iterable[str], parent: str) -> Iterator[str]:
    words = [
        shell_word(f".{path[len(parent) :]}") + ("*" if path[-1] == "/" else "") for path in left
    ]
    if not words:
        yield "stays() { return 1; };"
        return
    *others, last = words
    yield "stays() {"
    yield "  case $1 in"
    yield from (f"    {word} |" for word in others)
    yield f"    {last}) return 0;;"
    yield "  esac;"
    yield "  return 1;"
    yield "};"
