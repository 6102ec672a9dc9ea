"""Numbers and paths as people read them."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")
_MARKUP = "\\`*_{}[]<>#|~"


def size_text(size_bytes: int) -> str:
    """Bytes in decimal units with one digit, as docker prints them: ``829.0 MB``, ``212 B``."""
    size = float(size_bytes)
    for unit in _UNITS[:-1]:
        # 999.95 would round up to "1000.0".
        if abs(size) < (1000 if unit == "B" else 999.95):
            return f"{size_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {_UNITS[-1]}"


def share_text(part: int, whole: int) -> str:
    """``part`` of ``whole`` in percent; nothing of nothing is all of it."""
    return f"{100 * part / whole:.1f} %" if whole else "100.0 %"


def count_text(count: int, noun: str, plural: str = "") -> str:
    """``1 file``, ``2,000 files``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    r"""``text`` with undecodable bytes and control characters as ``\xNN``.

    A file name of the image must not be able to drive the user's terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


def markdown_text(text: str) -> str:
    """``text`` as it is, whatever a file of the image is called, in GitHub Flavored Markdown (GFM
    0.29, 2.4 and 4.10)."""
    return "".join(f"\\{sign}" if sign in _MARKUP else sign for sign in printable(text))


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a surrogate escape (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable() or character == " ":
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
