"""dpkg's database: who owns which path, which packages depend on which."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from imgslim.model import Package
from imgslim.packages import unread_databases
from imgslim.world import World
from tests.worlds import Dir, File, Link, Tree, make_world

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9

Package: tool
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 1:2.0
Pre-Depends: libc6 (>= 2.34)
Depends: missing | mail-agent, perl:any, gone
Conffiles:
 /etc/tool.conf 5d41402abc4b2a76b9719d911017c592
 /etc/old.conf 00000000000000000000000000000000 obsolete
Description: a tool
 Package: not-a-field

Package: postfix
Status: install ok installed
Architecture: amd64
Version: 3
Provides: mail-agent (= 3)

Package: perl
Status: install ok installed
Architecture: all
Version: 5

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libc6
Status: install ok installed
Architecture: i386
Multi-Arch: same
Version: 2.36-9

Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1
"""

DEBIAN: Tree = {
    "/usr": Dir(),
    "/usr/bin": Dir(),
    "/bin": Link("usr/bin"),
    "/usr/bin/tool": File("tool", 0o755),
    "/usr/bin/tool.distrib": File("older", 0o755),
    "/usr/lib/x.so": "64",
    "/usr/lib32/x.so": "32",
    "/etc/tool.conf": "hello",
    "/var/lib/dpkg/status": STATUS,
    "/var/lib/dpkg/diversions": "/bin/tool\n/bin/tool.distrib\ntool\n",
    "/var/lib/dpkg/info/tool.list": "/.\n/bin\n/bin/tool\n/etc/tool.conf\n/usr/share/doc/gone\n",
    "/var/lib/dpkg/info/tool.md5sums": "0123456789abcdef0123456789abcdef  bin/tool\n",
    "/var/lib/dpkg/info/perl.list": "/bin/tool\n",
    "/var/lib/dpkg/info/libc6:amd64.list": "/usr/lib/x.so\n",
    "/var/lib/dpkg/info/libc6:i386.list": "/usr/lib32/x.so\n",
    "/var/lib/dpkg/info/removed.list": "/etc/tool.conf\n",
}


@pytest.fixture
def debian(tmp_path: Path) -> World:
    return make_world(tmp_path, DEBIAN)


def owner(world: World, path: str) -> str:
    package = world.packages.owner(path)
    return package.key if package else ""


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/usr/bin/tool", "deb:tool"),  # listed as /bin/tool, and diverted for everyone else
        ("/usr/bin/tool.distrib", "deb:perl"),
        ("/usr/lib/x.so", "deb:libc6"),
        ("/usr/lib32/x.so", "deb:libc6:i386"),
        ("/etc/tool.conf", "deb:tool"),  # not the removed package's
        ("/usr/lib", ""),
    ],
)
def test_owner_is_found_by_the_canonical_path(debian: World, path: str, key: str) -> None:
    assert owner(debian, path) == key


def test_relations_resolve_to_what_is_installed(debian: World) -> None:
    tool = debian.packages.packages["deb:tool"]
    assert tool.depends == ("deb:libc6", "deb:postfix", "deb:perl")
    assert (tool.version, tool.essential) == ("1:2.0", True)
    assert "deb:removed" not in debian.packages.packages


def test_checksums_come_from_both_places(debian: World) -> None:
    tool = debian.packages.packages["deb:tool"]
    assert tool.conffiles == ("/etc/tool.conf",)
    assert tool.checksums["/etc/tool.conf"] == ("md5", "5d41402abc4b2a76b9719d911017c592")
    assert tool.checksums["/usr/bin/tool"] == ("md5", "0123456789abcdef0123456789abcdef")
    assert "/usr/lib/x.so" not in tool.checksums


def test_distroless_status_d_gives_files_and_the_links_beside_them(tmp_path: Path) -> None:
    world = make_world(
        tmp_path,
        {
            "/usr/lib/libz.so.1.2": "z",
            "/usr/lib/libz.so.1": Link("libz.so.1.2"),
            "/app/libz.so": Link("/usr/lib/libz.so.1.2"),
            "/var/lib/dpkg/status.d/zlib1g": "Package: zlib1g\nArchitecture: amd64\nVersion: 1\n",
            "/var/lib/dpkg/status.d/zlib1g.md5sums": f"{'0' * 32}  usr/lib/libz.so.1.2\n",
        },
    )
    assert owner(world, "/usr/lib/libz.so.1.2") == "deb:zlib1g"
    assert owner(world, "/usr/lib/libz.so.1") == "deb:zlib1g"
    assert owner(world, "/app/libz.so") == ""


@pytest.mark.parametrize(
    "status", ["", "\n\n", "garbage", "Package: a\nStatus: install ok installed\n", "Package:\n"]
)
def test_damaged_database_is_no_error(tmp_path: Path, status: str) -> None:
    world = make_world(tmp_path, {"/var/lib/dpkg/status": status, "/x": "x"})
    assert owner(world, "/x") == ""


def test_unread_databases_are_said_once(tmp_path: Path) -> None:
    world = make_world(
        tmp_path,
        {
            "/usr/lib/sysimage/rpm/rpmdb.sqlite": "SQLite",
            "/var/lib/rpm": Link("../../usr/lib/sysimage/rpm"),
        },
    )
    (problem,) = unread_databases(world.rootfs)
    assert problem.code == "unread-package-database"
    assert "rpm" in problem.message
    assert unread_databases(make_world(tmp_path, DEBIAN).rootfs) == ()


@pytest.mark.skipif(
    shutil.which("dpkg-query") is None or not Path("/var/lib/dpkg/status").exists(),
    reason="compares with this machine's own dpkg database; run it on Debian or Ubuntu",
)
def test_lists_equal_what_dpkg_says_of_this_machine(tmp_path: Path) -> None:
    names = ["bash", "coreutils", "dash", "libc-bin", "tar"]
    info = Path("/var/lib/dpkg/info")
    tree: dict[str, File | Dir | Link | str] = {
        "/var/lib/dpkg/status": Path("/var/lib/dpkg/status").read_text(),
        "/var/lib/dpkg/diversions": Path("/var/lib/dpkg/diversions").read_text(),
    }
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            tree[f"/{name}"] = Link(str(Path("/", name).readlink()))
    expected = {name: _dpkg_files(name) for name in names}
    for name in names:
        tree[f"/var/lib/dpkg/info/{name}.list"] = (info / f"{name}.list").read_text()
        tree.update(dict.fromkeys(sorted(expected[name]), ""))
    packages = make_world(tmp_path, tree).packages.packages
    for name in names:
        assert _files(packages[f"deb:{name}"], tree) == expected[name]


def _dpkg_files(name: str) -> set[str]:
    """The regular files of a package where they really lie (diversions as dpkg -L tells them)."""
    lines = subprocess.run(
        ["dpkg-query", "-L", name], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    files: list[str] = []
    for line in lines:
        if line.startswith(("diverted by", "locally diverted")):
            files[-1] = line.partition(" to: ")[2]
        elif not line.startswith("package diverts"):
            files.append(line)
    found = (Path(file) for file in files)
    return {str(f.parent.resolve() / f.name) for f in found if f.is_file() and not f.is_symlink()}


def _files(package: Package, tree: Tree) -> set[str]:
    return {path for path in package.files if path in tree and not isinstance(tree[path], Link)}
