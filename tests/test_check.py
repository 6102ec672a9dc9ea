"""An image held against limits, through the command line: what a build job learns of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml, TestSuite

from imgslim.audit.kinds import kind_titles
from imgslim.cli.app import run
from imgslim.dirt import DirtKind
from imgslim.limits.measures import MEASURES
from imgslim.quantities import parse_percent, parse_ratio, parse_size
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.schemas import sarif_errors
from tests.test_dirt import GITHUB, PASSWORD, PEM
from tests.worlds import Dir, File, Tree

Document = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent

MAIN = elf()
BASE: Tree = {
    "/app/main": File(MAIN, mode=0o755),
    "/usr/bin/gcc": File(b"g" * 3000, mode=0o755),
    "/usr/bin/su": File(b"s" * 100, mode=0o4755),
    "/usr/share/doc/gcc/notes": b"n" * 500,
    "/var/lib/dpkg/status": (
        "Package: gcc\nStatus: install ok installed\nSection: devel\nArchitecture: amd64\n"
        "Version: 1\n\n"
        "Package: login\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
    ),
    "/var/lib/dpkg/info/gcc.list": "/usr/bin/gcc\n/usr/share/doc/gcc/notes\n",
    "/var/lib/dpkg/info/login.list": "/usr/bin/su\n",
}
WASTE: Tree = {"/opt/build/a": b"w" * 800}
LAYERS: tuple[tuple[str, Tree], ...] = (
    ("FROM base", BASE),
    ("RUN make", WASTE),
    ("RUN rm -r /opt/build", {"/opt/.wh.build": ""}),
)
CONFIG = {"Entrypoint": ["/app/main"]}


def made(*layers: tuple[str, Tree], tag: str = "acme/app:1", **config: Any) -> Made:
    """An image of instructions with what each brought; it runs /app/main."""
    return Made(
        layers=[tree for _, tree in layers],
        config=CONFIG | config,
        tags=(tag,),
        history=[{"created_by": words} for words, _ in layers],
    )


IMAGE = made(*LAYERS)


def size_of(image: Made) -> int:
    """The bytes of its regular files, whiteouts left out."""
    members = [item for tree in image.layers if isinstance(tree, dict) for item in tree.values()]
    contents = [one.content if isinstance(one, File) else one for one in members]
    return sum(len(one) for one in contents if isinstance(one, (str, bytes)))


class Check:
    """Writes images as archives into the working directory, and checks them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.said = ""

    def text(self, image: Made, *options: str, code: int = 0, name: str = "app.tar") -> str:
        docker_archive(self.folder / name, image)
        found = run(["check", name, *options])
        shown = self.capsys.readouterr()
        self.said = shown.err
        assert found == code, shown.err
        return shown.out

    def json(self, image: Made, *options: str, code: int = 0) -> Document:
        document = json.loads(self.text(image, "--format", "json", *options, code=code))
        assert document["kind"] == "check" and document["check"]["holds"] is (code == 0)
        found: Document = document["check"]
        return found

    def limits(self, image: Made, *options: str, code: int = 0) -> dict[str, Document]:
        return {row["rule"]: row for row in self.json(image, *options, code=code)["limits"]}

    def removable(self, image: Made) -> int:
        """What the audit says of it."""
        docker_archive(self.folder / "audited.tar", image)
        assert run(["audit", "audited.tar", "--format", "json"]) == 0
        found: int = json.loads(self.capsys.readouterr().out)["audit"]["sizes"]["removable_bytes"]
        return found


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Check:
    monkeypatch.chdir(tmp_path)
    return Check(tmp_path, capsys)


# ------------------------------------------------------------------- each limit


def both(name: str, holds: float | str, breaks: float | str) -> tuple[list[str], list[str]]:
    return [f"--{name}", str(holds)], [f"--{name}", str(breaks)]


