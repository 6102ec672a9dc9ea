"""The stored bytes of an image as trees, small enough for a picture.

A tree has one tile for the whole, below it groups (layers, packages, kinds), below those
directories and files. Whatever the image, the tiles of a tree fit into a fixed number of bytes:
the largest have tiles of their own, what is left of their parents is told in one sum each.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from imgslim.audit.model import HIDDEN, NOBODY, Audit, Cell, FileAudit, Verdict, WastedFile, Weight
from imgslim.reports.audit_tables import layer_name, package_title
from imgslim.reports.words import printable

MAP_FILES = 5000
"""Files that a map can show by name, the largest: more than MAX_BYTES has room for."""

MAX_BYTES = 300_000
"""Of one tree as JSON, without reasons: beyond, the smallest tiles are left out."""

MAX_NAME = 100
"""Characters of a name; one that is longer is cut in its middle."""

MAX_WHY = 160
"""Characters of what a tile says of who needs it."""

MAX_REASONS = 200
"""Tiles of one tree that say who needs them, the largest."""

_TILE = 40
"""Bytes that a tile takes beside its name: its parent and its numbers."""

Parts = tuple[str, ...]
"""The names on the way from the whole to a tile."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the whole. ``parent`` is the index of the tile that it lies in (-1: the whole, and
    the first of them); ``name`` is "" for what its parent has beyond the other tiles in it."""

    parent: int
    name: str
    weight: Weight
    why: str = ""


@dataclass(slots=True, eq=False)
class _Node:
    """``sums`` are the bytes by verdict, in the order of Verdict, then the files."""

    sums: list[int] = field(default_factory=lambda: [0] * 5)
    below: dict[str, _Node] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        return sum(self.sums[:4])


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of a cell, perhaps of one file of it that is known by ``name``."""

    cell: Cell
    name: str
    size_bytes: int
    file_count: int


_ORDER = {verdict: place for place, verdict in enumerate(Verdict)}


def draw_map(audit: Audit, by: str) -> list[Tile]:
    """The tiles of an audit, parents first, the largest first: ``by`` "dir" directories alone, by
    "layer", "package" or "kind" those within groups. The bytes of the tiles without others in them
    add up to the audit's."""
    groups = _GROUPS[by](audit)
    whole = _Node()
    for piece in _pieces(audit):
        names = [*groups(piece.cell), *_steps(piece.cell.directory)]
        _add(whole, [*names, f"/{piece.name}"] if piece.name else names, piece)
    return _tiles(whole, _reasons(audit, by))


def _add(node: _Node, names: list[str], piece: _Piece) -> None:
    place = _ORDER[piece.cell.verdict]
    node.sums[place] += piece.size_bytes
    node.sums[4] += piece.file_count
    for name in names:
        below = node.below.get(name)
        if below is None:
            below = node.below[name] = _Node()
        node = below
        node.sums[place] += piece.size_bytes
        node.sums[4] += piece.file_count


def _steps(path: str) -> list[str]:
    """Each with its slash, by which it is told from the name of a group."""
    return [f"/{step}" for step in path.split("/") if step]


def _by_directory(audit: Audit) -> Callable[[Cell], Parts]:
    return lambda cell: ()


def _by_layer(audit: Audit) -> Callable[[Cell], Parts]:
    names = {layer.index: (layer_name(audit, layer.index),) for layer in audit.layers}
    return lambda cell: names[cell.layer_index]


def _by_package(audit: Audit) -> Callable[[Cell], Parts]:
    def parts(cell: Cell) -> Parts:
        if cell.verdict is Verdict.HIDDEN or not cell.package:
            return (package_title(HIDDEN if cell.verdict is Verdict.HIDDEN else NOBODY),)
        system, _, name = cell.package.partition(":")
        return (system, name)

    return parts


def _by_kind(audit: Audit) -> Callable[[Cell], Parts]:
    titles = {row.name: row.title for row in audit.kinds}
    hidden = package_title(HIDDEN)

    def parts(cell: Cell) -> Parts:
        if cell.verdict is Verdict.HIDDEN:
            return (hidden,)
        title = titles[cell.kind]
        return (title, cell.unit) if cell.unit else (title,)

    return parts


_GROUPS: Mapping[str, Callable[[Audit], Callable[[Cell], Parts]]] = {
    "dir": _by_directory,
    "layer": _by_layer,
    "package": _by_package,
    "kind": _by_kind,
}


def _reasons(audit: Audit, by: str) -> dict[Parts, str]:
    """What needs the tiles that the tables know, too."""
    rows: list[tuple[Parts, str]]
    match by:
        case "layer":
            rows = [((layer_name(audit, row.index),), row.why) for row in audit.layers]
        case "package":
            rows = [(tuple(row.key.split(":", 1)), row.why) for row in audit.packages]
        case "kind":
            rows = [((row.title,), row.why) for row in audit.kinds]
        case _:
            rows = [(tuple(_steps(row.path)), row.why) for row in audit.directories]
            rows += [(tuple(_steps(row.path)), row.why) for row in audit.files]
    return {parts: why for parts, why in rows[:MAX_REASONS] if why}


