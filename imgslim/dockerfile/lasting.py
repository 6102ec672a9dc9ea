"""The shell text that lets a Dockerfile meet images which were not there when it was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from imgslim.copyplan.patterns import may_vanish
from imgslim.copyplan.steps import CopyPlan
from imgslim.copyplan.words import is_shell_word, shell_word

GONE = """gone() {
  echo "imgslim: $1 is not in this build any more: run imgslim again to write it anew" >&2
  exit 1
}"""

CHECK = """check() {
  for path
  do [ -e "$path" ] || [ -L "$path" ] || gone "${path#.}"
  done
}"""
"""A pattern that matches nothing stays as it is."""

PRESENT = """present() {
  act=$1
  shift
  for path
  do shift
    if [ -e "$path" ] || [ -L "$path" ]; then set -- "$@" "$path"; else echo "not there: $path"; fi
  done
  [ $# = 0 ] || "$act" "$@"
}"""
"""Runs a command on those of its words that are there."""

LINKS = """links() {
  act=$1
  shift
  for path
  do [ ! -L "$path" ] || $act "$path"
  done
}"""
"""Runs a command on each of its words that is a link: a pattern names their targets, too."""


def with_check(gather: str) -> str:
    """The function ``gather`` with a look at its words first."""
    return gather.replace("{\n", '{\n  check "$@"\n', 1)


def word(path: str, patterns: Mapping[str, str], *, place: str = ".") -> str:
    """A path in ``place`` as a word of the shell; its pattern where it has one, unquoted."""
    pattern = patterns.get(path)
    return shell_word(f"{place}{path}") if pattern is None else f"{place}{pattern}"


def words(paths: Iterable[str], patterns: Mapping[str, str], *, place: str = ".") -> list[str]:
    """The words of several paths, one that a pattern says only once."""
    return list(dict.fromkeys(word(path, patterns, place=place) for path in paths))


def split_optional(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those without which nothing runs, and those that a later version may lack."""
    optional = [path for path in paths if may_vanish(path)]
    return [path for path in paths if path not in set(optional)], optional


def checked_words(copies: CopyPlan) -> Iterator[str]:
    """The words of all that is copied by name and must be there: of the plain copies, the copied
    trees, and what is moved."""
    for copy in copies.plain:
        required, _ = split_optional(copy.sources)
        yield from words(filter(is_shell_word, required), copy.patterns)
    yield from words((tree.path for tree in copies.gathered.trees), {})
    yield from words((group[0].path for group in copies.gathered.moved), {})
