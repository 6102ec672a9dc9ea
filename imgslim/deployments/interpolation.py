"""Variables in deployment files: Compose's ``${NAME:-default}`` and Kubernetes' ``$(NAME)``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_NAME = r"[_A-Za-z][_A-Za-z0-9]*"
_START = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<name>{_NAME})|(?P<brace>\{{))")
_BRACED = re.compile(rf"(?P<name>{_NAME})(?:(?P<operator>:?[-?+])(?P<word>.*))?", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\((?P<name>[^)]*)\))")


@dataclass(frozen=True, slots=True)
class Variables:
    """What a Compose file's variables are replaced by (compose-spec, "Interpolation").

    ``unset`` collects the names that have no value and no default: they count as empty, as they
    do for Compose, which warns.
    """

    values: Mapping[str, str]
    unset: dict[str, None] = field(default_factory=dict)

    def apply(self, value: Any) -> Any:
        """``value`` with every string in it replaced, keys left as they are."""
        if isinstance(value, str):
            return self.replace(value)
        if isinstance(value, Mapping):
            return {key: self.apply(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.apply(item) for item in value]
        return value

    def replace(self, text: str) -> str:
        """Raises ValueError for a brace that is not closed or holds no name."""
        result, position = [], 0
        while match := _START.search(text, position):
            result.append(text[position : match.start()])
            position = match.end()
            if match["dollar"]:
                result.append("$")
            elif match["name"]:
                result.append(self._value(match["name"], "", ""))
            else:
                end = _closing(text, position)
                inner = _BRACED.fullmatch(text[position:end])
                if inner is None:
                    raise ValueError(f"{text!r} has a variable without a name")
                result.append(
                    self._value(inner["name"], inner["operator"] or "", inner["word"] or "")
                )
                position = end + 1
        return "".join([*result, text[position:]])

    def _value(self, name: str, operator: str, word: str) -> str:
        value = self.values.get(name)
        is_there = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("+"):
            return self.replace(word) if is_there else ""
        if is_there:
            return value or ""
        if operator.endswith("-"):
            return self.replace(word)
        if value is None:
            self.unset[name] = None
        return ""


def _closing(text: str, position: int) -> int:
    """The index of the brace that closes the one before ``position``."""
    depth = 1
    for index in range(position, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise ValueError(f"{text!r} has a brace that is not closed")


def expand_references(text: str, values: Mapping[str, str]) -> str:
    """``text`` with Kubernetes' references replaced (k8s.io third_party/forked/golang/expansion):
    ``$$`` is a dollar sign, a reference to an unknown variable stays as it is."""

    def replaced(match: re.Match[str]) -> str:
        return "$" if match["dollar"] else values.get(match["name"], match[0])

    return _REFERENCE.sub(replaced, text)
