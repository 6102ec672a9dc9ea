"""The user's Dockerfile is kept byte for byte and continued; versioned names become patterns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imgslim.cli.app import run
from imgslim.copyplan import plan_copies
from imgslim.copyplan.patterns import globs_of, may_vanish
from imgslim.copyplan.steps import CopyPlan
from imgslim.dockerfile import render_dockerfile
from imgslim.dockerfile.continued import continued, with_backtick
from imgslim.dockerfile.source import load_source, parse_source, with_named_stage
from imgslim.errors import DockerfileError, UsageError
from imgslim.model import ImageConfig
from imgslim.provenance_labels import BASE_DIGEST, BASE_NAME
from tests.test_copyplan import TOOLS, gathered_paths, plain_sources, plan_of
from tests.worlds import File, Link, Tree, make_image, make_world

OURS = "FROM base AS gathered\nRUN x\n\nFROM scratch\nCOPY --from=gathered /place/ /\n"


@pytest.mark.parametrize(
    "text, stages",
    [
        ("FROM a\nRUN x", [""]),
        ("from a as Build\nFROM build\n", ["Build", ""]),
        ("FROM a \\\n  # why\n  AS \\\n  one\nRUN x \\\n\nFROM no\n", ["one"]),
        ("FROM a\nRUN <<EOF cat <<'X'\nFROM b\nEOF\nFROM c\nX\nFROM d AS e\n", ["", "e"]),
        ("FROM a\nCOPY <<-\"E\" /x\nFROM b\n\tE\nFROM c AS d", ["", "d"]),
        ("FROM a\nRUN cat <<< x; echo $((1<<2))\nFROM b AS c\n", ["", "c"]),
        ("FROM a\nRUN [ $# = 0 ] || x it\\'s \\\n  # FROM no\n  ${x#y}\nFROM b AS c", ["", "c"]),
        ("FROM a\nCOPY a#b /x#y\nENV A=\"x # y\" B='z'\nFROM b AS c\n", ["", "c"]),
        ("FROM a\nONBUILD RUN echo \\\nFROM no\nONBUILD COPY --from=b / /\nFROM c\n", ["", ""]),
        ("# escape=`\nFROM a `\n AS b\nRUN dir c:\\\nFROM c AS d\nRUN x `\nFROM no\n", ["b", "d"]),
        ("# escape=`\r\nFROM a AS b\r\nRUN x `\r\n  y\r\nFROM c AS d\r\n", ["b", "d"]),
        ("\ufeffFROM a AS b\n", ["b"]),
        ('FROM a\nSHELL ["p", "$E = \'S\'; #"]\nWORKDIR /a b\nUSER ${U:-me}\nFROM b', ["", ""]),
        ("ARG A=1\n# FROM no\nFROM --platform=$BUILDPLATFORM a AS b\n", ["b"]),
    ],
)  # fmt: skip
def test_the_stages_of_a_dockerfile(text: str, stages: list[str]) -> None:
    assert [stage.name for stage in parse_source(text.encode()).stages] == stages


@pytest.mark.parametrize(
    "text, words",
    [
        ("RUN x\n", "no FROM"),
        ("FROM a\n\nFOO bar\n", "line 3 of the Dockerfile is none that is known: FOO bar"),
        ("FROM a\nRUN <<EOF\nx\n", "line 3"),
        ("FROM a b c\n", "line 1"),
    ],
)
def test_what_no_builder_takes_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(DockerfileError, match=re.escape(words)):
        parse_source(text.encode())


@pytest.mark.parametrize(
    "text, named, stage",
    [
        (b"FROM a\nRUN x\n", b"FROM a AS base\nRUN x\n", "base"),
        (b"FROM a", b"FROM a AS base\n", "base"),
        (b"FROM a AS Web\nRUN x", b"FROM a AS Web\nRUN x\n", "Web"),
        (b"FROM a \\\n # b\n\nRUN \xff\r\n", b"FROM a AS base \\\n # b\n\nRUN \xff\r\n", "base"),
        (b"FROM a\r\nRUN x", b"FROM a AS base\r\nRUN x\r\n", "base"),
        (b"FROM a AS BASE\nFROM b\n", b"FROM a AS BASE\nFROM b AS base-2\n", "base-2"),
        # The names of images, which a stage of that name would hide.
        (b"FROM base\n", b"FROM base AS base-2\n", "base-2"),
        (b"FROM a\nCOPY --from=base / /\n", b"FROM a AS base-2\nCOPY --from=base / /\n", "base-2"),
        (
            b"FROM a\nRUN --mount=type=bind,from=Base,target=/b x\n",
            b"FROM a AS base-2\nRUN --mount=type=bind,from=Base,target=/b x\n",
            "base-2",
        ),
        (b"ARG I=base\nFROM $I\n", b"ARG I=base\nFROM $I AS base-2\n", "base-2"),
    ],
)
def test_all_but_a_name_is_kept_byte_for_byte(text: bytes, named: bytes, stage: str) -> None:
    head = with_named_stage(parse_source(text))
    assert (head.text.encode("utf-8", "surrogateescape"), head.stage) == (named, stage)


@pytest.mark.parametrize(
    "target, stage", [("Dev", "dev"), ("1", "base"), ("", "prod"), ("prod", "prod")]
)
def test_a_target_is_a_name_or_an_index(target: str, stage: str) -> None:
    source = parse_source(b"FROM a AS dev\nFROM b\nFROM dev AS prod\n")
    assert with_named_stage(source, target).stage == stage


def test_an_unknown_target_is_an_error_with_near_names() -> None:
    with pytest.raises(DockerfileError) as caught:
        with_named_stage(parse_source(b"FROM a AS production\nFROM b AS test\n"), "prod")
    assert "production" in caught.value.hint


def test_a_last_line_that_goes_on_would_swallow_ours() -> None:
    with pytest.raises(DockerfileError, match="goes on"):
        parse_source(b"FROM a\nRUN x \\\n\n")
    head = with_named_stage(parse_source(b"FROM a\n# ends with a \\"))
    assert continued(head, OURS).endswith(OURS)


def test_our_lines_end_as_the_users_do() -> None:
    head = with_named_stage(parse_source(b"FROM a\r\nRUN x\r\n"))
    whole = continued(head, OURS)
    assert whole.count("\r\n") == whole.count("\n")


@pytest.mark.parametrize(
    "instruction, other",
    [
        ("RUN a \\\n  'b\\c' \\\n  d", "RUN a `\n  'b\\c' `\n  d"),
        ('ENV A="x\\$y\\"z" \\\n  B=c', 'ENV A="x`$y`"z" `\n  B=c'),
        ('ENV A="back\\\\slash`tick"', 'ENV A="back\\slash``tick"'),
        ('COPY ["/a\\\\$b", "/c"]', 'COPY ["/a`$b", "/c"]'),
        ('CMD ["a\\\\b", "$c"]', 'CMD ["a\\\\b", "$c"]'),
        ("WORKDIR /a\\$b", "WORKDIR /a`$b"),
    ],
)
def test_instructions_in_a_file_of_another_escape(instruction: str, other: str) -> None:
    assert with_backtick(instruction) == other


def dockerfile_of(tmp_path: Path, text: bytes, config: ImageConfig | None = None) -> str:
    tree: Tree = {**TOOLS, "/app/server": "x", "/app/link": Link("server"), "/etc/drop": ""}
    world = make_world(tmp_path, tree, config=config)
    image = make_image(tmp_path, [tree], config)
    plan = plan_of(world.rootfs, lambda path: not path.startswith("/usr") and "drop" not in path)
    head = with_named_stage(parse_source(text))
    return render_dockerfile(image, world.rootfs, plan, head)


def test_the_final_stage_copies_from_the_users(tmp_path: Path) -> None:
    text = dockerfile_of(tmp_path, b"# syntax=x\nFROM a AS web\nCMD y\n")
    assert text.startswith("# syntax=x\nFROM a AS web\nCMD y\n\n# Written by imgslim")
    assert "FROM web AS gathered" in text and "FROM scratch\n" in text
    assert "test:latest" not in text, "the fat image itself is not needed"


def test_our_stages_take_no_name_of_the_users(tmp_path: Path) -> None:
    text = dockerfile_of(tmp_path, b"FROM a AS Gathered\nFROM b\n")
    assert "FROM base AS gathered-2" in text and "COPY --from=gathered-2 /imgslim/ /" in text


def test_the_users_triggers_do_not_fire_in_ours(tmp_path: Path) -> None:
    config = ImageConfig(on_build=("RUN exit 1",))
    text = dockerfile_of(tmp_path, b"FROM a\nONBUILD RUN exit 1\n", config)
    assert "FROM scratch AS untriggered\nCOPY --from=base / /" in text
    assert "FROM untriggered AS gathered" in text and "FROM base AS" not in text


def test_the_final_stage_is_of_the_platform_that_the_users_asks_for(tmp_path: Path) -> None:
    text = dockerfile_of(tmp_path, b"FROM --platform=linux/arm64 a AS b\nFROM b\n")
    assert "\nFROM --platform=linux/arm64 scratch\n" in text


PINNED = "sha256:" + "d" * 64


@pytest.mark.parametrize(
    "text, name, digest",
    [
        ("FROM python:3.12\n", "docker.io/library/python:3.12", ""),
        ("FROM a/b AS one\nFROM one\n", "docker.io/a/b:latest", ""),
        (f"FROM reg.example/a@{PINNED}\n", f"reg.example/a@{PINNED}", PINNED),
        # What an ARG chooses is known to the builder alone, and nothing is no image.
        ("ARG V=1\nFROM python:$V\n", "", ""),
        ("FROM scratch\n", "", ""),
    ],
)
def test_the_labels_name_what_the_users_stage_is_built_from(
    tmp_path: Path, text: str, name: str, digest: str
) -> None:
    lines = dockerfile_of(tmp_path, text.encode()).splitlines()
    found = [line for line in lines if line.startswith("LABEL org.opencontainers.image.base")]
    assert found == [
        *([f"LABEL {BASE_DIGEST}={digest}"] if digest else []),
        *([f"LABEL {BASE_NAME}={name}"] if name else []),
    ]


def test_a_label_of_the_users_own_stands(tmp_path: Path) -> None:
    config = ImageConfig(labels=((BASE_DIGEST, "mine"),))
    text = dockerfile_of(tmp_path, b"FROM python:3.12\n", config)
    assert f"LABEL {BASE_DIGEST}=mine" in text and BASE_NAME not in text


@pytest.mark.parametrize(
    "name, glob",
    [
        ("libz.so.1.2.13", "libz.so.*"),
        ("libc.so.6", "libc.so.*"),
        ("libdb-5.3.so", "libdb-*.so"),
        ("libbfd-2.40-system.so", "libbfd-*-system.so"),
        ("libjpeg-45e70d75.so.62.3.0", "libjpeg-45e70d75.so.*"),
        ("libz.so", ""),
        ("python3.11", ""),
        ("data-2024.csv", ""),
    ],
)
def test_versioned_names(name: str, glob: str) -> None:
    assert next(globs_of(name), "") == glob


@pytest.mark.parametrize(
    "name, glob",
    [
        ("flask-3.0.3.dist-info", "flask-*.dist-info"),
        ("PyYAML-6.0-py3.11.egg-info", "PyYAML-*-py3.11.egg-info"),
        ("site-packages", ""),
    ],
)
def test_versioned_directories(name: str, glob: str) -> None:
    assert next(globs_of(name, is_directory=True), "") == glob


def lasting(tmp_path: Path, tree: Tree, drop: str = "drop") -> CopyPlan:
    world = make_world(tmp_path, {**TOOLS, **tree})
    image = make_image(tmp_path, [{**TOOLS, **tree}])
    plan = plan_of(world.rootfs, lambda path: not path.startswith("/usr/bin") and drop not in path)
    return plan_copies(image, world.rootfs, plan, lasting=True)


MANY: Tree = {f"/lib/drop-{n}": "x" for n in range(200)}


def test_a_library_is_gathered_with_its_link_by_one_pattern(tmp_path: Path) -> None:
    copies = lasting(
        tmp_path, {**MANY, "/lib/libz.so.1.2": "z", "/lib/libz.so.1": Link("libz.so.1.2")}
    )
    assert {"/lib/libz.so.1", "/lib/libz.so.1.2"} == gathered_paths(copies)
    assert set(copies.gathered.patterns.values()) == {"/lib/libz.so.*"}
    assert plain_sources(copies) == set()


def test_a_library_without_links_is_copied_by_pattern(tmp_path: Path) -> None:
    (copy,) = lasting(tmp_path, {**MANY, "/lib/libc.so.6": "c"}).plain
    assert copy.patterns == {"/lib/libc.so.6": "/lib/libc.so.*"}


@pytest.mark.parametrize(
    "others, pattern",
    [
        ({"/lib/libz.so.1.3.drop": ""}, "/lib/libz.so.1.2.*"),
        ({"/lib/libz.so.drop": ""}, "/lib/libz.so.1.*"),
        ({"/lib/libz.so.1.2.drop": ""}, None),
    ],
)
def test_a_pattern_matches_nothing_but_what_is_kept(
    tmp_path: Path, others: Tree, pattern: str | None
) -> None:
    (copy,) = lasting(tmp_path, {**MANY, "/lib/libz.so.1.2.3": "z", **others}).plain
    assert copy.patterns.get("/lib/libz.so.1.2.3") == pattern


def test_a_distributions_metadata_is_gathered_by_pattern(tmp_path: Path) -> None:
    info = "/lib/flask-3.0.dist-info"
    copies = lasting(
        tmp_path,
        {**MANY, f"{info}/METADATA": "m", f"{info}/licenses/LICENSE": "l", "/lib/flask/a.py": ""},
    )
    assert gathered_paths(copies) == {f"{info}/METADATA", f"{info}/licenses/LICENSE"}
    gathered = copies.gathered.patterns
    assert gathered[f"{info}/METADATA"] == "/lib/flask-*.dist-info/*"
    assert gathered[f"{info}/licenses/LICENSE"] == "/lib/flask-*.dist-info/licenses/*"
    assert gathered[info] == "/lib/flask-*.dist-info"


def test_the_pattern_of_one_distribution_is_not_anothers(tmp_path: Path) -> None:
    tree: Tree = {**MANY, "/lib/a-1.dist-info/M": "", "/lib/a-2drop.dist-info/M": ""}
    copies = lasting(tmp_path, tree)
    assert copies.gathered.patterns == {}
    assert gathered_paths(copies) == {"/lib/a-1.dist-info/M"}


def test_what_the_app_may_add_to_comes_by_directory(tmp_path: Path) -> None:
    few = lasting(tmp_path, {**MANY, "/lib/app/main.py": "", "/lib/mine": File("", uid=7)})
    assert "/lib/app" in {copy.sources[0] for copy in few.plain if copy.is_directory}


def test_a_hidden_file_is_not_lost_to_a_star(tmp_path: Path) -> None:
    info = "/lib/a-1.0.dist-info"
    copies = lasting(tmp_path, {**MANY, f"{info}/M": "", f"{info}/.hidden": ""})
    assert copies.gathered.patterns[f"{info}/.hidden"] == "/lib/a-*.dist-info/.hidden"


@pytest.mark.parametrize(
    "path, optional",
    [
        ("/usr/share/doc/libz1/copyright", True),
        ("/usr/lib/python3/site-packages/a-1.dist-info/LICENSE", True),
        ("/usr/lib/libz.so.1", False),
        ("/usr/share/docs/x", False),
    ],
)
def test_what_a_later_version_may_lack(path: str, optional: bool) -> None:
    assert may_vanish(path) is optional


def test_what_may_be_gone_stops_no_build(tmp_path: Path) -> None:
    others = {f"/usr/share/doc/drop-{n}": "x" for n in range(200)}
    copies = lasting(tmp_path, {**MANY, **others, "/usr/share/doc/a/copyright": "a"})
    assert plain_sources(copies) == set()
    assert gathered_paths(copies) == {"/usr/share/doc/a/copyright"}


def test_what_is_copied_by_name_is_looked_for_first(tmp_path: Path) -> None:
    text = dockerfile_of(tmp_path, b"FROM a\n")
    check = text.index("    check \\\n") if "    check \\\n" in text else text.index("check ./")
    assert check < text.index("COPY --from=base")
    assert "is not in this build any more" in text


def test_options_that_do_not_go_together(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["rewrite", "x.tar", "--target", "web"]) == UsageError.exit_code
    source = tmp_path / "Dockerfile"
    assert run(["rewrite", "x.tar", "--source", str(source)]) == UsageError.exit_code
    source.write_text("FROM a\n")
    command = ["rewrite", "x.tar", "--source", str(source), "--build", "-t", "x"]
    assert run(command) == UsageError.exit_code
    assert "docker build -f" in capsys.readouterr().err


def test_a_source_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM a\r\n")
    assert load_source(str(tmp_path / "Dockerfile")).newline == "\r\n"
