"""An image's config blob, read into the types that the rest of imgslim knows.

Sources: the OCI image spec's config.md; moby's image-spec v1.2 for what only Docker writes
(Healthcheck, OnBuild, Shell, StartInterval).
"""

from __future__ import annotations

from dataclasses import dataclass

from imgslim.errors import ArchiveError, UnsupportedImageError
from imgslim.model import Healthcheck, HistoryRow, ImageConfig, Platform
from imgslim.sources.fields import Fields, parse_json
from imgslim.sources.platforms import normalise_platform


@dataclass(frozen=True, slots=True)
class ConfigBlob:
    """What a config blob says: ``diff_ids`` base first, one for each layer."""

    platform: Platform
    config: ImageConfig
    diff_ids: tuple[str, ...]
    history: tuple[HistoryRow, ...]


def parse_config(data: bytes, where: str) -> ConfigBlob:
    """Read a config blob. Raises ArchiveError, and UnsupportedImageError for a Windows image."""
    fields = parse_json(data, where)
    platform = config_platform(fields)
    if platform.os == "windows":
        raise UnsupportedImageError(
            f"this is a Windows image ({platform})", hint="imgslim slims Linux images only"
        )
    diff_ids = fields.child("rootfs").texts("diff_ids")
    if diff_ids is None:
        raise ArchiveError(
            f"{where} is no image config: it has no rootfs.diff_ids",
            hint="an artifact (a chart, a signature) cannot be slimmed, only an image",
        )
    history = tuple(
        HistoryRow(row.text("created_by"), row.flag("empty_layer"))
        for row in fields.children("history")
    )
    return ConfigBlob(platform, _image_config(fields.child("config")), diff_ids, history)


def config_platform(fields: Fields) -> Platform:
    """The platform of a config or of an index's ``platform`` object."""
    return normalise_platform(
        Platform(fields.text("os"), fields.text("architecture"), fields.text("variant"))
    )


def pair_history(history: tuple[HistoryRow, ...], layer_count: int) -> tuple[str, ...]:
    """The instruction that made each layer.

    Rows with ``empty_layer`` have none. Where the others are more or fewer than the layers
    (squashed images, builders that write no history), nobody can tell which belongs to which: all
    are "".
    """
    rows = [row.created_by for row in history if not row.empty_layer]
    return tuple(rows) if len(rows) == layer_count else ("",) * layer_count


def _image_config(fields: Fields) -> ImageConfig:
    labels = fields.child("Labels")
    return ImageConfig(
        entrypoint=fields.words("Entrypoint"),
        cmd=fields.words("Cmd"),
        env=tuple(_variable(row) for row in fields.texts("Env") or ()),
        working_dir=fields.text("WorkingDir"),
        user=fields.text("User"),
        exposed_ports=fields.child("ExposedPorts").keys(),
        volumes=fields.child("Volumes").keys(),
        labels=tuple((key, labels.text(key)) for key in labels.keys()),  # noqa: SIM118
        stop_signal=fields.text("StopSignal"),
        healthcheck=_healthcheck(fields.child("Healthcheck")),
        shell=fields.words("Shell"),
        on_build=fields.texts("OnBuild") or (),
    )


def _variable(row: str) -> tuple[str, str]:
    name, _, value = row.partition("=")
    return name, value


def _healthcheck(fields: Fields) -> Healthcheck | None:
    if not fields.keys():
        return None
    return Healthcheck(
        test=fields.texts("Test") or (),
        interval_ns=fields.number("Interval"),
        timeout_ns=fields.number("Timeout"),
        start_period_ns=fields.number("StartPeriod"),
        start_interval_ns=fields.number("StartInterval"),
        retries=fields.number("Retries"),
    )
