"""Two images compared, through the command line: what a user learns of them."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from imgslim.cli.app import run
from tests.archives import (
    Made,
    docker25_archive,
    docker_archive,
    oci_archive,
    oci_files,
    oci_layout,
    write_tar,
)
from tests.rpms import Rpm, rpm_database
from tests.worlds import Dir, File, Link, Member, Special, Tree

Document = dict[str, Any]

BASE: Tree = {
    "/bin/sh": File(b"s" * 900, mode=0o755),
    "/etc/os-release": "ID=debian\n",
    "/usr/lib/libc.so": File(b"c" * 5000),
}
APP: Tree = {"/app/main": File(b"m" * 400, mode=0o755), "/app/data": File(b"d" * 600)}


def made(*layers: tuple[str, Tree], **config: Any) -> Made:
    """An image of instructions with what each brought."""
    return Made(
        layers=[tree for _, tree in layers],
        config=config,
        history=[{"created_by": words} for words, _ in layers],
    )


class Compare:
    """Writes two images as archives and compares them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys

    def text(self, before: Made, after: Made, *options: str, code: int = 0) -> str:
        one = docker_archive(self.folder / "a.tar", before)
        two = docker_archive(self.folder / "b.tar", after)
        assert run(["diff", str(one), str(two), *options]) == code
        return self.capsys.readouterr().out

    def json(self, before: Made, after: Made, *options: str) -> Document:
        document = json.loads(self.text(before, after, "--format", "json", *options))
        found: Document = document["diff"]
        return found


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Compare:
    return Compare(tmp_path, capsys)


def one_layer(**members: Member) -> Made:
    return made(("COPY . /", {f"/{name}": member for name, member in members.items()}))


def rows_by(rows: Sequence[Document], key: str) -> dict[str, Document]:
    return {row[key]: row for row in rows}


def layer_rows(found: Document) -> list[tuple[str, str, int]]:
    """How, instruction and growth of each layer."""
    return [
        (row["how"], (row["after"] or row["before"])["instruction"], row["growth_bytes"])
        for row in found["layers"]
    ]


def aspects(found: Document, path: str) -> dict[str, tuple[str, str]]:
    row = rows_by(found["paths"], "path")[path]
    return {detail["aspect"]: (detail["before"], detail["after"]) for detail in row["details"]}


# ------------------------------------------------------------------- which instruction


def test_growth_is_told_of_the_instruction_that_brought_it(compare: Compare) -> None:
    tools: Tree = {"/usr/bin/gcc": File(b"g" * 3000, mode=0o755)}
    yesterday = made(("FROM", BASE), ("RUN pip install flask", {"/f": b"f" * 10}), ("COPY a", APP))
    today = made(
        ("FROM", BASE),
        ("RUN apt-get install gcc", tools),
        # Built again: another tar, with one more file, of the same instruction.
        ("RUN pip install flask", {"/f": b"f" * 10, "/g": b"g" * 25}),
        ("COPY a", {**APP, "/app/main": File(b"M" * 400, mode=0o755)}),
    )
    found = compare.json(yesterday, today)
    assert layer_rows(found) == [
        ("same", "FROM", 0),
        ("added", "RUN apt-get install gcc", 3000),
        ("changed", "RUN pip install flask", 25),
        ("changed", "COPY a", 0),
    ]
    assert [row["known_bytes"] for row in found["layers"]] == [5910, 0, 10, 600]
    text = " ".join(compare.text(yesterday, today).split())
    assert "1 new RUN apt-get install gcc 3.0 kB +3.0 kB 1→2 RUN pip install flask 10 B" in text
    assert "1 layer (5.9 kB) is in both images" in text


def test_an_edited_instruction_is_one_and_another_one_is_not(compare: Compare) -> None:
    before = made(
        ("RUN apt-get install -y curl", {"/c": b"c"}),
        ("RUN make all", {"/m": b"m"}),
        ("COPY a", {}),
    )
    after = made(
        ("RUN apt-get install -y curl git", {"/c": b"c", "/g": b"gg"}),
        ("COPY make all", {"/n": b"n"}),
        ("COPY a", {}),
    )
    found = compare.json(before, after)
    assert sorted(layer_rows(found)) == [
        ("added", "COPY make all", 1),
        ("changed", "RUN apt-get install -y curl git", 2),
        ("removed", "RUN make all", -1),
        ("same", "COPY a", 0),
    ]
    assert "was: RUN apt-get install -y curl" in compare.text(before, after)


