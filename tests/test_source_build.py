"""A Dockerfile with the slim image behind the user's own stages: built, and built again next month
with another version of a distribution and of a shared library."""

from __future__ import annotations

import subprocess
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgslim.cli.app import run
from imgslim.pipeline import analyze
from tests import engines

pytestmark = pytest.mark.engine

DOCKERFILE = """\
# escape=`
ARG BASE=python:3.11
FROM $BASE AS Base
FROM base
RUN useradd --uid 1000 app
WORKDIR /srv/app
COPY wheels wheels
COPY greet.c version ./
RUN v=$(cat version) && libs=$(dirname $(ldconfig -p | grep -o '/.*/libc.so.6')) && `
    gcc -shared -fPIC -Wl,-soname,libgreet.so.1 -DVERSION="\\"$v\\"" greet.c `
        -o $libs/libgreet.so.$v && `
    ln -s libgreet.so.$v $libs/libgreet.so.1 && pip install --no-index wheels/*.whl && `
    rm -r wheels greet.c version
COPY --chown=app:app main.py ./
ENV PYTHONDONTWRITEBYTECODE=1 GREETING="a $v \\ b"
VOLUME /srv/data
ONBUILD RUN exit 1
SHELL ["/bin/false"]
USER app
ENTRYPOINT ["python", "/srv/app/main.py"]"""

GREET = "const char *version(void) { return VERSION; }\n"

MAIN = """\
import ctypes, importlib.metadata, os
import kindly
greet = ctypes.CDLL("libgreet.so.1")
greet.version.restype = ctypes.c_char_p
print(greet.version().decode(), importlib.metadata.version("kindly"), kindly.say())
"""


def write_wheel(folder: Path, version: str, modules: dict[str, str]) -> None:
    """A wheel of the distribution ``kindly`` (PyPA, binary distribution format)."""
    info = f"kindly-{version}.dist-info"
    files = {
        **{f"kindly/{name}": text for name, text in modules.items()},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: kindly\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    for old in folder.glob("*.whl"):
        old.unlink()
    with zipfile.ZipFile(folder / f"kindly-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in files))


def write_context(folder: Path, *, library: str, wheel: str, modules: dict[str, str]) -> None:
    (folder / "wheels").mkdir(exist_ok=True)
    write_wheel(folder / "wheels", wheel, modules)
    for name, text in {"greet.c": GREET, "version": library, "main.py": MAIN}.items():
        (folder / name).write_text(text)


@pytest.fixture
def name() -> Iterator[str]:
    name = f"imgslim-test-{uuid.uuid4().hex[:12]}"
    yield name
    for tag in ("fat", "slim", "next"):
        subprocess.run(["docker", "rmi", "-f", f"{name}:{tag}"], capture_output=True, check=False)


def build(context: Path, dockerfile: Path, tag: str, *options: str) -> None:
    engines.docker(
        "build",
        "-q",
        "--network=host",
        *options,
        f"--file={dockerfile}",
        f"--tag={tag}",
        str(context),
    )


def test_next_months_build_works_too(name: str, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    old = {"__init__.py": "def say(): return 'hello'\n"}
    write_context(context, library="1.2.3", wheel="1.0", modules=old)
    build(context, tmp_path / "Dockerfile", f"{name}:fat")
    slim = tmp_path / "Dockerfile.slim"
    source = str(tmp_path / "Dockerfile")
    assert run(["rewrite", f"{name}:fat", "-q", "--source", source, "-o", str(slim)]) == 0

    build(context, slim, f"{name}:slim")
    assert engines.run(f"{name}:slim") == "1.2.3 1.0 hello\n"
    with analyze(f"{name}:fat") as analysis:
        keeps = [keep for keep in analysis.plan.keeps if keep.content is None]
        planned = engines.nodes_of(keep.entry for keep in keeps)
    built = engines.exported_tree(f"{name}:slim")
    differing = {
        path
        for path, node in planned.items()
        if path not in engines.ENGINE_PATHS and built.get(path) != node
    }
    assert differing == set(), "the same steps, the same cache: the same entries"
    config, fat = (engines.image_config(f"{name}:{tag}") for tag in ("slim", "fat"))
    for field in ("Env", "User", "WorkingDir", "Entrypoint", "Volumes", "OnBuild", "Shell"):
        assert config[field] == fat[field], field

    new = {"__init__.py": "from kindly.words import say\n", "words.py": "def say(): return 'hi'\n"}
    write_context(context, library="1.10.0", wheel="2.0.1", modules=new)
    build(context, slim, f"{name}:next")
    assert engines.run(f"{name}:next") == "1.10.0 2.0.1 hi\n"


def test_what_is_gone_stops_the_build_with_its_name(name: str, tmp_path: Path) -> None:
    source = tmp_path / "Dockerfile"
    text = (
        "FROM alpine:3.18\nCOPY lib /opt/lib\nRUN ln -s one.conf /opt/lib/link "
        '&& chmod 700 /opt/lib\nCMD ["cat", "/opt/lib/link"]\n'
    )
    source.write_text(text)
    folder = tmp_path / "context" / "lib"
    folder.mkdir(parents=True)
    (folder / "one.conf").write_text("one\n")
    build(folder.parent, source, f"{name}:fat")
    slim = tmp_path / "Dockerfile.slim"
    command = ["rewrite", f"{name}:fat", "-q", "--source", str(source), "-o", str(slim)]
    assert run(command) == 0
    build(folder.parent, slim, f"{name}:slim")
    assert engines.run(f"{name}:slim") == "one\n"
    gone = slim.read_text().replace("alpine:3.18 AS base", "alpine:3.18 AS base\nRUN rm /bin/cat")
    slim.write_text(gone)
    with pytest.raises(engines.BuildFailedError, match="/bin/cat is not in this build any more"):
        build(folder.parent, slim, f"{name}:next")
