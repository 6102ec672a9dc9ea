"""Java archives as packages: what a jar says that it is.

Sources: Maven's documentation, "Naming conventions" of files in a repository
(``ARTIFACT-VERSION[-CLASSIFIER].jar``), and the Maven Archiver's, "Pom Properties content"
(``META-INF/maven/GROUP/ARTIFACT/pom.properties`` with artifactId and version).
"""

from __future__ import annotations

import re
import zipfile

from imgslim.model import Entry
from imgslim.rootfs import Rootfs
from imgslim.runtimes.elf.parse import open_file
from imgslim.runtimes.java.archives import ARCHIVES, DAMAGE

JAR_SUFFIXES = ARCHIVES

_VERSIONED = re.compile(r"(?P<name>.+?)[-_](?P<version>\d[\w.+-]*)")
_POM = re.compile(r"META-INF/maven/[^/]+/([^/]+)/pom\.properties")
_LARGEST_POM_BYTES = 1 << 16


def name_jar(rootfs: Rootfs, entry: Entry) -> tuple[str, str]:
    """(name, version) of an archive: of its file name where that has a version, else of the
    ``pom.properties`` in it if it is the only one or has the file's name; version "" if unknown."""
    stem = entry.path.rpartition("/")[2].rpartition(".")[0]
    match = _VERSIONED.fullmatch(stem)
    if match:
        return match["name"], match["version"]
    try:
        with zipfile.ZipFile(open_file(rootfs, entry)) as archive:
            return _of_pom(archive, stem)
    except DAMAGE:
        return stem, ""


def _of_pom(archive: zipfile.ZipFile, stem: str) -> tuple[str, str]:
    poms = {match[1]: name for name in archive.namelist() if (match := _POM.fullmatch(name))}
    chosen = poms.get(stem) or (next(iter(poms.values())) if len(poms) == 1 else None)
    if chosen is None or archive.getinfo(chosen).file_size > _LARGEST_POM_BYTES:
        return stem, ""
    lines = archive.read(chosen).decode("utf-8", "replace").splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    return fields.get("artifactId", stem).strip(), fields.get("version", "").strip()
