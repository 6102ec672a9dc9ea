"""Reports for programs. The shapes are documented in docs/json.md; ``VERSION`` names them.

A string that holds undecodable bytes is written twice: readable under its own key, with U+FFFD for
each such byte, and exactly under the key with ``_base64`` added.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from imgslim import __version__
from imgslim.decisions import NextLevel
from imgslim.matches import Match
from imgslim.model import (
    Drop,
    Healthcheck,
    Image,
    ImageConfig,
    Keep,
    Kind,
    Plan,
    Problem,
    Program,
)
from imgslim.reports.summary import Section, dropped_sections, kept_sections
from imgslim.reports.why import Answer, Kept, LeftOut
from imgslim.verify import Expected, Verification
from imgslim.verify.planfile import VERSION

Row = dict[str, Any]


def render_analysis(
    image: Image,
    plan: Plan,
    next_level: NextLevel | None = None,
    expected: Expected | None = None,
) -> str:
    """The document of ``imgslim analyze --format json``; ``plan`` is the same for every source.

    ``expected`` is what ``imgslim verify`` is to know of the plan beside it.
    """
    unsayable = () if expected is None else expected.unsayable
    document = {
        **document_head("analysis", image),
        "next_level": None if next_level is None else fields_of(next_level),
        "unsayable": [_problem(problem) for problem in unsayable],
        "plan": plan_document(plan, expected),
    }
    return render_document(document)


def render_verification(image: Image, expected: Expected, result: Verification) -> str:
    """The document of ``imgslim verify --format json``."""
    row = verification_document(expected, result)
    return render_document({**document_head("verification", image), "verification": row})


def render_why(image: Image, match: Match, answer: Answer) -> str:
    """The document of ``imgslim why --format json``."""
    return render_document({**document_head("why", image), "why": why_document(match, answer)})


def plan_document(plan: Plan, expected: Expected | None = None) -> Row:
    """A plan as plain data; equal plans give equal documents. With ``expected`` each kept file has
    its digest."""
    links = _hard_link_groups(plan.keeps)
    return {
        "sizes": {
            "fat_bytes": plan.fat_size_bytes,
            "slim_bytes": plan.slim_size_bytes,
            "kept_paths": len(plan.keeps),
            "dropped_paths": len(plan.drops),
        },
        "programs": [_program(program) for program in plan.programs],
        "problems": [_problem(problem) for problem in plan.problems],
        "kept_units": _units(kept_sections(plan), "group", "reason"),
        "dropped_units": _units(dropped_sections(plan), "origin", "unit"),
        "keeps": [_keep(keep, links) | _to_verify(keep, expected) for keep in plan.keeps],
        "drops": [_drop(drop) for drop in plan.drops],
    }


def verification_document(expected: Expected, result: Verification) -> Row:
    """What verification found, as plain data."""
    return {
        "as_planned": result.is_as_planned,
        "planned": {"reference": expected.reference, "id": expected.image_id},
        "paths": result.path_count,
        "stripped": result.stripped_count,
        "differences": [fields_of(row) for row in result.differences],
        "allowed": [fields_of(row) for row in result.allowances],
    }


def why_document(match: Match, answer: Answer) -> Row:
    """The answer about one path, or the summary of several, as plain data."""
    row: Row = {"asked": match.pattern}
    if isinstance(answer, Kept):
        kept = _keep(answer.keep, {})
        chain = [fields_of(step) for step in answer.steps]
        return {**row, "verdict": "kept", **kept, "owner": answer.owner, "chain": chain}
    if isinstance(answer, LeftOut):
        told = {name: value for name, value in fields_of(answer).items() if name != "drop"}
        return {**row, "verdict": "left out", **_drop(answer.drop), **told}
    return {
        **row,
        "verdict": "summary",
        "keep_cost_bytes": answer.keep_cost_bytes,
        "kept_units": _units(answer.kept, "group", "reason"),
        "dropped_units": _units(answer.dropped, "origin", "unit"),
    }


def document_head(kind: str, image: Image) -> Row:
    """What every document starts with."""
    return {
        "version": VERSION,
        "kind": kind,
        "imgslim": __version__,
        "image": image_row(image),
    }


def image_row(image: Image) -> Row:
    """An image as plain data, as documents name it."""
    return {
        "reference": image.reference,
        "id": image.image_id,
        "platform": str(image.platform),
        "tags": list(image.tags),
        "repo_digests": list(image.repo_digests),
        "diff_ids": [blob.diff_id for blob in image.layers],
        "config": _config(image.config),
    }


def _config(config: ImageConfig) -> Row:
    return {
        "entrypoint": _words(config.entrypoint),
        "cmd": _words(config.cmd),
        "env": [list(pair) for pair in config.env],
        "working_dir": config.working_dir,
        "user": config.user,
        "exposed_ports": list(config.exposed_ports),
        "volumes": list(config.volumes),
        "labels": [list(pair) for pair in config.labels],
        "stop_signal": config.stop_signal,
        "healthcheck": _healthcheck(config.healthcheck),
        "shell": _words(config.shell),
        "on_build": list(config.on_build),
    }


def _healthcheck(check: Healthcheck | None) -> Row | None:
    return None if check is None else {**fields_of(check), "test": list(check.test)}


def _words(words: Sequence[str] | None) -> list[str] | None:
    return None if words is None else list(words)


def _program(program: Program) -> Row:
    return {**fields_of(program), "argv": list(program.argv)}


def _problem(problem: Problem) -> Row:
    row = {**fields_of(problem), "severity": problem.severity.value}
    del row["left_out"]
    return row


def _units(sections: Sequence[Section], outer: str, inner: str) -> list[Row]:
    return [
        {
            outer: section.title,
            inner: row.title,
            "files": row.count,
            "size_bytes": row.size_bytes,
        }
        for section in sections
        for row in section.rows
    ]


def _hard_link_groups(keeps: Sequence[Keep]) -> dict[int, int]:
    """A number from 1 for each inode that several kept files share, in the order of paths."""
    files = [keep.entry.inode for keep in keeps if keep.entry.kind is Kind.FILE]
    shared = (inode for inode, count in Counter(files).items() if count > 1)
    return {inode: number for number, inode in enumerate(shared, 1)}


def _keep(keep: Keep, links: Mapping[int, int]) -> Row:
    entry = keep.entry
    row = {
        "path": entry.path,
        "kind": entry.kind.value,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "size_bytes": entry.size_bytes,
        "mtime": entry.mtime,
        "group": keep.group.name.lower(),
        "reason": keep.reason,
        "because": keep.because,
    }
    return row | _rare_fields(keep, links)


def _to_verify(keep: Keep, expected: Expected | None) -> Row:
    """What verification knows beyond the entry."""
    if expected is None:
        return {}
    path = expected.paths[keep.entry.path]
    digest = {"digest": path.digest} if path.digest else {}
    digest |= {"mapped_digest": path.mapped} if path.mapped else {}
    return digest | ({"untimed": True} if path.untimed else {})


def _rare_fields(keep: Keep, links: Mapping[int, int]) -> Row:
    """Fields that most rows lack: they are left out there."""
    entry = keep.entry
    row: Row = {}
    if keep.line:
        row["line"] = keep.line
    if keep.strip:
        row |= {"strip": keep.strip, "strip_bytes": keep.strip_bytes}
    if keep.content is not None:
        row["slim_size_bytes"] = len(keep.content)
    if keep.moved_from:
        row["moved_from"] = keep.moved_from
    if entry.kind is Kind.SYMLINK:
        row["link_target"] = entry.link_target
    if entry.kind is Kind.FILE and entry.inode in links:
        row["hard_link_group"] = links[entry.inode]
    if entry.kind in (Kind.CHAR_DEVICE, Kind.BLOCK_DEVICE):
        row["device"] = list(entry.device)
    if entry.xattrs:
        row["xattrs"] = {name: _base64(value) for name, value in entry.xattrs}
    return row


def _drop(drop: Drop) -> Row:
    return {
        "path": drop.entry.path,
        "kind": drop.entry.kind.value,
        "size_bytes": drop.entry.size_bytes,
        "origin": drop.origin.kind.value,
        "unit": drop.origin.unit,
    }


def fields_of(row: Any) -> Row:
    """The fields of a dataclass by name."""
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def render_document(document: Row) -> str:
    """JSON text: readable at the top, one line for each row of a list."""
    text = _object(document, "") + "\n"
    # What is left of undecodable bytes stands in lists of words: a surrogate as a JSON escape.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _object(value: Row, indent: str) -> str:
    inner = indent + "  "
    lines = []
    for key, item in _exact(value).items():
        if isinstance(item, dict) and item:
            text = _object(item, inner)
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            rows = f",\n{inner}  ".join(_line(_exact(row)) for row in item)
            text = f"[\n{inner}  {rows}\n{inner}]"
        else:
            text = _line(item)
        lines.append(f"{inner}{_line(key)}: {text}")
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _exact(row: Row) -> Row:
    """``row`` with readable strings, and the exact bytes of those that were not text."""
    exact: Row = {}
    for key, value in row.items():
        if isinstance(value, str) and not value.isascii():
            data = value.encode("utf-8", "surrogateescape")
            exact[key] = data.decode("utf-8", "replace")
            if exact[key] != value:
                exact[f"{key}_base64"] = _base64(data)
        elif isinstance(value, dict):
            exact[key] = _exact(value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            exact[key] = [_exact(item) for item in value]
        else:
            exact[key] = value
    return exact
