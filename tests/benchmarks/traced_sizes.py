"""How large slim images are against what the fat one reads, and what they lack of that.

    python -m tests.benchmarks.traced_sizes                      every fixture
    python -m tests.benchmarks.traced_sizes NAME ... --behaviours
    python -m tests.benchmarks.traced_sizes --behaviours --write     the table in docs/benchmarks.md

With names --write puts their rows in the place of the table's old ones.

The fat images have to be in the engine (`python fixtures/build.py`). Every route of one is asked
under strace (``trace.py``); the regular files that were opened, executed or mapped are what it
needs at least. The plans of all levels are derived from one `docker save` archive and compared with
them: bytes, files that a plan lacks, and what it keeps besides. With --behaviours the slim images
are built, too, and asked the same. Ends with 1 where a limit or a behaviour does not hold.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from fixtures.build import Fixture, load_fixtures
from imgslim.archive import Settings, write_archive
from imgslim.build import build_slim
from imgslim.choices import Choices, Level
from imgslim.globs import glob_regex
from imgslim.model import Entry, Keep, Plan, unique_size_bytes
from imgslim.pipeline import Analysis, OpenedImage, derive_plan, open_world, rewrite
from imgslim.rootfs import Rootfs
from tests.benchmarks.trace import Recording, Tracer, looked_at_paths, used_files
from tests.containers import Answer, answers

MB = 1_000_000

CHOICES = {
    "safe": Choices(level=Level.SAFE),
    "balanced": Choices(level=Level.BALANCED),
    "tight": Choices(level=Level.TIGHT),
    "tight --strip": Choices(level=Level.TIGHT, strip=True),
}

LIMITS = {"balanced": 1.5, "tight": 1.2, "tight --strip": 1.1}
"""A slim image is at most so many times what was traced, and SLACK_BYTES."""

SLACK_BYTES = 5 * MB

_LISTED = "importlib.metadata lists the entry points of all distributions, of left out ones, too"
_EGGS = "pkg_resources reads the version of every egg, of left out ones, too"
_HOOK = "setuptools' hook for what imports distutils runs at each start; it goes with setuptools"
_LATE = "bytecode: tight keeps the source, which is compiled again"
_HOUSEKEEPING = "cron reads every table; jobs of the system's own records are left out and said"
_COMPILED = "code that Node.js compiled at build time (module.enableCompileCache): made again"
_ASKED = "pnpm asks for what it would install with, and runs none of it"
_GEMS = "RubyGems reads every specification, those of gems that are left out, too"
_COMPILER = "ctypes.util.find_library asks gcc and then ld, which is kept and answers the same"

EXPLAINED = (
    ("/**/*.{dist,egg}-info/entry_points.txt", _LISTED),
    ("/**/*.egg-info/PKG-INFO", _EGGS),
    ("/**/distutils-precedence.pth", _HOOK),
    ("/**/_distutils_hack/**", _HOOK),
    ("/etc/cron.d/e2scrub_all", _HOUSEKEEPING),
    ("/tmp/node-compile-cache/**", _COMPILED),
    ("/usr/local/lib/node_modules/{npm,pnpm/dist/node_modules/*}/package.json", _ASKED),
    ("/usr/**/{gems,rubygems-integration}/*/specifications/*.gemspec", _GEMS),
    ("/usr/bin/*-gcc-*", _COMPILER),
    ("/usr/lib/gcc/**", _COMPILER),
    ("/usr/lib/*/*crt?.o", _COMPILER),
    ("/usr/lib/*/{libc.so,libc_nonshared.a}", _COMPILER),
)
"""Files that a trace shows and a slim image may lack: a glob, and why (docs/levels.md)."""

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
START, END = "<!-- traced sizes -->", "<!-- /traced sizes -->"
COMMAND = "python -m tests.benchmarks.traced_sizes --behaviours --write"
UNITS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Unit:
    """What a plan keeps for one reason and no route read."""

    reason: str
    size_bytes: int
    files: int
    largest: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One plan against the trace. ``missing`` is size by path, ``explained`` a reason by path,
    ``not_looked_at`` are links and paths that the plan lacks and a run looked at, no more;
    ``behaviours_held`` is None where they were not asked."""

    slim_bytes: int
    ratio: float
    limit_bytes: int | None
    missing: Mapping[str, int]
    explained: Mapping[str, str]
    not_looked_at: Sequence[str]
    units: Sequence[Unit]
    twins_bytes: int
    behaviours_held: int | None = None
    behaviours_differ: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        fits = self.limit_bytes is None or self.slim_bytes <= self.limit_bytes
        return fits and not self.missing and not self.behaviours_differ


