"""A stack is a module, a fixture and a page of the docs: none of the three without the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.build import load_fixtures
from imgslim.runtimes.registry import RUNTIMES

FIXTURES = load_fixtures()
DOCS = Path(__file__).resolve().parent.parent / "docs" / "runtimes"

NO_STACKS = {"command", "script", "elf", "system packages", "ambient", "shims"}
"""What every image has; and the shims of version managers, which lead to the stacks."""

ON_ONE_PAGE = {"configuration": "servers", "logins": "servers"}


@pytest.mark.parametrize("name", sorted({r.name for r in RUNTIMES} - NO_STACKS))
def test_a_stack_has_a_fixture_in_the_gate_and_a_page(name: str) -> None:
    assert [fixture.name for fixture in FIXTURES if fixture.in_gate and name in fixture.shows]
    assert (DOCS / f"{ON_ONE_PAGE.get(name, name)}.md").is_file()


def test_fixtures_show_modules_that_there_are() -> None:
    names = {runtime.name for runtime in RUNTIMES}
    assert {name for fixture in FIXTURES for name in fixture.shows} <= names


def test_the_gate_makes_the_bases_of_its_fixtures() -> None:
    text = (DOCS.parents[1] / ".ci" / "run").read_text(encoding="utf-8")
    made = set(text.partition('step "base images"')[2].partition("step ")[0].split())
    assert {fixture.base for fixture in FIXTURES if fixture.in_gate} <= made
