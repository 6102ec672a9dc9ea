"""An image without its secrets, for reports to quote: covered where they stand, and wherever else
the same value does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from imgslim.dirt.texts import (
    COVER,
    Hit,
    apart,
    cover,
    find_in_instruction,
    find_in_text,
    is_secret,
)
from imgslim.model import Image, ImageConfig, Layer, Plan

MIN_COVERED = 6
"""Characters of a value that is covered wherever it stands. A shorter one is covered only where it
was recognised: it would be a part of many words."""

FindMore = Callable[[str], Iterable[Hit]]
"""Further secrets of a text: those of a scanner."""


def nothing_more(text: str) -> Iterable[Hit]:
    """The ``FindMore`` without a scanner."""
    return ()


def cover_image(
    image: Image, layers: Sequence[Layer], find_more: FindMore = nothing_more
) -> tuple[Image, tuple[Layer, ...]]:
    """``image`` and ``layers`` with the secrets covered in all texts: what made the layers, the
    history, variables, labels, commands. (``config_blob`` is left: it is for engines.)"""
    known = _known_values(image, find_more)
    clean = _covering(known, find_more)
    blobs = tuple(replace(blob, created_by=clean(blob.created_by)) for blob in image.layers)
    history = tuple(replace(row, created_by=clean(row.created_by)) for row in image.history)
    indexed = tuple(
        replace(layer, blob=replace(layer.blob, created_by=clean(layer.blob.created_by)))
        for layer in layers
    )
    config = _cover_config(image.config, find_more, known)
    return replace(image, config=config, layers=blobs, history=history), indexed


def covering(image: Image, find_more: FindMore = nothing_more) -> Callable[[str], str]:
    """What covers the secrets in a text that quotes an instruction, and those of ``image`` in any:
    a line of a build, a note."""
    return _covering(_known_values(image, find_more), find_more)


def _covering(known: re.Pattern[str] | None, find_more: FindMore) -> Callable[[str], str]:
    return lambda text: _without(cover(text, hits_in_instruction(text, find_more)), known)


def cover_config(config: ImageConfig) -> ImageConfig:
    """A config with the secrets covered that it shows by itself, without the image's history."""
    return _cover_config(config, nothing_more, _any_of(_values_in(config, nothing_more)))


def cover_plan(plan: Plan, image: Image) -> Plan:
    """``plan`` of ``image`` for reports to quote: the commands of its programs, and its notes."""
    known = _known_values(image, nothing_more)
    clean = _covering(known, nothing_more)

    def words(argv: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_without(word, known) for word in _cover_words(argv, nothing_more))

    programs = (replace(program, argv=words(program.argv)) for program in plan.programs)
    problems = (replace(problem, message=clean(problem.message)) for problem in plan.problems)
    return replace(plan, programs=tuple(programs), problems=tuple(problems))


def hits_in_instruction(created_by: str, find_more: FindMore) -> tuple[Hit, ...]:
    """The secrets of a row of the history."""
    return apart([*find_in_instruction(created_by), *find_more(created_by)])


def hits_in_text(text: str, find_more: FindMore) -> tuple[Hit, ...]:
    """The secrets of any other text."""
    return apart([*find_in_text(text), *find_more(text)])


def rule_for_value(name: str, value: str, find_more: FindMore) -> str:
    """The rule by which a variable or a label holds a secret, or ""."""
    return is_secret(name, value) or next((hit.rule for hit in find_more(value)), "")


def commands_of(config: ImageConfig) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What the config runs, each under its name for a finding."""
    yield "<entrypoint>", config.entrypoint or ()
    yield "<cmd>", config.cmd or ()
    if config.healthcheck:
        yield "<healthcheck>", config.healthcheck.test
    for trigger in config.on_build:
        yield "<onbuild>", (trigger,)


def _cover_config(
    config: ImageConfig, find_more: FindMore, known: re.Pattern[str] | None
) -> ImageConfig:
    def values(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return tuple(
            (name, COVER if rule_for_value(name, value, find_more) else _without(value, known))
            for name, value in pairs
        )

    def words(argv: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_without(word, known) for word in _cover_words(argv, find_more))

    health = config.healthcheck
    return replace(
        config,
        env=values(config.env),
        labels=values(config.labels),
        entrypoint=None if config.entrypoint is None else words(config.entrypoint),
        cmd=None if config.cmd is None else words(config.cmd),
        healthcheck=None if health is None else replace(health, test=words(health.test)),
        on_build=tuple(word for trigger in config.on_build for word in words((trigger,))),
    )


def _cover_words(argv: tuple[str, ...], find_more: FindMore) -> Iterator[str]:
    """The words of a command, covered; that a word is secret, the one before it may tell."""
    hits = hits_in_text(" ".join(argv), find_more)
    start = 0
    for word in argv:
        end = start + len(word)
        inside = [hit for hit in hits if hit.start < end and start < hit.end]
        cuts = [
            Hit(hit.rule, hit.name, max(0, hit.start - start), min(len(word), hit.end - start))
            for hit in inside
        ]
        yield cover(word, cuts)
        start = end + 1


def _known_values(image: Image, find_more: FindMore) -> re.Pattern[str] | None:
    """The values that were recognised somewhere, the longest first."""
    values = _values_in(image.config, find_more)
    for created_by in (
        *(r.created_by for r in image.history),
        *(b.created_by for b in image.layers),
    ):
        hits = hits_in_instruction(created_by, find_more)
        values |= {created_by[hit.start : hit.end] for hit in hits}
    return _any_of(values)


def _values_in(config: ImageConfig, find_more: FindMore) -> set[str]:
    pairs = (*config.env, *config.labels)
    values = {value for name, value in pairs if rule_for_value(name, value, find_more)}
    texts = [value for _, value in pairs]
    texts += [" ".join(argv) for _, argv in commands_of(config)]
    for text in texts:
        values |= {text[hit.start : hit.end] for hit in hits_in_text(text, find_more)}
    return values


def _any_of(values: Iterable[str]) -> re.Pattern[str] | None:
    long = {bare for value in values if len(bare := value.strip("\"'")) >= MIN_COVERED}
    ordered = sorted(long, key=lambda value: (-len(value), value))
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _without(text: str, known: re.Pattern[str] | None) -> str:
    return known.sub(COVER, text) if known else text
