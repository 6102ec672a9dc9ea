"""What an ELF file says about itself: loader, needed libraries, search paths, imported symbols.

Read by pyelftools through a window on the image's layer, so only headers, the dynamic segment and
its string table are touched. Field meanings: the System V ABI's gabi chapter 5, elf(5), ld.so(8).
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import IO, Any
from weakref import WeakKeyDictionary

from imgslim.model import Entry
from imgslim.rootfs import Rootfs

_MAGIC = b"\x7fELF"
_SMALLEST_BYTES = 52
"""An ELF32 header (Elf32_Ehdr); nothing shorter is ELF."""

_BUFFER_BYTES = 8192
_LARGEST_TABLE_BYTES = 64 << 20
"""More than any real table has: a broken size must not ask for all memory."""

_DF_1_NODEFLIB = 0x800
_DF_1_PIE = 0x08000000
_NOTE_DLOPEN = 0x407C0C0A
"""systemd.io/ELF_DLOPEN_METADATA: owner ``FDO``, a JSON array (or object) with ``soname``."""

_NOT_ELF_SUFFIXES = """
.py .pyc .pyi .pyo .txt .md .rst .html .htm .css .js .mjs .ts .map .json .toml .yaml .yml .xml .csv
.ini .cfg .conf .sh .pl .pm .rb .php .go .c .h .hpp .cc .cpp .java .jar .class .gz .xz .zst .zip
.whl .png .jpg .jpeg .gif .svg .ico .woff .woff2 .ttf .pem .crt .key .mo .po .tmpl .list .md5sums
.log .sql .pdf .npy .lock .service .pth .a .la .pc
"""
_NEVER_ELF = frozenset(_NOT_ELF_SUFFIXES.split())

_TELLING_SYMBOLS = """
dlopen dlmopen g_module_open g_module_open_full lt_dlopen lt_dlopenext lt_dlopenadvise uv_dlopen
PR_LoadLibrary PR_LoadLibraryWithFlags apr_dso_load SDL_LoadObject
system popen iconv_open setlocale newlocale pthread_cancel pthread_exit backtrace
getaddrinfo gethostbyname gethostbyname_r gethostbyname2 getservbyname getservbyname_r
getpwnam getpwnam_r getpwuid getpwuid_r getgrnam getgrnam_r getgrgid getgrgid_r getgrouplist
getpwent getpwent_r getgrent getgrent_r getspnam getspnam_r initgroups innetgr setnetgrent
gethostbyaddr gethostbyaddr_r getnameinfo getservbyport getservbyport_r getprotobyname getnetbyname
getrpcbyname res_init res_query res_search res_nquery res_nsearch sasl_server_init
OSSL_PROVIDER_load OSSL_PROVIDER_load_ex OSSL_PROVIDER_try_load OSSL_PROVIDER_try_load_ex
ENGINE_by_id ENGINE_load_dynamic ENGINE_load_builtin_engines ENGINE_get_first
"""
WATCHED_IMPORTS = frozenset(_TELLING_SYMBOLS.split())
"""Symbols whose import says that something will be opened that no header names."""


_LIBC_SONAME = re.compile(
    r"(lib(c|pthread|dl|resolv|nsl|anl|m|rt|util|nss_\w+)\.so\.\d.*|libc\.musl-.*|ld-.*)"
)
"""Files of glibc and musl themselves."""


@dataclass(frozen=True, slots=True)
class ElfFacts:
    """One ELF file. ``machine`` is pyelftools' name of ``e_machine`` (``EM_X86_64``).

    ``rpath`` and ``runpath`` are unexpanded, in order. ``imports`` holds those of
    ``WATCHED_IMPORTS`` in the dynamic string table; a libc lists its own definitions there, too.
    ``dlopens`` are the sonames of ``.note.dlopen``.
    """

    machine: str
    bits: int
    little_endian: bool
    is_program: bool
    is_dynamic: bool
    interpreter: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    no_default_libraries: bool = False
    imports: frozenset[str] = frozenset()
    dlopens: tuple[str, ...] = ()

    @property
    def target(self) -> tuple[str, int, bool]:
        """What a loader compares before it maps a library: machine, class, byte order."""
        return self.machine, self.bits, self.little_endian

    @property
    def is_musl(self) -> bool:
        """Whether it says itself that it is musl's: by its loader, or the libc that it needs."""
        return "/ld-musl-" in self.interpreter or any(
            name == "libc.so" or name.startswith("libc.musl-") for name in self.needed
        )

    @property
    def is_libc(self) -> bool:
        """Whether it is part of the libc: its string table holds what it defines."""
        return _LIBC_SONAME.fullmatch(self.soname) is not None


