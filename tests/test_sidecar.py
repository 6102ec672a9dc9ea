"""An image without a shell: what no COPY line brings comes in a tar beside the Dockerfile."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from imgslim.archive.sidecar import sidecar_tar
from imgslim.cli.app import run
from imgslim.copyplan import MAX_COPIES, plan_copies
from imgslim.copyplan.steps import CopyPlan
from imgslim.dockerfile import dockerfile_problems, render_dockerfile, sidecar_keeps
from imgslim.errors import UnsupportedImageError, UsageError
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.engines import nodes_of, read_nodes
from tests.test_copyplan import CAPABLE, TOOLS, plan_of
from tests.worlds import Dir, File, Link, Special, Tree, make_image, make_world

ODD: Tree = {
    "/app": Dir(mtime=1_500_000_000),
    "/app/server": File("static", mode=0o4755),
    "/app/data": File("data", mode=0o640, uid=1000, gid=2000),
    "/app/current": Link("data", mtime=900_000_000),
    "/app/nowhere": Link("../no where"),
    "/app/one": File("linked", mode=0o600, uid=7, mtime=800_000_000),
    "/app/two": File(hard_link="/app/one"),
    "/app/capable": File("c", mode=0o755, xattrs=CAPABLE),
    "/app/queue": Special(tarfile.FIFOTYPE, mode=0o622),
    "/app/null": Special(tarfile.CHRTYPE, 1, 3, mode=0o666),
    '/app/qu"ote': "q",
    "/app/new\nline\n": "n",
    "/app/x\udcffraw": "r",
    "/app/gone": "not kept",
    "/run/state": Dir(mode=0o1777, mtime=1_400_000_000.5),
    "/whole/a": "a",
    "/whole/b/link": Link("../a"),
    "/whole/b": Dir(mode=0o2750, uid=33, gid=33),
}


def keeps(path: str) -> bool:
    return path != "/app/gone"


def planned(
    folder: Path, tree: Tree, keeps: Callable[[str], bool] = keeps, sidecar: str = "Dockerfile.tar"
) -> tuple[CopyPlan, str, bytes]:
    """The steps, the Dockerfile's text, and the tar beside it."""
    world, image = make_world(folder, tree), make_image(folder, [tree])
    plan = plan_of(world.rootfs, keeps)
    text = render_dockerfile(image, world.rootfs, plan, sidecar=sidecar)
    tar = sidecar_tar(sidecar_keeps(image, world.rootfs, plan), world.rootfs)
    return plan_copies(image, world.rootfs, plan), text, b"".join(tar)


def sources(copies: CopyPlan) -> set[str]:
    return {source for copy in copies.plain for source in copy.sources}


def test_what_copy_brings_exactly_is_copied_and_the_rest_is_in_the_tar(tmp_path: Path) -> None:
    copies, _, tar = planned(tmp_path, ODD)
    assert sources(copies) == {"/app/server", "/app/data", "/whole"}
    members = read_nodes(tar)
    world = make_world(tmp_path, ODD)
    directories = {"/app", "/run", "/run/state", "/whole"}
    assert set(members) == directories | {
        path for path in ODD if path.startswith("/app/") and keeps(path)
    } - sources(copies)
    expected = nodes_of(e for path, e in world.rootfs.entries.items() if path in members)
    assert members == expected
    assert members["/app/two"].links == ("/app/one",)
    assert members["/app/capable"].capability == CAPABLE[0][1]
    assert (members["/run/state"].mode, members["/run/state"].mtime) == (0o1777, 1_400_000_000)
    assert copies.problems == ()


def test_further_names_of_a_file_carry_its_owner_time_and_capability(tmp_path: Path) -> None:
    """Builders set what each header says, on the file that all its names lead to."""
    tree: Tree = {
        "/app/one": File("c", mode=0o755, uid=7, mtime=800_000_000.25, xattrs=CAPABLE),
        "/app/two": File(hard_link="/app/one"),
        "/app/gone": "",
    }
    _, _, tar = planned(tmp_path, tree)
    with tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as archive:
        one, two = archive.getmember("app/one"), archive.getmember("app/two")
    assert two.islnk() and two.linkname == "app/one"
    assert (
        (two.mode, two.uid, two.mtime) == (one.mode, one.uid, one.mtime) == (0o755, 7, 8e8 + 0.25)
    )
    assert two.pax_headers == one.pax_headers
    assert "SCHILY.xattr.security.capability" in two.pax_headers


