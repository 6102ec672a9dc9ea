"""Whether an image is what a plan means: every path, and every field of its config."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from imgslim.layers import OnProgress
from imgslim.model import Image
from imgslim.rootfs import Rootfs
from imgslim.verify.allowed import Context, allowance_of
from imgslim.verify.compare import OnPath, compare_trees
from imgslim.verify.config import compare_configs, compare_platforms
from imgslim.verify.covered import in_words, shown_texts, without_covered
from imgslim.verify.differences import Allowance, Difference, Mismatch, Verification
from imgslim.verify.expected import Expected
from imgslim.verify.traps import trap_of

__all__ = ["Allowance", "Difference", "Expected", "Verification", "verify_image"]


def verify_image(
    expected: Expected, image: Image, rootfs: Rootfs, on_progress: OnProgress | None = None
) -> Verification:
    """Compare ``image`` and its merged tree with what a plan expects of them.

    What the closed list (``allowed``) has is an allowance, anything else a difference; paths come
    first, sorted. Progress counts bytes of files.
    """
    context = Context.of(expected, image)
    on_path = None if on_progress is None else _counter(on_progress, rootfs)
    trees = compare_trees(expected.paths, rootfs, on_path)
    shown = shown_texts(expected.config, image)
    differences: list[Difference] = []
    allowances: list[Allowance] = []
    for one in chain(trees, _config_mismatches(expected, image)):
        allowance = allowance_of(one, context)
        if allowance is not None:
            allowances.append(allowance)
        else:
            why = trap_of(one, expected.config.volumes)
            texts = (one.expected, one.found)
            if not one.path:
                texts = shown.get(one.aspect, texts)
            differences.append(Difference(one.path, one.aspect, *texts, why))
    stripped = sum(path.stripped for path in expected.paths.values())
    return Verification(len(expected.paths), stripped, tuple(differences), tuple(allowances))


def _config_mismatches(expected: Expected, image: Image) -> Iterator[Mismatch]:
    fields = chain(
        compare_platforms(expected.platform, image.platform),
        compare_configs(expected.config, image.config),
    )
    for row in without_covered(fields):
        yield Mismatch("", row.field, *in_words(row))


def _counter(on_progress: OnProgress, rootfs: Rootfs) -> OnPath:
    total = sum(entry.size_bytes for entry in rootfs.entries.values())
    done = 0

    def count(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        on_progress("comparing with the plan", done, total)

    return count
