"""The audit's page in a real browser, used as people do: with a mouse, with keys, on a phone, in
the dark."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from imgslim.paths import above
from tests.pages import (
    HOSTILE,
    PATHS,
    SHOWN,
    archive_of,
    big_layers,
    big_page,
    hostile_layers,
    page_of,
)
from tests.worlds import File

pytestmark = pytest.mark.browser

DESKTOP = (1280, 900)
PHONE = (375, 700)
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}

WATCH = """
window.timings = [];
new PerformanceObserver((list) => window.timings.push(...list.getEntries().map((one) => [
  one.name, one.duration, one.processingEnd - one.processingStart,
]))).observe({ type: "event", durationThreshold: 16 });
"""
"""What a browser itself measures from an input to the next picture: W3C Event Timing, in steps of
8 ms, and what of it the page's own code took."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


class Shown:
    """A page in a browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", **metrics, mobile=size == PHONE)
        self.scheme(scheme)
        self.driver.get(page.as_uri())
        self.wait(lambda: self.js("return document.body.dataset.ready"))
        self.wait(lambda: self.js("return document.body.dataset.paths"))

    def scheme(self, name: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def call(self, command: str, **parameters: Any) -> None:
        self.driver.execute_cdp_cmd(command, parameters)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, until: Callable[[], Any]) -> None:
        WebDriverWait(self.driver, 20, 0.05).until(lambda _: until())

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def tiles(self) -> dict[str, str]:
        """The path of each tile that holds no others, and its bytes in words."""
        labels = self.js(
            "return [...document.querySelectorAll('.leaves-of-map path')]"
            ".map((tile) => tile.getAttribute('aria-label'))"
        )
        return dict(label.rsplit(", ", 1) for label in labels)

    def colours(self, selector: str, name: str) -> list[str]:
        """The computed value of a style ``name`` of all elements."""
        each = "return [...document.querySelectorAll(arguments[0])]"
        return list(
            self.js(f"{each}.map((one) => getComputedStyle(one)[arguments[1]])", selector, name)
        )

    def place(self) -> str:
        """What the map shows, as the way there says."""
        return str(self.js("return document.querySelector('#crumbs [aria-current]').textContent"))

    def depth(self) -> int:
        return len(self.all("#crumbs button"))

    def tile(self, path: str, kind: str = "leaves") -> WebElement:
        """The tile of ``path``; of ``kind`` "frames": one with others in it."""
        wanted = "return [...document.querySelectorAll(arguments[0])].find((tile) => "
        wanted += "tile.getAttribute('aria-label').startsWith(arguments[1]))"
        found = self.js(wanted, f".{kind}-of-map path", f"{path}, ")
        assert isinstance(found, WebElement), f"no tile {path}"
        return found

    def click(self, target: WebElement) -> None:
        """With a mouse, in the middle; of a frame on its heading."""
        self.js("arguments[0].scrollIntoView({block: 'center'})", target)
        ActionChains(self.driver).move_to_element(target).click().perform()

    def press(self, *keys: str) -> None:
        self.js("document.getElementById('map').focus()")
        ActionChains(self.driver).send_keys(*keys).perform()

    def group(self, by: str) -> None:
        self.find(f"#by input[value={by}] + span").click()

    def search(self, words: str) -> list[str]:
        box = self.find("#search")
        box.send_keys(Keys.CONTROL + "a")
        box.send_keys(Keys.DELETE, words)
        found = self.all("#results button")
        return [button.text for button in found if button.is_displayed()]

    def is_wider_than_its_window(self) -> bool:
        # Not innerWidth: of a page that is too wide, a phone's window shows more, and smaller.
        shown, its_own = self.js(
            "return ['scrollWidth', 'clientWidth'].map((name) => document.documentElement[name])"
        )
        return int(shown) > int(its_own)


@pytest.fixture
def shown(chromium: webdriver.Chrome) -> Iterator[Shown]:
    """A browser; at the end, nothing was reported as wrong and nothing was asked for."""
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    yield Shown(chromium)
    assert chromium.get_log("browser") == []
    sent = [row["message"] for row in chromium.get_log("performance")]
    urls = re.findall(r'"url":"([^"]*)"', "".join(row for row in sent if "willBeSent" in row))
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("big") / "page.html"
    page.write_text(big_page(), "utf-8")
    return page


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = archive_of(tmp_path_factory.mktemp("hostile"), hostile_layers())
    page_of(archive)
    return archive.with_suffix(".html")


def test_the_elements_are_there(shown: Shown, big: Path) -> None:
    shown.open(big)
    assert len(shown.all(".layers button")) == 2
    assert {row.text.split()[0] for row in shown.all(".legend li")} == {"needed", "removable"}
    assert len(shown.all("#by input")) == 4 and shown.find("#search").is_displayed()
    assert 30 < len(shown.tiles()) <= 201
    assert len(set(shown.colours(".leaves-of-map path", "fill"))) == 2
    assert len(shown.all("section.table table")) >= 4


@pytest.mark.parametrize("by", ["dir", "layer", "package", "kind"])
def test_every_grouping_draws_the_whole(by: str, shown: Shown, big: Path) -> None:
    shown.open(big)
    shown.group(by)
    shown.wait(lambda: "100.0 % of all" in shown.find("#details").text)
    said = re.search(r"/ ([\d.]+ \wB),", shown.find("#details").text)
    assert said is not None
    # Each tile's bytes are rounded to four digits or so; what is left out would be more.
    assert sum(map(bytes_of, shown.tiles().values())) == pytest.approx(bytes_of(said[1]), rel=0.005)
    first = {"dir": "/", "layer": "0 RUN make", "package": "(no package)", "kind": "docs"}
    frames = shown.js(
        "return [...document.querySelectorAll('.frames-of-map path')]"
        ".map((tile) => tile.getAttribute('aria-label'))"
    )
    assert any(first[by] in label for label in frames)


def bytes_of(words: str) -> float:
    number, unit = words.split()
    return float(number) * UNITS[unit]


def test_a_mouse_goes_in_and_out(shown: Shown, big: Path) -> None:
    shown.open(big)
    assert shown.place() == "/" and shown.depth() == 1
    before = shown.tiles()
    largest = max(before, key=lambda path: bytes_of(before[path]))
    shown.click(shown.tile(largest))
    assert shown.depth() > 1
    inside = shown.tiles()
    assert inside != before and len(inside) > 1
    shown.find("#crumbs button").click()
    assert shown.place() == "/" and shown.tiles() == before


def test_keys_go_in_and_out(shown: Shown, big: Path) -> None:
    shown.open(big)
    before = shown.tiles()
    shown.press(Keys.ARROW_DOWN)
    chosen = shown.find("#details b").text
    assert chosen != "/"
    shown.press(Keys.ENTER)
    first = shown.depth()
    assert first > 1 and chosen.endswith(shown.place())
    shown.press(Keys.ARROW_DOWN)
    below = shown.find("#details b").text
    assert below != chosen
    shown.press(Keys.ARROW_RIGHT)
    assert shown.find("#details b").text not in (below, chosen)
    shown.press(Keys.ESCAPE)
    assert shown.depth() == first - 1
    shown.press(Keys.ENTER)
    assert shown.depth() > 1
    shown.press(Keys.HOME)
    assert shown.depth() == 1 and shown.tiles() == before


def test_all_is_reached_with_the_tab_key(shown: Shown, big: Path) -> None:
    shown.open(big)
    reached = []
    for _ in range(7):
        ActionChains(shown.driver).send_keys(Keys.TAB).perform()
        reached.append(
            shown.js("const one = document.activeElement; return one.id || one.className")
        )
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        assert reached[-1] == "" or shown.js(outline) == "solid"
    assert [name for name in reached if name] == ["skip", "layer", "layer", "search", "map"]


def test_search_finds_a_path_and_shows_it(shown: Shown, big: Path) -> None:
    shown.open(big)
    assert shown.search("no such thing") == []
    assert "nothing found" in shown.find("#results").text
    (found,) = shown.search("LARGE.bin")
    assert found.split("\n") == ["/srv/data/large.bin", "900.0 kB"]
    opacities = shown.colours(".leaves-of-map path", "opacity")
    assert 1 <= opacities.count("1") < 5 < opacities.count("0.25")
    shown.find("#results button").click()
    assert shown.find("#details b").text == "/srv/data/large.bin"
    assert "/srv/data/large.bin" in shown.tiles()
    assert shown.search("") == [] and not shown.find("#results").is_displayed()


ALL_PATHS = """
const done = arguments[0];
const { packed } = JSON.parse(document.getElementById("data").textContent).paths;
const fields = ({ path, size, verdict }) => [path, size, verdict];
unpackPaths(packed).then((rows) => done(rows.map(fields)));
"""


def test_every_path_is_found_with_its_bytes(shown: Shown, big: Path) -> None:
    shown.open(big)
    files = {path: file for layer in big_layers() for path, file in layer.items()}
    found = {row[0]: row[1:] for row in shown.driver.execute_async_script(ALL_PATHS)}
    sizes = {path: len(file.content) for path, file in files.items() if isinstance(file, File)}
    assert {path: found[path][0] for path in sizes} == sizes
    directories = set(found) - set(sizes)
    assert directories == {place for path in files for place in above(path)} - {"/"}
    assert {found[path][1] for path in sizes} == {"needed", "removable"}


def test_search_leads_to_a_file_without_a_tile(shown: Shown, big: Path) -> None:
    shown.open(big)
    path = "/usr/share/doc/package-97/part-6/README-97.ärz"
    shown.group("layer")
    (found,) = shown.search("readme-97.ÄRZ")
    assert found.split("\n") == [path, "0 B, needed"]
    shown.find("#results button").click()
    assert shown.find("#details b").text == path
    assert "without a tile of its own" in shown.find("#details").text
    assert shown.find("#by input[value=dir]").is_selected() and shown.depth() > 1
    shown.press(Keys.ARROW_DOWN)
    shown.press(Keys.HOME)
    assert shown.place() == "/"
    # What is bright is the tile that has it.
    shown.search("README-97.ärz")
    assert 1 <= shown.colours(".leaves-of-map path", "opacity").count("1") < 5


def test_search_finds_what_later_layers_hide(shown: Shown, hostile: Path) -> None:
    shown.open(hostile)
    assert len([row for row in shown.search("/f") if "/opt/gone/" in row]) == len(HOSTILE)


def test_a_browser_that_cannot_unpack_says_what_is_missing(shown: Shown, big: Path) -> None:
    without = {"source": "delete window.DecompressionStream"}
    run = shown.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", without)
    try:
        shown.open(big)
        assert shown.search("README-97.ärz") == []
        assert "only what has a tile is found" in shown.find("#results").text
        assert len(shown.search("large.bin")) == 1
    finally:
        shown.call("Page.removeScriptToEvaluateOnNewDocument", identifier=run["identifier"])


def test_search_leads_to_the_grouping_that_has_the_name(shown: Shown, big: Path) -> None:
    shown.open(big)
    assert shown.search("CACHES and") == ["group by kind\n1 found"]
    shown.find("#results button").click()
    assert shown.find("#by input[value=kind]").is_selected()
    (found,) = (button.text for button in shown.all("#results button"))
    assert found.startswith("caches and package lists")


def test_a_layer_of_the_bar_opens_the_map_there(shown: Shown, big: Path) -> None:
    shown.open(big)
    shown.all(".layers button")[1].click()
    assert shown.place().startswith("1 RUN make")
    assert shown.find("#by input[value=layer]").is_selected()


def test_a_phone_has_no_need_to_scroll_sideways(
    shown: Shown, big: Path, hostile: Path, tmp_path: Path
) -> None:
    many = [{f"/srv/{n}": File(bytes(1000 + n))} for n in range(120)]
    archive = archive_of(tmp_path, [{"/bin/app": File(b"x", mode=0o755)}, *many])
    page_of(archive)
    for page in (big, hostile, archive.with_suffix(".html")):
        shown.open(page, PHONE)
        assert not shown.is_wider_than_its_window()
        shown.group("layer")
        shown.search("r")
        assert not shown.is_wider_than_its_window()
        assert shown.find("#map").rect["width"] > 330
    for control in ("#search", "#by label", "#map"):
        assert shown.find(control).rect["height"] >= 32


def test_in_the_dark_the_page_is_dark(shown: Shown, big: Path) -> None:
    colours = []
    shown.open(big, scheme="light")
    for scheme in ("light", "dark"):
        shown.scheme(scheme)
        ground = shown.js("return getComputedStyle(document.body).backgroundColor")
        ink = shown.js("return getComputedStyle(document.body).color")
        (tile, *_) = shown.colours(".leaves-of-map path", "fill")
        (name, *_) = shown.colours(".leaf-names text", "fill")
        colours.append([brightness(one) for one in (ground, ink, tile, name)])
    (ground, ink, tile, name), (dark_ground, dark_ink, dark_tile, dark_name) = colours
    assert ground > 0.8 > 0.3 > ink and dark_ground < 0.2 < 0.7 < dark_ink
    # Names on tiles: at least 4.5 to 1 (WCAG 2.2, 1.4.3).
    assert contrast(tile, name) > 4.5 and contrast(dark_tile, dark_name) > 4.5


def brightness(colour: str) -> float:
    """The relative luminance of "rgb(1, 2, 3)" (WCAG 2.2)."""
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_names_that_are_code_do_not_run(shown: Shown, hostile: Path) -> None:
    shown.open(hostile)
    shown.js("window.ran = () => { window.hasRun = true; }")
    for by in ("layer", "package", "kind", "dir"):
        shown.group(by)
        assert len(shown.search(HOSTILE[0])) > 0
    shown.search("")
    labels = " ".join(shown.tiles())
    frames = " ".join(text.text for text in shown.all("section.table td"))
    for name in SHOWN:
        assert name in labels or name.replace("/", "") in labels
        assert name in frames
    assert shown.js("return [window.hasRun ?? false, document.images.length]") == [False, 0]


def test_how_long_a_click_takes(
    shown: Shown, big: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told, not judged: the machine decides."""
    shown.open(big)
    shown.js(WATCH)
    for by in ("dir", "layer", "package", "kind"):
        shown.group(by)
        before = shown.tiles()
        shown.click(shown.tile(max(before, key=lambda path: bytes_of(before[path]))))
        assert shown.depth() > 1
        shown.press(Keys.HOME)
    clicks = [row for row in shown.js("return window.timings") if row[0] == "click"]
    pictures = sorted(max(16, row[1]) for row in clicks) or [16]
    script = max((row[2] for row in clicks), default=0)
    with capsys.disabled():
        print(f"\n{PATHS:,} paths, a page of {big.stat().st_size:,} bytes: from a click to the")
        print(f"picture that answers it {pictures[0]:.0f} to {pictures[-1]:.0f} ms", end=", ")
        print(f"at most {script:.0f} ms of them in the page's own code")
