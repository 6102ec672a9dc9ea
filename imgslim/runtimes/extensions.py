"""Installed packages that extend a program: modules of an interpreter, plug-ins of a server.

A program does not depend on what extends it, but an image in which somebody installed
``php-mbstring`` beside PHP means to load it. Rules: ``[extensions]`` in ``data/packages.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from imgslim.model import Package
from imgslim.packages.asked import asked_packages
from imgslim.tables import load_table
from imgslim.world import World

_LINKED = re.compile(r"(?:/usr)?/lib(?:32|64)?(?:/[^/]+-linux-[^/]+)?/[^/]+")
"""A file where every loader looks: a library for others, no plug-in."""
_PRIVATE = re.compile(r"(?:/usr)?/(?:lib(?:32|64)?|libexec)/(?:[^/]+-linux-[^/]+/)?[^/]+/.")
"""FHS 3.0, 4.6 and 4.7: a program's own directory for what is not run by users."""
_VERSION_TAIL = re.compile(r"[-.\d]+$")


class Extensions:
    """The packages of one image that extend others."""

    def __init__(self, world: World) -> None:
        self._world = world
        rules = load_table("packages")
        table = rules["extensions"]
        self._places_of_programs = frozenset(rules["program_directories"])
        self._languages = frozenset(table["languages"])
        self._sections = self._languages | frozenset(table["servers"])
        self._included = frozenset(table["included"])
        self._never = frozenset(table["never"])
        self._of_languages = tuple(table["of_languages"])

    def of(self, package: Package) -> Iterator[Package]:
        """Packages that extend ``package``, directly or through one another, each once.

        A server's module may be a language of its own (Apache's mod_php), with its libraries.
        """
        seen = {package.key}
        pending = [package]
        while pending:
            extended = pending.pop()
            dependants = self._dependants.get(extended.key, ())
            found = [other for other in dependants if self._extends(other, package)]
            for other in (*found, *self._siblings(extended), *self._libraries(extended)):
                if other.key not in seen and self._is_loaded(other):
                    seen.add(other.key)
                    pending.append(other)
                    yield other

    def plug_ins(self, package: Package) -> Sequence[Package]:
        """Packages that put shared objects or helper programs beside those that ``package`` itself
        has in a directory of its own (ImageMagick's coders, PostgreSQL's modules; Dovecot's
        services, CUPS's filters)."""
        return self._plug_ins.get(package.key, ())

    @cached_property
    def _plug_ins(self) -> dict[str, list[Package]]:
        known = self._world.packages.packages
        found: dict[str, list[Package]] = {}
        for package in known.values():
            places = set() if package.section in self._never else self._plug_in_directories(package)
            for key in package.depends if places else ():
                if key in known and places & self._plug_in_directories(known[key]):
                    found.setdefault(key, []).append(package)
        return found

    def _plug_in_directories(self, package: Package) -> set[str]:
        return {
            path.rpartition("/")[0]
            for path in package.files
            if (path.endswith(".so") or self._is_helper(path))
            and not _LINKED.fullmatch(path)
            and not any(part in path for part in self._of_languages)
        }

    def _is_helper(self, path: str) -> bool:
        """Whether a path is a program that lies where one program looks, not people or PATH."""
        if not _PRIVATE.match(path) or path.split("/")[-2] in self._places_of_programs:
            return False
        entry = self._world.rootfs.entries.get(path)
        return entry is not None and entry.is_file and entry.is_executable

    def _siblings(self, package: Package) -> Iterator[Package]:
        """All installed packages of a language's section."""
        if package.section in self._languages:
            for other in self._world.packages.packages.values():
                if other.section == package.section:
                    yield other

    def _libraries(self, package: Package) -> Iterator[Package]:
        """Packages of an interpreter's section that put something where its libraries lie, by its
        name without the version, though they depend on no version of it (lua-socket, lua5.4)."""
        stem = _VERSION_TAIL.sub("", package.name)
        if package.section not in self._sections or not stem:
            return
        place = re.compile(rf"/usr/(?:share|lib|lib/[^/]+)/{re.escape(stem)}/")
        for other in self._world.packages.packages.values():
            if other.section == package.section and any(map(place.match, other.files)):
                yield other

    def _is_loaded(self, package: Package) -> bool:
        """Whether a language loads a package by itself, and not because sources include it."""
        if package.section not in self._included:
            return True
        return any(path.endswith(".so") for path in package.files)

    def _extends(self, dependant: Package, package: Package) -> bool:
        if not dependant.key.startswith("deb:"):
            stem = _VERSION_TAIL.sub("", package.name)
            return dependant.name.startswith(stem) or dependant.key in self._asked_for
        if package.section not in self._sections or dependant.section in self._never:
            return False
        return dependant.section == package.section or dependant.key in self._asked_for

    @cached_property
    def _dependants(self) -> dict[str, list[Package]]:
        found: dict[str, list[Package]] = {}
        for package in self._world.packages.packages.values():
            for key in package.depends:
                found.setdefault(key, []).append(package)
        return found

    @cached_property
    def _asked_for(self) -> frozenset[str]:
        """The keys of the packages that somebody named; all, where nothing remembers."""
        packages = self._world.packages.packages
        asked = asked_packages(self._world.rootfs, packages)
        return frozenset(packages) if asked is None else asked
