"""Real builders for tests: a Dockerfile's text in, an image in the Docker engine out.

Docker's legacy builder, buildah and BuildKit all leave their result in the Docker engine, so that
what follows (its config, its tree, running it) is the same for the three. Builders that are not
installed are skipped with the command that would bring them, see ``available_builders``.
"""

from __future__ import annotations

import io
import json
import posixpath
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from imgslim.model import Entry, Keep
from tests.builders import BUILDERS as BUILDERS
from tests.builders import BuildFailedError as BuildFailedError
from tests.builders import (
    Order,
    build_with_docker,
    find_program,
    remove_steps,
    stored_name,
    workshop,
)
from tests.builders import command as command
from tests.builders import docker as docker

HOW_TO_INSTALL = {
    "docker": "start a Docker engine: .ci/engine",
    "buildah": "apt-get install -y --no-install-recommends buildah skopeo",
    "buildkit": "go install github.com/moby/buildkit/cmd/buildkitd@v0.13.2 "
    "github.com/moby/buildkit/cmd/buildctl@v0.13.2 (and apt-get install -y skopeo)",
}

ENGINE_PATHS = frozenset(
    {
        "/.dockerenv",
        "/dev",
        "/dev/console",
        "/dev/pts",
        "/dev/shm",
        "/etc",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/mtab",
        "/etc/resolv.conf",
        "/proc",
        "/sys",
        "/",
    }
)
"""What Docker itself puts into, or touches in, a container that it creates (its init layer)."""


@dataclass(frozen=True)
class Node:
    """One entry of a real tree, in terms that compare: ``links`` are its hard-link partners."""

    kind: str
    mode: int
    uid: int
    gid: int
    size_bytes: int
    mtime: int
    target: str = ""
    device: tuple[int, int] = (0, 0)
    links: tuple[str, ...] = ()
    capability: bytes = b""


Nodes = dict[str, Node]


def nodes_of(entries: Iterable[Entry]) -> Nodes:
    """The entries of a plan or a merged tree in the terms in which real trees are compared."""
    entries = list(entries)
    partners: dict[tuple[int, int], list[str]] = {}
    for entry in entries:
        if not entry.is_directory:
            partners.setdefault(entry.inode, []).append(entry.path)
    return {
        entry.path: Node(
            kind=entry.kind.value,
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            size_bytes=entry.size_bytes,
            mtime=int(entry.mtime),
            target=entry.link_target,
            device=entry.device,
            links=tuple(sorted(set(partners.get(entry.inode, ())) - {entry.path})),
            capability=dict(entry.xattrs).get("security.capability", b""),
        )
        for entry in entries
    }


def planned_nodes(keeps: Iterable[Keep]) -> Nodes:
    """What a slim image of a plan holds, in the same terms."""
    return nodes_of(
        replace(keep.entry, size_bytes=len(keep.content))
        if keep.content is not None
        else keep.entry
        for keep in keeps
    )


def without_directory_times(nodes: Nodes) -> Nodes:
    """What can be compared of an image of BuildKit's, which records no directory in whose layer
    only its time changed (docs/copies.md)."""
    return {
        path: replace(node, mtime=0) if node.kind == "directory" else node
        for path, node in nodes.items()
    }


def missing_builder(name: str) -> str | None:
    """The command that would bring the builder ``name``, or None when it is here."""
    needed = {
        "docker": ("docker",),
        "buildah": ("buildah", "skopeo"),
        "buildkit": ("buildkitd", "buildctl", "skopeo"),
    }
    return None if all(map(find_program, needed[name])) else HOW_TO_INSTALL[name]


def require_builder(name: str) -> None:
    """Skip the running test, with a reason, when the builder ``name`` is not installed."""
    how = missing_builder(name)
    if how:
        pytest.skip(f"{name} is not installed; to enable: {how}")


