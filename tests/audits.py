"""Audits of small images: trees in, an Audit out, through the real reader, merge and provenance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imgslim.audit import Audit, audit_image
from imgslim.audit.model import BaseImage
from imgslim.layers import load_layers
from imgslim.model import Group, ImageConfig, Keep, Layer, Package, Plan, Problem
from imgslim.packages import load_packages
from imgslim.pipeline import judge
from imgslim.rootfs import Rootfs
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
) -> Audit:
    """The audit of an image of ``trees`` under a plan that keeps the paths ``keep`` (None: there
    is no plan). ``packages`` stand in for what the image's databases say."""
    image = make_image(tmp_path, trees, config)
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
