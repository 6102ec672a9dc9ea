"""Debian's package database, also in the form that distroless images keep.

Sources: dpkg(1), deb-control(5), dpkg-query(1), dpkg-divert(1); Debian policy 5.3 (control data),
7 (relations), 3.8 (Essential); distroless' ``status.d`` (one control file and one md5sums file a
package, no lists).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from imgslim.model import Kind, Package
from imgslim.packages.checksums import Checksum, LazyChecksums
from imgslim.packages.paths import PathMap
from imgslim.packages.relations import Candidate, Installed
from imgslim.rootfs import Rootfs

DATABASE = "/var/lib/dpkg"

_FIELDS = frozenset(
    (
        "Package",
        "Status",
        "Architecture",
        "Version",
        "Source",
        "Provides",
        "Depends",
        "Pre-Depends",
        "Recommends",
        "Essential",
        "Section",
        "Protected",
        "Multi-Arch",
        "Conffiles",
    )
)
_RELATION_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+.-]*")

Stanza = Mapping[str, str]


@dataclass(slots=True)
class _Database:
    """What all packages of one database share while it is read."""

    rootfs: Rootfs
    paths: PathMap
    native: str
    diversions: Mapping[str, tuple[str, str]]
    installed: Installed = field(default_factory=Installed)


def read_dpkg(rootfs: Rootfs) -> tuple[Package, ...]:
    """Every package in state "installed", sorted by key; empty without a database.

    A damaged stanza yields what is left of it; the files of a package without its list are those
    that have checksums, as in a slim image.
    """
    rows = [*_status_rows(rootfs), *_status_d_rows(rootfs)]
    if not rows:
        return ()
    native = _native_architecture(stanza for stanza, _ in rows)
    diversions = parse_diversions(rootfs.read_text(f"{DATABASE}/diversions"))
    database = _Database(rootfs, PathMap(rootfs), native, diversions)
    for stanza, _ in rows:
        candidate = Candidate(_key(stanza, native), stanza.get("Architecture", ""))
        database.installed.add(stanza["Package"], candidate, _names(stanza.get("Provides", "")))
    found = {package.key: package for package in (_package(database, *row) for row in rows)}
    lists = [package.database for package in found.values()]
    if any(where for _, where in rows) or not all(map(rootfs.lookup, lists)):
        found = _with_links(rootfs, found)
    return tuple(found[key] for key in sorted(found))


def parse_stanzas(text: str) -> Iterator[Stanza]:
    """The stanzas of a control file (deb822(5)), with the fields that matter here.

    Continuation lines stay in the value, each with its leading space.
    """
    for block in text.split("\n\n"):
        stanza: dict[str, str] = {}
        name = ""
        for line in block.split("\n"):
            if line[:1] in (" ", "\t"):
                if name:
                    stanza[name] += "\n" + line
                continue
            name, _, value = line.partition(":")
            if name in _FIELDS:
                stanza[name] = value.strip()
            else:
                name = ""
        if stanza.get("Package"):
            yield stanza


def parse_diversions(text: str) -> dict[str, tuple[str, str]]:
    """Diverted path → (where it went, the package whose own file stays): dpkg-divert(1).

    The file holds three lines a diversion; ``:`` as the package is the administrator.
    """
    lines = text.split("\n")
    return {
        source: (target, package)
        for source, target, package in zip(lines[::3], lines[1::3], lines[2::3], strict=False)
    }


def parse_relations(text: str) -> Iterator[tuple[str, ...]]:
    """The clauses of a Depends field: the names of each one's alternatives, without versions and
    architecture qualifiers (policy 7.1)."""
    for clause in text.split(","):
        names = (_RELATION_NAME.match(part.strip()) for part in clause.split("|"))
        alternatives = tuple(match.group() for match in names if match)
        if alternatives:
            yield alternatives


def parse_md5sums(text: str) -> Iterator[tuple[str, Checksum]]:
    """(path, checksum) of each line of a package's md5sums (deb-md5sums(5)): no leading slash."""
    for line in text.split("\n"):
        digest, _, path = line.partition("  ")
        if path:
            yield "/" + path.removeprefix("./").lstrip("/"), ("md5", digest)


def _status_rows(rootfs: Rootfs) -> Iterator[tuple[Stanza, str]]:
    for stanza in parse_stanzas(rootfs.read_text(f"{DATABASE}/status")):
        # want, error flag, state: dpkg-query(1); only "installed" has all of its files.
        if stanza.get("Status", "").split()[-1:] == ["installed"]:
            yield stanza, ""


def _status_d_rows(rootfs: Rootfs) -> Iterator[tuple[Stanza, str]]:
    directory = f"{DATABASE}/status.d"
    for name in rootfs.children(rootfs.resolve(directory).path):
        if not name.endswith(".md5sums"):
            path = f"{directory}/{name}"
            for stanza in parse_stanzas(rootfs.read_text(path)):
                yield stanza, path


