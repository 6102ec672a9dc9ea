"""Tokens in the config and in the history, and an image without them for reports to quote."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from imgslim.audit import instruction
from imgslim.dirt.model import DirtKind, Finding
from imgslim.dirt.texts import COVER, Hit, cover, find_in_instruction, find_in_text, is_secret
from imgslim.model import Image, ImageConfig, Layer

MIN_COVERED = 6
"""Characters of a value that is covered wherever it stands. A shorter one is covered only where it
is assigned: it would be a part of many words."""

FindMore = Callable[[str], Iterable[Hit]]
"""Further secrets of a text: those of a scanner."""


def cover_image(
    image: Image, layers: Sequence[Layer], find_more: FindMore | None = None
) -> tuple[Image, tuple[Layer, ...]]:
    """``image`` and ``layers`` with the secrets covered in all that says how they were made
    (``created_by`` of the layers and of the history): what a report may quote."""
    known = _known_values(image, find_more)

    def clean(text: str) -> str:
        return _without(cover(text, _hits(text, find_more)), known)

    blobs = tuple(replace(blob, created_by=clean(blob.created_by)) for blob in image.layers)
    history = tuple(replace(row, created_by=clean(row.created_by)) for row in image.history)
    indexed = tuple(
        replace(layer, blob=replace(layer.blob, created_by=clean(layer.blob.created_by)))
        for layer in layers
    )
    return replace(image, layers=blobs, history=history), indexed


def find_tokens(image: Image, find_more: FindMore | None = None) -> Iterator[Finding]:
    """Tokens that the config or the history of ``image`` holds, without their values."""
    clean, _ = cover_image(image, (), find_more)
    quotes = [instruction(row.created_by) for row in clean.history]
    layer_of = _layers_of_rows(image)
    told: set[tuple[str, str]] = set()
    for where, name, value, rule in _in_config(image.config, find_more):
        row = _row_that_sets(image, name) if name else None
        told.add((name, value))
        layer_index = None if row is None else layer_of[row]
        yield Finding(DirtKind.TOKEN, where, rule, layer_index, "" if row is None else quotes[row])
    places: dict[tuple[str, str, str], list[int]] = {}
    for row, history in enumerate(image.history):
        for hit in _hits(history.created_by, find_more):
            value = history.created_by[hit.start : hit.end]
            if (hit.name, value) not in told and not _is_command(image, history.created_by):
                places.setdefault(
                    (hit.name if hit.is_argument else "", value, hit.rule), []
                ).append(row)
    for (name, _, rule), rows in places.items():
        where = f"<build argument {name}>" if name else f"<history {rows[0] + 1}>"
        yield Finding(
            DirtKind.TOKEN, where, rule, layer_of[rows[0]], quotes[rows[0]], count=len(set(rows))
        )


def _hits(created_by: str, find_more: FindMore | None) -> tuple[Hit, ...]:
    own = find_in_instruction(created_by)
    more = find_more(created_by) if find_more else ()
    free = [hit for hit in more if all(hit.end <= o.start or o.end <= hit.start for o in own)]
    return (*own, *free)


def _in_config(
    config: ImageConfig, find_more: FindMore | None
) -> Iterator[tuple[str, str, str, str]]:
    """Place, variable, value and rule of each secret in the config."""
    for name, value in config.env:
        if rule := is_secret(name, value) or _rule_of(value, find_more):
            yield f"<env {name}>", name, value, rule
    for name, value in config.labels:
        if rule := is_secret(name, value) or _rule_of(value, find_more):
            yield f"<label {name}>", name, value, rule
    for where, text in _commands(config):
        hits = (*find_in_text(text), *(find_more(text) if find_more else ()))
        for rule in dict.fromkeys(hit.rule for hit in hits):
            yield where, "", "", rule


def _rule_of(text: str, find_more: FindMore | None) -> str:
    return next((hit.rule for hit in find_more(text)), "") if find_more else ""


def _commands(config: ImageConfig) -> Iterator[tuple[str, str]]:
    yield "<entrypoint>", " ".join(config.entrypoint or ())
    yield "<cmd>", " ".join(config.cmd or ())
    if config.healthcheck:
        yield "<healthcheck>", " ".join(config.healthcheck.test)
    for trigger in config.on_build:
        yield "<onbuild>", trigger


_COMMAND = re.compile(r"^(?:/bin/sh -c #\(nop\)\s+)?(ENTRYPOINT|CMD|HEALTHCHECK|ONBUILD)\b")


def _is_command(image: Image, created_by: str) -> bool:
    """Whether a row is one of those whose words stand in the config, and are told there."""
    match = _COMMAND.match(created_by)
    return match is not None and f"<{match[1].lower()}>" in {
        where for where, text in _commands(image.config) if text
    }


def _row_that_sets(image: Image, name: str) -> int | None:
    """The last row of the history that declares the variable or label ``name``."""
    declares = re.compile(
        rf"^(?:/bin/sh -c #\(nop\)\s+)?(?:ENV|LABEL)\s(?:.*\s)?{re.escape(name)}[=\s]", re.DOTALL
    )
    rows = range(len(image.history) - 1, -1, -1)
    return next((row for row in rows if declares.match(image.history[row].created_by)), None)


def _layers_of_rows(image: Image) -> Sequence[int | None]:
    """The layer that each row of the history made; None for rows that made none, and where the
    history does not fit the layers (OCI image spec, config.md, "history")."""
    made = [not row.empty_layer for row in image.history]
    if sum(made) != len(image.layers):
        return [None] * len(made)
    return [sum(made[:row]) if is_made else None for row, is_made in enumerate(made)]


@dataclass(frozen=True, slots=True, repr=False)
class _Known:
    """Values that were recognised somewhere, to be covered everywhere."""

    pattern: re.Pattern[str] | None


def _known_values(image: Image, find_more: FindMore | None) -> _Known:
    values = {value for _, _, value, _ in _in_config(image.config, find_more)}
    for row in image.history:
        hits = _hits(row.created_by, find_more)
        values |= {row.created_by[hit.start : hit.end].strip("\"'") for hit in hits}
    long = sorted((v for v in values if len(v) >= MIN_COVERED), key=len, reverse=True)
    if not long:
        return _Known(None)
    return _Known(re.compile("|".join(re.escape(value) for value in long)))


def _without(text: str, known: _Known) -> str:
    return known.pattern.sub(COVER, text) if known.pattern else text
