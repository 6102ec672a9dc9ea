"""Package databases in a plan say what is kept: a tree and what is kept in, their text out."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from imgslim.archive.sidecar import sidecar_tar
from imgslim.choices import Choices
from imgslim.copyplan import plan_copies
from imgslim.databases.filters import Filter, Format, derive_filters
from imgslim.databases.patterns import patterns_of
from imgslim.dockerfile import render_dockerfile
from imgslim.dockerfile.databases import cut_databases
from imgslim.model import Group, ImageConfig, Keep, Plan
from imgslim.packages import load_packages
from imgslim.packages.npm import read_npm
from imgslim.rootfs import Rootfs
from tests.scripts import plan_of, program, script
from tests.worlds import Dir, File, Link, Member, Tree, make_image, make_world

_ANY = (Group.PACKAGE, "test", "<test>")
CONTROL = """Package: app
Status: install ok installed
Architecture: amd64
Version: 1.0-1
Conffiles:
 /etc/app.conf 0123
Description: an app
 of two lines
"""
GONE = CONTROL.replace("app", "gone")
LIBRARY = (
    "Package: libx\nStatus: install ok installed\nArchitecture: {}\nMulti-Arch: same\nVersion: 2\n"
)
RUN = "/usr/bin/app"
CONFIG = ImageConfig(entrypoint=(RUN,))


def listing(*paths: str) -> str:
    return "\n".join(["/.", "/usr", "/usr/bin", *paths, ""])


def sums(*paths: str) -> str:
    return "".join(f"{index:032x}  {path}\n" for index, path in enumerate(paths))


DEBIAN: dict[str, Member] = {
    RUN: script("cat /usr/lib/app/data"),
    "/bin": Link("usr/bin"),
    "/usr/bin/sh": program(),
    "/usr/bin/cat": program(),
    "/usr/bin/gone": program(),
    "/usr/lib/app/data": "data",
    "/usr/lib/app/more": "more",
    "/var/lib/dpkg": Dir(mode=0o750, uid=3),
    "/var/lib/dpkg/status": File(f"{CONTROL}\n{GONE}\n", mode=0o640, uid=7, mtime=1_600_000_000),
    "/var/lib/dpkg/info/app.list": listing(RUN, "/usr/lib/app/data", "/usr/lib/app/more"),
    "/var/lib/dpkg/info/app.md5sums": sums("usr/bin/app", "usr/lib/app/data", "usr/lib/app/more"),
    "/var/lib/dpkg/info/gone.list": listing("/usr/bin/gone"),
    "/var/lib/dpkg/info/gone.md5sums": sums("usr/bin/gone"),
}


def planned(tmp_path: Path, tree: Tree, choices: Choices | None = None) -> Plan:
    return plan_of(make_world(tmp_path, tree, config=CONFIG, choices=choices), user=(RUN,))


def contents(plan: Plan, tree: Tree) -> dict[str, str]:
    """The text of each kept file in the slim image."""
    found = {}
    for keep in plan.keeps:
        member = tree.get(keep.entry.path)
        if isinstance(member, File):
            member = member.content
        if keep.content is not None:
            found[keep.entry.path] = keep.content.decode()
        elif isinstance(member, str):
            found[keep.entry.path] = member
    return found


def keep_of(plan: Plan, path: str) -> Keep:
    return next(keep for keep in plan.keeps if keep.entry.path == path)


def test_dpkg_lists_the_packages_that_own_a_kept_file(tmp_path: Path) -> None:
    plan = planned(tmp_path, DEBIAN)
    text = contents(plan, DEBIAN)
    assert text["/var/lib/dpkg/status"] == f"{CONTROL}\n"
    assert text["/var/lib/dpkg/info/app.md5sums"] == sums("usr/bin/app", "usr/lib/app/data")
    assert "/var/lib/dpkg/info/gone.md5sums" not in text
    assert not [path for path in text if path.endswith(".list")]


def test_a_cut_database_is_kept_with_its_directories_and_counts_as_what_it_is(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path, DEBIAN)
    keep = keep_of(plan, "/var/lib/dpkg/status")
    assert (keep.entry.mode, keep.entry.uid, keep.entry.mtime) == (0o640, 7, 1_600_000_000)
    assert keep.size_bytes == len(CONTROL) + 1
    assert keep.reason == "package database, cut to what is kept"
    assert keep_of(plan, "/var/lib/dpkg").entry.mode == 0o750
    assert not {"/var/lib/dpkg", "/var/lib/dpkg/status"} & {d.entry.path for d in plan.drops}


def test_a_link_that_leads_to_a_common_directory_belongs_to_no_package(tmp_path: Path) -> None:
    tree = {
        **DEBIAN,
        "/var/lib/dpkg/info/app.list": listing("/bin", "/usr/lib/app/more"),
        "/var/lib/dpkg/info/gone.list": listing("/bin", "/usr/bin/gone"),
    }
    plan = planned(tmp_path, tree)
    assert keep_of(plan, "/bin").entry.is_symlink
    assert "/var/lib/dpkg/status" not in contents(plan, tree)


def test_a_package_of_which_a_link_is_kept_is_listed(tmp_path: Path) -> None:
    tree = {
        **DEBIAN,
        "/usr/bin/cat": Link("gone"),
        "/var/lib/dpkg/info/app.list": listing(RUN, "/usr/bin/cat"),
        "/var/lib/dpkg/info/gone.list": listing("/usr/bin/gone"),
    }
    text = contents(planned(tmp_path, tree), tree)["/var/lib/dpkg/status"]
    assert text == f"{CONTROL}\n{GONE}\n"


def test_of_two_architectures_the_one_that_is_kept_is_listed(tmp_path: Path) -> None:
    shared = "/usr/share/doc/libx/copyright"
    status = f"{LIBRARY.format('amd64')}\n{LIBRARY.format('i386')}\n{CONTROL}\n"
    tree = {
        **DEBIAN,
        RUN: script(f"cat /usr/lib/i386/libx.so {shared}"),
        "/usr/lib/amd64/libx.so": "64",
        "/usr/lib/i386/libx.so": "32",
        shared: "licence",
        "/var/lib/dpkg/status": status,
        "/var/lib/dpkg/info/libx:amd64.list": listing("/usr/lib/amd64/libx.so", shared),
        "/var/lib/dpkg/info/libx:i386.list": listing("/usr/lib/i386/libx.so", shared),
    }
    text = contents(planned(tmp_path, tree), tree)["/var/lib/dpkg/status"]
    assert text == f"{LIBRARY.format('i386')}\n{CONTROL}\n"


def test_a_package_that_was_removed_is_not_listed(tmp_path: Path) -> None:
    removed = CONTROL.replace("install ok installed", "deinstall ok config-files")
    tree = {
        **DEBIAN,
        "/var/lib/dpkg/status": f"{CONTROL}\n{removed.replace('app', 'old')}\n",
    }
    assert contents(planned(tmp_path, tree), tree)["/var/lib/dpkg/status"] == f"{CONTROL}\n"


def test_distroless_files_of_packages_are_kept_or_not(tmp_path: Path) -> None:
    folder = "/var/lib/dpkg/status.d"
    tree = {
        **{path: member for path, member in DEBIAN.items() if not path.startswith("/var")},
        f"{folder}/app": CONTROL,
        f"{folder}/app.md5sums": sums("usr/bin/app", "usr/lib/app/more"),
        f"{folder}/gone": GONE,
        f"{folder}/gone.md5sums": sums("usr/bin/gone"),
    }
    text = contents(planned(tmp_path, tree), tree)
    database = {path: value for path, value in text.items() if path.startswith(folder)}
    assert database == {
        f"{folder}/app": f"{CONTROL}\n",
        f"{folder}/app.md5sums": sums("usr/bin/app"),
    }


def test_what_the_user_keeps_stays_whole_and_what_he_drops_goes(tmp_path: Path) -> None:
    status = "/var/lib/dpkg/status"
    kept = planned(tmp_path, DEBIAN, Choices(keep=(status,)))
    assert keep_of(kept, status).content is None
    dropped = planned(tmp_path, DEBIAN, Choices(drop=("/var/lib/dpkg",)))
    assert not [keep for keep in dropped.keeps if keep.entry.path.startswith("/var")]
    assert not [p for p in dropped.problems if p.path.startswith("/var/lib/dpkg/")]


APK = """C:Q1abc
P:app
V:1-r0
A:x86_64
F:usr
F:usr/bin
M:0:0:755
R:app
a:0:0:755
Z:Q1one
R:extra
Z:Q1two
F:usr/share
F:usr/share/app
R:data
Z:Q1three

