"""What is in jars, wars and class files: names of classes, programs that they start, libraries.

Read with the standard ``zipfile``, jars inside of jars too (Spring Boot's BOOT-INF/lib, WEB-INF/lib
of a war). Nothing is unpacked to a file.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from imgslim.runtimes.elf.parse import ElfFacts, read_facts
from imgslim.runtimes.java.callouts import may_start, started_commands
from imgslim.runtimes.java.classfile import absolute_paths, read_strings, system_classes
from imgslim.runtimes.java.tables import parts_with_words

ARCHIVES = (".jar", ".war", ".ear", ".rar", ".sar")
_TEXTS = (".properties", ".xml", ".yml", ".yaml", ".conf", ".json", ".jsp", ".jspf", ".groovy")
_SERVICES = "META-INF/services/"
_MANIFEST = "META-INF/MANIFEST.MF"
_LIBRARY = re.compile(r".+\.so(?:\.\d+)*")
_DEEPEST = 3
_LARGEST_TEXT_BYTES = 1 << 20
_LARGEST_LIBRARY_BYTES = 256 << 20
_LARGEST_ARCHIVE_BYTES = 1 << 30

_LOADS = (b"loadLibrary", b"com/sun/jna/Native")
DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError)
"""What reading a damaged, encrypted or oddly compressed archive raises."""


@dataclass(slots=True)
class Code:
    """What the class files and texts seen so far name; it grows while archives are read.

    ``classes`` are those of the JDK, with slashes. ``commands`` are word lists of what may be
    started, ``libraries`` names as System.loadLibrary takes them, ``paths`` absolute ones,
    ``natives`` the libraries inside of archives, which are unpacked at run time. Of each the
    first path of the image that names it; of a part of a Java home for which java.toml has words,
    all with one of them, and all with one of its classes.
    """

    classes: dict[str, str] = field(default_factory=dict)
    commands: dict[tuple[str, ...], str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    with_word: dict[str, set[str]] = field(default_factory=dict)
    with_class: dict[str, set[str]] = field(default_factory=dict)
    natives: dict[ElfFacts, str] = field(default_factory=dict)
    manifests: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def units(self) -> frozenset[str]:
        """The parts with words for which some archive has both a word and a class."""
        with_class = self.with_class
        both = (
            (unit, found & with_class.get(unit, set())) for unit, found in self.with_word.items()
        )
        return frozenset(unit for unit, sources in both if sources)

    def take_class(self, data: bytes, source: str) -> None:
        """A class file's content."""
        names = tuple(system_classes(data))
        for name in names:
            self.classes.setdefault(name, source)
        for part in parts_with_words():
            if any(word.encode() in data for word in part.words):
                self.with_word.setdefault(part.unit, set()).add(source)
            if any(name.startswith(part.classes) for name in names):
                self.with_class.setdefault(part.unit, set()).add(source)
        for path in absolute_paths(data):
            self.paths.setdefault(path, source)
        if any(word in data for word in _LOADS):
            for name in read_strings(data):
                if re.fullmatch(r"[\w.+-]{1,80}", name):
                    self.libraries.setdefault(name, source)

    def take_callers(self, classes: Sequence[bytes], source: str) -> None:
        """All class files of one archive or tree: what they start."""
        if any(map(may_start, classes)):
            for command in started_commands(classes):
                self.commands.setdefault(command, source)

    def take_text(self, data: bytes, source: str) -> None:
        """A text that may name classes: configuration, a page, a list of services."""
        for name in system_classes(data):
            self.classes.setdefault(name, source)

    def take_archive(self, stream: IO[bytes], source: str, depth: int = 0) -> None:
        """A jar. Raises one of DAMAGE for what is none; what was read before that counts."""
        classes: list[bytes] = []
        with zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".class"):
                    data = archive.read(info)
                    self.take_class(data, source)
                    classes.append(data)
                else:
                    self._take_member(archive, info, source, depth)
        self.take_callers(classes, source)

    def _take_member(
        self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: str, depth: int
    ) -> None:
        name, size = info.filename, info.file_size
        if name.endswith(ARCHIVES):
            if depth < _DEEPEST and size <= _LARGEST_ARCHIVE_BYTES:
                try:
                    self.take_archive(io.BytesIO(archive.read(info)), source, depth + 1)
                except DAMAGE:
                    return
        elif name == _MANIFEST and depth == 0:
            self.manifests[source] = parse_manifest(archive.read(info))
        elif name.startswith(_SERVICES):
            # The name is that of the service, which the providers in it implement.
            self.take_text(name.encode(), source)
        elif name.endswith(_TEXTS) and size <= _LARGEST_TEXT_BYTES:
            self.take_text(archive.read(info), source)
        elif _LIBRARY.fullmatch(name) and size <= _LARGEST_LIBRARY_BYTES:
            facts = read_facts(io.BytesIO(archive.read(info)))
            if facts is not None:
                self.natives.setdefault(facts, f"{source}!/{name}")


def parse_manifest(data: bytes) -> Mapping[str, str]:
    """The main attributes of a manifest; a line that starts with a blank continues the one before
    (JAR File Specification, "Manifest Specification")."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\n ", "")
    lines = text.partition("\n\n")[0].splitlines()
    pairs = (line.partition(": ") for line in lines)
    return {name: value.strip() for name, colon, value in pairs if colon}
