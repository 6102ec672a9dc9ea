"""What inflates an image, over layers that add, delete and overwrite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imgslim.audit import Audit, audit_image, instruction
from imgslim.dirt import Dirt
from imgslim.layers import load_layers
from imgslim.model import Group, Keep, Package, Plan
from imgslim.reports import json as json_report
from imgslim.reports.audit_text import render_audit
from imgslim.reports.console import Look
from imgslim.rootfs import Rootfs, merge_layers
from imgslim.world import PackageIndex
from tests.worlds import Dir, File, Link, Tree, make_image

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


def make_audit(tmp_path: Path, *trees: Tree, keep: tuple[str, ...] | None = ()) -> Audit:
    image = make_image(tmp_path, trees)
    layers = load_layers(image)
    with Rootfs(merge_layers(layers), image.layers) as rootfs:
        plan = None
        if keep is not None:
            kept = [Keep(rootfs.entries[path], Group.APP, "app", "<user>") for path in keep]
            plan = Plan((), tuple(kept), (), ())
        package = Package("deb:a", "a", "1.0", "amd64", ("/usr/lib/a.so", "/usr/share/doc/a"))
        return audit_image(image, layers, rootfs, PackageIndex.build([package], ()), plan)


def test_bytes_in_vain_are_named_with_the_layer_that_undid_them(tmp_path: Path) -> None:
    audit = make_audit(tmp_path, BASE, SECOND, THIRD)
    assert [(w.path, w.size_bytes, w.layer_index, w.by_layer, w.how) for w in audit.wasted] == [
        ("/tmp/build/x", 6000, 0, 1, "deleted"),
        ("/app/main", 900, 1, 2, "deleted"),
        ("/var/cache/two", 800, 0, 1, "deleted"),
        ("/var/cache/one", 700, 0, 1, "deleted"),
        ("/etc/conf", 3, 0, 1, "overwritten"),
    ]
    assert [layer.wasted_bytes for layer in audit.layers] == [7503, 900, 0]
    alive = audit.stored_bytes - sum(layer.wasted_bytes for layer in audit.layers)
    assert alive == audit.size_bytes


def test_a_directory_that_became_a_file_takes_its_files_along(tmp_path: Path) -> None:
    audit = make_audit(tmp_path, {"/d/x": File(b"x" * 5)}, {"/d": "now a file"})
    assert [(w.path, w.by_layer, w.how) for w in audit.wasted] == [("/d/x", 1, "deleted")]


def test_without_a_deleting_layer_nothing_is_in_vain(tmp_path: Path) -> None:
    audit = make_audit(tmp_path, BASE)
    assert audit.wasted == ()
    assert audit.stored_bytes == audit.size_bytes


def test_what_the_plan_keeps_is_weighed_everywhere(tmp_path: Path) -> None:
    audit = make_audit(tmp_path, BASE, SECOND, keep=("/usr/lib/a-too.so", "/app/main"))
    assert [layer.kept_bytes for layer in audit.layers] == [300, 900]
    (package,) = audit.packages
    assert (package.key, package.size_bytes, package.kept_bytes) == ("deb:a", 5300, 300)
    assert {file.path: file.kept for file in audit.files}["/usr/share/doc/a"] is False
    assert {file.path: file.owner for file in audit.files}["/usr/share/doc/a"] == "deb:a"
    assert audit.kept_bytes == 1200


def test_without_a_plan_nothing_is_said_about_it(tmp_path: Path) -> None:
    audit = make_audit(tmp_path, BASE, keep=None)
    assert {row.kept_bytes for row in (*audit.layers, *audit.directories)} == {None}
    assert audit.kept_bytes is None


def test_directories_are_those_where_bytes_gather(tmp_path: Path) -> None:
    tree: Tree = {
        "/usr/lib/big/blob": File(b"x" * 5000),
        "/usr/lib/small/s": File(b"x" * 10),
        **{f"/opt/modules/m{n}/f": File(b"x" * 40) for n in range(100)},
        "/etc/x": File(b"x" * 5),
    }
    audit = make_audit(tmp_path, tree)
    assert [(d.path, d.size_bytes, d.own_bytes) for d in audit.directories] == [
        ("/usr/lib/big", 5000, 5000),
        ("/opt/modules", 4000, 4000),
        ("/", 9015, 15),
    ]
    assert sum(d.own_bytes for d in audit.directories) == audit.size_bytes


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


def test_reports_show_layers_waste_and_what_would_go(tmp_path: Path) -> None:
    image = make_image(tmp_path, [BASE, SECOND])
    audit = make_audit(tmp_path, BASE, SECOND, keep=("/app/main",))
    report = render_audit(image, audit, Dirt((), ()), Look(width=100))
    for words in ("layer 1", "/tmp/build/x", "deleted by layer 1", "deb:a", "/usr/share/doc"):
        assert words in report
    document = json.loads(json_report.render_audit(image, audit, Dirt((), ())))
    assert (document["version"], document["kind"]) == (1, "audit")
    assert document["audit"]["wasted"][0] == {
        "path": "/tmp/build/x",
        "size_bytes": 6000,
        "layer_index": 0,
        "by_layer": 1,
        "how": "deleted",
    }
    assert document["audit"]["sizes"]["wasted_bytes"] == 7503
