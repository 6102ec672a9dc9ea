"""The main job on real images: build fat, rewrite, build slim, run both, compare.

Each fixture is built, saved and analysed once a session. A route's need is taken away from the
slim image's own tree, which a test here shows to equal the plan.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.build import (
    Fixture,
    Route,
    build_arguments,
    build_fixture,
    chosen_fixtures,
    import_changes,
    is_full_set,
)
from imgslim.archive import Settings, write_archive
from imgslim.choices import Choices, Level
from imgslim.dockerfile.source import load_source
from imgslim.globs import glob_regex
from imgslim.model import Plan, unique_size_bytes
from imgslim.pipeline import Analysis, analyze, expect, rewrite, verify
from imgslim.provenance_labels import BASE_DIGEST, BASE_NAME
from tests import engines
from tests.containers import (
    NO_ANSWER,
    Answer,
    answers,
    created,
    hide,
    run_to_the_end,
    started,
    writable_layer,
)

pytestmark = pytest.mark.engine

FIXTURES = {fixture.name: fixture for fixture in chosen_fixtures()}
ROUTES = [
    pytest.param(fixture.name, route, id=f"{fixture.name}-{route.name}")
    for fixture in FIXTURES.values()
    for route in fixture.routes
    if not fixture.squashed
]
NOT_SQUASHED = [name for name, fixture in FIXTURES.items() if not fixture.squashed]
"""Those that their Dockerfile makes by itself."""
BEHIND_SOURCE = [
    name for name in NOT_SQUASHED if is_full_set() or name in ("go-static", "python-gunicorn")
]
"""Those whose slim stage is also built behind their Dockerfile, which builds all of it again."""
ARCHIVED = [
    pytest.param(name, level, id=f"{name}-{level.value}")
    for name in NOT_SQUASHED
    for level in (Level.SAFE, Level.TIGHT)
    if level is Level.TIGHT or name not in BEHIND_SOURCE
]
LIMITS_MB = {"python-gunicorn": 100, "python-debian-venv": 110}
LIMITED = [
    name
    for name, fixture in FIXTURES.items()
    if name.startswith("go-") or fixture.folder.name in LIMITS_MB
]
MB = 1_000_000


@dataclass(frozen=True)
class Case:
    """One fixture, from the fat image to the slim one."""

    fixture: Fixture
    fat_tag: str
    slim_tag: str
    archive: Path
    analysis: Analysis
    fat_answers: dict[str, Answer]

    @property
    def plan(self) -> Plan:
        return self.analysis.plan


class Cases:
    """Cases by fixture, made when asked for. One is there at a time: an image fills a disk quickly,
    and the tests go fixture by fixture (conftest.py)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._case: Case | None = None
        self._without: dict[str, tuple[Sequence[str], Answer]] = {}

    def get(self, name: str) -> Case:
        if self._case is None or self._case.fixture.name != name:
            self.close()
            self._case = self._make(FIXTURES[name])
        return self._case

    def close(self) -> None:
        self._case, self._without = None, {}
        self._stack.close()

    def without(self, name: str) -> dict[str, tuple[Sequence[str], Answer]]:
        """For each route, what of the slim image was taken away and what it answered then: all
        at once, for starting a container is mostly waiting."""
        case = self.get(name)
        if not self._without:
            routes = case.fixture.routes
            with ThreadPoolExecutor(2) as pool:
                found = pool.map(lambda route: answer_without(case, route), routes)
                self._without = dict(zip([r.name for r in routes], found, strict=True))
        return self._without

    def _make(self, fixture: Fixture) -> Case:
        fat_tag = build_fixture(fixture)
        archive = self._folder / f"{fixture.name}.tar"
        self._stack.callback(archive.unlink, missing_ok=True)
        engines.docker("save", f"--output={archive}", fat_tag)
        analysis = self._stack.enter_context(
            analyze(f"docker-archive:{archive}", also_run=fixture.also_run)
        )
        slim_tag = f"imgslim-slim-{fixture.name}:{os.getpid()}"
        self._stack.callback(engines.remove_image, slim_tag)
        engines.build("docker", rewrite(analysis), slim_tag)
        return Case(fixture, fat_tag, slim_tag, archive, analysis, answers(fat_tag, fixture))


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    with closing(Cases(tmp_path_factory.mktemp("fixtures"))) as made:
        yield made


# A parameter of its own, so that the tests can be ordered by it.
@pytest.fixture(params=list(FIXTURES))
def case(request: pytest.FixtureRequest, cases: Cases) -> Case:
    return cases.get(request.param)


def differences(expected: engines.Nodes, found: engines.Nodes) -> list[str]:
    """Paths that differ, the engine's own left out, with what was expected and found."""
    return [
        f"{path}: expected {expected.get(path)}, found {found.get(path)}"
        for path in sorted(expected.keys() | found.keys())
        if expected.get(path) != found.get(path) and path not in engines.ENGINE_PATHS
    ]


