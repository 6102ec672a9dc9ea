"""What inflates an image: where its bytes are, which are in vain, whether the rest is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imgslim.audit.accounting import MAX_FILES as MAX_FILES
from imgslim.audit.accounting import Account, Bookkeeper
from imgslim.audit.advice import find_advice
from imgslim.audit.advice.installed import brings_recommended, packages_by_layer, read_automatic
from imgslim.audit.advice.model import Facts
from imgslim.audit.advice.steps import read_steps
from imgslim.audit.duplicates import find_duplicates
from imgslim.audit.efficiency import measure_efficiency
from imgslim.audit.instructions import instruction as instruction
from imgslim.audit.kinds import Kinds
from imgslim.audit.kinds import kind_titles as kind_titles
from imgslim.audit.model import Audit as Audit
from imgslim.audit.model import BaseImage, Duplicate, WastedFile, weigh
from imgslim.audit.needed import Explain, Fate, explain_nothing
from imgslim.audit.ownership import Ownership
from imgslim.audit.rows import directory_rows, kind_rows, layer_rows, package_rows
from imgslim.audit.stored import Names, find_names, stored_files
from imgslim.audit.waste import Hidden, find_waste, sum_up
from imgslim.layers import OnProgress
from imgslim.model import Layer, Origin, Plan
from imgslim.rootfs import Rootfs
from imgslim.world import World


def audit_image(
    world: World,
    layers: Sequence[Layer],
    origin_of: Callable[[str], Origin],
    plan: Plan | None = None,
    *,
    no_plan: str = "nothing was derived",
    base: BaseImage | None = None,
    under: str = "/",
    max_files: int = MAX_FILES,
    explain: Explain = explain_nothing,
    with_duplicates: bool = False,
    on_progress: OnProgress | None = None,
) -> Audit:
    """Weigh an image: ``layers`` are its indexed layers, ``world`` what they merge to.

    ``origin_of`` says who put a path there, ``plan`` what the slim image keeps (None: ``no_plan``
    says why there is none), ``explain`` in one line what needs a kept path. Only what is below the
    canonical directory ``under`` is weighed, and the ``max_files`` largest listed. Contents
    are read of files that a later layer stores again at the same size, and ``with_duplicates`` of
    all others that may be the same.
    """
    names = find_names(layers, world.rootfs)
    ownership = Ownership(world)
    kinds = Kinds(world.packages.packages.get)
    base = base or BaseImage()
    book = Bookkeeper(
        ownership,
        kinds,
        origin_of,
        Fate(plan),
        names,
        under,
        base_count=base.layer_count or 0,
        max_files=max_files,
    )
    book.enter(stored_files(layers))
    wasted = _enter_waste(book, kinds, layers, world.rootfs, under)
    account = book.close(explain)
    cells = account.cells
    facts = _facts(world, layers, account, wasted, base, kinds, origin_of, plan is not None)
    return Audit(
        under=under,
        weight=weigh(cells),
        base=base,
        layers=layer_rows(layers, cells, base.layer_count or 0, explain),
        kinds=kind_rows(cells, explain),
        packages=package_rows(cells, ownership.versions, ownership.modules, explain),
        directories=directory_rows(cells, explain),
        files=account.largest,
        wasted=wasted,
        undone=sum_up(wasted),
        efficiency=measure_efficiency(layers, names),
        duplicates=_duplicates(layers, names, world.rootfs, under, on_progress)
        if with_duplicates
        else None,
        cells=cells,
        no_plan="" if plan is not None else no_plan,
        advice=find_advice(facts),
    )


def _facts(
    world: World,
    layers: Sequence[Layer],
    account: Account,
    wasted: Sequence[WastedFile],
    base: BaseImage,
    kinds: Kinds,
    origin_of: Callable[[str], Origin],
    has_plan: bool,
) -> Facts:
    packages = world.packages.packages
    return Facts(
        layers=layers,
        steps=read_steps(layers, world.history, base.layer_count),
        files=account.own,
        wasted=wasted,
        cells=account.cells,
        base=base,
        has_plan=has_plan,
        packages=packages,
        automatic=read_automatic(world.rootfs, packages),
        recommends=brings_recommended(world.rootfs),
        installed_in=packages_by_layer(packages, account.own),
        origin_of=origin_of,
        is_tool=kinds.is_tool,
    )


def _enter_waste(
    book: Bookkeeper, kinds: Kinds, layers: Sequence[Layer], rootfs: Rootfs, under: str
) -> tuple[WastedFile, ...]:
    """Enter the hidden files that ``book`` has met; those below ``under``, largest first."""
    hidden = [row for row in find_waste(book.hidden, layers, rootfs) if is_below(row.path, under)]
    told = [(row, kinds.of_hidden(row.path, row.path.rpartition("/")[0])) for row in hidden]
    book.enter_hidden((row.entry, row.path, kind) for row, kind in told)
    wasted = (_wasted(row, *kind) for row, kind in told)
    return tuple(sorted(wasted, key=lambda file: (-file.size_bytes, file.path)))


def _duplicates(
    layers: Sequence[Layer],
    names: Names,
    rootfs: Rootfs,
    under: str,
    on_progress: OnProgress | None,
) -> tuple[Duplicate, ...]:
    """Those of which a copy is below ``under``."""
    found = find_duplicates(stored_files(layers), names, rootfs, on_progress)
    return tuple(row for row in found if any(is_below(copy.path, under) for copy in row.copies))


def is_below(path: str, directory: str) -> bool:
    """Whether a path is a directory, or lies in it."""
    return directory == "/" or path == directory or path.startswith(f"{directory}/")


def _wasted(row: Hidden, kind: str, unit: str) -> WastedFile:
    entry = row.entry
    return WastedFile(
        row.path, entry.size_bytes, entry.layer_index, row.by_layer, row.how, kind, unit
    )
