"""A real scanner reads slim images: it finds the packages that own what is kept, and no others."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.build import build_fixture, load_fixture
from imgslim.archive import Settings, write_archive
from imgslim.choices import Choices
from imgslim.model import Plan
from imgslim.packages.npm import read_npm
from imgslim.packages.pypi import normalise_name
from imgslim.pipeline import Analysis, analyze, expect, rewrite, verify
from imgslim.world import World
from tests import engines
from tests.scripts import script
from tests.worlds import Link, Tree, tar_bytes

Found = Counter[tuple[str, str, str]]
"""(type, name, version) of each package that was found."""

pytestmark = pytest.mark.engine

TYPES = ("deb", "apk", "python", "npm")


def syft_path() -> str:
    """The scanner; skips the running test, with a reason, when it is not installed."""
    path = os.environ.get("PATH", "")
    found = shutil.which("syft", path=f"{path}:{Path.home() / 'go' / 'bin'}")
    if found is None:
        pytest.skip("syft is not installed; to enable: .ci/builders")
    return found


def scanned(location: str) -> Found:
    """What the scanner finds in the image at ``location``, in its words."""
    said = engines.command(
        syft_path(),
        "scan",
        location,
        "--quiet",
        "--output=json",
        env={"SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    rows = json.loads(said)["artifacts"]
    return Counter(
        (row["type"], _name(row["type"], row["name"]), row["version"])
        for row in rows
        if row["type"] in TYPES
    )


def _name(kind: str, name: str) -> str:
    return normalise_name(name) if kind == "python" else name


def owning(world: World, plan: Plan) -> Found:
    """The packages that own a kept file or link, each once. The links of a merged-/usr system are
    where packages of the time before it have a directory, and no package's."""
    merged = {"/bin", "/lib", "/lib64", "/sbin"}
    files = {keep.entry.path for keep in plan.keeps if not keep.entry.is_directory}
    kept = files - merged
    packages = [*world.packages.packages.values(), *read_npm(world.rootfs)]
    rows = [(p.key.partition(":")[0], p.name, p.version, p.files) for p in packages]
    rows += [("python", d.name, d.version, d.files) for d in world.packages.distributions]
    return Counter(
        {(kind, name, version) for kind, name, version, files in rows if not kept.isdisjoint(files)}
    )


@contextmanager
def slim_archive(analysis: Analysis, folder: Path) -> Iterator[str]:
    path = folder / "slim.tar"
    with path.open("wb") as file:
        write_archive(file, analysis.image, analysis.world, analysis.plan, Settings("slim:test"))
    yield f"docker-archive:{path}"
    path.unlink()


@pytest.mark.parametrize("name", ["shell-busybox", "python-debian-venv", "python-git-tool"])
def test_a_slim_archive_holds_the_packages_of_what_is_kept(name: str, tmp_path: Path) -> None:
    fixture = load_fixture(name)
    location = f"docker-daemon:{build_fixture(fixture)}"
    with analyze(location, also_run=fixture.also_run) as analysis:
        expected = owning(analysis.world, analysis.plan)
        with slim_archive(analysis, tmp_path) as archive:
            assert scanned(archive) == expected
        assert 0 < expected.total() < len(analysis.world.packages.packages)


SITE = "/usr/local/lib/python3.11/dist-packages"
LAYER: Tree = {
    "/srv/start": script(
        f"cat /srv/node_modules/used/index.js {SITE}/kept.py | grep -c x\n"
        "cat /srv/node_modules/@scope/used/package.json /srv/node_modules/far/package.json"
    ),
    "/srv/node_modules/used/package.json": '{"name": "used", "version": "1.0.0"}',
    "/srv/node_modules/used/index.js": "x",
    "/srv/node_modules/@scope/used/package.json": '{"name": "@scope/used", "version": "2.0.0"}',
    "/srv/node_modules/.pnpm/far@3.0.0/node_modules/far/package.json": (
        '{"name": "far", "version": "3.0.0"}'
    ),
    "/srv/node_modules/far": Link(".pnpm/far@3.0.0/node_modules/far"),
    "/srv/node_modules/unused/package.json": '{"name": "unused", "version": "1.0.0"}',
    "/srv/node_modules/unused/index.js": "",
    f"{SITE}/kept.py": "",
    f"{SITE}/kept-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: kept\nVersion: 1.0\n",
    f"{SITE}/kept-1.0.dist-info/RECORD": "kept.py,,\nkept-1.0.dist-info/METADATA,,\n",
    f"{SITE}/gone.py": "",
    f"{SITE}/gone-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: gone\nVersion: 1.0\n",
    f"{SITE}/gone-1.0.dist-info/RECORD": "gone.py,,\ngone-1.0.dist-info/METADATA,,\n",
}
DROPPED = ("/srv/node_modules/unused",)


@pytest.fixture(scope="module", params=["debian:bookworm", "alpine:3.18"])
def fat(request: pytest.FixtureRequest) -> Iterator[str]:
    base: str = request.param
    if not engines.has_image(base):
        pytest.skip(f"no image {base}; .ci/bases makes it, or: docker pull {base}")
    tag = f"imgslim-test-scanned-{base.partition(':')[0]}:latest"
    engines.import_over(base, tar_bytes(LAYER), tag, ['ENTRYPOINT ["/srv/start"]'])
    yield tag
    engines.remove_image(tag)


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_a_built_image_holds_the_packages_of_what_is_kept(builder: str, fat: str) -> None:
    engines.require_builder(builder)
    syft_path()
    tag = f"imgslim-test-scanned-slim-{builder}:latest"
    with analyze(f"docker-daemon:{fat}", Choices(drop=DROPPED)) as analysis:
        expected = owning(analysis.world, analysis.plan)
        engines.build(builder, rewrite(analysis), tag, [fat])
        try:
            assert scanned(f"docker:{tag}") == expected
            _, result = verify(f"docker-daemon:{tag}", expect(analysis))
        finally:
            engines.remove_image(tag)
    assert result.differences == ()
    names = {(kind, name) for kind, name, _ in expected}
    assert {("npm", "used"), ("npm", "@scope/used"), ("npm", "far"), ("python", "kept")} < names
    system = {kind for kind, _ in names} & {"deb", "apk"}
    assert len(system) == 1
