"""Perl installations: where ``Config.pm`` says that an interpreter looks for modules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf import is_program_called
from imgslim.tables import load_table

_INTERPRETER = re.compile(r"perl(?:-?5[\d.]*(?:-[\w-]+)?)?")
_EMBEDDED = re.compile(r"libperl\.so[\d.]*")
_SETTING = re.compile(r"^\s*(\w+)\s*(?:=>|=)\s*'([^'\n]*)'", re.MULTILINE)
_MARKER = "privlibexp =>"


@dataclass(frozen=True)
class PerlHome:
    """One installed Perl: ``config`` its settings, ``places`` the canonical directories that hold
    a Config.pm of it (Debian's perl-base has one of its own)."""

    rootfs: Rootfs
    config: Mapping[str, str]
    places: tuple[str, ...]

    @property
    def version(self) -> str:
        return self.config.get("version", "")

    @cached_property
    def core(self) -> tuple[str, ...]:
        """The directories of the core library, in the order of @INC."""
        named = self._existing(
            self.config.get(key, "") for key in load_table("perl")["search"]["core"]
        )
        return tuple(dict.fromkeys((*(p for p in self.places if p not in named), *named)))

    @cached_property
    def search_path(self) -> tuple[str, ...]:
        """All directories of @INC that exist, canonical, in order."""
        table = load_table("perl")["search"]
        keys = (key for key in table["directories"] if key not in table["core"])
        before = self._existing(self.config.get(key, "") for key in keys)
        first, *last = table["more"]
        places = (*self._existing([first]), *before, *self.core, *self._existing(last))
        return tuple(dict.fromkeys(places))

    def _existing(self, paths: Iterator[str] | list[str]) -> tuple[str, ...]:
        found = (self.rootfs.lookup(path) for path in paths if path)
        return tuple(e.path for e in found if e is not None and e.is_directory)


def embeds(entry: Entry) -> bool:
    """Whether an entry is Perl as a library: what links it (mod_perl, PL/Perl) runs Perl."""
    return entry.is_file and _EMBEDDED.fullmatch(entry.path.rpartition("/")[2]) is not None


def is_interpreter(rootfs: Rootfs, entry: Entry) -> bool:
    """Whether an entry is a program called as Perl's interpreter is."""
    return is_program_called(rootfs, entry, _INTERPRETER)


def find_homes(rootfs: Rootfs) -> tuple[PerlHome, ...]:
    """Every Perl of the image, by the Config.pm that its configuration wrote."""
    found: dict[tuple[str, str], tuple[dict[str, str], list[str]]] = {}
    for path in rootfs.entries:
        if not path.endswith("/Config.pm"):
            continue
        text = rootfs.read_text(path)
        if _MARKER not in text:
            continue
        directory = path.rpartition("/")[0]
        settings = dict(_SETTING.findall(text))
        key = (settings.get("version", ""), settings.get("privlibexp", ""))
        known, places = found.setdefault(key, ({}, []))
        known.update(dict(_SETTING.findall(rootfs.read_text(f"{directory}/Config_heavy.pl"))))
        known.update(settings)
        places.append(directory)
    return tuple(PerlHome(rootfs, config, tuple(places)) for config, places in found.values())
