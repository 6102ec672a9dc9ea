"""dpkg's database: ``status`` or ``status.d``, and beside them the packages' checksums.

Scanners read the packages from ``status`` and ``status.d/*``, and from ``*.md5sums`` (in ``info``,
or beside the files of ``status.d``) which files they own: what no package owns they look at by
itself, and an interpreter would be found a second time (syft's dpkg-db-cataloger and
``ExcludeBinariesByFileOwnershipOverlap``, syft#931, #1900, #3912; Trivy's fanal/analyzer/pkg/dpkg,
``isMd5SumsFile``). ``*.list`` and the packages' scripts serve dpkg alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import partial

from imgslim.databases.kept import SCANNERS, Kept, owning
from imgslim.databases.lines import cut_control, cut_sums, lines_of, summed_path
from imgslim.databases.patterns import Patterns, sayable
from imgslim.model import Package
from imgslim.packages.dpkg import DATABASE, diverted, parse_diversions
from imgslim.packages.paths import PathMap

STATUS = f"{DATABASE}/status"


def add_dpkg(kept: Kept) -> None:
    """Add dpkg's database, cut to the packages that own a kept file or link."""
    packages = kept.packages_of("deb")
    keys = owning(kept, {key: package.files for key, package in packages.items()})
    owners = [packages[key] for key in sorted(keys)]
    names: dict[str, set[bytes]] = defaultdict(set)
    for package in owners:
        names[_record(package)] |= _names(package)
    for path, wanted in sorted(names.items()):
        kept.add_cut(path, SCANNERS, partial(cut_control, names=wanted))
    sums = {sums_path(package): package for package in owners}
    is_kept = _patterns(kept, sums)
    for path, package in sums.items():
        kept.add_cut(path, _record(package), partial(cut_sums, is_kept=is_kept))


def sums_path(package: Package) -> str:
    """Where the checksums of a package's files are."""
    return f"{package.database.removesuffix('.list')}.md5sums"


def _record(package: Package) -> str:
    """The file that has the package's paragraph."""
    is_separate = package.database.startswith(f"{DATABASE}/status.d/")
    return package.database if is_separate else STATUS


def _names(package: Package) -> set[bytes]:
    name = raw(package.name)
    unsaid = {name + b":"} if package.architecture == "all" else set()
    return {name + b":" + raw(package.architecture), *unsaid}


def raw(text: str) -> bytes:
    """The bytes that ``Rootfs.read_text`` made ``text`` of."""
    return text.encode("utf-8", "surrogateescape")


def _patterns(kept: Kept, sums: Mapping[str, Package]) -> Patterns:
    """Which lines of the md5sums files name a kept file."""
    rootfs = kept.world.rootfs
    diversions = parse_diversions(rootfs.read_text(f"{DATABASE}/diversions"))
    paths = PathMap(rootfs)
    verdicts: dict[bytes, bool] = {}
    for path, package in sums.items():
        for line in lines_of(raw(rootfs.read_text(path))):
            written = summed_path(line)
            listed = "/" + written.decode("utf-8", "surrogateescape").removeprefix("./").lstrip("/")
            found = paths.find(diverted(diversions, package.name, listed))
            is_kept = found is not None and kept.has_file(found)
            verdicts[written] = verdicts.get(written, False) or is_kept
    return sayable(verdicts)