C:Q1def
P:gone
V:2-r0
F:usr
F:usr/bin
R:gone

P:meta
V:3-r0

"""
ALPINE: dict[str, Member] = {
    RUN: script("cat /usr/share/app/data"),
    "/usr/bin/sh": program(),
    "/bin": Link("usr/bin"),
    "/usr/bin/cat": program(),
    "/usr/bin/extra": program(),
    "/usr/bin/gone": program(),
    "/usr/share/app/data": "data",
    "/lib/apk/db/installed": APK,
}


def test_apk_lists_packages_and_the_files_that_are_kept(tmp_path: Path) -> None:
    text = contents(planned(tmp_path, ALPINE), ALPINE)["/lib/apk/db/installed"]
    assert text == (
        "C:Q1abc\nP:app\nV:1-r0\nA:x86_64\nF:usr/bin\nM:0:0:755\nR:app\na:0:0:755\nZ:Q1one\n"
        "F:usr/share/app\nR:data\nZ:Q1three\n\n"
    )


def test_a_database_behind_a_link_is_kept_with_the_link(tmp_path: Path) -> None:
    tree = {
        **{path: member for path, member in ALPINE.items() if path != "/lib/apk/db/installed"},
        "/lib": Link("usr/lib"),
        "/usr/lib/apk/db/installed": APK,
    }
    plan = planned(tmp_path, tree)
    assert keep_of(plan, "/usr/lib/apk/db/installed").content is not None
    assert keep_of(plan, "/lib").entry.is_symlink


METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: 1\n"


def distribution(site: str, name: str, *files: str) -> dict[str, Member]:
    info = f"{site}/{name}-1.dist-info"
    record = "".join(f"{path},,\n" for path in (*files, f"{name}-1.dist-info/METADATA"))
    rows = {f"{site}/{path}": "" for path in files}
    return {f"{info}/METADATA": METADATA.format(name), f"{info}/RECORD": record, **rows}


SITE = "/usr/lib/python3/dist-packages"


def test_a_distribution_of_which_a_file_is_kept_has_its_metadata(tmp_path: Path) -> None:
    tree = {
        RUN: script(f"cat {SITE}/used.py"),
        "/usr/bin/cat": program(),
        "/bin/sh": program(),
        **distribution(SITE, "used", "used.py"),
        **distribution(SITE, "unused", "unused.py"),
    }
    text = contents(planned(tmp_path, tree), tree)
    assert {path for path in text if "-info/" in path} == {
        f"{SITE}/used-1.dist-info/METADATA",
        f"{SITE}/used-1.dist-info/RECORD",
    }


def test_a_project_that_is_installed_is_not_described_again_by_its_sources(tmp_path: Path) -> None:
    info = "/app/used.egg-info/PKG-INFO"
    tree = {
        RUN: script(f"cat {SITE}/used.py {info}"),
        "/usr/bin/cat": program(),
        "/bin/sh": program(),
        "/app/setup.py": "",
        info: METADATA.format("used"),
        "/app/other.egg-info/PKG-INFO": METADATA.format("other"),
        **distribution(SITE, "used", "used.py"),
    }
    user = (RUN, "/app/setup.py", info, "/app/other.egg-info/PKG-INFO")
    plan = plan_of(make_world(tmp_path, tree, config=CONFIG), user=user)
    text = contents(plan, tree)
    assert info not in text
    assert "/app/other.egg-info/PKG-INFO" in text
    problem = next(p for p in plan.problems if p.code == "duplicate-metadata")
    assert (problem.path, problem.cost_bytes) == (
        "/app/used.egg-info",
        len(METADATA.format("used")),
    )
    again = make_world(tmp_path, tree, config=CONFIG, choices=Choices(keep=("/app/used.egg-info",)))
    assert info in contents(plan_of(again, user=user), tree)


NODE: dict[str, Member] = {
    "/app/node_modules/a/package.json": '{"name": "a", "version": "1.0.0"}',
    "/app/node_modules/a/index.js": "",
    "/app/node_modules/a/esm/package.json": '{"type": "module"}',
    "/app/node_modules/a/node_modules/b/package.json": '{"name": "b", "version": "2.0.0"}',
    "/app/node_modules/a/node_modules/b/lib/b.js": "",
    "/app/node_modules/@s/c/package.json": '{"name": "@s/c", "version": "3.0.0"}',
    "/app/node_modules/@s/c/c.js": "",
    "/app/node_modules/.pnpm/d@4.0.0/node_modules/d/package.json": '{"name":"d","version":"4.0.0"}',
    "/app/node_modules/.pnpm/d@4.0.0/node_modules/d/d.js": "",
    "/app/node_modules/d": Link(".pnpm/d@4.0.0/node_modules/d"),
    "/app/node_modules/broken/package.json": "{",
    "/app/node_modules/unnamed/package.json": "[]",
}


def test_npm_packages_own_what_lies_in_their_directory(tmp_path: Path) -> None:
    found = {p.key: set(p.files) for p in read_npm(make_world(tmp_path, NODE).rootfs)}
    top = "/app/node_modules"
    assert found == {
        "npm:a@1.0.0": {
            f"{top}/a/{name}" for name in ("package.json", "index.js", "esm/package.json")
        },
        "npm:b@2.0.0": {f"{top}/a/node_modules/b/{name}" for name in ("package.json", "lib/b.js")},
        "npm:@s/c@3.0.0": {f"{top}/@s/c/{name}" for name in ("package.json", "c.js")},
        "npm:d@4.0.0": {
            f"{top}/.pnpm/d@4.0.0/node_modules/d/{name}" for name in ("package.json", "d.js")
        },
    }


def test_an_npm_package_of_which_a_file_is_kept_has_its_manifest(tmp_path: Path) -> None:
    tree = {
        RUN: script("cat /app/node_modules/d/d.js /app/node_modules/@s/c/c.js"),
        "/usr/bin/cat": program(),
        "/bin/sh": program(),
        **NODE,
    }
    text = contents(planned(tmp_path, tree), tree)
    assert {path for path in text if path.endswith("package.json")} == {
        "/app/node_modules/.pnpm/d@4.0.0/node_modules/d/package.json",
        "/app/node_modules/@s/c/package.json",
    }


def test_a_slim_image_tells_who_owns_what(tmp_path: Path) -> None:
    slim = {path: member for path, member in DEBIAN.items() if not path.endswith(".list")}
    slim["/usr/bin/application"] = Link("app")
    packages = load_packages(make_world(tmp_path, slim).rootfs)
    assert {packages.owner(path) and packages.owner(path).name for path in (RUN,)} == {"app"}  # type: ignore[union-attr]
    assert packages.owner("/usr/bin/application") is packages.owner(RUN)


# ---------------------------------------------------------------- patterns, and what a shell makes

ALIKE = {
    **{f"usr/share/doc/p{n}/copyright".encode(): True for n in range(40)},
    **{f"usr/share/doc/p{n}/changelog".encode(): False for n in range(40)},
    b"usr/share/doc/p1/examples/copyright": False,
    **{f"usr/lib/python3/m{n}.py".encode(): n != 7 for n in range(90)},
    **{f"usr/lib/python3/test/t{n}.py".encode(): False for n in range(50)},
    b"top": True,
}


def test_many_paths_are_said_with_few_patterns() -> None:
    patterns = patterns_of(ALIKE)
    assert {path: patterns(path) for path in ALIKE} == ALIKE
    assert len(patterns.rows) <= 6


def random_verdicts(rng: random.Random) -> dict[bytes, bool]:
    names = [b"a", b"b", b"sp ace", b"*", b"$x", b"'q'", b"\xc3\xa9", b"\xff", b"-n", b"[z]", b"~"]
    paths = [b"/".join(rng.choices(names, k=rng.randint(1, 5))) for _ in range(60)]
    return {path: rng.random() < rng.choice((0.1, 0.5, 0.9)) for path in paths}


@pytest.mark.parametrize("seed", range(30))
def test_patterns_give_each_path_its_verdict(seed: int) -> None:
    verdicts = random_verdicts(random.Random(seed))
    patterns = patterns_of(verdicts)
    assert {path: patterns(path) for path in verdicts} == verdicts


def test_a_hostile_path_is_no_deeper_than_the_stack() -> None:
    deep = b"/".join([b"d"] * 3000)
    assert patterns_of({deep: True, b"d/x": False})(deep)


def shells() -> list[list[str]]:
    known = (["dash"], ["bash", "--posix"], ["bash"], ["busybox", "sh"])
    return [shell for shell in known if shutil.which(shell[0])]


def run_filters(
    folder: Path, shell: Sequence[str], filters: Sequence[Filter], files: dict[str, bytes]
) -> dict[str, bytes]:
    """What the text of a build makes of ``files`` in ``folder``."""
    place = folder / "place"
    for path, text in files.items():
        for top in (folder, place):
            (top / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (top / path.lstrip("/")).write_bytes(text)
        os.utime(folder / path.lstrip("/"), (1_500_000_000, 1_500_000_000))
    for text in cut_databases(filters, str(place)):
        command = "".join(line for line in text.splitlines() if not line.startswith("#"))
        command = command.replace("\\    ", "    ").removeprefix("RUN ")
        command = command.replace("cd /;", f"cd '{folder}';", 1)
        subprocess.run([*shell, "-c", command], check=True, timeout=60)
    for path in files:
        assert (place / path.lstrip("/")).stat().st_mtime == 1_500_000_000
    return {path: (place / path.lstrip("/")).read_bytes() for path in files}


def random_database(
    rng: random.Random,
) -> tuple[dict[Format, bytes], dict[bytes, bool], set[bytes]]:
    """Texts of each format, verdicts of the paths in them, and the packages that stay."""
    verdicts = random_verdicts(rng)
    control = apk = b""
    names = set()
    for index in range(12):
        name = b"p%d" % index
        lines = [
            b"Package: " + name,
            b"Version: 1:2\\n",
            b"Description: %s $HOME `id`",
            b" * \\",
            b" .",
        ]
        rng.shuffle(lines[1:])
        control += b"\n".join(lines) + b"\n\n" + rng.choice((b"", b"\n"))
        folder = rng.choice([path.rpartition(b"/")[0] for path in verdicts])
        rows = [p for p in verdicts if p.rpartition(b"/")[0] == folder and folder]
        apk += b"C:Q\nP:" + name + b"\nT:-n \\t\nF:a\nF:" + folder + b"\nM:0:0:755\n"
        apk += (
            b"".join(b"R:" + p.rpartition(b"/")[2] + b"\na:0:0:644\nZ:Q1\n" for p in rows) + b"\n"
        )
        names |= {name} if rng.random() < 0.6 else set()
    sums_text = b"".join(b"%032x  %s\n" % (n, path) for n, path in enumerate(verdicts))
    texts = {Format.CONTROL: control, Format.APK: apk, Format.SUMS: sums_text}
    return {key: text[: -rng.randint(0, 2)] or text for key, text in texts.items()}, verdicts, names


@pytest.mark.parametrize("shell", shells(), ids=" ".join)
@pytest.mark.parametrize("seed", range(6))
def test_a_shell_cuts_as_planned(seed: int, shell: list[str], tmp_path: Path) -> None:
    texts, verdicts, names = random_database(random.Random(seed))
    paths = {
        Format.CONTROL: "/var/lib/dpkg/status",
        Format.APK: "/lib/apk/db/installed",
        Format.SUMS: "/var/lib/dpkg/info/p1:amd64.md5sums",
    }
    filters = [
        Filter(format_, (path,), tuple(sorted(names)), 12, patterns_of(verdicts))
        for format_, path in paths.items()
    ]
    made = run_filters(tmp_path, shell, filters, {paths[f]: text for f, text in texts.items()})
    assert made == {paths[one.format]: one.cut(texts[one.format]) for one in filters}
    assert all(0 < len(made[paths[f]]) <= len(text) for f, text in texts.items() if names)


def test_filters_are_found_from_what_is_planned(tmp_path: Path) -> None:
    world = make_world(tmp_path, DEBIAN, config=CONFIG)
    filters, unsayable = derive_filters(world.rootfs, plan_of(world, user=(RUN,)).keeps)
    assert unsayable == set()
    assert {one.format: one.names for one in filters} == {
        Format.CONTROL: (b"app",),
        Format.SUMS: (),
    }


def test_a_name_goes_with_its_architecture_where_another_is_gone(tmp_path: Path) -> None:
    status = f"{LIBRARY.format('amd64')}\n{LIBRARY.format('i386')}\n{CONTROL}\n"
    world = make_world(tmp_path, {"/var/lib/dpkg/status": status})
    entry = world.rootfs.entries["/var/lib/dpkg/status"]
    slim = f"{LIBRARY.format('i386')}\n{CONTROL}\n".encode()
    keep = Keep(entry, *_ANY, content=slim)
    filters, _ = derive_filters(world.rootfs, [keep])
    assert filters[0].names == (b"app", b"libx:i386")
    for shell in shells():
        assert run_filters(tmp_path, shell, filters, {entry.path: status.encode()}) == {
            entry.path: slim
        }


def test_what_no_filter_makes_is_said(tmp_path: Path) -> None:
    world = make_world(tmp_path, DEBIAN)
    rootfs: Rootfs = world.rootfs
    foreign = [
        Keep(rootfs.entries["/var/lib/dpkg/status"], *_ANY, content=b"Package: new\n\n"),
        Keep(rootfs.entries["/usr/lib/app/data"], *_ANY, content=b"other"),
    ]
    filters, unsayable = derive_filters(rootfs, foreign)
    assert (filters, unsayable) == ((), {"/var/lib/dpkg/status", "/usr/lib/app/data"})


TOOLS: Tree = {
    f"/usr/bin/{name}": program()
    for name in ("sh", "mkdir", "rm", "mv", "ln", "chown", "chmod", "touch", "tar")
}


def test_the_dockerfile_gathers_a_database_and_cuts_it_there(tmp_path: Path) -> None:
    tree = {**TOOLS, **DEBIAN}
    world = make_world(tmp_path, tree, config=CONFIG)
    text = render_dockerfile(
        make_image(tmp_path, [tree], CONFIG), world.rootfs, plan_of(world, user=(RUN,))
    )
    assert "# dpkg's packages, cut to what is kept: 1 of 2 packages" in text
    assert text.index("./var/lib/dpkg/status") < text.index("file=/var/lib/dpkg/status")
    final = text.partition("FROM scratch")[2]
    assert "dpkg" not in final


def test_without_a_shell_the_cut_database_comes_in_the_sidecar(tmp_path: Path) -> None:
    config = ImageConfig(entrypoint=("/app",))
    tree: dict[str, Member] = {
        "/app": program(),
        "/gone": program(),
        "/var/lib/dpkg/status.d/app": CONTROL,
        "/var/lib/dpkg/status.d/app.md5sums": sums("app", "gone"),
        "/var/lib/dpkg/status.d/gone": GONE,
        "/var/lib/dpkg/status.d/gone.md5sums": sums("other"),
    }
    world = make_world(tmp_path, tree, config=config)
    plan = plan_of(world, user=("/app",))
    databases = {path: text for path, text in contents(plan, tree).items() if "dpkg" in path}
    assert databases["/var/lib/dpkg/status.d/app.md5sums"] == sums("app")
    copies = plan_copies(make_image(tmp_path, [tree], config), world.rootfs, plan)
    assert [copy.sources for copy in copies.plain] == [("/app",)]
    assert not [p for p in copies.problems if p.code == "uncut-database"]
    data = b"".join(sidecar_tar(copies.sidecar.keeps, world.rootfs))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {f"/{one.name}": archive.extractfile(one) for one in archive if one.isreg()}
        texts = {path: file.read().decode() for path, file in found.items() if file}
    assert texts == databases


def test_lists_of_files_stay_whole_where_naming_them_is_too_long(tmp_path: Path) -> None:
    folder = "/usr/share/app-with-a-long-name-so-that-naming-is-long"
    names = [f"{folder}/{n}-file-{n}" for n in range(800)]
    kept_names = names[::2]
    tree = {
        **DEBIAN,
        RUN: script(f"cat {' '.join(kept_names)}"),
        **dict.fromkeys(names, "x"),
        "/var/lib/dpkg/info/app.list": listing(RUN, *names),
        "/var/lib/dpkg/info/app.md5sums": sums(*(name[1:] for name in names)),
    }
    plan = planned(tmp_path, tree)
    assert set(kept_names) < {keep.entry.path for keep in plan.keeps}
    assert names[1] not in {keep.entry.path for keep in plan.keeps}
    assert keep_of(plan, "/var/lib/dpkg/info/app.md5sums").content is None
    assert contents(plan, tree)["/var/lib/dpkg/status"] == f"{CONTROL}\n"
