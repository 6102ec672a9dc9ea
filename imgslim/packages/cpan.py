"""CPAN distributions: what cpanm, cpan and their kin record of what they install.

Sources: ExtUtils::Packlist (``auto/FOO/BAR/.packlist`` below the directory for this architecture:
an absolute path a line, then what kind it is of); App::cpanminus, ``save_meta``
(``.meta/DIST/install.json`` beside ``auto``: ``name`` of the main module, ``dist`` with its
version), which carton and local::lib have, too. The list of Perl itself lies in no ``auto``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from imgslim.model import Entry, Package
from imgslim.rootfs import Rootfs

_RECORD = re.compile(r"^(.*)/\.meta/([^/]+)/install\.json$")
_LIST = re.compile(r"^(.*)/auto/(.+)/\.packlist$")
_VERSIONED = re.compile(r"(.+?)-v?(\d[\w.]*)(?:-TRIAL)?")
"""CPAN::DistnameInfo, shortened: a distribution's name ends before ``-`` and a digit."""

_LARGEST_BYTES = 4 << 20


def read_cpan(rootfs: Rootfs) -> tuple[Package, ...]:
    """Every recorded distribution, sorted by its record. ``key`` is ``cpan:NAME@VERSION``, as CPAN
    names it (``libwww-perl``); without cpanm's record ``cpan:NAME``, after its module. ``files``
    are those that are there, records included. Damaged records are passed over."""
    lists = {path: match for path in rootfs.entries if (match := _LIST.match(path))}
    packages = [_recorded(rootfs, path, lists) for path in rootfs.entries if _RECORD.match(path)]
    found = [package for package in packages if package is not None]
    found += [_listed(rootfs, path, match[2]) for path, match in lists.items()]
    return tuple(sorted(found, key=lambda package: package.database))


def _recorded(rootfs: Rootfs, path: str, lists: dict[str, re.Match[str]]) -> Package | None:
    """A distribution with cpanm's record; its list is taken out of ``lists``."""
    match = _RECORD.match(path)
    entry = _readable(rootfs, path)
    fields = None if entry is None else rootfs.read_json(entry)
    if match is None or not isinstance(fields, dict):
        return None
    parts = _VERSIONED.fullmatch(match[2])
    name, version = (parts[1], parts[2]) if parts else (match[2], "")
    module = str(fields.get("name") or name.replace("-", "::"))
    packlist = f"{match[1]}/auto/{module.replace('::', '/')}/.packlist"
    files = [path, *_beside(rootfs, path)]
    if lists.pop(packlist, None) is not None:
        files += [packlist, *_files(rootfs, packlist)]
    key = f"cpan:{name}@{version}" if version else f"cpan:{name}"
    return Package(key, name, version, "", tuple(dict.fromkeys(files)), database=path)


def _listed(rootfs: Rootfs, path: str, module: str) -> Package:
    """A distribution of which only its list tells."""
    name = module.replace("/", "-")
    files = (path, *_files(rootfs, path))
    return Package(f"cpan:{name}", name, "", "", files, database=path)


def _beside(rootfs: Rootfs, path: str) -> Iterator[str]:
    folder = posixpath.dirname(path)
    yield from (f"{folder}/{name}" for name in rootfs.children(folder))


def _files(rootfs: Rootfs, packlist: str) -> Iterator[str]:
    """The files of a list that are there, at their canonical paths."""
    entry = _readable(rootfs, packlist)
    if entry is None:
        return
    for line in rootfs.read_text(entry.path).splitlines():
        path = line.partition(" ")[0]
        found = rootfs.lookup(path) if path.startswith("/") else None
        if found is not None and not found.is_directory:
            yield found.path


def _readable(rootfs: Rootfs, path: str) -> Entry | None:
    entry = rootfs.lookup(path)
    if entry is None or not entry.is_file or entry.size_bytes > _LARGEST_BYTES:
        return None
    return entry
