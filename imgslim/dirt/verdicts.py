"""What becomes of each finding in the slim image, in the words of the audit."""

from __future__ import annotations

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
    keeps = () if plan is None else plan.keeps
    kept = {keep.moved_from or keep.entry.path for keep in keeps}

    def verdict(finding: Finding) -> Verdict | None:
        if finding.deleted_by is not None:
            return Verdict.HIDDEN
        entry = rootfs.entries.get(finding.where)
        if entry is None:
            return None
        # Of hard links any name will do, of a directory its own alone.
        return Verdict.NEEDED if entry.path in kept else fate.verdict(entry.path, entry)

    findings = (replace(finding, verdict=verdict(finding)) for finding in dirt.findings)
    return replace(dirt, findings=tuple(findings))
