"""Tests that need a real engine or browser are skipped with a reason where there is none, never in
CI.

With ``IMGSLIM_REQUIRE_ENGINE=1`` a missing engine, builder, browser or tool fails the run, so that
a gate cannot pass by skipping.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

HOW_TO_ENABLE = "start one and make the base images: .ci/engine && .ci/bases"
REQUIRED = os.environ.get("IMGSLIM_REQUIRE_ENGINE") == "1"


@functools.cache
def missing_engine() -> str | None:
    """Why engine tests cannot run here, or None."""
    if shutil.which("docker") is None:
        return f"no docker command; {HOW_TO_ENABLE}"
    answer = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=60)
    return None if answer.returncode == 0 else f"no Docker engine answers; {HOW_TO_ENABLE}"


def missing_browser() -> str | None:
    """Why browser tests cannot run here, or None."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    how = "on Debian: apt-get install chromium chromium-driver"
    return f"no {' and no '.join(missing)}; {how}" if missing else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests: which of them stay together."""
    from tests.processes import ByModule

    return ByModule(config, log)


NEEDED = {"engine": missing_engine, "browser": missing_browser}
"""Marks, and what tells why a test with that mark cannot run."""


def pytest_configure() -> None:
    """Tests send Ctrl-C to what they start: a shell starts what it runs in the background with
    that signal ignored, and so would be their children (POSIX, Shell Command Language, 2.11)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Engine tests last: what fails fast shall fail first. Those of one fixture one after the
    other, so that the images and archives of one at a time fill the disk."""
    modules = {item.path: index for index, item in reversed(list(enumerate(items)))}
    items.sort(
        key=lambda item: (
            item.get_closest_marker("engine") is not None,
            modules[item.path],
            _fixture_name(item),
        )
    )


def _fixture_name(item: pytest.Item) -> str:
    call = getattr(item, "callspec", None)
    name = call.params.get("case", "") if call and item.get_closest_marker("engine") else ""
    return name if isinstance(name, str) else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark, why_not in NEEDED.items():
        reason = why_not() if item.get_closest_marker(mark) else None
        if reason and REQUIRED:
            pytest.fail(reason, pytrace=False)
        if reason:
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where everything must be there, a skip of any kind is a failure."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report  # type: ignore[return-value]
