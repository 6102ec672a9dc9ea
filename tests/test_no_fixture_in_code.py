"""The code solves the general case: no string that belongs to a fixture occurs in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixtures.build import FOLDER, load_fixtures

PACKAGE = FOLDER.parent / "imgslim"
SOURCES = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".toml")]

ORDINARY = {"app", "notes", "start", "index", "tests", "data", "commands", "management", "web"}
"""Words that a fixture uses and everyone does."""


def names_of(folder: Path) -> set[str]:
    """What is a fixture's own: its name, its user, its modules and its program."""
    dockerfile = (folder / "Dockerfile").read_text()
    users = re.findall(r"(?:useradd|adduser)[^\n&]*?\s([a-z]\w+)\s*(?:\\?\n|$|&)", dockerfile)
    modules = [path.parent.name for path in folder.rglob("__init__.py")]
    go_modules = re.findall(r"^module (\S+)", "\n".join(_texts(folder, "go.mod")), re.MULTILINE)
    projects = re.findall(
        r'^name = "([\w-]+)"', "\n".join(_texts(folder, "pyproject.toml")), re.MULTILINE
    )
    return {folder.name, *users, *modules, *go_modules, *projects} - ORDINARY


def _texts(folder: Path, name: str) -> list[str]:
    return [path.read_text() for path in folder.rglob(name)]


@pytest.mark.parametrize("folder", sorted({fixture.folder for fixture in load_fixtures()}))
def test_no_string_of_a_fixture_occurs_in_the_code(folder: Path) -> None:
    names = names_of(folder)
    assert names
    text = {path: path.read_text() for path in SOURCES}
    found = [
        (name, path.name)
        for name in sorted(names)
        for path, content in text.items()
        if re.search(rf"\b{re.escape(name)}\b", content)
    ]
    assert found == []
