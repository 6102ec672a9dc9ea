"""Two image configs, field by field, in terms in which equal ones run alike.

Source of what is equal: the OCI image spec's config.md, and what Docker's legacy builder, buildah
and BuildKit make of the same instructions (docs/copies.md, "Known differences").
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from imgslim.model import Healthcheck, ImageConfig, Platform

_LONGEST_RANGE = 65_536
"""Ports there are: a longer range is none."""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """``field`` in the words of an instruction (``variable PATH``, ``label x``, ``ENTRYPOINT``);
    None stands for what is not set."""

    field: str
    expected: str | None
    found: str | None


def compare_configs(expected: ImageConfig, found: ImageConfig) -> Iterator[FieldDifference]:
    """Every difference between the two, one for each variable, label, port and volume."""
    for what, items_of in ITEMS.items():
        yield from _compare_items(what, items_of(expected), items_of(found))
    for field, value_of in _FIELDS.items():
        wanted_text, given_text = value_of(expected), value_of(found)
        if wanted_text != given_text:
            yield FieldDifference(field, wanted_text, given_text)


def compare_platforms(expected: Platform, found: Platform) -> Iterator[FieldDifference]:
    """Differences of system and architecture; a variant that only one image states is none."""
    rows = [("os", expected.os, found.os)]
    rows.append(("architecture", expected.architecture, found.architecture))
    if expected.variant and found.variant:
        rows.append(("variant", expected.variant, found.variant))
    for field, wanted, given in rows:
        if wanted != given:
            yield FieldDifference(field, wanted, given)


def _compare_items(
    what: str, expected: Mapping[str, str], found: Mapping[str, str]
) -> Iterator[FieldDifference]:
    for name in dict.fromkeys((*expected, *found)):
        wanted, given = expected.get(name), found.get(name)
        if wanted != given:
            yield FieldDifference(f"{what} {name}", wanted, given)


def _ports(config: ImageConfig) -> dict[str, str]:
    """Each exposed port as builders write it: with its protocol, ranges one by one (moby's
    go-connections, ``nat.ParsePortSpec``)."""
    ports: dict[str, str] = {}
    for text in config.exposed_ports:
        numbers, _, protocol = text.partition("/")
        first, _, last = numbers.partition("-")
        protocol = protocol.lower() or "tcp"
        if first.isdigit() and last.isdigit() and 0 < int(last) - int(first) < _LONGEST_RANGE:
            ports |= {f"{n}/{protocol}": "" for n in range(int(first), int(last) + 1)}
        else:
            ports[f"{numbers}/{protocol}"] = ""
    return ports


def _words(words: Sequence[str] | None) -> str | None:
    """An empty list and none are the same to a container; buildah writes either as empty."""
    return json.dumps(list(words), ensure_ascii=False) if words else None


def _working_dir(config: ImageConfig) -> str:
    """WORKDIR makes a path clean and absolute; BuildKit writes ``/`` for none."""
    return posixpath.normpath(f"/{config.working_dir.lstrip('/')}")


def _healthcheck(check: Healthcheck | None) -> str | None:
    """A check without a test changes nothing; one that is switched off has no times."""
    if check is None or not check.test:
        return None
    kind, *words = check.test
    if kind == "NONE":
        return "NONE"
    if kind == "CMD-SHELL":
        words = [" ".join(words)]
    times = {
        "interval": check.interval_ns,
        "timeout": check.timeout_ns,
        "start-period": check.start_period_ns,
        "start-interval": check.start_interval_ns,
        "retries": check.retries,
    }
    options = [f"--{name}={value}" for name, value in times.items() if value]
    return " ".join([*options, kind, json.dumps(words, ensure_ascii=False)])


ITEMS: dict[str, Callable[[ImageConfig], dict[str, str]]] = {
    "variable": lambda config: dict(config.env),
    "label": lambda config: dict(config.labels),
    "exposed port": _ports,
    "volume": lambda config: dict.fromkeys(config.volumes, ""),
}
"""The fields of several values, each by its name; ports and volumes are names alone."""

_FIELDS: dict[str, Callable[[ImageConfig], str | None]] = {
    "WORKDIR": _working_dir,
    "USER": lambda config: config.user or None,
    "STOPSIGNAL": lambda config: config.stop_signal or None,
    "SHELL": lambda config: _words(config.shell),
    "HEALTHCHECK": lambda config: _healthcheck(config.healthcheck),
    "ONBUILD": lambda config: _words(config.on_build),
    "ENTRYPOINT": lambda config: _words(config.entrypoint),
    "CMD": lambda config: _words(config.cmd),
}
"""The fields with one value, by the instruction that sets it."""
