"""The config of an image that is built upon another: what of the base's is set back, and what no
instruction can take back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imgslim.model import Healthcheck, ImageConfig, Keep, Problem, Severity

_INHERITED = "no Dockerfile removes it: it stays in the slim image's config, in every form"
_TRIGGER = "in the build, before anything is copied: choose a base without triggers"

TRIGGER = "base-trigger"
"""The code of what a base does in a build, and in a build alone."""


@dataclass(frozen=True, slots=True)
class Reset:
    """How one field of a config is made unset again: the ``instruction``, and the ``value`` that it
    leaves in the ``attribute`` of an ImageConfig, which is ``field`` in the stored document."""

    instruction: str
    attribute: str
    field: str
    value: Healthcheck | tuple[str, ...] | str

    def is_set(self, config: ImageConfig) -> bool:
        return getattr(config, self.attribute) not in (None, "")

    @property
    def stored(self) -> object:
        """The value as it stands in the stored document."""
        if isinstance(self.value, Healthcheck):
            return {"Test": list(self.value.test)}
        return self.value if isinstance(self.value, str) else list(self.value)


RESETS = (
    Reset("HEALTHCHECK NONE", "healthcheck", "Healthcheck", Healthcheck(("NONE",))),
    Reset('SHELL ["/bin/sh", "-c"]', "shell", "Shell", ("/bin/sh", "-c")),
    Reset("STOPSIGNAL SIGTERM", "stop_signal", "StopSignal", "SIGTERM"),
    Reset("WORKDIR /", "working_dir", "WorkingDir", "/"),
    Reset("USER 0", "user", "User", "0"),
    Reset("ENTRYPOINT []", "entrypoint", "Entrypoint", ()),
    Reset("CMD []", "cmd", "Cmd", ()),
)
"""What an engine does where nothing is set (moby; the Dockerfile reference)."""


def needed_resets(config: ImageConfig, base: ImageConfig) -> tuple[Reset, ...]:
    """What ``base`` sets and ``config`` leaves to the engine's defaults."""
    return tuple(row for row in RESETS if row.is_set(base) and not row.is_set(config))


def resets(config: ImageConfig, base: ImageConfig) -> list[str]:
    """The instructions of ``needed_resets``. They stand before those of ``config`` itself."""
    return [row.instruction for row in needed_resets(config, base)]


def set_back(config: ImageConfig, base: ImageConfig) -> ImageConfig:
    """``config`` as these instructions leave it."""
    changes: dict[str, Any] = {row.attribute: row.value for row in needed_resets(config, base)}
    return replace(config, **changes)


def merged_config(
    config: Mapping[str, Any], base: Mapping[str, Any], undone: Sequence[Reset]
) -> dict[str, Any]:
    """``config`` as a build upon ``base`` leaves it; both are the ``config`` of an image's stored
    config document, ``undone`` are the ``needed_resets``.

    Each instruction adds to what a base has of variables, labels, ports and volumes, or sets it
    anew in its place, and takes none away (moby's builder/dockerfile/dispatchers.go).
    """
    merged = {**config, **{row.field: row.stored for row in undone}}
    variables = {_name(text): text for text in (*_rows(base, "Env"), *_rows(config, "Env"))}
    if variables:
        merged["Env"] = list(variables.values())
    for field in ("Labels", "ExposedPorts", "Volumes"):
        items = {**(base.get(field) or {}), **(config.get(field) or {})}
        if items:
            merged[field] = items
    return merged


def _rows(config: Mapping[str, Any], field: str) -> Sequence[str]:
    return config.get(field) or ()


def _name(variable: str) -> str:
    return variable.partition("=")[0]


def config_problems_of_base(config: ImageConfig, base: ImageConfig) -> tuple[Problem, ...]:
    """A problem for each thing of the base's config that the slim image inherits for good, and for
    each trigger that runs in its build."""
    inherited = [
        Problem("inherited-config", Severity.WARNING, "", f"{what} comes with the base", _INHERITED)
        for what in _inherited(config, base)
    ]
    triggers = [
        Problem(TRIGGER, Severity.WARNING, "", f"ONBUILD {line} of the base runs", _TRIGGER)
        for line in base.on_build
    ]
    return (*inherited, *triggers)


def _inherited(config: ImageConfig, base: ImageConfig) -> Iterator[str]:
    variables, labels = dict(config.env), dict(config.labels)
    yield from (f"the variable {name}" for name, _ in base.env if name not in variables)
    yield from (f"the label {name}" for name, _ in base.labels if name not in labels)
    yield from (f"the volume {path}" for path in base.volumes if path not in config.volumes)
    ports = config.exposed_ports
    yield from (f"the exposed port {port}" for port in base.exposed_ports if port not in ports)


def database_problems(keeps: Iterable[Keep]) -> tuple[Problem, ...]:
    """Package databases that take the place of the base's."""
    cut = [keep for keep in keeps if keep.content is not None]
    if not cut:
        return ()
    return (
        Problem(
            "database-of-base",
            Severity.WARNING,
            cut[0].entry.path,
            "lists what is kept of the image, not what else the base has",
            "scanners do not see the base's own packages: scan the base by itself",
        ),
    )
