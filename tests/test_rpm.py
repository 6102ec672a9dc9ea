"""rpm's database: what is read of it, what it brings, and what of it is in the slim image."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from imgslim.choices import Choices
from imgslim.model import Group, ImageConfig, Keep, Need, Package, Plan
from imgslim.packages import unread_databases
from imgslim.packages.rpm import parse_rich, read_rpm
from imgslim.plan import Closure
from imgslim.provenance import classify
from imgslim.runtimes.distro import DistroPackages
from imgslim.world import World
from tests.rpms import (
    Rpm,
    RpmFile,
    header,
    journalled_database,
    read_database,
    rpm_database,
    strings_of,
)
from tests.scripts import plan_of, program, script
from tests.worlds import Dir, File, Link, Member, Tree, make_world

DATABASE = "/var/lib/rpm/rpmdb.sqlite"
RUN = "/usr/bin/app"
CONFIG, GHOST = 1 << 0, 1 << 6
PRE, POST, INTERPRETER, RPMLIB = 1 << 9, 1 << 10, 1 << 8, 1 << 24


def read(tmp_path: Path, *rpms: Rpm, tree: Tree | None = None) -> dict[str, Package]:
    """The packages of a tree that has all files of ``rpms``, and what is in ``tree`` instead."""
    listed = {row.path: File(row.content) for rpm in rpms for row in rpm.rows if row.state == 0}
    world = make_world(tmp_path, {**listed, **(tree or {}), DATABASE: rpm_database(*rpms)})
    return {package.key: package for package in read_rpm(world.rootfs)}


def test_a_package_as_its_header_has_it(tmp_path: Path) -> None:
    files = [
        RpmFile("/usr/bin/tool", "program"),
        RpmFile("/etc/tool.conf", "conf", CONFIG),
        RpmFile("/usr/share/doc/tool/README", "doc", state=2),
        RpmFile("/var/log/tool.log", flags=GHOST),
    ]
    rpm = Rpm("tool", files, version="1.2", release="3.fc40", epoch=2, arch="aarch64")
    (tool,) = read(tmp_path, rpm, tree={"/var/log": Dir()}).values()
    assert (tool.key, tool.name, tool.version) == ("rpm:tool", "tool", "2:1.2-3.fc40")
    assert (tool.architecture, tool.database) == ("aarch64", DATABASE)
    assert tool.files == ("/usr/bin/tool", "/etc/tool.conf", "/var/log/tool.log")
    assert tool.conffiles == ("/etc/tool.conf",)
    digest = hashlib.sha256(b"conf").hexdigest()
    assert tool.checksums["/etc/tool.conf"] == ("sha256", digest)
    assert "/var/log/tool.log" not in tool.checksums


def test_files_are_found_behind_the_links_of_a_merged_system(tmp_path: Path) -> None:
    tree: Tree = {"/bin": Link("usr/bin"), "/usr/bin/tool": "", "/bin/tool": ""}
    rpm = Rpm("tool", ["/bin/tool", "/usr/bin/gone"])
    world = make_world(tmp_path, {**tree, DATABASE: rpm_database(rpm)})
    (tool,) = read_rpm(world.rootfs)
    assert tool.files == ("/usr/bin/tool",)


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        (["lib"], ["rpm:lib"]),
        (["liblib.so.1()(64bit)"], ["rpm:lib"]),
        (["/usr/lib64/liblib.so.1"], ["rpm:lib"]),
        (["/lib64/liblib.so.1"], ["rpm:lib"]),
        (["absent", "app"], []),
        ([("lib", POST), ("/usr/bin/sh", INTERPRETER), ("lib", RPMLIB)], []),
        ([("lib", PRE), "lib"], ["rpm:lib"]),
        (["(absent or lib)"], ["rpm:lib"]),
        (["(lib if other)"], ["rpm:lib"]),
        (["(other if lib)"], ["rpm:other"]),
    ],
)
def test_dependencies(tmp_path: Path, requires: list[str], expected: list[str]) -> None:
    found = read(
        tmp_path,
        Rpm("app", ["/usr/bin/app"], requires),
        Rpm("lib", ["/usr/lib64/liblib.so.1"], provides=["liblib.so.1()(64bit)"]),
        Rpm("other", ["/usr/bin/other"], arch="noarch"),
        tree={"/lib64": Link("usr/lib64")},
    )
    assert list(found["rpm:app"].depends) == expected


@pytest.mark.parametrize(
    ("dependency", "names"),
    [
        ("(a and b)", ["a", "b"]),
        ("(a >= 1:2.0-1 with a < 3)", ["a", "a"]),
        ("(a if b)", ["a"]),
        ("(a if b else c)", ["a", "c"]),
        ("((a if (b or c)) and d(x86-64))", ["a", "d(x86-64)"]),
        ("(a unless (b and (c or d)) else e)", ["a", "e"]),
        ("(lib.so.1()(64bit) >= 2 or x)", ["lib.so.1()(64bit)", "x"]),
        ("(a without b)", ["a"]),
        ("((", []),
        (")) a", ["a"]),
    ],
)
def test_rich_dependencies(dependency: str, names: list[str]) -> None:
    assert list(parse_rich(dependency)) == names


def test_a_file_that_another_package_replaced_is_its_own(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        Rpm("new", ["/usr/bin/tool"]),
        Rpm("old", [RpmFile("/usr/bin/tool", state=1), "/usr/bin/old"]),
    )
    assert found["rpm:old"].files == ("/usr/bin/old",)


def test_packages_of_one_name_have_the_keys_that_rpm_would_ask_for(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        Rpm("glibc", ["/lib/libc.so"], arch="i686"),
        Rpm("glibc", ["/lib64/libc.so"]),
        Rpm("kernel", ["/boot/1"], version="1"),
        Rpm("kernel", ["/boot/2"], version="2"),
        Rpm("kernel", ["/boot/3"], version="3"),
        Rpm("app", ["/app"], ["glibc"], arch="i686"),
    )
    files = {key: package.files for key, package in found.items()}
    assert files == {
        "rpm:glibc": ("/lib64/libc.so",),
        "rpm:glibc.i686": ("/lib/libc.so",),
        "rpm:kernel": ("/boot/3",),
        "rpm:kernel.x86_64": ("/boot/2",),
        "rpm:kernel-1-1.x86_64": ("/boot/1",),
        "rpm:app": ("/app",),
    }
    assert found["rpm:app"].depends == ("rpm:glibc.i686",)


def test_what_is_still_in_the_journal_is_read(tmp_path: Path) -> None:
    content, journal = journalled_database([Rpm("old", ["/old"])], [Rpm("new", ["/new"])])
    tree = {"/old": "", "/new": "", DATABASE: content, f"{DATABASE}-wal": journal}
    world = make_world(tmp_path, tree)
    assert world.packages.packages.keys() == {"rpm:old", "rpm:new"}


@pytest.mark.parametrize("place", ["/usr/lib/sysimage/rpm", "/var/lib/rpm"])
def test_both_places_and_a_link_between_them(tmp_path: Path, place: str) -> None:
    tree: dict[str, Member] = {f"{place}/rpmdb.sqlite": rpm_database(Rpm("a", ["/a"])), "/a": ""}
    if place != "/var/lib/rpm":
        tree["/var/lib/rpm"] = Link("../../usr/lib/sysimage/rpm")
    world = make_world(tmp_path, tree)
    assert list(world.packages.packages) == ["rpm:a"]
    assert unread_databases(world.rootfs) == ()


def _damaged() -> dict[str, bytes]:
    whole = rpm_database(Rpm("a", ["/a"]))
    blob = header(Rpm("a", ["/a"]))
    return {
        "no database": b"text",
        "cut": whole[:5000],
        "no table": _emptied(whole, "DROP TABLE Packages"),
        "short header": _emptied(whole, "UPDATE Packages SET blob = x'0001'"),
        "header of other type": _emptied(whole, "UPDATE Packages SET blob = 'text'"),
        "offset out of it": _emptied(
            whole, f"UPDATE Packages SET blob = x'{blob[:32].hex()}7fffffff{blob[36:].hex()}'"
        ),
        "count out of it": _emptied(
            whole, f"UPDATE Packages SET blob = x'7fffffff{blob[4:].hex()}'"
        ),
    }


def _emptied(content: bytes, statement: str) -> bytes:
    database = sqlite3.connect(":memory:")
    database.deserialize(content)
    database.execute(statement)
    database.commit()
    found = database.serialize()
    database.close()
    return found


@pytest.mark.parametrize("kind", _damaged())
def test_a_damaged_database_is_said_and_kept_whole(tmp_path: Path, kind: str) -> None:
    content = _damaged()[kind]
    world = make_world(tmp_path, {RUN: program(), "/a": "", DATABASE: content}, config=IMAGE)
    assert world.packages.packages == {}
    (problem,) = unread_databases(world.rootfs)
    assert (problem.code, problem.path) == ("unread-package-database", DATABASE)
    plan = plan_of(world)
    assert keep_of(plan, DATABASE).content is None
    assert [p.path for p in plan.problems if p.code == "whole-package-database"] == [DATABASE]


@pytest.mark.parametrize("name", ["Packages", "Packages.db"])
def test_older_kinds_are_kept_whole_and_said(tmp_path: Path, name: str) -> None:
    path = f"/var/lib/rpm/{name}"
    world = make_world(tmp_path, {RUN: program(), path: "old", "/gone": ""}, config=IMAGE)
    (problem,) = unread_databases(world.rootfs)
    assert (problem.code, problem.path) == ("unread-package-database", path)
    plan = plan_of(world)
    assert keep_of(plan, path).content is None
    (said,) = (p for p in plan.problems if p.code == "whole-package-database")
    assert (said.path, said.cost_bytes) == (path, 3)
    assert "older kind" in said.message


def test_an_older_database_beside_its_conversion_is_not_read(tmp_path: Path) -> None:
    plan = planned(tmp_path, {**FEDORA, "/var/lib/rpm/Packages": "old"})
    kept = {keep.entry.path for keep in plan.keeps}
    assert DATABASE in kept
    assert "/var/lib/rpm/Packages" not in kept


# What comes with a package.


def closed(world: World, *roots: str) -> set[str]:
    closure = Closure(world, [DistroPackages(world)])
    for root in roots:
        closure.add([Need(root, Group.PROGRAM, "test", "<test>")])
    closure.run()
    return {k.entry.path for k in closure.kept.values() if not k.entry.is_directory}


def test_a_program_brings_its_package_and_what_that_requires(tmp_path: Path) -> None:
    rpms = [
        Rpm(
            "tool",
            [
                "/usr/bin/tool",
                "/usr/share/tool/data",
                "/usr/share/man/man1/tool.1.gz",
                "/usr/share/doc/tool/README",
                "/usr/share/licenses/tool-common/COPYING",
                "/usr/lib/.build-id/ab/cdef",
                "/usr/lib64/pkgconfig/tool.pc",
                "/usr/lib/systemd/system/tool.service",
            ],
            ["tool-libs", ("shadow", PRE), "systemd", "gzip"],
        ),
        Rpm("tool-libs", ["/usr/lib64/libtool.so.1", "/usr/lib64/libtool.a"]),
        Rpm("shadow", ["/usr/sbin/useradd"]),
        Rpm("systemd", ["/usr/bin/systemctl"]),
        Rpm("gzip", ["/usr/bin/gzip", "/usr/bin/zgrep"]),
    ]
    listed: Tree = {
        row.path: program() if "bin/" in row.path else File() for rpm in rpms for row in rpm.rows
    }
    world = make_world(tmp_path, {**listed, DATABASE: rpm_database(*rpms)})
    assert closed(world, "/usr/bin/tool") == {
        "/usr/bin/tool",
        "/usr/share/tool/data",
        "/usr/share/licenses/tool-common/COPYING",
        "/usr/lib64/libtool.so.1",
    }
    assert closed(world, "/usr/bin/gzip") == {"/usr/bin/gzip"}


def test_where_files_come_from(tmp_path: Path) -> None:
    files = [RpmFile("/usr/bin/a", "a"), RpmFile("/etc/a", "a", CONFIG), RpmFile("/etc/b", "b")]
    tree: Tree = {
        "/usr/bin/a": "a",
        "/etc/a": "edited",
        "/etc/b": "b",
        "/mine": "",
        DATABASE: rpm_database(Rpm("a", files)),
        f"{DATABASE}-shm": "",
    }
    origin = classify(make_world(tmp_path, tree), [])
    assert [origin(path).unit for path in tree] == [
        "rpm:a",
        "changed from rpm:a",
        "rpm:a",
        "",
        "rpm state",
        "rpm state",
    ]


# What of the database is in the slim image.

IMAGE = ImageConfig(entrypoint=(RUN,))
APP = Rpm("app", [RUN, "/usr/lib/app/data", "/usr/lib/app/more"], ["lib", "/bin/sh"])
GONE = Rpm("gone", ["/usr/bin/gone"], provides=["gone-too"])
SHELL = Rpm("shell", ["/usr/bin/sh", "/usr/bin/cat"])
FEDORA: dict[str, Member] = {
    RUN: script("cat /usr/lib/app/data"),
    "/bin": Link("usr/bin"),
    "/usr/bin/sh": program(),
    "/usr/bin/cat": program(),
    "/usr/bin/gone": program(),
    "/usr/lib/app/data": "data",
    "/usr/lib/app/more": "more",
    "/var/lib/rpm": Dir(mode=0o750, uid=3),
    DATABASE: File(rpm_database(GONE, APP, SHELL), mode=0o640, uid=7, mtime=1_600_000_000),
    f"{DATABASE}-shm": "index of the journal",
    "/var/lib/rpm/.rpm.lock": "",
}


def planned(tmp_path: Path, tree: Tree, choices: Choices | None = None) -> Plan:
    return plan_of(make_world(tmp_path, tree, config=IMAGE, choices=choices), user=(RUN,))


def keep_of(plan: Plan, path: str) -> Keep:
    return next(keep for keep in plan.keeps if keep.entry.path == path)


def slim_database(plan: Plan) -> bytes:
    content = keep_of(plan, DATABASE).content
    assert content is not None
    return content


def names_in(content: bytes) -> list[str]:
    rows = read_database(content)["Packages"]
    return [strings_of(blob, 1000)[0] for _, blob in rows if isinstance(blob, bytes)]


def test_the_packages_that_own_a_kept_file_are_listed(tmp_path: Path) -> None:
    plan = planned(tmp_path, FEDORA)
    tables = read_database(slim_database(plan))
    assert names_in(slim_database(plan)) == ["app", "shell"]
    assert [number for number, _ in tables["Packages"]] == [2, 3]
    assert tables["Name"] == [("app", 2, 0), ("shell", 3, 0)]
    assert tables["Requirename"] == [("lib", 2, 0), ("/bin/sh", 2, 1)]
    assert tables["Providename"] == [("app", 2, 0), ("shell", 3, 0)]
    keep = keep_of(plan, DATABASE)
    assert (keep.entry.mode, keep.entry.uid, keep.entry.mtime) == (0o640, 7, 1_600_000_000)
    assert keep.size_bytes == len(slim_database(plan))
    assert keep_of(plan, "/var/lib/rpm").entry.mode == 0o750
    kept = {keep.entry.path for keep in plan.keeps}
    assert not {f"{DATABASE}-shm", "/var/lib/rpm/.rpm.lock"} & kept


def test_files_that_are_gone_count_as_not_installed_and_headers_stay_signed(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path, FEDORA)
    rows = read_database(slim_database(plan))["Packages"]
    states = {2: [0, 0, 2], 3: [0, 0]}
    for number, blob in rows:
        rpm = {2: APP, 3: SHELL}[int(str(number))]
        files = [
            RpmFile(str(path), state=state)
            for path, state in zip(rpm.files, states[int(str(number))], strict=True)
        ]
        expected = Rpm(rpm.name, files, rpm.requires)
        assert blob == header(expected)


def test_states_that_are_signed_stay(tmp_path: Path) -> None:
    old = Rpm("app", APP.files, has_signed_states=True)
    plan = planned(tmp_path, {**FEDORA, DATABASE: rpm_database(old, GONE)})
    ((_, blob),) = read_database(slim_database(plan))["Packages"]
    assert blob == header(old)


def test_the_slim_image_read_again_has_the_same_packages_and_files(tmp_path: Path) -> None:
    plan = planned(tmp_path, FEDORA)
    kept = {keep.entry.path: FEDORA.get(keep.entry.path, Dir()) for keep in plan.keeps}
    slim = {**kept, DATABASE: slim_database(plan)}
    (again := tmp_path / "again").mkdir()
    world = make_world(again, slim, config=IMAGE)
    files = {key: package.files for key, package in world.packages.packages.items()}
    assert files == {
        "rpm:app": (RUN, "/usr/lib/app/data"),
        "rpm:shell": ("/usr/bin/sh", "/usr/bin/cat"),
    }
    assert keep_of(plan_of(world, user=(RUN,)), DATABASE).content is None


def test_the_bytes_depend_on_the_content_alone(tmp_path: Path) -> None:
    fat = rpm_database(GONE, APP, SHELL)
    # How often it was changed, and by which version of SQLite.
    other = fat[:24] + b"\0\0\1\7" + fat[28:92] + b"\0\0\1\7" + b"\0\x2d\xff\xff" + fat[100:]
    first, second = (
        slim_database(planned(tmp_path, {**FEDORA, DATABASE: content})) for content in (fat, other)
    )
    assert first[96:100] == fat[96:100]
    assert second == first[:96] + other[96:100] + first[100:]


def test_a_database_of_which_all_is_kept_stays_as_it_is(tmp_path: Path) -> None:
    app = Rpm("app", [RUN, "/usr/lib/app/data", RpmFile("/var/log/app.log", flags=GHOST)])
    plan = planned(tmp_path, {**FEDORA, DATABASE: rpm_database(app, SHELL)})
    assert keep_of(plan, DATABASE).content is None
    content, journal = journalled_database([app], [SHELL])
    plan = planned(tmp_path, {**FEDORA, DATABASE: content, f"{DATABASE}-wal": journal})
    assert names_in(slim_database(plan)) == ["app", "shell"]


def test_a_journal_is_part_of_what_is_cut_and_does_not_come_along(tmp_path: Path) -> None:
    content, journal = journalled_database([GONE, APP], [SHELL])
    tree = {**FEDORA, DATABASE: content, f"{DATABASE}-wal": journal}
    reads_journal = script(f"cat /usr/lib/app/data {DATABASE}-wal")
    plan = planned(tmp_path, {**tree, RUN: reads_journal})
    assert names_in(slim_database(plan)) == ["app", "shell"]
    assert f"{DATABASE}-wal" not in {keep.entry.path for keep in plan.keeps}
    whole = planned(tmp_path, tree, Choices(keep=("/var/lib/rpm",)))
    assert keep_of(whole, DATABASE).content is None
    assert keep_of(whole, f"{DATABASE}-wal").content is None


def test_the_database_itself_makes_no_package_known(tmp_path: Path) -> None:
    rpm = Rpm("rpm", [RpmFile(DATABASE, flags=GHOST), "/usr/bin/rpm"])
    reads_it = script(f"cat /usr/lib/app/data {DATABASE}")
    tree = {**FEDORA, RUN: reads_it, DATABASE: rpm_database(rpm, APP, SHELL)}
    assert names_in(slim_database(planned(tmp_path, tree))) == ["app", "shell"]


def test_without_a_package_that_is_kept_there_is_no_database(tmp_path: Path) -> None:
    plan = planned(tmp_path, {**FEDORA, DATABASE: rpm_database(GONE)})
    assert DATABASE not in {keep.entry.path for keep in plan.keeps}


def test_a_table_that_rpm_never_makes_leaves_the_database_whole(tmp_path: Path) -> None:
    other = _emptied(
        rpm_database(GONE, APP, SHELL),
        "CREATE TABLE other (hnum INTEGER PRIMARY KEY) WITHOUT ROWID",
    )
    plan = planned(tmp_path, {**FEDORA, DATABASE: other})
    assert keep_of(plan, DATABASE).content is None
    assert "whole-package-database" in {problem.code for problem in plan.problems}


def test_triggers_of_a_foreign_database_do_not_run(tmp_path: Path) -> None:
    trigger = (
        "CREATE TRIGGER more AFTER INSERT ON Packages BEGIN"
        " INSERT INTO Name VALUES ('evil', new.hnum, 0); END"
    )
    tree = {**FEDORA, DATABASE: _emptied(rpm_database(GONE, APP, SHELL), trigger)}
    content = slim_database(planned(tmp_path, tree))
    assert b"evil" not in content
