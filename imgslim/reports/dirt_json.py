"""What should not be in an image, for programs: the key ``dirt`` of an audit (docs/json.md)."""

from __future__ import annotations

from typing import Any

from imgslim.dirt import Dirt, Finding

Row = dict[str, Any]


def dirt_document(dirt: Dirt) -> Row:
    """All findings as plain data. No value of a secret is in it."""
    scanned = dirt.scanned
    return {
        "findings": [_finding(finding) for finding in dirt.findings],
        "spared": [
            {"origin": row.origin.value, "files": row.files, "size_bytes": row.size_bytes}
            for row in dirt.spared
        ],
        "scanned": scanned
        and {
            "files": scanned.files,
            "size_bytes": scanned.size_bytes,
            "compressed_files": scanned.compressed_files,
        },
    }


def _finding(finding: Finding) -> Row:
    undone = finding.deleted_by
    return {
        "kind": finding.kind.value,
        "where": finding.where,
        "rule": finding.rule,
        "verdict": finding.verdict and finding.verdict.value,
        "owner": finding.owner,
        "line": finding.line,
        "count": finding.count,
        "layer_index": finding.layer_index,
        "instruction": finding.instruction,
        "deleted_by": undone
        and {
            "layer_index": undone.layer_index,
            "instruction": undone.instruction,
            "how": undone.how,
        },
    }
