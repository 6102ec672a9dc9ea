"""The built image equals the plan, entry by entry, on three builders: every kind of entry there is.

A torture tree is laid over a real Debian and a real Alpine; the plan keeps it with some of the
system and drops some of it. The result is read from the saved layers, not with imgslim's code.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from imgslim.dockerfile import dockerfile_problems, render_dockerfile
from imgslim.layers import load_layers
from imgslim.model import Drop, Entry, Group, Image, Keep, Origin, OriginKind, Plan
from imgslim.rootfs import Rootfs
from imgslim.sources import open_image
from imgslim.verify import Verification, verify_image
from imgslim.verify.allowed import foreseen
from imgslim.verify.digests import digests_of_keeps
from imgslim.verify.expected import Expected, expected_of
from tests import engines
from tests.engines import Nodes

pytestmark = pytest.mark.engine

ONBUILD_BASE = "debian:bookworm"

CAPABILITY = "0100000202040000000000000000000000000000"
"""cap_net_bind_service and cap_dac_override, effective (linux/capability.h, revision 2)."""

NAMES = (
    "sp ace", "dol$HOME", "${HOME}", "st*ar", 'qu"ote', "ap'os", "br[a]ck", "ha#sh", "-dash",
    "back\\slash", "end\\", "ünï", "a\tb", "q?m", "{a,b}", "~tilde", "a;b&c", "%41", "<<EOF",
    "new\nline", "x\udcffraw", "`id`", "$(id)", "!bang", "null", "a=b",
)  # fmt: skip


def add(
    archive: tarfile.TarFile,
    path: str,
    kind: bytes = tarfile.REGTYPE,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] = (0, 0),
    mtime: float = 1_600_000_000,
    content: bytes = b"",
    target: str = "",
    device: tuple[int, int] = (0, 0),
    capability: bool = False,
) -> None:
    member = tarfile.TarInfo(path.lstrip("/"))
    member.type, member.mode, member.mtime, member.linkname = kind, mode, mtime, target
    member.uid, member.gid = owner
    member.devmajor, member.devminor = device
    member.size = len(content)
    if capability:
        raw = bytes.fromhex(CAPABILITY).decode()
        member.pax_headers = {"SCHILY.xattr.security.capability": raw}
    archive.addfile(member, io.BytesIO(content))


def torture_tar(*, torn: bool = False) -> bytes:
    """Every kind of entry, with owners, modes and times that a careless copy changes.

    ``torn``: a hard link leads out of the directories, so that none can be copied by itself.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add_directories(tar)
        add_kinds(tar)
        add_names(tar)
        if torn:
            add(tar, "/torn/of", content=b"torn")
            for path in ("/t", "/t/plain", "/t/home", "/t/names", "/t/odd names"):
                add(tar, f"{path}/torn", tarfile.LNKTYPE, target="torn/of")
    return buffer.getvalue()


DIRECTORY, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def add_directories(tar: tarfile.TarFile) -> None:
    add(tar, "/t", DIRECTORY, mode=0o755, mtime=1_600_000_001)
    add(tar, "/t/plain", DIRECTORY, mode=0o755, mtime=1_500_000_000)
    add(tar, "/t/plain/old", content=b"old", mtime=1.25)
    add(tar, "/t/plain/fine", content=b"fine", mtime=1_400_000_000.987654)
    add(tar, "/t/plain/setuid", content=b"s", mode=0o6755)
    add(tar, "/t/plain/owned", content=b"o", mode=0o640, owner=(1000, 2000))
    add(tar, "/t/plain/dropped", content=b"dropped")
    add(tar, "/t/whole", DIRECTORY, mode=0o755, mtime=1_450_000_000)
    add(tar, "/t/whole/setgid", DIRECTORY, mode=0o2770, owner=(33, 33), mtime=1_300_000_000)
    add(tar, "/t/whole/setgid/x", content=b"xx")
    add(tar, "/t/whole/h1", content=b"inside")
    add(tar, "/t/whole/setgid/h2", HARD, target="t/whole/h1")
    add(tar, "/t/whole/capable", content=b"c1", mode=0o755, capability=True)
    add(tar, "/t/home", DIRECTORY, mode=0o750, owner=(1000, 1000), mtime=1_250_000_000)
    add(tar, "/t/home/.cache", DIRECTORY, mode=0o700, owner=(1000, 1000))
    add(tar, "/t/home/.cache/dropped", content=b"dropped", owner=(1000, 1000))
    add(tar, "/t/home/key", content=b"k", mode=0o600, owner=(1000, 1000))
    add(tar, "/t/home/link", LINK, target="key", owner=(1000, 1000), mtime=950_000_000)
    add(tar, "/t/sticky", DIRECTORY, mode=0o1777, mtime=1_200_000_000)
    add(tar, "/t/empty", DIRECTORY, mode=0o555, owner=(7, 8), mtime=1_000_000_000)
    add(tar, "/t/volume", DIRECTORY, mode=0o770, owner=(70, 70), mtime=1_050_000_000)
    add(tar, "/t/volume/data", content=b"data", owner=(70, 70), mode=0o600)
    add(tar, "/t/volume/link", LINK, target="data", mtime=900_000_005)
    add(tar, "/t/volume/dropped", content=b"dropped")