class _ImageFile(io.RawIOBase):
    """A regular file of the image as a seekable stream; each read is a ``pread``."""

    def __init__(self, rootfs: Rootfs, entry: Entry) -> None:
        super().__init__()
        self._rootfs, self._entry, self._position = rootfs, entry, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = (0, self._position, self._entry.size_bytes)[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self._rootfs.pread(self._entry, self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def open_file(rootfs: Rootfs, entry: Entry) -> io.BufferedReader:
    """A buffered, seekable stream over a regular file of the image."""
    return io.BufferedReader(_ImageFile(rootfs, entry), _BUFFER_BYTES)


def is_elf(rootfs: Rootfs, entry: Entry) -> bool:
    """Whether a regular file starts as ELF does; suffixes of text and media are not even read."""
    if not entry.is_file or entry.size_bytes < _SMALLEST_BYTES:
        return False
    dot = entry.path.rfind(".", entry.path.rfind("/"))
    if dot >= 0 and entry.path[dot:] in _NEVER_ELF:
        return False
    return rootfs.pread(entry, 0, 4) == _MAGIC


_known: WeakKeyDictionary[Rootfs, dict[int, ElfFacts | None]] = WeakKeyDictionary()


def elf_facts(rootfs: Rootfs, entry: Entry) -> ElfFacts | None:
    """The facts of an entry, read once an image; None for what is not (readable) ELF."""
    if not entry.is_file:
        return None
    cache = _known.setdefault(rootfs, {})
    try:
        return cache[entry.inode]
    except KeyError:
        facts = read_facts(open_file(rootfs, entry)) if is_elf(rootfs, entry) else None
        return cache.setdefault(entry.inode, facts)


def is_program_called(rootfs: Rootfs, entry: Entry, name: re.Pattern[str]) -> bool:
    """Whether an entry is an executable of native code whose whole name is as ``name`` has it."""
    if not entry.is_executable or not name.fullmatch(entry.path.rpartition("/")[2]):
        return False
    return elf_facts(rootfs, entry) is not None


def read_facts(stream: IO[bytes]) -> ElfFacts | None:
    """Read the facts from a seekable stream; None for a damaged or truncated file."""
    try:
        return _facts(ElfReader(stream))
    except damage():
        return None


def damage() -> tuple[type[Exception], ...]:
    """What reading a damaged ELF file raises: pyelftools' errors, and those of decoding and
    arithmetic on whatever lies where a broken header points."""
    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError

    return (
        ELFError,
        ConstructError,
        struct.error,
        ValueError,
        LookupError,
        ArithmeticError,
        MemoryError,
    )


class ElfReader:
    """The headers of one ELF file through pyelftools' structures.

    Not through its ``ELFFile``: that builds its structures anew for each file and walks all
    sections to find the dynamic segment's strings, 4 ms a file where this takes well under 1.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        from elftools.common.utils import struct_parse

        self.stream = stream
        self._parse = struct_parse
        stream.seek(0)
        ident = stream.read(16)
        self.bits = self.elfclass = {1: 32, 2: 64}[ident[4]]
        self.little_endian = {1: True, 2: False}[ident[5]]
        basic = _structs(self.little_endian, self.bits)
        self.header = struct_parse(basic.Elf_Ehdr, stream, 0)
        self.structs = _structs(
            self.little_endian,
            self.bits,
            self.header["e_type"],
            self.header["e_machine"],
            self.header["e_ident"]["EI_OSABI"],
        )
        self.segments: list[Any] = self._table(
            self.structs.Elf_Phdr, "e_phoff", "e_phnum", "e_phentsize"
        )

    def _table(self, struct: Any, offset: str, count: str, size: str) -> list[Any]:
        start, step = self.header[offset], self.header[size]
        return [
            self._parse(struct, self.stream, start + index * step)
            for index in range(self.header[count])
        ]

    def sections(self) -> list[Any]:
        """The section headers; empty when they were stripped."""
        return self._table(self.structs.Elf_Shdr, "e_shoff", "e_shnum", "e_shentsize")

    def dynamic(self, segment: Any) -> dict[str, list[int]]:
        """The values of a PT_DYNAMIC segment by tag name, in order."""
        size = self.structs.Elf_Dyn.sizeof()
        values: dict[str, list[int]] = {}
        for index in range(segment["p_filesz"] // size):
            tag = self._parse(self.structs.Elf_Dyn, self.stream, segment["p_offset"] + index * size)
            if tag["d_tag"] == "DT_NULL":
                break
            values.setdefault(str(tag["d_tag"]), []).append(tag["d_val"])
        return values

    def offset_of(self, address: int) -> int:
        """Where in the file a mapped address lies. Raises LookupError when nowhere."""
        for segment in self.segments:
            inside = address - segment["p_vaddr"]
            if segment["p_type"] == "PT_LOAD" and 0 <= inside < segment["p_filesz"]:
                return int(segment["p_offset"] + inside)
        raise LookupError(address)

    def read(self, offset: int, size: int) -> bytes:
        self.stream.seek(offset)
        return self.stream.read(min(size, _LARGEST_TABLE_BYTES))


@cache
def _structs(little_endian: bool, bits: int, *kind: Any) -> Any:
    """pyelftools' structures for a class and byte order, and for (type, machine, ABI) if given."""
    from elftools.elf.structs import ELFStructs

    structs = ELFStructs(little_endian=little_endian, elfclass=bits)
    structs.create_basic_structs()
    if kind:
        structs.create_advanced_structs(*kind)
    return structs


def _facts(elf: ElfReader) -> ElfFacts:
    interpreter = ""
    dlopens: tuple[str, ...] = ()
    tags: dict[str, list[int]] | None = None
    for segment in elf.segments:
        match segment["p_type"]:
            case "PT_INTERP":
                interpreter = _text(elf.read(segment["p_offset"], segment["p_filesz"]))
            case "PT_DYNAMIC":
                tags = elf.dynamic(segment)
            case "PT_NOTE":
                dlopens += _dlopen_notes(elf, segment)
    known = tags or {}
    strings = _string_table(elf, known)
    flags = known.get("DT_FLAGS_1", [0])[0]

    def texts(tag: str) -> list[str]:
        return [_text(strings, offset) for offset in known.get(tag, ())]

    return ElfFacts(
        machine=str(elf.header["e_machine"]),
        bits=elf.bits,
        little_endian=elf.little_endian,
        is_program=elf.header["e_type"] == "ET_EXEC" or bool(interpreter or flags & _DF_1_PIE),
        is_dynamic=tags is not None,
        interpreter=interpreter,
        soname="".join(texts("DT_SONAME")),
        needed=tuple(texts("DT_NEEDED")),
        rpath=_split_paths(texts("DT_RPATH")),
        runpath=_split_paths(texts("DT_RUNPATH")),
        no_default_libraries=bool(flags & _DF_1_NODEFLIB),
        imports=frozenset(name for name in WATCHED_IMPORTS if name.encode() + b"\0" in strings),
        dlopens=dlopens,
    )


def _string_table(elf: ElfReader, tags: dict[str, list[int]]) -> bytes:
    if "DT_STRTAB" not in tags:
        return b""
    size = tags.get("DT_STRSZ", [_LARGEST_TABLE_BYTES])[0]
    return elf.read(elf.offset_of(tags["DT_STRTAB"][0]), size)


def _text(raw: bytes, start: int = 0) -> str:
    end = raw.find(b"\0", start)
    return raw[start : end if end >= 0 else None].decode("utf-8", "surrogateescape")


def _split_paths(values: list[str]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(":"))


def _dlopen_notes(elf: ElfReader, segment: Any) -> tuple[str, ...]:
    """The sonames in the notes of a PT_NOTE segment that follow the dlopen metadata format."""
    offset, size = segment["p_offset"], segment["p_filesz"]
    if b"FDO\0" not in elf.read(offset, size):
        return ()
    from elftools.elf.notes import iter_notes

    reader: Any = elf
    notes: Iterable[Any] = iter_notes(reader, offset, size)
    return tuple(
        name
        for note in notes
        if note["n_type"] == _NOTE_DLOPEN
        for name in _sonames(note["n_descdata"])
    )


def _sonames(description: bytes) -> list[str]:
    """The ``soname`` values of one note; nothing when it is not the JSON that it should be."""
    try:
        rows = json.loads(_text(description))
    except ValueError:
        return []
    names: list[str] = []
    for row in rows if isinstance(rows, list) else [rows]:
        soname = row.get("soname") if isinstance(row, dict) else None
        names.extend(soname if isinstance(soname, list) else [soname] if soname else [])
    return [name for name in names if isinstance(name, str)]
