"""``imgslim verify``: a slim image against its plan. Each way to break one is found and named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgslim.cli.app import run
from imgslim.dockerfile import dockerfile_problems
from imgslim.layers import load_layers
from imgslim.model import Group, Healthcheck, ImageConfig, Keep, Plan, Platform, Problem, Severity
from imgslim.rootfs import Rootfs
from imgslim.verify import Verification, verify_image
from imgslim.verify.allowed import RULES, foreseen
from imgslim.verify.config import compare_configs, compare_platforms
from imgslim.verify.digests import digests_of_keeps
from imgslim.verify.expected import Expected, expected_of, on_base
from imgslim.verify.planfile import parse_plan
from tests.archives import Made, docker25_archive, docker_archive, oci_archive, oci_layout
from tests.elves import elf
from tests.test_copyplan import TOOLS
from tests.worlds import Dir, File, Link, Member, Special, Tree, make_image

CAPABILITY = bytes.fromhex("0100000202040000000000000000000000000000")
CAPABLE = (("security.capability", CAPABILITY),)

FAT: Tree = {
    "/": Dir(),
    "/app": Dir(0o2750, uid=33, gid=33),
    "/app/main": File(elf(), mode=0o755),
    "/app/ping": File(elf(), mode=0o755, xattrs=CAPABLE),
    "/app/sudo": File(elf(), mode=0o4755),
    "/app/key": File("k" * 100, mode=0o600, uid=33, gid=33),
    "/app/one": File("the same"),
    "/app/two": File(hard_link="/app/one"),
    "/app/apart": File("the same"),
    "/app/link": Link("key"),
    "/app/to": Dir(),
    "/app/to/dangling": Link("/no/where"),
    "/app/caf\udce9 $x": File("odd name"),
    "/app/pipe": Special(b"6", mode=0o600),
    "/app/null": Special(b"3", 1, 3, 0o666),
    "/app/empty": Dir(0o1777),
    "/root": Dir(0o700),
    "/root/.cache": Dir(),
    "/root/.cache/pip": Dir(),
    "/root/.cache/pip/http": Dir(),
    "/root/.cache/pip/http/x": File("c" * 500),
}
CONFIG: dict[str, Any] = {
    "Entrypoint": ["/app/main"],
    "Cmd": ["serve"],
    "Env": ["PATH=/bin", "MODE=fast", "EMPTY="],
    "Labels": {"of": "the user"},
    "User": "33:33",
    "WorkingDir": "/app",
    "ExposedPorts": {"8080/tcp": {}},
    "Volumes": {"/app/empty": {}},
    "StopSignal": "SIGQUIT",
    "Shell": ["/bin/sh", "-c"],
    "OnBuild": ["RUN true"],
    "Healthcheck": {"Test": ["CMD", "/app/main"], "Interval": 1_000_000_000, "Retries": 3},
}
DROPPED = "/root/.cache"
SLIM: Tree = {path: member for path, member in FAT.items() if not path.startswith(DROPPED)}


@pytest.fixture(scope="module")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("fat")
    fat = docker_archive(folder / "fat.tar", Made((FAT,), CONFIG, ("app:latest",)))
    plan = folder / "plan.json"
    assert run(["analyze", str(fat), "-q", "--format", "json", "-o", str(plan)]) == 0
    kept = {row["path"] for row in json.loads(plan.read_text())["plan"]["keeps"]}
    assert kept - {"/app/caf� $x"} == {p.rstrip("/") or "/" for p in SLIM} - {
        "/app/caf\udce9 $x"
    }, "the fixture of these tests: all but the cache is kept"
    return str(plan)


def slim_archive(
    path: Path,
    changes: Mapping[str, Member | None] | None = None,
    config: Mapping[str, Any] | None = None,
    **made: Any,
) -> str:
    """The slim image with entries changed (None: taken away) and fields of its config."""
    tree = {p: m for p, m in {**SLIM, **(changes or {})}.items() if m is not None}
    image = Made((tree,), {**CONFIG, **(config or {})}, ("app:slim",), **made)
    return str(docker_archive(path / "slim.tar", image))


def verify(image: str, plan: str, *options: str) -> int:
    return run(["verify", image, "--plan", plan, *options])


# ------------------------------------------------------------------- as planned


def test_an_image_as_planned_is_verified_in_one_line(
    tmp_path: Path, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(slim_archive(tmp_path), plan_file) == 0
    assert capsys.readouterr().out == f"verified: {len(SLIM)} paths as planned\n"


@pytest.mark.parametrize("write", [docker_archive, docker25_archive, oci_archive, oci_layout])
def test_any_location_and_any_cut_into_layers_will_do(
    write: Callable[..., Path], tmp_path: Path, plan_file: str
) -> None:
    """Hard links stay in one layer, as no layer can link into another's tar."""
    linked = {path: SLIM[path] for path in ("/app", "/app/one", "/app/two")}
    rest = [{path: SLIM[path]} for path in SLIM if path not in linked]
    image = write(tmp_path / "slim", Made((*rest, linked), CONFIG, ("app:slim",)))
    assert verify(str(image), plan_file) == 0


