"""The fixtures as a set: each runtime module that one shows is tried on every change."""

from __future__ import annotations

from fixtures.build import load_fixtures
from imgslim.runtimes.registry import RUNTIMES

FIXTURES = load_fixtures()


def test_fixtures_show_modules_that_there_are() -> None:
    names = {runtime.name for runtime in RUNTIMES}
    assert {name for fixture in FIXTURES for name in fixture.shows} <= names


def test_the_gate_tries_every_module_that_a_fixture_shows() -> None:
    shown = {name for fixture in FIXTURES for name in fixture.shows}
    assert {name for f in FIXTURES if f.in_gate for name in f.shows} == shown
