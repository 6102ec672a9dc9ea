"""Whether stored bytes are in the slim image: the link from an audit to the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from imgslim.audit.model import Verdict
from imgslim.model import Entry, Plan

Explain = Callable[[str], str]
"""From a kept path to the one line that says what needs it; "" for what is not kept."""


def explain_nothing(path: str) -> str:
    """For an image without a plan."""
    return ""


class Fate:
    """What becomes of the files of one image under ``plan`` (None: it has none, and nothing is
    decided)."""

    def __init__(self, plan: Plan | None) -> None:
        self._has_plan = plan is not None
        keeps = () if plan is None else plan.keeps
        self._kept = {} if plan is None else plan.by_source
        self._smaller = {
            keep.entry.inode: keep.size_bytes
            for keep in keeps
            if keep.size_bytes < keep.entry.size_bytes
        }
        problems = () if plan is None else plan.problems
        self._doubted = {path for problem in problems for path in problem.left_out}

    def verdict(self, path: str, names: Iterable[str]) -> Verdict:
        """That on a file of the merged tree that counts as ``path``: needed when any of its names
        is."""
        if path in self._kept or not self._kept.keys().isdisjoint(names):
            return Verdict.NEEDED
        if not self._has_plan or path in self._doubted:
            return Verdict.UNDECIDED
        return Verdict.REMOVABLE

    def needed_bytes(self, entry: Entry) -> int:
        """Of a needed file, the bytes that the slim image has: fewer where the build strips it, or
        cuts a package database to what is kept."""
        return self._smaller.get(entry.inode, entry.size_bytes)
