"""Absolute canonical paths as text."""

from __future__ import annotations

from collections.abc import Iterator


def above(path: str) -> Iterator[str]:
    """The directories above a path, the nearest first, the root last; none above the root."""
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path
