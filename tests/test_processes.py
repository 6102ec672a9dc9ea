"""Where two processes share the tests, those that may share an image stay on one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict

import pytest

from tests.processes import stays_together


def test_a_module_stays_on_one_process() -> None:
    modules = ("tests/test_merge.py", "tests/test_commands.py", "tests/test_distro.py")
    words = ["--numprocesses=2", "--verbose", "-p", "no:cacheprovider"]
    said = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *modules], capture_output=True, text=True
    ).stdout
    places = defaultdict(set)
    for worker, module in re.findall(r"^\[(gw\d)\].* PASSED ([^:]+)::", said, re.MULTILINE):
        places[module].add(worker)
    assert {module: len(workers) for module, workers in places.items()} == dict.fromkeys(modules, 1)
    assert len(set().union(*places.values())) == 2, said


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("a[go-static]", " go-static"),
        ("a[go-static-user]", " go-static"),
        ("a[buildah-go-static]", " go-static"),
        ("a[python-gunicorn-index]", " python-gunicorn"),
        ("a[python-gunicorn-squashed]", " python-gunicorn-squashed"),
        ("a", " "),
    ],
)
def test_tests_of_a_fixture_stay_together(test: str, group: str) -> None:
    module = "tests/test_fixtures.py"
    assert stays_together(f"{module}::{test}") == module + group
    assert stays_together(f"tests/test_a.py::{test}") == "tests/test_a.py"