def test_the_merged_view_equals_the_engines_own(case: Case) -> None:
    merged = engines.nodes_of(case.analysis.world.rootfs.entries.values())
    assert differences(merged, engines.exported_tree(case.fat_tag)) == []


def test_the_slim_image_equals_the_plan(case: Case) -> None:
    planned = engines.planned_nodes(case.plan.keeps)
    assert differences(planned, engines.exported_tree(case.slim_tag)) == []


def test_the_slim_image_is_configured_as_the_fat_one(case: Case) -> None:
    fat, slim = (_runtime_config(tag) for tag in (case.fat_tag, case.slim_tag))
    assert slim == fat


def _runtime_config(tag: str) -> dict[str, object]:
    """The config without what only describes the build that made it, and the slim image's labels
    of where it comes from."""
    config = engines.image_config(tag)
    labels = {
        k: v for k, v in (config["Labels"] or {}).items() if k not in (BASE_NAME, BASE_DIGEST)
    }
    config |= {"Labels": labels or None}
    return {key: value for key, value in config.items() if key not in ("Image", "Hostname")}


def test_every_route_answers_as_on_the_fat_image(case: Case) -> None:
    for route in case.fixture.routes:
        expected = {200, 201} if route.path else {0}
        assert case.fat_answers[route.name].status in expected, route.name
    assert differing(answers(case.slim_tag, case.fixture), case.fat_answers) == {}


def differing(
    found: dict[str, Answer], expected: dict[str, Answer]
) -> dict[str, tuple[Answer, Answer]]:
    """The routes that answer otherwise than expected: what they say, what they should."""
    return {
        name: (found[name], answer) for name, answer in expected.items() if found[name] != answer
    }


@pytest.mark.parametrize("case", BEHIND_SOURCE, indirect=True)
def test_every_route_answers_at_safe_built_behind_the_users_own_dockerfile(
    case: Case, tmp_path: Path
) -> None:
    target = tmp_path / "Dockerfile"
    source = load_source(str(case.fixture.folder / "Dockerfile"))
    with at_level(case, Level.SAFE) as analysis:
        target.write_text(rewrite(analysis, source), encoding="utf-8")
    with removed_afterwards(f"imgslim-safe-{case.fixture.name}:{os.getpid()}") as tag:
        engines.build_in(case.fixture.folder, target, tag, build_arguments(case.fixture))
        assert differing(answers(tag, case.fixture), case.fat_answers) == {}


@pytest.mark.parametrize(("case", "level"), ARCHIVED, indirect=["case"])
def test_every_route_answers_loaded_from_an_archive(
    case: Case, level: Level, tmp_path: Path
) -> None:
    target = tmp_path / "slim.tar"
    with removed_afterwards(f"imgslim-{level.value}-{case.fixture.name}:{os.getpid()}") as tag:
        with at_level(case, level) as analysis:
            with target.open("wb") as file:
                write_archive(file, analysis.image, analysis.world, analysis.plan, Settings(tag))
            expected = expect(analysis)
        engines.docker("load", "--quiet", "--input", str(target))
        target.unlink()
        assert verify(f"docker-daemon:{tag}", expected)[1].differences == ()
        assert differing(answers(tag, case.fixture), case.fat_answers) == {}


@contextmanager
def at_level(case: Case, level: Level) -> Iterator[Analysis]:
    location = f"docker-archive:{case.archive}"
    with analyze(location, Choices(level=level), also_run=case.fixture.also_run) as analysis:
        yield analysis


@contextmanager
def removed_afterwards(tag: str) -> Iterator[str]:
    try:
        yield tag
    finally:
        engines.remove_image(tag)


def test_the_predicted_size_is_the_measured_one(case: Case) -> None:
    measured = engines.layers_size_bytes(case.slim_tag)
    assert abs(case.plan.slim_size_bytes - measured) <= 0.02 * measured


@pytest.mark.parametrize("case", LIMITED, indirect=True)
def test_the_slim_image_is_small(case: Case) -> None:
    name = case.fixture.name
    keeps = [keep.entry for keep in case.plan.keeps]
    if name.startswith("go-"):
        by_path = {entry.path: entry for entry in keeps}
        program = max(keeps, key=lambda entry: entry.size_bytes).path
        libraries = [entry for entry in keeps if ".so" in entry.path.rpartition("/")[2]]
        native = unique_size_bytes([by_path[program], *libraries])
        limit = native + (8 if name == "go-gin" else 3) * MB
    else:
        limit = LIMITS_MB[case.fixture.folder.name] * MB
    assert case.plan.slim_size_bytes <= limit