@dataclass(frozen=True, slots=True)
class Result:
    """One fixture. ``disturbed`` are routes that answer differently under strace."""

    name: str
    fat_bytes: int
    traced_bytes: int
    traced_files: int
    routes: int
    disturbed: Sequence[str]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)


def main() -> None:
    fixtures = {fixture.name: fixture for fixture in load_fixtures() if not fixture.squashed}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(fixtures)}")
    parser.add_argument("--behaviours", action="store_true", help="build and ask slim images")
    parser.add_argument("--write", action="store_true", help=f"the table into {DOCUMENT.name}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was measured")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in fixtures]:
        parser.error(f"no fixture is called {unknown[0]} (there are {', '.join(fixtures)})")
    results = []
    for name in arguments.names or fixtures:
        results.append(measure(fixtures[name], behaviours=arguments.behaviours))
        print(describe(results[-1]), flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n")
    print(table(results))
    if arguments.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(with_rows(text, results), encoding="utf-8")
    held = all(outcome.holds for result in results for outcome in result.outcomes.values())
    sys.exit(0 if held else 1)


def measure(fixture: Fixture, *, behaviours: bool) -> Result:
    """Trace the fat image of ``fixture``, which is in the engine, and weigh every level."""
    with tempfile.TemporaryDirectory() as name, saved(fixture.tag, Path(name)) as opened:
        rootfs, config = opened.world.rootfs, opened.world.config
        recording = Tracer(Path(name)).record(fixture, config, rootfs.read_text("/etc/passwd"))
        fat = answers(fixture.tag, fixture)
        used = {**used_files(rootfs, recording.trace), **taken_out(rootfs, fixture)}
        result = Result(
            name=fixture.name,
            fat_bytes=unique_size_bytes(rootfs.entries.values()),
            traced_bytes=unique_size_bytes(used.values()),
            traced_files=len(used),
            routes=len(fixture.routes),
            disturbed=[
                route.name
                for route in fixture.routes
                if not route.file and recording.answers[route.name] != fat[route.name]
            ],
        )
        outcomes = {}
        for label, choices in CHOICES.items():
            world = replace(opened.world, choices=choices)
            plan = derive_plan(world, fixture.also_run)
            outcomes[label] = compare(label, plan, used, looked_at(opened, recording))
            if behaviours:
                analysis = Analysis(opened.image, opened.layers, world, plan)
                differ = ask_slim(fixture, analysis, fat)
                held = len(fat) - len(differ)
                outcomes[label] = replace(
                    outcomes[label], behaviours_held=held, behaviours_differ=differ
                )
        return replace(result, outcomes=outcomes)


@contextmanager
def saved(tag: str, folder: Path) -> Iterator[OpenedImage]:
    archive = folder / "fat.tar"
    subprocess.run(["docker", "save", "--output", archive, tag], check=True)
    with open_world(f"docker-archive:{archive}") as opened:
        yield opened


def taken_out(rootfs: Rootfs, fixture: Fixture) -> Mapping[str, Entry]:
    """The files that are read out of an image without running it."""
    entries = (rootfs.lookup(route.file) for route in fixture.routes if route.file)
    return {entry.path: entry for entry in entries if entry is not None and entry.is_file}


def looked_at(opened: OpenedImage, recording: Recording) -> Mapping[str, Entry]:
    return looked_at_paths(opened.world.rootfs, recording.trace)


def compare(
    label: str, plan: Plan, used: Mapping[str, Entry], looked: Mapping[str, Entry]
) -> Outcome:
    """What ``plan`` weighs and lacks against the ``used`` files and the ``looked`` at paths."""
    kept = {keep.entry.path for keep in plan.keeps}
    absent = {path: entry.size_bytes for path, entry in sorted(used.items()) if path not in kept}
    explained = {path: why for path in absent if (why := explanation(path))}
    if label.startswith("tight"):
        explained |= {path: _LATE for path in absent if _source(path) in kept - {path}}
    traced = unique_size_bytes(used.values())
    limit = LIMITS.get(label)
    return Outcome(
        slim_bytes=plan.slim_size_bytes,
        ratio=plan.slim_size_bytes / traced,
        limit_bytes=None if limit is None else int(limit * traced) + SLACK_BYTES,
        missing={path: size for path, size in absent.items() if path not in explained},
        explained=explained,
        not_looked_at=sorted(looked.keys() - kept - used.keys()),
        units=unread_units(plan.keeps, used),
        twins_bytes=unread_twins_bytes(plan.keeps, used),
    )


def explanation(path: str) -> str:
    """Why a slim image may lack a traced file; "" for one that it has to have."""
    for pattern, why in EXPLAINED:
        if any(re.fullmatch(glob_regex(glob), path) for glob in _alternatives(pattern)):
            return why
    return ""


def _alternatives(pattern: str) -> Iterator[str]:
    """``a{b,c}d`` as ``abd`` and ``acd``."""
    before, brace, rest = pattern.partition("{")
    choices, _, after = rest.partition("}")
    yield from (before + choice + after for choice in choices.split(",")) if brace else (before,)


def unread_units(keeps: Sequence[Keep], used: Mapping[str, Entry]) -> list[Unit]:
    """What is kept and was not read, by the reason for it, the largest first; a hard link counts
    where it comes first."""
    seen = {entry.inode for entry in used.values()}
    by_reason: dict[str, list[Keep]] = {}
    for keep in keeps:
        if keep.entry.is_file and keep.entry.inode not in seen:
            seen.add(keep.entry.inode)
            by_reason.setdefault(keep.reason, []).append(keep)
    units = []
    for reason, rows in by_reason.items():
        size = sum(row.entry.size_bytes - row.strip_bytes for row in rows)
        largest = max(rows, key=lambda row: row.entry.size_bytes).entry.path
        units.append(Unit(reason, size, len(rows), largest))
    return sorted(units, key=lambda unit: -unit.size_bytes)


def unread_twins_bytes(keeps: Sequence[Keep], used: Mapping[str, Entry]) -> int:
    """Bytes of kept Python sources whose bytecode was read in their place, or the other way
    round: of such a pair a run reads one (importlib's SourceLoader)."""
    read = {_source(path) for path in used}
    entries = (keep.entry for keep in keeps if keep.entry.path not in used)
    return unique_size_bytes(e for e in entries if _source(e.path) in read)


def _source(path: str) -> str:
    """The source of a bytecode file (PEP 3147), any other path as it is."""
    return re.sub(r"__pycache__/([^/]+?)\.[^/.]+-\d+(?:\.opt-\w+)?\.pyc$", r"\1.py", path)


def load_slim(analysis: Analysis, tag: str) -> None:
    """Bring the slim image into the engine as ``tag``."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        write_archive(file, analysis.image, analysis.world, analysis.plan, Settings(tag))
        file.flush()
        subprocess.run(["docker", "load", "--quiet", "--input", file.name], check=True)


def ask_slim(fixture: Fixture, analysis: Analysis, fat_answers: Mapping[str, Answer]) -> list[str]:
    """Make the slim image, ask it every route, remove it: the routes answered differently. A build
    strips with the image's own strip; what is not stripped is loaded, which takes less time."""
    choices = analysis.world.choices
    tag = f"imgslim-traced-{fixture.name}:{choices.level}"
    try:
        if choices.strip:
            build_slim(f"docker-daemon:{fixture.tag}", analysis.image, rewrite(analysis), tag)
        else:
            load_slim(analysis, tag)
        slim = answers(tag, fixture)
    finally:
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True)
    return [route for route, answer in fat_answers.items() if slim[route] != answer]