def _pieces(audit: Audit) -> Iterator[_Piece]:
    """The cells, cut at the files that are known by name: the largest, and those that are alone in
    their cell."""
    named = _named_files(audit)
    needed = {_place(cell) for cell in audit.cells if cell.verdict is Verdict.NEEDED}
    for cell in audit.cells:
        size, count = cell.size_bytes, cell.file_count
        for name, file_bytes, files in named.get((_place(cell), cell.verdict), ()):
            size -= file_bytes
            count -= files
            yield _Piece(cell, name, file_bytes, files)
        # A cell of removable bytes may hold what is cut off the needed files beside it, too.
        is_mixed = cell.verdict is Verdict.REMOVABLE and _place(cell) in needed
        is_alone = cell.file_count == 1 and count == 1 and not is_mixed
        if size or count:
            yield _Piece(cell, cell.example.rpartition("/")[2] if is_alone else "", size, count)


_Place = tuple[int, str, str, str, str]


def _place(cell: Cell) -> _Place:
    return (cell.layer_index, cell.directory, cell.package, cell.kind, cell.unit)


def _named_files(audit: Audit) -> dict[tuple[_Place, Verdict], list[tuple[str, int, int]]]:
    """(name, bytes, files) of the largest files, by the cell that they are in."""
    found: dict[tuple[_Place, Verdict], list[tuple[str, int, int]]] = defaultdict(list)
    for file in audit.files:
        place, name = _place_of(file, file.package)
        is_needed = file.verdict is Verdict.NEEDED
        size = file.needed_bytes if is_needed else file.size_bytes
        found[place, file.verdict].append((name, size, 1))
        if size < file.size_bytes:
            found[place, Verdict.REMOVABLE].append((name, file.size_bytes - size, 0))
    for wasted in audit.wasted[:MAP_FILES]:
        place, name = _place_of(wasted, "")
        found[place, Verdict.HIDDEN].append((name, wasted.size_bytes, 1))
    return found


def _place_of(file: FileAudit | WastedFile, package: str) -> tuple[_Place, str]:
    directory, _, name = file.path.rpartition("/")
    return (file.layer_index, directory or "/", package, file.kind, file.unit), name


def _tiles(whole: _Node, reasons: Mapping[Parts, str]) -> list[Tile]:
    shown = _largest(whole)
    tiles = [Tile(-1, "", _weight(whole.sums))]
    open_nodes: list[tuple[int, _Node, Parts]] = [(0, whole, ())]
    for index, node, parts in open_nodes:
        kept = [(name, below) for name, below in node.below.items() if below in shown]
        if not kept:
            continue
        for name, below in sorted(kept, key=lambda row: (-row[1].size_bytes, row[0])):
            label, end, way = name, below, (*parts, name)
            while label.startswith("/") and (step := _only(end, shown)):
                label, end, way = f"{label}{step[0]}", step[1], (*way, step[0])
            open_nodes.append((len(tiles), end, way))
            why = cut(reasons.get(way, ""), MAX_WHY)
            tiles.append(Tile(index, cut(label, MAX_NAME), _weight(end.sums), why))
        rest = [
            a - sum(b) for a, *b in zip(node.sums, *(below.sums for _, below in kept), strict=True)
        ]
        if any(rest[:4]):
            tiles.append(Tile(index, "", _weight(rest)))
    return tiles


def _only(node: _Node, shown: set[_Node]) -> tuple[str, _Node] | None:
    """The one thing in a directory, if it has no bytes beside it."""
    for name, below in node.below.items():
        if below.sums == node.sums and below in shown:
            return name, below
    return None


def _largest(whole: _Node) -> set[_Node]:
    """The nodes that get a tile of their own. One is never larger than the one that it is in, so
    that the way to each is among them."""
    found: list[tuple[int, int, str, _Node]] = []
    open_nodes = [(0, whole)]
    for depth, node in open_nodes:
        for name, below in node.below.items():
            if below.size_bytes:
                found.append((-below.size_bytes, depth, name, below))
                open_nodes.append((depth + 1, below))
    found.sort(key=lambda row: row[:3])
    shown = set()
    room = MAX_BYTES
    for _, _, name, node in found:
        room -= _TILE + len(page_json(cut(name, MAX_NAME)).encode())
        if room < 0:
            break
        shown.add(node)
    return shown


def _weight(sums: list[int]) -> Weight:
    return Weight(*sums)


def page_json(value: object) -> str:
    """JSON that is safe in a script element: nothing in it ends the element, or starts a comment
    (HTML, 4.12.1.3, Restrictions for contents of script elements)."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def cut(text: str, length: int) -> str:
    """``text`` for a page: printable, and not longer than ``length``."""
    shown = printable(text)
    if len(shown) <= length:
        return shown
    half = (length - 1) // 2
    return f"{shown[:half]}…{shown[-half:]}"
