"""A saved image of the size that people complain about: 46,000 files, 1.5 GB, without an engine.

Its interpreter, libraries, wheels and app are the real ones of ``fixtures/interpreter_image.py``;
what fills it up are synthetic packages: Debian ones with their database, PyPI ones with their
metadata, each with a binary part.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "fixtures"))

import interpreter_image  # noqa: E402 - fixtures are scripts, not a package
from interpreter_image import LayerTar  # noqa: E402

FILES = 46_000
SIZE_BYTES = 1_500_000_000
SYSTEM_SHARE = 0.8
"""Of the filler, how much is system packages; the rest is Python distributions."""

FILES_A_PACKAGE = 100


def write_big_image(path: Path, pip: list[str]) -> None:
    """Write the archive to ``path``; takes about a minute and needs PyPI once."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        layers = interpreter_image.make_layers(folder, pip)
        missing_files = FILES - sum(_file_count(layer) for layer in layers)
        missing_bytes = SIZE_BYTES - sum(layer.path.stat().st_size for layer in layers)
        packages = missing_files // FILES_A_PACKAGE
        filler = Filler(packages, missing_bytes // packages)
        system = int(packages * SYSTEM_SHARE)
        with LayerTar("RUN apt-get install", folder / "system.tar") as layer:
            filler.debian(layer, system, package_status(layers[0]))
        layers.insert(1, layer)
        with LayerTar("RUN pip install -r requirements.txt", folder / "python.tar") as layer:
            filler.pypi(layer, packages - system)
        layers.insert(-1, layer)
        interpreter_image.write_archive(path, layers)


def package_status(base: LayerTar) -> str:
    """The base's paragraphs: the layer above brings a database of all packages."""
    with tarfile.open(base.path) as archive:
        if "var/lib/dpkg/status" not in archive.getnames():
            return ""
        status = archive.extractfile("var/lib/dpkg/status")
        return status.read().decode() if status else ""


def _file_count(layer: LayerTar) -> int:
    with tarfile.open(layer.path) as archive:
        return sum(member.isreg() for member in archive)


class Filler:
    """Packages of a hundred files, of which one is big."""

    def __init__(self, packages: int, bytes_a_package: int) -> None:
        self._random = random.Random(packages)
        text = bytes_a_package // 4 // FILES_A_PACKAGE
        line = b"def function(argument):\n    return argument * 2  # filler\n"
        self._text = (line * (text // len(line) + 1))[:text]
        self._blob_size = bytes_a_package * 3 // 4

    def debian(self, layer: LayerTar, count: int, base_status: str) -> None:
        status = [base_status] if base_status else []
        for number in range(count):
            name = f"filler{number}"
            big = {f"/usr/lib/{name}/lib{name}.a": self._blob()}
            texts = [
                f"/usr/share/{name}/part{n // 20}/file{n}.h" for n in range(FILES_A_PACKAGE - 3)
            ]
            files = big | dict.fromkeys(texts, self._text)
            for path, content in files.items():
                layer.data(path, content)
            listing = "/.\n" + "".join(f"{path}\n" for path in files)
            sums = "".join(
                f"{hashlib.md5(content).hexdigest()}  {path[1:]}\n"
                for path, content in files.items()
            )
            layer.text(f"/var/lib/dpkg/info/{name}.list", listing)
            layer.text(f"/var/lib/dpkg/info/{name}.md5sums", sums)
            status.append(
                f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
                f"Version: 1.{number}\nDescription: filler\n"
            )
        layer.text("/var/lib/dpkg/status", "\n".join(status))

    def pypi(self, layer: LayerTar, count: int) -> None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        site = f"{interpreter_image.HOME}/venv/lib/python{version}/site-packages"
        for number in range(count):
            name = f"filler{number}"
            files = {f"{name}/mod{n // 20}_{n}.py": self._text for n in range(FILES_A_PACKAGE - 4)}
            files |= {f"{name}/__init__.py": b"", f"{name}/weights.bin": self._blob()}
            meta = f"{name}-1.0.dist-info"
            files[f"{meta}/METADATA"] = f"Name: {name}\nVersion: 1.0\n".encode()
            record = "".join(f"{path},,\n" for path in [*files, f"{meta}/RECORD"])
            files[f"{meta}/RECORD"] = record.encode()
            for path, content in files.items():
                layer.data(f"{site}/{path}", content)

    def _blob(self) -> bytes:
        return self._random.randbytes(self._blob_size)
