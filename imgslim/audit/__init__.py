"""What inflates an image: where its bytes are, which are in vain, whether the rest is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imgslim.audit.accounting import MAX_FILES as MAX_FILES
from imgslim.audit.accounting import Bookkeeper
from imgslim.audit.duplicates import find_duplicates
from imgslim.audit.efficiency import measure_efficiency
from imgslim.audit.instructions import instruction as instruction
from imgslim.audit.kinds import Kinds
from imgslim.audit.kinds import kind_titles as kind_titles
from imgslim.audit.model import Audit as Audit
from imgslim.audit.model import BaseImage, WastedFile, weigh
from imgslim.audit.needed import Explain, Fate, explain_nothing
from imgslim.audit.ownership import Ownership
from imgslim.audit.rows import directory_rows, kind_rows, layer_rows, package_rows
from imgslim.audit.stored import find_names, stored_files
from imgslim.audit.waste import Hidden, find_waste, sum_up
from imgslim.layers import OnProgress
from imgslim.model import Layer, Origin, Plan
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
    explain: Explain = explain_nothing,
    with_duplicates: bool = False,
    on_progress: OnProgress | None = None,
) -> Audit:
    """Weigh an image: ``layers`` are its indexed layers, ``world`` what they merge to.

    ``origin_of`` says who put a path there, ``plan`` what the slim image keeps (None: ``no_plan``
    says why there is none), ``explain`` in one line what needs a kept path. Only what is below the
    canonical directory ``under`` is weighed. Contents are read of files that a later layer stores
    again at the same size, and ``with_duplicates`` of all others that may be the same.
    """
    rootfs = world.rootfs
    names = find_names(layers, rootfs)
    ownership, kinds = Ownership(world), Kinds(world.packages.packages.get)
    book = Bookkeeper(ownership, kinds, origin_of, Fate(plan), names, under)
    book.enter(stored_files(layers))
    hidden = [row for row in find_waste(book.hidden, layers, rootfs) if is_below(row.path, under)]
    told = [(row, *kinds.of_hidden(row.path, row.path.rpartition("/")[0])) for row in hidden]
    book.enter_hidden((row.entry, row.path, (kind, unit)) for row, kind, unit in told)
    account = book.close(explain)
    cells = account.cells
    wasted = sorted((_wasted(*row) for row in told), key=lambda file: (-file.size_bytes, file.path))
    base = base or BaseImage()
    duplicates = None
    if with_duplicates:
        found = find_duplicates(stored_files(layers), names, rootfs, on_progress)
        duplicates = tuple(
            row for row in found if any(is_below(copy.path, under) for copy in row.copies)
        )
    return Audit(
        under=under,
        weight=weigh(cells),
        base=base,
        layers=layer_rows(layers, cells, base.layer_count or 0, explain),
        kinds=kind_rows(cells, explain),
        packages=package_rows(cells, ownership.versions, ownership.modules, explain),
        directories=directory_rows(cells, explain),
        files=account.largest,
        wasted=tuple(wasted),
        undone=sum_up(wasted),
        efficiency=measure_efficiency(layers, names),
        duplicates=duplicates,
        cells=cells,
        no_plan="" if plan is not None else no_plan,
    )


def is_below(path: str, directory: str) -> bool:
    """Whether a path is a directory, or lies in it."""
    return directory == "/" or path == directory or path.startswith(f"{directory}/")


def _wasted(row: Hidden, kind: str, unit: str) -> WastedFile:
    entry = row.entry
    return WastedFile(
        row.path, entry.size_bytes, entry.layer_index, row.by_layer, row.how, kind, unit
    )
