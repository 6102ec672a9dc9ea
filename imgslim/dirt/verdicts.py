"""What becomes of each finding in the slim image, in the words of the audit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from imgslim.audit.model import Verdict
from imgslim.audit.needed import Fate
from imgslim.dirt.model import Dirt, Finding
from imgslim.model import Plan
from imgslim.rootfs import Rootfs


def with_verdicts(dirt: Dirt, rootfs: Rootfs, plan: Plan | None) -> Dirt:
    """``dirt`` of an image whose merged tree is ``rootfs``, each path with its verdict under
    ``plan`` (None: it has none, and what is in the tree is undecided)."""
    fate = Fate(plan)
    found = (rootfs.entries.get(finding.where) for finding in dirt.findings)
    names = _names(rootfs, {entry.inode for entry in found if entry is not None and entry.is_file})

    def verdict(finding: Finding) -> Verdict | None:
        if finding.deleted_by is not None:
            return Verdict.HIDDEN
        entry = rootfs.entries.get(finding.where)
        if entry is None:
            return None
        return fate.verdict(entry.path, names.get(entry.inode, ()))

    findings = (replace(finding, verdict=verdict(finding)) for finding in dirt.findings)
    return replace(dirt, findings=tuple(findings))


def _names(rootfs: Rootfs, inodes: Set[int]) -> Mapping[int, Sequence[str]]:
    """The paths of the files ``inodes``: a hard link is needed when any of its names is."""
    names: dict[int, list[str]] = defaultdict(list)
    if inodes:
        for path, entry in rootfs.entries.items():
            if entry.is_file and entry.inode in inodes:
                names[entry.inode].append(path)
    return names
