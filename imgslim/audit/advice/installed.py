"""What each RUN installed, and what of it would not be there if it had been asked for less.

Sources: apt-get(8), ``--no-install-recommends``; apt.conf(5).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from imgslim.audit.advice.model import Facts, Stored
from imgslim.audit.advice.scripts import Argv, commands_of
from imgslim.audit.model import Verdict
from imgslim.model import Package
from imgslim.rootfs import Rootfs

_INSTALLERS = {
    "apt-get": "install",
    "apt": "install",
    "aptitude": "install",
    "apk": "add",
}
_NO_RECOMMENDS = re.compile(r"(?i)install-recommends[=\s\"']+(?:0|no|false|off|without|disable)\b")


@dataclass(frozen=True, slots=True)
class Installation:
    """The packages that one layer's RUN left installed, by key.

    ``asked`` are those that it was asked for, ``needed`` those with a file that the plan keeps;
    ``recommends``: what packages recommend came, too.
    """

    layer_index: int
    packages: Set[str]
    asked: Set[str]
    needed: Set[str]
    recommends: bool


def installations(facts: Facts) -> Iterator[Installation]:
    """Those of the user's RUN instructions that call apt or apk."""
    needed = {
        cell.package for cell in facts.cells if cell.verdict is Verdict.NEEDED and cell.file_count
    }
    for step in facts.steps:
        keys: Set[str] = facts.installed_in.get(step.layer_index, frozenset())
        calls = [argv for argv in commands_of(step.script) if _installs(argv)] if keys else []
        if not step.is_run or not calls:
            continue
        asked = _asked(facts, keys, calls)
        if asked:
            yield Installation(
                step.layer_index,
                keys,
                asked,
                needed & keys,
                any(_recommends(facts, argv) for argv in calls),
            )


def reached(
    packages: Mapping[str, Package],
    starts: Iterable[str],
    *,
    among: Set[str] | None = None,
    recommends: bool = False,
) -> set[str]:
    """``starts`` and all that these depend on (and recommend), directly or not; ``among``: steps
    lead only through these."""
    found: set[str] = set()
    pending = [key for key in starts if among is None or key in among]
    while pending:
        key = pending.pop()
        package = packages.get(key)
        if key in found or package is None:
            continue
        found.add(key)
        wanted = (*package.depends, *(package.recommends if recommends else ()))
        pending.extend(one for one in wanted if among is None or one in among)
    return found


def outermost(packages: Mapping[str, Package], keys: Set[str]) -> set[str]:
    """Those of ``keys`` on which no other of them depends."""
    inner = {one for key in keys for one in reached(packages, (key,)) - {key}}
    return {key for key in keys if key not in inner} or set(keys)


def idle_tools(facts: Facts, one: Installation) -> set[str]:
    """The tools for building that were asked for, and that nothing which runs needs."""
    return {key for key in one.asked if facts.is_tool(key)} - one.needed


def files_of_packages(facts: Facts, layer_index: int, keys: Set[str]) -> list[Stored]:
    """The files of a layer that are there because these packages are: their own, the bytecode of
    their modules, and dpkg's records of them. What the plan keeps is not among them."""
    names = {facts.packages[key].name for key in keys if key.startswith("deb:")}
    return [
        file
        for file in facts.files
        if file.layer_index == layer_index
        and file.verdict is not Verdict.NEEDED
        and (file.package in keys or file.unit in keys or _record_of(file.path) in names)
    ]


def _record_of(path: str) -> str:
    """The package whose record a file of dpkg's is: ``NAME.list``, ``NAME:ARCH.md5sums``."""
    folder = "/var/lib/dpkg/info/"
    if not path.startswith(folder):
        return ""
    return path.removeprefix(folder).rpartition(".")[0].partition(":")[0]


def packages_by_layer(
    packages: Mapping[str, Package], files: Iterable[Stored]
) -> Mapping[int, Set[str]]:
    """The keys of packages by the layer that has dpkg's record of them, else most of their files;
    those without files are of the last layer that has one of those they depend on."""
    known = {path for one in packages.values() for path in (one.database, *one.files)}
    layers = {file.path: file.layer_index for file in files if file.path in known}
    found: dict[str, int] = {}
    for key, package in packages.items():
        record = layers.get(package.database) if key.startswith("deb:") else None
        counts = Counter(layers[path] for path in package.files if path in layers)
        if record is not None:
            found[key] = record
        elif counts:
            found[key] = max(counts, key=lambda index: (counts[index], index))
    groups: dict[int, set[str]] = defaultdict(set)
    for key, package in packages.items():
        index = found.get(key)
        if index is None and not package.files:
            index = max((found[one] for one in package.depends if one in found), default=None)
        if index is not None:
            groups[index].add(key)
    return groups


def _installs(argv: Argv) -> bool:
    word = _INSTALLERS.get(argv[0])
    return word is not None and word in argv[1:]


def _recommends(facts: Facts, argv: Argv) -> bool:
    if argv[0] == "apk" or not facts.recommends:
        return False
    options = " ".join(argv[1:])
    short = argv[0] == "aptitude" and "-R" in argv
    return not (
        short or "--no-install-recommends" in options or _NO_RECOMMENDS.search(options) is not None
    )


def _asked(facts: Facts, keys: Set[str], calls: Iterable[Argv]) -> set[str]:
    """By the package manager's own record, else by the words of the commands."""
    if facts.asked is not None:
        return {key for key in keys if key in facts.asked}
    words = {re.split(r"[=/:@~<>]", word)[0] for argv in calls for word in argv[1:]}
    return {key for key in keys if facts.packages[key].name in words}


def brings_recommended(rootfs: Rootfs) -> bool:
    """Whether apt installs what is recommended, as its configuration in the image has it
    (apt.conf(5), APT::Install-Recommends; its default is yes)."""
    paths = ["/etc/apt/apt.conf", *_configuration(rootfs.children)]
    return not any(_NO_RECOMMENDS.search(rootfs.read_text(path)) for path in paths)


def _configuration(children: Callable[[str], Iterable[str]]) -> Iterator[str]:
    folder = "/etc/apt/apt.conf.d"
    yield from (f"{folder}/{name}" for name in children(folder))
