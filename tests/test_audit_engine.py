"""Other judges of an audit: the package managers in real images, and dive on sizes and score."""

from __future__ import annotations

import json
import os
import posixpath
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgslim.audit.efficiency import measure_efficiency
from imgslim.audit.ownership import Ownership
from imgslim.audit.stored import find_names
from imgslim.packages.pypi import normalise_name
from imgslim.pipeline import OpenedImage, judge, open_world
from imgslim.rootfs import Rootfs
from tests.archives import Made, docker_archive
from tests.engines import docker
from tests.worlds import Dir, File, Link, Tree

pytestmark = pytest.mark.engine

SAMPLE = 500


def dive_path() -> str:
    path = f"{os.environ.get('PATH', '')}:{Path.home() / 'go' / 'bin'}"
    found = shutil.which("dive", path=path)
    if found is None:
        pytest.skip("dive is not installed; to enable: .ci/builders")
    return found


@dataclass(frozen=True)
class Oracle:
    """A package manager that is asked inside the image: ``script`` reads paths from standard
    input, ``line`` finds the ``path`` and its ``owner`` in what it prints; ``kind`` is that of our
    keys."""

    image: str
    kind: str
    script: str
    line: str


ORACLES = [
    Oracle(
        "debian:bookworm",
        "deb",
        "tr '\\n' '\\0' | xargs -0 dpkg -S 2>/dev/null; true",
        r"(?P<owner>[a-z0-9][a-z0-9.+-]+)(?::\w+)?: (?P<path>/.*)",
    ),
    Oracle(
        "alpine:3.18",
        "apk",
        "tr '\\n' '\\0' | xargs -0 apk info -W 2>/dev/null; true",
        r"(?P<path>/.*) is owned by (?P<owner>.*)-[^-]+-r\d+",
    ),
    Oracle(
        "python:3.11",
        "pypi",
        "pip list --format freeze 2>/dev/null | sed 's/[ =@].*//' | xargs pip show -f 2>/dev/null |"
        'awk \'/^Name: /{n=$2} /^Location: /{p=$2} /^  /{print n " " p "/" substr($0, 3)}\'',
        r"(?P<owner>\S+) (?P<path>/.*)",
    ),
]


def ask(oracle: Oracle, paths: list[str]) -> dict[str, str]:
    """The owners by path, as the image's own package manager has them."""
    command = ["docker", "run", "--rm", "-i", "--network", "none", "--entrypoint", "/bin/sh"]
    done = subprocess.run(
        [*command, oracle.image, "-c", oracle.script],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        check=True,
    )
    found = filter(None, (re.fullmatch(oracle.line, line) for line in done.stdout.splitlines()))
    return {posixpath.normpath(match["path"]): match["owner"] for match in found}


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.kind)
def test_owners_are_those_that_the_package_manager_names(oracle: Oracle) -> None:
    with open_world(f"docker-daemon:{oracle.image}") as opened:
        world = opened.world
        owner_of = owners(opened)
        files = sorted(path for path, entry in world.rootfs.entries.items() if entry.is_file)
        asked = random.Random(SAMPLE).sample(files, min(SAMPLE, len(files)))
        if oracle.kind == "pypi":
            ours = [path for path in files if owner_of(path).startswith("pypi:")]
            asked = random.Random(SAMPLE).sample(ours, min(SAMPLE, len(ours)))
        told = ask(oracle, [name for path in asked for name in aliases(world.rootfs, path)])
        expected = {
            path: [told[name] for name in aliases(world.rootfs, path) if name in told][:1]
            for path in asked
        }
        found = {
            path: [name] if (name := name_in(owner_of(path), oracle)) else [] for path in asked
        }
    if oracle.kind == "pypi":
        expected = {
            path: [normalise_name(name) for name in names] for path, names in expected.items()
        }
    differing = {
        path: (found[path], expected[path]) for path in asked if found[path] != expected[path]
    }
    assert differing == {}
    assert sum(map(len, expected.values())) > len(asked) / 2


