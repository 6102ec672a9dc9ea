"""Secrets of configs while they are compared: what a plan in a file has covered matches any value,
and no difference quotes one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from imgslim.dirt.covers import cover_config, cover_image
from imgslim.dirt.texts import COVER
from imgslim.model import Image, ImageConfig
from imgslim.verify.config import FieldDifference, compare_configs
from imgslim.verify.differences import NOTHING


def without_covered(rows: Iterable[FieldDifference]) -> Iterator[FieldDifference]:
    """``rows`` but those whose expected text has a cover, and is the found one with something in
    the place of each cover."""
    for row in rows:
        if row.expected is None or row.found is None or COVER not in row.expected:
            yield row
            continue
        pattern = ".+".join(map(re.escape, row.expected.split(COVER)))
        if not re.fullmatch(pattern, row.found, re.DOTALL):
            yield row


def shown_texts(expected: ImageConfig, image: Image) -> Mapping[str, tuple[str, str]]:
    """What reports may quote of each field in which the config of ``image`` is not the expected
    one: what is expected, what is found. Two secrets that differ look alike."""
    pair = cover_config(expected), cover_image(image, ())[0].config
    covered = {row.field: row for row in compare_configs(*pair)}
    differing = (row.field for row in compare_configs(expected, image.config))
    return {field: in_words(covered.get(field)) for field in differing}


def in_words(row: FieldDifference | None) -> tuple[str, str]:
    """Both texts of a difference; of one that is only in what is covered, the covers."""
    if row is None:
        return COVER, COVER
    expected, found = (NOTHING if text is None else text for text in (row.expected, row.found))
    return expected, found
