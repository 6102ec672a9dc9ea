"""What verification finds: mismatches while it compares, then differences and allowances."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imgslim.model import Entry


class Aspect(StrEnum):
    """In which respect a path differs; a difference of the config has its field's name instead."""

    PRESENCE = "presence"
    KIND = "kind"
    MODE = "mode"
    OWNER = "owner"
    SIZE = "size"
    CONTENT = "content"
    MTIME = "time"
    LINK_TARGET = "link target"
    HARD_LINKS = "hard links"
    CAPABILITY = "capability"
    DEVICE = "device number"
    STRIPPED = "stripped content"


NOTHING = "nothing"
"""What is expected or found where there is no such path or value."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One respect in which plan and image differ, not yet judged. ``path`` is "" for the config,
    whose field is the ``aspect``. ``wanted`` and ``given`` are the entries, None where there is
    none; ``expected`` and ``found`` say it in words."""

    path: str
    aspect: str
    expected: str
    found: str
    wanted: Entry | None = None
    given: Entry | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A mismatch that is a fault: ``why`` says in words what most likely did it."""

    path: str
    aspect: str
    expected: str
    found: str
    why: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """A mismatch that is none: ``code`` names the row of the closed list, ``message`` says it."""

    code: str
    path: str
    aspect: str
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome: ``path_count`` planned paths, ``stripped_count`` of them stripped files."""

    path_count: int
    stripped_count: int
    differences: tuple[Difference, ...]
    allowances: tuple[Allowance, ...]

    @property
    def is_as_planned(self) -> bool:
        return not self.differences
