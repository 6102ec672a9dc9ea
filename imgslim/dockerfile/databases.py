"""The steps that cut the gathered package databases: filters in, shell text out.

Nothing but the shell and ``touch`` is used: sed and awk may be missing, and differ. What the loops
do is what ``databases.lines`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby

from imgslim.copyplan.words import shell_word
from imgslim.databases.filters import Filter, Format
from imgslim.databases.patterns import Pattern
from imgslim.dockerfile.layout import LINE_WIDTH, comment, count

_INDENT = "    "

_LISTED = ("listed() {", "  case $1 in", "{names}", "    *) return 1;;", "  esac;", "};")

_FLUSH = (
    "flush() {",
    '  if [ -n "$name" ] && {test}; then printf \'%s\\n\' "$block"; fi;',
    "  block=; name=; more=; above=; here=1;",
    "};",
)

_CONTROL = (
    "cut() {",
    "  name=; flush;",
    '  while IFS= read -r line || [ -n "$line" ]; do',
    "    case $line in",
    "      '') flush; continue;;",
    "      'Package: '*) name=${name:-${line#Package: }};;",
    "      'Architecture: '*) more=${more:-${line#Architecture: }};;",
    "    esac;",
    "    block=$block$line$end;",
    "  done;",
    "  flush;",
    "};",
)

_APK = (
    "cut() {",
    "  name=; flush;",
    '  while IFS= read -r line || [ -n "$line" ]; do',
    "    case $line in",
    "      '') flush; continue;;",
    "      P:*) name=${name:-${line#P:}};;",
    "      F:*) more=${line#F:}; above=$line$end; here=; continue;;",
    "      M:*) above=$above$line$end; continue;;",
    "      R:*)",
    '        here=; if ! kept "$more/${line#R:}"; then continue; fi;',
    "        here=1; block=$block$above; above=;;",
    '      a:* | Z:*) if [ -z "$here" ]; then continue; fi;;',
    "    esac;",
    "    block=$block$line$end;",
    "  done;",
    "  flush;",
    "};",
)

_SUMS = (
    "cut() {",
    '  while IFS= read -r line || [ -n "$line" ]; do',
    "    path=${line#*  };",
    '    if kept "${path:-$line}"; then printf \'%s\\n\' "$line"; fi;',
    "  done;",
    "};",
)

_ONE = (
    "file={folder}/{name};",
    'cut < ".$file" > "{place}$file"; touch -r ".$file" "{place}$file"',
)

_EACH = (
    "for each in",
    "{names}",
    "; do",
    "  file={folder}/$each{suffix};",
    '  if [ -e ".$file" ]; then',
    '    cut < ".$file" > "{place}$file"; touch -r ".$file" "{place}$file";',
    "  fi;",
    "done",
)

_MOST_NAME_BYTES = 30_000
"""Names of files in one instruction, beside what says how they are cut (trap 24)."""


def cut_databases(filters: Iterable[Filter], place: str) -> Iterator[str]:
    """One RUN a filter. The files are in ``place`` already, with their owner and mode."""
    for one in filters:
        heading = comment(_heading(one))
        for folder, names in _folders(one):
            start = "RUN set -eu; cd /; end=$(printf '\\nx'); end=${end%x};"
            steps = [start, *_steps(one), *_loop(folder, names, _suffix(one), place)]
            yield heading + "\n" + " \\\n    ".join(steps)


def _folders(one: Filter) -> Iterator[tuple[str, list[str]]]:
    """The files by directory, without what all their names end with."""
    for folder, paths in groupby(one.paths, key=lambda path: path.rpartition("/")[0]):
        names = [path.rpartition("/")[2].removesuffix(_suffix(one)) for path in paths]
        sizes = accumulate(len(name) + 3 for name in names)
        rows = zip(names, sizes, strict=True)
        for _, part in groupby(rows, key=lambda row: row[1] // _MOST_NAME_BYTES):
            yield folder, [name for name, _ in part]


def _suffix(one: Filter) -> str:
    return ".md5sums" if one.format is Format.SUMS else ""


def _loop(folder: str, names: Sequence[str], suffix: str, place: str) -> Iterator[str]:
    """Packages may be gone from a later image that the same Dockerfile is built on: of several
    files, those that are there."""
    word = shell_word(folder)
    if len(names) == 1:
        return _filled(_ONE, folder=word, name=shell_word(names[0] + suffix), place=place)
    words = _wrapped(map(shell_word, names))
    return _filled(_EACH, names=words, folder=word, suffix=suffix, place=place)


def _heading(one: Filter) -> str:
    what = f"{one.format.value}, cut to what is kept"
    if one.packages:
        return f"{what}: {len(one.names):,} of {count(one.packages, 'package')}"
    return what


def _steps(one: Filter) -> Iterator[str]:
    if one.format is not Format.SUMS:
        yield from _filled(_LISTED, names=_clause(map(_literal, one.names), ""))
    if one.format is not Format.CONTROL:
        yield from _kept(one)
    match one.format:
        case Format.CONTROL:
            yield from _filled(_FLUSH, test='{ listed "$name" || listed "$name:$more"; }')
            yield from _CONTROL
        case Format.APK:
            yield from _filled(_FLUSH, test='listed "$name"')
            yield from _APK
        case Format.SUMS:
            yield from _SUMS


def _kept(one: Filter) -> Iterator[str]:
    yield "kept() {"
    yield "  case $1 in"
    for verdict, patterns in one.files.groups():
        yield from _clause(map(_word, patterns), "" if verdict else " return 1")
    yield "    *) ;;" if one.files.otherwise else "    *) return 1;;"
    yield "  esac;"
    yield "};"


def _filled(lines: Sequence[str], **values: str | Sequence[str]) -> Iterator[str]:
    """The lines with ``{key}`` replaced; a sequence stands for whole lines."""
    for line in lines:
        whole = values.get(line[1:-1]) if line.startswith("{") else None
        if whole is not None and not isinstance(whole, str):
            yield from whole
            continue
        for key, value in values.items():
            if isinstance(value, str):
                line = line.replace(f"{{{key}}}", value)
        yield line


def _clause(words: Iterable[str], then: str) -> list[str]:
    """``one | two | three) then;;``, on as many lines as it takes."""
    *others, last = list(words) or ["''"]
    return _wrapped([*(f"{word} |" for word in others), f"{last}){then};;"])


def _wrapped(words: Iterable[str]) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 3 <= LINE_WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(_INDENT + word)
    return lines


def _word(pattern: Pattern) -> str:
    return "*".join(_literal(part) if part else "" for part in pattern.parts)


def _literal(raw: bytes) -> str:
    return shell_word(raw.decode("utf-8", "surrogateescape"))
