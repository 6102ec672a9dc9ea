"""PHP's programs: where each looks for its settings and extensions, by what is built into it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from imgslim.commands import join, name_of
from imgslim.model import Claim, Entry, Origin, OriginKind
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf import elf_facts
from imgslim.runtimes.php.tables import is_named, php_table
from imgslim.world import World

_STRING = re.compile(rb"(?<=\0)(\.:)?(/[!-~]{2,200})(?=\0)")
_VERSION = re.compile(rb"X-Powered-By: PHP/(\d+\.\d+\.\d+)")
_LARGEST_BYTES = 128 << 20
_FPM_CONF = "php-fpm.conf"


@dataclass(frozen=True, slots=True)
class Program:
    """A program or library of PHP. ``configuration``: directories that may hold php.ini; ``scan``
    those of further files, ``extensions`` those of modules, ``pools`` files of FPM, ``includes``
    directories of libraries: all as built in, as far as they are in the image."""

    path: str
    version: str = ""
    configuration: tuple[str, ...] = ()
    scan: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()

    @property
    def is_fpm(self) -> bool:
        return is_named(name_of(self.path), php_table().fpm)


def is_program(world: World, entry: Entry) -> bool:
    """Whether an entry is PHP itself: a program, or the library that a server loads."""
    table, name = php_table(), name_of(entry.path)
    if not entry.is_file or not is_named(name, (*table.programs, *table.libraries)):
        return False
    return elf_facts(world.rootfs, entry) is not None


def read_program(world: World, entry: Entry) -> Program:
    """What is built into PHP's program: main/main.c, PHP_CONFIG_FILE_PATH and its kin are plain
    strings, and a path that is in the image is told by what lies there."""
    rootfs = world.rootfs
    data = rootfs.read_bytes(entry, _LARGEST_BYTES)
    version = _VERSION.search(data)
    configuration: list[str] = []
    scan: list[str] = []
    extensions: list[str] = []
    pools: list[str] = []
    includes: list[str] = []
    for is_include_path, text in dict.fromkeys(_STRING.findall(data)):
        path = text.decode("ascii")
        found = rootfs.lookup(path)
        if found is None or found.path == "/":
            continue
        if is_include_path:
            includes.append(path)
        elif found.is_directory:
            names = rootfs.children(found.path)
            if any(name.endswith(".so") for name in names) and "php" in path:
                extensions.append(path)
            elif path.endswith(".d") or any(name.endswith(".ini") for name in names):
                (configuration if "php.ini" in names else scan).append(path)
            elif any(name.startswith("php.ini") for name in names):
                configuration.append(path)
    # fpm_conf.c: below the directory of the system's configuration, wherever a build put php.ini.
    for top in dict.fromkeys(each for d in configuration for each in (d, posixpath.dirname(d))):
        if rootfs.lookup(f"{top}/{_FPM_CONF}") is not None:
            pools.append(f"{top}/{_FPM_CONF}")
    own = version[1].decode() if version else ""
    groups = (configuration, scan, extensions, pools, includes)
    return Program(entry.path, own, *(tuple(group) for group in groups))


def installed_claims(world: World) -> Iterator[Claim]:
    """What an installation from source put under its prefix, and its sources."""
    rootfs = world.rootfs
    for prefix in sorted(_prefixes(world)):
        for unit, patterns in php_table().installed:
            for pattern in patterns:
                for entry in rootfs.glob(join(prefix, pattern)):
                    if world.packages.owner(entry.path) is None:
                        yield Claim(entry.path, Origin(OriginKind.RUNTIME, unit))
    for pattern in php_table().sources:
        for entry in rootfs.glob(pattern):
            yield Claim(entry.path, Origin(OriginKind.SOURCE, "PHP sources"))


def _prefixes(world: World) -> set[str]:
    found: set[str] = set()
    for path, entry in world.rootfs.entries.items():
        directory = posixpath.dirname(path)
        if not directory.endswith(("/bin", "/sbin", "/lib")) or not entry.is_file:
            continue
        is_composer = name_of(path) in ("composer", "composer.phar")
        if world.packages.owner(path) is None and (is_composer or is_program(world, entry)):
            found.add(posixpath.dirname(directory))
    return found


def module_file(rootfs: Rootfs, program: Program, directories: tuple[str, ...], word: str) -> str:
    """The file that ``extension=WORD`` loads; "" where it is not there (php_dl.c: a path as it is,
    else NAME, NAME.so in the directory of extensions)."""
    tops = [""] if word.startswith("/") else [*directories, *program.extensions]
    for top in tops:
        for name in (word, f"{word}.so"):
            path = join(top, name) if top else name
            entry = rootfs.lookup(path)
            if entry is not None and entry.is_file:
                return path
    return ""
