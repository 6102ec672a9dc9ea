"""Advice: which edit of the Dockerfile saves what, and where none may be given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgslim.audit.advice.scripts import commands_of
from imgslim.audit.advice.steps import read_steps
from imgslim.audit.model import Advice, AdviceKind, Audit, BaseImage
from imgslim.layers import load_layers
from imgslim.model import HistoryRow, ImageConfig
from tests.audits import audit_of
from tests.worlds import Dir, File, Link, Tree, make_image

BASE = "/bin/sh -c #(nop) ADD file:0123456789abcdef0123 in / "
BASE_TREE: Tree = {"/bin/sh": File("sh", mode=0o755), "/etc/passwd": "root:x:0:0::/root:/bin/sh\n"}
LISTS = "/var/lib/apt/lists/deb_Packages"
MANY = "m" * 40_000


def only(audit: Audit, kind: AdviceKind) -> Advice:
    found = [row for row in audit.advice if row.kind is kind]
    assert len(found) == 1, [(row.kind, row.title) for row in audit.advice]
    return found[0]


def kinds(audit: Audit) -> list[AdviceKind]:
    return [row.kind for row in audit.advice]


# ------------------------------------------------------------------- what a RUN leaves behind


@pytest.mark.parametrize(
    "made_by",
    [
        "/bin/sh -c apt-get update && apt-get install -y x",
        "RUN /bin/sh -c apt-get update && apt-get install -y x # buildkit",
        "|2 A=b C=d e /bin/sh -c apt-get update && apt-get install -y x",
        "RUN |1 A=b /bin/bash -o pipefail -c apt-get update && apt-get install -y x # buildkit",
        "RUN apt-get update && apt-get install -y x",
    ],
)
def test_lists_are_removed_by_the_run_that_fetched_them(tmp_path: Path, made_by: str) -> None:
    audit = audit_of(tmp_path, BASE_TREE, {LISTS: MANY}, history=[BASE, made_by], keep=["/bin/sh"])
    advice = only(audit, AdviceKind.CLEAN)
    assert advice.edit == "add `rm -rf /var/lib/apt/lists/*` to the RUN of layer 1, at its end"
    assert (advice.layer_index, advice.saved_bytes, advice.file_count) == (1, 40_000, 1)
    assert advice.instruction.startswith("RUN apt-get update")


def test_lists_that_the_same_run_removed_are_no_advice(tmp_path: Path) -> None:
    made_by = "RUN /bin/sh -c apt-get update && apt-get install -y x && rm -rf /var/lib/apt/lists/*"
    audit = audit_of(
        tmp_path, BASE_TREE, {"/var/lib/apt/lists": Dir()}, history=[BASE, made_by], keep=[]
    )
    assert audit.advice == ()


def test_lists_that_a_later_run_reads_stay_for_it(tmp_path: Path) -> None:
    history = [BASE, "/bin/sh -c apt-get update", "/bin/sh -c sudo apt-get -q install x"]
    audit = audit_of(tmp_path, BASE_TREE, {LISTS: MANY}, {"/usr/bin/x": "x"}, history=history)
    assert only(audit, AdviceKind.CLEAN).edit == (
        "join the RUNs of layers 1 to 2, which read it, into one RUN that ends with "
        "`rm -rf /var/lib/apt/lists/*`"
    )


def test_where_a_copy_stands_between_each_run_fetches_its_own(tmp_path: Path) -> None:
    history = [BASE, "/bin/sh -c apt-get update", COPY, "/bin/sh -c apt-get install x"]
    trees: list[Tree] = [{LISTS: MANY}, {"/app/x": "x"}, {"/usr/bin/x": "x"}]
    audit = audit_of(tmp_path, BASE_TREE, *trees, history=history)
    assert only(audit, AdviceKind.CLEAN).edit == (
        "begin the RUN of layer 3 with `apt-get update &&`, and end it and the RUN of layer 1 with "
        "`&& rm -rf /var/lib/apt/lists/*`"
    )


def test_modules_that_a_later_run_compiles_are_for_a_build_stage(tmp_path: Path) -> None:
    history = [BASE, "RUN go mod download", COPY, "RUN go build -o /usr/bin/app"]
    trees: list[Tree] = [{"/root/go/pkg/mod/x": MANY}, {"/app/x.go": "x"}, {"/usr/bin/app": "a"}]
    audit = audit_of(
        tmp_path, {**BASE_TREE, "/root": Dir()}, *trees, history=history, keep=["/usr/bin/app"]
    )
    advice = only(audit, AdviceKind.BUILD_STAGE)
    assert advice.saved_bytes == 40_000
    assert advice.edit.split("\n")[1:] == [
        "# the RUN of layer 1 and all up to the RUN of layer 3",
        "FROM …",
        "# the other instructions",
        "COPY --from=build /usr/bin/app /usr/bin/app",
    ]


@pytest.mark.parametrize(
    ("script", "edit"),
    [
        ("apk add x", "add `--no-cache` to `apk add` in the RUN of layer 1"),
        (
            "apk update && apk add x",
            "add `--no-cache` to `apk add` in the RUN of layer 1, and leave `apk update` out of it",
        ),
        ("apk update", "add `rm -rf /var/cache/apk/*` to the RUN of layer 1, at its end"),
    ],
)
def test_apk_keeps_no_index(tmp_path: Path, script: str, edit: str) -> None:
    history = [BASE, f"/bin/sh -c {script}", "/bin/sh -c apk add --no-cache y"]
    audit = audit_of(
        tmp_path, BASE_TREE, {"/var/cache/apk/APKINDEX.tar.gz": MANY}, {"/y": "y"}, history=history
    )
    assert only(audit, AdviceKind.CLEAN).edit == edit


def test_layers_of_the_base_are_not_the_users_to_edit(tmp_path: Path) -> None:
    history = [BASE, "/bin/sh -c apt-get update", "/bin/sh -c apt-get update"]
    base = BaseImage("debian:12", layer_count=2)
    lists = {LISTS: MANY}
    audit = audit_of(
        tmp_path, BASE_TREE, lists, {f"{LISTS}2": "2" * 5000}, history=history, base=base, keep=[]
    )
    assert [(row.layer_index, row.saved_bytes) for row in audit.advice] == [(2, 5000)]


def test_a_first_layer_that_adds_a_root_file_system_is_the_bases(tmp_path: Path) -> None:
    tree = {**BASE_TREE, LISTS: MANY}
    audit = audit_of(tmp_path, tree, {"/x": "x"}, history=[BASE, "/bin/sh -c touch /x"], keep=[])
    assert audit.advice == ()


@pytest.mark.parametrize("trees", [1, 2])
def test_without_history_the_path_alone_is_named(tmp_path: Path, trees: int) -> None:
    layers: list[Tree] = [{**BASE_TREE, LISTS: MANY}, {"/y": "y"}][:trees]
    rows = ["/bin/sh -c a", "/bin/sh -c b", "/bin/sh -c c"] if trees == 2 else [""]
    audit = audit_of(tmp_path, *layers, history=rows)
    if trees == 2:  # the rows do not pair with the layers
        assert audit.advice == ()
        return
    advice = only(audit, AdviceKind.CLEAN)
    assert advice.instruction == ""
    assert advice.edit == (
        "add `rm -rf /var/lib/apt/lists/*` to the RUN that makes them, at its end"
    )


@pytest.mark.parametrize(
    ("script", "edit"),
    [
        ("pip install -r a.txt", "add `--no-cache-dir` to `pip install` in the RUN of layer 1"),
        ("python3 -m pip install a", "add `--no-cache-dir` to `pip install` in the RUN of layer 1"),
        ("pip3.11 -q install a", "add `--no-cache-dir` to `pip install` in the RUN of layer 1"),
        (
            "./setup.sh pip install",
            "add `rm -rf /root/.cache/pip` to the RUN of layer 1, at its end",
        ),
    ],
)
def test_pip_keeps_no_cache_where_it_is_called(tmp_path: Path, script: str, edit: str) -> None:
    tree = {"/root/.cache/pip/http/a/b": MANY, "/root/.cache/pip/wheels/c": "c"}
    history = [BASE, f"/bin/sh -c {script}"]
    audit = audit_of(tmp_path, {**BASE_TREE, "/root": Dir()}, tree, history=history)
    advice = only(audit, AdviceKind.CLEAN)
    assert (advice.edit, advice.saved_bytes) == (edit, 40_001)
    assert advice.paths == ("/root/.cache/pip",)


def test_a_cache_that_the_program_needs_is_not_advised_away(tmp_path: Path) -> None:
    path = "/root/.cache/pip/http/a"
    history = [BASE, "/bin/sh -c pip install a"]
    audit = audit_of(
        tmp_path, {**BASE_TREE, "/root": Dir()}, {path: MANY}, history=history, keep=[path]
    )
    assert audit.advice == ()


def test_documentation_goes_but_the_copyright_stays(tmp_path: Path) -> None:
    tree = {"/usr/share/doc/x/README": MANY, "/usr/share/doc/x/copyright": "c" * 900}
    history = [BASE, "/bin/sh -c apt-get install x"]
    audit = audit_of(tmp_path, BASE_TREE, tree, history=history, keep=["/bin/sh"])
    advice = only(audit, AdviceKind.CLEAN)
    assert advice.saved_bytes == 40_000
    assert "find /usr/share/doc -type f ! -name copyright -delete" in advice.edit
    # Nobody said that the program does not show it.
    unplanned = audit_of(tmp_path, BASE_TREE, tree, history=history)
    assert unplanned.advice == ()


INSTALLED: Tree = {
    "/usr/local/include/x/x.h": MANY,
    "/usr/local/lib/libx.a": "a" * 500,
    "/usr/local/lib/libx.so": "s",
}


@pytest.mark.parametrize(("later", "is_advised"), [("chmod 755 /x", True), ("gcc /x.c", False)])
def test_headers_go_where_nothing_is_compiled_any_more(
    tmp_path: Path, later: str, is_advised: bool
) -> None:
    history = [BASE, "/bin/sh -c make install", f"/bin/sh -c {later}"]
    audit = audit_of(
        tmp_path,
        {**BASE_TREE, "/usr/local/include/base.h": "b"},
        INSTALLED,
        {"/x": "x"},
        history=history,
        keep=["/usr/local/lib/libx.so"],
        base=BaseImage("a", layer_count=1),
    )
    assert [(row.kind, row.saved_bytes) for row in audit.advice] == (
        [(AdviceKind.CLEAN, 40_500)] if is_advised else []
    )
    if is_advised:
        assert audit.advice[0].edit == (
            "add `rm -rf /usr/local/include/x /usr/local/lib/libx.a` to the RUN of layer 1, at its "
            "end"
        )


# ------------------------------------------------------------------- COPY


COPY = "COPY . /app # buildkit"
GIT: Tree = {"/app/.git/HEAD": "ref: x\n", "/app/.git/objects/pack": MANY}


@pytest.mark.parametrize(
    "made_by",
    [
        COPY,
        "/bin/sh -c #(nop) COPY dir:0123456789abcdef0123456789abcdef in /app ",
        "/bin/sh -c #(nop) COPY dir:0123456789abcdef0123456789abcdef in . ",
        "COPY . .",
        "COPY --chown=a:b src/ ./ # buildkit",
    ],
)
def test_version_control_is_for_the_dockerignore(tmp_path: Path, made_by: str) -> None:
    tree = {**GIT, "/app/run": File("x", mode=0o755)}
    history = [BASE, HistoryRow("WORKDIR /app", True), made_by]
    audit = audit_of(tmp_path, BASE_TREE, tree, history=history, keep=["/app/run"])
    advice = only(audit, AdviceKind.DOCKERIGNORE)
    assert advice.edit == "in .dockerignore:\n**/.git"
    assert advice.saved_bytes == 40_007


@pytest.mark.parametrize(
    "made_by", ["COPY /app /app # buildkit", "/bin/sh -c git clone https://x /app"]
)
def test_what_no_context_brought_is_not(tmp_path: Path, made_by: str) -> None:
    audit = audit_of(tmp_path, BASE_TREE, GIT, history=[BASE, made_by], keep=[])
    assert AdviceKind.DOCKERIGNORE not in kinds(audit)


TWICE = [BASE, "RUN make # buildkit", "COPY data /srv/a # buildkit", "COPY data /opt/b # buildkit"]
DATA: Tree = {"/one": File(b"1" * 9000), "/in/two": File(b"2" * 700, mode=0o755)}


def at(place: str, tree: Tree = DATA) -> Tree:
    return {f"{place}{path}": member for path, member in tree.items()}


def links(tmp_path: Path, *trees: Tree, **audited: Any) -> list[Advice]:
    audited = {"history": TWICE, "with_duplicates": True, "keep": [], **audited}
    audit = audit_of(tmp_path, BASE_TREE, {"/made": "x"}, *trees, **audited)
    return [row for row in audit.advice if row.kind is AdviceKind.LINK]


def test_what_is_copied_twice_becomes_a_link(tmp_path: Path) -> None:
    (advice,) = links(tmp_path, at("/srv/a"), at("/opt/b"))
    assert advice.edit == (
        "write `RUN mkdir -p /opt && ln -s /srv/a /opt/b` in place of the COPY of layer 3"
    )
    assert (advice.saved_bytes, advice.layer_index) == (9700, 3)


def test_one_file_of_many_that_is_copied_again_becomes_a_link(tmp_path: Path) -> None:
    (advice,) = links(tmp_path, at("/srv/a"), {"/etc/copy": File(b"1" * 9000)})
    assert advice.edit == "write `RUN ln -s /srv/a/one /etc/copy` in place of the COPY of layer 3"


NO_LINK: dict[str, tuple[Tree, ...]] = {
    "another content": (at("/srv/a"), {**at("/opt/b"), "/opt/b/one": File(b"3" * 9000)}),
    "another mode": (at("/srv/a"), {**at("/opt/b"), "/opt/b/one": File(b"1" * 9000, mode=0o600)}),
    "another owner": (at("/srv/a"), {**at("/opt/b"), "/opt/b/one": File(b"1" * 9000, uid=7)}),
    "more at the first": ({**at("/srv/a"), "/srv/a/three": "3"}, at("/opt/b")),
    "more at the second": (at("/srv/a"), {**at("/opt/b"), "/opt/b/three": "3"}),
    "a directory more": (at("/srv/a"), {**at("/opt/b"), "/opt/b/empty": Dir()}),
    "a place that is there already": (
        {"/srv/a": Dir(), **at("/srv/a"), "/opt/b": Dir()},
        at("/opt/b"),
    ),
    "a directory beside it": (at("/srv/a"), {**at("/opt/b"), "/opt/c": Dir()}),
    "a link in it": (
        {**at("/srv/a"), "/srv/a/up": Link("../x")},
        {**at("/opt/b"), "/opt/b/up": Link("../x")},
    ),
    "changed later": (at("/srv/a"), at("/opt/b"), {"/opt/b/new": "n"}),
}


@pytest.mark.parametrize("name", NO_LINK)
def test_no_link_where_the_two_are_not_the_same(name: str, tmp_path: Path) -> None:
    history = [*TWICE, "RUN touch # buildkit"][: 2 + len(NO_LINK[name])]
    assert links(tmp_path, *NO_LINK[name], history=history) == []


def test_no_link_without_contents_compared_a_shell_or_the_right_to(tmp_path: Path) -> None:
    trees = at("/srv/a"), at("/opt/b")
    assert links(tmp_path, *trees, with_duplicates=False) == []
    assert links(tmp_path, *trees, config=ImageConfig(user="app")) == []
    unrun = [BASE, "COPY x / # buildkit", *TWICE[2:]]
    assert links(tmp_path, *trees, history=unrun) == []


MODULE = "/app/node_modules/x/index.js"


@pytest.mark.parametrize(
    ("installed_text", "copied_text", "is_advised"),
    [(MANY, MANY, True), ("other", MANY, False), (None, MANY, False)],
    ids=["the same", "another", "none"],
)
def test_modules_are_left_out_where_the_image_has_them_without(
    tmp_path: Path, installed_text: str | None, copied_text: str, is_advised: bool
) -> None:
    made: Tree = {} if installed_text is None else {MODULE: installed_text}
    history = [BASE, "/bin/sh -c npm ci", COPY]
    audit = audit_of(
        tmp_path, BASE_TREE, made, {MODULE: copied_text}, history=history, keep=[MODULE]
    )
    assert (AdviceKind.DOCKERIGNORE in kinds(audit)) is is_advised
    if is_advised:
        advice = only(audit, AdviceKind.DOCKERIGNORE)
        assert (advice.edit, advice.saved_bytes) == ("in .dockerignore:\n**/node_modules", 40_000)


def test_a_line_that_would_also_take_what_is_needed_is_not_given(tmp_path: Path) -> None:
    tree = {"/app/tests/a": MANY, "/app/src/tests/needed": "n"}
    audit = audit_of(
        tmp_path, BASE_TREE, tree, history=[BASE, COPY], keep=["/app/src/tests/needed"]
    )
    assert audit.advice == ()


def test_an_owner_set_by_a_later_run_is_for_the_copy(tmp_path: Path) -> None:
    copied = {"/srv/a": MANY, "/srv/b": "b"}
    changed = {"/srv/a": File(MANY, uid=7, gid=8), "/srv/b": File("b", uid=7, gid=8)}
    history = [BASE, "COPY . /srv # buildkit", "/bin/sh -c chown -R web:www /srv"]
    audit = audit_of(tmp_path, BASE_TREE, copied, changed, history=history, keep=["/srv/a"])
    advice = only(audit, AdviceKind.SAME_STEP)
    assert advice.saved_bytes == 40_001
    assert advice.edit == (
        "write COPY --chown=web:www in the COPY of layer 1; leave `chown -R web:www /srv` out of "
        "the RUN of layer 2"
    )


def test_files_of_several_owners_are_not_for_one_copy(tmp_path: Path) -> None:
    copied = {"/srv/a": MANY, "/srv/b": "b"}
    changed = {"/srv/a": File(MANY, uid=7), "/srv/b": File("b", uid=8)}
    history = [BASE, "COPY . /srv # buildkit", "/bin/sh -c ./own.sh"]
    audit = audit_of(tmp_path, BASE_TREE, copied, changed, history=history)
    assert audit.advice == ()


def test_what_is_copied_and_deleted_is_mounted(tmp_path: Path) -> None:
    history = [
        BASE,
        "COPY a.tgz /tmp/ # buildkit",
        "RUN /bin/sh -c tar -xf /tmp/a.tgz && rm /tmp/a.tgz # buildkit",
    ]
    audit = audit_of(
        tmp_path, BASE_TREE, {"/tmp/a.tgz": MANY}, {"/tmp/.wh.a.tgz": ""}, history=history
    )
    assert only(audit, AdviceKind.SAME_STEP).edit == (
        "leave out the COPY of layer 1, and write RUN --mount=type=bind,source=a.tgz,"
        "target=/tmp/a.tgz in the RUN of layer 2, and leave its deletion out of the RUN of layer 2"
    )


def test_what_is_only_deleted_of_a_copy_is_ignored(tmp_path: Path) -> None:
    copied = {"/srv/big/a": MANY, "/srv/big/b": "b", "/srv/kept": "k"}
    history = [BASE, "COPY . /srv # buildkit", "RUN /bin/sh -c rm -r /srv/big # buildkit"]
    audit = audit_of(tmp_path, BASE_TREE, copied, {"/srv/.wh.big": ""}, history=history)
    advice = only(audit, AdviceKind.SAME_STEP)
    assert advice.edit.endswith("RUN of layer 2:\n**/big")
    assert advice.saved_bytes == 40_001


# ------------------------------------------------------------------- RUNs that are to be one


DELETED: tuple[Tree, Tree] = ({"/data/big": MANY}, {"/data/.wh.big": ""})


def test_a_deletion_joins_the_run_that_made_the_file(tmp_path: Path) -> None:
    history = [BASE, "/bin/sh -c make-big", "/bin/sh -c rm /data/big"]
    audit = audit_of(tmp_path, BASE_TREE, *DELETED, history=history)
    advice = only(audit, AdviceKind.JOIN)
    assert advice.saved_bytes == 40_000
    assert advice.edit == (
        "end the RUN of layer 1 with `&& rm /data/big`, and leave out the RUN of layer 2"
    )


def test_runs_between_are_joined_too(tmp_path: Path) -> None:
    history = [
        BASE,
        "/bin/sh -c make-big",
        HistoryRow("/bin/sh -c #(nop)  ENV A=b", True),
        "/bin/sh -c use-big",
        "/bin/sh -c rm /data/big",
    ]
    audit = audit_of(tmp_path, BASE_TREE, DELETED[0], {"/x": "x"}, DELETED[1], history=history)
    assert only(audit, AdviceKind.JOIN).edit == (
        "join the RUNs of layers 1, 2 and 3 into one, with `&&` between; move the ENV between them "
        "up before it"
    )


@pytest.mark.parametrize("between", ["USER app", "SHELL [bash]", "WORKDIR /data"])
def test_runs_that_something_keeps_apart_are_not_joined(tmp_path: Path, between: str) -> None:
    history = [BASE, "/bin/sh -c a", HistoryRow(between, True), "/bin/sh -c b; rm /data/big"]
    audit = audit_of(tmp_path, BASE_TREE, *DELETED, history=history)
    assert audit.advice == ()


def test_a_deletion_passes_over_a_copy_but_not_over_a_reader(tmp_path: Path) -> None:
    trees = (DELETED[0], {"/x": "x"}, DELETED[1])
    rm = "/bin/sh -c rm /data/big"
    passed = audit_of(tmp_path, BASE_TREE, *trees, history=[BASE, "/bin/sh -c a", COPY, rm])
    assert only(passed, AdviceKind.JOIN).edit.startswith("end the RUN of layer 1 with `&& rm")
    mixed = [BASE, "/bin/sh -c a", COPY, "/bin/sh -c use && rm /data/big"]
    assert audit_of(tmp_path, BASE_TREE, *trees, history=mixed).advice == ()
    read = [BASE, "/bin/sh -c a", HistoryRow("USER app", True), "/bin/sh -c use /data/big", rm]
    assert audit_of(tmp_path, BASE_TREE, *trees, history=read).advice == ()


def test_what_a_later_layer_deletes_of_the_base_cannot_be_saved(tmp_path: Path) -> None:
    tree = {**BASE_TREE, "/data/big": MANY}
    history = [BASE, "/bin/sh -c rm /data/big"]
    assert audit_of(tmp_path, tree, DELETED[1], history=history).advice == ()


# ------------------------------------------------------------------- the whole


def test_what_saves_most_comes_first(tmp_path: Path) -> None:
    tree = {LISTS: "l" * 10, "/root/.cache/pip/x": MANY}
    audit = audit_of(
        tmp_path, {**BASE_TREE, "/root": Dir()}, tree, history=[BASE, "/bin/sh -c x"], keep=[]
    )
    assert [row.saved_bytes for row in audit.advice] == [40_000, 10]


# ------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a 'b c' \"d\" $E", [("a", "b c", "d", "$E")]),
        ("if x; then /usr/bin/y -z; fi", [("x",), ("y", "-z")]),
        ("A=1 env B=2 c", [("env", "B=2", "c"), ("c",)]),
        ("sh -ec 'a && b'", [("sh", "-ec", "a && b"), ("a",), ("b",)]),
        ("# apt-get install x\necho 'apt-get install y'", [("echo", "apt-get install y")]),
    ],
)
def test_commands_of_a_script(script: str, expected: list[tuple[str, ...]]) -> None:
    assert list(commands_of(script)) == expected


def test_steps_know_where_a_copy_went(tmp_path: Path) -> None:
    rows = (
        HistoryRow("/bin/sh -c #(nop) WORKDIR /srv", True),
        HistoryRow("COPY a b lib/ # buildkit", False),
        HistoryRow("ADD https://example.com/x.tgz /tmp/ # buildkit", False),
    )
    layers = load_layers(make_image(tmp_path, [{"/a": ""}, {"/b": ""}]))
    first, second = read_steps(layers, rows, 0)
    assert (first.keyword, first.sources, first.target) == ("COPY", ("a", "b"), "/srv/lib")
    assert (second.target, second.unpacks) == ("/tmp", True)
