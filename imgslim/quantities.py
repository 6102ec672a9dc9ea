"""Amounts as people write them."""

from __future__ import annotations

import math
import re

_DECIMAL = {unit: 1000**power for power, unit in enumerate(("", "k", "m", "g", "t", "p", "e"))}
_BINARY = {f"{unit}i": 1024**power for power, unit in enumerate(_DECIMAL) if unit}
_UNITS = {
    "b": 1,
    **_DECIMAL,
    **_BINARY,
    **{f"{unit}b": size for unit, size in {**_DECIMAL, **_BINARY}.items() if unit},
}
_SIZE = re.compile(r"([0-9.,]*)(.*)", re.DOTALL)


def parse_size(value: str | float) -> int:
    """Bytes of ``300 MB``, ``1.5GiB``, ``20k``, ``1,000``: as dive reads them (go-humanize's
    ``ParseBytes``), MB being 1000 * 1000 and MiB 1024 * 1024 bytes. Raises ValueError."""
    if not isinstance(value, str):
        return int(_positive(value))
    match = _SIZE.fullmatch(value)
    assert match is not None
    number, unit = match[1].replace(",", ""), match[2].strip().lower()
    if unit not in _UNITS:
        raise ValueError(f"no unit of bytes: {unit}")
    return int(float(number) * _UNITS[unit])


def parse_percent(value: str | float) -> float:
    """``5``, ``2.5 %``. Raises ValueError."""
    return _positive(float(value.strip().removesuffix("%") if isinstance(value, str) else value))


def parse_ratio(value: str | float) -> float:
    """``0.95`` or ``95 %``: from 0 to 1. Raises ValueError."""
    is_percent = isinstance(value, str) and value.strip().endswith("%")
    ratio = parse_percent(value) / (100 if is_percent else 1)
    if ratio > 1:
        raise ValueError(f"more than the whole: {value}")
    return ratio


def _positive(number: float) -> float:
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"no amount: {number}")
    return number
