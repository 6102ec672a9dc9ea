"""The answer of ``imgslim why``: the chain that keeps a path, or what left it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from rich.console import Console

from imgslim.decisions import decide
from imgslim.matches import Match, owner_key
from imgslim.model import (
    Drop,
    Entry,
    Keep,
    Kind,
    Origin,
    OriginKind,
    Plan,
    unique_size_bytes,
)
from imgslim.reports.console import (
    Look,
    cell,
    columns,
    draw,
    heading,
    indented,
    indented_text,
)
from imgslim.reports.summary import (
    ORIGIN_NAMES,
    Row,
    Section,
    chain_finder,
    dropped_sections,
    kept_sections,
    largest_rows,
)
from imgslim.reports.words import count_text, size_text
from imgslim.tables import load_table
from imgslim.world import World

SHOWN_ROWS = 12
"""Units of a summary, unless everything is asked for."""

_UNREACHED = "nothing that the image runs reaches it"
_REASONS = {
    OriginKind.CACHE: "it is in a cache ({unit}), which is filled again when it is missing",
    OriginKind.SOURCE: "it is the source of a compiled program, which does not read it",
    OriginKind.VCS: "it is version control data ({unit}), which programs do not read",
    OriginKind.ENGINE: "the engine made it, and makes it again in every container",
    OriginKind.RUNTIME: f"it is part of {{unit}}, and {_UNREACHED}",
    OriginKind.GENERATED: f"installing {{unit}} made it, and {_UNREACHED}",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain: a path (or a word in angle brackets), why it is kept, and the line in
    it (0: none) that asks for the next one. ``link_target`` is that of a link on the way."""

    path: str
    reason: str
    line: int = 0
    link_target: str = ""

    def __str__(self) -> str:
        return f"{self.path} line {self.line}" if self.line else self.path


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept path, its owner's key ("": none), and its chain from what the image runs."""

    keep: Keep
    owner: str
    steps: tuple[Step, ...]

    @property
    def size_bytes(self) -> int:
        return self.keep.size_bytes if self.keep.entry.kind is Kind.FILE else 0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path that is left out: why, what is kept of its owner, the price of keeping it."""

    drop: Drop
    owner: str
    reason: str
    kept_files: int
    kept_bytes: int
    keep_cost_bytes: int

    @property
    def size_bytes(self) -> int:
        return _size(self.drop.entry)


@dataclass(frozen=True, slots=True)
class Summary:
    """What is kept and left out of several paths, and the price of keeping all of them."""

    kept: tuple[Section, ...]
    dropped: tuple[Section, ...]
    keep_cost_bytes: int


Answer = Kept | LeftOut | Summary


def explain(world: World, plan: Plan, match: Match, price: Callable[[str], int]) -> Answer:
    """Why what ``match`` names is kept or left out; ``price`` gives the bytes that a
    ``--keep`` of a pattern costs.

    A path that leads through a link which is left out is answered for that link.
    """
    keeps = plan.by_path
    moved = {keep.moved_from: keep for keep in plan.keeps if keep.moved_from}
    single = _single(world, match, keeps)
    if single is None:
        paths = frozenset(match.paths(world.rootfs))
        kept, dropped = kept_sections(plan, paths), dropped_sections(plan, paths)
        return Summary(kept, dropped, price(match.pattern) if dropped else 0)
    keep = keeps.get(single, moved.get(single))
    if keep is not None:
        return Kept(keep, owner_key(world, single), steps_finder(plan)(keep))
    drop = next(drop for drop in plan.drops if drop.entry.path == single)
    owner = owner_key(world, single)
    of_owner = [
        entry
        for path, other in keeps.items()
        if owner and not (entry := other.entry).is_directory and owner_key(world, path) == owner
    ]
    reason = _reason(world, drop)
    if drop.entry.is_file and f"{single}c" in keeps and keeps[f"{single}c"].moved_from:
        reason = f"--no-sources leaves it out, its bytecode is kept as {single}c"
    return LeftOut(drop, owner, reason, len(of_owner), unique_size_bytes(of_owner), price(single))


def _single(world: World, match: Match, keeps: Iterable[str]) -> str | None:
    """The one path that is asked about; None for a directory with something in it, several paths,
    and an owner."""
    missing = next((link for link in match.links if link not in set(keeps)), None)
    if missing is not None:
        return missing
    top = match.tops[0]
    if match.is_owner or len(match.tops) > 1 or world.rootfs.children(top.path):
        return None
    return top.path


def steps_finder(plan: Plan) -> Callable[[Keep], tuple[Step, ...]]:
    """A function from a kept path to the steps that lead to it from what the image runs."""
    keeps = plan.by_path
    programs = {program.label: " ".join(program.argv) for program in plan.programs}
    chain = chain_finder(plan)

    def steps_of(keep: Keep) -> tuple[Step, ...]:
        steps: list[Step] = []
        line = 0
        for path in reversed(chain(keep)):
            kept = keeps.get(path)
            reason = kept.reason if kept is not None else programs.get(path, "")
            target = kept.entry.link_target if kept is not None else ""
            steps.append(Step(path, reason, line, target))
            line = kept.line if kept is not None else 0
        return tuple(reversed(steps))

    return steps_of


def line_finder(plan: Plan) -> Callable[[str], str]:
    """A function from a path of the fat image to the one line that says what needs it: its chain,
    or the reason where the chain says no more; "" for what is left out."""
    by_path = plan.by_source
    steps_of = steps_finder(plan)

    def line_of(path: str) -> str:
        keep = by_path.get(path)
        return "" if keep is None else one_line(steps_of(keep)) or keep.reason

    return line_of


def _reason(world: World, drop: Drop) -> str:
    path = drop.entry.path
    rule = decide(world).dropped.get(path)
    if rule is not None:
        return f"{rule} leaves it out"
    if not world.choices.keeps_bytecode and "/__pycache__/" in path:
        option = "--level tight" if world.choices.bytecode is None else "--no-bytecode"
        return f"{option} leaves compiled Python sources out"
    text = _REASONS.get(drop.origin.kind)
    if text is not None:
        return text.format(unit=drop.origin.unit or ORIGIN_NAMES[drop.origin.kind])
    if drop.origin.kind is OriginKind.PACKAGE and _is_for_people(path):
        return f"packages ship it for people, for building or for an init system; {_UNREACHED}"
    return _UNREACHED


def _is_for_people(path: str) -> bool:
    patterns = load_table("packages")["left_out"]
    return any(fnmatchcase(path, pattern.replace("**", "*")) for pattern in patterns)


def render_why(match: Match, answer: Answer, look: Look) -> str:
    """The whole answer for people."""

    def paint(console: Console) -> None:
        if isinstance(answer, Kept):
            _paint_kept(console, match, answer)
        elif isinstance(answer, LeftOut):
            _paint_left_out(console, match, answer)
        else:
            _paint_summary(console, match, answer, look)

    return draw(look, paint)


def _paint_kept(console: Console, match: Match, answer: Kept) -> None:
    keep = answer.keep
    console.print(cell(f"{keep.entry.path} is kept", "bold"))
    less = f", {size_text(keep.strip_bytes)} of it stripped" if keep.strip_bytes else ""
    if keep.content is not None:
        less = f", cut to {size_text(keep.size_bytes)}"
    _facts(
        console,
        ("asked for as", _way(match, keep.entry)),
        ("as part of", keep.group.value),
        ("because of", keep.reason),
        ("in the fat image", keep.moved_from),
        ("size", _size_words(keep.entry) + less),
        ("owner", answer.owner),
    )
    heading(console, "From what the image runs to it")
    table = columns("", "")
    for step in answer.steps:
        link = f", a link to {step.link_target}" if step.link_target else ""
        table.add_row(cell(str(_plain(step))), cell(f"{step.reason}{link}", "dim"))
    console.print(indented(table))
    line = one_line(answer.steps)
    if line:
        console.print()
        console.print(indented_text(line))


def _paint_left_out(console: Console, match: Match, answer: LeftOut) -> None:
    drop = answer.drop
    console.print(cell(f"{drop.entry.path} is left out", "bold"))
    of_owner = ""
    if answer.owner:
        files = count_text(answer.kept_files, "file")
        of_owner = f"{files}, {size_text(answer.kept_bytes)}" if answer.kept_files else "nothing"
    _facts(
        console,
        ("asked for as", _way(match, drop.entry)),
        ("because", answer.reason),
        ("size", _size_words(drop.entry)),
        ("origin", _origin_words(drop.origin)),
        ("owner", answer.owner),
        ("kept of that", of_owner),
        ("to keep it", f"--keep {drop.entry.path} costs {size_text(answer.keep_cost_bytes)}"),
    )


def _paint_summary(console: Console, match: Match, answer: Summary, look: Look) -> None:
    kept, dropped = Section("", _rows(answer.kept)), Section("", _rows(answer.dropped))
    total = count_text(kept.count + dropped.count, "file")
    console.print(
        cell(
            f"{match.pattern}: {kept.count:,} of {total} kept, {size_text(kept.size_bytes)} of "
            f"{size_text(kept.size_bytes + dropped.size_bytes)}",
            "bold",
        )
    )
    if match.links:
        _facts(console, ("leads to", match.tops[0].path))
    for title, section in (("Kept, by reason", kept), ("Left out, by owner", dropped)):
        rows = tuple(row for row in section.rows if row.count)
        if not rows:
            continue
        console.print()
        table = columns(title, "files", "size", numbers=2)
        shown = rows if look.verbose else largest_rows(replace(section, rows=rows), SHOWN_ROWS)
        for row in shown:
            table.add_row(cell(row.title), f"{row.count:,}", size_text(row.size_bytes))
        console.print(indented(table))
    if dropped.count:
        console.print()
        cost = size_text(answer.keep_cost_bytes)
        console.print(indented_text(f"--keep {match.pattern} costs {cost}"))


def _rows(sections: Sequence[Section]) -> tuple[Row, ...]:
    rows = [row for section in sections for row in section.rows]
    return tuple(sorted(rows, key=lambda row: (-row.size_bytes, -row.count, row.title)))


def _facts(console: Console, *facts: tuple[str, str]) -> None:
    table = columns("", "")
    for name, text in facts:
        if text:
            table.add_row(cell(name, "dim"), cell(text))
    console.print(indented(table))


def _way(match: Match, entry: Entry) -> str:
    """How the pattern leads to the entry, where it does not name it."""
    if match.pattern == entry.path:
        return ""
    inner = [link for link in match.links if link not in (match.pattern, entry.path)]
    return " → ".join((match.pattern, *inner))


def one_line(steps: Sequence[Step]) -> str:
    """The chain on one line, names short after the first, without the links between files; "" for
    one that says nothing more."""
    within = [step for step in steps[:-1] if not step.link_target]
    paths = [step for step in (*within, *steps[-1:]) if not step.path.startswith("<")]
    if len(paths) < 2:
        return ""
    short = (replace(step, path=_short(step.path)) for step in paths[1:])
    return " → ".join(map(str, (paths[0], *short)))


def _short(path: str) -> str:
    """The name of a file; a package's initialiser goes by its package's."""
    above, _, name = path.rpartition("/")
    return above.rpartition("/")[2] if name.startswith("__init__.") else name or "/"


def _plain(step: Step) -> Step:
    return replace(step, path=step.path.strip("<>")) if step.path.startswith("<") else step


def _size(entry: Entry) -> int:
    return entry.size_bytes if entry.kind is Kind.FILE else 0


def _size_words(entry: Entry) -> str:
    if entry.is_symlink:
        return f"a link to {entry.link_target}"
    return size_text(entry.size_bytes) if entry.is_file else f"a {entry.kind.value}"


def _origin_words(origin: Origin) -> str:
    unit = f": {origin.unit}" if origin.unit else ""
    return f"{ORIGIN_NAMES[origin.kind]}{unit}"
