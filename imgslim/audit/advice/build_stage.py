"""Tools that only build: packages, toolchains and what comes with them, which a stage can keep to
itself (Docker, "Multi-stage builds")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from imgslim.audit.advice.installed import (
    Installation,
    files_of_packages,
    idle_tools,
    installations,
    outermost,
    reached,
)
from imgslim.audit.advice.model import Draft, Facts, Share, by_layer, shares_of
from imgslim.audit.advice.stages import SYSTEM, base_name, copy_lines, outer_directories
from imgslim.audit.advice.steps import Step
from imgslim.audit.model import AdviceKind, Verdict

_KINDS = frozenset(("toolchain", "headers", "static-libraries"))
_METADATA = "build metadata"
_MOST_PATHS = 8

LEAST_BASE_SHARE = 0.05
"""Of a base image, the share that tools for building have to have before another is advised: every
distribution has a linker's leftovers."""


def advise(facts: Facts) -> Iterator[Draft]:
    if not facts.has_plan:
        return
    yield from _packages(facts)
    yield from _trees(facts)
    yield from _base(facts)


def _packages(facts: Facts) -> Iterator[Draft]:
    for one in installations(facts):
        tools, gone, named = left_out(facts, one)
        if not gone:
            continue
        step = facts.steps[one.layer_index]
        words = [facts.packages[key].name for key in sorted(tools)]
        count = len(gone)
        yield Draft(
            AdviceKind.BUILD_STAGE,
            f"{_listed(words)} in layer {one.layer_index} only build: {count:,} "
            f"package{'s' * (count != 1)} for a build stage",
            _packages_edit(facts, step, words, named),
            shares_of(files_of_packages(facts, one.layer_index, gone)),
            reason="nothing that runs needs them, nor what came with them alone",
            layer_index=one.layer_index,
            instruction=step.text,
            packages=tuple(sorted(gone)),
        )


def left_out(facts: Facts, one: Installation) -> tuple[Set[str], Set[str], Set[str]]:
    """(the tools that were asked for and nothing needs, all packages that go with them, those that
    have to be asked for in their place)."""
    packages = facts.packages
    tools = idle_tools(facts, one)
    others = packages.keys() - one.packages
    wanted = reached(packages, others) | reached(
        packages, one.asked - tools, recommends=one.recommends
    )
    came = reached(packages, tools, among=one.packages, recommends=one.recommends)
    named = outermost(packages, (one.needed & came) - wanted)
    kept = wanted | reached(packages, named)
    return tools - kept, came - kept, named


def _packages_edit(facts: Facts, step: Step, words: Sequence[str], named: Set[str]) -> str:
    base = base_name(facts)
    lines = [
        f"FROM {base} AS build",
        f"# {step.name}, and what it builds, with {' '.join(words)}",
        f"FROM {base}",
        f"# {step.name} without {' '.join(words)}",
    ]
    if named:
        packages = " ".join(sorted(facts.packages[key].name for key in named))
        lines.append(f"# and with what the program needs of theirs: {packages}")
    return "\n".join((*lines, *copy_lines(facts, step.layer_index)))


def _trees(facts: Facts) -> Iterator[Draft]:
    """Toolchains that no system package brought, over all layers."""
    own = [
        file
        for file in facts.files
        if file.kind == "toolchain"
        and file.unit != _METADATA
        and file.verdict is Verdict.REMOVABLE
        and not file.package.startswith(SYSTEM)
        and not facts.steps[file.layer_index].in_base
    ]
    if not own:
        return
    tops = outer_directories(file.path for file in own)
    steps = [facts.steps[index] for index, _ in by_layer(own)]
    units = sorted({file.unit or file.package.partition(":")[2] for file in own})
    base = base_name(facts)
    lines = (
        f"FROM {base} AS build",
        f"# {_listed([step.name for step in steps])}, and what it builds",
        f"FROM {base}",
        f"# without {_listed(tops)}",
        *copy_lines(facts, steps[0].layer_index, tops),
    )
    yield Draft(
        AdviceKind.BUILD_STAGE,
        f"{_listed(units)} only build{'s' * (len(units) == 1)}: for a build stage",
        "\n".join(lines),
        shares_of(own),
        layer_index=steps[0].layer_index if len(steps) == 1 else None,
        instruction=steps[0].text if len(steps) == 1 else "",
        paths=tops,
    )


def _base(facts: Facts) -> Iterator[Draft]:
    """A base image with tools: its layers cannot get smaller, but the last stage can do without
    them."""
    count = facts.base.layer_count or 0
    cells = [cell for cell in facts.cells if cell.layer_index < count]
    tools = [c for c in cells if c.kind in _KINDS and c.verdict is Verdict.REMOVABLE]
    size = sum(cell.size_bytes for cell in tools)
    if not size or size < LEAST_BASE_SHARE * sum(cell.size_bytes for cell in cells):
        return
    base = base_name(facts)
    names = sorted({cell.package.partition(":")[2] or cell.unit or cell.kind for cell in tools})
    shares = [
        Share(cell.layer_index, f"{index}", cell.size_bytes, cell.file_count)
        for index, cell in enumerate(cells)
        if cell.verdict in (Verdict.REMOVABLE, Verdict.HIDDEN)
    ]
    yield Draft(
        AdviceKind.BUILD_STAGE,
        f"the base image {base} brings tools that only build: end with a stage without it",
        f"FROM {base} AS build\n# your instructions as they are\nFROM scratch\n"
        "# the COPY lines that `imgslim rewrite IMAGE --source Dockerfile` writes",
        tuple(shares),
        reason=f"nothing that runs needs {_listed(names)}",
        paths=tuple(sorted({cell.directory for cell in tools}))[:_MOST_PATHS],
    )


def _listed(words: Sequence[str]) -> str:
    most = 4
    if len(words) > most:
        return f"{', '.join(words[: most - 1])} and {len(words) - most + 1:,} more"
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
