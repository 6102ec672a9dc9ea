"""What a pickle names: no source does, and loading it imports these modules."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import pickle
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from imgslim.choices import Level
from tests.test_python_levels import app, kept, plan_at
from tests.test_python_reach import PYTHON, SITE, dist
from tests.worlds import File, Tree

PICKLES: list[Callable[[object], bytes]] = [
    *(functools.partial(pickle.dumps, protocol=number) for number in range(2, 6)),
    lambda model: zlib.compress(pickle.dumps(model)),
    lambda model: gzip.compress(pickle.dumps(model)),
    lambda model: bz2.compress(pickle.dumps(model)),
    lambda model: lzma.compress(pickle.dumps(model)),
    lambda model: lzma.compress(pickle.dumps(model), lzma.FORMAT_ALONE),
]


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("dump", PICKLES)
def test_a_pickle_brings_the_modules_of_its_objects(
    tmp_path: Path, level: Level, dump: Callable[[object], bytes]
) -> None:
    """A model of the user's, and a file of a distribution's own."""
    modules = {name: ModuleType(name) for name in ("model", "model.tree", "units", "units.number")}
    sys.modules.update(modules)
    try:
        tree_type = type("Tree", (), {"__module__": "model.tree"})
        number_type = type("Number", (), {"__module__": "units.number"})
        modules["model.tree"].Tree = tree_type  # type: ignore[attr-defined]
        modules["units.number"].Number = number_type  # type: ignore[attr-defined]
        models = dump([1, tree_type()]), dump({"a": number_type()})
    finally:
        for name in modules:
            del sys.modules[name]
    units = {
        "units/__init__.py": "",
        "units/number.py": "",
        "units/other.py": "",
        "units/a.dat": "",
    }
    tree: Tree = {
        **PYTHON,
        **app("import units\n"),
        **dist("model", {"model/__init__.py": "", "model/tree.py": "", "model/other.py": ""}),
        **dist("units", units),
        f"{SITE}/units/a.dat": File(models[1]),
        "/app/model.bin": File(models[0]),
    }
    found = kept(plan_at(tmp_path, level, tree))
    assert {"model/__init__.py", "model/tree.py", "units/number.py"} <= found
    assert ("units/other.py" in found) is (level is not Level.TIGHT)
