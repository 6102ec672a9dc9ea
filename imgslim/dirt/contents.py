"""What files say: every byte of those that are the user's, a window at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from imgslim.dirt.kingfisher import Match
from imgslim.dirt.rules import compressed_starts
from imgslim.model import Entry
from imgslim.rootfs import Rootfs

WINDOW_BYTES = 4 << 20
OVERLAP_BYTES = 16 << 10
"""What a window has of the next one: more than the longest secret, a private key of 16,384 bits in
PEM (12.7 kB)."""


class Scanner(Protocol):
    def scan(self, path: str, data: bytes) -> Iterator[Match]: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A rule that matched in a file: how often, and the first line."""

    rule: str
    line: int
    count: int


def is_compressed(rootfs: Rootfs, entry: Entry) -> bool:
    """Whether a file's bytes say nothing without unpacking it."""
    return rootfs.read_bytes(entry, 8).startswith(compressed_starts())


def scan_file(rootfs: Rootfs, entry: Entry, scanner: Scanner) -> tuple[Seen, ...]:
    """The rules that match in a file, in the order of their first match. At most a window of the
    file is in memory; holes of a sparse file are not read."""
    found: dict[str, Seen] = {}
    places: set[tuple[str, int]] = set()
    lines = 0
    for start, length in entry.sparse or ((0, entry.size_bytes),):
        for offset in range(start, start + length, WINDOW_BYTES):
            left = start + length - offset
            data = rootfs.pread(entry, offset, min(left, WINDOW_BYTES + OVERLAP_BYTES))
            for match in sorted(scanner.scan(entry.path, data), key=lambda match: match.start):
                place = (match.rule, offset + match.start)
                if place not in places:
                    places.add(place)
                    first = found.get(match.rule, Seen(match.rule, lines + match.line, 0))
                    found[match.rule] = Seen(first.rule, first.line, first.count + 1)
            lines += data.count(b"\n", 0, WINDOW_BYTES)
    return tuple(found.values())
