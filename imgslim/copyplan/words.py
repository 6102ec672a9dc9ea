"""How a path is written: in a COPY instruction, and as a word of a shell command."""

from __future__ import annotations

import json
import re

_SAFE = re.compile(r"[A-Za-z0-9_./+:@%=,~-]+")
_UNCOPYABLE = re.compile(r"""["'\\\[\]\x00-\x1f\x7f]""")
_ODD = re.compile("[\x00-\x1f\x7f\udc80-\udcff]")
_GLOB = {"*": "[*]", "?": "[?]", "$": r"\$"}


def is_copy_word(path: str) -> bool:
    """Whether all builders take this path in a COPY.

    Quotes are stripped by the builders' word expansion even in the JSON form, buildah matches no
    bracket or backslash however it is escaped, and bytes that are no UTF-8 cannot stand in a
    Dockerfile (measured; moby's builder/dockerfile/shell/lex.go).
    """
    return not _UNCOPYABLE.search(path) and is_text(path)


def is_text(value: str) -> bool:
    """Whether a string is Unicode throughout: surrogate escapes are bytes that were not."""
    return not re.search("[\ud800-\udfff]", value)


def copy_source(path: str) -> str:
    """A path as a COPY source means it literally: Go's filepath.Match, ``$`` expansion."""
    return "".join(_GLOB.get(char, char) for char in path)


def copy_destination(path: str) -> str:
    """A path as a COPY destination means it literally: ``$`` is expanded, globs are not."""
    return path.replace("$", r"\$")


def is_simple(path: str) -> bool:
    """Whether a path can stand in a COPY or a shell command as it is."""
    return _SAFE.fullmatch(path) is not None


def json_word(word: str) -> str:
    """A word of an instruction's JSON form, readable where it can be."""
    return json.dumps(word, ensure_ascii=False)


def is_shell_word(path: str) -> bool:
    """Whether a shell word can say this path: ``$(printf …)`` loses newlines at the end."""
    return not path.endswith("\n")


def shell_word(path: str) -> str:
    """A path as one word for a POSIX shell, in text that is valid UTF-8 on one line."""
    if _SAFE.fullmatch(path) and not path.startswith("~"):
        return path
    if _ODD.search(path):
        raw = path.encode("utf-8", "surrogateescape")
        # An option is none in octal.
        text = re.sub("^-", r"\\055", "".join(map(_printf_byte, raw)))
        return f"\"$(printf '{text}')\""
    return "'" + path.replace("'", "'\\''") + "'"


def _printf_byte(byte: int) -> str:
    char = chr(byte)
    if _SAFE.fullmatch(char) and char != "%":
        return char
    return f"\\{byte:03o}"
