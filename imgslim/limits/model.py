"""The types of a check: what must hold, what is known of the image, what became of each limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from imgslim.audit import Audit
from imgslim.dirt import Dirt
from imgslim.model import Image


class Unit(StrEnum):
    """What an amount counts. ``RATIO`` is from 0 to 1, as dive has it."""

    BYTES = "bytes"
    PERCENT = "percent"
    RATIO = "ratio"
    FILES = "files"
    FINDINGS = "findings"


@dataclass(frozen=True, slots=True)
class Limits:
    """What must hold. ``amounts`` are limits by the rule of their measure (``measures.py``), in its
    unit; ``forbidden`` are kinds of files and of dirt that must not be there, but where they are
    needed or a package's; those of ``forbidden_always`` not even then."""

    amounts: Mapping[str, float] = field(default_factory=dict)
    forbidden: tuple[str, ...] = ()
    forbidden_always: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset((*self.forbidden, *self.forbidden_always))

    def __bool__(self) -> bool:
        return bool(self.amounts or self.kinds)


@dataclass(frozen=True, slots=True)
class Reference:
    """The image that growth is counted against, its bytes those of all layers; ``location`` is how
    the user called it."""

    location: str
    size_bytes: int
    diff_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an image. ``dirt`` and ``reference`` are None where no limit asks for them;
    so is the audit's plan."""

    audit: Audit
    dirt: Dirt | None = None
    reference: Reference | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """A part of what breaks a limit; no field ever holds a secret's value.

    ``what`` names it: a package, a unit of ``kinds.toml``, a directory, what a secret was
    recognised by ("": a layer or a part of one). ``where`` is a path of the image, the largest of
    several, or a place as in ``dirt.Finding``, or "". ``size_bytes`` is None where bytes say
    nothing. ``layer_index`` is None where no layer has it, ``instruction`` what made that layer;
    ``undone`` says what became of it later, ``verdict`` of a finding what becomes of it in the slim
    image (a Verdict; "": several, or no path).
    """

    what: str = ""
    where: str = ""
    line: int = 0
    size_bytes: int | None = None
    file_count: int = 0
    layer_index: int | None = None
    instruction: str = ""
    undone: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one limit. ``found`` may be infinite, or no number (nothing of nothing, which
    holds, as for dive). ``is_least``: ``limit`` is the least that is allowed, not the most.
    ``reasons`` are all that make up ``found``, most bytes first; ``excepted`` counts files or
    findings that are of a forbidden kind and allowed all the same."""

    rule: str
    holds: bool
    unit: Unit
    limit: float
    found: float
    is_least: bool = False
    reasons: tuple[Reason, ...] = ()
    excepted: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """An image, its secrets covered, and what became of each limit; ``location`` is how the user
    called it. ``no_plan`` says why what is
    needed is not known where a limit asks for it ("": it is known, or nobody asks)."""

    location: str
    image: Image
    outcomes: tuple[Outcome, ...]
    reference: Reference | None
    no_plan: str

    @property
    def broken(self) -> tuple[Outcome, ...]:
        """The limits that do not hold."""
        return tuple(outcome for outcome in self.outcomes if not outcome.holds)
