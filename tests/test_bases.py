"""The slim image upon another: what that holds is not copied, what cannot run there is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from imgslim.bases import Base, Overlay, built_keeps, lay_over
from imgslim.bases.proposals import Candidate, Proposal, compare_bases, possible_bases
from imgslim.bases.undone import config_problems_of_base, resets
from imgslim.dockerfile import render_on_base
from imgslim.dockerfile.source import parse_source, with_named_stage
from imgslim.errors import BaseImageError, UnsupportedImageError
from imgslim.layers import load_layers
from imgslim.model import Healthcheck, ImageConfig, Plan, Platform
from imgslim.provenance_labels import BASE_DIGEST, BASE_NAME
from imgslim.reports.bases import render_proposals
from imgslim.rootfs import Rootfs
from tests.test_copyplan import TOOLS, plan_of
from tests.worlds import MTIME, Dir, File, Link, Tree, make_image

LATER = MTIME + 5


def kept(path: str) -> bool:
    return not path.startswith("/usr/bin") and "drop" not in path


def opened(folder: Path, tree: Tree, config: ImageConfig | None = None) -> Base:
    folder.mkdir(exist_ok=True)
    image = make_image(folder, [tree], config)
    layers = load_layers(image)
    rootfs = Rootfs.of_layers(layers)
    return Base(image, rootfs, sum(layer.size_bytes for layer in layers))


def overlay_of(
    tmp_path: Path, tree: Tree, base: Tree, keeps: Callable[[str], bool] = kept
) -> tuple[Overlay, Plan]:
    fat = opened(tmp_path / "fat", {**TOOLS, **tree})
    plan = plan_of(fat.rootfs, keeps)
    return lay_over(fat.image, fat.rootfs, plan, opened(tmp_path / "base", base)), plan


def copied(overlay: Overlay) -> set[str]:
    return {keep.entry.path for keep in overlay.plan.keeps if not keep.entry.is_directory}


@pytest.mark.parametrize(
    "ours, theirs, is_held",
    [
        (File("x"), File("x"), True),
        (File("x"), File("x", mtime=LATER), True),
        (File("x"), File("y"), False),
        (File("x"), File("xx"), False),
        (File("x"), File("x", mode=0o755), False),
        (File("x"), File("x", uid=1), False),
        (File("x"), File("x", gid=1), False),
        (File("x", xattrs=(("user.a", b"1"),)), File("x"), False),
        (File("x"), Link("y"), False),
        (Link("y"), Link("y", mtime=LATER), True),
        (Link("y"), Link("z"), False),
    ],
)
def test_what_is_identical_is_not_copied(
    tmp_path: Path, ours: File | Link, theirs: File | Link, is_held: bool
) -> None:
    overlay, _ = overlay_of(tmp_path, {"/lib/a": ours, "/lib/b": "b"}, {"/lib/a": theirs})
    assert ("/lib/a" in overlay.held) is is_held
    assert copied(overlay) == ({"/lib/b"} if is_held else {"/lib/a", "/lib/b"})
    assert ("/lib/a" in overlay.replaced) is not is_held


def test_a_source_must_have_the_time_that_its_bytecode_holds(tmp_path: Path) -> None:
    tree: Tree = {"/lib/a.py": "a", "/lib/__pycache__/a.cpython-311.pyc": "A", "/lib/b.py": "b"}
    base: Tree = {**tree, "/lib/a.py": File("a", mtime=LATER), "/lib/b.py": File("b", mtime=LATER)}
    overlay, _ = overlay_of(tmp_path, tree, base)
    assert copied(overlay) == {"/lib/a.py"}


def test_names_of_one_file_stay_one_file(tmp_path: Path) -> None:
    tree: Tree = {"/lib/a": "x", "/lib/b": File(hard_link="/lib/a")}
    same, _ = overlay_of(tmp_path, tree, tree)
    assert copied(same) == set()
    apart, _ = overlay_of(tmp_path, tree, {"/lib/a": "x", "/lib/b": "x"})
    assert copied(apart) == {"/lib/a", "/lib/b"}


def test_directories_come_with_what_is_copied_into_them(tmp_path: Path) -> None:
    tree: Tree = {"/a": Dir(), "/a/x": "x", "/b": Dir(mode=0o700), "/c": Dir(), "/c/y": "y"}
    base: Tree = {"/a": Dir(), "/b": Dir(), "/c": Dir(), "/c/y": "y"}
    overlay, _ = overlay_of(tmp_path, tree, base)
    assert {keep.entry.path for keep in overlay.plan.keeps} - {"/usr"} == {"/", "/a", "/a/x", "/b"}


def test_the_sum_is_the_base_and_what_is_copied(tmp_path: Path) -> None:
    overlay, plan = overlay_of(
        tmp_path, {"/lib/a": "1234", "/lib/b": "12345678"}, {"/lib/a": "1234", "/own": "123"}
    )
    assert (overlay.base.size_bytes, overlay.copied_bytes, overlay.size_bytes) == (7, 8, 15)
    assert plan.slim_size_bytes == 12


def test_the_result_has_the_bases_times_of_what_it_holds(tmp_path: Path) -> None:
    tree: Tree = {"/lib/a": "a", "/lib/b": "b"}
    overlay, plan = overlay_of(tmp_path, tree, {"/lib/a": File("a", mtime=LATER)})
    times = {keep.entry.path: keep.entry.mtime for keep in built_keeps(plan, overlay)}
    assert (times["/lib/a"], times["/lib/b"]) == (LATER, MTIME)


def refusal(tmp_path: Path, tree: Tree, base: Tree) -> str:
    with pytest.raises(BaseImageError) as caught:
        overlay_of(tmp_path, tree, base)
    return str(caught.value)


GLIBC: Tree = {"/lib64/ld-linux-x86-64.so.2": "g"}
MUSL: Tree = {"/lib/ld-musl-x86_64.so.1": "m"}


def test_programs_of_one_c_library_do_not_go_over_another(tmp_path: Path) -> None:
    assert "need glibc, it has musl" in refusal(tmp_path, GLIBC, MUSL)


@pytest.mark.parametrize(
    "ours, theirs", [(GLIBC, {**MUSL, **GLIBC}), (GLIBC, {"/x": ""}), ({}, MUSL)]
)
def test_a_base_with_the_c_library_or_none_is_fine(
    tmp_path: Path, ours: Tree, theirs: Tree
) -> None:
    overlay_of(tmp_path, {**ours, "/app": "a"}, theirs)


def test_another_python_of_the_same_prefix_is_refused(tmp_path: Path) -> None:
    ours: Tree = {"/usr/local/lib/python3.11/os.py": ""}
    theirs: Tree = {"/usr/local/lib/python3.12/os.py": ""}
    assert "Python 3.11 in /usr/local, it has 3.12 there" in refusal(tmp_path, ours, theirs)


def test_another_python_elsewhere_is_fine(tmp_path: Path) -> None:
    ours: Tree = {"/usr/local/lib/python3.11/os.py": ""}
    overlay_of(tmp_path, ours, {"/usr/lib/python3.12/os.py": ""})


@pytest.mark.parametrize(
    "ours, theirs, words",
    [
        ({"/bin": Link("usr/bin"), "/app": ""}, {"/bin/x": ""}, "/bin is a directory there"),
        ({"/bin/x": ""}, {"/bin": Link("usr/bin")}, "/bin is a symlink there"),
        ({"/srv": ""}, {"/srv/x": ""}, "/srv is a directory there and a file"),
    ],
)
def test_a_link_for_a_directory_is_refused(
    tmp_path: Path, ours: Tree, theirs: Tree, words: str
) -> None:
    assert words in refusal(tmp_path, ours, theirs)


def test_another_platform_is_refused(tmp_path: Path) -> None:
    fat = opened(tmp_path / "fat", {**TOOLS, "/app": "a"})
    base = opened(tmp_path / "base", {"/x": ""})
    base = replace(base, image=replace(base.image, platform=Platform("linux", "arm64", "v8")))
    with pytest.raises(BaseImageError, match="it is linux/arm64/v8, the image linux/amd64"):
        lay_over(fat.image, fat.rootfs, plan_of(fat.rootfs, kept), base)


BUSY = ImageConfig(
    entrypoint=("/e",), cmd=("c",), env=(("A", "1"), ("B", "2")), working_dir="/w", user="u",
    exposed_ports=("80/tcp",), volumes=("/v",), labels=(("l", "1"),), stop_signal="SIGQUIT",
    healthcheck=Healthcheck(("CMD", "x")), shell=("/bin/bash", "-c"), on_build=("RUN x",),
)  # fmt: skip


def test_what_the_base_sets_is_set_back_or_said(tmp_path: Path) -> None:
    config = ImageConfig(env=(("A", "3"),))
    assert resets(config, BUSY) == [
        "HEALTHCHECK NONE",
        'SHELL ["/bin/sh", "-c"]',
        "STOPSIGNAL SIGTERM",
        "WORKDIR /",
        "USER 0",
        "ENTRYPOINT []",
        "CMD []",
    ]
    said = [problem.message for problem in config_problems_of_base(config, BUSY)]
    words = ["variable B", "label l", "volume /v", "port 80/tcp", "ONBUILD RUN x"]
    assert len(said) == len(words)
    assert all(word in message for word, message in zip(words, said, strict=True))
    calm = replace(BUSY, on_build=())
    assert resets(BUSY, BUSY) == [] and config_problems_of_base(BUSY, calm) == ()


def test_a_database_that_takes_the_bases_place_is_said(tmp_path: Path) -> None:
    fat = opened(tmp_path / "fat", {**TOOLS, "/var/lib/dpkg/status": "abc"})
    plan = plan_of(fat.rootfs, kept)
    cut = tuple(replace(keep, content=b"a") if keep.entry.is_file else keep for keep in plan.keeps)
    base = opened(tmp_path / "base", {"/var/lib/dpkg/status": "abc"})
    overlay = lay_over(fat.image, fat.rootfs, replace(plan, keeps=cut), base)
    assert [problem.code for problem in overlay.problems] == ["database-of-base"]
    (tmp_path / "cut").mkdir()
    same = opened(tmp_path / "cut", {"/var/lib/dpkg/status": "a"})
    assert lay_over(fat.image, fat.rootfs, replace(plan, keeps=cut), same).problems == ()


def test_the_dockerfile_is_built_upon_the_base(tmp_path: Path) -> None:
    tree: Tree = {"/lib/a": "a", "/lib/b": "b", "/lib/c": "c"}
    fat = opened(tmp_path / "fat", {**TOOLS, **tree})
    base = opened(tmp_path / "base", {"/lib/a": "a", "/lib/b": Link("other")}, BUSY)
    base = replace(base, image=replace(base.image, reference="slim:1", tags=("slim:1",)))
    overlay = lay_over(fat.image, fat.rootfs, plan_of(fat.rootfs, kept), base)
    text = render_on_base(fat.image, fat.rootfs, overlay)
    assert "\nFROM slim:1\n" in text and "FROM scratch" not in text
    final = text.split("FROM slim:1\n")[1]
    assert "/lib/a" not in text, "it is there"
    assert "COPY --from=base /lib/c /lib/" in final
    assert "/lib/b" not in final, "a COPY that names it would write through the base's link"
    assert "./lib/b" in text
    assert final.index("USER 0") > final.index("COPY --from=gathered")


def candidate(name: str, size_bytes: int, *diff_ids: str) -> Candidate:
    return Candidate(name, f"id of {name}", size_bytes, diff_ids)


def test_the_smallest_sum_is_proposed_and_no_larger_image_opened() -> None:
    sizes = {"small": (10, 90), "middle": (40, 20), "large": (60, 0)}
    asked: list[str] = []

    def weigh(reference: str) -> tuple[int, int]:
        asked.append(reference)
        if reference == "odd":
            raise BaseImageError("odd cannot be the base: it is odd")
        return sizes[reference]

    named = {**{name: base for name, (base, _) in sizes.items()}, "odd": 5}
    found = compare_bases([candidate(*row) for row in named.items()], weigh)
    assert [(one.reference, one.size_bytes, one.reason) for one in found] == [
        ("middle", 60, ""),
        ("small", 100, ""),
        ("odd", 5, "it is odd"),
    ]
    assert asked == ["odd", "small", "middle"], "large alone is as large as the best sum"


def test_which_images_are_compared() -> None:
    rows = [
        candidate("fat", 900, "a", "b", "c"),
        candidate("built upon fat", 950, "a", "b", "c", "d"),
        candidate("its base", 800, "a", "b"),
        candidate("other", 800, "x"),
        candidate("small", 90, "y"),
        candidate("forked", 800, "a", "z"),
    ]
    found = possible_bases(rows, "id of fat", ("a", "b", "c"), 100)
    assert [one.reference for one in found] == ["its base", "small"]


def test_the_comparison_is_a_table_with_the_reasons(tmp_path: Path) -> None:
    plan = plan_of(opened(tmp_path, {"/app": "x" * 2000}).rootfs, kept)
    rows = [Proposal("slim:1", 1500, 500), Proposal("alpine:3", 7000, reason="it has musl")]
    assert render_proposals(rows, plan).splitlines() == [
        "base      its bytes  copied     sum",
        "slim:1       1.5 kB   500 B  2.0 kB",
        "alpine:3     7.0 kB                  it has musl",
        "scratch         0 B  2.0 kB  2.0 kB",
    ]


COREUTILS: Tree = {
    f"/usr/bin/{name}": File("x", mode=0o755) for name in ("readlink", "sha256sum", "stat")
}


def behind(folder: Path, tree: Tree, base: Tree, users: bytes, volume: str = "/v") -> str:
    """The Dockerfile behind the user's own, upon a base ``slim:1``."""
    config = ImageConfig(volumes=(volume,))
    fat = opened(folder / "fat", {**TOOLS, **tree}, config)
    below = opened(folder / "base", base, BUSY)
    below = replace(below, image=replace(below.image, reference="slim:1", tags=("slim:1",)))
    overlay = lay_over(fat.image, fat.rootfs, plan_of(fat.rootfs, kept), below)
    return render_on_base(fat.image, fat.rootfs, overlay, with_named_stage(parse_source(users)))


