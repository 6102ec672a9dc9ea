"""Advice: edits of a Dockerfile, each with the bytes of this image that it saves.

A kind of advice is a module with ``advise(facts)``, and a line in ``_KINDS``. It reads what the
audit found in the image, and its history for the instruction to edit; no Dockerfile. Of two edits
that save the same file the earlier kind has its bytes, so that all sums up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from imgslim.audit.advice import (
    build_stage,
    caches,
    copied_twice,
    dockerignore,
    headers,
    join,
    leftovers,
    recommends,
    same_step,
)
from imgslim.audit.advice.model import Draft, Facts
from imgslim.audit.model import Advice

_KINDS: Sequence[Callable[[Facts], Iterator[Draft]]] = (
    dockerignore.advise,
    join.advise,
    same_step.advise,
    copied_twice.advise,
    caches.advise,
    recommends.advise,
    build_stage.advise,
    headers.advise,
    leftovers.advise,
)
"""The most specific first."""


def find_advice(facts: Facts) -> tuple[Advice, ...]:
    """What saves bytes, the most first."""
    taken: set[tuple[int, str]] = set()
    found = []
    for advise in _KINDS:
        for draft in advise(facts):
            own = {
                (share.layer_index, share.name): share
                for share in draft.shares
                if (share.layer_index, share.name) not in taken
            }
            taken |= own.keys()
            advice = draft.weighed(own.values())
            if advice.saved_bytes:
                found.append(advice)
    return tuple(sorted(found, key=lambda row: (-row.saved_bytes, row.kind, row.title)))
