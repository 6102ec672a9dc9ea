"""Digests: ``algorithm:hex``, checked while bytes stream past (OCI image spec, descriptor.md)."""

from __future__ import annotations

import hashlib

from imgslim.errors import ArchiveError, DigestMismatchError

DAMAGED_HINT = "it was cut off or changed on the way; save, pull or copy it again"

_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}


def is_digest(text: str) -> bool:
    """Whether ``text`` is a digest of an algorithm that images use."""
    algorithm, _, value = text.partition(":")
    return len(value) == _HEX_DIGITS.get(algorithm) and not set(value) - set("0123456789abcdef")


def sha256_digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class DigestCheck:
    """Compares the bytes that it is fed with a digest; ``what`` names them in errors."""

    def __init__(self, digest: str, what: str) -> None:
        """Raises ArchiveError when ``digest`` is none."""
        if not is_digest(digest):
            raise ArchiveError(
                f"{what} is named by {digest!r}, which is no sha256, sha384 or sha512 digest",
                hint="save or copy the image again",
            )
        self._digest = digest
        self._what = what
        self._hash = hashlib.new(digest.partition(":")[0])

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def verify(self) -> None:
        """Raises DigestMismatchError when other bytes have come."""
        algorithm, _, promised = self._digest.partition(":")
        found = self._hash.hexdigest()
        if found != promised:
            raise DigestMismatchError(
                f"{self._what} does not match its digest: {algorithm}:{found} is there, "
                f"{self._digest} was promised",
                hint=DAMAGED_HINT,
            )
