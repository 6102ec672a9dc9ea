"""A saved image of a million small files, without an engine: a directory of an app's assets as big
as people have them, and packages.

Below are the layers of ``fixtures/interpreter_image.py``. Seven of ten of the files are assets that
no package owns, in two layers of which the second stores some again; two of ten Debian packages',
one of ten PyPI packages'.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.big_image import (
    FILES_A_PACKAGE,
    Filler,
    LayerTar,
    interpreter_image,
    package_status,
)

FILES = 1_000_000
_SYSTEM_PACKAGES = FILES * 2 // 10 // FILES_A_PACKAGE
_DISTRIBUTIONS = FILES // 10 // FILES_A_PACKAGE
_ASSETS = FILES * 7 // 10
_STORED_AGAIN = 10_000
_FILES_A_DIRECTORY = 100
_BYTES_A_PACKAGE = 40_000

_SUFFIXES = ("json", "html", "svg", "png", "css", "js", "txt", "woff2", "xml", "md")


def write_many_files(path: Path, pip: list[str]) -> None:
    """Write the archive to ``path``; takes about three minutes and needs PyPI once."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        layers = interpreter_image.make_layers(folder, pip)
        filler = Filler(_SYSTEM_PACKAGES, _BYTES_A_PACKAGE)
        with LayerTar("RUN apt-get install", folder / "system.tar") as layer:
            filler.debian(layer, _SYSTEM_PACKAGES, package_status(layers[0]))
        layers.insert(1, layer)
        with LayerTar("RUN pip install -r requirements.txt", folder / "python.tar") as layer:
            filler.pypi(layer, _DISTRIBUTIONS)
        layers.append(layer)
        half = _ASSETS // 2
        spans = (range(half), range(half - _STORED_AGAIN, _ASSETS))
        for number, span in enumerate(spans):
            with LayerTar("COPY assets assets", folder / f"assets-{number}.tar") as layer:
                for asset in span:
                    layer.data(_asset_path(asset), f"asset {asset} of {number}\n".encode())
            layers.append(layer)
        interpreter_image.write_archive(path, layers)


def _asset_path(number: int) -> str:
    directory = number // _FILES_A_DIRECTORY
    suffix = _SUFFIXES[number % len(_SUFFIXES)]
    top = f"{interpreter_image.HOME}/assets"
    return f"{top}/{directory // 100:02}/{directory % 100:02}/item{number}.{suffix}"