def describe(result: Result) -> str:
    """One fixture in full, for the one who looks into it."""
    lines = [
        f"== {result.name}: fat {megabytes(result.fat_bytes)}, traced "
        f"{megabytes(result.traced_bytes)} MB in {result.traced_files} files, "
        f"{result.routes} routes",
    ]
    if result.disturbed:
        lines.append(f"   answered differently under strace: {', '.join(result.disturbed)}")
    for label, outcome in result.outcomes.items():
        limit = f" of {megabytes(outcome.limit_bytes)}" if outcome.limit_bytes else ""
        lines.append(
            f" {label}: {megabytes(outcome.slim_bytes)}{limit} MB, {outcome.ratio:.2f} x traced, "
            f"lacks {len(outcome.missing)} files (+{len(outcome.explained)} explained, "
            f"{len(outcome.not_looked_at)} only looked at){_behaviours(result, outcome)}"
        )
        lines += [f"   lacks {path} ({size} B)" for path, size in outcome.missing.items()]
        lines += [f"   differs: {route}" for route in outcome.behaviours_differ]
        lines.append(
            f"   unread {megabytes(outcome.twins_bytes):>6} MB over all units: Python sources "
            "whose bytecode was read, and bytecode whose source was"
        )
        lines += [
            f"   unread {megabytes(unit.size_bytes):>6} MB {unit.reason} ({unit.files} files, "
            f"such as {unit.largest})"
            for unit in outcome.units[:UNITS_SHOWN]
        ]
    return "\n".join(lines)