def add_kinds(tar: tarfile.TarFile) -> None:
    add(tar, "/t/big-ids", content=b"b", owner=(4_000_000, 5_000_000))
    add(tar, "/t/link", LINK, target="plain/old", mtime=900_000_000)
    add(tar, "/t/chain", LINK, target="link", mtime=900_000_001)
    add(tar, "/t/absolute", LINK, target="/t/plain/old", mtime=900_000_002)
    add(tar, "/t/dangling", LINK, target="no where", mtime=900_000_003, owner=(5, 6))
    add(tar, "/t/to-directory", LINK, target="plain", mtime=900_000_004)
    add(tar, "/t/linked", DIRECTORY, mode=0o755, mtime=1_150_000_000)
    add(tar, "/t/linked/one", content=b"across", mtime=800_000_000)
    add(tar, "/t/linked/kept", content=b"kept")
    add(tar, "/t/across", DIRECTORY, mode=0o755)
    add(tar, "/t/across/two", HARD, target="t/linked/one")
    add(tar, "/t/across/dropped", HARD, target="t/linked/one")
    add(tar, "/t/capable", content=b"c2", mode=0o755, capability=True)
    add(tar, "/t/capable too", HARD, target="t/capable")
    add(tar, "/t/fifo", tarfile.FIFOTYPE, mode=0o622, owner=(3, 0), mtime=700_000_000)
    add(tar, "/t/null", tarfile.CHRTYPE, mode=0o666, device=(1, 3), mtime=700_000_001)


def add_names(tar: tarfile.TarFile) -> None:
    add(tar, "/t/names", DIRECTORY, mode=0o755, mtime=1_100_000_000)
    add(tar, "/t/odd names", DIRECTORY, mode=0o755, mtime=1_110_000_000)
    for name in NAMES:
        raw = name.encode("utf-8", "surrogateescape")
        add(tar, f"/t/names/{name}", content=raw)
        add(tar, f"/t/names/link to {name}", LINK, target=name, mtime=600_000_000)
        add(tar, f"/t/odd names/{name}", DIRECTORY, mode=0o711, mtime=1_120_000_000)
        add(tar, f"/t/odd names/{name}/file", content=raw)
        add(tar, f"/t/odd names/{name}/dropped", content=raw)
    add(tar, "/t/names/dropped", content=b"dropped")


def keeps_path(path: str) -> bool:
    """The plan of these tests: the torture tree without ``dropped``, and a part of the system."""
    if path in {"/t", "/torn"} or path.startswith(("/t/", "/torn/")):
        return "dropped" not in path
    return path in {
        "/bin",
        "/lib",
        "/lib64",
        "/sbin",
        "/dev",
        "/proc",
        "/run",
        "/tmp",
        "/root",
    } or (
        path.startswith(("/etc/", "/lib/", "/usr/lib/os-release", "/var/"))
        and not path.startswith(("/etc/apt", "/etc/apk", "/lib/apk", "/var/lib", "/var/cache/apt"))
        and "/.wh." not in path
    )


def plan_of(rootfs: Rootfs, keeps: Callable[[str], bool]) -> Plan:
    kept = {path for path in rootfs.entries if keeps(path)} | {"/"}
    for path in tuple(kept):
        while path != "/":
            path = path.rpartition("/")[0] or "/"
            kept.add(path)
    entries = [rootfs.entries[path] for path in sorted(kept)]
    return Plan(
        programs=(),
        keeps=tuple(Keep(entry, Group.APP, reason_of(entry), "<test>") for entry in entries),
        drops=tuple(
            Drop(entry, Origin(OriginKind.PACKAGE))
            for path, entry in sorted(rootfs.entries.items())
            if path not in kept
        ),
        problems=(),
    )


def reason_of(entry: Entry) -> str:
    return f"files under /{entry.path.split('/')[1]}"


@contextmanager
def opened(tag: str) -> Iterator[tuple[Image, Rootfs]]:
    with open_image(f"docker-daemon:{tag}") as image:
        layers = load_layers(image)
        with Rootfs.of_layers(layers) as rootfs:
            yield image, rootfs


