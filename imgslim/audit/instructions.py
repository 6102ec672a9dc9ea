"""The instruction that made a layer, as its history row tells it."""

from __future__ import annotations

import re

_NOP = re.compile(r"^/bin/sh -c #\(nop\)\s+")
_RUN = re.compile(r"^(?:RUN )?(?:\|\d+ .*? )?/bin/(?:sh|bash) (?:-o \S+ |-\S+ )*-c ")
_BUILDKIT = re.compile(r"\s+# buildkit$")


def instruction(created_by: str) -> str:
    """A history row as the Dockerfile instruction that it was.

    Builders store ``/bin/sh -c #(nop) CMD […]`` (legacy), ``RUN /bin/sh -c … # buildkit``
    (BuildKit), both with build arguments as ``|2 NAME=VALUE …`` before the shell.
    """
    text = " ".join(_BUILDKIT.sub("", created_by).split())
    if _NOP.match(text):
        return _NOP.sub("", text)
    return _RUN.sub("RUN ", text)
