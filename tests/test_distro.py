"""What of a system package is kept with the program or library that something reaches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from imgslim.choices import Choices, Level
from imgslim.model import Command, Group, Need, Origin, OriginKind
from imgslim.plan import Closure, build_plan
from imgslim.runtimes.distro import DistroPackages
from imgslim.runtimes.elf import ElfRuntime
from imgslim.world import World
from tests.elves import elf
from tests.worlds import Dir, File, Link, Member, Tree, make_world


def debian(packages: Mapping[str, tuple[str, Mapping[str, Member]]]) -> Tree:
    """A Debian tree of packages: name → (further control fields, files)."""
    tree: dict[str, Member] = {}
    stanzas = []
    for name, (fields, files) in packages.items():
        stanzas.append(f"Package: {name}\nStatus: install ok installed\nVersion: 1\n{fields}")
        listed = {**files, f"/usr/share/doc/{name}/copyright": f"licence of {name}"}
        tree.update(listed)
        tree[f"/var/lib/dpkg/info/{name}.list"] = "\n".join(listed)
    return {**tree, "/var/lib/dpkg/status": "\n\n".join(stanzas)}


PROGRAM = File("program", 0o755)
TREE = debian(
    {
        "server": (
            "Depends: server-common, libdata, debconf, libc6, adduser",
            {
                "/usr/sbin/server": PROGRAM,
                "/usr/sbin/server-ctl": PROGRAM,
                "/usr/share/man/man8/server.8.gz": "",
                "/usr/include/server.h": "",
                "/usr/lib/libserver.a": "",
                "/usr/share/locale/de/LC_MESSAGES/server.mo": "",
                "/lib/systemd/system/server.service": "",
                "/etc/cron.daily/server": "",
                "/usr/lib/server/plugin.so": File("", 0o755),
                "/usr/lib/server/plugin.la": "",
            },
        ),
        "server-common": (
            "",
            {"/etc/server/server.conf": "", "/var/lib/server": Dir(0o750, 33, 33)},
        ),
        "libdata": (
            "Depends: libdata-common",
            {
                "/usr/lib/libdata.so.1": "",
                "/usr/share/libdata/table": "",
                "/usr/bin/data-tool": PROGRAM,
                "/usr/share/libdata/script": File("#!/usr/bin/perl", 0o755),
            },
        ),
        "libdata-common": ("", {"/usr/share/libdata/more": ""}),
        "debconf": ("", {"/usr/share/debconf.pm": ""}),
        "adduser": ("", {"/usr/sbin/adduser": PROGRAM}),
        "libc6": ("", {"/usr/lib/libc.so.6": "", "/usr/lib/gconv/X.so": ""}),
        "coreutils": (
            "Essential: yes\nPre-Depends: libdata",
            {"/usr/bin/ls": PROGRAM, "/usr/bin/cat": PROGRAM, "/etc/coreutils": ""},
        ),
        "gzip": (
            "Essential: yes\nDepends: libdata",
            {"/usr/bin/gzip": PROGRAM, "/usr/bin/zgrep": PROGRAM},
        ),
        "procps": ("", {"/usr/bin/ps": PROGRAM, "/usr/bin/top": PROGRAM}),
        "perl-base": ("Essential: yes", {"/usr/bin/perl": PROGRAM, "/usr/lib/perl-base/a.pm": ""}),
        "perl": ("Depends: perl-base, perl-modules", {"/usr/bin/cpan": PROGRAM}),
        "perl-modules": ("", {"/usr/share/perl/b.pm": ""}),
        "httpd": ("Depends: httpd-bin", {"/etc/httpd/httpd.conf": ""}),
        "httpd-bin": ("", {"/usr/sbin/httpd": PROGRAM}),
        "python3.11-minimal": ("Depends: libdata", {"/usr/bin/python3.11": PROGRAM}),
        "ssl-cert": ("", {"/usr/sbin/make-ssl-cert": PROGRAM}),
    }
)


def kept(world: World, *roots: str, command: bool = False) -> set[str]:
    """The non-directories kept for ``roots``, licences apart."""
    closure = Closure(world, [DistroPackages(world)])
    for root in roots:
        if command:
            closure.add([Command((root,), root, "<entrypoint>")])
        else:
            closure.add([Need(root, Group.PROGRAM, "test", "<test>")])
    closure.run()
    paths = {k.entry.path for k in closure.kept.values() if not k.entry.is_directory}
    return {path for path in paths if not path.endswith("/copyright")}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, TREE)


CASES = [
    (
        "/usr/sbin/server",
        {
            "/usr/sbin/server",
            "/usr/sbin/server-ctl",
            "/usr/lib/server/plugin.so",
            "/usr/lib/server/plugin.la",
            "/etc/server/server.conf",
            "/usr/lib/libdata.so.1",
            "/usr/share/libdata/table",
            "/usr/share/libdata/script",
            "/usr/share/libdata/more",
            "/usr/bin/data-tool",
        },
    ),
    (
        "/usr/lib/libdata.so.1",
        {"/usr/lib/libdata.so.1", "/usr/share/libdata/table", "/usr/share/libdata/more"},
    ),
    ("/usr/bin/ls", {"/usr/bin/ls"}),
    ("/usr/bin/gzip", {"/usr/bin/gzip"}),
    ("/usr/bin/ps", {"/usr/bin/ps"}),
    ("/usr/lib/libc.so.6", {"/usr/lib/libc.so.6"}),
    ("/usr/bin/python3.11", {"/usr/bin/python3.11"}),
    ("/usr/share/man/man8/server.8.gz", {"/usr/share/man/man8/server.8.gz"}),
    (
        "/usr/bin/perl",
        {"/usr/bin/perl", "/usr/lib/perl-base/a.pm", "/usr/share/perl/b.pm"},
    ),
    ("/usr/sbin/httpd", {"/usr/sbin/httpd", "/etc/httpd/httpd.conf"}),
]


@pytest.mark.parametrize(("root", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_comes_along(world: World, root: str, expected: set[str]) -> None:
    assert kept(world, root) == expected


def test_a_command_brings_its_package_wherever_it_lies(world: World) -> None:
    script = "/usr/share/libdata/script"
    assert kept(world, script, command=True) > kept(world, script)


def test_a_packages_empty_directories_come_with_it(world: World) -> None:
    closure = Closure(world, [DistroPackages(world)])
    closure.add([Need("/usr/sbin/server", Group.PROGRAM, "test", "<test>")])
    closure.run()
    assert "/var/lib/server" in closure
    assert closure.kept["/etc/server/server.conf"].reason == "package server-common 1"
    assert closure.kept["/usr/share/doc/libdata/copyright"].reason == "licence texts"


def test_a_program_after_the_library_brings_the_rest(world: World) -> None:
    both = kept(world, "/usr/lib/libdata.so.1", "/usr/bin/data-tool")
    assert {"/usr/bin/data-tool", "/usr/share/libdata/script"} < both


def test_licence_texts_behind_a_link_to_another_packages(tmp_path: Path) -> None:
    tree = dict(debian({"a": ("", {"/usr/lib/a.so": ""}), "b": ("", {"/usr/lib/b.so": ""})}))
    del tree["/usr/share/doc/a/copyright"]
    tree["/usr/share/doc/a"] = Link("b")
    closure = Closure(world := make_world(tmp_path, tree), [DistroPackages(world)])
    closure.add([Need("/usr/lib/a.so", Group.PROGRAM, "test", "<test>")])
    closure.run()
    assert {"/usr/share/doc/a", "/usr/share/doc/b/copyright"} <= set(closure.kept)
    assert "/usr/lib/b.so" not in closure


def test_licence_texts_of_alpine(tmp_path: Path) -> None:
    world = make_world(
        tmp_path,
        {
            "/lib/apk/db/installed": "P:app\nV:1\nF:usr/bin\nR:app\n",
            "/usr/bin/app": PROGRAM,
            "/usr/share/licenses/app/COPYING": "licence",
        },
    )
    assert "/usr/share/licenses/app/COPYING" in kept(world, "/usr/bin/app")


def test_what_package_scripts_made_comes_with_the_package(tmp_path: Path) -> None:
    tree = {
        **TREE,
        "/etc/ssl/private/ssl-cert-snakeoil.key": "key",
        "/etc/server/extra.conf": "from ucf",
        "/var/lib/ucf/registry": "server-common \t /etc/server/extra.conf\n",
    }
    world = make_world(tmp_path, tree)
    assert "/etc/ssl/private/ssl-cert-snakeoil.key" in kept(world, "/usr/sbin/make-ssl-cert")
    assert "/etc/server/extra.conf" in kept(world, "/usr/sbin/server")
    assert "/etc/server/extra.conf" not in kept(world, "/usr/bin/ls")


def test_a_toolchain_of_one_piece_is_kept_whole_when_reached(tmp_path: Path) -> None:
    npm = "/usr/local/lib/node_modules/npm"
    tree: Tree = {
        "/usr/local/include/node/node_version.h": "",
        "/usr/local/bin/node": PROGRAM,
        "/usr/local/bin/npm": Link("../lib/node_modules/npm/bin/npm-cli.js"),
        f"{npm}/package.json": "{}",
        f"{npm}/bin/npm-cli.js": PROGRAM,
        f"{npm}/lib/npm.js": "",
    }
    world = make_world(tmp_path, tree)
    assert f"{npm}/lib/npm.js" in kept(world, "/usr/local/bin/npm")
    assert kept(world, "/usr/local/bin/node") == {"/usr/local/bin/node"}


LIBRARIES = "/usr/lib/x86_64-linux-gnu"


@pytest.mark.parametrize(
    ("level", "links", "expected"),
    [
        (Level.TIGHT, ["libdec.so.1"], {"libdec.so.1", "libdec.so.1.2"}),
        (Level.TIGHT, [], {"libdec.so.1", "libdec.so.1.2", "libenc.so.1"}),
        (Level.BALANCED, ["libdec.so.1"], {"libdec.so.1", "libdec.so.1.2", "libenc.so.1"}),
    ],
)
def test_a_library_that_nothing_links_beside_one_that_something_does(
    tmp_path: Path, level: Level, links: list[str], expected: set[str]
) -> None:
    codec: dict[str, Member] = {
        f"{LIBRARIES}/libdec.so.1": Link("libdec.so.1.2"),
        f"{LIBRARIES}/libdec.so.1.2": elf(soname="libdec.so.1"),
        f"{LIBRARIES}/libenc.so.1": elf(soname="libenc.so.1"),
        f"{LIBRARIES}/codec/plugin.so.1": elf(),
    }
    app = elf(*links, interpreter="/lib64/ld-linux-x86-64.so.2")
    tree = debian({"app": ("Depends: codec", {"/usr/bin/app": app}), "codec": ("", codec)})
    world = make_world(tmp_path, tree, choices=Choices(level=level))
    plan = build_plan(
        world,
        [],
        [Need("/usr/bin/app", Group.PROGRAM, "test", "<test>")],
        [ElfRuntime(world), DistroPackages(world)],
        lambda path: Origin(OriginKind.PACKAGE),
    )
    found = {keep.entry.path for keep in plan.keeps}
    assert f"{LIBRARIES}/codec/plugin.so.1" in found
    assert {path.rpartition("/")[2] for path in found if path.endswith((".1", ".2"))} == {
        *expected,
        "plugin.so.1",
    }
    said = [p for p in plan.problems if p.code == "left-out-by-level"]
    left_out = world.rootfs.entries[f"{LIBRARIES}/libenc.so.1"].size_bytes
    assert [p.cost_bytes for p in said] == ([] if "libenc.so.1" in expected else [left_out])


SITE = "/usr/lib/python3/dist-packages"


def python_packages() -> Tree:
    """A Python program and a native one, with what each depends on."""
    return debian(
        {
            "tool": (
                "Depends: python3-one, python3-extra, libdata",
                {
                    "/usr/bin/tool": PROGRAM,
                    f"{SITE}/tool/__init__.py": "",
                    f"{SITE}/tool/tests/test_tool.py": "",
                },
            ),
            "python3-one": ("Depends: libmore", {f"{SITE}/one.py": "", "/usr/share/one/x": ""}),
            "python3-extra": ("Depends: libextra", {f"{SITE}/extra/__init__.py": ""}),
            "python3-gi-cairo": ("", {f"{SITE}/gi/cairo.so": ""}),
            "native": (
                "Depends: python3-extra, python3-gi-cairo",
                {"/usr/bin/native": PROGRAM},
            ),
            "embedding": ("Depends: python3-gi-cairo", {f"{SITE}/embedding/__init__.py": ""}),
            "libdata": ("", {"/usr/share/libdata/table": ""}),
            "libmore": ("", {"/usr/share/more": ""}),
            "libextra": ("", {"/usr/share/extra": ""}),
        }
    )


@pytest.mark.parametrize(
    ("level", "root", "expected"),
    [
        (
            Level.BALANCED,
            "/usr/bin/tool",
            {"/usr/bin/tool", "/usr/share/libdata/table", "/usr/share/one/x", "/usr/share/more"},
        ),
        (
            Level.BALANCED,
            "/usr/bin/native",
            {"/usr/bin/native", f"{SITE}/extra/__init__.py", f"{SITE}/gi/cairo.so"}
            | {"/usr/share/extra"},
        ),
        (
            Level.BALANCED,
            f"{SITE}/embedding/__init__.py",
            {f"{SITE}/embedding/__init__.py", f"{SITE}/gi/cairo.so"},
        ),
        (
            Level.SAFE,
            "/usr/bin/tool",
            {"/usr/bin/tool", f"{SITE}/tool/__init__.py", f"{SITE}/tool/tests/test_tool.py"}
            | {f"{SITE}/one.py", f"{SITE}/extra/__init__.py", "/usr/share/libdata/table"}
            | {"/usr/share/one/x", "/usr/share/more", "/usr/share/extra"},
        ),
    ],
)
def test_python_modules_of_packages_come_where_imports_lead_to_them(
    tmp_path: Path, level: Level, root: str, expected: set[str]
) -> None:
    world = make_world(tmp_path, python_packages(), choices=Choices(level=level))
    assert kept(world, root) == expected


def test_what_a_native_program_depends_on_comes_whole_after_imports_led_to_it(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path, python_packages())
    found = kept(world, f"{SITE}/extra/__init__.py", "/usr/bin/native")
    assert f"{SITE}/gi/cairo.so" in found


WEB = "/usr/share/javascript/lib"


@pytest.mark.parametrize(
    ("level", "text", "expected"),
    [
        (Level.SAFE, "", {"lib.min.js", "lib.js", "lib.min.js.map"}),
        (Level.BALANCED, "", {"lib.min.js"}),
        (Level.BALANCED, "PLACES = ['/usr/share/javascript']", {"lib.min.js", "lib.js"}),
        (Level.TIGHT, "", {"lib.min.js"}),
    ],
)
def test_of_libraries_for_browsers_what_is_linked_to(
    tmp_path: Path, level: Level, text: str, expected: set[str]
) -> None:
    tree = debian(
        {
            "app": (
                "Depends: libjs-lib",
                {
                    "/usr/bin/app": PROGRAM,
                    "/usr/share/app/lib.js": Link(f"{WEB}/lib.min.js"),
                    "/usr/share/app/html.py": text,
                },
            ),
            "libjs-lib": (
                "",
                {f"{WEB}/{name}": name for name in ("lib.js", "lib.min.js", "lib.min.js.map")},
            ),
        }
    )
    world = make_world(tmp_path, tree, choices=Choices(level=level))
    plan = build_plan(
        world,
        [],
        [Need("/usr/bin/app", Group.PROGRAM, "test", "<test>")],
        [DistroPackages(world)],
        lambda path: Origin(OriginKind.PACKAGE),
    )
    found = {keep.entry.path for keep in plan.keeps}
    assert {path.rpartition("/")[2] for path in found if path.startswith(WEB)} >= expected
    assert (f"{WEB}/lib.js" in found) is ("lib.js" in expected)
    said = [p for p in plan.problems if p.code == "left-out-by-level"]
    assert [p.cost_bytes for p in said] == (
        [] if "lib.js" in expected else [len("lib.jslib.min.js.map")]
    )


APACHE = debian(
    {
        "apache2": (
            "Depends: apache2-bin, perl",
            {"/usr/sbin/apachectl": PROGRAM, "/usr/sbin/a2enmod": PROGRAM},
        ),
        "apache2-bin": ("Depends: perl", {"/usr/sbin/apache2": PROGRAM}),
        "perl": ("", {"/usr/bin/perl": PROGRAM}),
    }
)


@pytest.mark.parametrize(
    ("level", "roots", "comes"),
    [
        (Level.SAFE, ["/usr/sbin/apachectl"], True),
        (Level.BALANCED, ["/usr/sbin/apachectl"], False),
        (Level.BALANCED, ["/usr/sbin/apachectl", "/usr/bin/perl"], True),
    ],
)
def test_a_web_server_runs_without_the_perl_of_the_tools_that_set_it_up(
    tmp_path: Path, level: Level, roots: list[str], comes: bool
) -> None:
    world = make_world(tmp_path, APACHE, choices=Choices(level=level))
    found = kept(world, *roots, command=True)
    assert {"/usr/sbin/apache2", "/usr/sbin/apachectl"} <= found
    assert ("/usr/bin/perl" in found) is comes
    assert ("/usr/sbin/a2enmod" in found) is (level is Level.SAFE)