def test_json_says_the_same(
    tmp_path: Path, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = slim_archive(tmp_path, {"/app/caf\udce9 $x": None, "/app/link": Link("one")})
    assert verify(broken, plan_file, "--format", "json") == 13
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "verification" and document["image"]["tags"] == ["app:slim"]
    found = document["verification"]
    assert (found["as_planned"], found["paths"]) == (False, len(SLIM))
    first, second = found["differences"]
    assert first["path_base64"] and first["aspect"] == "presence"
    assert (second["path"], second["expected"], second["found"]) == ("/app/link", "key", "one")


# ------------------------------------------------------------------- each way to break one


def changed(path: str, **fields: Any) -> dict[str, Member | None]:
    member = SLIM[path]
    assert not isinstance(member, str | bytes)
    return {path: replace(member, **fields)}  # type: ignore[type-var]


NOON = 1_600_000_000
BREAKS: dict[str, tuple[Mapping[str, Member | None], str]] = {
    "the mode of a directory": (
        changed("/app", mode=0o755),
        "/app: mode expected 2750, found 0755 (the directory lost its own mode: COPY makes the one "
        "that it names, and its parents, root's and 0755)",
    ),
    "the owner of a directory": (
        changed("/app", uid=0, gid=0),
        "/app: owner expected 33:33, found 0:0 (the directory lost its owner: COPY",
    ),
    "the time of a directory": (
        changed("/app/empty", mtime=NOON),
        "/app/empty: time expected 2023-11-14T22:13:20Z, found 2020-09-13T12:26:40Z (COPY makes",
    ),
    "setuid": (
        changed("/app/sudo", mode=0o755),
        "/app/sudo: mode expected 4755, found 0755 (setuid, setgid or sticky was lost",
    ),
    "the mode of a file": (
        changed("/app/key", mode=0o644),
        "/app/key: mode expected 0600, found 0644 (COPY --chmod",
    ),
    "the owner of a file": (
        changed("/app/key", uid=0, gid=0),
        "/app/key: owner expected 33:33, found 0:0 (owners were flattened: COPY --chown",
    ),
    "the time of a file": (
        changed("/app/key", mtime=NOON),
        "/app/key: time expected 2023-11-14T22:13:20Z, found 2020-09-13T12:26:40Z (a layer from "
        "the builder's cache, which compares files without their times: build with --no-cache)",
    ),
    "a capability": (
        changed("/app/ping", xattrs=()),
        f"/app/ping: capability expected {CAPABILITY.hex()}, found none (the file capability was "
        "lost: busybox's cp and tar drop it",
    ),
    "a hard link": (
        {"/app/two": File("the same")},
        "/app/one: hard links expected one file with /app/two, found 2 files (each name that",
    ),
    "files that became one": (
        {"/app/apart": File(hard_link="/app/one")},
        "/app/apart: hard links expected 2 files, found one file with /app/one, /app/two (a later",
    ),
    "other content": (
        {"/app/key": File("K" * 100, mode=0o600, uid=33, gid=33)},
        "/app/key: content expected sha256:",
    ),
    "another size": (
        {"/app/key": File("k", mode=0o600, uid=33, gid=33)},
        "/app/key: size expected 100 B, found 1 B (it was built from another image than the plan's",
    ),
    "a missing file": (
        {"/app/key": None},
        "/app/key: expected file, found nothing (no instruction brought it)",
    ),
    "a missing directory": (
        {"/app/empty": None},
        "/app/empty: expected directory, found nothing (the legacy builder discards what a RUN",
    ),
    "a missing odd name": (
        {"/app/caf\udce9 $x": None},
        "/app/caf\\xe9 $x: expected file, found nothing (COPY expands $ and globs in names",
    ),
    "a missing device": (
        {"/app/null": None},
        "/app/null: expected character device, found nothing (a builder without root may not",
    ),
    "an extra file": (
        {"/app/more": File("m")},
        "/app/more: expected nothing, found file (a directory was copied whole",
    ),
    "a file in a mount point": (
        {"/etc/hosts": File("127.0.0.1 x")},
        "/etc/hosts: expected nothing, found file",
    ),
    "a link's target": (
        {"/app/link": Link("main")},
        "/app/link: link target expected key, found main (the link was made anew",
    ),
    "a link that was followed": (
        {"/app/link": File("k" * 100)},
        "/app/link: expected symlink, found file (COPY follows a link that it names",
    ),
    "a dangling link that was followed": (
        {"/app/to/dangling": Dir()},
        "/app/to/dangling: expected symlink, found directory (COPY follows",
    ),
    "the time of a link": (
        {"/app/link": Link("key", mtime=NOON)},
        "/app/link: time expected 2023-11-14T22:13:20Z, found 2020-09-13T12:26:40Z (the link was "
        "made anew, as busybox's tar does",
    ),
    "a device": (
        {"/app/null": Special(b"3", 1, 5, 0o666)},
        "/app/null: device number expected 1, 3, found 1, 5",
    ),
    "the mode of a FIFO": (
        {"/app/pipe": Special(b"6", mode=0o666)},
        "/app/pipe: mode expected 0600, found 0666",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_path_is_one_line_and_an_exit_code(
    name: str, tmp_path: Path, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, line = BREAKS[name]
    assert verify(slim_archive(tmp_path, changes), plan_file) == 13
    shown = capsys.readouterr()
    rows = [row for row in shown.out.splitlines() if row.startswith("  /")]
    assert [row for row in rows if row.startswith(f"  {line}")] == rows[:1], shown.out
    assert len(rows) == 1 or name in ("a file in a mount point",), shown.out
    assert shown.err.startswith("imgslim: error: app:slim is not as planned")


CONFIG_BREAKS: dict[str, tuple[dict[str, Any], str]] = {
    "entrypoint": (
        {"Entrypoint": ["/app/other"]},
        'ENTRYPOINT expected ["/app/main"], found ["/app/other"]',
    ),
    "a lost cmd": (
        {"Cmd": None},
        'CMD expected ["serve"], found nothing (ENTRYPOINT resets CMD',
    ),
    "a lost variable": (
        {"Env": ["PATH=/bin", "EMPTY="]},
        "variable MODE expected fast, found nothing (the instruction for it was left out)",
    ),
    "a changed variable": (
        {"Env": ["PATH=/bin", "MODE=\\fast", "EMPTY="]},
        "variable MODE expected fast, found \\fast (the builder expanded a quote, $ or backslash",
    ),
    "an added variable": (
        {"Env": ["PATH=/bin", "MODE=fast", "EMPTY=", "LD_PRELOAD=x"]},
        "variable LD_PRELOAD expected nothing, found x (the stage inherited it",
    ),
    "a lost label": ({"Labels": {}}, "label of expected the user, found nothing"),
    "an added label": (
        {"Labels": {"of": "the user", "maintainer": "x"}},
        "label maintainer expected nothing, found x",
    ),
    "user": ({"User": ""}, "USER expected 33:33, found nothing"),
    "working directory": ({"WorkingDir": "/"}, "WORKDIR expected /app, found /"),
    "volumes": ({"Volumes": {}}, "volume /app/empty expected , found nothing"),
    "ports": ({"ExposedPorts": {"8080/udp": {}}}, "exposed port 8080/tcp expected , found nothing"),
    "stop signal": ({"StopSignal": "SIGTERM"}, "STOPSIGNAL expected SIGQUIT, found SIGTERM"),
    "shell": ({"Shell": None}, 'SHELL expected ["/bin/sh", "-c"], found nothing'),
    "triggers": ({"OnBuild": []}, 'ONBUILD expected ["RUN true"], found nothing'),
    "healthcheck": ({"Healthcheck": None}, "HEALTHCHECK expected --interval=1000000000"),
}


@pytest.mark.parametrize("name", CONFIG_BREAKS)
def test_a_broken_config_names_the_field(
    name: str, tmp_path: Path, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config, line = CONFIG_BREAKS[name]
    assert verify(slim_archive(tmp_path, config=config), plan_file) == 13
    assert f"\n  config: {line}" in capsys.readouterr().out


def test_another_platform_is_a_difference(
    tmp_path: Path, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image = slim_archive(tmp_path, platform={"os": "linux", "architecture": "s390x"})
    assert verify(image, plan_file) == 13
    assert "config: architecture expected amd64, found s390x" in capsys.readouterr().out


def test_many_differences_are_cut_but_not_with_verbose(
    tmp_path: Path, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = slim_archive(tmp_path, {f"/app/more-{n:02}": File("x") for n in range(60)})
    assert verify(broken, plan_file) == 13
    assert "… and 10 more: --verbose lists all" in capsys.readouterr().out
    assert verify(broken, plan_file, "--verbose") == 13
    assert "/app/more-59" in capsys.readouterr().out


# ------------------------------------------------------------------- what is no fault


EQUAL_CONFIGS: dict[str, tuple[ImageConfig, ImageConfig]] = {
    "empty lists for none": (ImageConfig(), ImageConfig(entrypoint=(), cmd=(), shell=())),
    "a working directory of /": (ImageConfig(), ImageConfig(working_dir="/")),
    "a working directory made clean": (
        ImageConfig(working_dir="app//x/"),
        ImageConfig(working_dir="/app/x"),
    ),
    "ports as builders write them": (
        ImageConfig(exposed_ports=("80", "53/UDP", "90-91")),
        ImageConfig(exposed_ports=("53/udp", "80/tcp", "90/tcp", "91/tcp")),
    ),
    "the order of variables": (
        ImageConfig(env=(("A", "1"), ("B", "2"))),
        ImageConfig(env=(("B", "2"), ("A", "1"))),
    ),
    "a shell's healthcheck in several words": (
        ImageConfig(healthcheck=Healthcheck(("CMD-SHELL", "curl", "-f x"))),
        ImageConfig(healthcheck=Healthcheck(("CMD-SHELL", "curl -f x"))),
    ),
    "a healthcheck without a test": (
        ImageConfig(healthcheck=Healthcheck((), interval_ns=5)),
        ImageConfig(),
    ),
    "a healthcheck that is switched off": (
        ImageConfig(healthcheck=Healthcheck(("NONE",), interval_ns=5)),
        ImageConfig(healthcheck=Healthcheck(("NONE",))),
    ),
}


@pytest.mark.parametrize("name", EQUAL_CONFIGS)
def test_configs_that_run_alike_are_equal(name: str) -> None:
    assert list(compare_configs(*EQUAL_CONFIGS[name])) == []


def test_a_variant_that_only_one_image_states_is_no_difference() -> None:
    bare, stated = Platform("linux", "arm64"), Platform("linux", "arm64", "v8")
    assert list(compare_platforms(bare, stated)) == []
    assert list(compare_platforms(Platform("linux", "arm", "v6"), Platform("linux", "arm", "v7")))


def result_of(
    tmp_path: Path,
    fat: Tree,
    slim: Tree,
    *,
    fat_config: ImageConfig | None = None,
    slim_config: ImageConfig | None = None,
    made_by: str = "COPY",
    keep: Callable[[Keep], Keep] = lambda keep: keep,
    unsayable: tuple[Problem, ...] = (),
) -> Verification:
    """The plan that keeps all of ``fat``, held against an image of ``slim``."""
    expected = expectation(tmp_path / "fat", fat, fat_config, keep, unsayable)
    (tmp_path / "slim").mkdir()
    image = make_image(tmp_path / "slim", [slim], slim_config or fat_config)
    image = replace(image, history=tuple(replace(r, created_by=made_by) for r in image.history))
    layers = load_layers(image)
    with Rootfs.of_layers(layers) as rootfs:
        return verify_image(expected, image, rootfs)


def expectation(
    folder: Path,
    fat: Tree,
    config: ImageConfig | None = None,
    keep: Callable[[Keep], Keep] = lambda keep: keep,
    unsayable: tuple[Problem, ...] = (),
) -> Expected:
    folder.mkdir()
    image = make_image(folder, [fat], config)
    layers = load_layers(image)
    with Rootfs.of_layers(layers) as rootfs:
        entries = sorted(rootfs.entries.values(), key=lambda entry: entry.path)
        keeps = [keep(Keep(entry, Group.APP, "test", "<test>")) for entry in entries]
        plan = Plan((), tuple(keeps), (), ())
        said = (*dockerfile_problems(image, rootfs, plan), *foreseen(image, keeps), *unsayable)
        return expected_of(image, plan, digests_of_keeps(rootfs, keeps), said)


TREE: Tree = {**TOOLS, "/a": Dir(), "/a/x": File("x")}
BUILT = {**TREE, "/a": Dir(mtime=NOON)}

ALLOWED: dict[str, tuple[str, dict[str, Any]]] = {
    "the root's mode": ("root-directory", {"fat": {"/": Dir(0o700), **TREE}, "slim": TREE}),
    "directories of an image without a shell": (
        "directory-times",
        {
            "fat": TREE,
            "slim": BUILT,
            "unsayable": (Problem("directory-times", Severity.INFO, "", ""),),
        },
    ),
    "BuildKit's directories": (
        "builder-times",
        {"fat": TREE, "slim": BUILT, "made_by": "COPY /a/x /a/x # buildkit"},
    ),
    "a time before 1970": (
        "unstored-times",
        {"fat": {**TREE, "/b": File("x", mtime=-9e8)}, "slim": {**TREE, "/b": File("x", mtime=0)}},
    ),
    "a time after 2262": (
        "unstored-times",
        {"fat": {**TREE, "/b": File("x", mtime=2e10)}, "slim": {**TREE, "/b": File("x", mtime=0)}},
    ),
    "a path that nothing copies": (
        "uncopyable-path",
        {
            "fat": {**TREE, "/b\n": File("x")},
            "slim": TREE,
            "unsayable": (Problem("uncopyable-path", Severity.ERROR, "/b\n", ""),),
        },
    ),
    "a package database that no build can cut, and its directories": (
        "uncut-database",
        {
            "fat": {**TREE, "/var/kept": File("x"), "/var/lib/db/rpm": File("x")},
            "slim": {**TREE, "/var/kept": File("x")},
            "unsayable": (Problem("uncut-database", Severity.WARNING, "/var/lib/db/rpm", ""),),
        },
    ),
    "an engine's mount points": (
        "engine-path",
        {"fat": TREE, "slim": {**TREE, "/etc/hosts": File(""), "/etc/mtab": Link("/proc/m")}},
    ),
    "what WORKDIR makes": (
        "working-directory",
        {
            "fat": TREE,
            "slim": {**BUILT, "/a/new": Dir(mtime=NOON), "/a/new/er": Dir(mtime=NOON)},
            "fat_config": ImageConfig(working_dir="/a/new/er"),
            "slim_config": None,
        },
    ),
    "a variable with a line break": (
        "unwritable-config",
        {"fat": TREE, "slim": TREE, "fat_config": ImageConfig(env=(("X", "a\nb"),))},
    ),
    "a trigger with a line break": (
        "unwritable-config",
        {
            "fat": TREE,
            "slim": TREE,
            "fat_config": ImageConfig(on_build=("RUN a\nb", "RUN c")),
            "slim_config": ImageConfig(on_build=("RUN c",)),
        },
    ),
    "where the image comes from": (
        "base-label",
        {
            "fat": TREE,
            "slim": TREE,
            "slim_config": ImageConfig(labels=(("org.opencontainers.image.base.name", "x"),)),
        },
    ),
    "buildah's label": (
        "builder-label",
        {
            "fat": TREE,
            "slim": TREE,
            "slim_config": ImageConfig(labels=(("io.buildah.version", "1.28.2"),)),
        },
    ),
    "BuildKit's PATH": (
        "builder-path",
        {
            "fat": TREE,
            "slim": TREE,
            "slim_config": ImageConfig(
                env=(("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),)
            ),
        },
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_no_dockerfile_can_say_is_allowed_and_named(name: str, tmp_path: Path) -> None:
    code, case = ALLOWED[name]
    settings = {"fat_config": ImageConfig(), "slim_config": ImageConfig(), **case}
    result = result_of(tmp_path, **settings)
    assert result.differences == ()
    assert {allowance.code for allowance in result.allowances} == {code}


def test_every_row_of_the_closed_list_has_a_test() -> None:
    tested = {code for code, _ in ALLOWED.values()} | {"base-config"}
    assert {rule.code for rule in RULES} == tested


NOT_ALLOWED: dict[str, dict[str, Any]] = {
    "another file beside a package database that no build can cut": {
        "fat": {**TREE, "/var/lib/rpm": File("x"), "/var/lib/other": File("x")},
        "slim": {**TREE, "/var/lib": Dir()},
        "unsayable": (Problem("uncut-database", Severity.WARNING, "/var/lib/rpm", ""),),
    },
    "another mode of the root": {
        "fat": {"/": Dir(0o700), **TREE},
        "slim": {"/": Dir(0o777), **TREE},
    },
    "the time of a directory by another builder": {"fat": TREE, "slim": BUILT},
    "the time of a file by BuildKit": {
        "fat": TREE,
        "slim": {**TREE, "/a/x": File("x", mtime=NOON)},
        "made_by": "COPY # buildkit",
    },
    "another time than 1970 for one before it": {
        "fat": {**TREE, "/b": File("x", mtime=-9e8)},
        "slim": {**TREE, "/b": File("x", mtime=1)},
    },
    "1970 for a time that can be stored": {
        "fat": {**TREE, "/b": File("x", mtime=9e9)},
        "slim": {**TREE, "/b": File("x", mtime=0)},
    },
    "another PATH": {
        "fat": TREE,
        "slim": TREE,
        "slim_config": ImageConfig(env=(("PATH", "/x"),)),
    },
    "an unsayable variable with another value": {
        "fat": TREE,
        "slim": TREE,
        "fat_config": ImageConfig(env=(("X", "a\nb"),)),
        "slim_config": ImageConfig(env=(("X", "a"),)),
    },
    "the user's own word where the image comes from": {
        "fat": TREE,
        "slim": TREE,
        "fat_config": ImageConfig(labels=(("org.opencontainers.image.base.name", "mine"),)),
        "slim_config": ImageConfig(labels=(("org.opencontainers.image.base.name", "x"),)),
    },
    "a file in place of what WORKDIR makes": {
        "fat": TREE,
        "slim": {**TREE, "/new": File("")},
        "fat_config": ImageConfig(working_dir="/new"),
        "slim_config": None,
    },
}


@pytest.mark.parametrize("name", NOT_ALLOWED)
def test_what_is_near_the_list_is_a_difference(name: str, tmp_path: Path) -> None:
    settings = {"fat_config": ImageConfig(), "slim_config": ImageConfig(), **NOT_ALLOWED[name]}
    assert len(result_of(tmp_path, **settings).differences) == 1


def test_what_depends_on_the_image_is_said_before_the_build(tmp_path: Path) -> None:
    config = ImageConfig(working_dir="/a/new", env=(("X", "a\nb"),))
    tree = {"/": Dir(0o700), "/a/x": File("x", mtime=1.5), **TREE, "/b": File("b", mtime=7.25)}
    tree["/c"] = File("c", mtime=-9e8)
    expected = expectation(tmp_path / "fat", tree, config)
    assert {problem.code for problem in expected.unsayable} >= {
        "root-directory",
        "unwritable-config",
        "working-directory",
        "sub-second-times",
        "unstored-times",
        "builder-times",
        "builder-path",
    }


@pytest.mark.parametrize("whole", [math.floor, math.ceil])
def test_times_compare_in_whole_seconds_cut_or_rounded(
    whole: Callable[[float], int], tmp_path: Path
) -> None:
    fat = {**TREE, "/a/x": File("x", mtime=100.9), "/b": File("b", mtime=-1.5)}
    slim = {**TREE, "/a/x": File("x", mtime=whole(100.9)), "/b": File("b", mtime=whole(-1.5))}
    assert result_of(tmp_path, fat, slim).differences == ()


def test_a_directory_that_no_layer_names_may_have_any_time(tmp_path: Path) -> None:
    slim = {"/i": Dir(mtime=NOON), "/i/x": File("x")}
    assert result_of(tmp_path, {"/i/x": File("x")}, slim).differences == ()
    (tmp_path / "more").mkdir()
    result = result_of(tmp_path / "more", {"/i/x": File("x")}, {**slim, "/i": Dir(0o700)})
    assert [difference.aspect for difference in result.differences] == ["mode"]


def test_a_directory_that_a_later_layer_writes_into_unnamed_may_have_any_time(
    tmp_path: Path,
) -> None:
    """It is the same for a plan from a file."""
    layers: tuple[Tree, ...] = (FAT, {"/app/to/later": File("x")})
    fat = docker_archive(tmp_path / "fat.tar", Made(layers, CONFIG, ("app:latest",)))
    plan = tmp_path / "plan.json"
    assert run(["analyze", str(fat), "-q", "--format", "json", "-o", str(plan)]) == 0
    more = {"/app/to/later": File("x")}
    for path, code in (("/app/to", 0), ("/app", 13)):
        member = changed(path, mtime=NOON)
        assert verify(slim_archive(tmp_path, {**more, **member}), str(plan)) == code


# ------------------------------------------------------------------- stripped, rewritten, a base


def stripped(keep: Keep) -> Keep:
    return replace(keep, strip="strip", strip_bytes=10) if keep.entry.path == "/a/lib" else keep


STRIPPED: dict[str, tuple[bytes, str]] = {
    "smaller": (elf(data=b"x" * 10), ""),
    "as it was": (elf(data=b"x" * 100), ""),
    "larger": (elf(data=b"x" * 101), "at most"),
    "no program": (b"#!/bin/sh\n", "no ELF file"),
    "empty": (b"", "no ELF file"),
}


@pytest.mark.parametrize("name", STRIPPED)
def test_a_stripped_file_is_a_program_and_no_larger(name: str, tmp_path: Path) -> None:
    content, fault = STRIPPED[name]
    fat = {**TREE, "/a/lib": File(elf(data=b"x" * 100))}
    result = result_of(tmp_path, fat, {**TREE, "/a/lib": File(content)}, keep=stripped)
    said = " ".join(f"{one.expected}, {one.found}" for one in result.differences)
    assert fault in said and bool(fault) is bool(result.differences)
    assert result.stripped_count == 1


def test_a_file_with_other_content_in_the_slim_image_has_that(tmp_path: Path) -> None:
    def cut(keep: Keep) -> Keep:
        return replace(keep, content=b"cut") if keep.entry.path == "/a/db" else keep

    fat = {**TREE, "/a/db": File("long and whole")}
    for content, is_right in (("cut", True), ("cat", False), ("long and whole", False)):
        folder = tmp_path / content
        folder.mkdir()
        result = result_of(folder, fat, {**TREE, "/a/db": File(content)}, keep=cut)
        assert result.is_as_planned is is_right


def test_what_a_base_brings_is_expected_too(tmp_path: Path) -> None:
    base_config = ImageConfig(labels=(("of", "the base"),), env=(("LANG", "C"),))
    base_tree: Tree = {"/etc": Dir(), "/etc/os-release": File("base"), "/a": Dir(mtime=5)}
    (tmp_path / "base").mkdir()
    base = make_image(tmp_path / "base", [base_tree], base_config)
    layers = load_layers(base)
    expected = expectation(tmp_path / "fat", TREE, ImageConfig())
    with Rootfs.of_layers(layers) as rootfs:
        expected = on_base(expected, base, rootfs)
    (tmp_path / "slim").mkdir()
    slim = make_image(tmp_path / "slim", [base_tree, {**TREE, "/more": File("")}], base_config)
    layers = load_layers(slim)
    with Rootfs.of_layers(layers) as rootfs:
        result = verify_image(expected, slim, rootfs)
    assert [difference.path for difference in result.differences] == ["/more"]
    assert {allowance.code for allowance in result.allowances} == {"base-config"}


# ------------------------------------------------------------------- the plan file


def test_a_plan_in_a_file_is_the_plan_itself(tmp_path: Path, plan_file: str) -> None:
    """What is read back expects of each path what was written, but for the numbers of files."""
    expected = parse_plan(Path(plan_file).read_bytes(), "plan.json")
    assert set(expected.paths) == {path.rstrip("/") or "/" for path in SLIM}
    one, two, apart = (expected.paths[f"/app/{n}"] for n in ("one", "two", "apart"))
    assert one.entry.inode == two.entry.inode != apart.entry.inode
    assert one.digest == apart.digest != ""
    assert dict(expected.paths["/app/ping"].entry.xattrs) == dict(CAPABLE)
    assert expected.config.healthcheck == Healthcheck(("CMD", "/app/main"), 10**9, retries=3)
    assert expected.platform == Platform("linux", "amd64")


def without(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


def with_row(document: dict[str, Any], **fields: Any) -> dict[str, Any]:
    rows = [*document["plan"]["keeps"]]
    rows[2] = rows[2] | fields
    return document | {"plan": document["plan"] | {"keeps": rows}}


BAD_PLANS: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "no JSON": (lambda _: "FROM scratch\n", "is no JSON"),
    "no text": (lambda _: "\x00\x01", "is no JSON"),
    "empty": (lambda _: "", "ends early"),
    "cut off": (lambda d: json.dumps(d)[:2000], "ends early"),
    "cut off after a value": (lambda d: json.dumps(d)[:-1], "ends early: it is cut off"),
    "a list": (lambda _: "[]", "is no plan of imgslim's"),
    "of another program": (lambda _: '{"version": 1}', "is no plan of imgslim's"),
    "of another version": (lambda d: json.dumps(d | {"version": 2}), "is of version 2; this"),
    "of another kind": (lambda d: json.dumps(d | {"kind": "audit"}), "of kind 'audit'"),
    "without what it needs": (lambda d: json.dumps(without(d, "unsayable")), "lacks 'unsayable'"),
    "of no number": (lambda d: json.dumps(with_row(d, uid="root")), "is no plan"),
    "of no mode": (lambda d: json.dumps(with_row(d, mode=None)), "is no plan"),
    "of no kind": (lambda d: json.dumps(with_row(d, kind="socket")), "is no plan"),
    "of no base64": (lambda d: json.dumps(with_row(d, xattrs={"a": "%"})), "is no plan"),
    "deep": (lambda _: "[" * 100_000, "is no JSON"),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_a_bad_plan_is_one_line(
    name: str, tmp_path: Path, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, message = BAD_PLANS[name]
    bad = tmp_path / "bad.json"
    bad.write_text(spoil(json.loads(Path(plan_file).read_text())))
    assert verify(slim_archive(tmp_path), str(bad)) == 5
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"imgslim: error: {bad} ") and message in error
    assert "imgslim analyze IMAGE --format json" in hint


def test_a_plan_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(slim_archive(tmp_path), str(tmp_path / "none.json")) == 5
    assert "none.json cannot be read: No such file" in capsys.readouterr().err


def test_image_and_plan_cannot_both_be_standard_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("-", "-") == 2
    assert "standard input" in capsys.readouterr().err
