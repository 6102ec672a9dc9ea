"""The audit as a page, read without a browser: one file that asks for nothing, shows names as text,
stays small, and whose map is the whole of the account."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import zlib
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgslim.audit.model import Advice, AdviceKind
from imgslim.cli.app import run
from imgslim.dirt import Dirt
from imgslim.reports.audit_html import render_audit
from tests.audits import audit_of
from tests.pages import SHOWN, Page, archive_of, big_page, hostile_layers, page_of
from tests.worlds import File, Tree, make_image

LOADING = {"src", "href", "srcset", "action", "formaction", "poster", "data", "background", "ping"}
"""Attributes by which a page asks for something."""

LAYERS: list[Tree] = [
    {
        **{f"/opt/app/part-{n}/blob-{n}": File(bytes(n * 50)) for n in range(1, 60)},
        "/bin/app": File(b"\x7fELF" + bytes(60), mode=0o755),
        "/usr/share/doc/x/README": File(b"d" * 40_000),
        "/root/.cache/pip/http/x": File(b"c" * 5000),
        "/opt/linked": File(hard_link="opt/app/part-9/blob-9"),
        "/opt/once/only/this": File(b"o" * 777),
        "/opt/empty": File(b""),
    },
    {"/opt/app/.wh.part-7": "", "/opt/app/part-8/blob-8": File(b"again" * 100)},
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    layers = hostile_layers()
    return page_of(archive_of(tmp_path_factory.mktemp("hostile"), layers), "--top", "500")


def data_of(page: str) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(found)


def paths_of(rows: list[list[Any]]) -> list[str]:
    """The path of each tile, as the names on the way to it."""
    paths = [""]
    for parent, name, *_ in rows[1:]:
        paths.append(paths[parent] + name)
    return paths


def test_a_page_asks_for_nothing_outside_of_it(hostile: str) -> None:
    page = Page(hostile)
    asked = [
        value
        for tag, fields in page.tags
        for name, value in fields.items()
        if name in LOADING and not value.startswith(("#", "data:"))
    ]
    assert asked == []
    assert {tag for tag, _ in page.tags} & {"iframe", "object", "embed", "base", "img"} == set()
    assert [fields["rel"] for tag, fields in page.tags if tag == "link"] == ["icon"]
    (style,) = page.raw["style"]
    assert "@import" not in style and "url(" not in style
    assert "import(" not in page.raw["script"][-1] and "fetch(" not in page.raw["script"][-1]


def test_a_page_forbids_itself_to_ask_and_to_run_anything_else(hostile: str) -> None:
    page = Page(hostile)
    (policy,) = (fields["content"] for _, fields in page.tags if "http-equiv" in fields)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    digests = [hashlib.sha256(text.encode()).digest() for text in page.raw["script"][1:]]
    allowed = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert rules["script-src"].split() == allowed and len(allowed) == 2


def test_names_of_an_image_are_text(hostile: str) -> None:
    page = Page(hostile)
    for name in SHOWN:
        assert name in page.text
    assert [tag for tag, _ in page.tags if tag in ("img", "svg")] == []
    assert [name for _, fields in page.tags for name in fields if name.startswith("on")] == []
    assert len(page.raw["script"]) == 3
    for rows in data_of(hostile)["maps"].values():
        paths = "\n".join(paths_of(rows))
        assert all(name in paths for name in SHOWN)


def test_nothing_of_an_image_can_end_a_script(hostile: str) -> None:
    (data, *_) = Page(hostile).raw["script"]
    assert not set("<>&\n") & set(data)
    assert "\x1b" not in hostile and "\u202e" not in hostile


def test_the_page_of_forty_thousand_paths_is_small() -> None:
    page = big_page()
    assert len(page.encode()) < 3_000_000
    # Not by leaving everything out: what is large is there.
    for rows in data_of(page)["maps"].values():
        assert len(rows) > 1500
        assert any(path.endswith("/srv/data/large.bin") for path in paths_of(rows))


def unpacked(page: str) -> dict[str, tuple[int, str]]:
    """The paths that the search knows, with bytes and letter, read anew."""
    text = zlib.decompress(base64.b64decode(data_of(page)["paths"]["packed"])).decode()
    found: dict[str, tuple[int, str]] = {}
    names: list[str] = []
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-f]+)([nruhx])([0-9a-f]*)/(.*)", line)
        assert match is not None, line
        names = [*names[: int(match[1], 16)], *match[4].split("/")]
        found["/" + "/".join(names)] = (int(match[3] or "0", 16), match[2])
    return found


def test_the_search_knows_every_path(tmp_path: Path) -> None:
    found = unpacked(page_of(archive_of(tmp_path, LAYERS)))
    assert found["/usr/share/doc/x/README"] == (40_000, "n")
    assert found["/root/.cache/pip/http/x"] == (5000, "r")
    assert found["/opt/empty"] == (0, "n")
    assert found["/opt/app/part-7/blob-7"] == (350, "h")
    # A hard link is found at both names, its bytes count once above them.
    assert found["/opt/linked"] == found["/opt/app/part-9/blob-9"] == (450, "n")
    assert found["/opt/once/only"] == (777, "x")
    kept = sum(n * 50 for n in range(1, 60)) + 500 + 777
    assert found["/opt"] == (kept, "x")
    under = unpacked(page_of(archive_of(tmp_path, LAYERS), "--under", "/opt/once"))
    assert set(under) == {"/opt/once/only", "/opt/once/only/this"}


def test_names_of_an_image_are_text_in_the_search_too(hostile: str) -> None:
    found = "\n".join(unpacked(hostile))
    assert all(name in found for name in SHOWN)


def test_of_more_paths_than_a_page_holds_the_largest_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgslim.audit.paths.MAX_PATHS", 7)
    page = page_of(archive_of(tmp_path, LAYERS))
    assert set(unpacked(page)) == {
        "/opt",
        "/opt/app",
        "/usr",
        "/usr/share",
        "/usr/share/doc",
        "/usr/share/doc/x",
        "/usr/share/doc/x/README",
    }
    assert data_of(page)["paths"]["shown"] == 7 < data_of(page)["paths"]["total"]


@pytest.mark.parametrize("arguments", [(), ("--under", "/opt")])
def test_every_map_adds_up_to_the_audit(arguments: tuple[str, ...], tmp_path: Path) -> None:
    archive = archive_of(tmp_path, LAYERS)
    data = data_of(page_of(archive, *arguments))
    document = tmp_path / "audit.json"
    command = ["audit", "-q", str(archive), *arguments, "--format", "json", "-o", str(document)]
    assert run(command) == 0
    sizes = json.loads(document.read_text())["audit"]["sizes"]
    verdicts = ("needed_bytes", "removable_bytes", "undecided_bytes", "hidden_bytes")
    expected = [*(sizes[name] for name in verdicts), sizes["file_count"]]
    assert min(expected[0], expected[1], expected[3]) > 0 or arguments
    for rows in data["maps"].values():
        below: dict[int, list[list[int]]] = defaultdict(list)
        for parent, _, *numbers in rows:
            below[parent].append(numbers[:5])
        assert below[-1] == [expected]
        for index, (_, _, *numbers) in enumerate(rows):
            if index in below:
                assert [sum(column) for column in zip(*below[index], strict=True)][:4] == numbers[
                    :4
                ]
        leaves = [numbers for index, (_, _, *numbers) in enumerate(rows) if index not in below]
        assert sum(sum(numbers[:4]) for numbers in leaves) == sum(expected[:4])


def test_big_maps_add_up_too() -> None:
    for rows in data_of(big_page())["maps"].values():
        parents = {parent for parent, *_ in rows}
        leaves = [row for index, row in enumerate(rows) if index not in parents]
        assert sum(sum(row[2:6]) for row in leaves) == sum(rows[0][2:6])


def test_maps_are_grouped_as_they_say(tmp_path: Path) -> None:
    maps = data_of(page_of(archive_of(tmp_path, LAYERS)))["maps"]
    tops = {by: {name for parent, name, *_ in rows if parent == 0} for by, rows in maps.items()}
    assert {"/opt", "/usr/share/doc/x/README", "/bin/app"} <= tops["dir"]
    assert {name[:6] for name in tops["layer"]} == {"0 RUN ", "1 RUN "}
    assert {"(no package)", "(hidden by later layers)"} == tops["package"]
    assert {"caches and package lists", "docs"} <= tops["kind"]
    # One directory in another that has nothing else is one tile.
    assert "/once/only/this" in {name for _, name, *_ in maps["dir"]}


def test_by_and_top_choose_what_is_seen_first(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, LAYERS)
    page = Page(page_of(archive, "--by", "kind", "--top", "3"))
    (chosen,) = (fields["value"] for _, fields in page.tags if "checked" in fields)
    assert chosen == "kind"
    assert "Largest files" in page.text and "--top N shows them" in page.text


def test_the_layers_are_a_bar(tmp_path: Path) -> None:
    text = page_of(archive_of(tmp_path, LAYERS))
    layers = [fields for _, fields in Page(text).tags if "data-layer" in fields]
    shares = [int(fields["style"].removeprefix("flex-grow:")) for fields in layers]
    assert len(shares) == 2 and sum(shares) == sum(data_of(text)["maps"]["dir"][0][2:6])


ADVICE = Advice(
    AdviceKind.CLEAN,
    "remove <b>the caches</b> in the RUN that fills them",
    "RUN pip install x \\\n\t&& rm -rf /root/.cache # <i>",
    "5 kB of </script> below /root/.cache",
    0,
    "RUN pip install x",
    5000,
    1,
    packages=("deb:curl", "pypi:<i>"),
)


def test_advice_is_shown_with_its_edit(tmp_path: Path) -> None:
    image = make_image(tmp_path, LAYERS)
    audit = audit_of(tmp_path, *LAYERS)
    without = Page(render_audit(image, audit, Dirt((), ())))
    assert "of the Dockerfile, " not in without.text
    page = Page(render_audit(image, replace(audit, advice=(ADVICE, ADVICE)), Dirt((), ())))
    assert ADVICE.title in page.text and ADVICE.reason in page.text and "5.0 kB" in page.text
    assert "2 edits of the Dockerfile, 10.0 kB in all" in page.text and "curl, <i>" in page.text
    assert "RUN pip install x \\\n        && rm -rf /root/.cache # <i>" in page.words


def test_an_image_that_runs_nothing_and_holds_nothing_has_a_page(tmp_path: Path) -> None:
    image = make_image(tmp_path, [{}])
    page = render_audit(image, audit_of(tmp_path, {}), Dirt((), ()))
    assert data_of(page)["maps"]["dir"][0][2:6] == [0, 0, 0, 0]
    assert "nothing is marked as needed" in Page(page).text


def test_without_its_libraries_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    archive = archive_of(tmp_path, LAYERS)
    assert run(["audit", "-q", str(archive), "--format", "html"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert (
        "pip install jinja2 'vl-convert-python<2'" in printed.err and "Traceback" not in printed.err
    )
