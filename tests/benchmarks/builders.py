"""Whether plan, archive and what three builders make of the Dockerfiles agree, entry by entry.

    python -m tests.benchmarks.builders                        every fixture, every form
    python -m tests.benchmarks.builders NAME ... --only archive docker
    python -m tests.benchmarks.builders --results FILE --write       the table in docs/copies.md

The fat images have to be in the engine (`python fixtures/build.py`). The archive and the Dockerfile
of each plan (balanced) are made by imgslim and by Docker's legacy builder, buildah and BuildKit,
read back, and compared with the plan as `imgslim verify` does. For the --source forms a builder
makes the fat image of the fixture's folder, and then, from its cache, the slim one (safe) of that.
--results keeps what was measured, so that a table can be made of several runs. Ends with 1 where
anything differs that is not on the closed list.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ParamSpec

from fixtures.build import PROXY_VARIABLES, Fixture, load_fixtures
from imgslim.archive import Settings, write_archive
from imgslim.choices import Choices, Level
from imgslim.dockerfile.source import load_source
from imgslim.errors import ImgslimError
from imgslim.pipeline import Analysis, analyze, expect, rewrite, verify
from imgslim.verify.expected import Expected
from tests.builders import BUILDERS, BuildFailedError, Order, docker, workshop

ARCHIVE = "archive"
SOURCE = "source:"
FORMS = (ARCHIVE, *BUILDERS, *(f"{SOURCE}{builder}" for builder in BUILDERS))

_NAMES = {ARCHIVE: "archive", "docker": "legacy", "buildah": "buildah", "buildkit": "BuildKit"}
HEADINGS = {form: " ".join(_NAMES.get(word, word) for word in form.split(":")) for form in FORMS}
HEADINGS = {form: heading.replace("source", "`--source`") for form, heading in HEADINGS.items()}

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "copies.md"
START, END = "<!-- builders -->", "<!-- /builders -->"
SHOWN = 20
DOCKERFILE = "Dockerfile.slim"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One image beside its plan: ``entries`` compared, what differs in words, how often each row
    of the closed list applied, and how long making the image took."""

    entries: int
    differences: Sequence[str]
    allowed: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0


P = ParamSpec("P")

Results = dict[str, dict[str, Outcome]]
"""Outcomes by fixture and form."""


def main() -> None:
    fixtures = {fixture.name: fixture for fixture in load_fixtures()}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(fixtures)}")
    parser.add_argument("--only", nargs="+", choices=FORMS, default=FORMS, help="not every form")
    parser.add_argument("--results", type=Path, metavar="FILE", help="add to what is in this file")
    parser.add_argument("--write", type=Path, metavar="FILE", nargs="?", const=DOCUMENT,
                        help=f"the table into a document (default: {DOCUMENT.name})")  # fmt: skip
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in fixtures]:
        parser.error(f"no fixture is called {unknown[0]} (there are {', '.join(fixtures)})")
    results = read_results(arguments.results)
    for name in arguments.names or fixtures:
        for form, outcome in compare(fixtures[name], arguments.only):
            print(describe(name, form, outcome), flush=True)
            results.setdefault(name, {})[form] = outcome
            write_results(arguments.results, results)
    print(table(results))
    if arguments.write:
        text = arguments.write.read_text(encoding="utf-8")
        arguments.write.write_text(with_section(text, section(results)), encoding="utf-8")
    held = all(not one.differences for forms in results.values() for one in forms.values())
    sys.exit(0 if held else 1)


# ------------------------------------------------------------------- making and comparing


