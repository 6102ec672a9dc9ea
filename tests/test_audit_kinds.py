"""What kind of thing each file of an image is, and whose."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from imgslim.audit import kind_titles
from imgslim.model import Package
from imgslim.tables import load_table
from tests.audits import audit_of
from tests.test_go import go_binary
from tests.worlds import File, Tree

SITE = "/usr/local/lib/python3.12/site-packages"
STATUS = """\
Package: gcc-12
Status: install ok installed
Section: devel
Architecture: amd64
Version: 12.2

Package: apt
Status: install ok installed
Section: admin
Architecture: amd64
Version: 2.6

Package: libfoo
Status: install ok installed
Section: libs
Architecture: amd64
Version: 1.0
"""
LISTS = {
    "gcc-12": ("/usr/bin/gcc-12", "/usr/lib/gcc/x86_64-linux-gnu/12/cc1"),
    "apt": ("/usr/bin/apt",),
    "libfoo": (
        "/usr/lib/libfoo.so.1",
        "/usr/lib/libfoo.a",
        "/usr/include/foo.h",
        "/usr/share/doc/libfoo/copyright",
        "/usr/share/man/man3/foo.3.gz",
        "/usr/share/locale/de/LC_MESSAGES/foo.mo",
        "/usr/lib/debug/.build-id/aa/bb.debug",
        "/usr/share/fonts/truetype/foo.ttf",
    ),
}
TREE: Tree = {
    "/etc/debian_version": "12",
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "/var/lib/dpkg/status": STATUS,
    **{f"/var/lib/dpkg/info/{name}.list": "\n".join(paths) for name, paths in LISTS.items()},
    **{path: f"{path}\n" for paths in LISTS.values() for path in paths},
    f"{SITE}/flask/app.py": "x = 1\n",
    f"{SITE}/flask/tests/test_app.py": "x = 2\n",
    f"{SITE}/flask/__pycache__/app.cpython-312.pyc": "bytecode",
    f"{SITE}/flask-3.0.dist-info/METADATA": "Name: flask\nVersion: 3.0\n",
    f"{SITE}/flask-3.0.dist-info/RECORD": "flask/app.py,,\nflask/tests/test_app.py,,\n"
    "flask/__pycache__/app.cpython-312.pyc,,\nflask-3.0.dist-info/METADATA,,\n"
    "flask-3.0.dist-info/RECORD,,\n",
    f"{SITE}/pip/main.py": "x = 3\n",
    f"{SITE}/pip-24.0.dist-info/METADATA": "Name: pip\nVersion: 24.0\n",
    f"{SITE}/pip-24.0.dist-info/RECORD": "pip/main.py,,\npip-24.0.dist-info/METADATA,,\n",
    "/var/lib/apt/lists/deb.debian.org_main_Packages": "Package: x\n",
    "/root/.cache/pip/http/a": "cached",
    "/var/cache/debconf/config.dat": "Name: x\n",
    "/var/log/dpkg.log": "installed\n",
    "/tmp/leftover": "x" * 9,
    "/app/.git/HEAD": "ref: refs/heads/main\n",
    "/app/.git/objects/pack/a.pack": "packed",
    "/app/main.py": "print()\n",
    "/app/static/app.js.map": "{}",
}
EXPECTED = {
    "/usr/bin/gcc-12": "toolchain",
    "/usr/lib/gcc/x86_64-linux-gnu/12/cc1": "toolchain",
    "/usr/bin/apt": "package-managers",
    "/usr/lib/libfoo.so.1": "runtime",
    "/usr/lib/libfoo.a": "static-libraries",
    "/usr/include/foo.h": "headers",
    "/usr/share/doc/libfoo/copyright": "docs",
    "/usr/share/man/man3/foo.3.gz": "man",
    "/usr/share/locale/de/LC_MESSAGES/foo.mo": "locales",
    "/usr/lib/debug/.build-id/aa/bb.debug": "debug-symbols",
    "/usr/share/fonts/truetype/foo.ttf": "fonts",
    f"{SITE}/flask/app.py": "runtime",
    f"{SITE}/flask/tests/test_app.py": "tests",
    f"{SITE}/flask/__pycache__/app.cpython-312.pyc": "bytecode",
    f"{SITE}/pip/main.py": "package-managers",
    "/var/lib/apt/lists/deb.debian.org_main_Packages": "caches",
    "/root/.cache/pip/http/a": "caches",
    "/var/cache/debconf/config.dat": "caches",
    "/var/lib/dpkg/status": "databases",
    "/var/log/dpkg.log": "logs",
    "/tmp/leftover": "temporary",
    "/app/.git/objects/pack/a.pack": "vcs",
    "/app/main.py": "app",
    "/app/static/app.js.map": "debug-symbols",
}


def test_every_file_has_the_kind_that_its_place_or_package_gives_it(tmp_path: Path) -> None:
    files = {file.path: file for file in audit_of(tmp_path, TREE).files}
    assert {path: files[path].kind for path in EXPECTED} == EXPECTED
    assert files["/root/.cache/pip/http/a"].unit == "pip cache"
    assert files["/var/lib/apt/lists/deb.debian.org_main_Packages"].unit == "apt package lists"
    assert files["/usr/lib/libfoo.so.1"].unit == "system packages"


def test_every_kind_of_the_table_is_claimed_by_a_row_or_by_what_is_left() -> None:
    claimed = {row["kind"] for row in load_table("kinds")["row"]}
    assert claimed | {"app", "runtime", "other"} == set(kind_titles())
    assert all(row["evidence"] for row in load_table("kinds")["row"])


@pytest.mark.parametrize(
    ("path", "kind", "unit"),
    [
        ("/var/lib/apt/lists/deb_Packages", "caches", "apt package lists"),
        ("/home/x/.npm/_cacache/index/a", "caches", "npm cache"),
        ("/var/cache/apk/APKINDEX.1.tar.gz", "caches", "apk cache"),
        ("/src/.git/objects/aa/b", "vcs", "git"),
        ("/usr/share/doc/x/README", "docs", ""),
        ("/opt/build/out", "other", ""),
    ],
)
def test_a_deleted_file_is_of_the_kind_that_its_path_says(
    path: str, kind: str, unit: str, tmp_path: Path
) -> None:
    parent, _, name = path.rpartition("/")
    audit = audit_of(tmp_path, {path: "x" * 7}, {f"{parent}/.wh.{name}": ""})
    assert [(file.kind, file.unit) for file in audit.wasted] == [(kind, unit)]
    (cell,) = audit.cells
    assert (cell.kind, cell.unit, cell.size_bytes) == (kind, unit, 7)


def jar(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


POM = "#Generated\ngroupId=org.acme\nartifactId={}\nversion=2.5\n"


@pytest.mark.parametrize(
    ("path", "content", "key", "version"),
    [
        ("/app/lib/guava-33.0-jre.jar", b"", "jar:guava@33.0-jre", "33.0-jre"),
        ("/app/lib/org.acme.x_1.2.3.jar", b"", "jar:org.acme.x@1.2.3", "1.2.3"),
        (
            "/app/app.jar",
            jar({"META-INF/maven/org.acme/shop/pom.properties": POM.format("shop")}),
            "jar:shop@2.5",
            "2.5",
        ),
        (
            "/app/shop.jar",
            jar(
                {
                    f"META-INF/maven/org.acme/{name}/pom.properties": POM.format(name)
                    for name in ("other", "shop")
                }
            ),
            "jar:shop@2.5",
            "2.5",
        ),
        (
            "/app/fat.jar",
            jar(
                {
                    f"META-INF/maven/org.acme/{name}/pom.properties": POM.format(name)
                    for name in ("one", "two")
                }
            ),
            "jar:fat",
            "",
        ),
        ("/app/damaged.war", b"PK\x03\x04 no archive", "jar:damaged", ""),
    ],
)
def test_a_java_archive_is_the_package_that_it_says_it_is(
    path: str, content: bytes, key: str, version: str, tmp_path: Path
) -> None:
    audit = audit_of(tmp_path, {path: File(content or b"PK")})
    assert [(row.key, row.version) for row in audit.packages] == [(key, version)]
    assert [(file.kind, file.unit) for file in audit.files] == [("app", "Java archives")]


def test_npm_packages_and_gems_own_what_lies_in_them(tmp_path: Path) -> None:
    gems = "/usr/local/bundle"
    tree: Tree = {
        "/app/package.json": '{"name": "app", "version": "1.0"}',
        "/app/index.js": "x",
        "/app/node_modules/a/package.json": '{"name": "a", "version": "1.1"}',
        "/app/node_modules/a/lib/deep/x.js": "x" * 50,
        "/app/node_modules/a/node_modules/@s/b/package.json": '{"name": "@s/b", "version": "2"}',
        "/app/node_modules/a/node_modules/@s/b/x.js": "x" * 60,
        f"{gems}/specifications/rack-3.1.gemspec": "# stub: rack 3.1 ruby lib\n\nx\n",
        f"{gems}/gems/rack-3.1/lib/rack.rb": "x" * 70,
    }
    audit = audit_of(tmp_path, tree)
    owners = {file.path: file.package for file in audit.files}
    assert owners == {
        "/app/package.json": "",
        "/app/index.js": "",
        "/app/node_modules/a/package.json": "npm:a@1.1",
        "/app/node_modules/a/lib/deep/x.js": "npm:a@1.1",
        "/app/node_modules/a/node_modules/@s/b/package.json": "npm:@s/b@2",
        "/app/node_modules/a/node_modules/@s/b/x.js": "npm:@s/b@2",
        f"{gems}/specifications/rack-3.1.gemspec": "gem:rack@3.1",
        f"{gems}/gems/rack-3.1/lib/rack.rb": "gem:rack@3.1",
    }
    versions = {row.key: row.version for row in audit.packages}
    assert (versions["npm:@s/b@2"], versions["gem:rack@3.1"]) == ("2", "3.1")


def test_cpan_distributions_own_what_their_records_list(tmp_path: Path) -> None:
    top = "/usr/local/lib/perl5/site_perl/5.38.0"
    arch = f"{top}/x86_64-linux-gnu"
    files = ("/usr/local/bin/lwp-dump", f"{top}/LWP.pm", "/gone")
    tree: Tree = {
        f"{arch}/.meta/libwww-perl-6.72/install.json": '{"name": "LWP", "version": "6.72"}',
        f"{arch}/.meta/libwww-perl-6.72/MYMETA.json": "{}",
        f"{arch}/.meta/Damaged-1.0/install.json": "{",
        f"{arch}/auto/LWP/.packlist": "".join(f"{file} type=file\n" for file in files),
        f"{top}/LWP.pm": "x" * 50,
        "/usr/local/bin/lwp-dump": "x" * 60,
        f"{arch}/auto/DBD/SQLite/.packlist": f"{arch}/DBD/SQLite.pm\n",
        f"{arch}/DBD/SQLite.pm": "x" * 70,
        f"{arch}/.packlist": f"{arch}/strict.pm\n",
        f"{arch}/strict.pm": "x",
    }
    audit = audit_of(tmp_path, tree)
    owners: dict[str, set[str]] = {}
    for file in audit.files:
        owners.setdefault(file.package, set()).add(file.path)
    assert owners.pop("cpan:libwww-perl@6.72") == {
        f"{top}/LWP.pm",
        "/usr/local/bin/lwp-dump",
        f"{arch}/auto/LWP/.packlist",
        f"{arch}/.meta/libwww-perl-6.72/install.json",
        f"{arch}/.meta/libwww-perl-6.72/MYMETA.json",
    }
    sqlite = {f"{arch}/DBD/SQLite.pm", f"{arch}/auto/DBD/SQLite/.packlist"}
    assert owners.pop("cpan:DBD-SQLite") == sqlite
    assert f"{arch}/strict.pm" in owners[""], "Perl's own list is of no distribution"
    versions = {row.key: row.version for row in audit.packages}
    assert versions["cpan:libwww-perl@6.72"] == "6.72"


def test_a_language_package_of_a_system_package_is_the_system_package(tmp_path: Path) -> None:
    tree: Tree = {"/usr/share/nodejs/node_modules/a/package.json": '{"name": "a", "version": "1"}'}
    owner = Package("deb:node-a", "node-a", "1-1", "all", tuple(tree))
    audit = audit_of(tmp_path, tree, packages=[owner])
    assert [row.key for row in audit.packages] == ["deb:node-a"]


def test_a_go_program_is_its_module_and_lists_what_it_was_linked_from(tmp_path: Path) -> None:
    rows = ("dep\tgithub.com/gin-gonic/gin\tv1.9.1\th1:x=", "dep\tgolang.org/x/net\tv0.17.0\th1:y=")
    binary = go_binary("example.com/shop", *rows)
    assert isinstance(binary.content, bytes)
    large = replace(binary, content=binary.content + bytes(600_000))
    audit = audit_of(tmp_path, {"/app/server": large, "/app/small": binary})
    packages = {row.key: row for row in audit.packages}
    row = packages["go:example.com/shop"]
    assert row.weight.size_bytes == len(binary.content) + 600_000
    assert row.modules == ("github.com/gin-gonic/gin@v1.9.1", "golang.org/x/net@v0.17.0")
    assert {file.path: file.unit for file in audit.files}["/app/server"] == "Go programs"