def test_a_chmod_of_everything_is_seen_to_bring_nothing_new(compare: Compare) -> None:
    opened: Tree = {path: File(one.content, mode=0o777) for path, one in files(APP).items()}
    fat = made(("FROM", BASE), ("COPY . /app", APP), ("RUN chmod -R 777 /app", opened))
    found = compare.json(made(("FROM", BASE), ("COPY . /app", APP)), fat)
    assert layer_rows(found)[-1] == ("added", "RUN chmod -R 777 /app", 1000)
    assert found["layers"][-1]["repeated_bytes"] == 1000
    assert found["sizes"]["before"]["tree_bytes"] == found["sizes"]["after"]["tree_bytes"]
    assert found["sizes"]["after"]["hidden_bytes"] == 1000
    assert aspects(found, "/app/main") == {"mode": ("0755", "0777")}
    assert found["directories"] == []
    text = compare.text(made(("FROM", BASE), ("COPY . /app", APP)), fat)
    assert "all of it repeats files of layers below" in " ".join(text.split())
    assert "mode 0644 → 0777" in text


def test_a_chown_counts_also_what_came_with_it(compare: Compare) -> None:
    owned: Tree = {path: File(one.content, uid=7) for path, one in files(APP).items()}
    changed: Tree = {**owned, "/app/data": File(b"D" * 600, uid=7)}
    after = made(("FROM", BASE), ("COPY . /app", APP), ("RUN chown && build", changed))
    found = compare.json(made(("FROM", BASE)), after)
    assert [row["repeated_bytes"] for row in found["layers"]] == [0, 0, 400]
    inside = compare.json(made(("FROM", BASE)), after, "--under", "/app/data")
    assert [row["repeated_bytes"] for row in inside["layers"]] == [0, 0, 0]


def files(tree: Tree) -> dict[str, File]:
    return {path: one for path, one in tree.items() if isinstance(one, File)}


def test_a_base_of_another_name_is_the_same_base(compare: Compare) -> None:
    before = made(("ADD file:1 in /", BASE), ("COPY a", APP), ENV="A=1")
    after = made(("# debian.sh 'trixie'", BASE), ("COPY a", APP), ENV="A=1")
    found = compare.json(before, after, "--exit-code")
    assert [how for how, _, _ in layer_rows(found)] == ["same", "same"]
    assert not found["different"]


def test_layers_without_history_are_known_by_their_digest(compare: Compare) -> None:
    before = Made(layers=[BASE, APP])
    after = Made(layers=[BASE, {"/new": b"n" * 7}, APP])
    found = compare.json(before, after)
    assert layer_rows(found) == [("same", "", 0), ("added", "", 7), ("same", "", 0)]
    assert "(the image does not say)" in compare.text(before, after)


def test_growth_adds_up_over_layers_directories_and_paths(compare: Compare) -> None:
    many: Tree = {f"/usr/share/d{n % 7}/f{n}": File(b"x" * (n + 1)) for n in range(300)}
    before = made(("FROM", BASE), ("COPY a", APP), ("RUN b", {"/x/y": b"gone" * 500}))
    after = made(
        ("FROM", BASE),
        ("COPY a", {**APP, "/app/data": b"less"}),
        ("RUN c", {**many, "/bin/sh": ""}),
    )
    found = compare.json(before, after)
    old, new = found["sizes"]["before"], found["sizes"]["after"]
    assert sum(row["growth_bytes"] for row in found["layers"]) == (
        new["stored_bytes"] - old["stored_bytes"]
    )
    grown = new["tree_bytes"] - old["tree_bytes"]
    assert sum(row["growth_bytes"] for row in found["paths"]) == grown
    assert sum(row["own_growth_bytes"] for row in found["directories"]) == grown
    for sizes in (old, new):
        assert sizes["stored_bytes"] == sizes["tree_bytes"] + sizes["hidden_bytes"]
    named = {row["path"] for row in found["directories"]}
    assert {"/usr/share/d0", "/x", "/"} <= named and not {"/usr", "/usr/share", "/app"} & named


# ------------------------------------------------------------------- paths


SAME_SIZE = (File(b"aaaa"), File(b"bbbb"))

