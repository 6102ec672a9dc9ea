"""Imports point one way (docs/design.md): each layer knows only those below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "imgslim"

LEVELS = (
    ("cli", "__main__"),
    ("auditing", "checking"),
    ("pipeline", "build"),
    ("reports",),
    (
        "plan",
        "audit",
        "dirt",
        "archive",
        "bases",
        "comparison",
        "limits",
        "provenance_labels",
        "dockerfile",
        "copyplan",
        "databases",
        "provenance",
        "roots",
        "doubts",
        "strip",
        "decisions",
        "matches",
        "deployments",
        "settings",
        "verify",
    ),
    ("environment", "platforms", "sources", "engine", "runtimes", "packages"),
    ("commands", "wrappers"),
    ("world",),
    ("tables", "accounts"),
    ("layers", "rootfs"),
    ("model", "choices", "output", "globs", "quantities", "paths"),
    ("errors", "__init__", "data"),
)
"""Top to bottom. A module may import from its own level and from those below it."""

ONLY_HERE = {
    "click": ("cli",),
    "rich": ("cli", "reports"),
    "docker": ("engine",),
    "kingfisher_sdk": ("dirt",),
    "jinja2": ("reports",),
    "junitparser": ("reports",),
    "vl_convert": ("reports",),
}
"""Libraries that one part alone may know."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    """``imgslim.reports.text`` → ``reports``; the package itself → ``__init__``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(path: Path) -> list[str]:
    """The absolute names of all modules that a file imports, wherever in it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            # `from imgslim import layers` imports a module, `from imgslim import __version__` not.
            for alias in node.names:
                inner = PACKAGE.parent.joinpath(*node.module.split("."), alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").exists()
                names.append(f"{node.module}.{alias.name}" if is_module else node.module)
    return names


def level_of(part: str) -> int:
    for index, level in enumerate(LEVELS):
        if part in level:
            return index
    raise AssertionError(f"imgslim/{part} has no place in LEVELS: say which level it belongs to")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_own_level_and_below(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    upward = [
        name
        for name in imports_of(path)
        if name.split(".")[0] == "imgslim" and level_of(part_of(name)) < level_of(part)
    ]
    assert upward == []


@pytest.mark.parametrize("library", ONLY_HERE)
def test_a_library_is_known_to_its_own_part_only(library: str) -> None:
    knowing = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for path in MODULES
        if any(name.split(".")[0] == library for name in imports_of(path))
    }
    assert knowing <= set(ONLY_HERE[library])


def test_modules_are_short_enough_to_read() -> None:
    long = {str(path): n for path in MODULES if (n := path.read_text().count("\n")) > 400}
    assert long == {}
