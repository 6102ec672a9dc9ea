"""What ``imgslim audit`` does about dirt: its option, and the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imgslim.dirt import Dirt
    from imgslim.layers import OnProgress
    from imgslim.model import Image, Layer, Plan
    from imgslim.pipeline import Judged, OpenedImage

secrets_option = click.option(
    "--secrets",
    is_flag=True,
    help="Also read every byte of the files that no package brought, in all layers, and look for "
    "secrets. Needs imgslim[secrets].",
)


def look_for_dirt(
    opened: OpenedImage,
    judged: Judged,
    plan: Plan | None,
    on_progress: OnProgress | None,
    *,
    secrets: bool,
) -> tuple[Dirt, Image, tuple[Layer, ...]]:
    """What should not be in the image, with what becomes of it under ``plan``; and the image
    and its layers as reports may quote them.
    Raises UsageError when ``secrets`` are asked for and the scanner is not installed."""
    from imgslim.dirt import SecretScanner, cover_image, find_dirt, nothing_more, with_verdicts

    scanner = SecretScanner() if secrets else None
    dirt = find_dirt(
        opened.image,
        opened.layers,
        opened.world,
        scanner,
        origin_of=judged.origin_of,
        on_progress=on_progress,
    )
    find_more = scanner.in_text if scanner else nothing_more
    dirt = with_verdicts(dirt, opened.world.rootfs, plan)
    return dirt, *cover_image(opened.image, opened.layers, find_more)
