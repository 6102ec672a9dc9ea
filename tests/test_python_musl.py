"""The official layout on Alpine: CPython in /usr/local with a shared libpython, on musl."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imgslim.model import ImageConfig, Plan
from imgslim.pipeline import derive_plan
from tests.elves import elf
from tests.worlds import File, Link, Tree, make_world

LOADER = "/lib/ld-musl-x86_64.so.1"
LIBC = "libc.musl-x86_64.so.1"
STDLIB = "/usr/local/lib/python3.12"
SITE = f"{STDLIB}/site-packages"
SCRIPT = "#!/usr/local/bin/python3.12\nfrom gunicorn.app.wsgiapp import run\nrun()\n"


def shared(*needed: str) -> File:
    return File(elf(*needed, LIBC), mode=0o755)


def distribution(name: str, requires: str = "") -> Tree:
    info = f"{SITE}/{name}-1.0.dist-info"
    module = f"{SITE}/{name}/__init__.py"
    return {
        module: "",
        f"{info}/METADATA": f"Name: {name}\nVersion: 1.0\n{requires}",
        f"{info}/RECORD": f"{name}/__init__.py,,\n{name}-1.0.dist-info/METADATA,,\n",
    }


TREE: Tree = {
    "/etc/alpine-release": "3.18.9\n",
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "/bin/busybox": shared(),
    "/bin/sh": Link("/bin/busybox"),
    LOADER: File(elf(soname=LIBC), mode=0o755),
    f"/lib/{LIBC}": Link("ld-musl-x86_64.so.1"),
    "/usr/lib/libssl.so.3": shared("libcrypto.so.3"),
    "/usr/lib/libcrypto.so.3": shared(),
    "/usr/lib/libtk8.6.so": shared(),
    "/usr/local/bin/python3.12": File(
        elf("libpython3.12.so.1.0", LIBC, interpreter=LOADER), mode=0o755
    ),
    "/usr/local/bin/python3": Link("python3.12"),
    "/usr/local/bin/gunicorn": File(SCRIPT, mode=0o755),
    "/usr/local/lib/libpython3.12.so.1.0": shared(),
    "/usr/local/include/python3.12/Python.h": "",
    f"{STDLIB}/os.py": "",
    f"{STDLIB}/idlelib/idle.py": "",
    f"{STDLIB}/test/test_os.py": "",
    f"{STDLIB}/lib-dynload/_ssl.cpython-312-x86_64-linux-musl.so": shared("libssl.so.3"),
    f"{STDLIB}/lib-dynload/_tkinter.cpython-312-x86_64-linux-musl.so": shared("libtk8.6.so"),
    f"{SITE}/gunicorn/app/wsgiapp.py": "",
    **distribution("gunicorn", "Requires-Dist: packaging\n"),
    **distribution("packaging"),
    **distribution("flask"),
    **distribution("pip"),
    "/srv/app.py": "import flask\n",
}


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    config = ImageConfig(cmd=("gunicorn", "app:app"), working_dir="/srv")
    world = make_world(tmp_path, TREE, config=config)
    yield derive_plan(world)
    world.rootfs.close()


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (LOADER, True),
        (f"/lib/{LIBC}", True),
        ("/usr/local/lib/libpython3.12.so.1.0", True),
        ("/usr/lib/libcrypto.so.3", True),
        (f"{STDLIB}/os.py", True),
        (f"{SITE}/packaging/__init__.py", True),
        (f"{SITE}/flask-1.0.dist-info/METADATA", True),
        (f"{SITE}/pip/__init__.py", False),
        (f"{STDLIB}/test/test_os.py", False),
        (f"{STDLIB}/idlelib/idle.py", False),
        (f"{STDLIB}/lib-dynload/_tkinter.cpython-312-x86_64-linux-musl.so", False),
        ("/usr/local/include/python3.12/Python.h", False),
    ],
)
def test_what_a_server_on_musl_needs(plan: Plan, path: str, kept: bool) -> None:
    assert (path in {keep.entry.path for keep in plan.keeps}) is kept


def test_nothing_is_missing(plan: Plan) -> None:
    assert [p for p in plan.problems if p.code in ("missing-library", "missing-loader")] == []
