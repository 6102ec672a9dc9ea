"""The merged tree of an image, and look-ups in it that never leave it for the host.

Merging follows the OCI image spec's layer.md: whiteouts and opaque directories hide what lower
layers hold, never what their own layer brings. A member below a link that a lower layer holds goes
to the link's target, as containerd applies layers.
"""

from __future__ import annotations

import fnmatch
import json
import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from imgslim.errors import ArchiveError
from imgslim.globs import glob_regex, split_pattern
from imgslim.layers import AUFS_METADATA_PREFIX, FileSlice
from imgslim.model import Entry, Kind, Layer, LayerBlob, owned_by

MAX_LINKS = 40
"""Links on one way before it counts as a loop (Linux: MAXSYMLINKS, path_resolution(7))."""

_IMPLICIT_PARENT_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path leads: ``entry`` (None: nowhere), its canonical ``path``, the links passed.

    ``links`` are the canonical paths of the links on the way, first to last; of a dangling path,
    too: ``path`` is then where the target would be.
    """

    entry: Entry | None
    path: str
    links: tuple[str, ...] = ()


class Rootfs:
    """The merged tree: entries by canonical path. Close it (or use ``with``) to free the layers."""

    def __init__(self, entries: dict[str, Entry], blobs: Sequence[LayerBlob]) -> None:
        self.entries = entries
        self._blobs = blobs
        self._windows: dict[int, FileSlice] = {}
        self._children: dict[str, list[str]] = {}
        for path in entries:
            if path != "/":
                self._children.setdefault(path.rpartition("/")[0] or "/", []).append(path)
        for paths in self._children.values():
            paths.sort()

    @classmethod
    def of_layers(cls, layers: Sequence[Layer]) -> Rootfs:
        """The merged tree of ``layers``, base first."""
        return cls(merge_layers(layers), [layer.blob for layer in layers])

    def __enter__(self) -> Rootfs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def without(self, paths: Container[str]) -> Rootfs:
        """This tree less ``paths``; a directory that holds something else stays. What it reads, it
        reads through this one, which is to be closed after it."""
        left = {path: entry for path, entry in self.entries.items() if path not in paths}
        for path in tuple(left):
            while (path := path.rpartition("/")[0]) and path not in left:
                left[path] = self.entries[path]
        return self.with_entries(left)

    def with_entries(self, entries: dict[str, Entry]) -> Rootfs:
        """A tree of ``entries``, files of this one; it reads through this one, as above."""
        other = Rootfs(entries, self._blobs)
        other._windows = self._windows
        return other

    def close(self) -> None:
        with ExitStack() as stack:
            for window in self._windows.values():
                stack.callback(window.close)
            self._windows.clear()

    def get(self, path: str) -> Entry | None:
        """The entry at exactly this canonical path; no link is followed."""
        return self.entries.get(path)

    def children(self, path: str) -> Sequence[str]:
        """The names in a directory, sorted; empty for anything else."""
        cut = 1 if path == "/" else len(path) + 1
        return [child[cut:] for child in self._children.get(path, ())]

    def children_paths(self, path: str) -> Sequence[str]:
        """The same as paths."""
        return self._children.get(path, ())

    def walk(self, top: str) -> Iterator[Entry]:
        """``top`` and all below it, parents first, names sorted; links are not followed."""
        pending = [top] if top in self.entries else []
        while pending:
            path = pending.pop()
            yield self.entries[path]
            pending.extend(reversed(self._children.get(path, ())))

    def resolve(self, path: str, *, base: str = "/", follow_last: bool = True) -> Resolved:
        """Follow ``path`` (relative ones from ``base``) through all links, inside the image.

        With ``follow_last=False`` a link named by the last component is itself the answer.
        """
        there = self.entries.get(path)
        if there is not None and not (follow_last and there.kind is Kind.SYMLINK):
            return Resolved(there, path)  # canonical: there are no links in its directories
        pending = [part for part in posixpath.join(base, path).split("/") if part][::-1]
        here = ""
        links: list[str] = []
        while pending:
            part = pending.pop()
            if part == ".":
                continue
            if part == "..":
                here = here.rpartition("/")[0]
                continue
            candidate = f"{here}/{part}"
            entry = self.entries.get(candidate)
            if entry is not None and entry.kind is Kind.SYMLINK and (pending or follow_last):
                if len(links) >= MAX_LINKS:
                    return Resolved(None, candidate, tuple(links))
                links.append(candidate)
                pending.extend([p for p in entry.link_target.split("/") if p][::-1])
                if entry.link_target.startswith("/"):
                    here = ""
                continue
            here = candidate
        final = here or "/"
        return Resolved(self.entries.get(final), final, tuple(links))

    def lookup(self, path: str) -> Entry | None:
        """The entry that ``path`` leads to through links, or None."""
        entry = self.entries.get(path)
        if entry is not None and entry.kind is not Kind.SYMLINK:
            return entry
        return self.resolve(path).entry

    def canonical(self, path: str) -> str:
        """``path`` with the links in its directories resolved; the last component is kept."""
        return path if path in self.entries else self.resolve(path, follow_last=False).path

    def read_bytes(self, entry: Entry, limit: int | None = None) -> bytes:
        """The first ``limit`` bytes of a regular file (all: None). Sparse holes read as zeros."""
        size = entry.size_bytes if limit is None else min(limit, entry.size_bytes)
        if not entry.is_file or size == 0:
            return b""
        return self.pread(entry, 0, size)

    def pread(self, entry: Entry, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset`` of a regular file, fewer at its end."""
        size = min(size, entry.size_bytes - offset)
        if size <= 0:
            return b""
        if entry.sparse is not None:
            return self._read_sparse(entry, offset, size)
        return self._window(entry.layer_index).pread(entry.data_offset + offset, size)

    def read_text(self, path: str) -> str:
        """The text of the file that ``path`` leads to ("" if there is none), undecodable bytes
        as surrogate escapes."""
        entry = self.lookup(path)
        if entry is None:
            return ""
        return self.read_bytes(entry).decode("utf-8", "surrogateescape")

    def read_json(self, entry: Entry) -> Any:
        """The value of a JSON file; None where it is damaged."""
        try:
            return json.loads(self.read_bytes(entry))
        except (ValueError, RecursionError):
            return None

    def glob(self, pattern: str) -> Iterator[Entry]:
        """Entries whose canonical path matches, sorted: ``*`` and ``?`` within a component,
        ``**`` over any depth, also none; links in the fixed part are followed."""
        fixed, rest = split_pattern(pattern)
        top = self.resolve(fixed).path
        if not rest:
            entry = self.entries.get(top)
            if entry is not None:
                yield entry
            return
        yield from self._glob(top, rest)

    def _glob(self, directory: str, parts: Sequence[str]) -> Iterator[Entry]:
        prefix = "" if directory == "/" else directory
        if parts[0] == "**":
            matches = re.compile(glob_regex("/".join(parts))).fullmatch
            below = (entry for entry in self.walk(directory) if entry.path != directory)
            yield from (entry for entry in below if matches(entry.path[len(prefix) + 1 :]))
            return
        for name in self.children(directory):
            if fnmatch.fnmatchcase(name, parts[0]):
                path = f"{prefix}/{name}"
                if len(parts) > 1:
                    yield from self._glob(path, parts[1:])
                else:
                    yield self.entries[path]

    def _window(self, layer_index: int) -> FileSlice:
        window = self._windows.get(layer_index)
        if window is None:
            blob = self._blobs[layer_index]
            window = FileSlice(blob.tar_path, blob.tar_offset, blob.tar_size_bytes)
            self._windows[layer_index] = window
        return window

    def _read_sparse(self, entry: Entry, offset: int, size: int) -> bytes:
        content = bytearray(size)
        stored = entry.data_offset
        for start, length in entry.sparse or ():
            first, last = max(start, offset), min(start + length, offset + size)
            if first < last:
                data = self._window(entry.layer_index).pread(stored + first - start, last - first)
                content[first - offset : first - offset + len(data)] = data
            stored += length
        return bytes(content)