def expected_nodes(plan: Plan) -> Nodes:
    """What the plan says of every kept entry but the root, which no layer of a build carries."""
    return engines.nodes_of(keep.entry for keep in plan.keeps if keep.entry.path != "/")


def comparable(nodes: Nodes, builder: str) -> Nodes:
    """What of an image can be compared: the root is in no layer of a build."""
    nodes = {path: node for path, node in nodes.items() if path != "/"}
    return engines.without_directory_times(nodes) if builder == "buildkit" else nodes


def expected_image(image: Image, rootfs: Rootfs, plan: Plan) -> Expected:
    """What ``imgslim verify`` is told of the plan."""
    said = (*dockerfile_problems(image, rootfs, plan), *foreseen(image, plan.keeps))
    return expected_of(image, plan, digests_of_keeps(rootfs, plan.keeps), said)


def verified(tag: str, expected: Expected) -> Verification:
    """What imgslim's own comparison says of a built image."""
    with opened(tag) as (image, rootfs):
        return verify_image(expected, image, rootfs)


ALLOWED = {
    "docker": {"base-label"},
    "buildah": {"base-label", "builder-label"},
    "buildkit": {"base-label", "builder-times"},
}
"""What may differ: where the image comes from, buildah's label, BuildKit's times of directories."""


VARIANTS: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "debian": ("debian:bookworm", False, ()),
    "debian-torn": ("debian:bookworm", True, ()),
    "debian-torn-without-tar": ("debian:bookworm", True, ("RUN rm /usr/bin/tar",)),
    "alpine": ("alpine:3.18", False, ()),
    "alpine-torn": ("alpine:3.18", True, ()),
}


@pytest.fixture(scope="module", params=VARIANTS)
def torture_image(request: pytest.FixtureRequest) -> Iterator[str]:
    base, torn, lines = VARIANTS[request.param]
    if not engines.has_image(base):
        pytest.skip(f"no image {base}; .ci/bases makes it, or: docker pull {base}")
    tag = f"imgslim-test-torture-{request.param}:latest"
    engines.import_over(base, torture_tar(torn=torn), tag, (*lines, *CHANGES))
    yield tag
    engines.remove_image(tag)


CHANGES = (
    "VOLUME /t/volume",
    "ENV LD_PRELOAD=/nowhere.so TAR_OPTIONS=--nonsense PATH=/nowhere",
    "USER 1000",
    'ENTRYPOINT ["/t/plain/old"]',
)


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_the_built_image_is_the_plan(builder: str, torture_image: str) -> None:
    engines.require_builder(builder)
    with opened(torture_image) as (image, rootfs):
        plan = plan_of(rootfs, keeps_path)
        text = render_dockerfile(image, rootfs, plan)
        wanted = expected_image(image, rootfs, plan)
    tag = f"imgslim-test-slim-{builder}:latest"
    try:
        engines.build(builder, text, tag, [torture_image])
        built = comparable(engines.saved_tree(tag), builder)
        size_bytes = engines.layers_size_bytes(tag)
        result = verified(tag, wanted)
    finally:
        engines.remove_image(tag)
    expected = comparable(expected_nodes(plan), builder)
    assert sorted(set(expected) - set(built)) == [], "missing"
    assert sorted(set(built) - set(expected)) == [], "too much"
    assert {p: (built[p], expected[p]) for p in built if built[p] != expected[p]} == {}
    assert size_bytes == plan.slim_size_bytes, "something is stored twice"
    assert result.differences == ()
    assert {allowance.code for allowance in result.allowances} <= ALLOWED[builder]


@pytest.mark.parametrize("builder", engines.BUILDERS)
def test_triggers_of_the_fat_image_do_not_fire(builder: str) -> None:
    engines.require_builder(builder)
    base, fat, tag = (
        ONBUILD_BASE,
        "imgslim-test-onbuild:latest",
        f"imgslim-test-onbuilt-{builder}:latest",
    )
    if not engines.has_image(base):
        pytest.skip(f"no image {base}; .ci/bases makes it, or: docker pull {base}")
    changes = ("ONBUILD RUN exit 3", "ONBUILD COPY missing /missing", 'CMD ["/bin/true"]')
    engines.import_over(base, torture_tar(), fat, changes)
    try:
        with opened(fat) as (image, rootfs):
            plan = plan_of(rootfs, lambda path: path.startswith("/t/whole"))
            text = render_dockerfile(image, rootfs, plan)
        engines.build(builder, text, tag, [fat])
        assert engines.image_config(tag)["OnBuild"] == [
            "RUN exit 3",
            "COPY missing /missing",
        ]
        built = comparable(engines.saved_tree(tag), builder)
        assert built == comparable(expected_nodes(plan), builder)
    finally:
        engines.remove_image(tag, fat)
