"""Which tests stay on one process where several share the work (``--numprocesses``).

pytest-xdist's own ``--dist=loadgroup`` writes the group into a private field of an item, which
pytest 9.2 does not read: every test would go its own way, and two processes would make, and remove,
the same image.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from fixtures.build import load_fixtures

EVERY_FIXTURE = "tests/test_fixtures.py"
"""The module that goes through the fixtures, one after the other."""


class ByModule(LoadScopeScheduling):
    """A module stays on one process, whose tests may share an image; in the one that goes through
    all fixtures, a fixture. They come in the order of the collection: what fails fast first."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return stays_together(nodeid)


def stays_together(nodeid: str) -> str:
    """What a test belongs to: tests of which this is the same run on one process."""
    module, _, test = nodeid.partition("::")
    if not module.endswith(EVERY_FIXTURE):
        return module
    words = f"-{test.partition('[')[2].removesuffix(']')}-"
    names = [name for name in fixture_names() if f"-{name}-" in words]
    return f"{module} {max(names, key=len, default='')}"


@functools.cache
def fixture_names() -> tuple[str, ...]:
    return tuple(fixture.name for fixture in load_fixtures())