def test_behind_the_users_own_stages_it_is_built_upon_the_base_too(tmp_path: Path) -> None:
    users = b"# mine\nFROM --platform=linux/amd64 debian:12 AS Web\nFROM web AS compared\n"
    tree: Tree = {**COREUTILS, "/lib/a.so.1.2": "a", "/lib/b": "b", "/lib/c": "c", "/v/x": "x"}
    text = behind(tmp_path, tree, {"/lib/a.so.1.2": "a", "/v/x": "x"}, users)
    assert text.startswith(users.decode())
    assert "FROM scratch" not in text and "test:latest" not in text
    between, final = text.split("\nFROM --platform=linux/amd64 slim:1\n")
    stage = between.split("FROM compared AS compared-2\n")[1]
    assert "COPY --from=gathered /imgslim/ /imgslim/" in stage
    assert "COPY --from=slim:1 / /imgslim-base/" in stage
    assert "\n    changed ./lib/a.so.*\n" in stage, "as of that day"
    assert "\nCOPY --from=compared-2 /imgslim/ /\n" in final
    assert f"LABEL {BASE_NAME}=docker.io/library/slim:1" in final
    assert final.index("USER 0") < final.index("LABEL")


def test_what_nothing_can_compare_in_the_build_is_refused(tmp_path: Path) -> None:
    tree: Tree = {"/lib/a": "a", "/lib/b": "b"}
    with pytest.raises(UnsupportedImageError, match="no readlink and sha256sum and stat"):
        behind(tmp_path, tree, {"/lib/a": "a"}, b"FROM a\n")
    (tmp_path / "other").mkdir()
    text = behind(tmp_path / "other", tree, {"/lib/b": "other"}, b"FROM a\n")
    assert "compared" not in text, "nothing is held"


def test_the_labels_name_the_base_and_not_what_is_copied_over_it(tmp_path: Path) -> None:
    fat = opened(tmp_path / "fat", {**TOOLS, "/lib/a": "a"})
    base = opened(tmp_path / "base", {"/x": "x"})
    base = replace(base, image=replace(base.image, reference="me/b:2", tags=("me/b:2",)))
    overlay = lay_over(fat.image, fat.rootfs, plan_of(fat.rootfs, kept), base)
    text = render_on_base(fat.image, fat.rootfs, overlay)
    assert f"LABEL {BASE_NAME}=docker.io/me/b:2\n" in text
    assert f"LABEL {BASE_DIGEST}={base.image.image_id}\n" in text
    own = replace(fat.image, config=ImageConfig(labels=((BASE_NAME, "mine"),)))
    assert text.count(BASE_NAME) == 1 and "=mine" in render_on_base(own, fat.rootfs, overlay)
