"""Workshops: a real builder with its cache; Dockerfiles with their contexts in, archives out.

Docker's legacy builder, buildah and BuildKit each write a docker-archive, so that what follows
reads one form. buildah and BuildKit keep everything in a folder that the caller removes; Docker is
left without the images that it made on the way.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

BUILDERS = ("docker", "buildah", "buildkit")


class BuildFailedError(Exception):
    """A builder refused a Dockerfile; the text is the end of what it said."""


def command(*argv: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> bytes:
    """Run ``argv``; its standard output. Raises BuildFailedError with what it said otherwise."""
    result = subprocess.run(
        argv,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env={**os.environ, **(env or {})},
    )
    if result.returncode:
        said = (result.stdout + result.stderr).decode(errors="replace")
        raise BuildFailedError(f"{' '.join(argv[:4])}: {said[-3000:]}")
    return result.stdout


def docker(*argv: str, stdin: bytes | None = None) -> bytes:
    """Run a docker command with the legacy builder chosen."""
    return command("docker", *argv, stdin=stdin, env={"DOCKER_BUILDKIT": "0"})


def find_program(program: str) -> str | None:
    path = os.environ.get("PATH", "")
    return shutil.which(program, path=f"{path}:/usr/sbin:{Path.home() / 'go' / 'bin'}")


def full_name(name: str) -> str:
    """``name`` with a tag."""
    last = name.rpartition("/")[2]
    return name if ":" in last else f"{name}:latest"


def stored_name(name: str) -> str:
    """What buildah calls an image that is in its storage alone."""
    return f"localhost/{full_name(name)}"


@dataclass(frozen=True, slots=True)
class Order:
    """One build: the file, what it is built from, its ARGs, and the stage to stop at ("": none)."""

    dockerfile: Path
    context: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""


class Workshop(Protocol):
    """A builder whose cache lives as long as it does."""

    def build(self, order: Order, archive: Path, tag: str) -> None:
        """Write the image as a docker-archive that calls it ``tag``. Raises BuildFailedError."""


@contextmanager
def workshop(builder: str, folder: Path, bases: Mapping[str, Path | None]) -> Iterator[Workshop]:
    """The ``builder`` with the images ``bases`` at hand: by name, of an archive, or (None) of the
    Docker engine. ``folder`` is empty, and its caller's to remove."""
    match builder:
        case "docker":
            with _docker_workshop(tuple(bases)) as made:
                yield made
        case "buildah":
            with _buildah_workshop(folder, bases) as store:
                yield store
        case "buildkit":
            with _buildkit_workshop(folder, bases) as daemon:
                yield daemon
        case _:
            raise ValueError(builder)


def _transport(name: str, archive: Path | None) -> str:
    """An image of the engine, or of an archive, as skopeo takes it."""
    full = full_name(name)
    return f"docker-daemon:{full}" if archive is None else f"docker-archive:{archive}:{full}"


# ------------------------------------------------------------------- Docker's legacy builder

_STEP = re.compile(rb"^ ---> ([0-9a-f]{12})$", re.MULTILINE)


def build_with_docker(*words: str) -> list[str]:
    """Run `docker build` with these words; the images that its steps made, first to last."""
    before = set(docker("images", "--all", "--quiet").decode().split())
    said = docker("build", "--network=host", "--force-rm", *words)
    return [name.decode() for name in _STEP.findall(said) if name.decode() not in before]


def remove_steps(steps: Sequence[str]) -> None:
    """Remove those images that no tagged one is made of: stages that only were copied from."""
    tagged = set(docker("images", "--quiet", "--filter=dangling=false").decode().split())
    for name in reversed(steps):
        if name not in tagged:
            # Refused for one that another is made of.
            subprocess.run(["docker", "rmi", name], capture_output=True)


@dataclass
class _Docker:
    """``known`` are the images whose steps are not taken again: its cache compares files without
    their times, so that no other may bring its own."""

    known: list[str]
    made: list[str] = field(default_factory=list)

    def build(self, order: Order, archive: Path, tag: str) -> None:
        words = [f"--build-arg={name}={value}" for name, value in order.arguments.items()]
        words += [f"--cache-from={name}" for name in self.known]
        words += [f"--target={order.target}"] if order.target else []
        steps = build_with_docker(
            *words, f"--file={order.dockerfile}", f"--tag={tag}", str(order.context)
        )
        self.made += [tag, *steps]
        # The first that knows a step is asked for all further ones (moby, daemon/images/cache).
        self.known.insert(0, tag)
        docker("save", f"--output={archive}", tag)


