"""Alpine's database (also Wolfi's): one file of packages with the files that each owns.

Scanners read no other file of apk's (syft's apk-db-cataloger; Trivy's fanal/analyzer/pkg/apk).
"""

from __future__ import annotations

from functools import partial

from imgslim.databases.dpkg import raw
from imgslim.databases.kept import SCANNERS, Kept, owning
from imgslim.databases.lines import apk_paragraphs, cut_apk
from imgslim.databases.patterns import Patterns, sayable
from imgslim.packages.apk import DATABASES
from imgslim.packages.paths import PathMap


def add_apk(kept: Kept) -> None:
    """Add apk's database, cut to the packages that own a kept file or link and to those files."""
    packages = kept.packages_of("apk")
    keys = owning(kept, {key: package.files for key, package in packages.items()})
    names = {raw(packages[key].name) for key in keys}
    rootfs = kept.world.rootfs
    databases = {packages[key].database: None for key in sorted(keys)}
    for path in (place for place in DATABASES if rootfs.canonical(place) in databases):
        is_kept = _patterns(kept, raw(rootfs.read_text(path)), names)
        kept.add_cut(path, SCANNERS, partial(cut_apk, names=names, is_kept=is_kept))


def _patterns(kept: Kept, text: bytes, names: set[bytes]) -> Patterns:
    """Which rows of the listed packages name a kept file."""
    paths = PathMap(kept.world.rootfs)
    verdicts: dict[bytes, bool] = {}
    for paragraph in apk_paragraphs(text, lambda _: True):
        for written in paragraph.files if paragraph.name in names else ():
            path = "/" + written.decode("utf-8", "surrogateescape").lstrip("/")
            found = paths.find(path)
            verdicts[written] = found is not None and kept.has_file(found)
    return sayable(verdicts)
