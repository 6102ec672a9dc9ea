"""What installing leaves besides caches: documentation, logs, backups (``advice.toml``)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imgslim.audit.advice.endings import at_end, left_behind
from imgslim.audit.advice.model import Draft, Facts, Stored, by_layer, shares_of
from imgslim.audit.advice.steps import Step
from imgslim.audit.model import AdviceKind, Verdict
from imgslim.globs import any_of
from imgslim.tables import load_table

_CONFIGURATION = "/etc/dpkg/dpkg.cfg.d/left-out"


def advise(facts: Facts) -> Iterator[Draft]:
    """For each row the command that the RUNs should end with, or what keeps dpkg from bringing the
    files in several of them."""
    for row in load_table("advice")["leftover"]:
        if row.get("needs_plan") and not facts.has_plan:
            continue
        paths = [path for path in row["paths"] if not _holds_needed(facts, row, path)]
        steps = [
            (facts.steps[index], files)
            for index, files in by_layer(_matching(facts, row, paths))
            if not facts.steps[index].in_base and not facts.steps[index].is_copy
        ]
        if row.get("dpkg") and _are_all_of_dpkg(steps):
            yield _excluded(row, paths, steps)
            continue
        for step, files in steps:
            there = [path for path in paths if _any_matches(path, files)]
            edit = at_end(step, _command(row, there))
            yield left_behind(step, row["title"], edit, files, there)


def _matching(facts: Facts, row: Mapping[str, Any], paths: Sequence[str]) -> Iterator[Stored]:
    pattern = any_of(path.removeprefix("/") for path in paths)
    for file in facts.files:
        if file.verdict is Verdict.NEEDED or not pattern.fullmatch(file.path, 1):
            continue
        if not _is_spared(row, file.path):
            yield file


def _is_spared(row: Mapping[str, Any], path: str) -> bool:
    place, name = row.get("spare", ("/", ""))
    return bool(name) and path.startswith(place.removesuffix("**")) and path.endswith(f"/{name}")


def _holds_needed(facts: Facts, row: Mapping[str, Any], path: str) -> bool:
    """Whether the command that removes ``path`` would take what the plan needs. Of the base's files
    there is only the directory: what is spared may be what is needed in it."""
    is_tree = path.endswith("/**")
    folder = path.rpartition("/")[0]
    near = any(
        cell.verdict is Verdict.NEEDED
        and (cell.directory == folder or (is_tree and cell.directory.startswith(f"{folder}/")))
        for cell in facts.cells
    )
    if not near or (is_tree and path not in row.get("spare", ())):
        return near
    pattern = any_of([path.removeprefix("/")])
    return any(
        file.verdict is Verdict.NEEDED
        and pattern.fullmatch(file.path, 1)
        and not _is_spared(row, file.path)
        for file in facts.files
    )


_Steps = Sequence[tuple[Step, Sequence[Stored]]]


def _are_all_of_dpkg(steps: _Steps) -> bool:
    """Whether several RUNs had dpkg bring the files: for one, a command at its end will do."""
    return len(steps) > 1 and all(
        step.is_run and file.package.startswith("deb:") for step, files in steps for file in files
    )


def _excluded(row: Mapping[str, Any], paths: Sequence[str], steps: _Steps) -> Draft:
    """One line of configuration ahead of the first RUN, which all that follow obey. In a pattern
    of dpkg's ``*`` also stands for slashes; what is included again comes last (dpkg(1))."""
    found = [file for _, files in steps for file in files]
    there = [path for path in paths if _any_matches(path, found)]
    rules = [f"path-exclude={path.replace('**', '*')}" for path in there]
    place, name = row.get("spare", ("", ""))
    if place in there:
        rules.append(f"path-include={place.replace('**', '*')}/{name}")
    first, numbers = steps[0][0], [str(step.layer_index) for step, _ in steps]
    words = " ".join(map(shlex.quote, rules))
    return Draft(
        AdviceKind.CLEAN,
        f"dpkg brings {row['title']} in layers {' and '.join(numbers)}",
        f"begin {first.name} with `printf '%s\\n' {words} >> {_CONFIGURATION} &&`",
        shares_of(found),
        paths=tuple(there),
    )


def _any_matches(path: str, files: Sequence[Stored]) -> bool:
    pattern = any_of([path.removeprefix("/")])
    return any(pattern.fullmatch(file.path, 1) for file in files)


def _command(row: Mapping[str, Any], there: Sequence[str]) -> str:
    place, name = row.get("spare", ("", ""))
    removed = [path.replace("**", "*") for path in there if path != place]
    commands = [f"rm -rf {' '.join(removed)}"] if removed else []
    if place in there:
        folder = place.removesuffix("/**")
        commands.append(f"find {folder} -type f ! -name {name} -delete")
    return " && ".join(commands)
