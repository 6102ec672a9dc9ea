"""The config of an image that is built upon another: what of the base's is set back, and what no
instruction can take back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgslim.model import ImageConfig, Keep, Problem, Severity

_INHERITED = "no instruction removes it: it stays in the slim image's config"
_TRIGGER = "in the build, before anything is copied: choose a base without triggers"


def resets(config: ImageConfig, base: ImageConfig) -> list[str]:
    """Instructions that make unset again what ``base`` sets and ``config`` leaves to the engine's
    defaults (moby, Dockerfile reference). They stand before those of ``config`` itself."""
    rows = (
        (base.healthcheck is not None and config.healthcheck is None, "HEALTHCHECK NONE"),
        (base.shell is not None and config.shell is None, 'SHELL ["/bin/sh", "-c"]'),
        (bool(base.stop_signal) and not config.stop_signal, "STOPSIGNAL SIGTERM"),
        (bool(base.working_dir) and not config.working_dir, "WORKDIR /"),
        (bool(base.user) and not config.user, "USER 0"),
        (base.entrypoint is not None and config.entrypoint is None, "ENTRYPOINT []"),
        (base.cmd is not None and config.cmd is None, "CMD []"),
    )
    return [line for applies, line in rows if applies]


def config_problems_of_base(config: ImageConfig, base: ImageConfig) -> tuple[Problem, ...]:
    """A problem for each thing of the base's config that the slim image inherits for good, and for
    each trigger that runs in its build."""
    inherited = [
        Problem("inherited-config", Severity.WARNING, "", f"{what} comes with the base", _INHERITED)
        for what in _inherited(config, base)
    ]
    triggers = [
        Problem("base-trigger", Severity.WARNING, "", f"ONBUILD {line} of the base runs", _TRIGGER)
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
