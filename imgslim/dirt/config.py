"""Tokens in the config and in the history: values that the image tells everyone who has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgslim.audit import instruction
from imgslim.dirt.covers import (
    FindMore,
    commands_of,
    cover_image,
    hits_in_instruction,
    hits_in_text,
    nothing_more,
    rule_for_value,
)
from imgslim.dirt.model import DirtKind, Finding
from imgslim.model import Image, ImageConfig


def find_tokens(image: Image, find_more: FindMore = nothing_more) -> Iterator[Finding]:
    """Tokens that the config or the history of ``image`` holds, without their values. What the
    config has is told of it, not again of the row that set it."""
    clean, _ = cover_image(image, (), find_more)
    quotes = [instruction(row.created_by) for row in clean.history]
    layer_of = _layers_of_rows(image)
    for where, name, rule in _in_config(image.config, find_more):
        row = _row_that_sets(image, name) if name else None
        layer_index, quote = (None, "") if row is None else (layer_of[row], quotes[row])
        yield Finding(DirtKind.TOKEN, where, rule, layer_index, quote)
    for place, rows in _in_history(image, find_more).items():
        where = (
            f"<build argument {place.argument}>" if place.argument else f"<history {rows[0] + 1}>"
        )
        yield Finding(
            DirtKind.TOKEN, where, place.rule, layer_of[rows[0]], quotes[rows[0]], count=len(rows)
        )


def _in_config(config: ImageConfig, find_more: FindMore) -> Iterator[tuple[str, str, str]]:
    """Place, variable or label, and rule of each secret in the config."""
    for what, pairs in (("env", config.env), ("label", config.labels)):
        for name, value in pairs:
            if rule := rule_for_value(name, value, find_more):
                yield f"<{what} {name}>", name, rule
    for where, argv in commands_of(config):
        for rule in dict.fromkeys(hit.rule for hit in hits_in_text(" ".join(argv), find_more)):
            yield where, "", rule


@dataclass(frozen=True, slots=True, repr=False)
class _Place:
    """A secret of the history; builders repeat a build argument in every RUN that has it."""

    argument: str
    rule: str
    row: int
    value: str


def _in_history(image: Image, find_more: FindMore) -> dict[_Place, list[int]]:
    """The rows of each secret that the config has no longer, or never had."""
    config = image.config
    set_now = {*config.env, *config.labels}
    run_now = _values_of_commands(config, find_more)
    places: dict[_Place, list[int]] = {}
    for number, row in enumerate(image.history):
        is_command = _COMMAND.match(row.created_by) is not None
        for hit in hits_in_instruction(row.created_by, find_more):
            value = row.created_by[hit.start : hit.end].strip("\"'")
            if (hit.name, value) in set_now or (
                is_command and any(now in value for now in run_now)
            ):
                continue
            place = _Place(
                hit.name if hit.is_argument else "",
                hit.rule,
                -1 if hit.is_argument else number,
                value if hit.is_argument else "",
            )
            rows = places.setdefault(place, [])
            if number not in rows:
                rows.append(number)
    return places


def _values_of_commands(config: ImageConfig, find_more: FindMore) -> frozenset[str]:
    texts = [" ".join(argv) for _, argv in commands_of(config)]
    hits = ((text, hit) for text in texts for hit in hits_in_text(text, find_more))
    return frozenset(text[hit.start : hit.end].strip("\"'") for text, hit in hits)


_COMMAND = re.compile(r"^(?:/bin/sh -c #\(nop\)\s+)?(?:ENTRYPOINT|CMD|HEALTHCHECK|ONBUILD)\b")


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
