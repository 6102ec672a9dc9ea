"""The frozen types that every stage shares. Data flows one way; nothing here reads a file.

Paths are absolute, normalised POSIX paths inside the image (``/usr/bin/env``), as ``str`` with
undecodable bytes as surrogate escapes (PEP 383). Sizes are bytes, times seconds since the epoch.
"""

from imgslim.model.image import (
    Entry,
    Healthcheck,
    HistoryRow,
    Image,
    ImageConfig,
    Kind,
    Layer,
    LayerBlob,
    Platform,
    Traits,
)
from imgslim.model.plan import (
    Claim,
    Command,
    Distribution,
    Drop,
    EntryPoint,
    Finding,
    Group,
    Keep,
    Need,
    Origin,
    OriginKind,
    Package,
    Plan,
    Problem,
    Program,
    Scope,
    Severity,
    unique_size_bytes,
)

__all__ = [
    "Claim",
    "Command",
    "Distribution",
    "Drop",
    "Entry",
    "EntryPoint",
    "Finding",
    "Group",
    "Healthcheck",
    "HistoryRow",
    "Image",
    "ImageConfig",
    "Keep",
    "Kind",
    "Layer",
    "LayerBlob",
    "Need",
    "Origin",
    "OriginKind",
    "Package",
    "Plan",
    "Platform",
    "Problem",
    "Program",
    "Scope",
    "Severity",
    "Traits",
    "unique_size_bytes",
]
