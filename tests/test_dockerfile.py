"""The Dockerfile says the config exactly, names a base that FROM finds, and never varies."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from imgslim.dockerfile import dockerfile_problems, render_dockerfile
from imgslim.dockerfile.config import config_problems, render_config
from imgslim.dockerfile.layout import LINE_WIDTH
from imgslim.model import Healthcheck, Image, ImageConfig, Platform
from imgslim.sources.platforms import host_platform
from tests import engines
from tests.test_copyplan import TOOLS, plan_of
from tests.worlds import File, Link, Tree, make_image, make_world, tar_bytes

SECOND = 1_000_000_000

APP: Tree = {**TOOLS, "/app/server": "x", "/app/link": Link("server"), "/etc/drop": ""}


def dockerfile_of(tmp_path: Path, tree: Tree = APP, **changes: object) -> str:
    image, world = _image_and_world(tmp_path, tree, changes)
    plan = plan_of(world.rootfs, lambda path: not path.startswith("/usr") and "drop" not in path)
    return render_dockerfile(image, world.rootfs, plan)


def _image_and_world(tmp_path: Path, tree: Tree, changes: dict[str, object]):  # type: ignore[no-untyped-def]
    image: Image = replace(make_image(tmp_path, [tree]), **changes)  # type: ignore[arg-type]
    return image, make_world(tmp_path, tree, config=image.config)


def test_an_image_for_other_machines_is_asked_for_and_made_by_its_platform(tmp_path: Path) -> None:
    text = dockerfile_of(tmp_path, platform=Platform("linux", "s390x"))
    froms = [
        line for line in text.splitlines() if line.startswith("FROM") and "base AS" not in line
    ]
    assert froms == [
        "FROM --platform=linux/s390x test:latest AS base",
        "FROM --platform=linux/s390x scratch",
    ]
    assert "needs an emulator" in text
    assert "--platform" not in dockerfile_of(tmp_path, platform=host_platform())


HEALTHCHECK = Healthcheck(
    ("CMD-SHELL", 'curl -f "http://localhost:$PORT/" || exit 1'),
    interval_ns=90 * SECOND,
    timeout_ns=1_500_000_000,
    start_period_ns=3600 * SECOND,
    retries=5,
)


@pytest.mark.parametrize(
    "config, lines",
    [
        (ImageConfig(), []),
        (ImageConfig(env=(("A", "plain"), ("B", ""))), ["ENV A=plain", 'ENV B=""']),
        (ImageConfig(env=(("A", 'a "b" $c \\d'),)), ['ENV A="a \\"b\\" \\$c \\\\d"']),
        (ImageConfig(labels=(("x.y/z", "1 2"),)), ['LABEL x.y/z="1 2"']),
        (ImageConfig(exposed_ports=("80/tcp", "53/udp")), ["EXPOSE 80/tcp 53/udp"]),
        (ImageConfig(volumes=("/data", "/a b")), ['VOLUME ["/data", "/a b"]']),
        (ImageConfig(working_dir="/a $b"), ["WORKDIR /a \\$b"]),
        (ImageConfig(user="1000:1000"), ["USER 1000:1000"]),
        (ImageConfig(stop_signal="SIGQUIT"), ["STOPSIGNAL SIGQUIT"]),
        (ImageConfig(shell=("/bin/bash", "-c")), ['SHELL ["/bin/bash", "-c"]']),
        (ImageConfig(entrypoint=("/x",), cmd=("a\nb",)), ['ENTRYPOINT ["/x"]', 'CMD ["a\\nb"]']),
        (ImageConfig(entrypoint=(), cmd=()), ["ENTRYPOINT []", "CMD []"]),
        (ImageConfig(healthcheck=Healthcheck(("NONE",))), ["HEALTHCHECK NONE"]),
        (
            ImageConfig(healthcheck=Healthcheck(("CMD", "/ok", "a b"), retries=2)),
            ['HEALTHCHECK --retries=2 CMD ["/ok", "a b"]'],
        ),
        (
            ImageConfig(healthcheck=HEALTHCHECK),
            [
                "HEALTHCHECK --interval=90s --timeout=1500000000ns --start-period=1h --retries=5 "
                'CMD curl -f "http://localhost:$PORT/" || exit 1'
            ],
        ),
        (ImageConfig(on_build=("RUN make $X",)), ["ONBUILD RUN make $X"]),
    ],
)  # fmt: skip
def test_each_field_of_the_config_is_an_instruction(config: ImageConfig, lines: list[str]) -> None:
    assert render_config(config) == lines
    assert config_problems(config) == []


@pytest.mark.parametrize(
    "config, word",
    [
        (ImageConfig(env=(("KEY", "a\nb"),)), "KEY"),
        (ImageConfig(labels=(("note", "a\nb"),)), "note"),
        (ImageConfig(labels=(("a=b", "c"),)), "a=b"),
        (ImageConfig(env=(("RAW", "\udcff"),)), "RAW"),
        (ImageConfig(cmd=("\udcff",)), "CMD"),
        (ImageConfig(healthcheck=Healthcheck(("CMD-SHELL", "a\nb"))), "HEALTHCHECK"),
        (ImageConfig(on_build=("RUN a\nb",)), "ONBUILD"),
    ],
)
def test_what_no_dockerfile_can_say_is_left_out_and_said(config: ImageConfig, word: str) -> None:
    assert render_config(config) == []
    (problem,) = config_problems(config)
    assert problem.code == "unwritable-config"
    assert word in problem.message


def test_config_and_files_give_one_list_of_problems(tmp_path: Path) -> None:
    config = ImageConfig(env=(("KEY", "a\nb"),))
    image, world = _image_and_world(tmp_path, {**APP, "/app/x\n": ""}, {"config": config})
    plan = plan_of(world.rootfs, lambda path: path.startswith("/app"))
    codes = {problem.code for problem in dockerfile_problems(image, world.rootfs, plan)}
    assert "unwritable-config" in codes


@pytest.mark.parametrize(
    "changes, line",
    [
        ({}, "FROM test:latest AS base"),
        (
            {"reference": "docker-archive:x.tar", "tags": ("shop:1", "shop:2")},
            "FROM shop:1 AS base",
        ),
        ({"reference": "shop:2", "tags": ("shop:1", "shop:2")}, "FROM shop:2 AS base"),
        (
            {"tags": (), "repo_digests": ("shop@sha256:" + "a" * 64,)},
            f"FROM shop@sha256:{'a' * 64} AS base",
        ),
        (
            {"tags": (), "image_id": "sha256:" + "b" * 64},
            f"FROM imgslim-input:{'b' * 12} AS base",
        ),
        (
            {"tags": (), "load_command": "docker load -i x.tar"},
            "# to load it: docker load -i x.tar",
        ),
        ({"config": ImageConfig(on_build=("RUN x",))}, "COPY --from=test:latest / /"),
    ],
)
def test_the_base_has_a_name_that_from_can_use(
    tmp_path: Path, changes: dict[str, object], line: str
) -> None:
    assert line in dockerfile_of(tmp_path, **changes).splitlines()


def test_the_same_plan_gives_the_same_text(tmp_path: Path) -> None:
    assert dockerfile_of(tmp_path) == dockerfile_of(tmp_path)


def test_the_first_line_is_no_parser_directive(tmp_path: Path) -> None:
    first = dockerfile_of(tmp_path).splitlines()[0]
    assert first.startswith("# ")
    assert not re.match(r"#\s*[A-Za-z][A-Za-z0-9]*\s*=", first)


def test_a_running_stage_has_a_user_a_shell_and_nothing_that_steers_it(tmp_path: Path) -> None:
    env = (("LD_PRELOAD", "/x.so"), ("HOME", "/root"), ("PATH", "/nowhere"))
    text = dockerfile_of(tmp_path, config=ImageConfig(env=env, user="app", shell=("/x",)))
    stage = text.partition("FROM base AS gathered")[2].partition("FROM scratch")[0]
    assert "USER 0\n" in stage
    assert 'SHELL ["/usr/bin/sh", "-c"]\n' in stage
    assert 'LD_PRELOAD=""' in stage
    assert "HOME" not in stage
    assert "/usr/bin" in re.findall("PATH=(.*)", stage)[0]


def test_reasons_and_sizes_stand_above_what_they_bring(tmp_path: Path) -> None:
    lines = dockerfile_of(tmp_path, {**TOOLS, "/app/server": "x" * 2000, "/drop": ""}).splitlines()
    at = lines.index("COPY --from=base /app /app")
    assert lines[at - 1] == "# the app's own files: app (1 file, 2.0 kB)"


def test_long_lists_are_wrapped_and_no_instruction_is_too_long(tmp_path: Path) -> None:
    tree: dict[str, File | Link] = {}
    for n in range(2500):
        tree[f"/lib/{n:04}-{'x' * 40}"] = File("x")
        tree[f"/lib/{n:04}-{'l' * 40}"] = Link("x")
        tree[f"/lib/drop-{n:04}-a"] = tree[f"/lib/drop-{n:04}-b"] = File("x")
        tree[f"/lib/drop-{n:04}-c"] = tree[f"/lib/drop-{n:04}-d"] = File("x")
    text = dockerfile_of(tmp_path, {**TOOLS, **tree})
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert max(map(len, lines)) <= LINE_WIDTH + 40
    instructions = text.replace(" \\\n", " ").splitlines()
    assert max(len(line.encode()) for line in instructions) < 65_535
    for path in tree:
        assert ("drop" in path) is not (path in text)


CONFIG_LINES = """\
ENV PATH=/bin
ENV QUOTES="a \\"b\\" 'c' \\$HOME \\\\d \\\\" EMPTY="" SPACES="  x  " UNICODE="zü \\${X}"
LABEL "odd key"="v \\"q\\" \\$x" plain=1
EXPOSE 8080/tcp 53/udp
VOLUME ["/data", "/with space"]
WORKDIR /app
USER 1000:1000
STOPSIGNAL SIGQUIT
SHELL ["/bin/sh", "-euc"]
HEALTHCHECK --interval=1m30s --timeout=1500ms --retries=4 CMD test -e "/x" && echo $HOME
ONBUILD RUN echo "$X" \\\\ 'y'
ONBUILD ENV A=$B
ENTRYPOINT ["/app/server", "$HOME", "a\\nb", "tab\\t"]
CMD ["--x=\\"1\\"", "ü"]
"""

FIELDS = (
    "Env", "Labels", "ExposedPorts", "Volumes", "WorkingDir", "User", "StopSignal", "Shell",
    "Healthcheck", "OnBuild", "Entrypoint", "Cmd",
)  # fmt: skip


def config_fields(tag: str, builder: str) -> dict[str, object]:
    """The fields that must be equal; buildah signs with a label, and writes empty for absent."""
    config = engines.image_config(tag)
    fields = {field: config.get(field) for field in FIELDS}
    if builder == "buildah":
        (fields["Labels"] or {}).pop("io.buildah.version", None)
        return {field: value or None for field, value in fields.items()}
    return fields


@pytest.mark.engine
@pytest.mark.parametrize("builder", engines.BUILDERS)
@pytest.mark.parametrize("lines", [CONFIG_LINES, 'ENV PATH=/bin\nWORKDIR /\nCMD ["/x"]\n'])
def test_the_built_config_equals_the_original(builder: str, lines: str) -> None:
    from imgslim.sources import open_image

    engines.require_builder(builder)
    fat, slim = "imgslim-test-config:latest", f"imgslim-test-config-{builder}:latest"
    try:
        engines.import_over("scratch", tar_bytes({"/app/server": "x"}), fat, lines.splitlines())
        with open_image(f"docker-daemon:{fat}") as image:
            text = "\n".join(["FROM scratch", *render_config(image.config), ""])
            assert config_problems(image.config) == []
        engines.build(builder, text, slim)
        assert config_fields(slim, builder) == config_fields(fat, builder)
    finally:
        engines.remove_image(slim, fat)
