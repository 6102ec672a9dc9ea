"""The rules of Kingfisher (MongoDB, Apache-2.0), in process and offline: an extra, as it is 16 MB.

Its library scans and redacts; what would try a credential out (``Validator``, ``Revoker``) is never
imported. Compiled rules are kept in the user's cache directory (``KF_RULE_CACHE_DIR``): compiling
takes some seconds, loading half of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imgslim.dirt.texts import Hit
from imgslim.errors import UsageError

if TYPE_CHECKING:
    from kingfisher_sdk import Scanner

CONFIDENCE: Literal["medium"] = "medium"
"""The least confidence of a rule; Kingfisher's own default."""


@dataclass(frozen=True, slots=True)
class Match:
    """A rule's match in bytes, by offsets; ``line`` counts from 1."""

    rule: str
    start: int
    end: int
    line: int


class SecretScanner:
    """Finds secrets in bytes. Raises UsageError when the extra is not installed."""

    def __init__(self) -> None:
        try:
            from kingfisher_sdk import Rules, ScanInput, Scanner
        except ImportError as error:
            raise UsageError(
                "looking for secrets in files needs Kingfisher, which is not installed",
                hint="pip install 'kingfisher-secret-scanner<2'",
            ) from error
        self._scanner: Scanner = Scanner(Rules(confidence=CONFIDENCE), redact=True)
        self._input = ScanInput

    def scan(self, path: str, data: bytes) -> Iterator[Match]:
        """The secrets in ``data``, a part of the file at ``path`` (rules may mind its name)."""
        name = path.encode("utf-8", "replace").decode("utf-8")
        for finding in self._scanner.scan_input(self._input(path=name, data=data)):
            if finding.visible:
                place = finding.location
                yield Match(
                    finding.rule_id, place["start_offset"], place["end_offset"], place["line"]
                )

    def in_text(self, text: str) -> tuple[Hit, ...]:
        """The secrets in a text of the config."""
        data = text.encode("utf-8", "surrogateescape")

        def offset(position: int) -> int:
            return len(data[:position].decode("utf-8", "surrogateescape"))

        return tuple(
            Hit(match.rule, "", offset(match.start), offset(match.end))
            for match in self.scan("", data)
        )
