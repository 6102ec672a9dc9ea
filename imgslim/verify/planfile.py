"""A plan as ``imgslim analyze --format json`` wrote it (docs/json.md), read strictly."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imgslim.errors import PlanFileError
from imgslim.model import (
    Entry,
    Healthcheck,
    ImageConfig,
    Kind,
    Platform,
    Problem,
    Severity,
    Traits,
)
from imgslim.verify.expected import Expected, ExpectedPath

VERSION = 1
"""The version of the documents' shape, written and read: it changes when a reader of the old one
would break."""

_HINT = "write it again: imgslim analyze IMAGE --format json -o FILE"

Row = Mapping[str, Any]


def load_plan(path: str) -> Expected:
    """What the plan in the file ``path`` (``-``: standard input) expects. Raises PlanFileError."""
    where = "standard input" if path == "-" else path
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise PlanFileError(
            f"{where} cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error
    return parse_plan(data, where)


def parse_plan(data: bytes, where: str) -> Expected:
    """What the JSON document in ``data`` expects; ``where`` names it in errors.

    Raises PlanFileError for what is no JSON, no plan, of another version, or lacks a field.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        what = "ends early: it is cut off" if _is_cut(error) else f"is no JSON: {error}"
        raise PlanFileError(f"{where} {what}", hint=_HINT) from error
    _check_kind(document, where)
    try:
        return _expected(document)
    except KeyError as error:
        raise PlanFileError(f"{where} is no whole plan: it lacks {error}", hint=_HINT) from error
    except (TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise PlanFileError(f"{where} is no plan: {error}", hint=_HINT) from error


def _is_cut(error: Exception) -> bool:
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")


def _check_kind(document: object, where: str) -> None:
    if not isinstance(document, dict) or "imgslim" not in document:
        raise PlanFileError(f"{where} is no plan of imgslim's", hint=_HINT)
    if document.get("version") != VERSION:
        raise PlanFileError(
            f"{where} is of version {document.get('version')!r}; this imgslim reads {VERSION}",
            hint=_HINT,
        )
    if document.get("kind") != "analysis":
        raise PlanFileError(f"{where} is no plan but of kind {document.get('kind')!r}", hint=_HINT)


def _expected(document: Row) -> Expected:
    image = document["image"]
    keeps = document["plan"]["keeps"]
    return Expected(
        reference=image["reference"],
        image_id=image["id"],
        platform=_platform(image["platform"]),
        config=_config(image["config"]),
        paths={
            expected.entry.path: expected
            for expected in (_path(index, row) for index, row in enumerate(keeps))
        },
        unsayable=tuple(_problem(row) for row in document["unsayable"]),
    )


def _platform(text: str) -> Platform:
    os, architecture, variant = (*text.split("/"), "", "")[:3]
    return Platform(os, architecture, variant)


def _problem(row: Row) -> Problem:
    return Problem(
        row["code"], Severity(row["severity"]), _exact(row, "path"), _exact(row, "message")
    )


def _path(index: int, row: Row) -> ExpectedPath:
    kind = Kind(row["kind"])
    stripped = "strip" in row
    mapped = row["mapped_digest"] if stripped else row.get("mapped_digest", "")
    digest = row["digest"] if kind is Kind.FILE else ""
    group = row.get("hard_link_group")
    layer_index, data_offset = (-2, index) if group is None else (-1, int(group))
    entry = Entry(
        path=_exact(row, "path"),
        kind=kind,
        mode=int(row["mode"], 8),
        size_bytes=int(row.get("slim_size_bytes", row["size_bytes"])),
        mtime=float(row["mtime"]),
        traits=Traits(
            uid=int(row["uid"]),
            gid=int(row["gid"]),
            link_target=_exact(row, "link_target") if kind is Kind.SYMLINK else "",
            xattrs=_xattrs(row.get("xattrs", {})),
            device=tuple(row.get("device", (0, 0))),
        ),
        layer_index=layer_index,
        data_offset=data_offset,
    )
    return ExpectedPath(entry, digest, stripped, mapped, bool(row.get("untimed")))


def _xattrs(values: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    return tuple(
        (name, base64.b64decode(value, validate=True)) for name, value in sorted(values.items())
    )


def _exact(row: Row, key: str) -> str:
    """A string, by its exact bytes where it is no text."""
    if f"{key}_base64" in row:
        raw = base64.b64decode(row[f"{key}_base64"], validate=True)
        return raw.decode("utf-8", "surrogateescape")
    text = row[key]
    if not isinstance(text, str):
        raise TypeError(f"{key} is no text")
    return text


def _config(row: Row) -> ImageConfig:
    check = row["healthcheck"]
    return ImageConfig(
        entrypoint=_words(row["entrypoint"]),
        cmd=_words(row["cmd"]),
        env=_pairs(row["env"]),
        working_dir=_exact(row, "working_dir"),
        user=_exact(row, "user"),
        exposed_ports=tuple(row["exposed_ports"]),
        volumes=tuple(row["volumes"]),
        labels=_pairs(row["labels"]),
        stop_signal=_exact(row, "stop_signal"),
        healthcheck=None if check is None else _healthcheck(check),
        shell=_words(row["shell"]),
        on_build=tuple(row["on_build"]),
    )


def _healthcheck(row: Row) -> Healthcheck:
    return Healthcheck(
        test=tuple(row["test"]),
        interval_ns=int(row["interval_ns"]),
        timeout_ns=int(row["timeout_ns"]),
        start_period_ns=int(row["start_period_ns"]),
        start_interval_ns=int(row["start_interval_ns"]),
        retries=int(row["retries"]),
    )


def _words(words: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(words)


def _pairs(rows: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in rows)