def test_the_tar_is_added_last_and_by_a_name_that_builders_take(tmp_path: Path) -> None:
    _, text, _ = planned(tmp_path, ODD)
    instructions = [line for line in text.splitlines() if line.startswith(("COPY", "ADD", "RUN"))]
    assert instructions[-1] == "ADD Dockerfile.tar /"
    assert all(line.startswith("COPY --from=base ") for line in instructions[:-1])
    _, text, _ = planned(tmp_path, ODD, sidecar="my $file.tar")
    assert 'ADD ["my \\\\$file.tar", "/"]' in text
    with pytest.raises(UsageError, match="name a file"):
        planned(tmp_path, ODD, sidecar="Dockerfile[1].tar")


def test_one_directory_that_copy_would_change_is_enough(tmp_path: Path) -> None:
    tree: Tree = {"/app/server": "x", "/tmp": Dir(mode=0o1777), "/app/gone": ""}
    copies, text, tar = planned(tmp_path, tree)
    assert sources(copies) == {"/app/server"}
    assert {path: node.mode for path, node in read_nodes(tar).items()} == {
        "/app": 0o755,
        "/tmp": 0o1777,
    }
    assert "ADD" in text


def test_where_copy_lines_suffice_there_is_no_tar(tmp_path: Path) -> None:
    copies, text, tar = planned(tmp_path, {"/app/server": "x", "/app/gone": ""}, sidecar="")
    assert read_nodes(tar) == {} and "ADD" not in text
    assert [problem.code for problem in copies.problems] == ["directory-times"]
    copies, text, _ = planned(tmp_path, {**TOOLS, **ODD})
    assert copies.sidecar.keeps == () and "ADD" not in text, "it has a shell"


def test_too_many_copy_lines_become_members_of_the_tar(tmp_path: Path) -> None:
    many: Tree = {f"/lib/{n:03}/{kind}": f"{n}" for n in range(150) for kind in ("kept", "gone")}
    copies, _, tar = planned(tmp_path, many, lambda path: path.endswith("/kept"))
    files = {path for path, node in read_nodes(tar).items() if node.kind == "file"}
    assert len(copies.plain) <= MAX_COPIES
    assert sources(copies) | files == {path for path in many if path.endswith("/kept")}
    assert sources(copies).isdisjoint(files)


def test_beside_standard_output_there_is_no_place_for_a_tar(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImageError, match="/app/capable") as caught:
        planned(tmp_path, ODD, sidecar="")
    assert "-o Dockerfile.slim" in caught.value.hint and "-o slim.tar" in caught.value.hint


APP: Tree = {
    "/app/server": File(elf(static=True), mode=0o755),
    "/current": Link("app/server"),
    "/usr/share/doc/app": "not needed",
    "/var/lib/app": Dir(mode=0o700, uid=65532, gid=65532),
}


def rewrite(fat: str, *arguments: str) -> int:
    return run(["rewrite", fat, "--drop", "/usr/share/doc", *arguments])


