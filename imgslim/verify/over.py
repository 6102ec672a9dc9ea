"""What a plan expects of an image that lies over another: what that holds has its times."""

from __future__ import annotations

from dataclasses import replace

from imgslim.bases.held import held_entries, with_parents
from imgslim.model import Entry, Image
from imgslim.rootfs import Rootfs
from imgslim.verify.digests import digest_of_file
from imgslim.verify.expected import Expected, ExpectedPath, on_base


def over(expected: Expected, base: Image, rootfs: Rootfs) -> Expected:
    """``expected`` of scratch, laid over ``base`` with the merged tree ``rootfs``. What is the same
    in both is not copied, by the rule by which ``--base`` decides it; contents are compared by
    their digests, as a plan's file has no others."""
    paths = expected.paths

    def is_same(entry: Entry, other: Entry) -> bool:
        row = paths[entry.path]
        if row.mapped or entry.size_bytes != other.size_bytes:
            return False
        return row.digest == digest_of_file(rootfs, other)

    def timed(path: str, row: ExpectedPath) -> ExpectedPath:
        if path in copied:
            return row
        return replace(row, entry=replace(row.entry, mtime=rootfs.entries[path].mtime))

    held = held_entries([row.entry for row in paths.values()], rootfs, is_same)
    copied = with_parents(paths.keys() - held)
    laid = {path: timed(path, row) for path, row in paths.items()}
    return on_base(replace(expected, paths=laid), base, rootfs)
