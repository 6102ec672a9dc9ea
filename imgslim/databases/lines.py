"""The text databases of packages, cut line by line: bytes in, the bytes that stay out.

What is cut here in Python, ``shell`` cuts in the build, byte for byte alike: both know the same
few rules about lines and no more of the formats. Sources: deb-control(5) and deb-md5sums(5);
Alpine's wiki, "Apk spec" (F, M, R, a, Z).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field

IsKept = Callable[[bytes], bool]
"""Whether the file that a line names, as it is written there, is kept."""


@dataclass(slots=True)
class Paragraph:
    """The lines up to an empty one; ``name`` and ``architecture`` are empty where none is said.

    ``files`` are the paths as they are written, of Alpine's database alone.
    """

    name: bytes = b""
    architecture: bytes = b""
    lines: list[bytes] = field(default_factory=list)
    files: list[bytes] = field(default_factory=list)

    @property
    def text(self) -> bytes:
        return b"".join(line + b"\n" for line in self.lines)


def control_paragraphs(text: bytes) -> Iterator[Paragraph]:
    """The paragraphs of a ``status`` file."""
    for lines in _blocks(text):
        paragraph = Paragraph(lines=lines)
        for line in lines:
            if line.startswith(b"Package: "):
                paragraph.name = paragraph.name or line[9:]
            elif line.startswith(b"Architecture: "):
                paragraph.architecture = paragraph.architecture or line[14:]
        yield paragraph


def apk_paragraphs(text: bytes, is_kept: IsKept) -> Iterator[Paragraph]:
    """The paragraphs of Alpine's database, with the lines of kept files only: a directory (F, M)
    comes along with the first file in it."""
    for lines in _blocks(text):
        paragraph = Paragraph()
        directory, above, here = b"", [], True
        for line in lines:
            letter = line[:2]
            if letter == b"F:":
                directory, above, here = line[2:], [line], False
            elif letter == b"M:":
                above.append(line)
            elif letter == b"R:":
                path = directory + b"/" + line[2:]
                here = is_kept(path)
                if here:
                    paragraph.files.append(path)
                    paragraph.lines += [*above, line]
                    above = []
            elif here or letter not in (b"a:", b"Z:"):
                paragraph.lines.append(line)
                if letter == b"P:":
                    paragraph.name = paragraph.name or line[2:]
        yield paragraph


def cut_control(text: bytes, names: Container[bytes]) -> bytes:
    """The paragraphs of the packages in ``names``: a name, or ``NAME:ARCHITECTURE``."""
    return join(
        paragraph
        for paragraph in control_paragraphs(text)
        if paragraph.name in names or paragraph.name + b":" + paragraph.architecture in names
    )


def cut_apk(text: bytes, names: Container[bytes], is_kept: IsKept) -> bytes:
    """The paragraphs of the packages in ``names``, with the lines of kept files."""
    return join(p for p in apk_paragraphs(text, is_kept) if p.name in names)


def cut_sums(text: bytes, is_kept: IsKept) -> bytes:
    """The lines of an md5sums file whose file is kept."""
    return b"".join(line + b"\n" for line in lines_of(text) if is_kept(summed_path(line)))


def summed_path(line: bytes) -> bytes:
    """The path as a line of an md5sums file writes it."""
    return line.partition(b"  ")[2] or line


def lines_of(text: bytes) -> list[bytes]:
    """The lines, as a shell's ``read`` gives them: the last one may lack its end."""
    lines = text.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def join(paragraphs: Iterator[Paragraph]) -> bytes:
    return b"".join(paragraph.text + b"\n" for paragraph in paragraphs)


def _blocks(text: bytes) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    for line in lines_of(text):
        if line:
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block
