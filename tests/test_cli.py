"""The command line as a user meets it: output, errors, exit codes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from imgslim import errors
from imgslim.cli.app import run
from imgslim.cli.overview import COMMANDS, OVERVIEW
from imgslim.errors import OutputError
from imgslim.output import write_output
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.worlds import File, Tree, tar_bytes

TREE: Tree = {
    "/app/main": File("#!/bin/sh\necho $0\n", mode=0o755),
    "/app/data.txt": "of the app",
    "/bin/sh": File(elf(), mode=0o755),
    "/root/.cache/pip/http/x": File(b"c" * 5000),
}


def write_archive(
    path: Path, *trees: Tree, entrypoint: tuple[str, ...] = ("/app/main",), tag: str = "app:latest"
) -> Path:
    """A `docker save` archive of the old layout."""
    layers = [tar_bytes(tree) for tree in trees or (TREE,)]
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/bin:/app"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created_by": f"COPY {n}"} for n, _ in enumerate(layers)],
    }
    blob = json.dumps(config).encode()
    name = f"{hashlib.sha256(blob).hexdigest()}.json"
    members: dict[str, bytes] = {
        f"{d}/layer.tar": layer for d, layer in zip(digests, layers, strict=True)
    }
    rows: list[dict[str, Any]] = [
        {"Config": name, "RepoTags": [tag], "Layers": [f"{digest}/layer.tar" for digest in digests]}
    ]
    members |= {name: blob, "manifest.json": json.dumps(rows).encode()}
    with tarfile.open(path, "w") as archive:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "app.tar")


def imgslim(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imgslim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# ------------------------------------------------------------------- help


def test_the_overview_names_every_command_and_every_exit_code() -> None:
    for name, line in COMMANDS.items():
        assert f"  {name:<9}{line}" in OVERVIEW
        assert f"  imgslim {name} " in OVERVIEW or f"| imgslim {name} " in OVERVIEW
    codes = {cls.exit_code for cls in vars(errors).values() if isinstance(cls, type)}
    for code in codes:
        assert re.search(rf"(^|\s){code}[ ,] ", OVERVIEW), f"exit code {code} is not in --help"
    assert OVERVIEW.isascii() and max(map(len, OVERVIEW.splitlines())) <= 80


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_comes_without_the_libraries_that_only_work_needs(option: str) -> None:
    code = (
        "import sys; sys.argv = ['imgslim', sys.argv[1]]; from imgslim.cli.main import main; main()"
        "; sys.exit(sorted({'click', 'rich', 'docker', 'tarfile', 're'} & set(sys.modules)) or 0)"
    )
    # -S: what else is installed may import anything at start.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, option],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
    )
    assert (done.stdout, done.stderr, done.returncode) == (OVERVIEW, "", 0)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "check"])
def test_a_command_that_only_says_how_it_is_used_loads_no_other(command: str) -> None:
    """But for check, whose help lists the kinds of an audit."""
    code = (
        "import sys; from imgslim.cli.app import run"
        f"; run(['{command}', '--help'])"
        "; heavy = {'imgslim.audit', 'imgslim.plan', 'imgslim.runtimes', 'docker', 'tarfile'}"
        "; sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_teaches_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Examples:" in shown and f"imgslim {name} " in shown.split("Examples:")[1]
    assert shown.startswith(f"Usage: imgslim {name} [OPTIONS] IMAGE")


def test_without_a_command_the_overview_is_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert capsys.readouterr() == ("", OVERVIEW)


def test_the_shell_completes_commands() -> None:
    environment = os.environ | {
        "_IMGSLIM_COMPLETE": "bash_complete",
        "COMP_WORDS": "imgslim re",
        "COMP_CWORD": "1",
    }
    assert imgslim("re", env=environment).stdout == "plain,rewrite\n"


# ------------------------------------------------------------------- output


def test_analyze_prints_a_table_for_people(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["analyze", str(archive)]) == 0
    shown = capsys.readouterr()
    assert "app:latest" in shown.out and "/app/main" in shown.out
    assert "\x1b" not in shown.out
    assert shown.err == "", "no bar and no note where nobody watches"


def test_analyze_prints_json_for_programs(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["analyze", str(archive), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == 1
    paths = {row["path"] for row in document["plan"]["keeps"]}
    assert {"/app/main", "/app/data.txt"} <= paths
    assert "/root/.cache/pip/http/x" not in paths


def test_rewrite_gives_the_dockerfile_to_stdout_and_words_to_stderr(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rewrite", str(archive)]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert any(line.startswith("FROM app:latest AS ") for line in lines)
    assert 'ENTRYPOINT ["/app/main"]' in lines
    assert "app:latest: " in shown.err and "less" in shown.err
    assert run(["rewrite", str(archive), "--quiet"]) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (shown.out, ""), "the same text on every run"


def test_audit_weighs_also_what_cannot_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = "Package: a\nStatus: install ok installed\nVersion: 1\n\n"
    tree = {**TREE, "/var/lib/dpkg/status": status}
    archive = write_archive(tmp_path / "app.tar", tree, {"/app/.wh.data.txt": ""}, entrypoint=())
    assert run(["audit", str(archive)]) == 0
    shown = capsys.readouterr()
    assert "10 B" in shown.out and "deleted by 1 COPY 1" in shown.out
    assert shown.err.startswith("imgslim: note: nothing is marked as needed")


def test_colour_is_asked_for_or_of_a_terminal(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["analyze", str(archive), "--color", "always"]) == 0
    assert "\x1b[" in capsys.readouterr().out


def test_an_output_file_is_written_whole_and_not_over_another(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "Dockerfile"
    assert run(["rewrite", str(archive), "-q", "-o", str(target)]) == 0
    assert capsys.readouterr() == ("", "")
    first = target.read_text()
    assert run(["rewrite", str(archive), "-q", "-o", str(target)]) == OutputError.exit_code
    assert "exists already" in capsys.readouterr().err
    assert run(["rewrite", str(archive), "-q", "-o", str(target), "--force"]) == 0
    assert target.read_text() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Dockerfile", "app.tar"]


def test_output_keeps_bytes_modes_and_links(tmp_path: Path) -> None:
    old_mask = os.umask(0o027)
    try:
        write_output("COPY caf\udce9 é\n", str(tmp_path / "new"), force=False)
    finally:
        os.umask(old_mask)
    assert (tmp_path / "new").read_bytes() == b"COPY caf\xe9 \xc3\xa9\n"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o600)
    (tmp_path / "link").symlink_to("new")
    write_output("x", str(tmp_path / "link"), force=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "new").read_text() == "x"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    write_output("x", os.devnull, force=False)


# ------------------------------------------------------------------- errors


BAD_INPUTS: dict[str, tuple[list[str], int]] = {
    "no such option": (["analyze", "good.tar", "--fast"], 2),
    "no such command": (["slim", "good.tar"], 2),
    "no image": (["analyze"], 2),
    "a build without a name": (["rewrite", "good.tar", "--build"], 2),
    "a name without a build": (["rewrite", "good.tar", "-t", "x"], 2),
    "no engine": (["analyze", "docker-daemon:app:latest"], 3),
    "no such archive": (["analyze", "docker-archive:none.tar"], 4),
    "not an archive": (["analyze", "docker-archive:text"], 5),
    "truncated": (["analyze", "cut.tar"], 5),
    "entrypoint missing": (["analyze", "gone.tar"], 8),
    "output exists": (["analyze", "good.tar", "-o", "good.tar"], 9),
    "output in no directory": (["analyze", "good.tar", "-o", "no/x"], 9),
    "output is a directory": (["analyze", "good.tar", "-o", "."], 9),
}


def write_bad_inputs(folder: Path) -> None:
    good = write_archive(folder / "good.tar")
    (folder / "text").write_text("not an archive\n" * 100)
    (folder / "cut.tar").write_bytes(good.read_bytes()[:12_000])
    write_archive(folder / "gone.tar", entrypoint=("/app/gone",))


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_gets_one_line_a_hint_and_its_exit_code(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.chdir(tmp_path)
    write_bad_inputs(tmp_path)
    arguments, exit_code = BAD_INPUTS[case]
    assert run(arguments) == exit_code
    shown = capsys.readouterr()
    assert shown.out == ""
    first, *rest = shown.err.splitlines()
    assert first.startswith("imgslim: error: ")
    assert len(rest) == 1 and rest[0].startswith("  hint: ")


def test_an_unforeseen_fault_is_one_line_with_a_way_to_the_traceback(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the moon\nis full")

    monkeypatch.setattr("imgslim.pipeline.derive_plan", fail)
    assert run(["analyze", str(archive)]) == 1
    first, hint = capsys.readouterr().err.splitlines()
    assert first == "imgslim: error: unexpected RuntimeError: the moon"
    assert "IMGSLIM_DEBUG=1" in hint
    monkeypatch.setenv("IMGSLIM_DEBUG", "1")
    assert run(["analyze", str(archive)]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    many: Tree = {f"/app/{n:05}": "x" for n in range(5000)} | dict(TREE)
    archive = write_archive(tmp_path / "app.tar", many)
    command = [sys.executable, "-m", "imgslim", "analyze", str(archive), "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    command = [sys.executable, "-m", "imgslim", "analyze", "-"]
    environment = os.environ | {"TMPDIR": str(spool)}
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=False,
    ) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(bytes(100_000))
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while not list(spool.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(spool.iterdir()), "standard input is spooled"
        time.sleep(0.5)  # until it waits for more: a signal on the way there would wait, too
        process.send_signal(number)
        error = process.stderr.read().decode()
    assert process.returncode == 128 + number
    assert "Traceback" not in error
    assert list(spool.iterdir()) == []


def test_a_file_named_as_a_path_is_read_as_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("no archive\n")
    assert run(["analyze", "./text"]) == 5
    assert "./text" in capsys.readouterr().err


def test_rewrite_says_what_no_dockerfile_can_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = Made(
        layers=({"/srv/app": File(elf(), mode=0o755)},),
        config={"Entrypoint": ["/srv/app"], "Env": ["KEY=two\nlines"]},
    )
    archive = docker_archive(tmp_path / "image.tar", image)
    assert run(["rewrite", str(archive), "--verbose"]) == 0
    shown = capsys.readouterr()
    assert "KEY" not in shown.out
    assert "KEY" in shown.err
