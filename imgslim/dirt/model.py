"""What is found in an image that should be in none, told without its value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imgslim.audit.model import Verdict
from imgslim.model import OriginKind


class DirtKind(StrEnum):
    """What a finding is. ``TOKEN`` is in the config or the history, ``SECRET`` in a file."""

    SETUID = "setuid"
    SETGID = "setgid"
    CAPABILITIES = "capabilities"
    WORLD_WRITABLE = "world-writable"
    HISTORY = "history"
    PRIVATE_KEY = "private-key"
    CREDENTIALS = "credentials"
    TOKEN = "token"
    SECRET = "secret"


@dataclass(frozen=True, slots=True)
class Undone:
    """The layer that deletes or overwrites (``how``) a file of a layer below, which still holds it.
    ``instruction`` is the one that made the layer, its secrets covered."""

    layer_index: int
    instruction: str
    how: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should not be there. No field ever holds its value.

    ``where`` is a canonical path, or in angle brackets what of the config: ``<env NAME>``,
    ``<label NAME>``, ``<cmd>``, ``<history 4>`` (the row, from 1). ``rule`` says what it was
    recognised by. ``layer_index`` is None where no layer has it, ``instruction`` what made the
    layer or the row, its secrets covered ("": the image does not say). ``deleted_by`` is set for
    what is no longer in the merged tree. ``owner`` is the package or the distribution that brought
    the file ("": nobody known); ``line`` counts from 1 (0: unknown, or no text). ``count`` is how
    many of the same are told in one: the paths below a world-writable directory, the matches of a
    rule in one file, the rows that have one build argument. ``verdict`` is what becomes of the path
    in the slim image, HIDDEN where ``deleted_by`` is set (None: it is no path, or nobody asked).
    """

    kind: DirtKind
    where: str
    rule: str
    layer_index: int | None
    instruction: str
    deleted_by: Undone | None = None
    owner: str = ""
    line: int = 0
    count: int = 1
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Spared:
    """Files that are none of the user's: who put them there, how many, and their bytes."""

    origin: OriginKind
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan of the contents read. ``compressed_files`` were not unpacked."""

    files: int
    size_bytes: int
    compressed_files: int


@dataclass(frozen=True, slots=True)
class Dirt:
    """All findings in an image, in the order of ``DirtKind``, then by place. ``spared`` are the
    files that a package, a distribution, a runtime or a cache brought: those not scanned, or, where
    contents were not asked for (``scanned`` is None), those whose name and start made them dirt."""

    findings: tuple[Finding, ...]
    spared: tuple[Spared, ...]
    scanned: Scanned | None = None
