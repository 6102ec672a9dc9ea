"""Packages that apt brought because others recommend them, and nothing depends on (apt-get(8),
``--no-install-recommends``; Debian policy 7.2)."""

from __future__ import annotations

from collections.abc import Iterator, Set

from imgslim.audit.advice.installed import (
    Installation,
    files_of_packages,
    installations,
    reached,
)
from imgslim.audit.advice.model import Draft, Facts, shares_of
from imgslim.audit.model import AdviceKind


def advise(facts: Facts) -> Iterator[Draft]:
    """For each RUN that installed what is only recommended, the option, with what then has to be
    asked for by name: what the plan needs."""
    if not facts.has_plan:
        return
    for one in installations(facts):
        if not one.recommends:
            continue
        gone, named = left_out(facts, one)
        if not gone:
            continue
        step = facts.steps[one.layer_index]
        count = len(gone)
        yield Draft(
            AdviceKind.RECOMMENDS,
            f"--no-install-recommends leaves {count:,} package{'s' * (count != 1)} out of layer "
            f"{one.layer_index}",
            _edit(facts, step.name, named),
            shares_of(files_of_packages(facts, one.layer_index, gone)),
            reason="others recommend them, and none that was asked for depends on them",
            layer_index=one.layer_index,
            instruction=step.text,
            packages=tuple(sorted(gone)),
        )


def left_out(facts: Facts, one: Installation) -> tuple[Set[str], Set[str]]:
    """(the packages that would not come, those that have to be named to come all the same).

    What tools for building recommend stays: a compiler without its libc6-dev compiles nothing, and
    both go with the build stage.
    """
    packages = facts.packages
    others = packages.keys() - one.packages
    tools = {key for key in one.asked if facts.is_tool(key)}
    came = reached(packages, one.asked - tools, among=one.packages, recommends=True)
    with_tools = reached(packages, tools, among=one.packages, recommends=True)
    depended = reached(packages, (one.asked | others))
    named = one.needed - depended
    named -= {
        key for other in named for key in reached(packages, [other]) - {other} if key in named
    }
    kept = depended | reached(packages, named)
    gone = {key for key in came - kept - with_tools if not facts.is_tool(key)}
    return gone, named


def _edit(facts: Facts, name: str, named: Set[str]) -> str:
    edit = f"add `--no-install-recommends` to `apt-get install` in {name}"
    if not named:
        return edit
    words = " ".join(sorted(facts.packages[key].name for key in named))
    return f"{edit}, and to its packages, for the program needs them: {words}"
