"""A layer's tar in every dialect, and damaged in every way."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path

import pytest

from imgslim.errors import ArchiveError
from imgslim.layers import load_layers, normalise
from imgslim.model import Entry, Image, Kind, Layer
from tests.worlds import File, Tree, make_image, tar_bytes


def image_of(tmp_path: Path, data: bytes) -> Image:
    """An image of one layer, whose tar lies in the middle of a file."""
    from dataclasses import replace

    before = b"another layer's bytes" * 100
    path = tmp_path / "archive"
    path.write_bytes(before + data + b"\1" * 4096)
    image = make_image(tmp_path, [{}])
    blob = replace(
        image.layers[0], tar_path=str(path), tar_offset=len(before), tar_size_bytes=len(data)
    )
    return replace(image, layers=(blob,))


def load(tmp_path: Path, data: bytes) -> Layer:
    return load_layers(image_of(tmp_path, data))[0]


def tar(
    *members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT, **options
) -> bytes:  # type: ignore[no-untyped-def]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, **options) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def only(layer: Layer) -> Entry:
    (entry,) = layer.entries
    return entry


SPARSE_CONTENT = b"A" * 100 + bytes(3996) + b"B" * 200 + bytes(700)
_MAP = ((0, 100), (4096, 200))
_STORED = b"A" * 100 + b"B" * 200


def _gnu_sparse() -> bytes:
    data = bytearray(tar((member("sparse", type=tarfile.GNUTYPE_SPARSE), _STORED)))
    fields = b"".join(b"%011o\0%011o\0" % pair for pair in _MAP)
    data[386 : 386 + len(fields)] = fields
    data[483:495] = b"%011o\0" % len(SPARSE_CONTENT)
    data[257:265] = b"ustar  \0"
    # tarfile writes no content for a type that it does not know as regular.
    return _rechecked(data, len(_STORED))


def _rechecked(data: bytearray, size: int) -> bytes:
    data[124:136] = b"%011o\0" % size
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    content = _STORED.ljust(512, b"\0")
    return bytes(data[:512]) + content + bytes(1024)


def _pax_sparse(headers: dict[str, str], content: bytes = _STORED) -> bytes:
    return tar((member("sparse", pax_headers=headers), content))


_FLAT = ",".join(f"{start},{size}" for start, size in _MAP)
SPARSE_TARS = {
    "old GNU": _gnu_sparse(),
    "pax 0.1": _pax_sparse(
        {
            "GNU.sparse.size": str(len(SPARSE_CONTENT)),
            "GNU.sparse.numblocks": "2",
            "GNU.sparse.map": _FLAT,
        }
    ),
    "pax 1.0": _pax_sparse(
        {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "sparse",
            "GNU.sparse.realsize": str(len(SPARSE_CONTENT)),
        },
        b"2\n0\n100\n4096\n200\n".ljust(512, b"\0") + _STORED,
    ),
}


@pytest.mark.parametrize("dialect", SPARSE_TARS)
def test_sparse_members(tmp_path: Path, dialect: str) -> None:
    entry = only(load(tmp_path, SPARSE_TARS[dialect]))
    assert (entry.path, entry.size_bytes, entry.sparse) == ("/sparse", 5000 - 4, _MAP)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("usr/bin/env", "/usr/bin/env"),
        ("./usr/bin/env", "/usr/bin/env"),
        ("/usr//bin/./env/", "/usr/bin/env"),
        ("./", "/"),
        (".", "/"),
        ("", "/"),
        ("//", "/"),
        ("a/../../../etc/passwd", "/etc/passwd"),
        ("..", "/"),
        ("..data/x", "/..data/x"),
        (".hidden", "/.hidden"),
        ("./.hidden", "/.hidden"),
        ("usr/./bin", "/usr/bin"),
        ("a ", "/a "),
    ],
)
def test_names_are_normalised_and_stay_in_the_root(name: str, path: str) -> None:
    assert normalise(name) == path


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_odd_names(tmp_path: Path, format: int) -> None:
    names = ["d" * 90 + "/" + "f" * 90, "spa ce\nline", "caf\udce9"]
    if format != tarfile.USTAR_FORMAT:
        names.append("x/" * 200 + "y" * 150)
    data = tar(
        *((member(name), b"") for name in names),
        format=format,
        encoding="utf-8",
        errors="surrogateescape",
    )
    assert [entry.path for entry in load(tmp_path, data).entries] == ["/" + n for n in names]


def test_what_an_entry_knows(tmp_path: Path) -> None:
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\xff\n=\x00"
    info = member(
        "bin/ping",
        mode=0o104755,
        uid=3_000_000,
        gid=7,
        mtime=1_600_000_000.25,
        pax_headers={
            "SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape"),
            "SCHILY.xattr.user.b": "2",
            "comment": "no attribute",
        },
    )
    entry = only(load(tmp_path, tar((info, b"elf"))))
    assert (entry.kind, entry.mode, entry.uid, entry.gid) == (Kind.FILE, 0o4755, 3_000_000, 7)
    assert (entry.size_bytes, entry.mtime) == (3, 1_600_000_000.25)
    assert entry.xattrs == (("security.capability", capability), ("user.b", b"2"))


def test_devices_and_links(tmp_path: Path) -> None:
    data = tar(
        (member("dev/sda", type=tarfile.BLKTYPE, devmajor=8, devminor=1), b""),
        (member("l", type=tarfile.SYMTYPE, linkname="../../up"), b""),
        (member("h", type=tarfile.LNKTYPE, linkname="./dev/sda"), b""),
    )
    device, link, hard = load(tmp_path, data).entries
    assert (device.kind, device.device) == (Kind.BLOCK_DEVICE, (8, 1))
    assert (link.kind, link.link_target) == (Kind.SYMLINK, "../../up")
    assert (hard.kind, hard.link_target) == (Kind.HARD_LINK, "/dev/sda")


def test_global_pax_headers(tmp_path: Path) -> None:
    data = tar((member("a"), b"1"), (member("b"), b"2"), pax_headers={"comment": "x" * 600})
    assert [entry.path for entry in load(tmp_path, data).entries] == ["/a", "/b"]


def test_an_empty_layer(tmp_path: Path) -> None:
    assert load(tmp_path, bytes(1024)).entries == ()


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    trees: list[Tree] = [{f"/f{n}": "x" for n in range(2000)}, {"/g": "y"}]
    load_layers(make_image(tmp_path, trees), on_progress=lambda *step: seen.append(step))
    done = [step[1] for step in seen]
    assert done == sorted(done) and len(done) > 3
    assert seen[-1][1] == seen[-1][2]


WHOLE = tar_bytes({"/a": b"x" * 700, "/b": File(b"y" * 3000, xattrs=(("user.k", b"v"),)), "/c": ""})


def _patched(offset: int, data: bytes, checked: bool = True) -> bytes:
    whole = bytearray(WHOLE)
    whole[offset : offset + len(data)] = data
    if checked:
        start = offset - offset % 512
        whole[start + 148 : start + 156] = b" " * 8
        whole[start + 148 : start + 156] = b"%06o\0 " % sum(whole[start : start + 512])
    return bytes(whole)


DAMAGED = {
    "no bytes at all": b"",
    "cut in the first header": WHOLE[:300],
    "cut in a content": WHOLE[:900],
    "cut between members": WHOLE[: 512 + 1024],
    "cut before the end-of-archive blocks": WHOLE[: -(len(WHOLE) - len(WHOLE.rstrip(b"\0")))],
    "a bad header in the middle": _patched(1536 + 10, b"\xff", checked=False),
    "no tar": b"PNG or whatever" * 100,
    "a negative size": _patched(124, b"\xff" * 12),
    "an absurd size": _patched(124, b"\x80" + b"\x7f" * 11),
    "an absurd pax header": _patched(1536 + 124, b"77777777777\0"),
    "an unknown type": _patched(156, b"Z"),
    "a whiteout of nothing": tar_bytes({"/a/.wh.": ""}),
    "a whiteout of the parent": tar_bytes({"/a/.wh...": ""}),
    "a path that no engine makes": tar_bytes({"/" + "a/" * 3000: ""}),
    "a chain of headers": tar((member("a"), b""))[:0]
    + b"".join(
        _rechecked(bytearray(tar((member("x", type=tarfile.GNUTYPE_LONGNAME), b""))), 300)[:1024]
        for _ in range(1200)
    ),
    "a sparse map out of the file": _pax_sparse(
        {"GNU.sparse.size": "50", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "0,100"}
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_an_error_of_one_line(tmp_path: Path, damage: str) -> None:
    with pytest.raises(ArchiveError, match="is damaged") as caught:
        load(tmp_path, DAMAGED[damage])
    assert "\n" not in str(caught.value) and caught.value.hint


def test_random_damage_never_crashes_nor_hangs(tmp_path: Path) -> None:
    dice = random.Random(7)
    sources = [WHOLE, *SPARSE_TARS.values()]
    for _ in range(400):
        data = bytearray(dice.choice(sources))
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        if dice.random() < 0.3:
            del data[dice.randrange(len(data)) :]
        try:
            load(tmp_path, bytes(data))
        except ArchiveError as error:
            assert "\n" not in str(error)
