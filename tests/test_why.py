"""``imgslim why``: the chain that keeps a path, the reason that left it out, the price."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imgslim.cli.app import run
from imgslim.errors import PathNotFoundError
from imgslim.reports.why import Step, one_line
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.worlds import File, Link, Tree

STATUS = "\n".join(
    f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.0\n"
    for name in ("libx", "more")
)
OWNED = ("/usr/lib/libx.so.1", "/usr/share/doc/libx/README")

TREE: Tree = {
    "/start.sh": File("#!/bin/sh\n\n\nexec main --port 80\n", mode=0o755),
    "/bin": Link("usr/bin"),
    "/usr/bin/sh": Link("dash"),
    "/usr/bin/dash": File(elf(), mode=0o755),
    "/usr/bin/main": File(elf("libx.so.1"), mode=0o755),
    "/usr/bin/x": File(elf("libx-more.so"), mode=0o755),
    "/usr/lib/libx.so.1": File(elf(soname="libx.so.1"), mode=0o755),
    "/usr/lib/libx-more.so": File(elf(soname="libx-more.so", data=b"m" * 5000), mode=0o755),
    "/usr/share/doc/libx/README": "r" * 100,
    "/root/.cache/pip/http/x": "c" * 1000,
    "/srv/.git/HEAD": "ref: refs/heads/main\n",
    "/srv/app.conf": "c",
    "/srv/plugins/a.so": File(elf(), mode=0o755),
    "/srv/__pycache__/m.cpython-311.pyc": "p",
    "/srv/m.py": "",
    "/var/lib/dpkg/status": STATUS,
    "/var/lib/dpkg/info/libx.list": "\n".join(("/usr", "/usr/lib", *OWNED)) + "\n",
    "/var/lib/dpkg/info/more.list": "/usr\n/usr/bin\n/usr/bin/x\n/usr/lib/libx-more.so\n",
}
IMAGE = Made(
    layers=(TREE,),
    config={"Entrypoint": ["/start.sh"], "Env": ["PATH=/usr/bin"]},
    tags=("app:latest",),
)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return str(docker_archive(tmp_path / "app.tar", IMAGE))


ANSWERS: dict[str, tuple[list[str], list[str]]] = {
    "a library, by its chain": (
        ["/usr/lib/libx.so.1"],
        [
            "/usr/lib/libx.so.1 is kept",
            "shared library",
            "deb:libx",
            "entrypoint",
            "/start.sh",
            "→ main → libx.so.1",
        ],
    ),
    "through links": (["/bin/sh"], ["/usr/bin/dash is kept", "/bin/sh"]),
    "the user's file": (["/srv/app.conf"], ["/srv/app.conf is kept", "no package"]),
    "what nothing reaches": (
        ["/usr/lib/libx-more.so"],
        [
            "/usr/lib/libx-more.so is left out",
            "nothing that the image runs reaches it",
            "deb:more",
            "nothing",
            "--keep /usr/lib/libx-more.so costs",
        ],
    ),
    "a cache": (["/root/.cache/pip/http/x"], ["is left out", "cache", "costs 1.0 kB"]),
    "version control": (["/srv/.git/HEAD"], ["is left out", "version control data (git)"]),
    "documentation": (["/usr/share/doc/libx/README"], ["is left out", "for people", "1 file, "]),
    "what the user drops": (
        ["/srv/app.conf", "--drop", "/srv/*.conf"],
        ["is left out", "--drop /srv/*.conf"],
    ),
    "what the user keeps": (
        ["/usr/share/doc/libx/README", "--keep", "deb:libx"],
        ["is kept", "kept by --keep deb:libx"],
    ),
    "a directory": (["/usr/lib"], ["/usr/lib: 1 of 2 files kept", "shared library", "deb:more"]),
    "a glob": (["/srv/**/*.so"], ["/srv/plugins/a.so is kept"]),
    "a glob of several": (["/usr/lib/*"], ["/usr/lib/*: 1 of 2 files kept", "costs"]),
    "a package": (["deb:libx"], ["deb:libx: 1 of 2 files kept", "--keep deb:libx costs"]),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_why_answers_in_both_directions(
    case: str, archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = ANSWERS[case]
    assert run(["why", archive, *arguments]) == 0
    shown = capsys.readouterr().out
    for word in words:
        assert word in shown, shown


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/usr/lib/libx.so.2", "/usr/lib/libx.so.1"),
        ("/lib/libx.so.1", "/usr/lib/libx.so.1"),
        ("deb:libxx", "deb:libx"),
        ("/none/*", "check"),
    ],
)
def test_what_is_not_in_the_image_is_one_line_with_near_names(
    path: str, near: str, archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["why", archive, path]) == PathNotFoundError.exit_code == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    error, hint = shown.err.splitlines()
    assert error == f"imgslim: error: {path} is not in the image"
    assert near in hint


def test_the_price_of_keeping_counts_what_comes_along(
    archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def why(path: str) -> dict[str, object]:
        assert run(["why", archive, path, "--format", "json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["version"], document["kind"]) == (1, "why")
        answer: dict[str, object] = document["why"]
        return answer

    program, library = why("/usr/bin/x"), why("/usr/lib/libx-more.so")
    assert program["verdict"] == library["verdict"] == "left out"
    sizes = (program["size_bytes"], library["size_bytes"])
    assert all(isinstance(size, int) for size in sizes)
    paragraph = library["keep_cost_bytes"] - sizes[1]  # type: ignore[operator]
    assert 0 < paragraph < 100  # the package's, in dpkg's status
    assert program["keep_cost_bytes"] == sizes[0] + sizes[1] + paragraph  # type: ignore[operator]
    assert why("/usr/lib/libx.so.1")["verdict"] == "kept"
    summary = why("deb:libx")
    assert summary["verdict"] == "summary"
    assert summary["kept_units"] and summary["dropped_units"]


def test_a_link_that_is_left_out_is_the_answer_for_a_way_through_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = {**TREE, "/usr/bin/x-link": Link("main")}
    listed = "\n".join(("/usr", "/usr/bin", *OWNED, "/usr/bin/x-link")) + "\n"
    tree["/var/lib/dpkg/info/libx.list"] = listed
    image = Made(layers=(tree,), config=IMAGE.config, tags=IMAGE.tags)
    archive = str(docker_archive(tmp_path / "linked.tar", image))
    assert run(["why", archive, "/usr/bin/x-link"]) == 0
    shown = capsys.readouterr().out
    assert "/usr/bin/x-link is left out" in shown and "a link to main" in shown


def test_a_chain_on_one_line_has_lines_and_short_names() -> None:
    steps = (
        Step("<entrypoint>", "/start.sh"),
        Step("/start.sh", "programs that run", 7),
        Step("/venv/bin/gunicorn", "programs that run"),
        Step("/bin", "programs that run", 0, "usr/bin"),
        Step("/venv/lib/flask/__init__.py", "distribution flask 3"),
        Step("/lib/libc.so.6", "shared library"),
    )
    assert one_line(steps) == "/start.sh line 7 → gunicorn → flask → libc.so.6"
    assert one_line(steps[:2]) == ""
