"""What building a Java program left in an image: tools, sources, reports; nobody's to keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgslim.model import Claim, Origin, OriginKind, Scope
from imgslim.runtimes.java.homes import JavaHome
from imgslim.runtimes.java.tables import BuildTool, build_tools, installed_paths, sources
from imgslim.tables import Places, entries_at
from imgslim.world import World

_SOURCES = Origin(OriginKind.SOURCE, "Java sources")
_BUILD = Origin(OriginKind.CACHE, "Java build intermediates")
_REPOSITORY = "/.m2/repository/"


def home_claims(world: World, homes: tuple[JavaHome, ...]) -> Iterator[Claim]:
    """The Java homes that no package brought, and what an image of one has besides."""
    for home in homes:
        unit = " ".join(part for part in ("Java", home.version) if part)
        yield Claim(home.path, Origin(OriginKind.RUNTIME, unit))

    for path in installed_paths() if homes else ():
        yield Claim(path, Origin(OriginKind.RUNTIME, "Java image's entrypoint"), Scope.PATH)


def find_tools(world: World) -> Iterator[tuple[str, BuildTool]]:
    """The homes of unpackaged build tools, canonical."""
    places = Places(world.rootfs, world.config)
    for tool in build_tools():
        for entry in (found for path in tool.paths for found in places.find(path)):
            top = world.rootfs.resolve(entry.path).path
            if any(entries_at(world.rootfs, f"{top}/{tool.contains}")):
                yield top, tool


def tool_claims(tools: Iterable[tuple[str, BuildTool]]) -> Iterator[Claim]:
    """The trees of build tools that ``find_tools`` found."""
    for top, tool in tools:
        yield Claim(top, Origin(OriginKind.RUNTIME, tool.unit))


def source_claims(world: World) -> Iterator[Claim]:
    """Sources, tests and reports of projects whose product lies beside them."""
    rows, rootfs = sources(), world.rootfs
    endings = tuple(f"/{name}" for name in rows.build_files)
    for path in rootfs.entries:
        if not path.endswith(endings) or world.packages.owner(path) or _REPOSITORY in path:
            continue
        top = path.rpartition("/")[0]
        if top and any(True for glob in rows.built for _ in entries_at(rootfs, f"{top}/{glob}")):
            yield from _project_claims(world, top)


def _project_claims(world: World, top: str) -> Iterator[Claim]:
    rows = sources()
    for entry in world.rootfs.walk(f"{top}/src"):
        if entry.is_file and entry.path.endswith(rows.suffixes):
            yield Claim(entry.path, _SOURCES, Scope.PATH)
    for glob in rows.left_over:
        for entry in entries_at(world.rootfs, f"{top}/{glob}"):
            yield Claim(entry.path, _SOURCES if glob.startswith("src/") else _BUILD)
