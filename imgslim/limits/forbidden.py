"""Kinds of files, and of dirt, that must not be in an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgslim.audit import kind_titles
from imgslim.audit.kinds import APP, OTHER, RUNTIME
from imgslim.audit.model import Verdict
from imgslim.dirt import Dirt, DirtKind, Finding
from imgslim.limits.measures import group_reasons
from imgslim.limits.model import Facts, Limits, Outcome, Reason, Unit

DIRT_KINDS = tuple(kind.value for kind in DirtKind)

FILE_KINDS = tuple(name for name in kind_titles() if name not in (APP, OTHER, RUNTIME))
"""Kinds of ``kinds.toml`` that an image can be without."""

FORBIDDABLE = (*FILE_KINDS, *DIRT_KINDS)

_OF_PACKAGES = (
    DirtKind.SETUID,
    DirtKind.SETGID,
    DirtKind.CAPABILITIES,
    DirtKind.WORLD_WRITABLE,
)
"""What packages bring on purpose (``su``, ``mount``): the user's are those that they did not."""


def forbidden_outcomes(limits: Limits, facts: Facts) -> Iterator[Outcome]:
    """One for each forbidden kind; one that is forbidden always is not asked for twice.

    Files that the slim image needs do not count, nor what a package brought of the kinds that
    packages bring on purpose. Files in a layer that a later one deletes do: they are in the image.
    """
    always = dict.fromkeys(limits.forbidden_always)
    for kind in (*(k for k in dict.fromkeys(limits.forbidden) if k not in always), *always):
        look = _findings if kind in DIRT_KINDS else _files
        yield look(kind, facts, always=kind in always)


_FORBID, _ALWAYS = "forbid-", "forbid-always-"


def rule_of(kind: str, *, always: bool) -> str:
    """The rule that forbids a kind."""
    return (_ALWAYS if always else _FORBID) + kind


def kind_of(rule: str) -> str:
    """The kind that a rule forbids, or "" for a rule on an amount."""
    return rule.removeprefix(_ALWAYS).removeprefix(_FORBID) if rule.startswith(_FORBID) else ""


def _files(kind: str, facts: Facts, *, always: bool) -> Outcome:
    # The bytes that stripping saves of a needed file are a cell without a file.
    cells = [cell for cell in facts.audit.cells if cell.kind == kind and cell.file_count]
    needed = [cell for cell in cells if cell.verdict is Verdict.NEEDED and not always]
    counted = [cell for cell in cells if always or cell.verdict is not Verdict.NEEDED]
    reasons = group_reasons(facts.audit, counted)
    return Outcome(
        rule_of(kind, always=always),
        not counted,
        Unit.FILES,
        0,
        sum(cell.file_count for cell in counted),
        reasons=tuple(sorted(reasons, key=lambda reason: -(reason.size_bytes or 0))),
        excepted=sum(cell.file_count for cell in needed),
    )


def has_counted_path(limits: Limits, dirt: Dirt) -> bool:
    """Whether a finding in the merged tree breaks a limit, so that its fate is of interest."""
    found = [row for row in dirt.findings if row.where.startswith("/") and not row.deleted_by]
    return any(
        _counted(kind, found, always=kind in limits.forbidden_always) for kind in limits.kinds
    )


def _counted(kind: str, findings: Iterable[Finding], *, always: bool) -> list[Finding]:
    found = (finding for finding in findings if finding.kind == kind)
    return [finding for finding in found if always or not _is_a_packages(finding)]


def _findings(kind: str, facts: Facts, *, always: bool) -> Outcome:
    assert facts.dirt is not None
    found = sum(finding.kind == kind for finding in facts.dirt.findings)
    counted = _counted(kind, facts.dirt.findings, always=always)
    return Outcome(
        rule_of(kind, always=always),
        not counted,
        Unit.FINDINGS,
        0,
        len(counted),
        reasons=tuple(map(_reason, counted)),
        excepted=found - len(counted),
    )


def _is_a_packages(finding: Finding) -> bool:
    return finding.kind in _OF_PACKAGES and bool(finding.owner)


def _reason(finding: Finding) -> Reason:
    undone = finding.deleted_by
    words = "" if undone is None else f"{undone.how} by layer {undone.layer_index}"
    if undone is not None and undone.instruction:
        words = f"{words}: {undone.instruction}"
    return Reason(
        finding.rule,
        where=finding.where,
        line=finding.line,
        layer_index=finding.layer_index,
        instruction=finding.instruction,
        undone=words,
        verdict=finding.verdict.value if finding.verdict else "",
    )
