"""What inflates an image: where its bytes are, which are in vain, whether the rest is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from imgslim.audit.accounting import MAX_FILES as MAX_FILES
from imgslim.audit.accounting import Account, Bookkeeper
from imgslim.audit.advice import find_advice
from imgslim.audit.advice.installed import brings_recommended, packages_by_layer
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
from imgslim.packages.asked import asked_packages
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
    base = base or BaseImage()
    names = find_names(layers, world.rootfs)
    books = _Books(Ownership(world), Kinds(world.packages.packages.get), Fate(plan), names, base)
    account, wasted = _enter_all(books, world.rootfs, layers, origin_of, under, max_files, explain)
    audit = _tables(books, layers, account, wasted, explain)
    if with_duplicates:
        copies = _duplicates(layers, names, world.rootfs, under, on_progress)
        audit = replace(audit, duplicates=copies)
    facts = _facts(books, world, layers, account, audit, origin_of, plan is not None)
    return replace(
        audit,
        under=under,
        no_plan="" if plan is not None else no_plan,
        advice=find_advice(facts),
    )


@dataclass(frozen=True, slots=True)
class _Books:
    """What is known of all stored files of one image."""

    ownership: Ownership
    kinds: Kinds
    fate: Fate
    names: Names
    base: BaseImage

    @property
    def base_count(self) -> int:
        return self.base.layer_count or 0


def _enter_all(
    books: _Books,
    rootfs: Rootfs,
    layers: Sequence[Layer],
    origin_of: Callable[[str], Origin],
    under: str,
    max_files: int,
    explain: Explain,
) -> tuple[Account, tuple[WastedFile, ...]]:
    """Every stored byte once; and the hidden files."""
    book = Bookkeeper(
        books.ownership,
        books.kinds,
        origin_of,
        books.fate,
        books.names,
        under,
        base_count=books.base_count,
        max_files=max_files,
    )
    book.enter(stored_files(layers))
    wasted = _enter_waste(book, books.kinds, layers, rootfs, under)
    return book.close(explain), wasted


def _tables(
    books: _Books,
    layers: Sequence[Layer],
    account: Account,
    wasted: tuple[WastedFile, ...],
    explain: Explain,
) -> Audit:
    """The account in rows, as that of a whole image without advice."""
    cells, ownership = account.cells, books.ownership
    return Audit(
        under="/",
        weight=weigh(cells),
        base=books.base,
        layers=layer_rows(layers, cells, books.base_count, explain),
        kinds=kind_rows(cells, explain),
        packages=package_rows(cells, ownership.versions, ownership.modules, explain),
        directories=directory_rows(cells, explain),
        files=account.largest,
        wasted=wasted,
        undone=sum_up(wasted),
        efficiency=measure_efficiency(layers, books.names),
        duplicates=None,
        cells=cells,
    )


def _facts(
    books: _Books,
    world: World,
    layers: Sequence[Layer],
    account: Account,
    audit: Audit,
    origin_of: Callable[[str], Origin],
    has_plan: bool,
) -> Facts:
    packages = world.packages.packages
    return Facts(
        layers=layers,
        steps=read_steps(layers, world.history, books.base.layer_count),
        files=account.own,
        wasted=audit.wasted,
        cells=account.cells,
        base=books.base,
        has_plan=has_plan,
        packages=packages,
        asked=asked_packages(world.rootfs, packages),
        recommends=brings_recommended(world.rootfs),
        installed_in=packages_by_layer(packages, account.own),
        origin_of=origin_of,
        is_tool=books.kinds.is_tool,
        duplicates=audit.duplicates or (),
        user=world.config.user,
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
