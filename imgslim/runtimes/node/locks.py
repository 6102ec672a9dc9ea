"""What npm's lock files call a development dependency.

docs.npmjs.com, package-lock.json: ``packages``, by their place beside the file, each with ``dev``
where only development needs it; npm leaves the same as ``node_modules/.package-lock.json``. The
lock files of yarn, and of pnpm since 9.0, have no such mark.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from imgslim.commands import join
from imgslim.rootfs import Rootfs
from imgslim.runtimes.node.packages import FOLDER, is_third_party

_NAMES = ("npm-shrinkwrap.json", "package-lock.json")
_HIDDEN = f"/{FOLDER}/.package-lock.json"


def development_packages(rootfs: Rootfs) -> dict[str, str]:
    """The directories of packages that are for development only, with the name of the lock file
    that says so: a project's own before what npm left in ``node_modules``."""
    own = [p for p in rootfs.entries if p.endswith(_NAMES) and not is_third_party(p)]
    left = [p for p in rootfs.entries if p.endswith(_HIDDEN)]
    found: dict[str, str] = {}
    for path in (*own, *left):
        name = posixpath.basename(path)
        if name not in (*_NAMES, posixpath.basename(_HIDDEN)):
            continue
        beside = path.removesuffix(_HIDDEN) if path in left else posixpath.dirname(path)
        for place in _marked(rootfs, path):
            found.setdefault(join(beside or "/", place), name)
    return found


def _marked(rootfs: Rootfs, path: str) -> Iterator[str]:
    entry = rootfs.lookup(path)
    fields = rootfs.read_json(entry) if entry is not None and entry.is_file else None
    packages = fields.get("packages") if isinstance(fields, dict) else None
    for place, row in packages.items() if isinstance(packages, dict) else ():
        if isinstance(row, dict) and row.get("dev") is True:
            yield place
