"""apk's installed database."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path

import pytest

from imgslim.world import World
from tests.worlds import File, Link, Tree, make_world

SHA1 = hashlib.sha1(b"content", usedforsecurity=False)

INSTALLED = f"""C:Q1abc=
P:busybox
V:1.36.1-r2
A:x86_64
o:busybox
D:so:libc.musl-x86_64.so.1
p:cmd:sh=1.36 /bin/sh
F:bin
R:busybox
a:0:0:755
Z:Q1{b64encode(SHA1.digest()).decode()}
F:etc
M:0:0:1777
R:shells
Z:broken

P:musl
V:1.2.4
A:x86_64
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1

P:app
V:1.0
A:noarch
D:busybox>=1.30 cmd:sh /bin/busybox !conflict pc:none missing~1
F:
R:at-root
F:usr/bin
R:app
"""


@pytest.fixture(params=["/lib/apk/db/installed", "/usr/lib/apk/db/installed"])
def alpine(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    tree: Tree = {
        "/bin/busybox": File("content", 0o755),
        "/lib/ld-musl-x86_64.so.1": "musl",
        "/etc/shells": "/bin/sh",
        "/at-root": "",
        "/usr/bin/app": "app",
        "/bin/sh": Link("busybox"),
    }
    return make_world(tmp_path, {**tree, request.param: INSTALLED})


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/bin/busybox", "apk:busybox"),
        ("/etc/shells", "apk:busybox"),
        ("/lib/ld-musl-x86_64.so.1", "apk:musl"),
        ("/at-root", "apk:app"),
        ("/usr/bin/app", "apk:app"),
        ("/bin/sh", None),
    ],
)
def test_owner(alpine: World, path: str, key: str | None) -> None:
    package = alpine.packages.owner(path)
    assert (package.key if package else None) == key


def test_dependencies_resolve_through_what_packages_provide(alpine: World) -> None:
    packages = alpine.packages.packages
    assert packages["apk:busybox"].depends == ("apk:musl",)
    assert packages["apk:app"].depends == ("apk:busybox",)
    assert packages["apk:busybox"].essential and not packages["apk:app"].essential


def test_checksums_are_hexadecimal_and_broken_ones_absent(alpine: World) -> None:
    busybox = alpine.packages.packages["apk:busybox"]
    assert dict(busybox.checksums) == {"/bin/busybox": ("sha1", SHA1.hexdigest())}
    assert busybox.conffiles == ("/etc/shells",)


def test_one_database_behind_a_link_is_read_once(tmp_path: Path) -> None:
    world = make_world(
        tmp_path,
        {"/usr/lib/apk/db/installed": "P:a\nV:1\nD:b\n\nP:b\nV:1\n", "/lib": Link("usr/lib")},
    )
    assert list(world.packages.packages) == ["apk:a", "apk:b"]
