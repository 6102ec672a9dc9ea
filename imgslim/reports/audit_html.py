"""The report of an audit as one HTML file: a map to go into, and the tables.

Nothing in the file asks for anything outside of it, and it forbids itself to (Content Security
Policy, Level 3: scripts by their hash). Vega draws the map; jinja2 escapes what the image says.
Both are an extra: Vega comes with a JavaScript engine that bundles it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from imgslim import __version__
from imgslim.audit.model import Advice, Audit, Verdict, Weight
from imgslim.audit.paths import NO_PATHS, PathList
from imgslim.dirt import Dirt
from imgslim.errors import UsageError
from imgslim.model import Image
from imgslim.reports.advice import advice_title, notes, packages_text
from imgslim.reports.audit_map import cut, draw_map, page_json
from imgslim.reports.audit_paths import pack_paths
from imgslim.reports.audit_tables import (
    OVERVIEW,
    Section,
    View,
    layer_name,
    sections,
    summary_lines,
    widest,
)
from imgslim.reports.dirt_text import HEADING, finding_lines
from imgslim.reports.words import printable, share_text, size_text

if TYPE_CHECKING:
    from jinja2 import Environment

GROUPINGS = {"dir": "Directory", "layer": "Layer", "package": "Package", "kind": "Kind"}
"""What the map may be grouped by: as ``--by`` calls it, and for people."""

PAGE_ROWS = 30
"""Rows of each table, unless the user says how many."""

MAX_ROWS = 200
"""Rows of each table, whatever the user says: the page is to stay small."""

MAX_LAYERS = 500

MAX_TEXT = 240
"""Characters of a cell."""

MAX_EDIT = 8000
"""Characters of an edit, which people copy."""

MAX_ADVICE = 30

_TITLES = {
    Verdict.NEEDED: "needed",
    Verdict.REMOVABLE: "removable",
    Verdict.UNDECIDED: "undecided",
    Verdict.HIDDEN: "hidden by later layers",
}


def check_extra() -> None:
    """Raise UsageError when what draws the page is not installed."""
    try:
        import jinja2
        import vl_convert
    except ImportError as error:
        raise UsageError(
            "--format html needs jinja2 and Vega, which are not installed",
            hint="pip install jinja2 'vl-convert-python<2'",
        ) from error
    del jinja2, vl_convert


def render_audit(
    image: Image,
    audit: Audit,
    dirt: Dirt,
    view: View = OVERVIEW,
    paths: PathList = NO_PATHS,
) -> str:
    """The whole page, whose search finds ``paths``. ``view.by`` is what the map is grouped by at
    first, ``view.top`` the rows of each table. Raises UsageError."""
    check_extra()
    import vl_convert

    scripts = {"library": _library(), "program": _read("search.js") + _read("audit.js")}
    lines = finding_lines(dirt)
    by = view.by if view.by in GROUPINGS else "dir"
    rows = min(view.top or PAGE_ROWS, MAX_ROWS)
    return (
        _environment()
        .get_template("audit.html.jinja")
        .render(
            **{name: _Raw(text) for name, text in scripts.items()},
            style=_Raw(_read("audit.css")),
            hashes=[_hash(text) for text in scripts.values()],
            data=_Raw(page_json(_data(audit, by, paths))),
            version=__version__,
            vega=vl_convert.get_vega_version(),
            title=image.reference,
            about=f"{image.platform}, {image.image_id[:19]}",
            summary=summary_lines(audit),
            layers=_layers(audit),
            legend=_legend(audit),
            groupings=list(GROUPINGS.items()),
            by=by,
            advice=[_advice(row) for row in audit.advice[:MAX_ADVICE]],
            advice_title=advice_title(audit),
            advice_notes=list(notes(audit)),
            more_advice=len(audit.advice) - MAX_ADVICE,
            sections=[_section(section) for section in sections(audit, View("", rows))],
            dirt={"title": HEADING, "lines": lines[:rows], "hidden_rows": len(lines) - rows},
        )
    )


class _Raw:
    """Text that goes into the page as it is: not the image's."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __html__(self) -> str:
        return self._text


def _data(audit: Audit, by: str, paths: PathList) -> Mapping[str, object]:
    return {
        "by": by,
        "whole": cut(audit.under, MAX_TEXT),
        "paths": {
            "packed": pack_paths(paths.rows),
            "shown": len(paths.rows),
            "total": paths.total,
        },
        "spec": json.loads(_read("map.json")),
        "maps": {
            name: [
                [tile.parent, tile.name, *_bytes(tile.weight), tile.weight.file_count, tile.why]
                for tile in draw_map(audit, name)
            ]
            for name in GROUPINGS
        },
    }


def _bytes(weight: Weight) -> list[int]:
    return [
        weight.needed_bytes,
        weight.removable_bytes,
        weight.undecided_bytes,
        weight.hidden_bytes,
    ]


def _layers(audit: Audit) -> list[Mapping[str, object]]:
    """What of the bar of layers has a length."""
    return [
        {
            "index": layer.index,
            # As the map calls it, so that a click finds it there.
            "name": cut(layer_name(audit, layer.index), 100),
            "in_base": layer.in_base,
            "size_bytes": layer.weight.size_bytes,
            "size": size_text(layer.weight.size_bytes),
            "parts": _parts(layer.weight),
        }
        for layer in audit.layers[:MAX_LAYERS]
        if layer.weight.size_bytes
    ]


def _parts(weight: Weight) -> list[tuple[str, int]]:
    return [
        (verdict.value, size) for verdict, size in zip(Verdict, _bytes(weight), strict=True) if size
    ]


def _legend(audit: Audit) -> list[Mapping[str, object]]:
    whole = audit.weight.size_bytes
    return [
        {
            "name": name,
            "title": _TITLES[Verdict(name)],
            "size": size_text(size),
            "share": share_text(size, whole),
        }
        for name, size in _parts(audit.weight)
    ]


def _advice(advice: Advice) -> Mapping[str, object]:
    lines = [printable(line.expandtabs()) for line in advice.edit.split("\n")]
    edit = "\n".join(lines)
    return {
        "title": advice.title,
        "size": size_text(advice.saved_bytes),
        "reason": advice.reason,
        "instruction": advice.instruction,
        "layer": advice.layer_index,
        "packages": packages_text(advice, None),
        "edit": edit if len(edit) <= MAX_EDIT else f"{edit[:MAX_EDIT]}…",
    }


def _section(section: Section) -> Mapping[str, object]:
    return {
        "title": section.title,
        "columns": section.columns,
        "rows": section.rows,
        "hidden_rows": section.hidden_rows,
        "widest": widest(section.columns),
    }


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        loader=PackageLoader("imgslim", "data/page"),
    )
    environment.filters["zip"] = _zip
    environment.filters["cut"] = lambda text: cut(text, MAX_TEXT)
    environment.tests["bar"] = lambda text: set(text) <= set("█░") and text != ""
    return environment


def _zip(columns: Sequence[object], cells: Sequence[str]) -> list[tuple[object, str]]:
    return list(zip(columns, cells, strict=True))


@cache
def _library() -> str:
    """Vega with all that it needs, for a script element."""
    import vl_convert

    text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # In JavaScript both are the same: HTML, 4.12.1.3.
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _read(name: str) -> str:
    return (files("imgslim") / "data" / "page" / name).read_text("utf-8")
