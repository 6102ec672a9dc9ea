"""What differs between two images: sizes, layers, directories, packages, paths, config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from imgslim.comparison.changes import (
    Comparison,
    ConfigChange,
    LayerSide,
    Sizes,
)
from imgslim.comparison.contents import compare_contents, repeated_bytes
from imgslim.comparison.directories import gather_growth
from imgslim.comparison.layers import compare_layers, known_bytes, layer_sides
from imgslim.comparison.packages import Inventory, compare_packages, take_inventory
from imgslim.comparison.paths import compare_paths
from imgslim.comparison.sides import Scope, Side, scope_under
from imgslim.dirt.covers import cover_image
from imgslim.dirt.texts import COVER
from imgslim.layers import OnProgress
from imgslim.model import Entry, Image, unique_size_bytes
from imgslim.verify.config import compare_configs, compare_platforms

__all__ = ["Comparison", "Side", "compare_images"]


def compare_images(
    before: Side, after: Side, *, under: str = "/", on_progress: OnProgress | None = None
) -> Comparison:
    """Everything that differs from ``before`` to ``after``, or what of it lies ``under`` a path;
    then without the config, which lies nowhere.

    Raises UsageError for a relative path, PathNotFoundError for one that neither image has.
    """
    scope = scope_under(under, (before, after))
    trees = scope.of(before.rootfs), scope.of(after.rootfs)
    contents = compare_contents(before, after, trees, on_progress)
    stock = take_inventory(before.world), take_inventory(after.world)
    paths = tuple(compare_paths(*trees, contents.same, _owner_in(*stock)))
    layers = layer_sides(before, scope), layer_sides(after, scope)
    known = known_bytes(after, trees[1].values(), contents.same)
    shared = {layer.diff_id for layer in layers[0] if layer.diff_id}
    repeated = repeated_bytes(after, scope, shared)
    return Comparison(
        under=under,
        before=_sizes(trees[0], layers[0]),
        after=_sizes(trees[1], layers[1]),
        layers=compare_layers(*layers, known, repeated),
        directories=gather_growth(paths),
        packages=tuple(compare_packages(*stock, trees)),
        paths=paths,
        config=_config(before.image, after.image, scope),
        read_files=contents.read_files,
        read_bytes=contents.read_bytes,
    )


def _sizes(entries: Mapping[str, Entry], layers: Sequence[LayerSide]) -> Sizes:
    return Sizes(
        unique_size_bytes(entries.values()),
        sum(layer.size_bytes for layer in layers),
        sum(layer.hidden_bytes for layer in layers),
        len(entries),
    )


def _owner_in(before: Inventory, after: Inventory) -> Callable[[str], str]:
    return lambda path: after.owners.get(path) or before.owners.get(path, "")


def _config(before: Image, after: Image, scope: Scope) -> tuple[ConfigChange, ...]:
    if not scope.is_everything:
        return ()
    covered = (cover_image(image, ())[0].config for image in (before, after))
    shown = {row.field: row for row in compare_configs(*covered)}
    platforms = compare_platforms(before.platform, after.platform)
    changes = [ConfigChange(row.field, row.expected, row.found) for row in platforms]
    for row in compare_configs(before.config, after.config):
        # Two values that differ look alike where each is a secret.
        clean = shown.get(row.field)
        old, new = (clean.expected, clean.found) if clean else (COVER, COVER)
        changes.append(ConfigChange(row.field, old, new))
    return tuple(changes)
