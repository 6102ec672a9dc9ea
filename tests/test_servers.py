"""Packaged servers: what they start, open or write to, though no configuration says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgslim.model import Command, Origin, OriginKind, Plan
from imgslim.plan import build_plan
from imgslim.runtimes.ambient import AmbientNeeds
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.distro import DistroPackages
from imgslim.runtimes.elf import ElfRuntime
from imgslim.runtimes.elf.lines import commands_in
from imgslim.runtimes.python import PythonRuntime
from tests.elves import GLIBC, elf
from tests.test_distro import debian
from tests.worlds import Dir, File, Link, Tree, make_world

PROGRAM = File("program", 0o755)


def kept(tmp_path: Path, tree: Tree, program: str) -> set[str]:
    return {keep.entry.path for keep in plan_of(tmp_path, tree, program).keeps}


def plan_of(tmp_path: Path, tree: Tree, program: str) -> Plan:
    world = make_world(tmp_path, tree)
    runtimes = [
        CommandRuntime(world),
        ElfRuntime(world),
        PythonRuntime(world),
        DistroPackages(world),
        AmbientNeeds(world),
    ]
    command = Command((program,), program, "<entrypoint>")
    return build_plan(world, [command], [], runtimes, lambda _: Origin(OriginKind.PACKAGE))


def test_a_package_that_adds_services_to_a_servers_own_directory_comes_with_it(
    tmp_path: Path,
) -> None:
    tree = debian(
        {
            "post": (
                "Section: mail",
                {"/usr/sbin/post": PROGRAM, "/usr/lib/post/auth": PROGRAM},
            ),
            "post-pop": (
                "Section: mail\nDepends: post",
                {"/usr/lib/post/pop": PROGRAM, "/usr/share/post/protocols.d/pop": ""},
            ),
            "post-docs": ("Section: doc\nDepends: post", {"/usr/lib/post/docs": PROGRAM}),
            "post-tools": ("Section: mail\nDepends: post", {"/usr/bin/post-top": PROGRAM}),
            "post-data": ("Section: mail\nDepends: post", {"/usr/lib/post/table": "data"}),
        }
    )
    found = kept(tmp_path, tree, "/usr/sbin/post")
    assert {"/usr/lib/post/pop", "/usr/share/post/protocols.d/pop"} <= found
    assert found.isdisjoint({"/usr/lib/post/docs", "/usr/bin/post-top", "/usr/lib/post/table"})


def test_programs_where_all_programs_lie_extend_nothing(tmp_path: Path) -> None:
    tree = debian(
        {
            "client": ("Section: net", {"/usr/lib/base/15/bin/ask": PROGRAM}),
            "server": (
                "Section: web\nDepends: client",
                {"/usr/lib/base/15/bin/serve": PROGRAM, "/usr/lib/x86_64-linux-gnu/run": PROGRAM},
            ),
        }
    )
    assert "/usr/lib/base/15/bin/serve" not in kept(tmp_path, tree, "/usr/lib/base/15/bin/ask")


def shell_user(lines: bytes, *, starter: str = "system") -> File:
    content = elf("libc.so.6", interpreter=GLIBC, imports=[starter], data=b"\1\0" + lines)
    return File(content, 0o755)


BASE = debian(
    {
        "coreutils": (
            "Essential: yes",
            {f"/usr/bin/{name}": PROGRAM for name in ("rm", "cat", "sort", "stat")},
        ),
        "dash": ("Essential: yes", {"/bin/sh": PROGRAM}),
        "gzip": ("Essential: yes", {"/usr/bin/gzip": PROGRAM}),
        "mailer": ("", {"/usr/bin/mail": PROGRAM}),
        "cached": (
            "",
            {
                "/usr/sbin/cached": shell_user(
                    b"rm -rf modules\0cat %s | gzip > %s\0stat failed\0mail -s x %s\0"
                ),
                "/usr/sbin/quiet": shell_user(b"rm -rf modules\0", starter="malloc"),
            },
        ),
    }
)


def test_a_packaged_program_brings_what_its_shell_lines_run_of_the_base_system(
    tmp_path: Path,
) -> None:
    found = kept(tmp_path, BASE, "/usr/sbin/cached")
    assert {"/bin/sh", "/usr/bin/rm", "/usr/bin/cat", "/usr/bin/gzip"} <= found
    assert found.isdisjoint({"/usr/bin/sort", "/usr/bin/stat"})
    assert "/usr/bin/mail" not in found  # the package would depend on it


def test_a_program_that_starts_no_shell_needs_none_of_that(tmp_path: Path) -> None:
    tree = {**BASE, "/usr/sbin/quiet": shell_user(b"rm -rf modules\0", starter="malloc")}
    assert "/usr/bin/rm" not in kept(tmp_path, tree, "/usr/sbin/quiet")


def test_so_does_a_packaged_library_with_what_a_directory_of_scripts_runs(tmp_path: Path) -> None:
    line = b"/usr/bin/env -i PATH=/usr/bin run-parts --lsbsysinit /etc/day.d > /run/day\0"
    module = elf("libc.so.6", imports=["system"], data=b"\1\0" + line)
    tree = debian(
        {
            "pam": ("", {"/usr/lib/libday.so": File(module, 0o755)}),
            "dash": ("Essential: yes", {"/bin/sh": PROGRAM}),
            "coreutils": ("Essential: yes", {"/usr/bin/env": PROGRAM}),
            "debianutils": ("Essential: yes", {"/usr/bin/run-parts": PROGRAM}),
        }
    )
    scripts: Tree = {"/etc/day.d/10-name": File("#!/bin/sh\nuname -a\n", 0o755)}
    own = File(elf("libday.so", interpreter=GLIBC), 0o755)
    found = kept(tmp_path, {**tree, **scripts, "/opt/own": own}, "/opt/own")
    assert {"/bin/sh", "/usr/bin/run-parts", "/etc/day.d/10-name"} <= found


def test_the_apps_own_program_brings_whatever_its_shell_lines_run(tmp_path: Path) -> None:
    tree = {**BASE, "/opt/own": shell_user(b"mail -s x %s\0", starter="popen")}
    assert {"/bin/sh", "/usr/bin/mail"} <= kept(tmp_path, tree, "/opt/own")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("exec gcc -g -fPIC -o %o %s", [("gcc",)]),
        ("cd %s && LC_ALL=C tar -xf -", [("cd",), ("tar", "-xf", "-")]),
        ('install "%s"', [("install",)]),
        ("/usr/bin/env -i run-parts /d > /x", [("/usr/bin/env", "-i", "run-parts", "/d")]),
        ("sort: cannot open %s", []),
        ("built by gcc 12", []),
        ("date", []),
    ],
)
def test_lines_for_a_shell(line: str, expected: list[tuple[str, ...]]) -> None:
    assert list(commands_in(line)) == expected


def test_the_generic_name_of_a_kept_plug_in_stays(tmp_path: Path) -> None:
    tree = debian(
        {
            "appd": ("", {"/usr/bin/appd": PROGRAM, "/usr/lib/appd/plugins/base.so": "so"}),
            "appd-py": (
                "Section: python\nDepends: appd",
                {"/usr/lib/appd/plugins/py311.so": "so", "/usr/bin/appd-py": PROGRAM},
            ),
        }
    )
    generic = "/usr/lib/appd/plugins/py.so"
    links: Tree = {
        generic: Link("/etc/alternatives/appd-py"),
        "/etc/alternatives/appd-py": Link("/usr/lib/appd/plugins/py311.so"),
        "/usr/bin/app": Link("/etc/alternatives/app"),
        "/etc/alternatives/app": Link("/usr/bin/appd-py"),
    }
    found = kept(tmp_path, {**tree, **links}, "/usr/bin/appd")
    assert {generic, "/etc/alternatives/appd-py"} <= found
    assert "/usr/bin/app" not in found


def test_accounts_keep_the_directory_that_is_theirs(tmp_path: Path) -> None:
    tree: Tree = {
        "/etc/passwd": "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/false\n"
        "ben:x:1001:1001::/home/ben:/bin/sh\nbin:x:2:2::/opt/bin:/bin/sh\n",
        "/home/anna": Dir(0o700, 1000, 1000),
        "/home/anna/.bashrc": "prompt",
        "/opt/bin": Dir(),
        "/usr/sbin/mailer": PROGRAM,
    }
    plan = plan_of(tmp_path, tree, "/usr/sbin/mailer")
    homes = {keep.entry.path: keep.entry for keep in plan.keeps if "anna" in keep.entry.path}
    assert list(homes) == ["/home/anna"]
    assert (homes["/home/anna"].mode, homes["/home/anna"].uid) == (0o700, 1000)
    assert "/opt/bin" not in {keep.entry.path for keep in plan.keeps}


def test_a_server_that_compiles_keeps_the_compiler_with_all_that_it_needs(tmp_path: Path) -> None:
    tree = {
        **BASE,
        **debian(
            {
                "cached": (
                    "Depends: gcc, libc6-dev",
                    {"/usr/sbin/cached": shell_user(b"exec gcc -g -fPIC -o %o %s\0")},
                ),
                "gcc": ("Depends: gcc-12, binutils", {"/usr/bin/gcc": Link("gcc-12")}),
                "gcc-12": (
                    "",
                    {
                        "/usr/bin/gcc-12": PROGRAM,
                        "/usr/lib/gcc/12/include/stddef.h": "",
                        "/usr/lib/gcc/12/libgcc.a": "",
                    },
                ),
                "binutils": ("", {"/usr/bin/as": PROGRAM, "/usr/bin/ld": PROGRAM}),
                "libc6-dev": ("", {"/usr/include/stdio.h": "", "/usr/lib/crt1.o": ""}),
                "zlib-dev": ("", {"/usr/include/zlib.h": ""}),
                "dash": ("Essential: yes", {"/bin/sh": PROGRAM}),
                "other": ("", {"/usr/sbin/other": shell_user(b"gcc -o %o %s\0")}),
            }
        ),
    }
    found = kept(tmp_path, tree, "/usr/sbin/cached")
    compiler = {"/usr/bin/gcc", "/usr/bin/gcc-12", "/usr/bin/as", "/usr/bin/ld"}
    assert compiler <= found
    assert {"/usr/lib/gcc/12/include/stddef.h", "/usr/lib/gcc/12/libgcc.a"} <= found
    assert {"/usr/include/stdio.h", "/usr/lib/crt1.o"} <= found
    assert "/usr/include/zlib.h" not in found
    (tmp_path / "other").mkdir()
    assert compiler.isdisjoint(kept(tmp_path / "other", tree, "/usr/sbin/other"))


def test_a_program_that_embeds_debians_python_keeps_the_standard_library_of_its_version(
    tmp_path: Path,
) -> None:
    libs = "/usr/lib/x86_64-linux-gnu"
    library = elf(soname="libpython3.11.so.1.0")
    tree: Tree = {
        "/lib": Link("usr/lib"),
        "/lib64/ld-linux-x86-64.so.2": elf(soname="ld-linux-x86-64.so.2"),
        f"{libs}/libpython3.11.so.1.0": library,
        f"{libs}/libpython3.11.so.1": Link("libpython3.11.so.1.0"),
        "/usr/sbin/appd": File(elf("libpython3.11.so.1.0", interpreter=GLIBC), 0o755),
    }
    for version in ("3.11", "3.12"):
        home = f"/usr/lib/python{version}"
        tree = {
            **tree,
            f"/usr/bin/python{version}": PROGRAM,
            f"{home}/os.py": "",
            f"{home}/encodings/__init__.py": "",
            f"{home}/lib-dynload/_x.so": elf(),
        }
    found = kept(tmp_path, tree, "/usr/sbin/appd")
    assert "/usr/lib/python3.11/encodings/__init__.py" in found
    assert "/usr/lib/python3.12/encodings/__init__.py" not in found
