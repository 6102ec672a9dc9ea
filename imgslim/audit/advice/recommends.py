"""Packages that apt brought because others recommend them, and nothing depends on (apt-get(8),
``--no-install-recommends``; Debian policy 7.2)."""

from __future__ import annotations

from collections.abc import Iterator, Set

from imgslim.audit.advice.installed import (
    Installation,
    files_of_packages,
    idle_tools,
    installations,
    outermost,
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
            _edit(facts, one, named),
            shares_of(files_of_packages(facts, one.layer_index, gone)),
            reason="others recommend them, and none that was asked for depends on them",
            layer_index=one.layer_index,
            instruction=step.text,
            packages=tuple(sorted(gone)),
        )


def left_out(facts: Facts, one: Installation) -> tuple[Set[str], Set[str]]:
    """(the packages that would not come, those that have to be named to come all the same).

    What comes with tools for building alone is not among them: a compiler without the libc6-dev
    that it recommends compiles nothing, and all of it goes with the build stage.
    """
    packages = facts.packages
    asked = one.asked - idle_tools(facts, one)
    came = reached(packages, asked, among=one.packages, recommends=True)
    depended = reached(packages, asked | (packages.keys() - one.packages))
    named = outermost(packages, (one.needed & came) - depended)
    return came - depended - reached(packages, named), named


def _edit(facts: Facts, one: Installation, named: Set[str]) -> str:
    edit = (
        f"add `--no-install-recommends` to `apt-get install` in {facts.steps[one.layer_index].name}"
    )
    if named:
        words = " ".join(sorted(facts.packages[key].name for key in named))
        edit += f", and to its packages, for the program needs them: {words}"
    tools = sorted(facts.packages[key].name for key in idle_tools(facts, one))
    if tools:
        edit += f" (of the last stage: what builds may need what {' '.join(tools)} recommend)"
    return edit
