"""Who put each path into the image: the engine, a tool's cache, a package and its scripts, a
Python distribution, a runtime's installer, or else the user.

The order of the answers is the order of certainty (design.md, "Provenance"): a path that nothing
explains is the user's, and the user's files are kept.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from imgslim.model import Claim, Entry, Kind, Origin, OriginKind, Package, Scope
from imgslim.rootfs import Rootfs
from imgslim.tables import (
    Places,
    entries_at,
    find_toolchains,
    generated_table,
    home_directories,
    load_table,
)
from imgslim.world import World

_USER = Origin(OriginKind.USER)
_SCRIPT_LIMIT_BYTES = 64 * 1024
_SKELETON = "/etc/skel"
_UCF_HASHES = "/var/lib/ucf/hashfile"
_INHERITED = frozenset(
    (OriginKind.PACKAGE, OriginKind.DISTRIBUTION, OriginKind.RUNTIME, OriginKind.GENERATED)
)
"""A directory that holds nothing but such paths was made for them. One that holds only a cache or
version control data may still be the app's."""


def classify(world: World, claims: Iterable[Claim]) -> Callable[[str], Origin]:
    """A function from a canonical path of the merged tree to its origin, quick for every path.

    ``claims`` are the runtimes' words on trees that no package lists.
    """
    return _Classifier(world, tuple(claims)).origin


