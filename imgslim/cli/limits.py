"""The options of ``imgslim check`` that say what must hold: in a settings file its table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from imgslim.cli.amounts import PERCENT, RATIO, SIZE
from imgslim.cli.configured import RunOption, SectionOption
from imgslim.cli.options import combined
from imgslim.errors import UsageError
from imgslim.limits import FORBIDDABLE, Limits
from imgslim.limits.dive_ci import DIVE_FILE, DiveRules, load_dive_ci
from imgslim.limits.forbidden import DIRT_KINDS, FILE_KINDS
from imgslim.limits.measures import MEASURES

SECTION = "check"


def _limit(*names: str, **settings: Any) -> Callable[[Any], Any]:
    return click.option(*names, cls=SectionOption, section=SECTION, **settings)


limit_options: Callable[[Any], Any] = combined(
    [
        _limit("--max-size", metavar="SIZE", type=SIZE, help="The most that all layers may hold."),
        _limit(
            "--max-growth",
            metavar="SIZE",
            type=SIZE,
            help="The most by which IMAGE may be larger than that of --against.",
        ),
        _limit(
            "--max-growth-percent",
            metavar="N",
            type=PERCENT,
            help="The same in per cent of that image.",
        ),
        _limit(
            "--against",
            metavar="IMAGE",
            help="The image that growth is counted from: the last release, the main branch.",
        ),
        _limit(
            "--max-waste",
            metavar="SIZE",
            type=SIZE,
            help="The most that may be stored in vain: deleted or overwritten by a later layer.",
        ),
        _limit(
            "--max-waste-percent",
            metavar="N",
            type=PERCENT,
            help="The same in per cent of all layers.",
        ),
        _limit(
            "--min-efficiency",
            metavar="RATIO",
            type=RATIO,
            help="The least share of the stored bytes that must be in use: 0.95 or 95%.",
        ),
        _limit(
            "--max-removable",
            metavar="SIZE",
            type=SIZE,
            help="The most that a slim image may leave out.",
        ),
        _limit(
            "--max-removable-percent",
            metavar="N",
            type=PERCENT,
            help="The same in per cent of all layers.",
        ),
        _limit(
            "--forbid",
            metavar="KIND",
            type=click.Choice(FORBIDDABLE),
            multiple=True,
            help="A kind that must not be there, but where a slim image needs it. Of files: "
            f"{', '.join(FILE_KINDS)}. Of dirt: {', '.join(DIRT_KINDS)}; setuid to world-writable "
            "but for what packages brought, and secret reads contents (needs imgslim[secrets]). "
            "Repeatable.",
        ),
        _limit(
            "--forbid-always",
            metavar="KIND",
            type=click.Choice(FORBIDDABLE),
            multiple=True,
            help="The same without exceptions. Repeatable.",
        ),
        _limit(
            "--dive-ci",
            metavar="FILE",
            type=click.Path(),
            help=f"Also hold the rules of dive, counted as dive does. Default: {DIVE_FILE} here, "
            "if there is one.",
        ),
        click.option(
            "--no-dive-ci", cls=RunOption, is_flag=True, help=f"Pass over {DIVE_FILE} here."
        ),
    ]
)


def limits_of(
    amounts: dict[str, float | None],
    forbid: tuple[str, ...],
    forbid_always: tuple[str, ...],
    dive: DiveRules | None,
) -> Limits:
    """The limits of the options. Raises UsageError where there is none: a check that checks nothing
    would pass for ever."""
    given = {rule.replace("_", "-"): value for rule, value in amounts.items() if value is not None}
    given |= dive.amounts if dive else {}
    limits = Limits(given, forbid, forbid_always)
    assert given.keys() <= {measure.rule for measure in MEASURES}
    if not limits:
        raise UsageError(
            "there is nothing to check: no limit is given",
            hint=f"say what must hold: --max-size 300MB --forbid private-key, or in a table "
            f"[{SECTION}] of imgslim.toml",
        )
    return limits


def read_dive_ci(path: str | None, *, without: bool) -> tuple[str, DiveRules | None]:
    """The file of dive's rules that was named, or the one in the working directory, and what it
    says; "" and None where there is none. Raises UsageError."""
    if path is not None and without:
        raise UsageError("--dive-ci and --no-dive-ci contradict each other", hint="give one")
    found = path or (DIVE_FILE if not without and Path(DIVE_FILE).is_file() else "")
    return found, load_dive_ci(found) if found else None
