"""What should be in no image: programs with more rights than their user, files that everyone may
write, histories, keys, logins and tokens, also in layers below the one that deleted them.

Without a scanner no file is read but those whose name is in ``dirt.toml``, and of those 64 KiB.
With one, every byte of the files that are the user's is. Values are never kept: what comes out are
places, rules, and instructions whose secrets are covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby

from imgslim.audit import instruction
from imgslim.dirt.config import find_tokens
from imgslim.dirt.contents import is_compressed, scan_file
from imgslim.dirt.covers import cover_image as cover_image
from imgslim.dirt.covers import nothing_more as nothing_more
from imgslim.dirt.kingfisher import SecretScanner as SecretScanner
from imgslim.dirt.model import Dirt as Dirt
from imgslim.dirt.model import DirtKind as DirtKind
from imgslim.dirt.model import Finding as Finding
from imgslim.dirt.model import Scanned as Scanned
from imgslim.dirt.model import Spared as Spared
from imgslim.dirt.model import Undone as Undone
from imgslim.dirt.names import is_candidate, rule_for
from imgslim.dirt.owners import OriginOf, is_others, origins_after, origins_of
from imgslim.dirt.permissions import find_privileged, find_world_writable
from imgslim.dirt.stored import Life, dead_files, lives_of
from imgslim.layers import OnProgress
from imgslim.model import Entry, Image, Layer, Origin, OriginKind
from imgslim.world import World

_ORDER = {kind: number for number, kind in enumerate(DirtKind)}


def find_dirt(
    image: Image,
    layers: Sequence[Layer],
    world: World,
    scanner: SecretScanner | None = None,
    *,
    origin_of: OriginOf | None = None,
    on_progress: OnProgress | None = None,
) -> Dirt:
    """What should not be in ``image``. ``layers`` are its indexed layers, ``world`` their merged
    tree with its packages, ``origin_of`` says who put a path there (None: found out if need be).
    With ``scanner`` contents are read, too; progress counts their bytes."""
    search = _Search(image, layers, world, scanner, origin_of)
    findings = list(find_tokens(image, scanner.in_text if scanner else nothing_more))
    findings += find_privileged(world.rootfs, search.tell)
    findings += find_world_writable(world.rootfs, search.tell)
    findings += search.files(on_progress)
    findings.sort(key=lambda finding: (_ORDER[finding.kind], finding.where, finding.rule))
    return Dirt(tuple(findings), search.spared(), search.scanned())


def _last(row: tuple[Life, Entry, Finding]) -> int:
    return row[0].last


class _Search:
    """One image's files: who brought them, and what was found in them."""

    def __init__(
        self,
        image: Image,
        layers: Sequence[Layer],
        world: World,
        scanner: SecretScanner | None,
        origin_of: OriginOf | None,
    ) -> None:
        self._layers = layers
        self._world = world
        self._scanner = scanner
        self._judged = origin_of
        _, clean = cover_image(image, layers, scanner.in_text if scanner else nothing_more)
        self._made_by = [instruction(layer.blob.created_by) for layer in clean]
        self._spared: dict[OriginKind, list[int]] = {}
        self._read = [0, 0, 0]

    def tell(
        self, kind: DirtKind, entry: Entry, rule: str, count: int = 1, line: int = 0
    ) -> Finding:
        """A finding about a path of the merged tree."""
        return Finding(
            kind,
            entry.path,
            rule,
            entry.layer_index,
            self._made_by[entry.layer_index],
            owner=self._owner(entry.path),
            line=line,
            count=count,
        )

    def _owner(self, path: str) -> str:
        packages = self._world.packages
        owner = packages.owner(path) or packages.distribution_owner(path)
        return owner.key if owner else ""

    @cached_property
    def _origin_of(self) -> OriginOf:
        """Asked for only where something was found, or is to be read: it takes its time."""
        return origins_of(self._world, self._judged)

    def files(self, on_progress: OnProgress | None) -> Iterator[Finding]:
        """Findings by name and by contents: in the tree, then in what later layers took away."""
        rootfs = self._world.rootfs
        files = (entry for entry in rootfs.entries.values() if entry.is_file)
        alive = [entry for entry in self._once(files) if not self._is_skipped(entry)]
        dead = [entry for entry in dead_files(self._layers, rootfs) if self._is_looked_at(entry)]
        total, done = sum(entry.size_bytes for entry in (*alive, *dead)), 0
        gone: list[Finding] = []
        entries: list[Entry] = []
        for number, entry in enumerate((*alive, *dead)):
            for finding in self._in_file(entry):
                if number < len(alive):
                    if self._scanner is not None or not self._is_spared(entry):
                        yield finding
                else:
                    gone.append(finding)
                    entries.append(entry)
            done += entry.size_bytes
            if on_progress and self._scanner:
                on_progress("looking for secrets", done, total)
        yield from self._taken_away(gone, entries)

    def _once(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The files to look at, of hard links one: one whose name says something, if there is."""
        seen: set[int] = set()
        wanted = [entry for entry in entries if self._is_looked_at(entry)]
        for entry in sorted(wanted, key=lambda entry: not is_candidate(entry)):
            if entry.inode not in seen:
                seen.add(entry.inode)
                yield entry

    def _is_looked_at(self, entry: Entry) -> bool:
        return entry.size_bytes > 0 and (self._scanner is not None or is_candidate(entry))

    def _is_skipped(self, entry: Entry) -> bool:
        """Whether a file is not even read: by name alone there are few to read."""
        return self._scanner is not None and self._is_spared(entry)

    def _is_spared(self, entry: Entry) -> bool:
        origin = self._origin_of(entry.path)
        if not is_others(origin):
            return False
        self._spare(origin.kind, entry)
        return True

    def _spare(self, kind: OriginKind, entry: Entry) -> None:
        sums = self._spared.setdefault(kind, [0, 0])
        sums[0] += 1
        sums[1] += entry.size_bytes

    def _in_file(self, entry: Entry) -> Iterator[Finding]:
        rule = rule_for(self._world.rootfs, entry)
        if rule is not None:
            yield self.tell(rule.kind, entry, rule.rule)
        elif self._scanner is not None:
            yield from self._in_contents(entry, self._scanner)

    def _in_contents(self, entry: Entry, scanner: SecretScanner) -> Iterator[Finding]:
        if is_compressed(self._world.rootfs, entry):
            self._read[2] += 1
            return
        self._read[0] += 1
        self._read[1] += entry.size_bytes
        for seen in scan_file(self._world.rootfs, entry, scanner):
            yield self.tell(DirtKind.SECRET, entry, seen.rule, seen.count, seen.line)

    def _taken_away(
        self, findings: Sequence[Finding], entries: Sequence[Entry]
    ) -> Iterator[Finding]:
        """Findings in files that the tree lacks, less what a package had brought there."""
        lives = lives_of(self._layers, entries)
        rows = [(lives[e.inode], e, f) for f, e in zip(findings, entries, strict=True)]
        for last, group in groupby(sorted(rows, key=_last), key=_last):
            origin_of = origins_after(self._layers, last, self._world) if last >= 0 else None
            for life, entry, finding in group:
                origin = origin_of(life.path) if origin_of else Origin(OriginKind.USER)
                if is_others(origin):
                    self._spare(origin.kind, entry)
                else:
                    yield self._undone(finding, life)

    def _undone(self, finding: Finding, life: Life) -> Finding:
        undone = Undone(life.by_layer, self._made_by[life.by_layer], life.how)
        return Finding(
            finding.kind,
            life.path,
            finding.rule,
            finding.layer_index,
            finding.instruction,
            undone,
            line=finding.line,
            count=finding.count,
        )

    def spared(self) -> tuple[Spared, ...]:
        rows = (Spared(kind, *sums) for kind, sums in self._spared.items())
        return tuple(sorted(rows, key=lambda row: (-row.files, row.origin)))

    def scanned(self) -> Scanned | None:
        return None if self._scanner is None else Scanned(*self._read)
