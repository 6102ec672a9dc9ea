"""Which of an engine's images is the best base for a plan: the one with the smallest sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from imgslim.errors import BaseImageError, ImgslimError

MOST_CANDIDATES = 8
"""Images that are opened: each is saved by the engine, which takes seconds."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image that might be a base, as the engine describes it."""

    reference: str
    image_id: str
    size_bytes: int
    diff_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One compared image: its own bytes, those that would be copied, or the ``reason`` ("": none)
    why it cannot be the base."""

    reference: str
    base_bytes: int
    copied_bytes: int = 0
    reason: str = ""

    @property
    def size_bytes(self) -> int:
        return self.base_bytes + self.copied_bytes


def compare_bases(
    candidates: Iterable[Candidate], weigh: Callable[[str], tuple[int, int]]
) -> tuple[Proposal, ...]:
    """Weigh candidates, the smallest first, until one by itself is as large as the best sum so far.

    ``weigh`` gives an image's own bytes and those to be copied, or raises why it cannot be a base.
    The best comes first, those that cannot be a base last.
    """
    found: list[Proposal] = []
    for candidate in sorted(candidates, key=lambda one: (one.size_bytes, one.reference)):
        best = min((one.size_bytes for one in found if not one.reason), default=None)
        if len(found) == MOST_CANDIDATES or (best is not None and candidate.size_bytes >= best):
            break
        found.append(_weighed(candidate, weigh))
    return tuple(sorted(found, key=lambda one: (bool(one.reason), one.size_bytes, one.reference)))


def possible_bases(
    candidates: Iterable[Candidate], image_id: str, diff_ids: Sequence[str], limit_bytes: int
) -> Iterator[Candidate]:
    """Those that are small enough to matter, or whose layers the fat image has at its bottom; not
    the fat image itself and none that was built upon it."""
    for candidate in candidates:
        depth = len(candidate.diff_ids)
        shared = depth and candidate.diff_ids == tuple(diff_ids[:depth])
        above = diff_ids and candidate.diff_ids[: len(diff_ids)] == tuple(diff_ids)
        if candidate.image_id == image_id or above:
            continue
        if shared or candidate.size_bytes <= limit_bytes:
            yield candidate


def _weighed(candidate: Candidate, weigh: Callable[[str], tuple[int, int]]) -> Proposal:
    reference = candidate.reference
    try:
        base_bytes, copied_bytes = weigh(reference)
    except BaseImageError as error:
        reason = str(error).partition("cannot be the base: ")[2] or str(error)
        return Proposal(reference, candidate.size_bytes, reason=reason)
    except ImgslimError as error:
        return Proposal(reference, candidate.size_bytes, reason=str(error))
    return Proposal(reference, base_bytes, copied_bytes)
