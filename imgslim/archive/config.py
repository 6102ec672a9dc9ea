"""The slim image's config: the fat image's own, with other layers, history, dates and labels.

Upon a base it is what a build upon that one leaves: what is inherited is in it, and the base's own
history comes first. Source: the OCI image spec's config.md; moby's image-spec v1.2.

What a builder says of itself (``container``, ``docker_version``, BuildKit's cache of the fat
image's layers) is not the slim image's. Without SOURCE_DATE_EPOCH the date is the fat image's: the
same on every run, and no lie about how old the files are, as 1970 would be.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from imgslim import __version__
from imgslim.bases.undone import merged_config, needed_resets
from imgslim.errors import UsageError
from imgslim.model import Image
from imgslim.provenance_labels import known_name, provenance_labels

_KEPT = ("created", "author", "architecture", "variant", "os", "os.version", "os.features")
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, which RFC 3339 has no date after."""


def source_date_epoch() -> int | None:
    """SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch), None where it is unset.

    Raises UsageError when it is no number of seconds.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= _LAST_SECOND):
        raise UsageError(
            f"SOURCE_DATE_EPOCH is {text!r}, which is no number of seconds since 1970",
            hint="export SOURCE_DATE_EPOCH=$(date +%s), or unset it",
        )
    return int(text)


def slim_config(
    image: Image,
    layers: Iterable[tuple[str, str]],
    epoch: int | None,
    base: Image | None = None,
) -> dict[str, Any]:
    """The config document of the slim image; ``layers`` are (diff_id, title), lowest first, those
    of ``base`` not among them."""
    fat = json.loads(image.config_blob)
    document: dict[str, Any] = {
        "architecture": image.platform.architecture,
        "os": image.platform.os,
    }
    document |= {name: fat[name] for name in _KEPT if fat.get(name) is not None}
    if epoch is not None:
        document["created"] = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = list(layers)
    lower = base.layers if base else ()
    diff_ids = [*(layer.diff_id for layer in lower), *(diff_id for diff_id, _ in rows)]
    created = document.get("created")
    document["config"] = _config(fat.get("config") or {}, image, base)
    document["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    document["history"] = [
        *(_history_below(base) if base else ()),
        *(_history(title, created) for _, title in rows),
    ]
    return document


def _config(config: Mapping[str, Any], image: Image, base: Image | None) -> dict[str, Any]:
    """As it is but for the labels, and what the base adds: absent and empty differ, and what is
    unknown here may matter."""
    ours = dict(provenance_labels(image, base))
    labelled = {**config, "Labels": {**(config.get("Labels") or {}), **ours}}
    if base is not None:
        undone = needed_resets(image.config, base.config)
        below = json.loads(base.config_blob).get("config") or {}
        labelled = merged_config(labelled, below, undone)
    return {**labelled, "Labels": dict(sorted(labelled["Labels"].items()))}


def _history_below(base: Image) -> list[dict[str, Any]]:
    """The base's own rows, with those that have no layer. Where they do not fit its layers, as
    ``docker export`` and squashing leave them, a row for each layer stands in their place: no
    engine shows a history of which the rows and layers differ in number."""
    rows: list[dict[str, Any]] = json.loads(base.config_blob).get("history") or []
    if sum(not row.get("empty_layer") for row in rows) == len(base.layers):
        return rows
    name = known_name(base) or base.image_id
    return [{"created_by": f"imgslim: a layer of {name}"} for _ in base.layers]


def _history(title: str, created: str | None) -> dict[str, Any]:
    row = {"created_by": f"imgslim: {title}", "comment": f"imgslim {__version__}"}
    return row if created is None else {"created": created, **row}