def build(
    builder: str,
    dockerfile: str,
    tag: str,
    bases: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Build ``dockerfile`` in a context that holds ``files`` alone and leave the image in Docker as
    ``tag``.

    ``bases`` are the images of the Docker engine that it names: other builders are handed them.
    """
    with tempfile.TemporaryDirectory(prefix="imgslim-build-") as folder:
        context = Path(folder) / "context"
        context.mkdir()
        for name, data in (files or {}).items():
            (context / name).write_bytes(data)
        (Path(folder) / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        if builder == "docker":
            # Its cache compares files without their times.
            words = ["--no-cache", f"--file={folder}/Dockerfile", f"--tag={tag}", str(context)]
            remove_steps(build_with_docker(*words))
            return
        archive = Path(folder) / "result.tar"
        with workshop(builder, Path(folder), dict.fromkeys(bases)) as made:
            made.build(Order(Path(folder) / "Dockerfile", context), archive, tag)
        docker("load", "--quiet", f"--input={archive}")
        # buildah's archive carries its own name of the image, too.
        subprocess.run(["docker", "rmi", stored_name(tag)], capture_output=True)


def build_in(folder: Path, dockerfile: Path, tag: str, words: Sequence[str] = ()) -> None:
    """Build with Docker's legacy builder in a folder that is the context, with its cache."""
    remove_steps(build_with_docker(*words, f"--file={dockerfile}", f"--tag={tag}", str(folder)))


def has_image(tag: str) -> bool:
    """Whether the engine has an image of that name; an engine that does not answer has none."""
    return not subprocess.run(["docker", "image", "inspect", tag], capture_output=True).returncode


def import_over(base: str, tar: bytes, tag: str, lines: Sequence[str] = ()) -> None:
    """Make an image of ``base`` with a tar laid over it and Dockerfile ``lines`` behind it."""
    with tempfile.TemporaryDirectory(prefix="imgslim-import-") as folder:
        Path(folder, "layer.tar").write_bytes(tar)
        text = "\n".join([f"FROM {base}", "ADD layer.tar /", *lines])
        Path(folder, "Dockerfile").write_text(text + "\n", encoding="utf-8")
        docker("build", "--quiet", f"--tag={tag}", folder)


def remove_image(*tags: str) -> None:
    """Remove images; those that are not there are no fault."""
    subprocess.run(["docker", "rmi", "--force", *tags], capture_output=True)


def image_config(tag: str) -> dict[str, Any]:
    """The ``Config`` object of an image as the engine shows it."""
    config: dict[str, Any] = json.loads(docker("image", "inspect", tag))[0]["Config"]
    return config


def run(tag: str, *argv: str, options: Sequence[str] = ()) -> str:
    """Run a container to its end; what it wrote to standard output."""
    return docker("run", "--rm", "--network=none", *options, tag, *argv).decode()


def exported_tree(tag: str) -> Nodes:
    """The tree of a created container as ``docker export`` writes it."""
    name = docker("create", tag, "/none").decode().strip()
    try:
        return read_nodes(docker("export", name))
    finally:
        docker("rm", "--force", name)


def saved_layers(tag: str) -> list[bytes]:
    """The layers of an image, base first, each as an uncompressed tar."""
    with tarfile.open(fileobj=io.BytesIO(docker("save", tag))) as outer:
        manifest = json.load(_member(outer, "manifest.json"))[0]
        return [_member(outer, layer).read() for layer in manifest["Layers"]]


def _member(archive: tarfile.TarFile, name: str) -> io.BufferedIOBase:
    member = archive.extractfile(name)
    assert member is not None, name
    return member  # type: ignore[return-value]


def saved_tree(tag: str) -> Nodes:
    """The tree of a built image, its layers laid over each other; nothing of the engine in it.

    For images whose layers only add (what a Dockerfile of COPY lines gives): no whiteouts.
    """
    merged: Nodes = {}
    for layer in saved_layers(tag):
        nodes = read_nodes(layer)
        assert not [path for path in nodes if "/.wh." in path]
        merged.update(nodes)
    return merged


def layers_size_bytes(tag: str) -> int:
    """Bytes of regular files over all layers of an image, a hard link once."""
    total = 0
    for layer in saved_layers(tag):
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            total += sum(member.size for member in archive if member.isreg())
    return total


_KINDS = {
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}


def read_nodes(tar: bytes) -> Nodes:
    """The entries of a tar by absolute path, hard links with the facts of their first name."""
    nodes: Nodes = {}
    first_names: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    with tarfile.open(
        fileobj=io.BytesIO(tar), errors="surrogateescape", encoding="utf-8"
    ) as archive:
        for member in archive:
            path = _absolute(member.name)
            target = _absolute(member.linkname) if member.islnk() else path
            first = first_names.get(target, target)
            nodes[path] = nodes[first] if member.islnk() else _node(member)
            first_names[path] = first
            groups.setdefault(first, []).append(path)
    for names in groups.values():
        for name in names:
            others = tuple(sorted(set(names) - {name}))
            nodes[name] = replace(nodes[name], links=others)
    return nodes


def _absolute(name: str) -> str:
    return posixpath.normpath("/" + name)


def _node(member: tarfile.TarInfo) -> Node:
    capability = member.pax_headers.get("SCHILY.xattr.security.capability", "")
    is_device = member.ischr() or member.isblk()
    return Node(
        kind=_KINDS.get(member.type, "file"),
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        size_bytes=member.size if member.isreg() else 0,
        mtime=int(member.mtime),
        target=member.linkname if member.issym() else "",
        device=(member.devmajor, member.devminor) if is_device else (0, 0),
        capability=capability.encode("utf-8", "surrogateescape"),
    )
