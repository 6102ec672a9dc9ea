"""The rules of a ``.dive-ci`` file, read as dive does.

dive v0.13, cmd/dive/cli/internal/options/ci.go and command/ci/rules.go: a YAML mapping ``rules``
whose values are taken as they are written; a rule that is missing or null has its default, other
keys are passed over, and a rule is turned off by ``disabled``, ``off``, ``false`` or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import yaml

from imgslim.errors import UsageError
from imgslim.limits.measures import DIVE_EFFICIENCY, DIVE_USER_WASTE, DIVE_WASTE
from imgslim.quantities import parse_size

DIVE_FILE = ".dive-ci"
"""Where dive looks for it, in the working directory."""

_RULES = "rules"
_OFF = ("", "disabled", "off", "false")


def _ratio(text: str) -> float:
    ratio = float(text)
    if not 0 <= ratio <= 1:
        raise ValueError(f"not from 0 to 1: {text}")
    return ratio


@dataclass(frozen=True, slots=True)
class _Rule:
    limits: str
    default: str
    parse: Callable[[str], float]
    expected: str


_BY_KEY = {
    "lowestEfficiency": _Rule(DIVE_EFFICIENCY, "0.9", _ratio, "a number from 0 to 1"),
    "highestWastedBytes": _Rule(DIVE_WASTE, "disabled", parse_size, "bytes, such as 20MB"),
    "highestUserWastedPercent": _Rule(DIVE_USER_WASTE, "0.1", _ratio, "a number from 0 to 1"),
}


@dataclass(frozen=True, slots=True)
class DiveRules:
    """The limits by the rules of their measures; ``notes`` are what dive says nothing about."""

    amounts: Mapping[str, float]
    notes: tuple[str, ...] = ()


def load_dive_ci(path: str) -> DiveRules:
    """The rules of the file at ``path``. Raises UsageError for what dive would not take."""
    try:
        root = next(iter(yaml.compose_all(Path(path).read_bytes(), yaml.SafeLoader)), None)
    except FileNotFoundError:
        raise UsageError(
            f"--dive-ci {path}: there is no such file", hint="check the path"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="check it") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {error}", hint="correct it") from error
    rows = dict(_rows(path, root))
    amounts = {}
    for key, rule in _BY_KEY.items():
        text = rows.get(key, rule.default)
        if text.strip().lower() not in _OFF:
            amounts[rule.limits] = _amount(path, key, text)
    return DiveRules(amounts, tuple(_notes(path, rows)))


def _rows(path: str, root: yaml.Node | None) -> Iterator[tuple[str, str]]:
    """The keys of ``rules`` with what is written there, in quotes or not; null is nothing."""
    for key, node in _items(path, root, "the file"):
        if key == _RULES:
            for name, value in _items(path, node, _RULES):
                if isinstance(value, yaml.ScalarNode):
                    if value.tag != _NULL or value.style is not None:
                        yield name, value.value
                elif name in _BY_KEY:
                    raise _wrong(path, name, "no single value")


_NULL = "tag:yaml.org,2002:null"


def _items(path: str, node: yaml.Node | None, what: str) -> Iterator[tuple[str, yaml.Node]]:
    if node is None or node.tag == _NULL:
        return
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(
            f"{path}: {what} is no mapping", hint=f"write {_RULES}: and {', '.join(_BY_KEY)}"
        )
    for key, value in node.value:
        yield str(key.value), value


def _amount(path: str, key: str, text: str) -> float:
    try:
        return _BY_KEY[key].parse(text)
    except ValueError:
        raise _wrong(path, key, text) from None


def _wrong(path: str, key: str, text: str) -> UsageError:
    return UsageError(
        f"{path}: {key} takes {_BY_KEY[key].expected}, not {text}",
        hint=f"write {key}: {_BY_KEY[key].default}",
    )


def _notes(path: str, rows: Mapping[str, str]) -> Iterator[str]:
    for key in rows.keys() - _BY_KEY.keys():
        near = get_close_matches(key, _BY_KEY, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        yield f"{path}: {key} is no rule of dive, which passes over it{hint}"