@pytest.mark.parametrize(("case", "route"), ROUTES, indirect=["case"])
def test_a_route_fails_without_the_need_that_it_covers(
    case: Case, route: Route, cases: Cases
) -> None:
    removed, answer = cases.without(case.fixture.name)[route.name]
    assert removed, f"none of {route.needs} is in the slim image"
    assert answer != case.fat_answers[route.name]


def answer_without(case: Case, route: Route) -> tuple[Sequence[str], Answer]:
    """The paths of the slim image that ``route`` says it needs, and its answer without them."""
    fixture = case.fixture
    matches = [re.compile(glob_regex(need.lstrip("/"))).fullmatch for need in route.needs]
    entries = {keep.entry.path: keep.entry for keep in case.plan.keeps}
    removed = [path for path in entries if any(match(path.lstrip("/")) for match in matches)]
    if not removed:
        return (), NO_ANSWER
    with created(case.slim_tag, route, fixture.options) as container:
        if layer := writable_layer(container, removed):
            hide(layer, removed, entries)
            return removed, answer_of(container, fixture, route)
        with (
            imported_without(case, removed) as tag,
            created(tag, route, fixture.options) as copy,
        ):
            return removed, answer_of(copy, fixture, route)


def answer_of(container: str, fixture: Fixture, route: Route) -> Answer:
    """Start the container and ask it ``route`` alone."""
    if not fixture.port:
        return run_to_the_end(container, route)
    server = started(container, fixture.port)
    return server.ask(route) if server else NO_ANSWER


@contextmanager
def imported_without(case: Case, removed: Sequence[str]) -> Iterator[str]:
    """The slim image without ``removed``, made the slow way, until the block ends: its tag."""
    tag = f"imgslim-without-{case.fixture.name}:{os.getpid()}-{threading.get_ident()}"
    try:
        import_without(case.slim_tag, [path.lstrip("/") for path in removed], tag)
        yield tag
    finally:
        engines.remove_image(tag)


def import_without(tag: str, removed: Sequence[str], new_tag: str) -> None:
    """Make ``new_tag``: the image ``tag`` without those paths and what lies below them."""
    container = engines.docker("create", tag, "/never-run").decode().strip()
    below = tuple(f"{path}/" for path in removed)
    try:
        export = subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE)
        # What an import cannot set changes no answer.
        config = engines.image_config(tag) | {"StopSignal": None, "Shell": None, "OnBuild": None}
        changes = [f"--change={line}" for line in import_changes(config)]
        importing = subprocess.Popen(
            ["docker", "import", *changes, "-", new_tag],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        with (
            tarfile.open(fileobj=export.stdout, mode="r|") as source,
            tarfile.open(fileobj=importing.stdin, mode="w|", format=tarfile.PAX_FORMAT) as target,
        ):
            for member in source:
                name = member.name.rstrip("/")
                if name not in removed and not name.startswith(below):
                    target.addfile(member, source.extractfile(member) if member.isreg() else None)
        assert importing.stdin is not None
        importing.stdin.close()
        assert (export.wait(), importing.wait()) == (0, 0)
    finally:
        engines.docker("rm", "--force", "--volumes", container)


# Those without a HEALTHCHECK: skopeo drops it, for the OCI config has no such field.
@pytest.mark.parametrize("case", ["servers-bastion", "shell-busybox"], indirect=True)
def test_every_source_of_an_image_gives_the_same_plan(case: Case, tmp_path: Path) -> None:
    layout = f"oci:{tmp_path}/layout:latest"
    engines.command("skopeo", "copy", "--quiet", f"docker-daemon:{case.fat_tag}", layout)
    for location in (f"docker-daemon:{case.fat_tag}", layout):
        with analyze(location, also_run=case.fixture.also_run) as analysis:
            assert analysis.plan == case.plan
            assert analysis.image.config == case.analysis.image.config


@pytest.mark.parametrize("case", ["go-static"], indirect=True)
@pytest.mark.parametrize("builder", ["buildah", "buildkit"])
def test_other_builders_make_the_same_image(builder: str, case: Case) -> None:
    engines.require_builder(builder)
    tag = f"imgslim-slim-go-static-{builder}:{os.getpid()}"
    engines.build(builder, rewrite(case.analysis), tag, [case.fat_tag])
    try:
        planned = engines.planned_nodes(case.plan.keeps)
        built = engines.exported_tree(tag)
        if builder == "buildkit":
            planned, built = map(engines.without_directory_times, (planned, built))
        assert differences(planned, built) == []
        assert answers(tag, case.fixture) == case.fat_answers
    finally:
        engines.remove_image(tag)


def test_the_text_is_the_same_on_every_run(case: Case) -> None:
    location = f"docker-archive:{case.archive}"
    with analyze(location, also_run=case.fixture.also_run) as again:
        assert rewrite(again) == rewrite(case.analysis)