def name_in(key: str, oracle: Oracle) -> str:
    return key.removeprefix(f"{oracle.kind}:") if key.startswith(f"{oracle.kind}:") else ""


def owners(opened: OpenedImage) -> Callable[[str], str]:
    ownership, origin_of = Ownership(opened.world), judge(opened.world).origin_of

    def owner_of(path: str) -> str:
        entry = opened.world.rootfs.entries[path]
        return ownership.owner(path, path.rpartition("/")[0], entry, origin_of(path))

    return owner_of


def aliases(rootfs: Rootfs, path: str) -> list[str]:
    """The names under which a database may have a canonical path: as it is, and through the links
    at the top of a merged /usr."""
    names = [path]
    for link in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        entry = rootfs.get(f"/{link}")
        if entry is not None and entry.is_symlink and path.startswith(f"/usr/{link}/"):
            names.append(path.removeprefix("/usr"))
    return names


TREES: list[tuple[Tree, ...]] = [
    (
        {
            "/d": Dir(),
            "/d/x": File(b"x" * 3000),
            "/d/in/y": File(b"y" * 200),
            "/a": File(b"a" * 10),
            "/b": File(b"b" * 500),
            "/e": Dir(),
            "/data/one": File(b"1" * 40),
            "/data/two": File(hard_link="/data/one"),
            "/lib": Link("usr/lib"),
            "/usr/lib/l": File(b"l" * 60),
            "/c/old": File(b"o" * 70),
        },
        {"/.wh.d": "", "/a": File(b"A" * 100), "/.wh.b": "", "/c/.wh..wh..opq": "", "/c/new": "n"},
        {"/d": Dir(), "/d/x": File(b"X" * 9), "/e": Dir(), "/data/.wh.one": "", "/lib/l": "again"},
        {"/.wh.d": "", "/.wh.e": "", "/b": File(b"B" * 50)},
    ),
    # A deletion through a link, at which dive stops reading a layer.
    (
        {"/usr/lib/x": File(b"x" * 60), "/lib": Link("usr/lib"), "/rest": File(b"r" * 1000)},
        {"/a": File(b"a" * 5), "/lib/.wh.x": "", "/z/z": File(b"z" * 7)},
    ),
]


@pytest.fixture(params=[*range(len(TREES)), "debian:bookworm", "python:3.11"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An archive: of a small image, or of a real one."""
    path = tmp_path / "image.tar"
    if isinstance(request.param, int):
        docker_archive(path, Made(TREES[request.param], tags=["audited:1"]))
    else:
        docker("save", "-o", str(path), request.param)
    return str(path)


def test_sizes_and_score_are_dives(location: str, tmp_path: Path) -> None:
    document = tmp_path / "dive.json"
    command = [dive_path(), "--json", str(document), f"docker-archive://{location}"]
    subprocess.run(command, check=True, capture_output=True)
    dive = json.loads(document.read_text(encoding="utf-8"))
    with open_world(location) as opened:
        layers = opened.layers
        ours = [{entry.path: entry.size_bytes for entry in layer.entries} for layer in layers]
        efficiency = measure_efficiency(layers, find_names(layers, opened.world.rootfs))
    for own, layer in zip(ours, dive["layer"], strict=True):
        # Directories that a layer only implies have no path there, and are no members of it.
        rows = [row for row in layer["fileList"] if row["path"]]
        named = {f"/{row['path']}": row["size"] for row in rows if ".wh." not in row["path"]}
        assert named.items() <= own.items()
        assert own.keys() - named.keys() <= {"/"}
    assert [layer["sizeBytes"] for layer in dive["layer"]] == [layer.size_bytes for layer in layers]
    found = dive["image"]
    assert found["sizeBytes"] == efficiency.stored_bytes
    assert found["efficiencyScore"] == pytest.approx(efficiency.dive_score, abs=1e-12)
    assert found["inefficientBytes"] == efficiency.dive_wasted_bytes