def merge_layers(layers: Iterable[Layer]) -> dict[str, Entry]:
    """Merge indexed layers, base first, to one tree of canonical paths.

    Directories that no member names get root's ownership and mode 0755, as engines make them.
    Raises ArchiveError for a hard link whose target is not there or a directory.
    """
    merged = Merge()
    for layer in layers:
        merged.apply(layer)
    return merged.entries


class Merge:
    """The tree while layers are applied to it, with the paths in each directory: ``entries``."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._inside: dict[str, dict[str, None]] = {"/": {}}
        self._put(_implicit_directory("/", 0))

    def apply(self, layer: Layer) -> None:
        if layer.opaques or layer.whiteouts:
            self._hide(layer)
        for entry in layer.entries:
            self._add(entry)
        for path in [p for p in self._inside["/"] if p.startswith(f"/{AUFS_METADATA_PREFIX}")]:
            # Old layers keep the targets of hard links in /.wh..wh.plnk; they are no files.
            self._remove(path)

    def _hide(self, layer: Layer) -> None:
        """Remove what the layer deletes of those below, before its own members come.

        Where it puts a member of its own in place of a lower link, it deletes nothing behind it.
        """
        own = {entry.path for entry in layer.entries}
        for path in layer.opaques:
            directory = self._resolve_directory(path, own)
            for inside in tuple(self._inside.get(directory or "/", ())):
                self._remove(inside)
        for path in layer.whiteouts:
            parent, _, name = path.rpartition("/")
            self._remove(f"{self._resolve_directory(parent, own)}/{name}")

    def _add(self, entry: Entry) -> None:
        path = self._canonical(entry.path)
        if entry.kind is Kind.HARD_LINK:
            entry = self._linked(entry)
        if path == "/" and entry.kind is not Kind.DIRECTORY:
            raise _damaged(entry, f"the root is a {entry.kind}")
        if path != entry.path:
            entry = replace(entry, path=path)
        self._make_parents(path, entry.layer_index)
        present = self.entries.get(path)
        if present is not None and not (
            present.kind is Kind.DIRECTORY and entry.kind is Kind.DIRECTORY
        ):
            self._remove(path)
        self._put(entry)

    def _linked(self, entry: Entry) -> Entry:
        target = self.entries.get(self._canonical(entry.link_target))
        if target is None or target.kind is Kind.DIRECTORY:
            what = "which is not there" if target is None else "a directory"
            raise _damaged(entry, f"{entry.path} is a hard link to {entry.link_target}, {what}")
        return replace(target, path=entry.path)

    def _canonical(self, path: str) -> str:
        """Resolve links in the directories of ``path``: usually there are none."""
        parent, _, name = path.rpartition("/")
        if not parent:
            return path
        known = self.entries.get(parent)
        if known is not None and known.kind is Kind.DIRECTORY:
            return path
        return f"{self._resolve_directory(parent)}/{name}"

    def _resolve_directory(self, path: str, unfollowed: Set[str] = frozenset()) -> str:
        """Where the directory ``path`` is ("": the root); links in ``unfollowed`` stay."""
        here, links = "", 0
        pending = [part for part in path.split("/") if part][::-1]
        while pending:
            part = pending.pop()
            if part in (".", ".."):
                here = here.rpartition("/")[0] if part == ".." else here
                continue
            candidate = f"{here}/{part}"
            entry = self.entries.get(candidate)
            if (
                entry
                and entry.kind is Kind.SYMLINK
                and links < MAX_LINKS
                and candidate not in unfollowed
            ):
                links += 1
                pending.extend([p for p in entry.link_target.split("/") if p][::-1])
                here = "" if entry.link_target.startswith("/") else here
            else:
                here = candidate
        return here

    def _make_parents(self, path: str, layer_index: int) -> None:
        missing = []
        parent = path.rpartition("/")[0] or "/"
        while (known := self.entries.get(parent)) is None or known.kind is not Kind.DIRECTORY:
            missing.append(parent)
            parent = parent.rpartition("/")[0] or "/"
        for directory in reversed(missing):
            self._remove(directory)
            self._put(_implicit_directory(directory, layer_index))

    def _put(self, entry: Entry) -> None:
        path = entry.path
        self.entries[path] = entry
        if path != "/":
            self._inside.setdefault(path.rpartition("/")[0] or "/", {})[path] = None

    def _remove(self, path: str) -> None:
        """Remove ``path`` and all below it; nothing happens where nothing is."""
        if path not in self.entries:
            return
        del self._inside[path.rpartition("/")[0] or "/"][path]
        pending = [path]
        while pending:
            path = pending.pop()
            del self.entries[path]
            pending.extend(self._inside.pop(path, ()))


def _damaged(entry: Entry, why: str) -> ArchiveError:
    return ArchiveError(
        f"layer {entry.layer_index} is damaged: {why}", hint="save or pull the image again"
    )


def _implicit_directory(path: str, layer_index: int) -> Entry:
    return Entry(
        path=path,
        kind=Kind.DIRECTORY,
        mode=_IMPLICIT_PARENT_MODE,
        size_bytes=0,
        mtime=0,
        traits=owned_by(0, 0),
        layer_index=layer_index,
        data_offset=-1,
    )
