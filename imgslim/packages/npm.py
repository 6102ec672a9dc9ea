"""npm packages: which directory below ``node_modules`` is which package's.

Sources: npm's documentation, "folders" (``node_modules/NAME``, ``node_modules/@SCOPE/NAME``, nested
ones) and "package.json" (name and version are what makes a package); pnpm's, "Symlinked
node_modules structure" (files lie in ``.pnpm/NAME@VERSION/node_modules/NAME``, links elsewhere).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from imgslim.model import Entry, Package
from imgslim.rootfs import Rootfs

_MANIFEST = re.compile(r"/node_modules/(?:@[^/]+/)?[^/@.][^/]*/package\.json$")


def read_npm(rootfs: Rootfs) -> tuple[Package, ...]:
    """Every installed package, sorted by its directory. ``key`` is ``npm:NAME@VERSION``: an image
    may hold one name in several versions, and one version in several places. ``database`` is its
    ``package.json``. Damaged ones are passed over."""
    found = [entry for path, entry in rootfs.entries.items() if _MANIFEST.search(path)]
    manifests = {entry.path.rpartition("/")[0]: entry for entry in found if entry.is_file}
    files: dict[str, list[str]] = defaultdict(list)
    for path, top in _owned(rootfs, manifests):
        files[top].append(path)
    packages = (_package(rootfs, manifests[top], files[top]) for top in sorted(manifests))
    return tuple(package for package in packages if package is not None)


def _owned(rootfs: Rootfs, manifests: dict[str, Entry]) -> Iterator[tuple[str, str]]:
    """Each file or link below a package, with the innermost package's directory."""
    tops: dict[str, str] = {"": ""}
    if not manifests:
        return
    for path, entry in sorted(rootfs.entries.items()):
        if entry.is_directory:
            continue
        directory = path.rpartition("/")[0]
        if directory not in tops:
            tops[directory] = _top(directory, manifests)
        if tops[directory]:
            yield path, tops[directory]


def _top(directory: str, manifests: dict[str, Entry]) -> str:
    while directory and directory not in manifests:
        directory = directory.rpartition("/")[0]
    return directory


def _package(rootfs: Rootfs, manifest: Entry, files: list[str]) -> Package | None:
    fields = rootfs.read_json(manifest)
    if not isinstance(fields, dict):
        return None
    name, version = fields.get("name"), fields.get("version")
    if not isinstance(name, str) or not isinstance(version, str):
        return None
    return Package(f"npm:{name}@{version}", name, version, "", tuple(files), database=manifest.path)
