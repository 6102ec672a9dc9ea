"""Audits of small images: trees in, an Audit out, through the real reader, merge and provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imgslim.audit import Audit, audit_image
from imgslim.audit.model import BaseImage
from imgslim.layers import load_layers
from imgslim.model import (
    Group,
    HistoryRow,
    Image,
    ImageConfig,
    Keep,
    Layer,
    Package,
    Plan,
    Problem,
)
from imgslim.packages import load_packages
from imgslim.pipeline import judge
from imgslim.rootfs import Rootfs
from imgslim.sources.config import pair_history
from imgslim.world import PackageIndex, World
from tests.worlds import Tree, make_image


def read_layers(tmp_path: Path, *trees: Tree) -> tuple[Layer, ...]:
    """The indexed layers of an image of ``trees``."""
    return load_layers(make_image(tmp_path, trees))


def audit_of(
    tmp_path: Path,
    *trees: Tree,
    keep: Sequence[str] | None = None,
    problems: Sequence[Problem] = (),
    packages: Sequence[Package] | None = None,
    config: ImageConfig | None = None,
    under: str = "/",
    base: BaseImage | None = None,
    with_duplicates: bool = False,
    history: Sequence[str | HistoryRow] = (),
) -> Audit:
    """The audit of an image of ``trees`` under a plan that keeps the paths ``keep`` (None: there
    is no plan). ``packages`` stand in for what the image's databases say, ``history`` are the rows
    of its history: a text where they made a layer."""
    image = _with_history(make_image(tmp_path, trees, config), history)
    layers = load_layers(image)
    with Rootfs.of_layers(layers) as rootfs:
        index = load_packages(rootfs) if packages is None else PackageIndex.build(packages, ())
        world = World(rootfs, image.config, image.platform, index, image.history)
        plan = None
        if keep is not None:
            keeps = [Keep(rootfs.entries[path], Group.APP, "app", "<user>") for path in keep]
            plan = Plan((), tuple(keeps), (), tuple(problems))
        return audit_image(
            world,
            layers,
            judge(world).origin_of,
            plan,
            under=under,
            base=base,
            explain=lambda path: f"needed: {path}",
            with_duplicates=with_duplicates,
        )


def _with_history(image: Image, history: Sequence[str | HistoryRow]) -> Image:
    if not history:
        return image
    rows = tuple(row if isinstance(row, HistoryRow) else HistoryRow(row, False) for row in history)
    names = pair_history(rows, len(image.layers))
    layers = [replace(b, created_by=name) for b, name in zip(image.layers, names, strict=True)]
    return replace(image, layers=tuple(layers), history=rows)
