"""The lines of a build stage, and of the last stage that copies from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from imgslim.audit.advice.model import Facts
from imgslim.audit.model import Evidence, Verdict
from imgslim.paths import above
from imgslim.sources.reference import is_reference

SYSTEM = ("deb:", "apk:", "rpm:")
"""How the keys of system packages start."""

_MOST_COPIES = 8
"""COPY lines of an edit; beyond it the directories that hold the files are copied."""


def base_name(facts: Facts) -> str:
    """What stands behind FROM, "…" where the image does not say it."""
    name = facts.base.reference.removeprefix("docker-daemon:")
    return name if is_reference(name) and facts.base.evidence is not Evidence.NONE else "…"


def copy_lines(facts: Facts, first: int, without: Sequence[str] = ()) -> Iterator[str]:
    """COPY lines for what RUN instructions from this layer on made and the program needs: files
    that no package owns; of many the directories that hold nothing of ``without``."""
    runs = {step.layer_index for step in facts.steps[first:] if step.is_run}
    made = sorted(
        file.path
        for file in facts.files
        if file.verdict is Verdict.NEEDED
        and file.layer_index in runs
        and not file.package.startswith(SYSTEM)
        and file.kind in ("app", "runtime")
        and not file.unit.startswith("made by package scripts")
        and not file.path.startswith("/etc/")
    )
    shown = made if len(made) <= _MOST_COPIES else outer_directories(made, without)
    yield from (f"COPY --from=build {path} {path}" for path in shown)


def outer_directories(paths: Iterable[str], without: Sequence[str] = ()) -> tuple[str, ...]:
    """The highest of the directories that hold ``paths`` directly; where one holds something of
    ``without``, the next ones in it, or the file."""
    apart = {one for top in without for one in (top, *above(top))}
    ways = {path: [*above(path)][::-1] for path in paths}
    direct = {way[-1] for way in ways.values()}
    tops = {
        next((one for one in way if one in direct and one not in apart), path)
        for path, way in ways.items()
    }
    return tuple(sorted(tops))
