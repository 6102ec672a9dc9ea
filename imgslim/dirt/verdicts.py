"""What becomes of each finding in the slim image, in the words of the audit."""

from __future__ import annotations

from dataclasses import replace

from imgslim.audit.model import Verdict
from imgslim.audit.needed import Fate
from imgslim.dirt.model import Dirt, Finding
from imgslim.model import Plan, paths_by_inode
from imgslim.rootfs import Rootfs


def with_verdicts(dirt: Dirt, rootfs: Rootfs, plan: Plan | None) -> Dirt:
    """``dirt`` of an image whose merged tree is ``rootfs``, each path with its verdict under
    ``plan`` (None: it has none, and what is in the tree is undecided)."""
    fate = Fate(plan)
    found = (rootfs.entries.get(finding.where) for finding in dirt.findings)
    inodes = {entry.inode for entry in found if entry is not None and entry.is_file}
    there = rootfs.entries.values() if inodes else ()
    # A hard link is needed when any of its names is.
    names = paths_by_inode(entry for entry in there if entry.inode in inodes)

    def verdict(finding: Finding) -> Verdict | None:
        if finding.deleted_by is not None:
            return Verdict.HIDDEN
        entry = rootfs.entries.get(finding.where)
        if entry is None:
            return None
        return fate.verdict(entry.path, names.get(entry.inode, ()))

    findings = (replace(finding, verdict=verdict(finding)) for finding in dirt.findings)
    return replace(dirt, findings=tuple(findings))
