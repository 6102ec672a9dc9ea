"""The instruction that made a layer, as its history row tells it."""

from __future__ import annotations

import re

_NOP = re.compile(r"^/bin/sh -c #\(nop\)\s+")
_RUN = re.compile(r"^(?:RUN )?(?:\|\d+ .*? )?/bin/(?:sh|bash) (?:-o \S+ |-\S+ )*-c ")
_BUILDKIT = re.compile(r"\s+# buildkit\s*$")


def without_marks(created_by: str) -> tuple[str, bool]:
    """A history row without what builders write around an instruction, and whether the legacy one
    marked it as no command for a shell (``#(nop)``)."""
    text = _BUILDKIT.sub("", created_by)
    return _NOP.sub("", text), _NOP.match(text) is not None


def instruction(created_by: str) -> str:
    """A history row as the Dockerfile instruction that it was.

    Builders store ``/bin/sh -c #(nop) CMD […]`` (legacy), ``RUN /bin/sh -c … # buildkit``
    (BuildKit), both with build arguments as ``|2 NAME=VALUE …`` before the shell.
    """
    text, is_marked = without_marks(created_by)
    line = " ".join(text.split())
    return line if is_marked else _RUN.sub("RUN ", line)
