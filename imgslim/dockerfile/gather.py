"""The stage that puts the gathered tree together, with the image's own shell and tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from imgslim.copyplan.steps import CopyPlan, Gathered, PrunedTree
from imgslim.copyplan.tools import Tools
from imgslim.copyplan.words import (
    copy_destination,
    copy_source,
    is_simple,
    json_word,
    shell_word,
)
from imgslim.dockerfile import lasting
from imgslim.dockerfile.databases import cut_databases
from imgslim.dockerfile.frame import Frame
from imgslim.dockerfile.layout import comment, count, describe_contents, size, wrapped
from imgslim.dockerfile.moves import move_runs
from imgslim.dockerfile.runs import (
    INDENT,
    parts,
    run_instruction,
    shell_function,
    stage_head,
    word_parts,
)
from imgslim.model import Entry, ImageConfig, Keep

_STRIP = """slim() {{
  for path
  do {command} "$path" || echo "not stripped: $path"
  done
}}"""
"""With a shell function, as the one that gathers."""


def gather_stage(config: ImageConfig, copies: CopyPlan, frame: Frame) -> Iterator[str]:
    """The stage as one block of text; nothing when nothing is gathered."""
    gathered, tools, place = copies.gathered, copies.tools, copies.place
    if gathered.is_empty or tools is None:
        return
    blocks = [
        *(_checks(copies) if copies.lasting else ()),
        *(_copy_tree(frame.base, tree, place) for tree in gathered.trees),
        *_runs(gathered, tools, place, checked=copies.lasting),
    ]
    why = comment("What a COPY line would change: links, and the directories' owner, mode and time")
    head = f"{why}\n{_stage(config, copies, tools, frame.base, frame.gathered)}"
    yield "\n\n".join([head, *blocks])


def moved_stage(config: ImageConfig, copies: CopyPlan, frame: Frame) -> Iterator[str]:
    """The stage in which files get their other names, as one block of text."""
    if copies.moves and copies.tools is not None:
        head = _stage(config, copies, copies.tools, frame.base, frame.moved)
        yield "\n\n".join([head, *move_runs(copies.moves, copies.place)])


def _stage(config: ImageConfig, copies: CopyPlan, tools: Tools, base: str, name: str) -> str:
    return "\n".join(stage_head(base, name, tools, config, clean_base=copies.clean_base))


def _copy_tree(base: str, tree: PrunedTree, place: str) -> str:
    source, target = tree.path, f"{place}{tree.path}"
    less = f", less {count(len(tree.removed), 'path')}" if tree.removed else ""
    if is_simple(source):
        line = f"COPY --from={base} {source} {target}"
    else:
        words = json_word(copy_source(source)), json_word(copy_destination(target))
        line = f"COPY --from={base} [{', '.join(words)}]"
    return "\n".join([comment(f"{source}{less}:"), *describe_contents(tree.contents), line])


def _checks(copies: CopyPlan) -> Iterator[str]:
    """What is copied by name is looked for first: a builder's own words on a missing file do not
    say what to do."""
    for part in word_parts(lasting.checked_words(copies)):
        functions = [shell_function(text, "") for text in (lasting.GONE, lasting.CHECK)]
        yield run_instruction(["cd /", *functions, wrapped("check", part, indent=INDENT)])


def _runs(gathered: Gathered, tools: Tools, place: str, *, checked: bool) -> Iterator[str]:
    patterns = gathered.patterns
    removed = [path for tree in gathered.trees for path in tree.removed]
    for words in word_parts(lasting.words(removed, patterns, place=place)):
        yield run_instruction([wrapped("rm -rf", words, indent=INDENT)])
    heading = "".join(f"{line}\n" for line in describe_contents(gathered.contents))
    for units in parts(gathered.units, _unit_bytes):
        entries = [entry for unit in units for entry in unit]
        steps = _gather(tools.files, place, _paths(entries), patterns, checked=checked)
        if not tools.keeps_links:
            steps += _restore_links(entries, place, patterns, checked=checked)
        yield heading + run_instruction(["cd /", f"mkdir -p {place}", *steps])
        heading = ""
    if gathered.moved:
        yield heading + run_instruction(["cd /", *_moves(gathered.moved, place)])
    yield from _strip_runs(gathered.strips, place, patterns)
    yield from cut_databases(gathered.filters, place)
    # A directory made later would change the time of the one that it is in.
    stated = [shell_word(f"{place}{entry.path}") for entry in gathered.stated]
    make_stated = wrapped("mkdir -p", [place, *stated], indent=INDENT)
    for words in word_parts(lasting.words(_paths(gathered.directories), patterns)):
        functions = [shell_function(tools.directories, place)]
        functions += [shell_function(lasting.PRESENT, place)] if checked else []
        gather = wrapped("present gather" if checked else "gather", words, indent=INDENT)
        yield run_instruction(["cd /", make_stated, *functions, gather])
    if gathered.stated:
        yield run_instruction(
            [
                make_stated,
                'state() { mkdir -p "$4"; chown "$1" "$4"; chmod "$2" "$4"; touch -d "@$3" "$4"; }',
                *(_state(entry, place) for entry in gathered.stated),
            ]
        )


def _gather(
    text: str, place: str, paths: Sequence[str], patterns: Mapping[str, str], *, checked: bool
) -> list[str]:
    """The function ``text`` and its call; where it is to be ``checked``, what must be there is
    looked for, and what need not be is left out."""
    if not checked:
        words = lasting.words(paths, patterns)
        return [shell_function(text, place), wrapped("gather", words, indent=INDENT)]
    required, optional = lasting.split_optional(paths)
    functions = [lasting.GONE, lasting.CHECK, lasting.with_check(text)]
    calls = [("gather", required)] if required else []
    if optional:
        functions.append(lasting.PRESENT)
        calls.append(("present gather", optional))
    return [
        *(shell_function(function, place) for function in functions),
        *(wrapped(call, lasting.words(some, patterns), indent=INDENT) for call, some in calls),
    ]


def _strip_runs(strips: Sequence[Keep], place: str, patterns: Mapping[str, str]) -> Iterator[str]:
    """In the gathered tree nothing runs, and the directories get their times afterwards. A file
    that strip cannot read stays as it is, and the build says so."""
    saves = size(sum(keep.strip_bytes for keep in strips))
    heading = comment(f"{count(len(strips), 'file')} less what only debuggers read: {saves}")
    for command, group in groupby(sorted(strips, key=_command), key=_command):
        function = shell_function(_STRIP.format(command=command), place)
        names = lasting.words(_paths(keep.entry for keep in group), patterns)
        for words in word_parts(names):
            steps = [f"cd {place}", function, wrapped("slim", words, indent=INDENT)]
            yield f"{heading}\n{run_instruction(steps)}"


def _command(keep: Keep) -> str:
    return keep.strip


def _paths(entries: Iterable[Entry]) -> list[str]:
    return [entry.path for entry in entries]


def _names(entries: Iterable[Entry]) -> list[str]:
    return [shell_word(f".{entry.path}") for entry in entries]


def _state(entry: Entry, place: str) -> str:
    """A directory that the running stage does not see as it is, in so many words."""
    word = shell_word(f"{place}{entry.path}")
    return f"state {entry.uid}:{entry.gid} {entry.mode:04o} {int(entry.mtime)} {word}"


def _restore_links(
    entries: Sequence[Entry], place: str, patterns: Mapping[str, str], *, checked: bool
) -> Iterator[str]:
    """Owner and time of symbolic links, in one command for all that share them."""
    links = [entry for entry in entries if entry.is_symlink]
    owned = [(f"{entry.uid}:{entry.gid}", entry) for entry in links if entry.uid or entry.gid]
    timed = [(f"{int(entry.mtime)}", entry) for entry in links]
    if checked and links:
        yield shell_function(lasting.LINKS, place)
    for start, rows in (("chown -h ", owned), ("touch -h -d @", timed)):
        rows.sort(key=lambda row: (row[0], row[1].path))
        for value, group in groupby(rows, key=lambda row: row[0]):
            paths = _paths(entry for _, entry in group)
            words = lasting.words(paths, patterns, place=place)
            command = f"links '{start}{value}'" if checked else f"{start}{value}"
            yield wrapped(command, words, indent=INDENT)


def _moves(groups: Sequence[tuple[Entry, ...]], place: str) -> Iterator[str]:
    """A rename keeps all there is; further names are linked anew."""
    for first, *others in groups:
        target = f"{place}{first.path}"
        yield f"mkdir -p {_parent(target)}"
        yield f"mv {shell_word('.' + first.path)} {shell_word(target)}"
        for other in others:
            name = f"{place}{other.path}"
            yield f"mkdir -p {_parent(name)}"
            yield f"ln {shell_word(target)} {shell_word(name)}"


def _parent(path: str) -> str:
    return shell_word(path.rpartition("/")[0])


def _unit_bytes(unit: tuple[Entry, ...]) -> int:
    """What one file's names take. They stay together, or it would become two; links are named again
    where their owner and time have to be set."""
    return 3 * sum(len(word) + 10 for word in _names(unit))