class _Claims:
    """Origins by exact path and by tree; of two trees around a path the inner one has the word."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        self._exact: dict[str, Origin] = {}
        self._trees: dict[str, Origin] = {}
        self._inside: dict[str, Origin | None] = {"": None}
        for claim in claims:
            self._exact.setdefault(claim.path, claim.origin)
            if claim.scope is Scope.TREE:
                self._trees.setdefault(claim.path, claim.origin)

    def find(self, path: str, directory: str) -> Origin | None:
        """The origin of a path that lies in ``directory`` ("": the root)."""
        exact = self._exact.get(path)
        return exact if exact is not None else self._around(directory)

    def _around(self, directory: str) -> Origin | None:
        if directory not in self._inside:
            own = self._trees.get(directory)
            outer = own or self._around(directory.rpartition("/")[0])
            self._inside[directory] = outer
        return self._inside[directory]


class _Classifier:
    def __init__(self, world: World, claims: Sequence[Claim]) -> None:
        self._world = world
        self._rootfs = world.rootfs
        self._before = _Claims(
            [*_engine_claims(), *_vcs_claims(world.rootfs), *_cache_claims(world)]
        )
        generated = tuple(_generated_claims(world))
        self._generated = _Claims(generated)
        self._after = _Claims([*claims, *generated, *_toolchain_claims(world)])
        self._known: dict[str, Origin] = {}
        self._distributions: dict[str, Origin] = {}
        packages = world.packages.packages.values()
        self._package_origins = {p.key: Origin(OriginKind.PACKAGE, p.key) for p in packages}
        self._conffiles = {path for package in packages for path in package.conffiles}
        self._database_layers: dict[str, int] = {}

    def origin(self, path: str) -> Origin:
        """Only what takes its time to find is remembered: there may be a million files."""
        return self._known.get(path) or self._find(path, path.rpartition("/")[0])

    def _find(self, path: str, directory: str) -> Origin:
        before = self._before.find(path, directory)
        if before is not None:
            return before
        package = self._world.packages.owner(path)
        if package is not None:
            return self._of_package(package, self._rootfs.get(path))
        distribution = self._world.packages.distribution_owner(path)
        if distribution is not None:
            return self._of_distribution(distribution.key)
        after = self._after.find(path, directory)
        if after is not None:
            return after
        entry = self._rootfs.get(path)
        return self._of_bytecode(path, entry) or self._of_directory(path, entry) or _USER

    def _of_distribution(self, key: str) -> Origin:
        origin = self._distributions.get(key)
        if origin is None:
            origin = self._distributions[key] = Origin(OriginKind.DISTRIBUTION, key)
        return origin

    def _of_package(self, package: Package, entry: Entry | None) -> Origin:
        shipped = self._package_origins[package.key]
        if entry is None or not entry.is_file or not self._may_differ(package, entry):
            return shipped
        origin = shipped
        if self._is_changed(package, entry):
            # Alpine's packages ship /etc/passwd and the like, which other packages' scripts change
            changed = Origin(OriginKind.USER, f"changed from {package.key}")
            generated = self._generated.find(entry.path, entry.path.rpartition("/")[0])
            origin = generated or changed
        self._known[entry.path] = origin
        return origin

    def _may_differ(self, package: Package, entry: Entry) -> bool:
        """Configuration files are always compared with the shipped ones; others only where a layer
        above the package's own record rewrote them: reading every file of the image would cost too
        much, and a squashed image has one layer."""
        return entry.path in self._conffiles or entry.layer_index > self._layer_of(package)

    def _is_changed(self, package: Package, entry: Entry) -> bool:
        """Whether a file differs from the shipped one."""
        shipped = package.checksums.get(entry.path)
        if shipped is None:
            return entry.path not in self._conffiles
        algorithm, digest = shipped
        content = self._rootfs.read_bytes(entry)
        return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() != digest

    def _layer_of(self, package: Package) -> int:
        layer = self._database_layers.get(package.database)
        if layer is None:
            record = self._rootfs.lookup(package.database)
            layer = self._database_layers[package.database] = (
                record.layer_index if record is not None else 1 << 30
            )
        return layer

    def _of_bytecode(self, path: str, entry: Entry | None) -> Origin | None:
        """Compiled files share the origin of their source (PEP 3147); package scripts make them
        (dh_python3's py3compile) or the first run does."""
        directory, _, name = path.rpartition("/")
        if not directory.endswith("/__pycache__") or entry is None or not entry.is_file:
            return None
        source = f"{directory.removesuffix('__pycache__')}{name.partition('.')[0]}.py"
        if self._rootfs.get(source) is None:
            return None
        origin = self.origin(source)
        if origin.kind is OriginKind.PACKAGE:
            return Origin(OriginKind.GENERATED, origin.unit)
        return origin

    def _of_directory(self, path: str, entry: Entry | None) -> Origin | None:
        if entry is None or not entry.is_directory:
            return None
        first: Origin | None = None
        for inside in self._rootfs.children_paths(path):
            origin = self.origin(inside)
            if origin.kind not in _INHERITED:
                first = None
                break
            first = first or origin
        self._known[path] = first or _USER
        return first


def _engine_claims() -> Iterator[Claim]:
    origin = Origin(OriginKind.ENGINE, "made by the engine")
    for row in load_table("engine")["engine"]:
        yield from (Claim(path, origin) for path in row["paths"])


def _vcs_claims(rootfs: Rootfs) -> Iterator[Claim]:
    """Version control data by what lies in it; a ``.git`` file leads to a repository elsewhere
    (gitrepository-layout(5))."""
    rows = load_table("caches")["version_control"]
    wanted = {f"/{row['directory']}/{row['contains']}": row["unit"] for row in rows}
    for path in _ending_with(rootfs, (*wanted, "/.git")):
        directory, _, name = path.rpartition("/")
        if name == ".git":
            entry = rootfs.entries[path]
            if entry.is_file and rootfs.read_bytes(entry, 8) == b"gitdir: ":
                yield Claim(path, Origin(OriginKind.VCS, "git"), Scope.PATH)
        else:
            ending = f"/{directory.rpartition('/')[2]}/{name}"
            yield Claim(directory, Origin(OriginKind.VCS, wanted[ending]))


def _cache_claims(world: World) -> Iterator[Claim]:
    table = load_table("caches")
    places = Places(world.rootfs, world.config)
    spoken = spoken_words(world)
    for row in table["cache"]:
        if spoken.isdisjoint(row.get("running", ())):
            origin = Origin(OriginKind.CACHE, row["unit"])
            for pattern in row["paths"]:
                yield from (Claim(entry.path, origin) for entry in places.find(pattern))
    yield from _marked_claims(world, table["marked"])


def _marked_claims(world: World, rows: Sequence[Mapping[str, object]]) -> Iterator[Claim]:
    """Caches that a file of the tool gives away; with ``below``, only directories of certain
    ``names`` around that file, and with ``unless_run`` only those from which nothing is started."""
    found = _ending_with(world.rootfs, tuple({f"/{row['file']}" for row in rows}))
    started = _started_files(world) if found else frozenset()
    for path, row in ((path, row) for path in found for row in rows):
        if not path.endswith(f"/{row['file']}"):
            continue
        top = path.rpartition("/")[0]
        origin = Origin(OriginKind.CACHE, str(row["unit"]))
        below, names = row.get("below"), row.get("names")
        if not isinstance(below, list) or not isinstance(names, list):
            yield Claim(top, origin)
            continue
        patterns = (f"{top}/{place}/{name}" for place in below for name in names)
        for entry in (e for pattern in patterns for e in entries_at(world.rootfs, pattern)):
            runs = any(file.startswith(f"{entry.path}/") for file in started)
            if not row.get("unless_run") or (started and not runs):
                yield Claim(entry.path, origin)


def _ending_with(rootfs: Rootfs, endings: tuple[str, ...]) -> list[str]:
    return [path for path in rootfs.entries if path.endswith(endings)]


def _toolchain_claims(world: World) -> Iterator[Claim]:
    for toolchain in find_toolchains(world.rootfs, world.config):
        origin = Origin(OriginKind.RUNTIME, toolchain.unit)
        yield from (Claim(path, origin) for path in toolchain.paths)


def _generated_claims(world: World) -> Iterator[Claim]:
    yield from _copy_claims(world)
    yield from _path_claims(world.rootfs)
    yield from _link_claims(world.rootfs)
    yield from _ucf_claims(world.rootfs)


def _copy_claims(world: World) -> Iterator[Claim]:
    rootfs = world.rootfs
    pairs = [(*pair, row.unit) for row in generated_table().copies for pair in row.pairs]
    for home in home_directories(rootfs, world.config):
        for name in rootfs.children(_SKELETON):
            pairs.append((f"{home}/{name}", f"{_SKELETON}/{name}", "home directory skeleton"))
    for path, original, unit in pairs:
        if _is_same(rootfs, path, original):
            yield _generated(path, unit)


def _path_claims(rootfs: Rootfs) -> Iterator[Claim]:
    for row in generated_table().paths:
        for pattern in row.paths:
            tree = pattern.removesuffix("/**")
            if tree != pattern and not row.has_filter:
                yield _generated(rootfs.resolve(tree).path, row.unit, Scope.TREE)
                continue
            for entry in entries_at(rootfs, pattern):
                if row.matches(rootfs, entry):
                    yield _generated(entry.path, row.unit)


def _link_claims(rootfs: Rootfs) -> Iterator[Claim]:
    rows = generated_table().links
    for path, entry in rootfs.entries.items():
        if entry.kind is Kind.SYMLINK:
            unit = next((row.unit for row in rows if row.matches(entry)), None)
            if unit is not None:
                yield _generated(path, unit)


def _generated(path: str, unit: str, scope: Scope = Scope.PATH) -> Claim:
    return Claim(path, Origin(OriginKind.GENERATED, unit), scope)


def _is_same(rootfs: Rootfs, path: str, original: str) -> bool:
    one, other = rootfs.get(path), rootfs.lookup(original)
    if one is None or other is None or one.size_bytes != other.size_bytes:
        return False
    return one.is_file and rootfs.read_bytes(one) == rootfs.read_bytes(other)


def _ucf_claims(rootfs: Rootfs) -> Iterator[Claim]:
    """Configuration files that ucf(1) installed and nobody edited: its hash file has the md5 of
    the version that the package brought."""
    for line in rootfs.read_text(_UCF_HASHES).splitlines():
        digest, _, path = line.partition("  ")
        entry = rootfs.lookup(path) if path else None
        if entry is not None and entry.is_file:
            content = rootfs.read_bytes(entry)
            if hashlib.md5(content, usedforsecurity=False).hexdigest() == digest:
                yield _generated(entry.path, "unedited configuration (ucf)")


def spoken_words(world: World) -> frozenset[str]:
    """The names in the image's own command, and in the script that it starts: enough to see that
    a container runs ``mvn`` or ``npx`` and so may read that tool's cache."""
    return frozenset(word.rpartition("/")[2] for word in _spoken(world))


def _started_files(world: World) -> frozenset[str]:
    """The files that these words lead to; none for an image that runs nothing."""
    found = (world.which(word) for word in _spoken(world) if word)
    return frozenset(world.rootfs.resolve(path).path for path in found if path)


def _spoken(world: World) -> Iterator[str]:
    config = world.config
    argv = [*(config.entrypoint or ()), *(config.cmd or ())]
    texts = [*argv, *(config.healthcheck.test if config.healthcheck else ())]
    for word in argv:
        path = world.which(word)
        entry = world.rootfs.lookup(path) if path else None
        if entry is not None and entry.size_bytes <= _SCRIPT_LIMIT_BYTES:
            content = world.rootfs.read_bytes(entry)
            if content.startswith(b"#!"):
                texts.append(content.decode("utf-8", "replace"))
    return (word for text in texts for word in _words(text))


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()
