"""How a build cuts a package database of the fat image to its content in the slim one.

Both contents in, names and patterns out: few enough to be read, and checked here to give exactly
the content that was planned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from imgslim.databases.lines import (
    Paragraph,
    apk_paragraphs,
    control_paragraphs,
    cut_apk,
    cut_control,
    cut_sums,
    lines_of,
    summed_path,
)
from imgslim.databases.patterns import ALL, Patterns, sayable
from imgslim.model import Keep
from imgslim.rootfs import Rootfs


class Format(Enum):
    """The text databases that a build can cut."""

    CONTROL = "dpkg's packages"
    SUMS = "dpkg's checksums"
    APK = "apk's packages"


@dataclass(frozen=True, slots=True)
class Filter:
    """What stays of ``paths``, all of one format: the packages ``names`` (``NAME`` or
    ``NAME:ARCHITECTURE``) of ``packages`` in all, and of their files those that ``files`` means.
    """

    format: Format
    paths: tuple[str, ...]
    names: tuple[bytes, ...] = ()
    packages: int = 0
    files: Patterns = ALL

    def cut(self, text: bytes) -> bytes:
        """What the build makes of ``text``."""
        match self.format:
            case Format.CONTROL:
                return cut_control(text, frozenset(self.names))
            case Format.APK:
                return cut_apk(text, frozenset(self.names), self.files)
            case Format.SUMS:
                return cut_sums(text, self.files)


_MOST_NAME_BYTES = 40_000
"""An instruction has 65,535 bytes (trap 24), some for the patterns and the loops."""


@dataclass(frozen=True, slots=True)
class _Rewrite:
    path: str
    fat: bytes
    slim: bytes


def derive_filters(rootfs: Rootfs, keeps: Iterable[Keep]) -> tuple[tuple[Filter, ...], set[str]]:
    """The filters that make the ``content`` of ``keeps`` from the fat image's files, and the paths
    whose content none of them makes."""
    found: dict[Format, list[_Rewrite]] = defaultdict(list)
    unsayable: set[str] = set()
    for keep in keeps:
        if keep.content is None:
            continue
        format_ = _format_of(keep.entry.path)
        rewrite = _Rewrite(keep.entry.path, rootfs.read_bytes(keep.entry), keep.content)
        if format_ is None or b"\0" in rewrite.fat:
            unsayable.add(rewrite.path)
        else:
            found[format_].append(rewrite)
    filters: list[Filter] = []
    for format_, rewrites in found.items():
        derived = _DERIVE[format_](rewrites)
        wrong = {one.path for one in rewrites if derived.cut(one.fat) != one.slim}
        if sum(len(name) + 3 for name in derived.names) > _MOST_NAME_BYTES:
            wrong = set(derived.paths)
        unsayable |= wrong
        paths = tuple(path for path in derived.paths if path not in wrong)
        filters += [replace(derived, paths=paths)] if paths else []
    return tuple(filters), unsayable


def _format_of(path: str) -> Format | None:
    if path.endswith(".md5sums"):
        return Format.SUMS
    if path.endswith("/apk/db/installed"):
        return Format.APK
    return Format.CONTROL if "/dpkg/status" in path else None


def _control(rewrites: Sequence[_Rewrite]) -> Filter:
    fat = [p for one in rewrites for p in control_paragraphs(one.fat)]
    slim = [p for one in rewrites for p in control_paragraphs(one.slim)]
    return Filter(Format.CONTROL, _paths(rewrites), _names(fat, slim), len(fat))


def _names(fat: Iterable[Paragraph], slim: Iterable[Paragraph]) -> tuple[bytes, ...]:
    """A name alone, or with the architecture where the package stays of one and not of another."""
    architectures: dict[bytes, set[bytes]] = defaultdict(set)
    for paragraph in fat:
        architectures[paragraph.name].add(paragraph.architecture)
    stay: dict[bytes, set[bytes]] = defaultdict(set)
    for paragraph in slim:
        stay[paragraph.name].add(paragraph.architecture)
    names = set()
    for name, some in stay.items():
        names |= {name} if some == architectures[name] else {name + b":" + one for one in some}
    return tuple(sorted(names))


def _apk(rewrites: Sequence[_Rewrite]) -> Filter:
    fat = [p for one in rewrites for p in apk_paragraphs(one.fat, lambda _: True)]
    slim = [p for one in rewrites for p in apk_paragraphs(one.slim, lambda _: True)]
    stay = {paragraph.name: frozenset(paragraph.files) for paragraph in slim}
    verdicts = {
        path: path in stay[paragraph.name]
        for paragraph in fat
        for path in (paragraph.files if paragraph.name in stay else ())
    }
    names = tuple(sorted(stay))
    return Filter(Format.APK, _paths(rewrites), names, len(fat), sayable(verdicts))


def _sums(rewrites: Sequence[_Rewrite]) -> Filter:
    verdicts: dict[bytes, bool] = {}
    for one in rewrites:
        stay = frozenset(lines_of(one.slim))
        for line in lines_of(one.fat):
            path = summed_path(line)
            verdicts[path] = verdicts.get(path, False) or line in stay
    return Filter(Format.SUMS, _paths(rewrites), files=sayable(verdicts))


def _paths(rewrites: Sequence[_Rewrite]) -> tuple[str, ...]:
    return tuple(sorted(one.path for one in rewrites))


_DERIVE: dict[Format, Callable[[Sequence[_Rewrite]], Filter]] = {
    Format.CONTROL: _control,
    Format.APK: _apk,
    Format.SUMS: _sums,
}