SIZE = size_of(IMAGE)
OLD_SIZE = SIZE - 800
GREW = ["--against", "old.tar"]

AMOUNTS: dict[str, tuple[list[str], list[str]]] = {
    "max-size": both("max-size", SIZE, SIZE - 1),
    "max-growth": both("max-growth", 800, 799),
    "max-growth-percent": both(
        "max-growth-percent", 80000 / OLD_SIZE, f"{80000 / OLD_SIZE - 0.001}%"
    ),
    "max-waste": both("max-waste", "0.8kB", "799 B"),
    "max-waste-percent": both("max-waste-percent", 80000 / SIZE, 80000 / SIZE - 0.001),
    "min-efficiency": both("min-efficiency", (SIZE - 800) / SIZE, (SIZE - 800) / SIZE + 0.00001),
}


@pytest.mark.parametrize("rule", AMOUNTS)
def test_an_amount_may_be_reached_and_not_passed(rule: str, check: Check) -> None:
    docker_archive(check.folder / "old.tar", made(*LAYERS[:1]))
    against = GREW if "growth" in rule else []
    holds, breaks = AMOUNTS[rule]
    assert set(check.limits(IMAGE, *holds, *against)) == {rule}
    assert check.said == ""
    row = check.limits(IMAGE, *breaks, *against, code=1)[rule]
    assert not row["holds"] and row["reasons"]
    assert check.said.count("imgslim: ") == 1 and f"acme/app:1: {rule}: " in check.said
    text = check.text(IMAGE, *breaks, *against, code=1)
    assert "1 of 1 limit does not hold" in text and check.said == ""
    assert f"broken  {rule}" in text


@pytest.mark.parametrize("rule", ["max-removable", "max-removable-percent"])
def test_what_could_be_removed_is_what_the_audit_says(rule: str, check: Check) -> None:
    removable = check.removable(IMAGE)
    assert removable >= 3500
    limit = removable if rule == "max-removable" else 100 * removable / SIZE
    check.limits(IMAGE, f"--{rule}", str(limit))
    row = check.limits(IMAGE, f"--{rule}", str(limit - 1), code=1)[rule]
    assert sum(reason["size_bytes"] for reason in row["reasons"]) == removable
    first = row["reasons"][0]
    assert (first["what"], first["size_bytes"]) == ("deb:gcc", 3500)
    assert (first["where"], first["instruction"]) == ("/usr/bin/gcc", "FROM base")
    kept = ["--keep", "/usr/bin/gcc", "--keep", "/usr/share/doc/gcc/notes"]
    assert check.limits(IMAGE, f"--{rule}", str(limit), *kept)[rule]["found"] < row["found"]


def test_growth_names_the_layers_that_the_reference_lacks(check: Check) -> None:
    docker_archive(check.folder / "old.tar", made(*LAYERS[:1], tag="acme/app:0"))
    found = check.json(IMAGE, *GREW, "--max-growth", "0", code=1)
    (row,) = found["limits"]
    assert (row["found"], row["unit"]) == (800, "bytes")
    assert [reason["instruction"] for reason in row["reasons"]] == ["RUN make"]
    assert found["against"] == {"reference": "old.tar", "size_bytes": OLD_SIZE}
    text = check.text(IMAGE, *GREW, "--max-growth", "0", code=1)
    assert "imgslim diff old.tar app.tar" in text
    smaller = check.limits(made(*LAYERS[:1]), "--against", "app.tar", "--max-growth", "0")
    assert smaller["max-growth"]["found"] == 0, "app.tar was written anew"


def test_growth_out_of_nothing_is_more_than_any_limit(check: Check) -> None:
    docker_archive(check.folder / "old.tar", made(("FROM scratch", {"/d": Dir()})))
    row = check.limits(IMAGE, *GREW, "--max-growth-percent", "1000", code=1)
    assert row["max-growth-percent"]["found"] is None
    empty = made(("FROM scratch", {"/d": Dir()}))
    check.limits(empty, *GREW, "--max-growth-percent", "0", "--max-waste-percent", "0")


