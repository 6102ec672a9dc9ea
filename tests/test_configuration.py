"""What configuration names stays: certificates, included files, what a server hands out."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.model import ImageConfig, Origin, OriginKind
from imgslim.plan import build_plan
from imgslim.roots import resolve_roots
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.configuration import ConfigurationRuntime
from imgslim.runtimes.distro import DistroPackages
from tests.scripts import kept, program
from tests.test_distro import debian
from tests.worlds import File, Link, Tree, make_world

KEY = "/etc/ssl/private/made.key"
SERVER = "/etc/web/web.conf"
ENABLED = "/etc/web/enabled/scripts.conf"


def kept_of(tmp_path: Path, conf: str, tree: Tree, command: str = "webd") -> set[str]:
    """Kept files of an image with a server (packages web-core and web) and its configuration."""
    packages = debian(
        {
            "web-core": ("", {"/usr/sbin/webd": program()}),
            "web": ("Depends: web-core", {"/usr/sbin/webctl": program(), SERVER: File(conf)}),
            "other": ("", {"/usr/bin/other": program()}),
            "scripts": (
                "",
                {
                    "/etc/web/available/scripts.conf": File("alias /usr/share/scripts;"),
                    "/usr/share/scripts/a": "",
                },
            ),
        }
    )
    config = ImageConfig(cmd=tuple(command.split()), env=(("PATH", "/usr/sbin:/usr/bin"),))
    world = make_world(tmp_path, {**packages, **tree}, config=config)
    runtimes = [CommandRuntime(world), ConfigurationRuntime(world), DistroPackages(world)]
    commands, findings = resolve_roots(world)
    user = {"/etc/own.conf", "/etc/passwd", ENABLED}

    def origin_of(path: str) -> Origin:
        return Origin(OriginKind.USER if path in user else OriginKind.PACKAGE, "")

    return kept(build_plan(world, commands, findings, runtimes, origin_of))


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        (f"key {KEY};", True),
        (f'  SSLKey "{KEY}"', True),
        (f"key={KEY}", True),
        ("include /etc/ssl/private/*.key;", True),
        (f"# key {KEY}", False),
        (f"  ; {KEY}", False),
        ("key /etc/ssl/private", False),
    ],
)
def test_a_file_that_the_configuration_names(tmp_path: Path, conf: str, expected: bool) -> None:
    found = kept_of(tmp_path, conf, {KEY: "k"}, command="webctl")
    assert SERVER in found
    assert (KEY in found) is expected


def test_configuration_in_the_package_beside_that_of_the_program(tmp_path: Path) -> None:
    tree: Tree = {KEY: "k", "/etc/own.conf": f"use {SERVER}"}
    assert KEY in kept_of(tmp_path, f"key {KEY}", tree, command="webd")


def test_what_is_handed_out_is_kept_as_a_whole_and_what_is_searched_is_not(tmp_path: Path) -> None:
    tree: Tree = {
        "/usr/share/pages/a/index.html": "",
        "/usr/lib/many/lib.so": "",
        "/usr/share/doc/other/README": "",
    }
    conf = "root /usr/share/pages;\npath /usr/lib/many;\nalias /usr/share/doc/other;"
    found = kept_of(tmp_path, conf, tree, command="webctl")
    assert found & tree.keys() == {"/usr/share/pages/a/index.html"}


def test_the_users_configuration_also_starts_programs(tmp_path: Path) -> None:
    tree: Tree = {"/etc/own.conf": "exec /usr/bin/other --now"}
    assert "/usr/bin/other" in kept_of(tmp_path, "", tree)


def test_what_a_command_line_names_is_configuration_and_so_is_what_that_includes(
    tmp_path: Path,
) -> None:
    tree: Tree = {
        "/app/web.conf": "include /app/more.conf\n",
        "/app/more.conf": f"key {KEY}\nnotes /app/notes.txt\n",
        "/app/notes.txt": "/app/secret.txt",
        "/app/secret.txt": "",
        KEY: "k",
    }
    found = kept_of(tmp_path, "", tree, command="other -c/app/web.conf")
    assert found >= {"/app/web.conf", "/app/more.conf", "/app/notes.txt", KEY}
    assert "/app/secret.txt" not in found


def test_accounts_name_shells_that_nobody_starts(tmp_path: Path) -> None:
    tree: Tree = {"/etc/passwd": "u:x:1:1::/home/u:/usr/bin/other\n", "/bin": Link("usr/bin")}
    found = kept_of(tmp_path, "", tree)
    assert "/etc/passwd" in found
    assert "/usr/bin/other" not in found


@pytest.mark.parametrize(("command", "expected"), [("webd", True), ("other", False)])
def test_configuration_that_another_package_puts_into_the_servers_directory(
    tmp_path: Path, command: str, expected: bool
) -> None:
    found = kept_of(tmp_path, "", {ENABLED: Link("../available/scripts.conf")}, command=command)
    assert "/etc/web/available/scripts.conf" in found
    assert ("/usr/share/scripts/a" in found) is expected