def _behaviours(result: Result, outcome: Outcome) -> str:
    if outcome.behaviours_held is None:
        return ""
    return f", {outcome.behaviours_held}/{result.routes} behaviours"


def table(results: Sequence[Result]) -> str:
    """The Markdown table: megabytes per level, and the behaviours held over all of them."""
    return "\n".join([*HEAD, *map(row, results)])


def row(result: Result) -> str:
    slim = [size_cell(outcome) for outcome in result.outcomes.values()]
    fat, traced = megabytes(result.fat_bytes), megabytes(result.traced_bytes)
    return markdown([result.name, fat, *slim, traced, held(result)])


def size_cell(outcome: Outcome) -> str:
    """Megabytes; with the limit, where they are over it, and how many traced files are missing."""
    cell, limit = megabytes(outcome.slim_bytes), outcome.limit_bytes
    if limit is not None and outcome.slim_bytes > limit:
        cell += f" (limit {megabytes(limit)})"
    return cell + (f", lacks {len(outcome.missing)}" if outcome.missing else "")


def markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


HEAD = (
    markdown(["fixture", "fat", *CHOICES, "traced", "behaviours held"]),
    markdown(["---", *["---:"] * (len(CHOICES) + 2), "---"]),
)


def held(result: Result) -> str:
    """``n/n`` where every level holds as many behaviours, else level by level; "" unasked."""
    counts = {
        label: f"{outcome.behaviours_held}/{result.routes}"
        for label, outcome in result.outcomes.items()
        if outcome.behaviours_held is not None
    }
    if len(set(counts.values())) <= 1:
        return next(iter(counts.values()), "")
    return ", ".join(f"{label} {count}" for label, count in counts.items())


def with_rows(text: str, results: Sequence[Result]) -> str:
    """``text`` with the rows of ``results`` in its table, sorted by name: new ones, and in the
    place of those of the same fixtures. ValueError when it has no markers."""
    before, start, rest = text.partition(START)
    old, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"no {START} … {END} in {DOCUMENT}")
    rows = {line.split(" | ")[0]: line for line in old.splitlines() if line.startswith("| ")}
    rows = {name: line for name, line in rows.items() if line not in HEAD}
    rows |= {line.split(" | ")[0]: line for line in map(row, results)}
    lines = (START, "```sh", COMMAND, "```", "", *HEAD, *sorted(rows.values()), END)
    return before + "\n".join(lines) + after


def megabytes(size_bytes: int) -> str:
    return f"{size_bytes / MB:.1f}"


if __name__ == "__main__":
    main()