CHANGES: dict[str, tuple[Member, Member, dict[str, tuple[str, str]]]] = {
    "content of one size": (*SAME_SIZE, {"content": ("", "")}),
    "size": (File(b"a"), File(b"ab"), {"size": ("1", "2")}),
    "mode": (File(b"a"), File(b"a", mode=0o4755), {"mode": ("0644", "4755")}),
    "owner": (File(b"a"), File(b"a", uid=5, gid=6), {"owner": ("0:0", "5:6")}),
    "kind": (File(b"a"), Link("a"), {"kind": ("file", "symlink")}),
    "link target": (Link("a"), Link("b"), {"link target": ("a", "b")}),
    "directory's mode": (Dir(), Dir(mode=0o1777), {"mode": ("0755", "1777")}),
    "device": (
        Special(tarfile.CHRTYPE, 1, 3),
        Special(tarfile.CHRTYPE, 1, 5),
        {"device": ("1, 3", "1, 5")},
    ),
    "capability": (
        File(b"a"),
        File(b"a", xattrs=(("security.capability", b"\x01\x02"),)),
        {"security.capability": ("", "0102")},
    ),
    "time": (
        File(b"a", mtime=1_700_000_000),
        File(b"a", mtime=1_700_000_001),
        {"mtime": ("2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z")},
    ),
    "part of a second": (File(b"a", mtime=1_700_000_000.5), File(b"a", mtime=1_700_000_000), {}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_path_says_in_what(case: str, compare: Compare) -> None:
    before, after, expected = CHANGES[case]
    found = compare.json(one_layer(it=before), one_layer(it=after))
    assert [row["path"] for row in found["paths"]] == (["/it"] if expected else [])
    if expected:
        assert found["paths"][0]["how"] == "changed"
        assert aspects(found, "/it") == expected
    assert found["different"] is (bool(expected) and case != "time")


def test_a_directory_that_no_layer_names_has_no_time(compare: Compare) -> None:
    named: Tree = {"/app": Dir(mtime=5), **APP}
    assert compare.json(made(("COPY", APP)), made(("COPY", named)))["paths"] == []


def test_paths_that_come_and_go_have_their_layer_and_package(compare: Compare) -> None:
    before = made(("FROM", BASE), ("COPY a", APP))
    after = made(
        ("FROM", BASE),
        ("COPY a", APP),
        ("RUN b", {"/app/.wh.data": "", "/app/new/x": File(b"n" * 50)}),
    )
    found = compare.json(before, after)
    rows = {
        row["path"]: (row["how"], row["growth_bytes"], row["layer_before"], row["layer_after"])
        for row in found["paths"]
    }
    assert rows == {
        "/app/data": ("removed", -600, 1, None),
        "/app/new": ("added", 0, None, 2),
        "/app/new/x": ("added", 50, None, 2),
    }


def test_only_contents_that_may_differ_are_read(compare: Compare) -> None:
    before = made(("FROM", BASE), ("COPY a", {"/a": b"12345", "/b": b"1", "/c": b""}))
    after = made(("FROM", BASE), ("COPY a", {"/a": b"54321", "/b": b"12", "/c": b"", "/d": b"x"}))
    assert compare.json(before, after)["contents_read"] == {"files": 1, "bytes": 5}


def test_a_file_that_got_another_name_brought_no_bytes(compare: Compare) -> None:
    linked: Tree = {"/b": File(b"x" * 100), "/a": File(hard_link="/b")}
    found = compare.json(made(("COPY", {"/b": File(b"x" * 100)})), made(("COPY", linked)))
    rows = rows_by(found["paths"], "path")
    assert (rows["/a"]["how"], rows["/a"]["size_after"], rows["/a"]["growth_bytes"]) == (
        "added",
        100,
        0,
    )
    assert list(rows) == ["/a"], "the old name is what it was"
    assert found["sizes"]["before"]["tree_bytes"] == found["sizes"]["after"]["tree_bytes"] == 100


def test_hard_links_that_became_copies_are_growth(compare: Compare) -> None:
    linked: Tree = {"/a": File(b"x" * 100), "/b": File(hard_link="/a"), "/c": File(hard_link="/a")}
    copies: Tree = {"/a": File(b"x" * 100), "/b": File(b"x" * 100), "/c": File(hard_link="/b")}
    found = compare.json(made(("COPY", linked)), made(("COPY", copies)))
    assert aspects(found, "/a") == {"hard links": ("/b, /c", "none")}
    assert aspects(found, "/b") == {"hard links": ("/a, /c", "/c")}
    growth = {row["path"]: row["growth_bytes"] for row in found["paths"]}
    assert growth == {"/a": 0, "/b": 100, "/c": 0}
    assert layer_rows(found) == [("changed", "COPY", 100)]


def test_contents_are_compared_in_full_and_holes_are_zeros(compare: Compare) -> None:
    size = 3 << 20
    before, after = bytes(size), bytes(size - 1) + b"\x01"
    found = compare.json(one_layer(it=File(before)), one_layer(it=File(after)))
    assert aspects(found, "/it") == {"content": ("", "")}
    found = compare.json(one_layer(it=File(before)), made(("RUN", {"/it": File(before)})))
    assert found["paths"] == []


# ------------------------------------------------------------------- packages, config


def dpkg(**versions: str) -> Tree:
    """Packages that share a directory, with one file each."""
    tree: dict[str, Member] = {
        "/var/lib/dpkg/status": "\n".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
            f"Version: {version}\n"
            for name, version in versions.items()
        )
    }
    for name, version in versions.items():
        tree[f"/var/lib/dpkg/info/{name}.list"] = f"/.\n/usr\n/usr/bin\n/usr/bin/{name}\n"
        tree[f"/usr/bin/{name}"] = File(version * 10, mode=0o755)
    return tree


def apk(**versions: str) -> Tree:
    rows = [
        f"P:{name}\nV:{version}\nA:x86_64\nF:usr/bin\nR:{name}\n"
        for name, version in versions.items()
    ]
    files = {f"/usr/bin/{name}": File(version * 10) for name, version in versions.items()}
    return {"/lib/apk/db/installed": "\n".join(rows), **files}


def pypi(**versions: str) -> Tree:
    site = "/usr/lib/python3/dist-packages"
    tree: dict[str, Member] = {}
    for name, version in versions.items():
        info = f"{name}-{version}.dist-info"
        tree[f"{site}/{info}/METADATA"] = f"Name: {name}\nVersion: {version}\n"
        tree[f"{site}/{info}/RECORD"] = f"{name}.py,,\n{info}/METADATA,,\n{info}/RECORD,,\n"
        tree[f"{site}/{name}.py"] = version * 10
    return tree


def npm(**versions: str) -> Tree:
    return {
        f"/app/node_modules/{name}/package.json": json.dumps({"name": name, "version": version})
        for name, version in versions.items()
    }


def rpm(**versions: str) -> Tree:
    rows = [Rpm(name, [f"/usr/bin/{name}"], version=one) for name, one in versions.items()]
    files = {f"/usr/bin/{name}": File(version * 10) for name, version in versions.items()}
    return {"/var/lib/rpm/rpmdb.sqlite": rpm_database(*rows), **files}


@pytest.mark.parametrize(
    ("kind", "install", "release"),
    [("deb", dpkg, ""), ("apk", apk, ""), ("rpm", rpm, "-1"), ("pypi", pypi, ""), ("npm", npm, "")],
)
def test_packages_that_came_went_or_have_another_version(
    kind: str, install: Callable[..., Tree], release: str, compare: Compare
) -> None:
    before = made(("RUN", install(old="1.0", same="3", up="1.1")))
    after = made(("RUN", install(same="3", up="1.1.1", zoo="7")))
    found = compare.json(before, after)
    rows = {
        row["key"]: (row["how"], row["versions_before"], row["versions_after"])
        for row in found["packages"]
    }
    assert rows == {
        f"{kind}:old": ("removed", [f"1.0{release}"], []),
        f"{kind}:up": ("changed", [f"1.1{release}"], [f"1.1.1{release}"]),
        f"{kind}:zoo": ("added", [], [f"7{release}"]),
    }
    assert all(row["growth_bytes"] for row in found["packages"])
    text = " ".join(compare.text(before, after).split())
    assert "Packages (1 added, 1 removed, 1 of another version)" in text
    assert f"{kind}:up 1.1{release} 1.1.1{release} +" in text


def test_one_package_in_several_versions_is_one_row(compare: Compare) -> None:
    nested: Tree = {
        **npm(a="2.0.0"),
        "/app/node_modules/a/node_modules/b/package.json": '{"name": "b", "version": "1.0.0"}',
        "/app/node_modules/b/package.json": '{"name": "b", "version": "2.0.0"}',
    }
    found = compare.json(made(("RUN", npm(a="2.0.0", b="2.0.0"))), made(("RUN", nested)))
    (row,) = found["packages"]
    assert (row["key"], row["how"]) == ("npm:b", "changed")
    assert (row["versions_before"], row["versions_after"]) == (["2.0.0"], ["1.0.0", "2.0.0"])


def test_a_slimmed_package_is_there_with_fewer_bytes(compare: Compare) -> None:
    slim = {path: one for path, one in dpkg(a="1").items() if path != "/usr/bin/a"}
    found = compare.json(made(("RUN", dpkg(a="1"))), made(("RUN", slim)))
    (row,) = found["packages"]
    assert (row["how"], row["versions_after"], row["growth_bytes"]) == ("changed", ["1"], -10)
    assert rows_by(found["paths"], "path")["/usr/bin/a"]["owner"] == "deb:a"


def test_what_a_system_package_brought_is_its_own(compare: Compare) -> None:
    """Debian's python3-six and node-semver: a deb whose files are those of a distribution."""
    brought = {**pypi(six="1.16"), **npm(semver="7.0.0")}
    tree: Tree = {
        **dpkg(bundle="1"),
        **brought,
        "/var/lib/dpkg/info/bundle.list": "\n".join(["/.", "/usr/bin/bundle", *brought]),
    }
    found = compare.json(one_layer(), made(("RUN apt-get install bundle", tree)))
    assert [row["key"] for row in found["packages"]] == ["deb:bundle"]


def test_under_lists_the_packages_with_files_there(compare: Compare) -> None:
    before = {**dpkg(tool="1"), **npm(app="1.0.0")}
    after = {**dpkg(tool="2"), **npm(app="2.0.0")}
    found = compare.json(made(("RUN", before)), made(("RUN", after)), "--under", "/app")
    assert [row["key"] for row in found["packages"]] == ["npm:app"]


@pytest.mark.parametrize("output_format", ["table", "json", "markdown"])
def test_no_secret_is_printed_but_that_it_changed(compare: Compare, output_format: str) -> None:
    secrets = "hunter2-hunter2", "correct-horse-battery"
    one, two = (
        made(
            ("COPY . /", BASE),
            (f"RUN |1 API_TOKEN={secret} /bin/sh -c make", APP),
            Env=[f"DB_PASSWORD={secret}", "MODE=a"],
            Cmd=["serve", "--password", secret],
        )
        for secret in secrets
    )
    found = compare.text(one, two, "--verbose", "--format", output_format)
    assert "DB_PASSWORD" in found and "***" in found
    assert not any(secret in found for secret in secrets)
    fields = {row["field"] for row in compare.json(one, two)["config"]}
    assert fields == {"variable DB_PASSWORD", "CMD"}


def test_the_config_is_compared_variable_by_variable(compare: Compare) -> None:
    before = made(("COPY", APP), Env=["PATH=/bin", "A=1", "OLD=x"], Cmd=["/app/main"], User="root")
    after = made(
        ("COPY", APP),
        Env=["A=2", "PATH=/bin", "NEW=y"],
        Cmd=["/app/main", "-v"],
        ExposedPorts={"80/tcp": {}},
        User="root",
    )
    found = compare.json(before, after)
    assert {row["field"]: (row["before"], row["after"]) for row in found["config"]} == {
        "variable A": ("1", "2"),
        "variable OLD": ("x", None),
        "variable NEW": (None, "y"),
        "exposed port 80/tcp": (None, ""),
        "CMD": ('["/app/main"]', '["/app/main", "-v"]'),
    }
    assert found["different"] and found["paths"] == []
    text = " ".join(compare.text(before, after).split())
    assert "variable NEW (not set) y" in text and "exposed port 80/tcp (not set) (set)" in text


def test_images_of_different_platforms_are_compared_and_said_to_be(compare: Compare) -> None:
    arm = Made(layers=[APP], platform={"os": "linux", "architecture": "arm64", "variant": "v8"})
    found = compare.json(Made(layers=[APP]), arm)
    (row,) = found["config"]
    assert (row["field"], row["before"], row["after"]) == ("architecture", "amd64", "arm64")
    text = compare.text(Made(layers=[APP]), arm)
    assert "linux/arm64" in text and "different platforms" in text


def test_platform_chooses_in_both_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def index(name: str, arm_tree: Tree) -> str:
        arm = Made(layers=[arm_tree], platform={"os": "linux", "architecture": "arm64"})
        return str(oci_archive(tmp_path / name, Made(layers=[APP]), arm, nested=True))

    one, two = index("a.tar", {"/arm": b"1"}), index("b.tar", {"/arm": b"22"})
    assert run(["diff", one, two, "--platform", "linux/arm64", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["before"]["platform"] == document["after"]["platform"] == "linux/arm64"
    assert [row["path"] for row in document["diff"]["paths"]] == ["/arm"]
    assert run(["diff", one, two, "--platform", "linux/s390x"]) == 4


# ------------------------------------------------------------------- options


def test_under_compares_one_directory_alone(compare: Compare) -> None:
    before = made(("FROM", BASE), ("COPY a", APP), Cmd=["a"])
    after = made(
        ("FROM", {**BASE, "/bin/sh": b"another"}),
        ("COPY a", {**APP, "/app/more": b"m" * 30, "/apple": b"1"}),
        Cmd=["b"],
    )
    found = compare.json(before, after, "--under", "/app/")
    assert [row["path"] for row in found["paths"]] == ["/app/more"]
    assert found["config"] == []
    assert [growth for _, _, growth in layer_rows(found)] == [0, 30]
    assert found["sizes"]["after"]["tree_bytes"] == found["sizes"]["after"]["stored_bytes"] == 1030
    assert "Sizes under /app" in compare.text(before, after, "--under", "/app")


def test_under_follows_links_in_each_image(compare: Compare) -> None:
    before = made(("FROM", {"/lib/a.so": b"a"}))
    after = made(("FROM", {"/usr/lib/a.so": b"a", "/lib": Link("usr/lib")}))
    found = compare.json(before, after, "--under", "/lib")
    hows = {row["path"]: row["how"] for row in found["paths"]}
    assert hows["/lib/a.so"] == "removed" and hows["/usr/lib/a.so"] == "added"


@pytest.mark.parametrize(
    ("after", "options", "code"),
    [
        (one_layer(it="b"), (), 0),
        (one_layer(it="b"), ("--exit-code",), 1),
        (one_layer(it="a"), ("--exit-code",), 0),
        (one_layer(it=File("a", mtime=5)), ("--exit-code",), 0),
        (made(("COPY . /", {"/it": "a"}), User="me"), ("--exit-code",), 1),
        (made(("COPY . /", {"/it": "a"}), User="me"), ("--exit-code", "--under", "/it"), 0),
        # The same tree, but stored twice.
        (made(("COPY . /", {"/it": "a"}), ("RUN touch it", {"/it": "a"})), ("--exit-code",), 1),
    ],
)
def test_the_exit_code_tells_only_when_asked(
    after: Made, options: tuple[str, ...], code: int, compare: Compare
) -> None:
    compare.text(one_layer(it="a"), after, *options, code=code)


def test_top_and_verbose_choose_the_rows(compare: Compare) -> None:
    after = one_layer(**{f"file{n:02}": "x" * (n + 1) for n in range(20)})
    text = compare.text(one_layer(), after, "--top", "2")
    assert "/file19" in text and "/file18" in text and "/file17" not in text
    assert "… 18 more: --verbose lists them" in text
    text = compare.text(one_layer(), after, "--verbose")
    assert "/file00" in text and "more: --verbose" not in text
    timed = one_layer(it=File("a", mtime=5))
    assert "/it" not in compare.text(one_layer(it="a"), timed)
    assert "Nothing differs but modification times." in compare.text(one_layer(it="a"), timed)
    assert "/it" in compare.text(one_layer(it="a"), timed, "--verbose")


def test_the_report_fits_80_columns(compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    deep = "/usr/lib/" + "very-long-name/" * 9 + "file"
    before = made(("RUN pip install " + "package " * 60, dpkg(tool="1:1.2.3+dfsg-1~deb12u1")))
    after = made(
        ("RUN pip install " + "package " * 61, {**dpkg(tool="1:1.2.3+dfsg-1~deb12u20"), deep: "x"}),
        Env=["LONG=" + "v" * 300],
    )
    text = compare.text(before, after)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" in text and text.count("package") < 70, "a long instruction is cut"


def test_markdown_keeps_odd_names_in_their_cells(compare: Compare) -> None:
    odd = {"/a|b`c\n<i>": b"x" * 9, "/app/x": b"1"}
    text = compare.text(one_layer(), made(("RUN a | b", odd)), "--format", "markdown")
    assert "| ``/a\\|b`c\\x0a<i>`` |  | 0 | +9 B |" in text
    assert "| 0 new | `RUN a \\| b` |  | 10 B | +10 B |" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            bars = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(bars) == 1, "every row has as many cells as its head"


def test_a_name_of_an_image_cannot_drive_the_terminal(compare: Compare) -> None:
    evil = "\x1b[2J"
    after = made((f"RUN {evil}", {f"/{evil}": b"x"}), User=evil)
    for output_format in ("table", "markdown"):
        assert "\x1b" not in compare.text(one_layer(), after, "--format", output_format)


def test_names_that_are_not_text_are_exact_in_json(compare: Compare) -> None:
    before, after = {"/caf\udce9": Link("a\udce9")}, {"/caf\udce9": Link("b")}
    (row,) = compare.json(made(("COPY", before)), made(("COPY", after)))["paths"]
    assert (row["path"], row["path_base64"]) == ("/caf�", "L2NhZuk=")
    assert row["details"][0]["before_base64"] == "Yek="


# ------------------------------------------------------------------- sources, errors


def test_every_form_of_an_image_is_the_same_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = made(("FROM", BASE), ("COPY a", APP))
    packed = write_tar(tmp_path / "zstd.tar", oci_files(image, pack="zstd"))
    forms = [
        docker_archive(tmp_path / "old.tar", image),
        docker25_archive(tmp_path / "new.tar", image),
        f"docker-archive:{docker_archive(tmp_path / 'gzip.tar', image, pack='gzip')}",
        f"oci:{oci_layout(tmp_path / 'layout', image)}",
        f"oci-archive:{packed}",
    ]
    for form in forms[1:]:
        for pair in ((forms[0], form), (form, forms[0])):
            assert run(["diff", *map(str, pair), "--exit-code"]) == 0
            assert "Nothing differs." in capsys.readouterr().out


def test_either_image_may_come_on_standard_input(tmp_path: Path) -> None:
    one = docker_archive(tmp_path / "a.tar", made(("COPY a", APP)))
    two = docker_archive(tmp_path / "b.tar", made(("COPY a", {**APP, "/new": b"n"})))
    for arguments, piped, how in ((("-", two), one, "added"), ((two, "-"), one, "removed")):
        command = [sys.executable, "-m", "imgslim", "diff", *map(str, arguments)]
        with piped.open("rb") as stdin:
            done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Paths that were {how} (1)" in done.stdout


WRONG: dict[str, tuple[list[str], int, str]] = {
    "both on standard input": (["-", "-"], 2, "both images"),
    "one image": (["good.tar"], 2, "missing argument 'IMAGE_B'"),
    "no engine": (["good.tar", "docker-daemon:app:latest"], 3, ""),
    "no such archive": (["good.tar", "none.tar"], 4, "none.tar"),
    "no image": (["docker-archive:text.tar", "good.tar"], 5, "text.tar"),
    "a damaged one": (["good.tar", "cut.tar"], 5, ""),
    "no such path": (["good.tar", "good.tar", "--under", "/gone"], 4, "/gone"),
    "a relative path": (["good.tar", "good.tar", "--under", "app"], 2, "absolute"),
    "no rows": (["good.tar", "good.tar", "--top", "0"], 2, "--top"),
    "output exists": (["good.tar", "good.tar", "-o", "good.tar"], 9, "exists already"),
    "no such format": (["good.tar", "good.tar", "--format", "csv"], 2, "csv"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_line_a_hint_and_its_exit_code(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.chdir(tmp_path)
    good = docker_archive(tmp_path / "good.tar", made(("FROM", BASE)))
    (tmp_path / "text.tar").write_text("no archive")
    (tmp_path / "cut.tar").write_bytes(good.read_bytes()[:7000])
    arguments, code, words = WRONG[case]
    assert run(["diff", *arguments]) == code
    shown = capsys.readouterr()
    first, *rest = shown.err.splitlines()
    assert shown.out == "" and first.startswith("imgslim: error: ") and words in first
    assert len(rest) == 1 and rest[0].startswith("  hint: ")
