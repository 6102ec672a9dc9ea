"""Which installed packages are reached, and what of each.

What an installation without development dependencies has (``npm ci --omit=dev``) is what a package
may rely on; a source of the app's own that runs reaches whatever it names.
"""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterator, Sequence

from imgslim.choices import Level
from imgslim.commands import join
from imgslim.model import Entry, Finding, Group, Need
from imgslim.runtimes.node.packages import (
    Manifest,
    PackageTree,
    is_manager,
    is_third_party,
    package_name,
)
from imgslim.runtimes.node.programs import program_findings
from imgslim.runtimes.node.resolve import Resolver, Target, is_bare
from imgslim.runtimes.node.source import quick_specifiers, read_source
from imgslim.runtimes.node.sparing import SPARED, Sparing
from imgslim.runtimes.node.tables import Left, node_table
from imgslim.runtimes.node.units import Units, in_order, is_code
from imgslim.world import World

_REASON_OWN = "modules of the app"
_LARGEST_PARSED_BYTES = 256 << 10
"""Of a source in a package that is kept whole."""


class PackageClosure:
    """Packages that are reached, and the needs that follow from them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tree = PackageTree(world)
        self.resolver = Resolver(world, self.tree)
        self.units = Units(world, self.tree)
        self.packages: dict[str, str] = {}
        self.flags: set[str] = set()
        self.running: dict[str, str] = {}
        self.left: dict[str, list[tuple[Entry, Left | None]]] = {}
        self._left_code: dict[str, frozenset[str]] = {}
        self.dynamic: dict[str, int] = {}
        self.missing: dict[str, tuple[str, int]] = {}
        self._level = world.choices.level
        self._found: list[Finding] = []
        self._work: deque[tuple[str, str]] = deque()
        self._entered: set[str] = set()
        self._manifests: dict[str, Manifest] = {}
        self._counted: set[str] = set()
        self.sparing = Sparing(world, self._manifests)
        self._spared: set[str] = set()
        self._own: dict[str, Entry] = {}
        self._seen_own: set[str] = set()
        self._spelled: list[tuple[str, str, int]] = []
        self._loose_code: dict[str, list[Entry]] = {}
        self._development: dict[str, None] | None = None

    @property
    def _is_tight(self) -> bool:
        return self._level is Level.TIGHT

    def take_own(self, entry: Entry) -> None:
        """A source or a package.json of the user's, which is kept anyway."""
        if entry.path.endswith("/package.json"):
            manifest = self.tree.manifest(posixpath.dirname(entry.path) or "/")
            if manifest is not None:
                self._manifests[manifest.directory] = manifest
                self._development = None
        else:
            self._own[entry.path] = entry

    def is_own(self, path: str) -> bool:
        """Whether a path is neither in ``node_modules`` nor a package's of the system."""
        packages = self.world.packages
        return (
            not is_third_party(path)
            and packages.owner(path) is None
            and packages.distribution_owner(path) is None
        )

    def load(self, target: Target, because: str, line: int = 0) -> None:
        """A file that something loads."""
        top = self.tree.top(target.path)
        if top in self._spared and self._is_spare_part(top, target.path, because):
            return
        group, reason = Group.APP, _REASON_OWN
        if top:
            group, reason = Group.DEPENDENCY, self._reason(top)
        self._found.append(Need(target.asked, group, reason, because, optional=True, line=line))
        if top:
            self.reach(top, because)
        parsed = self._is_tight and not is_manager(top)
        if (not top or parsed) and target.path not in self.running:
            self.running[target.path] = because
            self._work.append(("file", target.path))

    def reach(self, top: str, because: str, *, entries: bool = False) -> None:
        """A package that something names; with ``entries`` its main files are loaded too."""
        if top not in self.packages:
            self.packages[top] = because
            self._work.append(("package", top))
        if entries and self._is_tight and top not in self._entered:
            self._entered.add(top)
            self._work.append(("entries", top))

    def count(self, directory: str) -> None:
        """The manifests around a directory are those of a program that runs."""
        while directory:
            if directory in self._manifests and directory not in self._counted:
                self._counted.add(directory)
                self._work.append(("manifest", directory))
            directory = directory.rpartition("/")[0]

    def count_all(self) -> None:
        """No source is known to run, but Node.js does: every manifest counts."""
        for directory in self._manifests:
            self.count(directory)

    def name(self, name: str, directory: str, because: str, line: int = 0) -> bool:
        """A package by its name, looked for from ``directory``; whether it is there."""
        for place in self.tree.find(name, directory)[:1]:
            entry = self.world.rootfs.lookup(place)
            if entry is None:
                continue
            manifest = self.tree.manifest(entry.path)
            if manifest is not None and not self._fits(manifest):
                continue
            top = self.tree.top(entry.path)
            group, reason = Group.DEPENDENCY, self._reason(top or entry.path)
            self._found.append(Need(place, group, reason, because, optional=True, line=line))
            if top:
                self.reach(top, because, entries=True)
            elif manifest is not None:
                self.count(manifest.directory)
                for target in self.resolver.entries_of(manifest):
                    self.load(target, because, line)
            return True
        return False

    def _reason(self, top: str) -> str:
        manifest = self.tree.manifest(top)
        label = manifest.label if manifest is not None else posixpath.basename(top)
        return f"npm package {label}"

    def _fits(self, manifest: Manifest) -> bool:
        return self._level is Level.SAFE or self.units.fits(manifest)

    def _package(self, top: str) -> None:
        because = self.packages[top]
        reason = self._reason(top)
        whole = is_manager(top)
        kept, left = self.units.split(top) if not whole else (self.units.files.get(top, ()), [])
        kept = self._spare(top, kept, left)
        self.left[top] = left
        code = [entry for entry in kept if is_code(entry.path) and not whole]
        if self._is_tight and not whole:
            self._loose_code[top] = code
            kept = [entry for entry in kept if not is_code(entry.path)]
        for entry in in_order(kept):
            need = Need(entry.path, Group.DEPENDENCY, reason, because, optional=True)
            self._found.append(need)
        if whole or not self._is_tight:
            self._depend(top)
            for entry in in_order(code):
                self._scan(entry, top)

    def _spare(
        self, top: str, kept: Sequence[Entry], left: list[tuple[Entry, Left | None]]
    ) -> list[Entry]:
        """``kept`` without what only builds of the package need, which goes to ``left``."""
        manifest = self.tree.manifest(top)
        spare = [entry for entry in kept if self.sparing.has_file(manifest, entry.path)]
        left += [(entry, SPARED) for entry in spare]
        if spare:
            self._spared.add(top)
        gone = {entry.path for entry in spare}
        return [entry for entry in kept if entry.path not in gone]

    def _is_spare_part(self, top: str, path: str, because: str) -> bool:
        """Whether a package loads one of its own files, which only its builds need."""
        manifest = self.tree.manifest(top)
        return self.tree.top(because) == top and self.sparing.has_file(manifest, path)

    def _use_spare(self) -> None:
        """What was spared comes back where a build turns out to run after all."""
        for top in sorted(self._spared):
            manifest = self.tree.manifest(top)
            if manifest is None or self.sparing.rows(manifest):
                continue
            self._spared.remove(top)
            left = self.left.get(top, [])
            back = [entry for entry, row in left if row is SPARED]
            self.left[top] = [pair for pair in left if pair[1] is not SPARED]
            self._left_code.pop(top, None)
            for entry in in_order(back):
                self.load(Target(entry.path, entry.path), self.packages[top])
                if is_code(entry.path) and not self._is_tight:
                    self._scan(entry, top)
            self._depend(top)

    def _entries(self, top: str) -> None:
        manifest = self.tree.manifest(top)
        if manifest is None:
            self._all_of(top)
            return
        for target in self.resolver.entries_of(manifest):
            self.load(target, self.packages[top])

    def _all_of(self, top: str) -> None:
        """Something in a package loads what nobody can tell: all its sources, all that it
        depends on."""
        for entry in in_order(self._loose_code.pop(top, ())):
            self.load(Target(entry.path, entry.path), self.packages[top])
        self._depend(top)

    def _depend(self, top: str) -> None:
        manifest = self.tree.manifest(top)
        if manifest is None:
            return
        because = join(top, "package.json")
        for name in manifest.wanted:
            if not self._does_without(name, because):
                self.name(name, top, because)

    def _is_marked(self, name: str) -> bool:
        """Whether the app's own manifests name a package for development only. What another
        package may use of them, when it is there, an installation for production has not."""
        if self._level is Level.SAFE:
            return False
        return any(name in m.only_for_development for m in self._manifests.values())

    def _does_without(self, name: str, origin: str) -> bool:
        """Whether the package around ``origin`` serves without a package that it names: only its
        builds load that, or only an installation for development has it."""
        manifest = self.tree.manifest(self.tree.top(origin))
        if manifest is None:
            return False
        if self.sparing.has_dependency(manifest, name):
            self._spared.add(manifest.directory)
            return True
        if manifest.insists_on(name) or self.sparing.builds(manifest):
            return False
        return self._is_marked(name)

    def _is_for_tools(self, name: str, directory: str) -> bool:
        """Whether a package is there for development only, as far as the manifests tell."""
        if self._level is Level.SAFE:
            return False
        if self._development is None:
            self._development = dict.fromkeys(self._development_closure())
        for place in self.tree.find(name, directory)[:1]:
            entry = self.world.rootfs.lookup(place)
            return entry is not None and entry.path in self._development
        return False

    def _development_closure(self) -> Iterator[str]:
        pending = [
            (name, manifest.directory)
            for manifest in self._manifests.values()
            for name in manifest.only_for_development
        ]
        seen: set[str] = set()
        while pending:
            name, directory = pending.pop()
            for place in self.tree.find(name, directory)[:1]:
                entry = self.world.rootfs.lookup(place)
                if entry is None or entry.path in seen or not is_third_party(entry.path):
                    continue
                seen.add(entry.path)
                yield entry.path
                manifest = self.tree.manifest(entry.path)
                if manifest is not None:
                    pending += [(wanted, entry.path) for wanted in manifest.wanted]

    def _manifest(self, directory: str) -> None:
        manifest = self._manifests[directory]
        for name in manifest.wanted:
            self.name(name, directory, join(directory, "package.json"))

    def _scan(self, entry: Entry, top: str) -> None:
        """A source of a package that is kept whole: does it name what is not reached yet?"""
        data = self.world.rootfs.read_bytes(entry)
        names = {s for s in quick_specifiers(data) if self._is_news(s, entry.path, top)}
        starts = any(marker in data for marker in node_table().call_markers)
        if not names and not starts:
            return
        if len(data) > _LARGEST_PARSED_BYTES:
            # A bundle takes the grammar seconds: what looks like a name is taken for one.
            for name in sorted(names):
                for target in self.resolver.resolve(name, entry.path):
                    self.load(target, entry.path)
            if starts:
                reason = "shell that sources start"
                self._found.append(
                    Need("/bin/sh", Group.PROGRAM, reason, entry.path, optional=True)
                )
            return
        facts = read_source(data, posixpath.splitext(entry.path)[1])
        for value, line in facts.modules:
            if value.complete and not value.based and value.text in names:
                for target in self.resolver.resolve(value.text, entry.path):
                    self.load(target, entry.path, line)
        self._found += program_findings(self.world, entry.path, facts.starts, own=False)

    def _left_paths(self, top: str) -> frozenset[str]:
        """The sources of a package that the level leaves out."""
        if top not in self._left_code:
            paths = (entry.path for entry, _ in self.left.get(top, ()))
            self._left_code[top] = frozenset(path for path in paths if is_code(path))
        return self._left_code[top]

    def _is_news(self, specifier: str, origin: str, top: str) -> bool:
        if specifier.startswith(("./", "../")):
            left = self._left_paths(top)
            return bool(left) and any(
                t.path in left for t in self.resolver.resolve(specifier, origin)
            )
        if not is_bare(specifier):
            return False
        name, _ = package_name(specifier)
        directory = posixpath.dirname(origin)
        for place in self.tree.find(name, directory)[:1]:
            entry = self.world.rootfs.lookup(place)
            found = self.tree.top(entry.path) if entry is not None else ""
            known = not found or found == top or found in self.packages
            return not known and not self._does_without(name, origin)
        return False

    def _reconsider(self) -> None:
        """Rows whose ``unless`` has come true: a compiler or a reader of source maps runs."""
        self._use_spare()
        names = {m.name for top in self.packages if (m := self.tree.manifest(top)) is not None}
        names |= self.flags
        for row in (row for row in node_table().brings if row[0] in names):
            for top in self.units.files:
                manifest = self.tree.manifest(top)
                if manifest is not None and row[1].fullmatch(manifest.name):
                    self.reach(top, f"<{row[0]}>")
        for top, left in self.left.items():
            for pair in [p for p in left if p[1] is not None and names & set(p[1].unless)]:
                left.remove(pair)
                path = pair[0].path
                self._found.append(
                    Need(path, Group.DEPENDENCY, self._reason(top), self.packages[top])
                )
