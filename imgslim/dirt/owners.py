"""Who brought a file: what a package, a runtime or a cache holds is none of the user's secrets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from imgslim.dirt.rules import shared_units
from imgslim.model import Layer, Origin, OriginKind
from imgslim.packages import load_packages
from imgslim.provenance import classify
from imgslim.rootfs import merge_layers
from imgslim.runtimes.registry import start_runtimes
from imgslim.world import World

_OTHERS = frozenset(
    (
        OriginKind.PACKAGE,
        OriginKind.DISTRIBUTION,
        OriginKind.RUNTIME,
        OriginKind.GENERATED,
        OriginKind.CACHE,
    )
)

OriginOf = Callable[[str], Origin]


def origins_of(world: World, judged: OriginOf | None = None) -> OriginOf:
    """Where each path of the merged tree comes from, as plans have it (``judged``; None: found out
    here); but a Python distribution that was installed from a directory or a file of the build is
    the user's own (PEP 610)."""
    origin_of = judged or _judge(world)
    own = {
        distribution.key
        for distribution in world.packages.distributions
        if '"file:' in world.rootfs.read_text(f"{distribution.metadata_path}/direct_url.json")
    }

    def origin(path: str) -> Origin:
        found = origin_of(path)
        is_own = found.kind is OriginKind.DISTRIBUTION and found.unit in own
        return Origin(OriginKind.USER) if is_own else found

    return origin


def _judge(world: World) -> OriginOf:
    runtimes = start_runtimes(world)
    return classify(world, [claim for runtime in runtimes for claim in runtime.claims()])


def origins_after(layers: Sequence[Layer], index: int, world: World) -> OriginOf:
    """The same for the tree that layer ``index`` left, in which a file still was."""
    rootfs = world.rootfs.with_entries(merge_layers(layers[: index + 1]))
    return origins_of(replace(world, rootfs=rootfs, packages=load_packages(rootfs)))


def is_others(origin: Origin) -> bool:
    """Whether a key in a file of this origin is none of the user's: a test's, an example's, a
    certificate's that comes with a package, what its scripts made; but the keys of an ssh server,
    which all containers of the image share, are told."""
    return origin.kind in _OTHERS and origin.unit not in shared_units()