@contextmanager
def _docker_workshop(bases: Sequence[str]) -> Iterator[Workshop]:
    made = _Docker(list(map(full_name, bases)))
    try:
        yield made
    finally:
        for name in reversed(made.made):
            subprocess.run(["docker", "rmi", "--force", name], capture_output=True)


# ------------------------------------------------------------------- buildah


@dataclass
class _Buildah:
    store: tuple[str, ...]

    def build(self, order: Order, archive: Path, tag: str) -> None:
        words = [f"--build-arg={name}={value}" for name, value in order.arguments.items()]
        words += [f"--target={order.target}"] if order.target else []
        name = stored_name(tag)
        command(
            "buildah", *self.store, "bud", "--isolation=chroot", "--pull-never", "--layers",
            "--format=docker", *words,
            f"--file={order.dockerfile}", f"--tag={name}", str(order.context),
        )  # fmt: skip
        command(
            "buildah", *self.store, "push", "--quiet", name,
            f"docker-archive:{archive}:{full_name(tag)}",
        )  # fmt: skip


@contextmanager
def _buildah_workshop(folder: Path, bases: Mapping[str, Path | None]) -> Iterator[Workshop]:
    store = ("--root", str(folder / "store"), "--runroot", str(folder / "run"))
    place = f"{folder / 'store'}+{folder / 'run'}"
    for name, archive in bases.items():
        target = f"containers-storage:[overlay@{place}]{stored_name(name)}"
        command("skopeo", "copy", "--quiet", _transport(name, archive), target)
    try:
        yield _Buildah(store)
    finally:
        command("buildah", *store, "rm", "--all")
        _unmount_below(folder / "store")


def _unmount_below(folder: Path) -> None:
    """Undo what a build that was called off left mounted, the innermost first."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    below = [place for line in lines if (place := line.split()[1]).startswith(f"{folder}/")]
    for place in sorted(below, reverse=True):
        command("umount", place)


# ------------------------------------------------------------------- BuildKit


@dataclass
class _BuildKit:
    address: str
    layouts: tuple[str, ...]

    def build(self, order: Order, archive: Path, tag: str) -> None:
        words = [f"--opt=build-arg:{name}={value}" for name, value in order.arguments.items()]
        words += [f"--opt=target={order.target}"] if order.target else []
        # New layers only: those of the base stay as they came.
        result = f"type=docker,name={full_name(tag)},dest={archive},compression=uncompressed"
        command(
            find_program("buildctl") or "buildctl", f"--addr={self.address}", "build",
            "--frontend=dockerfile.v0", *words, *self.layouts,
            f"--opt=filename={order.dockerfile.name}",
            f"--local=context={order.context}", f"--local=dockerfile={order.dockerfile.parent}",
            f"--output={result}",
        )  # fmt: skip


@contextmanager
def _buildkit_workshop(folder: Path, bases: Mapping[str, Path | None]) -> Iterator[Workshop]:
    layouts: list[str] = []
    for index, (name, archive) in enumerate(bases.items()):
        layout = folder / f"base-{index}"
        command(
            "skopeo", "copy", "--quiet", "--dest-oci-accept-uncompressed-layers",
            _transport(name, archive), f"oci:{layout}:base",
        )  # fmt: skip
        digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
        layouts.append(f"--oci-layout=base-{index}={layout}")
        full = full_name(name)
        layouts += [
            f"--opt=context:{word}=oci-layout://base-{index}@{digest}"
            for word in (full, full.removesuffix(":latest"))
        ]
    with buildkitd(folder) as address:
        yield _BuildKit(address, tuple(layouts))


@contextmanager
def buildkitd(folder: Path) -> Iterator[str]:
    """A BuildKit daemon of its own, with an empty cache; the address it answers at."""
    address = f"unix://{folder / 'buildkitd.sock'}"
    log = folder / "buildkitd.log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [
                find_program("buildkitd") or "buildkitd",
                f"--root={folder / 'buildkit'}",
                f"--addr={address}",
                "--oci-worker-net=host",
                "--oci-worker-snapshotter=overlayfs",
                "--containerd-worker=false",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            for _ in range(100):
                if (folder / "buildkitd.sock").exists() or daemon.poll() is not None:
                    break
                time.sleep(0.1)
            if daemon.poll() is not None:
                raise BuildFailedError(log.read_text(errors="replace")[-3000:])
            yield address
        finally:
            daemon.terminate()
            daemon.wait(30)
