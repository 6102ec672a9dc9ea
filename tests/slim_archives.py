"""Slim archives of small fat images, and what is in them read with tarfile alone."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imgslim.archive import Settings, Written, write_archive
from imgslim.model import Plan
from imgslim.pipeline import Analysis, analyze
from tests.archives import Made, docker_archive
from tests.elves import elf
from tests.worlds import File, Tree

APP: Tree = {
    "/app/main": File("#!/bin/sh\necho $0\n", mode=0o755),
    "/bin/sh": File(elf(), mode=0o755),
    "/etc/passwd": "root:x:0:0::/:/bin/sh\n",
}
CONFIG: dict[str, Any] = {"Entrypoint": ["/app/main"]}


@dataclass(frozen=True)
class Files:
    """The members of a plain archive by name."""

    members: Mapping[str, bytes]

    @classmethod
    def of(cls, data: bytes) -> Files:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            found = {m.name: archive.extractfile(m) for m in archive if m.isreg()}
        return cls({name: file.read() for name, file in found.items() if file})

    def json(self, name: str) -> Any:
        return json.loads(self.members[name])

    def blob(self, descriptor: Mapping[str, Any]) -> bytes:
        data = self.members[f"blobs/{descriptor['digest'].replace(':', '/')}"]
        assert len(data) == descriptor["size"]
        return data

    @property
    def manifest(self) -> Any:
        (row,) = self.json("index.json")["manifests"]
        return json.loads(self.blob(row))

    @property
    def config(self) -> Any:
        return json.loads(self.blob(self.manifest["config"]))

    @property
    def layers(self) -> list[bytes]:
        return [self.blob(row) for row in self.manifest["layers"]]


def fat_image(folder: Path, *layers: Tree | bytes, tags: tuple[str, ...] = ("shop:1",)) -> Path:
    made = Made(layers=layers or (APP,), config=CONFIG, tags=tags)
    return docker_archive(folder / "fat.tar", made)


def archived(analysis: Analysis, target: Path, **settings: Any) -> Written:
    with target.open("wb") as file:
        return write_archive(
            file, analysis.image, analysis.world, analysis.plan, Settings(**settings)
        )


@contextmanager
def both(folder: Path, *layers: Tree | bytes, **settings: Any) -> Iterator[tuple[Analysis, Path]]:
    """The analysis of a fat image of these layers, and its slim archive."""
    with analyze(str(fat_image(folder, *layers))) as analysis:
        target = folder / "slim.tar"
        archived(analysis, target, **settings)
        yield analysis, target


def with_content(analysis: Analysis, path: str, content: bytes) -> Plan:
    keeps = tuple(
        replace(keep, content=content) if keep.entry.path == path else keep
        for keep in analysis.plan.keeps
    )
    return replace(analysis.plan, keeps=keeps)
