"""The report of a check for code scanning: SARIF 2.1.0 (OASIS), plain data for the same reason as
the other documents: what is written is what is documented.

GitHub asks for more than the format: every result has a place in a file and a line, and a
fingerprint by which it is the same in the next run ("SARIF support for code scanning"). So what is
about the whole image is at a file that is called like the image, and line 1 stands for no line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from urllib.parse import quote

from imgslim import __version__
from imgslim.limits import Checked, Outcome, Reason
from imgslim.limits.forbidden import kind_of
from imgslim.reports.check_words import (
    advice_for,
    amounts_of,
    excepted_of,
    name_of,
    reason_text,
    sentence_of,
    title_of,
)
from imgslim.reports.json import Row
from imgslim.reports.words import printable

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
DOCUMENTATION = "https://github.com/imgslim/imgslim/tree/main/docs"

MAX_RESULTS = 100
"""Results of one rule, the largest: GitHub shows 5,000 of all at most."""

_ROOT = "IMAGE"
"""What the paths in an image are relative to."""


def render_check(checked: Checked) -> str:
    """The document: a rule for each limit, and a result for each reason of those that do not
    hold."""
    image = checked.image
    run = {
        "tool": {
            "driver": {
                "name": "imgslim",
                "version": __version__,
                "informationUri": DOCUMENTATION,
                "rules": [_rule(outcome, checked) for outcome in checked.outcomes],
            }
        },
        "originalUriBaseIds": {
            _ROOT: {"description": {"text": f"The root of {printable(image.reference)}"}}
        },
        "results": [
            _result(number, outcome, reason, checked)
            for number, outcome in enumerate(checked.outcomes)
            if not outcome.holds
            for reason in _reasons(outcome)
        ],
        "properties": {
            "image": printable(image.reference),
            "imageId": image.image_id,
            "platform": printable(str(image.platform)),
            "holds": not checked.broken,
        },
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n"


def _reasons(outcome: Outcome) -> Iterator[Reason | None]:
    """What results are made of: what is of a forbidden kind, else one of the limit."""
    if kind_of(outcome.rule):
        yield from outcome.reasons[:MAX_RESULTS]
    else:
        yield None


def _rule(outcome: Outcome, checked: Checked) -> Row:
    return {
        "id": outcome.rule,
        "shortDescription": {"text": title_of(outcome)},
        "fullDescription": {"text": f"{title_of(outcome)}: {amounts_of(outcome)[1]}"},
        "help": {"text": printable(advice_for(outcome, checked))},
        "helpUri": DOCUMENTATION,
        "defaultConfiguration": {"level": "error"},
    }


def _whole(outcome: Outcome) -> str:
    note = excepted_of(outcome)
    text = f"{title_of(outcome)}: {sentence_of(outcome)}"
    return f"{text} ({note})" if note else text


def _result(number: int, outcome: Outcome, reason: Reason | None, checked: Checked) -> Row:
    if reason is None:
        text = "\n".join((_whole(outcome), *map(reason_text, outcome.reasons[:MAX_RESULTS])))
    else:
        text = f"{title_of(outcome)}: {reason_text(reason)}"
    where = reason.where if reason else ""
    return {
        "ruleId": outcome.rule,
        "ruleIndex": number,
        "level": "error",
        "message": {"text": text},
        "locations": [_location(where, reason.line if reason else 0, checked)],
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(outcome, reason, checked)},
    }


def _location(where: str, line: int, checked: Checked) -> Row:
    if where.startswith("/"):
        artifact = {"uri": _uri(where.removeprefix("/")), "uriBaseId": _ROOT}
    else:
        artifact = {"uri": _uri(name_of(checked).lstrip("/"))}
    found: Row = {
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": max(1, line)}}
    }
    if where and not where.startswith("/"):
        found["logicalLocations"] = [{"fullyQualifiedName": printable(where)}]
    return found


def _uri(path: str) -> str:
    return quote(os.fsencode(path))


def _fingerprint(outcome: Outcome, reason: Reason | None, checked: Checked) -> str:
    parts = [name_of(checked), outcome.rule]
    if reason is not None:
        parts += [reason.what, reason.where]
    return f"{hashlib.sha256(os.fsencode(chr(0).join(parts))).hexdigest()[:16]}:1"