def test_waste_is_told_with_both_instructions(check: Check) -> None:
    text = check.text(IMAGE, "--max-waste", "0", code=1)
    for words in ("800 B: /opt/build/a", "layer 1: RUN make", "deleted by layer 2: RUN rm -r"):
        assert words in text


def test_all_limits_are_asked_whatever_became_of_the_first(check: Check) -> None:
    options = ["--max-size", "1", "--max-waste", "1MB", "--forbid", "toolchain", "--forbid", "vcs"]
    rows = check.limits(IMAGE, *options, code=1)
    assert {rule: row["holds"] for rule, row in rows.items()} == {
        "max-size": False,
        "max-waste": True,
        "forbid-toolchain": False,
        "forbid-vcs": True,
    }
    assert "2 of 4 limits do not hold" in check.text(IMAGE, *options, code=1)
    assert "all 2 limits hold" in check.text(IMAGE, "--max-size", "1MB", "--forbid", "vcs")


def test_amounts_that_look_alike_are_told_to_the_last_digit(check: Check) -> None:
    image = made(("COPY", {"/app/main": File(MAIN, mode=0o755), "/x": b"x" * 5_000_000}))
    size = size_of(image)
    text = check.text(image, "--max-size", str(size - 1), code=1)
    assert f"{size:,} B, at most {size - 1:,} B" in text


# ------------------------------------------------------------------- forbidden kinds

GIT: Tree = {"/src/.git/HEAD": "ref: refs/heads/main\n", "/src/.git/config": "[core]\n"}
GIT |= {"/src/.git/objects/aa/bb": b"o" * 90, "/src/.git/refs/heads/main": "0" * 40}


def packaged(**files: bytes) -> Tree:
    """Files of one package that nothing needs; without one, they would be the app's."""
    tree: Tree = {path: File(content) for path, content in files.items()}
    return {
        "/var/lib/dpkg/status": "Package: extra\nStatus: install ok installed\nVersion: 1\n",
        "/var/lib/dpkg/info/extra.list": "".join(f"{path}\n" for path in tree),
        **tree,
    }


