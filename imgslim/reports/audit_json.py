"""The document of ``imgslim audit --format json`` (docs/json.md)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from imgslim.audit.model import Audit, Efficiency, Weight
from imgslim.dirt import Dirt
from imgslim.model import Image
from imgslim.reports.dirt_json import dirt_document
from imgslim.reports.json import Row, document_head, fields_of, render_document


def render_audit(image: Image, audit: Audit, dirt: Dirt) -> str:
    """The whole document."""
    head = document_head("audit", image)
    return render_document({**head, "audit": audit_document(audit), "dirt": dirt_document(dirt)})


def audit_document(audit: Audit) -> Row:
    """An audit as plain data."""
    document = {
        "under": audit.under,
        "sizes": weight_fields(audit.weight),
        "no_plan": audit.no_plan,
        "base": fields_of(audit.base)
        | {
            "size_bytes": audit.base_weight.size_bytes,
            "own_size_bytes": audit.own_weight.size_bytes,
        },
        "efficiency": _efficiency(audit.efficiency),
        "advised_bytes": audit.advised_bytes,
        "advice": [
            fields_of(row) | {"paths": list(row.paths), "packages": list(row.packages)}
            for row in audit.advice
        ],
        "layers": [_weighed(row) for row in audit.layers],
        "kinds": [
            _weighed(row) | {"units": [list(unit) for unit in row.units]} for row in audit.kinds
        ],
        "packages": [_weighed(row) | {"modules": list(row.modules)} for row in audit.packages],
        "directories": [_weighed(row) for row in audit.directories],
        "files": [fields_of(row) for row in audit.files],
        "undone": [fields_of(row) for row in audit.undone],
        "wasted": [fields_of(row) for row in audit.wasted],
        "cells": [fields_of(row) for row in audit.cells],
    }
    if audit.duplicates is not None:
        document["duplicates"] = [
            {
                "size_bytes": group.size_bytes,
                "extra_bytes": group.extra_bytes,
                "copies": [fields_of(copy) for copy in group.copies],
            }
            for group in audit.duplicates
        ]
    return document


def weight_fields(weight: Weight) -> Row:
    """A weight with its sum."""
    return {"size_bytes": weight.size_bytes, **fields_of(weight)}


def _weighed(row: Any) -> Row:
    fields = fields_of(row)
    weight = fields.pop("weight")
    why = fields.pop("why")
    return {**fields, **weight_fields(weight), "why": why}


def _efficiency(efficiency: Efficiency) -> Row:
    by_reason: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in efficiency.miscounts:
        total = by_reason[row.why]
        total[0] += 1
        total[1] += row.useful_bytes
        total[2] += row.stored_bytes
    return {
        "score": efficiency.score,
        "tree_bytes": efficiency.tree_bytes,
        "stored_bytes": efficiency.stored_bytes,
        "dive_score": efficiency.dive_score,
        "dive_useful_bytes": efficiency.dive_useful_bytes,
        "dive_stored_bytes": efficiency.dive_stored_bytes,
        "dive_wasted_bytes": efficiency.dive_wasted_bytes,
        "miscounts": [
            {"why": why, "paths": count, "useful_bytes": useful, "stored_bytes": stored}
            for why, (count, useful, stored) in sorted(by_reason.items())
        ],
    }
