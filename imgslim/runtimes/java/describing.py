"""What a Java program is, in a few words for people: what it runs, and its framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from imgslim.commands import join, name_of
from imgslim.model import Entry
from imgslim.runtimes.java.launch import Launch
from imgslim.runtimes.java.tables import frameworks
from imgslim.runtimes.script import read_shebang
from imgslim.world import World

_SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "env"))
_LARGEST_SCRIPT_BYTES = 1 << 18


def described(
    world: World, launches: Iterable[Launch], manifests: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """For each start its jar or main class, and the framework that either tells. Jars that are not
    in the image are told where no other is: scripts try several places."""
    all_launches = tuple(dict.fromkeys(launches))
    there = [one for one in all_launches if not one.jar or _is_there(world, one.jar)]
    for launch in there or all_launches:
        manifest: Mapping[str, str] = {}
        main = launch.main
        if launch.jar:
            path = world.rootfs.resolve(launch.jar, base=world.working_dir).path
            manifest = manifests.get(path, {})
            main = manifest.get("Main-Class", "")
            app = manifest.get("Start-Class") or main
            yield f"runs {launch.jar}" + (f" ({app})" if app else "")
        elif main:
            yield f"runs {main}"
        yield from filter(None, (row.shown(manifest, main) for row in frameworks()))


def _is_there(world: World, jar: str) -> bool:
    return world.rootfs.lookup(join(world.working_dir, jar)) is not None


def found_frameworks(manifests: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """The frameworks whose jars tell their version."""
    known = (row.shown(manifest, "") for manifest in manifests for row in frameworks())
    return tuple(dict.fromkeys(filter(None, known)))


def starts_java(world: World, entry: Entry) -> bool:
    """Whether a file is a shell script that speaks of Java."""
    shebang = read_shebang(world, entry) if entry.size_bytes <= _LARGEST_SCRIPT_BYTES else None
    if shebang is None or name_of(shebang.interpreter) not in _SHELLS:
        return False
    return b"java" in world.rootfs.read_bytes(entry)
