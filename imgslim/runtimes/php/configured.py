"""What PHP's settings name: extensions, files that are loaded, commands, users, directories."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imgslim.commands import existing_paths, join, resolve_command, split_words
from imgslim.environment import variable_needs
from imgslim.model import Finding, Group, Need, Problem, Severity
from imgslim.runtimes.php.programs import Program, module_file
from imgslim.runtimes.php.settings import Setting, read_settings
from imgslim.runtimes.php.tables import php_table
from imgslim.world import World

_REASON = "PHP's configuration"
_EXTENSIONS = "PHP extensions"
_SCAN_VARIABLE = "PHP_INI_SCAN_DIR"
_HOME_VARIABLE = "PHPRC"
_MOST_FILES = 1000


@dataclass(frozen=True, slots=True)
class Located:
    """A setting and the file that it stands in."""

    setting: Setting
    path: str


def ini_files(world: World, program: Program, given: str = "") -> Iterator[str]:
    """The files that a program reads at its start, in order: php.ini (``given`` by ``-c``, by
    PHPRC, else where it was built to look), then all of the scanned directories."""
    homes = [given or world.config.env_value(_HOME_VARIABLE) or "", *program.configuration]
    for home in (join(world.working_dir, each) for each in homes if each):
        entry = world.rootfs.lookup(home)
        if entry is not None and entry.is_file:
            yield home
            break
        sapi = program.path.rpartition("/")[2]
        names = [f"php-{sapi}.ini", "php-fpm-fcgi.ini", "php-cli.ini", "php.ini"]
        found = [f"{home}/{n}" for n in names if world.rootfs.lookup(f"{home}/{n}") is not None]
        if found:
            yield from found
            break
    for directory in _scanned(world, program):
        yield from (entry.path for entry in world.rootfs.glob(join(directory, "*.ini")))


def _scanned(world: World, program: Program) -> Iterator[str]:
    """PHP_INI_SCAN_DIR replaces the built-in directory; an empty part of it stands for that one."""
    value = world.config.env_value(_SCAN_VARIABLE)
    for part in [""] if value is None else value.split(":"):
        yield from [join(world.working_dir, part)] if part else program.scan


def located_settings(world: World, program: Program, given: str = "") -> Iterator[Located]:
    variables = dict(world.config.env)
    for path in ini_files(world, program, given):
        for setting in read_settings(world.rootfs.read_text(path), variables):
            yield Located(setting, path)


def program_needs(world: World, program: Program, given: str = "") -> Iterator[Finding]:
    """The configuration of a program that may run, and all that it names."""
    for path in ini_files(world, program, given):
        yield Need(path, Group.APP, _REASON, program.path, optional=True)
    for directory in (*program.configuration, *program.scan, *program.extensions):
        yield Need(directory, Group.DIRECTORY, _REASON, program.path, optional=True)
    found = list(located_settings(world, program, given))
    if program.is_fpm:
        for path in program.pools:
            found += list(pool_settings(world, path))
            yield Need(path, Group.APP, _REASON, program.path, optional=True)
        for path in dict.fromkeys(located.path for located in found):
            yield Need(path, Group.APP, _REASON, program.path, optional=True)
    yield from settings_needs(world, program, found)


def settings_needs(world: World, program: Program, found: list[Located]) -> Iterator[Finding]:
    """What settings name. ``extension_dir`` counts wherever it stands; without one the built-in
    directory does."""
    directories = tuple(each.setting.value for each in found if each.setting.key == "extension_dir")
    include_path = [each.setting.value for each in found if each.setting.key == "include_path"]
    tops = [part for value in include_path for part in value.split(":")]
    for located in found:
        setting, path = _flattened(located.setting), located.path
        if setting.key in php_table().extensions and setting.value:
            yield from _extension(world, program, directories, setting.value, path)
        elif setting.key in php_table().commands:
            yield from resolve_command(world, split_words(setting.value), path)
        elif setting.key in php_table().files and setting.value:
            for top in ("", *tops, *program.includes):
                yield Need(join(top or "/", setting.value), Group.APP, _REASON, path, optional=True)
        elif setting.key == "env":
            yield from variable_needs(world, setting.index, setting.value, path)
        else:
            yield from _paths(world, setting.value, path)
        if located.setting.key in ("user", "group") and located.setting.section:
            for file in ("/etc/passwd", "/etc/group"):
                yield Need(file, Group.SYSTEM, "users", path, optional=True)


def _flattened(setting: Setting) -> Setting:
    """``php_admin_value[NAME] = VALUE`` of a pool sets NAME."""
    is_inner = setting.key in ("php_admin_value", "php_value", "php_admin_flag", "php_flag")
    return Setting(setting.index.lower(), setting.value) if is_inner else setting


def _extension(
    world: World, program: Program, directories: tuple[str, ...], value: str, because: str
) -> Iterator[Finding]:
    path = module_file(world.rootfs, program, directories, value)
    if path:
        yield Need(path, Group.DEPENDENCY, _EXTENSIONS, because)
        return
    yield Problem(
        "missing-extension",
        Severity.WARNING,
        because,
        f"loads the extension {value}, which is in no directory of extensions",
        "nothing to keep; PHP warns of it in the fat image as well",
    )


def _paths(world: World, value: str, because: str) -> Iterator[Need]:
    """Existing paths, and for a file that is not there yet (a log, a socket) its directory."""
    for path in existing_paths(world.rootfs, value):
        yield Need(path, Group.APP, _REASON, because, optional=True)
    if value.startswith("/") and world.rootfs.lookup(value) is None:
        parent = posixpath.dirname(value)
        if parent != "/":
            yield Need(parent, Group.DIRECTORY, _REASON, because, optional=True)


def pool_settings(world: World, path: str, seen: set[str] | None = None) -> Iterator[Located]:
    """The settings of FPM's file and of those that it includes (globs; relative ones are taken
    from the prefix: fpm_conf.c, fpm_evaluate_full_path)."""
    seen = set() if seen is None else seen
    if path in seen or len(seen) > _MOST_FILES:
        return
    seen.add(path)
    variables: Mapping[str, str] = dict(world.config.env)
    for setting in read_settings(world.rootfs.read_text(path), variables):
        yield Located(setting, path)
        if setting.key != "include":
            continue
        here = posixpath.dirname(path)
        for top in (here, posixpath.dirname(here)):
            for entry in world.rootfs.glob(join(top, setting.value)):
                yield from pool_settings(world, entry.path, seen)
