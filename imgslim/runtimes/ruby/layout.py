"""Ruby installations: where ``rbconfig.rb`` says that an interpreter looks for its library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf import is_program_called
from imgslim.runtimes.ruby.tables import ruby_table

_INTERPRETER = re.compile(r"ruby(?:[-.]?\d[\d.]*)?")
_EMBEDDED = re.compile(r"libruby(?:-?\d[\d.]*)?\.so[\d.]*")
_SETTING = re.compile(
    r"""^\s*CONFIG\["(\w+)"\]\s*=\s*(\(TOPDIR \|\| DESTDIR \+ )?["']([^"'\n]*)["']""", re.MULTILINE
)
_TOP = re.compile(r"""TOPDIR = File\.dirname\(__FILE__\)\.chomp!\(["']([^"']+)["']\)""")
_REFERENCE = re.compile(r"\$\((\w+)\)")
_DEEPEST = 8


@dataclass(frozen=True)
class RubyHome:
    """One installed Ruby. ``config`` are the settings of its rbconfig.rb, expanded; ``archdir``
    is the canonical directory of that file."""

    rootfs: Rootfs
    archdir: str
    config: Mapping[str, str]

    @property
    def version(self) -> str:
        return ".".join(self.config.get(key, "") for key in ("MAJOR", "MINOR", "TEENY"))

    @property
    def abi(self) -> str:
        """The version that extensions are built for (``3.1.0``)."""
        return self.config.get("ruby_version", "")

    @cached_property
    def load_path(self) -> tuple[str, ...]:
        """The directories of ``$LOAD_PATH`` that exist, canonical, in order."""
        places = [self.config.get(key, "") for key in ruby_table().directories]
        found = (self.rootfs.lookup(place) for place in (*places, self.archdir) if place)
        return tuple(dict.fromkeys(e.path for e in found if e is not None and e.is_directory))

    @cached_property
    def library(self) -> tuple[str, ...]:
        """Those of ``load_path`` that hold the standard library."""
        places = (self.config.get(key, "") for key in ("rubylibdir", "rubyarchdir"))
        found = (self.rootfs.lookup(place) for place in places if place)
        paths = [entry.path for entry in found if entry is not None]
        return tuple(dict.fromkeys((*paths, self.archdir)))

    @cached_property
    def gem_home(self) -> str:
        """Where the gems lie that come with this Ruby (``Gem.default_dir``)."""
        return f"{self.config.get('rubylibprefix', '')}/gems/{self.abi}"

    def is_interpreter(self, path: str) -> bool:
        """Whether a program is of this Ruby, by where it lies and by what it is called."""
        name = path.rpartition("/")[2]
        own = {self.config.get("ruby_install_name"), self.config.get("RUBY_INSTALL_NAME")}
        binary = self.rootfs.lookup(self.config.get("bindir", ""))
        beside = binary is not None and path.startswith(f"{binary.path}/")
        return beside and (name in own or name == "ruby")


def embeds(entry: Entry) -> bool:
    """Whether an entry is Ruby as a library: what links it (Passenger, an editor) runs Ruby."""
    return entry.is_file and _EMBEDDED.fullmatch(entry.path.rpartition("/")[2]) is not None


def is_interpreter(rootfs: Rootfs, entry: Entry) -> bool:
    """Whether an entry is a program called as Ruby's interpreter is."""
    return is_program_called(rootfs, entry, _INTERPRETER)


def find_homes(rootfs: Rootfs) -> Iterator[RubyHome]:
    """Every Ruby of the image: mkconfig.rb writes an rbconfig.rb for each."""
    for path, entry in rootfs.entries.items():
        if path.endswith("/rbconfig.rb") and entry.is_file:
            config = read_config(rootfs.read_text(path), path)
            if config.get("ruby_version") and config.get("bindir"):
                yield RubyHome(rootfs, path.rpartition("/")[0], config)


def read_config(text: str, path: str) -> Mapping[str, str]:
    """The settings of an rbconfig.rb that lies at ``path``, references expanded as its own
    ``RbConfig.expand`` does."""
    top = _TOP.search(text)
    directory = path.rpartition("/")[0]
    moved = directory.removesuffix(top[1]) if top and directory.endswith(top[1]) else None
    raw: dict[str, str] = {"DESTDIR": ""}
    for name, is_top, value in _SETTING.findall(text):
        raw.setdefault(name, moved if is_top and moved is not None else value)
    for marker in ("MAJOR", "MINOR", "TEENY"):
        raw.setdefault(marker, "")
    return {name: _expanded(value, raw) for name, value in raw.items()}


def _expanded(value: str, raw: Mapping[str, str]) -> str:
    for _ in range(_DEEPEST):
        if "$(" not in value:
            break
        value = _REFERENCE.sub(lambda match: raw.get(match[1], ""), value)
    return value