@pytest.fixture
def fat(tmp_path: Path) -> str:
    config = {"Entrypoint": ["/current"], "User": "65532", "WorkingDir": "/var/lib/app"}
    made = Made(layers=(APP,), config=config, tags=("shop:1",))
    return str(docker_archive(tmp_path / "fat.tar", made))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, the working one."""
    folder = tmp_path / "out folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_rewrite_writes_both_and_says_how_to_build(
    fat: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rewrite(fat, "-o", "Dockerfile.slim") == 0
    assert names(folder) == ["Dockerfile.slim", "Dockerfile.slim.tar"]
    assert "\nADD Dockerfile.slim.tar /\n" in (folder / "Dockerfile.slim").read_text()
    assert "/current" in read_nodes((folder / "Dockerfile.slim.tar").read_bytes())
    assert "build it with: docker build -f Dockerfile.slim .\n" in capsys.readouterr().err
    assert rewrite(fat, "-o", str(folder / "a b")) == 0
    assert f"docker build -f '{folder}/a b' '{folder}'\n" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["-", "/dev/null"])
def test_rewrite_to_what_has_no_folder_is_refused(
    fat: str, folder: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rewrite(fat, "-o", output) == 7
    out, err = capsys.readouterr()
    assert out == "" and names(folder) == []
    assert "/current" in err and "-o Dockerfile.slim" in err and "-o slim.tar" in err


def test_neither_is_written_over_another_without_force(
    fat: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("Dockerfile.slim.tar").write_bytes(b"the user's own")
    assert rewrite(fat, "-o", "Dockerfile.slim") != 0
    assert "Dockerfile.slim.tar exists already" in capsys.readouterr().err
    assert names(folder) == ["Dockerfile.slim.tar"]
    assert Path("Dockerfile.slim.tar").read_bytes() == b"the user's own"
    assert rewrite(fat, "-o", "Dockerfile.slim", "--force") == 0
    assert "/current" in read_nodes(Path("Dockerfile.slim.tar").read_bytes())


def test_a_tar_whose_dockerfile_cannot_be_placed_does_not_stay(
    fat: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_meanwhile(*arguments: object) -> list[bytes]:
        Path("Dockerfile.slim").write_text("the user's own")
        return [b"tar"]

    monkeypatch.setattr("imgslim.archive.sidecar.sidecar_tar", taken_meanwhile)
    assert rewrite(fat, "-o", "Dockerfile.slim") != 0
    assert names(folder) == ["Dockerfile.slim"]
    assert Path("Dockerfile.slim").read_text() == "the user's own"


def test_a_dockerfile_that_is_to_last_has_no_tar(
    fat: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files of today's image would stay as they are in next month's."""
    Path("Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    assert rewrite(fat, "--source", "Dockerfile", "-o", "Dockerfile.slim") == 7
    assert names(folder) == ["Dockerfile"]
    assert "drop --source" in capsys.readouterr().err


def test_what_is_left_out_of_a_dockerfile_that_is_to_last_is_in_no_tar_either(
    tmp_path: Path, folder: Path
) -> None:
    tree: Tree = {
        "/server": File(elf(static=True), mode=0o755),
        "/usr/share/doc/gone": "",
        "/var/lib/dpkg/status.d/app": "Package: app\nStatus: install ok installed\n",
        "/var/lib/dpkg/status.d/app.md5sums": f"{0:032x}  server\n{1:032x}  usr/share/doc/gone\n",
    }
    made = Made(layers=(tree,), config={"Entrypoint": ["/server"]}, tags=("shop:1",))
    fat = str(docker_archive(tmp_path / "fat.tar", made))
    Path("Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    assert rewrite(fat, "--source", "Dockerfile", "-o", "Dockerfile.slim") == 0
    assert names(folder) == ["Dockerfile", "Dockerfile.slim"]
    assert rewrite(fat, "-o", "Dockerfile.alone") == 0
    tar = read_nodes(Path("Dockerfile.alone.tar").read_bytes())
    assert tar["/var/lib/dpkg/status.d/app.md5sums"].size_bytes == 32 + len("  server\n")


def test_times_are_lost_only_where_no_tar_brings_them(tmp_path: Path) -> None:
    tree: Tree = {"/app/server": "x", "/app/gone": ""}
    world, image = make_world(tmp_path, tree), make_image(tmp_path, [tree])
    plan = plan_of(world.rootfs, keeps)
    replaced = frozenset({"/app/server"})
    assert [p.code for p in dockerfile_problems(image, world.rootfs, plan)] == ["directory-times"]
    assert dockerfile_problems(image, world.rootfs, plan, replaced) == ()
    members = [k.entry.path for k in sidecar_keeps(image, world.rootfs, plan, replaced)]
    assert members == ["/app", "/app/server"]
