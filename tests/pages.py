"""Images whose audits are shown as pages: one of the size that people complain about, with names
that would run if a page took them for more than text."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path

from imgslim.cli.app import run
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.worlds import File, Tree, tar_bytes

HOSTILE = (
    "</script><img src=x onerror=ran()>",
    "<!--<script>",
    "'\"><svg onload=ran()>",
    "two\nlines\tand\x1b[31m",
    "{{ 7*7 }}${ran()}&lt;b&gt;",
    "\udcff\udcfe not utf-8",
    "\u202egpj.exe",
)
"""Parts of paths."""

SHOWN = (
    "</script><img src=x onerror=ran()>",
    "<!--<script>",
    "'\"><svg onload=ran()>",
    "two\\x0alines\\x09and\\x1b[31m",
    "{{ 7*7 }}${ran()}&lt;b&gt;",
    "\\xff\\xfe not utf-8",
    "\\u202egpj.exe",
)
"""What a page shows in their place."""

PATHS = 40_000


def hostile_layers() -> list[Tree]:
    """Files and directories with HOSTILE names, some of them hidden by the second layer."""
    # "/" ends a name: what has one in it is a directory, too.
    names = {f"/srv/{name}/{name}": File(b"h" * 30_000) for name in HOSTILE}
    gone = {f"/opt/gone/{name}/f": File(b"g" * 4000) for name in HOSTILE}
    return [{"/bin/app": File(elf(), mode=0o755), **names, **gone}, {"/opt/.wh.gone": ""}]


def big_layers() -> list[Tree]:
    """PATHS files: packages' caches and docs, which are removable, and the user's; of every size,
    below directories of every depth."""
    first: dict[str, File] = {"/bin/app": File(elf(), mode=0o755)}
    for number in range(PATHS // 2):
        place = f"/usr/share/doc/package-{number % 700}/part-{number % 7}/README-{number}.ärz"
        first[place] = File(bytes(number % 97 * 8))
        cache = f"/root/.cache/pip/http/{number % 16:x}/{number % 256:x}/entry-{number:040x}"
        first[cache] = File(bytes(number % 89 * 9))
    second: dict[str, File] = {"/srv/data/large.bin": File(bytes(900_000))}
    for number in range(300):
        second[f"/srv/app/module_{number % 20}/{number}.dat"] = File(bytes(number * 30))
    return [first, second]


def archive_of(folder: Path, layers: list[Tree], name: str = "app:1") -> Path:
    """A saved image that runs /bin/app."""
    history = [{"created_by": f"RUN make {HOSTILE[0]}"} for _ in layers]
    tars = [tar_bytes(layer) for layer in layers]
    made = Made(tars, {"Entrypoint": ["/bin/app"]}, [name], history=history)
    return docker_archive(folder / "image.tar", made)


def page_of(archive: Path, *arguments: str) -> str:
    """What ``imgslim audit --format html`` writes of it, without an engine."""
    page = archive.with_suffix(".html")
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = f"unix://{archive}.sock"
    try:
        command = ["audit", "-q", str(archive), "--format", "html", *arguments]
        assert run([*command, "-o", str(page), "--force"]) == 0
    finally:
        os.environ.pop("DOCKER_HOST")
        os.environ.update({"DOCKER_HOST": before} if before is not None else {})
    return page.read_text("utf-8")


@functools.cache
def big_page() -> str:
    """The page of the image of ``big_layers``."""
    with tempfile.TemporaryDirectory() as folder:
        return page_of(archive_of(Path(folder), big_layers()))


class Page(HTMLParser):
    """The elements of a page as a browser's parser sees them: ``tags`` with their attributes, the
    text of scripts and styles, and all ``words`` between tags."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag in self.raw:
            self._inside = tag
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside][-1] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))