def compare(fixture: Fixture, forms: Sequence[str]) -> Iterator[tuple[str, Outcome]]:
    """What each of ``forms`` makes of ``fixture``, whose fat image is in the engine."""
    with tempfile.TemporaryDirectory(prefix="imgslim-builders-") as name, named(fixture) as tag:
        fat = Path(name, "fat.tar")
        docker("save", f"--output={fat}", tag)
        if plain := [form for form in forms if not form.startswith(SOURCE)]:
            yield from compare_plain(fixture, fat, plain)
        # A squashed image is not what its Dockerfile builds.
        if sourced := [form for form in forms if form.startswith(SOURCE) and not fixture.squashed]:
            fat.unlink()
            for form in sourced:
                with timed(Path(name)) as (folder, clock):
                    builder = form.removeprefix(SOURCE)
                    outcome = caught(compare_source, builder, fixture, folder)
                yield form, replace(outcome, seconds=clock.seconds)


def compare_plain(
    fixture: Fixture, fat: Path, forms: Sequence[str]
) -> Iterator[tuple[str, Outcome]]:
    """The archive and the Dockerfile's images beside the plan of the archive ``fat``."""
    with analyzed(fat, Level.BALANCED, fixture) as analysis:
        expected = expect(analysis)
        for form in forms:
            with timed(fat.parent) as (folder, clock):
                outcome = caught(compare_form, form, fixture, analysis, expected, folder)
            yield form, replace(outcome, seconds=clock.seconds)


def compare_form(
    form: str, fixture: Fixture, analysis: Analysis, expected: Expected, folder: Path
) -> Outcome:
    """The slim image of one form beside the plan."""
    slim = folder / "slim.tar"
    if form == ARCHIVE:
        with slim.open("wb") as file:
            write_archive(file, analysis.image, analysis.world, analysis.plan, Settings("slim:new"))
        return outcome_of(slim, expected)
    order = Order(folder / DOCKERFILE, folder / "context")
    write_text(order.dockerfile, rewrite(analysis))
    order.context.mkdir()
    with workshop(form, room(folder), {fat_tag(fixture): folder.parent / "fat.tar"}) as builder:
        builder.build(order, slim, slim_tag(fixture))
    return outcome_of(slim, expected)


def compare_source(builder: str, fixture: Fixture, folder: Path) -> Outcome:
    """What ``builder`` makes of the fixture's own Dockerfile, continued, beside the plan of the fat
    image that it makes of that."""
    head = load_source(str(fixture.folder / "Dockerfile"))
    arguments = {name: os.environ[name] for name in PROXY_VARIABLES if os.environ.get(name)}
    arguments["BASE"] = fixture.base
    fat, slim = folder / "fat.tar", folder / "slim.tar"
    with workshop(builder, room(folder), {fixture.base: None}) as made:
        order = Order(context_with(fixture, folder, head.text), folder / "context", arguments)
        made.build(order, fat, f"{slim_tag(fixture)}-source")
        with analyzed(fat, Level.SAFE, fixture) as analysis:
            expected = expect(analysis)
            write_text(order.dockerfile, rewrite(analysis, head))
        fat.unlink()
        made.build(order, slim, slim_tag(fixture))
    return outcome_of(slim, expected)


@contextmanager
def named(fixture: Fixture) -> Iterator[str]:
    """The fat image under a name of its own, which no build of the fixture gives to another."""
    tag = fat_tag(fixture)
    docker("tag", fixture.tag, tag)
    try:
        yield tag
    finally:
        docker("rmi", tag)


def fat_tag(fixture: Fixture) -> str:
    return f"imgslim-builders-{fixture.name}:fat"


def slim_tag(fixture: Fixture) -> str:
    return f"imgslim-builders-{fixture.name}:new"


def context_with(fixture: Fixture, folder: Path, text: str) -> Path:
    """The fixture's own folder copied into ``folder``, with a further Dockerfile of ``text``: where
    it is, that is a part of no COPY, so that the legacy builder's cache does not depend on it."""
    context = folder / "context"
    shutil.copytree(fixture.folder, context, symlinks=True)
    with (context / ".dockerignore").open("a+", encoding="utf-8") as ignored:
        ignored.write(f"\n{DOCKERFILE}\n")
    write_text(context / DOCKERFILE, text)
    return context / DOCKERFILE


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def analyzed(archive: Path, level: Level, fixture: Fixture) -> AbstractContextManager[Analysis]:
    choices = Choices(level=level)
    return analyze(f"docker-archive:{archive}", choices, also_run=fixture.also_run)


