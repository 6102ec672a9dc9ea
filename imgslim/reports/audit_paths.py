"""All paths of an audit in few bytes, for the search of its page.

The list is text, a line for each path: how many names it shares with the path before (hex), a
letter for what becomes of it, its bytes (hex), and its other names behind a slash. That is deflated
(RFC 1950, the "deflate" of the Compression Streams Standard) and written in base64. ``search.js``
reads it.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator

from imgslim.audit.model import Verdict
from imgslim.audit.paths import PathAudit
from imgslim.reports.words import printable

_LETTERS = {verdict: verdict.value[0] for verdict in Verdict}
"""n, r, u, h: no digits of hex."""

_NO_FILE = "x"


def pack_paths(rows: Iterable[PathAudit]) -> str:
    """The packed list of ``rows`` in their order: neighbours should share their first names."""
    text = "\n".join(_lines(rows))
    # What printable leaves is text: a path has no other surrogates than escapes.
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")


def _lines(rows: Iterable[PathAudit]) -> Iterator[str]:
    before: list[str] = []
    for row in rows:
        names = printable(row.path).split("/")[1:]
        shared = 0
        # The last name is always written.
        for one, other in zip(names[:-1], before, strict=False):
            if one != other:
                break
            shared += 1
        letter = _NO_FILE if row.verdict is None else _LETTERS[row.verdict]
        size = f"{row.size_bytes:x}" if row.size_bytes else ""
        yield f"{shared:x}{letter}{size}/{'/'.join(names[shared:])}"
        before = names