KINDS: dict[str, Tree] = {
    "toolchain": packaged(**{"/usr/lib/gcc/x86_64/12/cc1": b"c"}),
    "package-managers": {
        "/var/lib/dpkg/status": "Package: apt\nStatus: install ok installed\nVersion: 1\n",
        "/var/lib/dpkg/info/apt.list": "/usr/bin/apt\n",
        "/usr/bin/apt": b"a",
    },
    "headers": packaged(**{"/usr/include/stdio.h": b"h"}),
    "tests": packaged(**{"/usr/lib/python3/dist-packages/six/tests/a.py": b"t"}),
    "caches": {"/root/.cache/pip/http/a": b"c"},
    "vcs": GIT,
    "docs": packaged(**{"/usr/share/doc/a": b"d"}),
    "logs": {"/var/log/dpkg.log": b"l"},
    "setuid": {"/app/helper": File(b"x", mode=0o4755)},
    "world-writable": {"/app/data": File(b"x", mode=0o666)},
    "history": {"/root/.bash_history": "ls -l\n"},
    "private-key": {"/root/.ssh/id_rsa": PEM},
    "credentials": {"/root/.npmrc": f"//registry.npmjs.org/:_authToken={GITHUB}\n"},
}
PLAIN: Tree = {"/app/main": File(MAIN, mode=0o755)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_must_not_be_there(kind: str, check: Check) -> None:
    clean = made(("FROM", PLAIN))
    assert check.limits(clean, "--forbid", kind)[f"forbid-{kind}"]["found"] == 0
    others = [word for other in KINDS if other != kind for word in ("--forbid", other)]
    dirty = made(("FROM", PLAIN), ("COPY . .", KINDS[kind]))
    rows = check.limits(dirty, "--forbid", kind, *others, code=1)
    assert [rule for rule, row in rows.items() if not row["holds"]] == [f"forbid-{kind}"]
    row = rows[f"forbid-{kind}"]
    assert row["reasons"][0]["where"] in KINDS[kind]
    assert row["reasons"][0]["instruction"] == "COPY . ."
    assert row["unit"] == ("findings" if kind in list(DirtKind) else "files")


def test_a_needed_file_is_excepted_and_counted_apart(check: Check) -> None:
    docs = {"/usr/share/doc/a": b"d", "/usr/share/doc/b": b"d"}
    image = made(("FROM", {**PLAIN, **packaged(**docs)}))
    assert check.limits(image, "--forbid", "docs", code=1)["forbid-docs"]["found"] == 2
    keep = ["--keep", "/usr/share/doc/*"]
    row = check.limits(image, "--forbid", "docs", *keep)["forbid-docs"]
    assert (row["found"], row["excepted"]) == (0, 2)
    text = check.text(image, "--forbid", "docs", *keep)
    assert "2 files that a slim image needs not counted" in text
    rows = check.limits(image, "--forbid", "docs", "--forbid-always", "docs", *keep, code=1)
    assert list(rows) == ["forbid-always-docs"] and rows["forbid-always-docs"]["found"] == 2


def test_what_a_package_brought_with_more_rights_is_excepted(check: Check) -> None:
    row = check.limits(IMAGE, "--forbid", "setuid")["forbid-setuid"]
    assert (row["found"], row["excepted"]) == (0, 1)
    rows = check.limits(IMAGE, "--forbid-always", "setuid", code=1)
    assert rows["forbid-always-setuid"]["reasons"][0]["where"] == "/usr/bin/su"


def test_a_finding_says_whether_the_slim_image_keeps_it(check: Check) -> None:
    image = made(("FROM", PLAIN), ("COPY . .", {"/app/helper": File(b"x", mode=0o4755)}))
    for words, verdict in (((), "needed"), (("--drop", "/app/helper"), "removable")):
        row = check.limits(image, "--forbid", "setuid", *words, code=1)["forbid-setuid"]
        assert [reason["verdict"] for reason in row["reasons"]] == [verdict]
        text = check.text(image, "--forbid", "setuid", *words, code=1)
        assert f"runs as root, /app/helper, {verdict}" in text


def test_what_a_later_layer_deletes_is_in_the_image_all_the_same(check: Check) -> None:
    gone = ("RUN rm -r /src/.git /root/.ssh", {"/src/.wh..git": "", "/root/.wh..ssh": ""})
    image = made(("FROM", PLAIN), ("COPY . .", {**GIT, "/root/.ssh/id_rsa": PEM}), gone)
    rows = check.limits(image, "--forbid", "vcs", "--forbid", "private-key", code=1)
    assert not rows["forbid-vcs"]["holds"] and not rows["forbid-private-key"]["holds"]
    for row in rows.values():
        undone = [reason["undone"] for reason in row["reasons"]]
        assert all("by a later layer" in words or "by layer 2" in words for words in undone)


def test_an_image_that_runs_nothing_has_no_exceptions(check: Check) -> None:
    status = b"Package: a\nStatus: install ok installed\nVersion: 1\n\n"
    image = Made(layers=[{"/usr/share/doc/a": b"d", "/var/lib/dpkg/status": status}])
    found = check.json(image, "--forbid", "docs", code=1)
    assert found["no_plan"] and found["limits"][0]["found"] == 1
    assert found["no_plan"] in " ".join(check.text(image, "--forbid", "docs", code=1).split())
    assert check.json(image, "--max-size", "1kB")["no_plan"] == ""
    check.text(image, "--max-removable", "1GB", code=7)


def test_secrets_in_files_are_looked_for_where_they_are_forbidden(check: Check) -> None:
    image = made(("FROM", PLAIN), ("COPY . .", {"/app/settings.py": f'TOKEN = "{GITHUB}"\n'}))
    check.text(image, "--forbid", "private-key")
    row = check.limits(image, "--forbid", "secret", code=1)["forbid-secret"]
    assert (row["reasons"][0]["where"], row["reasons"][0]["line"]) == ("/app/settings.py", 1)


def test_every_kind_of_the_tables_can_be_forbidden_but_what_an_image_is_for(check: Check) -> None:
    kinds = [*kind_titles(), *(kind.value for kind in DirtKind)]
    assert len(kinds) == len(set(kinds)), "one word, one meaning"
    for kind in kinds:
        check.text(
            made(("FROM", PLAIN)),
            "--forbid",
            kind,
            code=2 if kind in ("app", "runtime", "other") else 0,
        )


SECRET_IMAGE = made(
    ("FROM", PLAIN),
    (f"RUN curl -u me:{PASSWORD} https://example.net", {"/root/.ssh/id_rsa": PEM}),
    (f"RUN TOKEN={GITHUB} make", {"/root/.npmrc": f"//registry.npmjs.org/:_authToken={GITHUB}\n"}),
    ("RUN rm -r /root/.ssh", {"/root/.wh..ssh": "", "/app/a.py": f'KEY = "{GITHUB}"\n'}),
    Env=[f"GITHUB_TOKEN={GITHUB}"],
    Labels={"password": PASSWORD},
)


@pytest.mark.parametrize("output_format", ["table", "json", "junit", "sarif"])
def test_secrets_are_never_printed(output_format: str, check: Check) -> None:
    kinds = ("private-key", "credentials", "token", "secret")
    options = [word for kind in kinds for word in ("--forbid", kind)]
    options += ["--max-size", "1", "--max-waste", "0", "--max-removable", "0", "--verbose"]
    shown = check.text(SECRET_IMAGE, "--format", output_format, *options, code=1) + check.said
    for kind in kinds:
        assert f"forbid-{kind}" in shown
    for secret in (GITHUB, PASSWORD, PEM.splitlines()[1]):
        assert secret not in shown


# ------------------------------------------------------------------- reports


def cases(suite: TestSuite) -> dict[str, Any]:
    return {case.name: case for case in suite}


def test_junit_names_the_image_and_each_rule(check: Check) -> None:
    options = ["--max-size", "1MB", "--max-waste", "0", "--forbid", "toolchain"]
    text = check.text(IMAGE, "--format", "junit", *options, code=1)
    (suite,) = JUnitXml.fromstring(text.encode())
    assert (suite.name, suite.tests, suite.failures) == ("acme/app:1", 3, 2)
    found = cases(suite)
    assert list(found) == ["max-size", "max-waste", "forbid-toolchain"]
    assert found["max-size"].is_passed
    (failure,) = found["forbid-toolchain"].result
    assert failure.type == "forbid-toolchain" and "1 file, none allowed" in failure.message
    assert "deb:gcc, /usr/bin/gcc; layer 0: FROM base" in failure.text
    assert {case.classname for case in suite} == {"acme/app"}, "the next tag is the same case"
    properties = {row.name: row.value for row in suite.properties()}
    assert properties["image"] == "acme/app:1" and properties["platform"] == "linux/amd64"


def results(check: Check, image: Made, *options: str, code: int = 1) -> list[Document]:
    text = check.text(image, "--format", "sarif", *options, code=code)
    assert sarif_errors(text) == []
    document = json.loads(text)
    (sarif,) = document["runs"]
    rules = [rule["id"] for rule in sarif["tool"]["driver"]["rules"]]
    rows: list[Document] = sarif["results"]
    for row in rows:
        assert rules[row["ruleIndex"]] == row["ruleId"]
    assert sarif["properties"]["image"] == image.tags[0]
    return rows


def test_sarif_is_valid_and_has_a_place_for_each_result(check: Check) -> None:
    image = made(
        *LAYERS,
        ("COPY . .", {"/root/.ssh/id_rsa": PEM, "/app/run me%": File(b"x", mode=0o4755)}),
        Env=[f"GITHUB_TOKEN={GITHUB}"],
    )
    kinds = ("private-key", "setuid", "token", "toolchain", "vcs")
    options = [word for kind in kinds for word in ("--forbid", kind)]
    rows = results(check, image, "--max-size", "1", "--max-waste", "1MB", *options)
    places = {
        row["ruleId"]: row["locations"][0]["physicalLocation"]["artifactLocation"] for row in rows
    }
    assert places == {
        "max-size": {"uri": "acme/app"},
        "forbid-private-key": {"uri": "root/.ssh/id_rsa", "uriBaseId": "IMAGE"},
        "forbid-setuid": {"uri": "app/run%20me%25", "uriBaseId": "IMAGE"},
        "forbid-token": {"uri": "acme/app"},
        "forbid-toolchain": {"uri": "usr/bin/gcc", "uriBaseId": "IMAGE"},
    }
    (token,) = [row for row in rows if row["ruleId"] == "forbid-token"]
    assert token["locations"][0]["logicalLocations"] == [
        {"fullyQualifiedName": "<env GITHUB_TOKEN>"}
    ]
    assert results(check, IMAGE, "--max-size", "1MB", code=0) == []


def test_a_sarif_result_is_the_same_under_the_next_tag(check: Check) -> None:
    def prints(image: Made) -> list[str]:
        rows = results(check, image, "--forbid", "private-key", "--max-size", "1")
        return [row["partialFingerprints"]["primaryLocationLineHash"] for row in rows]

    keys: Tree = {"/a/id_rsa": PEM, "/b/id_rsa": PEM}
    one = prints(made(("FROM", PLAIN), ("COPY", keys), tag="acme/app:1"))
    two = prints(made(("FROM", PLAIN), ("COPY", {**keys, "/c": b"c"}), tag="acme/app:2"))
    assert one == two and len(set(one)) == 3


@pytest.mark.parametrize("output_format", ["table", "junit", "sarif"])
def test_odd_names_stay_names(output_format: str, check: Check) -> None:
    odd: Tree = {"/usr/share/doc/a\x1b[2Jb<&": b"d", "/usr/share/doc/caf\udce9": b"d"}
    image = made((f"RUN \x1b[2J {'word ' * 90}", {**PLAIN, **odd}))
    text = check.text(image, "--format", output_format, "--forbid-always", "docs", code=1)
    assert "\x1b" not in text + check.said
    if output_format == "junit":
        assert len(JUnitXml.fromstring(text.encode())) == 1
    if output_format == "sarif":
        assert sarif_errors(text) == []


def test_the_report_fits_80_columns(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    tree = {f"/usr/share/doc/{'very-long-name/' * 9}{n}/file": b"x" for n in range(9)}
    image = made(("RUN pip install " + "package " * 60, {**PLAIN, **tree}))
    text = check.text(image, "--forbid-always", "docs", "--max-size", "1", code=1)
    assert max(map(len, text.splitlines())) <= 80
    assert "… 4 more: --verbose lists them" in text
    verbose = check.text(image, "--forbid-always", "docs", "--verbose", code=1)
    assert "".join(verbose.split()).count("very-long-name") == 162


def test_a_report_in_a_file_leaves_the_reasons_in_the_log(check: Check) -> None:
    options = ["--max-waste", "0", "-o", "report", "--force"]
    assert check.text(IMAGE, *options, code=1) == ""
    assert check.said.splitlines() == [
        "imgslim: acme/app:1: max-waste: 800 B, at most 0 B",
        "  800 B: /opt/build/a; layer 1: RUN make; deleted by layer 2: RUN rm -r /opt/build",
    ]
    assert "max-waste" in (check.folder / "report").read_text("utf-8")
    check.text(IMAGE, *options, "--quiet", code=1)
    assert check.said == ""


# ------------------------------------------------------------------- settings


def test_limits_are_kept_in_a_table_of_their_own(check: Check) -> None:
    (check.folder / "imgslim.toml").write_text(
        '[check]\nmax-size = "1 MB"\nmax-waste = 0\nmax-waste-percent = 2.5\n'
        'min-efficiency = 0.5\nforbid = ["toolchain"]\n'
    )
    rows = check.limits(IMAGE, code=1)
    assert {rule: row["limit"] for rule, row in rows.items()} == {
        "max-size": 1_000_000,
        "max-waste": 0,
        "max-waste-percent": 2.5,
        "min-efficiency": 0.5,
        "forbid-toolchain": 0,
    }
    assert check.said.startswith("imgslim: note: settings from imgslim.toml\n")
    rows = check.limits(IMAGE, "--max-waste", "5kB", "--forbid", "vcs", code=1)
    assert rows["max-waste"]["limit"] == 5000, "the command line wins for single values"
    assert {"forbid-toolchain", "forbid-vcs"} <= rows.keys(), "lists add up"
    check.text(IMAGE, "--no-config", code=2)


def test_an_image_has_limits_of_its_own(check: Check) -> None:
    (check.folder / "pyproject.toml").write_text(
        '[tool.imgslim.check]\nmax-size = "1 MB"\n[tool.imgslim.images."app.tar".check]\n'
        'max-size = 1\nforbid = ["vcs"]\n[tool.imgslim.images."other"]\ncheck.max-waste = 1\n'
    )
    rows = check.limits(IMAGE, code=1)
    assert {rule: row["limit"] for rule, row in rows.items()} == {"max-size": 1, "forbid-vcs": 0}
    assert '[images."app.tar"]' in check.said


def test_other_commands_take_their_part_of_the_same_file(check: Check) -> None:
    docker_archive(check.folder / "app.tar", IMAGE)
    (check.folder / "imgslim.toml").write_text('level = "tight"\n[check]\nmax-size = 1\n')
    assert run(["analyze", "app.tar"]) == 0
    assert run(["check", "app.tar"]) == 1


WRONG_SETTINGS: dict[str, tuple[str, str]] = {
    "a typo": ("[check]\nmax-sise = 1", "did you mean check.max-size"),
    "a typo for one image": ("[images.'x'.check]\nforbidd = []", "check.forbid"),
    "a typo of the table": ("[chekc]\nmax-size = 1", "did you mean check?"),
    "a key outside of its table": ("max-size = 1", "check.max-size"),
    "a key of another place": ("[check]\nlevel = 'tight'", "outside of [check]"),
    "no table": ("check = 3", "write [check]"),
    "a typo of a kind": ("[check]\nforbid = ['toolchian']", "did you mean toolchain"),
    "a string for a list": ("[check]\nforbid = 'vcs'", 'check.forbid = ["'),
    "no size": ("[check]\nmax-size = 'big'", "write check.max-size = SIZE"),
    "a truth for a size": ("[check]\nmax-size = true", "write check.max-size = SIZE"),
    "less than nothing": ("[check]\nmax-waste-percent = -1", "write check.max-waste-percent = N"),
    "more than the whole": ("[check]\nmin-efficiency = 95", "write check.min-efficiency = RATIO"),
    "an option of one run": ("[check]\nformat = 'junit'", "say --format"),
}


@pytest.mark.parametrize("case", WRONG_SETTINGS)
def test_wrong_settings_are_one_line_with_a_way_on(case: str, check: Check) -> None:
    text, hint = WRONG_SETTINGS[case]
    (check.folder / "imgslim.toml").write_text(f"{text}\n")
    assert check.text(IMAGE, "--max-size", "1GB", code=2) == ""
    first, second = check.said.splitlines()
    assert first.startswith("imgslim: error: imgslim.toml") and hint in second


# ------------------------------------------------------------------- amounts, wrong usage

SIZES = {
    "0": 0,
    "20000": 20000,
    "1,000": 1000,
    "300MB": 300_000_000,
    "300 mb": 300_000_000,
    "1.5 GiB": 1_610_612_736,
    "20k": 20_000,
    "2Ki": 2048,
    "7 B": 7,
}


@pytest.mark.parametrize("text", SIZES)
def test_sizes_as_people_write_them(text: str) -> None:
    assert parse_size(text) == SIZES[text]


def test_shares_as_people_write_them() -> None:
    assert parse_percent("5 %") == parse_percent("5") == parse_percent(5) == 5
    assert parse_ratio("95%") == parse_ratio("0.95") == parse_ratio(0.95) == 0.95
    parsers: Sequence[Callable[[str], float]] = (parse_size, parse_percent, parse_ratio)
    for parse in parsers:
        for text in ("", "MB", "-1", "x", "1.2.3", "nan", "inf", "12 parsecs"):
            with pytest.raises(ValueError):
                parse(text)


WRONG: dict[str, tuple[list[str], int, str]] = {
    "no limit": (["app.tar"], 2, "nothing to check"),
    "a size of no kind": (["app.tar", "--max-size", "big"], 2, "300MB"),
    "no such kind": (["app.tar", "--forbid", "gcc"], 2, "gcc"),
    "growth of nothing": (["app.tar", "--max-growth", "1"], 2, "max-growth needs"),
    "growth in per cent of nothing": (["app.tar", "--max-growth-percent", "1"], 2, "max-growth-p"),
    "no limit on growth": (["app.tar", "--against", "app.tar", "--max-size", "1"], 2, "--against"),
    "both on standard input": (["-", "--against", "-", "--max-growth", "1"], 2, "both images"),
    "no such reference": (["app.tar", "--against", "no.tar", "--max-growth", "1"], 4, "no.tar"),
    "no such archive": (["no.tar", "--max-size", "1"], 4, "no.tar"),
    "a damaged one": (["cut.tar", "--max-size", "1"], 5, ""),
    "output exists": (["app.tar", "--max-size", "1", "-o", "app.tar"], 9, "exists already"),
    "no such format": (["app.tar", "--max-size", "1", "--format", "csv"], 2, "csv"),
    "no such file of dive's": (["app.tar", "--dive-ci", "none"], 2, "none"),
    "dive's file and not": (["app.tar", "--dive-ci", "x", "--no-dive-ci"], 2, "contradict"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_never_taken_for_a_broken_limit(
    case: str, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    good = docker_archive(check.folder / "app.tar", IMAGE)
    (check.folder / "cut.tar").write_bytes(good.read_bytes()[:3000])
    arguments, code, words = WRONG[case]
    assert run(["check", *arguments]) == code
    shown = capsys.readouterr()
    first, second = shown.err.splitlines()
    assert shown.out == "" and first.startswith("imgslim: error: ") and words in first
    assert second.startswith("  hint: ")


def test_the_exit_code_reaches_the_shell(check: Check) -> None:
    archive = docker_archive(check.folder / "app.tar", IMAGE)
    for limit, code in (("1GB", 0), ("1", 1)):
        command = [sys.executable, "-m", "imgslim", "check", "-", "--max-size", limit]
        with archive.open("rb") as stdin:
            done = subprocess.run(command, stdin=stdin, capture_output=True, cwd=ROOT)
        assert done.returncode == code and done.stderr == b""


def test_every_amount_is_an_option(check: Check) -> None:
    run(["check", "--help"])
    shown = check.capsys.readouterr().out
    for measure in MEASURES:
        assert f"--{measure.rule} " in shown or measure.rule.startswith("dive-")
