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
_FILES_A_DIRECTORY = 100
_BYTES_A_PACKAGE = 40_000

_SUFFIXES = ("json", "html", "svg", "png", "css", "js", "txt", "woff2", "xml", "md")


def write_many_files(path: Path, pip: list[str], files: int = FILES) -> None:
    """Write the archive to ``path``; takes about two minutes and needs PyPI once."""
    system, distributions = files // 5 // FILES_A_PACKAGE, files // 10 // FILES_A_PACKAGE
    assets = files * 7 // 10
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        layers = interpreter_image.make_layers(folder, pip)
        filler = Filler(system, _BYTES_A_PACKAGE)
        with LayerTar("RUN apt-get install", folder / "system.tar") as layer:
            filler.debian(layer, system, package_status(layers[0]))
        layers.insert(1, layer)
        with LayerTar("RUN pip install -r requirements.txt", folder / "python.tar") as layer:
            filler.pypi(layer, distributions)
        layers.append(layer)
        half = assets // 2
        spans = (range(half), range(half - files // 100, assets))
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
