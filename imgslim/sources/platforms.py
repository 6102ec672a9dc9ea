"""Platforms, written, normalised and matched as containerd's platforms package does."""

from __future__ import annotations

import platform as host
from collections.abc import Sequence

from imgslim.errors import UsageError
from imgslim.model import Platform

_ARCHITECTURES = {
    # containerd platforms/database.go, normalizeArch; the uname(2) machines beside Go's names.
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "loongarch64": ("loong64", ""),
}

_GO_ARCHITECTURES = frozenset(
    ("386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x")
)

_VARIANTS = {
    # What the last column means when the variant is left out, and what it is left out for.
    ("arm", ""): "v7",
    ("arm64", "v8"): "",
    ("amd64", "v1"): "",
}

_OLDER_VARIANTS = {
    # An image for an older variant runs on a newer one (containerd platforms/compare.go).
    "arm": ("v8", "v7", "v6", "v5"),
    "amd64": ("v4", "v3", "v2", ""),
}


def normalise_platform(platform: Platform) -> Platform:
    """One spelling for each platform; an empty os is Linux."""
    os = platform.os.lower() or "linux"
    architecture, implied = _ARCHITECTURES.get(
        platform.architecture.lower(), (platform.architecture.lower(), "")
    )
    variant = platform.variant.lower() or implied
    if variant.isdigit():
        variant = f"v{variant}"
    return Platform(os, architecture, _VARIANTS.get((architecture, variant), variant))


def parse_platform(text: str) -> Platform:
    """Read ``os/architecture[/variant]`` or an architecture alone. Raises UsageError."""
    parts = text.strip().split("/")
    if len(parts) == 1:
        parts = ["linux", *parts]
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise _wrong_platform(text)
    platform = normalise_platform(Platform(*parts))
    if "/" not in text and platform.architecture not in _GO_ARCHITECTURES:
        raise _wrong_platform(text)
    return platform


def _wrong_platform(text: str) -> UsageError:
    return UsageError(
        f"{text!r} is no platform", hint="write os/architecture[/variant], such as linux/arm64"
    )


def host_platform() -> Platform:
    """This machine's; containers are Linux even where the machine is not."""
    return normalise_platform(Platform("linux", host.machine()))


def best_match(wanted: Platform, offered: Sequence[Platform]) -> int | None:
    """The index of the offered platform that suits ``wanted`` best, None if none does.

    The same variant first, then the nearest older one that ``wanted`` can run.
    """
    for candidate in _acceptable(wanted):
        if candidate in offered:
            return offered.index(candidate)
    return None


def _acceptable(wanted: Platform) -> list[Platform]:
    variants = _OLDER_VARIANTS.get(wanted.architecture, ())
    if wanted.variant not in variants:
        return [wanted]
    rest = variants[variants.index(wanted.variant) :]
    return [Platform(wanted.os, wanted.architecture, variant) for variant in rest]
