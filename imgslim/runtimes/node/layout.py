"""Where Node.js, its packages and its package managers lie, and who put them there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from imgslim.model import Claim, Entry, Origin, OriginKind, Scope
from imgslim.runtimes.elf import elf_facts, is_program_called
from imgslim.runtimes.node.packages import FOLDER, PackageTree
from imgslim.runtimes.node.tables import node_table
from imgslim.world import World

_INTERPRETER = re.compile(r"node(?:js)?(?:[-.]?\d[\d.]*)?|iojs")
_DEFINE = re.compile(r"#define NODE_(MAJOR|MINOR|PATCH)_VERSION (\d+)")
_SHARED_PREFIXES = ("", "/usr", "/usr/local")
_CLUTTER = Origin(OriginKind.CACHE, "records of npm packages")
_VOLTA = "/.volta/"
"""volta's shims choose between its versions by files of their own: all of that is kept."""


def is_interpreter(world: World, entry: Entry) -> bool:
    """Whether an entry is a Node.js program."""
    return is_program_called(world.rootfs, entry, _INTERPRETER)


def is_other_runtime(world: World, entry: Entry) -> bool:
    """Whether a program is one that loads JavaScript and addons, by another name."""
    table = node_table()
    if not entry.is_executable or entry.size_bytes < table.smallest_runtime_bytes:
        return False
    facts = elf_facts(world.rootfs, entry)
    if facts is None or not facts.is_program:
        return False
    return table.runtime_symbol in world.rootfs.read_bytes(entry)


def version_of(world: World, interpreter: str) -> str:
    """The version of a Node.js program: its package's, or its headers'; "" where nothing says."""
    owner = world.packages.owner(interpreter)
    if owner is not None:
        return owner.version
    prefix = posixpath.dirname(posixpath.dirname(interpreter))
    header = world.rootfs.read_text(f"{prefix}/include/node/node_version.h")
    found = dict(_DEFINE.findall(header))
    if len(found) == 3:
        return ".".join(found[key] for key in ("MAJOR", "MINOR", "PATCH"))
    match = re.search(r"(?:^|/)v(\d+\.\d+\.\d+)(?:/|$)", prefix)
    if match:
        return match[1]
    return world.config.env_value("NODE_VERSION") or ""


def app_label(tree: PackageTree, directory: str) -> str:
    """What the package.json in a directory is of, and on which frameworks; "" without one."""
    manifest = tree.manifest(directory)
    if manifest is None:
        return ""
    used = [name for name in node_table().frameworks if name in manifest.wanted]
    found = (tree.installed(name, directory) for name in used)
    versions = [package.label for package in found if package is not None]
    on = f" on {' and '.join(versions[:2])}" if versions else ""
    return f"app {manifest.label}{on}"


def claims_of(world: World, tree: PackageTree) -> Iterator[Claim]:
    """What package managers put into ``node_modules`` folders, and versions of Node.js in
    folders of their own (nvm, fnm, n, asdf). A distribution's packages have the word before."""
    for path, entry in world.rootfs.entries.items():
        if _VOLTA in path:
            continue
        if path.endswith(f"/{FOLDER}") and entry.is_directory:
            yield from _folder_claims(world, tree, path)
        elif is_interpreter(world, entry):
            yield from _version_claims(world, path)


def _folder_claims(world: World, tree: PackageTree, folder: str) -> Iterator[Claim]:
    rootfs = world.rootfs
    if _belongs_to_npm(folder):
        return
    yield Claim(folder, Origin(OriginKind.DISTRIBUTION, "npm packages"))
    for name in rootfs.children(folder):
        path = f"{folder}/{name}"
        if name in node_table().clutter:
            yield Claim(path, _CLUTTER)
        scoped = name.startswith("@")
        for top in [f"{path}/{n}" for n in rootfs.children(path)] if scoped else [path]:
            manifest = tree.manifest(top)
            if manifest is not None and manifest.name and not _belongs_to_npm(f"{top}/"):
                unit = f"npm:{manifest.name}@{manifest.version}"
                yield Claim(top, Origin(OriginKind.DISTRIBUTION, unit))


def _belongs_to_npm(path: str) -> bool:
    """The package managers that come with Node.js are rows of ``toolchains.toml``."""
    return any(f"/lib/{FOLDER}/{name}/" in path for name in ("npm", "corepack"))


def _version_claims(world: World, interpreter: str) -> Iterator[Claim]:
    prefix = posixpath.dirname(posixpath.dirname(interpreter))
    rootfs = world.rootfs
    origin = Origin(OriginKind.RUNTIME, f"Node.js {version_of(world, interpreter)}".strip())
    if prefix in _SHARED_PREFIXES:
        for name in rootfs.children(f"{prefix}/bin"):
            entry = rootfs.get(f"{prefix}/bin/{name}")
            target = rootfs.lookup(f"{prefix}/bin/{name}")
            leads = target is not None and target.path.startswith(f"{prefix}/lib/{FOLDER}/")
            if entry is not None and entry.is_symlink and leads:
                yield Claim(entry.path, origin, Scope.PATH)
        return
    if rootfs.lookup(f"{prefix}/include/node/node.h") is not None:
        yield Claim(prefix, origin)