def outcome_of(slim: Path, expected: Expected) -> Outcome:
    """The archive ``slim`` beside what it was to be."""
    _, result = verify(f"docker-archive:{slim}", expected)
    rows = [
        f"{one.path or 'config'}: {one.aspect} expected {one.expected}, found {one.found}"
        for one in result.differences
    ]
    allowed = Counter(allowance.code for allowance in result.allowances)
    return Outcome(result.path_count, rows, dict(sorted(allowed.items())))


def caught(job: Callable[P, Outcome], *given: P.args, **named: P.kwargs) -> Outcome:
    """What ``job`` gives; an image that cannot be built differs in everything."""
    try:
        return job(*given, **named)
    except (BuildFailedError, ImgslimError) as error:
        return Outcome(0, [f"no image: {error}"])


class Clock:
    """Seconds of the block that it was made for."""

    seconds = 0.0


@contextmanager
def timed(parent: Path) -> Iterator[tuple[Path, Clock]]:
    """A folder for one form, gone with all that it stores, and the time that it took."""
    clock, started = Clock(), time.monotonic()
    with tempfile.TemporaryDirectory(dir=parent) as name:
        yield Path(name), clock
        clock.seconds = round(time.monotonic() - started, 1)


def room(folder: Path) -> Path:
    """Where a builder may store what it likes."""
    path = folder / "b"
    path.mkdir()
    return path


# ------------------------------------------------------------------- telling


def describe(name: str, form: str, outcome: Outcome) -> str:
    """One form in full, for the one who looks into it."""
    allowed = ", ".join(f"{code} {count}" for code, count in outcome.allowed.items())
    count = len(outcome.differences)
    head = f"{name} {form}: {count} of {outcome.entries} differ, {outcome.seconds} s ({allowed})"
    return "\n".join([head, *(f"   {row}" for row in outcome.differences[:SHOWN])])


def table(results: Results) -> str:
    """The Markdown table: differences, of how many entries."""
    rows = [["fixture", *(HEADINGS[form] for form in FORMS)], ["---", *["---:"] * len(FORMS)]]
    for name in sorted(results):
        rows.append([name, *(cell(results[name].get(form)) for form in FORMS)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    return f"{len(outcome.differences):,} of {outcome.entries:,}" if outcome.entries else "no image"


def allowed_rows(results: Results) -> str:
    """Which rows of the closed list applied, by form."""
    codes = {
        form: sorted({code for forms in results.values() if form in forms
                      for code in forms[form].allowed})
        for form in FORMS
    }  # fmt: skip
    return "\n".join(
        f"- {HEADINGS[form]}: {', '.join(f'`{code}`' for code in rows) or 'none'}"
        for form, rows in codes.items()
    )


def section(results: Results) -> str:
    """What goes between the markers: the command, the table, the allowances."""
    command = "python -m tests.benchmarks.builders --write"
    return f"```sh\n{command}\n```\n\n{table(results)}\n\n{allowed_rows(results)}\n"


def with_section(text: str, content: str) -> str:
    """``text`` with ``content`` between the markers, at its end where it has none."""
    if START not in text:
        text = f"{text.rstrip()}\n\n## The three builders\n\n{START}\n{END}\n"
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{content}{END}{after}"


def read_results(path: Path | None) -> Results:
    """What earlier runs left in ``path``; nothing where there is none."""
    if path is None or not path.exists():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: {form: Outcome(**row) for form, row in forms.items()} for name, forms in data.items()
    }


def write_results(path: Path | None, results: Results) -> None:
    if path is not None:
        rows = {
            name: {form: asdict(row) for form, row in forms.items()}
            for name, forms in results.items()
        }
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
