"""Where the bytes of an image are, over layers that add, delete and overwrite: each counts once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from imgslim.audit import Audit, audit_image, instruction
from imgslim.audit.model import HIDDEN, NOBODY, How, Verdict, Weight
from imgslim.model import Group, Keep, Package, Plan, Problem, Severity
from imgslim.pipeline import judge
from tests.audits import audit_of, read_layers
from tests.worlds import Dir, File, Link, Tree, make_world

BASE: Tree = {
    "/usr/lib/a.so": File(b"a" * 300),
    "/usr/lib/a-too.so": File(hard_link="/usr/lib/a.so"),
    "/usr/share/doc/a": File(b"d" * 5000),
    "/lib": Link("usr/lib"),
    "/etc/conf": "old",
    "/var/cache/one": File(b"1" * 700),
    "/var/cache/two": File(b"2" * 800),
    "/tmp/build/x": File(b"x" * 6000),
    "/data/link-1": File(b"h" * 40),
    "/data/link-2": File(hard_link="/data/link-1"),
}
SECOND: Tree = {
    "/etc/conf": "new!",
    "/var/cache/.wh..wh..opq": "",
    "/var/cache/three": File(b"3" * 10),
    "/tmp/.wh.build": "",
    "/data/.wh.link-1": "",
    "/app/main": File(b"m" * 900, mode=0o755),
}
THIRD: Tree = {
    # Through the link: it is usr/lib/a.so that is overwritten, but its hard link lives on.
    "/lib/a.so": File(b"b" * 310),
    "/app/.wh.main": "",
    "/app": Dir(),
}
OWNER = Package("deb:a", "a", "1.0", "amd64", ("/usr/lib/a.so", "/usr/share/doc/a"))

WORLDS: dict[str, tuple[Tree, ...]] = {
    "one layer": (BASE,),
    "deleted and overwritten": (BASE, SECOND),
    "through links": (BASE, SECOND, THIRD),
    "a directory becomes a file": ({"/d/x": File(b"x" * 5)}, {"/d": "now a file"}),
    "a file becomes a directory": ({"/d": "a file"}, {"/d/x": File(b"x" * 5)}),
    "files behind a link that a later layer makes": (
        {"/opt/v1/x": File(b"x" * 50)},
        {"/opt/.wh.v1": "", "/srv/x": File(b"y" * 60), "/opt/v1": Link("/srv")},
    ),
    "deleted and stored again": (
        {"/a": File(b"a" * 100)},
        {"/.wh.a": ""},
        {"/a": File(b"b" * 30)},
    ),
    "hard links into another layer": (
        {"/a": File(b"a" * 100), "/b": File(b"b" * 7)},
        {"/a-link": File(b"a" * 100), "/a-more": File(hard_link="/a-link"), "/.wh.b": ""},
    ),
    "nothing": ({},),
}


def sums_of(audit: Audit) -> dict[str, int]:
    """What each way of dividing the bytes adds up to."""
    rows: dict[str, Iterable[Weight]] = {
        "layers": (row.weight for row in audit.layers),
        "kinds": (row.weight for row in audit.kinds),
        "packages": (row.weight for row in audit.packages),
    }
    found = {name: sum(weight.size_bytes for weight in weights) for name, weights in rows.items()}
    found["cells"] = sum(cell.size_bytes for cell in audit.cells)
    found["whole"] = audit.weight.size_bytes
    hidden = sum(file.size_bytes for file in audit.wasted)
    found["directories"] = sum(row.own_bytes for row in audit.directories) + hidden
    found["undone"] = sum(row.size_bytes for row in audit.undone) + audit.weight.tree_bytes
    return found


@pytest.mark.parametrize("keep", [None, []], ids=["without a plan", "with a plan"])
@pytest.mark.parametrize("name", WORLDS)
def test_all_sums_are_the_bytes_of_the_layers(
    name: str, keep: list[str] | None, tmp_path: Path
) -> None:
    stored = sum(layer.size_bytes for layer in read_layers(tmp_path, *WORLDS[name]))
    audit = audit_of(tmp_path, *WORLDS[name], keep=keep, packages=[OWNER])
    assert set(sums_of(audit).values()) == {stored}


def test_bytes_in_vain_are_named_with_both_layers(tmp_path: Path) -> None:
    audit = audit_of(tmp_path, BASE, SECOND, THIRD)
    assert [(w.path, w.size_bytes, w.layer_index, w.by_layer, w.how) for w in audit.wasted] == [
        ("/tmp/build/x", 6000, 0, 1, How.DELETED),
        ("/app/main", 900, 1, 2, How.DELETED),
        ("/var/cache/two", 800, 0, 1, How.DELETED),
        ("/var/cache/one", 700, 0, 1, How.DELETED),
        ("/etc/conf", 3, 0, 1, How.OVERWRITTEN),
    ]
    assert [layer.weight.hidden_bytes for layer in audit.layers] == [7503, 900, 0]
    assert [
        (u.layer_index, u.by_layer, u.how, u.size_bytes, u.file_count) for u in audit.undone
    ] == [
        (0, 1, How.DELETED, 7500, 3),
        (1, 2, How.DELETED, 900, 1),
        (0, 1, How.OVERWRITTEN, 3, 1),
    ]


def test_a_directory_that_became_a_file_takes_its_files_along(tmp_path: Path) -> None:
    audit = audit_of(tmp_path, {"/d/x": File(b"x" * 5)}, {"/d": "now a file"})
    assert [(w.path, w.by_layer, w.how) for w in audit.wasted] == [("/d/x", 1, How.DELETED)]


@pytest.mark.parametrize(
    ("again", "how"),
    [
        (File(b"x" * 5000, mode=0o755), How.CHANGED),
        (File(b"x" * 5000, uid=1000), How.CHANGED),
        (File(b"x" * 5000, xattrs=(("user.a", b"1"),)), How.CHANGED),
        (File(b"x" * 5000, mtime=1), How.REPEATED),
        (File(b"x" * 4999 + b"y", mode=0o755), How.OVERWRITTEN),
        (File(b"x" * 5001, mode=0o755), How.OVERWRITTEN),
        (Link("elsewhere"), How.OVERWRITTEN),
    ],
)
def test_a_file_that_is_stored_again_for_its_mode_alone_is_told(
    again: File | Link, how: How, tmp_path: Path
) -> None:
    audit = audit_of(tmp_path, {"/opt/x": File(b"x" * 5000)}, {"/opt/x": again})
    assert [(w.path, w.size_bytes, w.how) for w in audit.wasted] == [("/opt/x", 5000, how)]


def test_without_a_deleting_layer_nothing_is_in_vain(tmp_path: Path) -> None:
    audit = audit_of(tmp_path, BASE)
    assert audit.wasted == audit.undone == ()
    assert audit.weight.hidden_bytes == 0
    assert audit.efficiency.score == 1


def test_what_the_plan_keeps_is_told_everywhere(tmp_path: Path) -> None:
    keep = ["/usr/lib/a-too.so", "/app/main"]
    audit = audit_of(tmp_path, BASE, SECOND, keep=keep, packages=[OWNER])
    assert [layer.weight.needed_bytes for layer in audit.layers] == [300, 900]
    rows = {row.key: row for row in audit.packages}
    # The library's other name is kept: it is one file.
    assert rows["deb:a"].weight == Weight(needed_bytes=300, removable_bytes=5000, file_count=2)
    assert rows["deb:a"].why == "needed: /usr/lib/a.so"
    assert (rows["deb:a"].version, rows[HIDDEN].weight.hidden_bytes) == ("1.0", 7503)
    assert rows[NOBODY].weight.needed_bytes == 900
    files = {file.path: file for file in audit.files}
    assert (files["/app/main"].verdict, files["/app/main"].why) == (
        Verdict.NEEDED,
        "needed: /app/main",
    )
    assert files["/usr/share/doc/a"].verdict is Verdict.REMOVABLE
    assert files["/usr/share/doc/a"].package == "deb:a"
    assert audit.weight.needed_bytes == 1200


def test_what_a_problem_says_may_be_needed_is_undecided(tmp_path: Path) -> None:
    doubt = Problem(
        "files-by-name", Severity.INFO, "/app/main", "x", left_out=("/usr/share/doc/a",)
    )
    audit = audit_of(tmp_path, BASE, SECOND, keep=["/app/main"], problems=[doubt])
    assert audit.weight.undecided_bytes == 5000
    assert {file.verdict for file in audit.files if file.path == "/usr/share/doc/a"} == {
        Verdict.UNDECIDED
    }


def test_what_a_build_cuts_or_strips_is_not_needed(tmp_path: Path) -> None:
    tree: Tree = {"/app": File(b"a" * 100), "/var/lib/dpkg/status": File(b"s" * 50)}
    world = make_world(tmp_path, tree)
    app, status = (world.rootfs.entries[path] for path in tree)
    plan = Plan(
        (),
        (
            Keep(app, Group.APP, "", "", "strip", strip_bytes=30),
            Keep(status, Group.SYSTEM, "", "", content=b"s" * 20),
        ),
        (),
        (),
    )
    audit = audit_image(world, read_layers(tmp_path, tree), judge(world).origin_of, plan)
    assert audit.weight == Weight(needed_bytes=90, removable_bytes=60, file_count=2)
    assert audit.weight.needed_bytes == plan.slim_size_bytes


def test_without_a_plan_nothing_is_decided(tmp_path: Path) -> None:
    audit = audit_of(tmp_path, BASE, SECOND)
    assert not audit.has_plan and audit.no_plan
    assert {cell.verdict for cell in audit.cells} == {Verdict.UNDECIDED, Verdict.HIDDEN}


def test_one_directory_is_weighed_alone(tmp_path: Path) -> None:
    whole = audit_of(tmp_path, BASE, SECOND, packages=[OWNER])
    parts = [
        audit_of(tmp_path, BASE, SECOND, packages=[OWNER], under=under)
        for under in ("/usr", "/etc", "/var", "/tmp", "/data", "/app")
    ]
    assert sum(part.weight.size_bytes for part in parts) == whole.weight.size_bytes
    assert {file.path for file in parts[0].files} == {"/usr/lib/a.so", "/usr/share/doc/a"}
    assert [(file.path, file.size_bytes) for file in parts[3].wasted] == [("/tmp/build/x", 6000)]
    assert {len(set(sums_of(part).values())) for part in parts} == {1}


def test_a_hard_link_counts_under_the_name_that_a_package_owns(tmp_path: Path) -> None:
    tree: Tree = {
        "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "/root/.cache/uv/x/mod.py": File(b"m" * 1000),
        "/usr/lib/python3/dist-packages/mod.py": File(hard_link="/root/.cache/uv/x/mod.py"),
    }
    owner = Package("deb:p", "p", "1", "all", ("/usr/lib/python3/dist-packages/mod.py",))
    audit = audit_of(tmp_path, tree, packages=[owner])
    (file,) = (file for file in audit.files if file.size_bytes == 1000)
    assert (file.path, file.package, file.kind) == (
        "/usr/lib/python3/dist-packages/mod.py",
        "deb:p",
        "runtime",
    )
    assert "caches" not in {row.name for row in audit.kinds}


def test_directories_are_those_where_bytes_gather(tmp_path: Path) -> None:
    tree: Tree = {
        "/usr/lib/big/blob": File(b"x" * 5000),
        "/usr/lib/small/s": File(b"x" * 10),
        **{f"/opt/modules/m{n}/f": File(b"x" * 40) for n in range(100)},
        "/etc/x": File(b"x" * 5),
    }
    audit = audit_of(tmp_path, tree)
    assert [(d.path, d.weight.size_bytes, d.own_bytes) for d in audit.directories] == [
        ("/usr/lib/big", 5000, 5000),
        ("/opt/modules", 4000, 4000),
        ("/", 9015, 15),
    ]


@pytest.mark.parametrize(
    ("created_by", "expected"),
    [
        ("/bin/sh -c #(nop) COPY file:1 in /app ", "COPY file:1 in /app"),
        ('/bin/sh -c #(nop)  CMD ["bash"]', 'CMD ["bash"]'),
        (
            "/bin/sh -c apt-get update &&     apt-get install x",
            "RUN apt-get update && apt-get install x",
        ),
        ("RUN /bin/sh -c pip install flask # buildkit", "RUN pip install flask"),
        ("|2 A=1 B=2 /bin/sh -c make", "RUN make"),
        ("RUN |1 A=1 /bin/sh -c make # buildkit", "RUN make"),
        ("/bin/bash -o pipefail -c make | tee log", "RUN make | tee log"),
        ("COPY app /app # buildkit", "COPY app /app"),
        ("Imported from -", "Imported from -"),
        ("", ""),
    ],
)
def test_history_rows_read_as_instructions(created_by: str, expected: str) -> None:
    assert instruction(created_by) == expected