def _native_architecture(stanzas: Iterable[Stanza]) -> str:
    """dpkg's own architecture is the native one; without dpkg, the most common."""
    counts: Counter[str] = Counter()
    for stanza in stanzas:
        architecture = stanza.get("Architecture", "all")
        if stanza["Package"] == "dpkg":
            return architecture
        if architecture != "all":
            counts[architecture] += 1
    return counts.most_common(1)[0][0] if counts else "all"


def _key(stanza: Stanza, native: str) -> str:
    architecture = stanza.get("Architecture", "all")
    suffix = "" if architecture in (native, "all") else f":{architecture}"
    return f"deb:{stanza['Package']}{suffix}"


def _names(relations: str) -> list[str]:
    return [name for clause in parse_relations(relations) for name in clause]


def _package(database: _Database, stanza: Stanza, status_d: str) -> Package:
    name, architecture = stanza["Package"], stanza.get("Architecture", "all")
    md5sums = f"{status_d}.md5sums" if status_d else _info_file(database, stanza, "md5sums")
    if status_d:
        listed = [path for path, _ in parse_md5sums(database.rootfs.read_text(md5sums))]
        record = status_d
    else:
        record = _info_file(database, stanza, "list")
        listed = database.rootfs.read_text(record).split("\n")
    conffiles = _conffiles(database, name, stanza.get("Conffiles", ""))
    if not status_d and database.rootfs.lookup(record) is None:
        # A slim image has the checksums alone: links and directories are not in them.
        sums = parse_md5sums(database.rootfs.read_text(md5sums))
        listed = [*(path for path, _ in sums), *conffiles]
    relations = f"{stanza.get('Pre-Depends', '')},{stanza.get('Depends', '')}"
    depends = database.installed.resolve(parse_relations(relations), architecture)
    recommends = database.installed.resolve(
        parse_relations(stanza.get("Recommends", "")), architecture
    )
    key = _key(stanza, database.native)
    return Package(
        key=key,
        name=name,
        version=stanza.get("Version", ""),
        architecture=architecture,
        files=tuple(_find_all(database, name, listed)),
        depends=tuple(other for other in depends if other != key),
        essential=stanza.get("Essential") == "yes",
        checksums=LazyChecksums(conffiles, lambda: _md5sums(database, name, md5sums)),
        conffiles=tuple(conffiles),
        database=record,
        section=stanza.get("Section", "").rpartition("/")[2],
        recommends=tuple(other for other in recommends if other not in (key, *depends)),
    )


def _info_file(database: _Database, stanza: Stanza, kind: str) -> str:
    """The files of a Multi-Arch: same package are ``NAME:ARCH.KIND``, others ``NAME.KIND``."""
    name = stanza["Package"]
    if stanza.get("Multi-Arch") == "same":
        qualified = f"{DATABASE}/info/{name}:{stanza.get('Architecture', '')}.{kind}"
        if database.rootfs.lookup(qualified):
            return qualified
    return f"{DATABASE}/info/{name}.{kind}"


def _find_all(database: _Database, package: str, listed: Iterable[str]) -> Iterator[str]:
    find, diversions = database.paths.find, database.diversions
    for path in listed:
        if path in diversions:
            path = diverted(diversions, package, path)
        found = find(path) if path and path != "/." else None
        if found is not None:
            yield found


def diverted(diversions: Mapping[str, tuple[str, str]], package: str, path: str) -> str:
    target, owner = diversions.get(path, (path, package))
    return path if owner == package else target


def _conffiles(database: _Database, package: str, text: str) -> dict[str, Checksum]:
    """Path → md5 of each conffile as the package shipped it (dpkg-query(1), ``Conffiles``).

    Obsolete ones are no longer part of the package's newest version, but are still its own.
    """
    found: dict[str, Checksum] = {}
    for line in text.split("\n"):
        words = line.split()
        if len(words) < 2 or words[-1] == "remove-on-upgrade" or words[1] == "newconffile":
            continue
        path = database.paths.find(diverted(database.diversions, package, words[0]))
        if path is not None:
            found[path] = ("md5", words[1])
    return found


def _md5sums(database: _Database, package: str, path: str) -> dict[str, Checksum]:
    found: dict[str, Checksum] = {}
    for listed, checksum in parse_md5sums(database.rootfs.read_text(path)):
        canonical = database.paths.find(diverted(database.diversions, package, listed))
        if canonical is not None:
            found[canonical] = checksum
    return found


def _with_links(rootfs: Rootfs, packages: Mapping[str, Package]) -> dict[str, Package]:
    """Give links to the files of a package, in its own directories, to that package: md5sums files
    name no links, and a shared library is reached through one."""
    owners = {path: key for key, package in packages.items() for path in package.files}
    directories = {(key, path.rpartition("/")[0]) for path, key in owners.items()}
    links: dict[str, list[str]] = {}
    for path, entry in rootfs.entries.items():
        if entry.kind is Kind.SYMLINK and path not in owners:
            key = owners.get(rootfs.resolve(path).path)
            if key is not None and (key, path.rpartition("/")[0]) in directories:
                links.setdefault(key, []).append(path)
    return {
        key: replace(package, files=(*package.files, *links.get(key, ())))
        for key, package in packages.items()
    }
