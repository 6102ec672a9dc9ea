"""Where dynamic loaders look by themselves: directories by architecture, and ``ld.so.conf``."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from imgslim.rootfs import Rootfs

Target = tuple[str, int, bool]
"""Machine (pyelftools' ``EM_…`` name), class in bits, little-endian."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture: OCI's name (image-spec, config.md, GOARCH), the words that people use, the
    multiarch triplets (wiki.debian.org/Multiarch/Tuples), what ``$PLATFORM`` can be (AT_PLATFORM),
    and the directory name that 64-bit libraries have beside ``lib`` (FHS 3.0, "lib<qual>")."""

    oci: str
    title: str
    triplets: tuple[str, ...]
    platforms: tuple[str, ...]
    lib: str = "lib"


ARCHITECTURES: dict[tuple[str, int], Architecture] = {
    ("EM_X86_64", 64): Architecture(
        "amd64", "x86-64", ("x86_64-linux-gnu",), ("x86_64", "haswell", "xeon_phi"), "lib64"
    ),
    ("EM_X86_64", 32): Architecture("", "x32", ("x86_64-linux-gnux32",), ("x86_64",), "libx32"),
    ("EM_386", 32): Architecture("386", "i386", ("i386-linux-gnu",), ("i686", "i586"), "lib32"),
    ("EM_AARCH64", 64): Architecture(
        "arm64", "AArch64", ("aarch64-linux-gnu",), ("aarch64",), "lib64"
    ),
    ("EM_ARM", 32): Architecture(
        "arm", "ARM", ("arm-linux-gnueabihf", "arm-linux-gnueabi"), ("v7l", "v6l", "v5l")
    ),
    ("EM_PPC64", 64): Architecture(
        "ppc64le",
        "PowerPC64",
        ("powerpc64le-linux-gnu", "powerpc64-linux-gnu"),
        ("power10", "power9", "power8"),
        "lib64",
    ),
    ("EM_S390", 64): Architecture(
        "s390x", "S/390", ("s390x-linux-gnu",), ("z16", "z15", "z14", "z13"), "lib64"
    ),
    ("EM_RISCV", 64): Architecture("riscv64", "RISC-V", ("riscv64-linux-gnu",), (), "lib64"),
    ("EM_LOONGARCH", 64): Architecture(
        "loong64", "LoongArch", ("loongarch64-linux-gnu",), (), "lib64"
    ),
    ("EM_MIPS", 64): Architecture(
        "mips64le", "MIPS64", ("mips64el-linux-gnuabi64",), ("mips64r2",), "lib64"
    ),
    ("EM_MIPS", 32): Architecture(
        "mipsle", "MIPS", ("mipsel-linux-gnu", "mips-linux-gnu"), ("mips32r2",)
    ),
}

_UNKNOWN = Architecture("", "", (), (), "lib64")

MUSL_DIRECTORIES = ("/lib", "/usr/local/lib", "/usr/lib")
"""musl's ldso/dynlink.c, where no ``/etc/ld-musl-ARCH.path`` says otherwise."""

_LEGACY_HWCAPS_NAMES = """
tls x86_64 haswell xeon_phi avx512_1 i686 i586 sse2 atomics power8 power9 power10 z13 z14 z15 neon
vfp v7l
"""
_LEGACY_HWCAPS = frozenset(_LEGACY_HWCAPS_NAMES.split())
"""Subdirectories that glibc before 2.37 searches by hardware (ld.so(8), glibc's NEWS for 2.37)."""

_MAX_INCLUDES = 32


def architecture(target: Target) -> Architecture:
    """The row of a target; one without names for a machine that the table lacks."""
    return ARCHITECTURES.get(target[:2], _UNKNOWN)


def machine_names(oci_architecture: str) -> tuple[str, ...]:
    """The first parts of the triplets of an architecture by OCI's name; ("",) for an unknown."""
    rows = [row for row in ARCHITECTURES.values() if row.oci == oci_architecture]
    names = (triplet.partition("-")[0] for row in rows for triplet in row.triplets)
    return tuple(dict.fromkeys(names)) or ("",)


def lib_names(target: Target) -> tuple[str, ...]:
    """What ``$LIB`` can stand for (ld.so(8)); distributions configure it differently."""
    known = architecture(target)
    return (*(f"lib/{triplet}" for triplet in known.triplets), known.lib, "lib")


def default_directories(target: Target, loader_directory: str) -> tuple[str, ...]:
    """The directories built into a glibc loader: Debian's multiarch ones, the FHS ones, and where
    the loader itself lies (a libc with a prefix of its own, as in Nix or Guix)."""
    names = lib_names(target)
    places = [f"{top}/{name}" for name in names for top in ("", "/usr")]
    return tuple(dict.fromkeys([*places, loader_directory] if loader_directory else places))


def hwcaps_subdirectories(rootfs: Rootfs, directory: str) -> tuple[str, ...]:
    """The subdirectories of a library directory that some processor prefers. All of them count:
    the image runs on processors other than the one that builds it."""
    top = rootfs.lookup(directory)
    if top is None or not top.is_directory:
        return ()
    found = [
        f"glibc-hwcaps/{name}"
        for name in rootfs.children(rootfs.resolve(f"{top.path}/glibc-hwcaps").path)
    ]
    for name in rootfs.children(top.path):
        if name in _LEGACY_HWCAPS:
            found.append(name)
            below = rootfs.children(rootfs.resolve(f"{top.path}/{name}").path)
            found.extend(f"{name}/{sub}" for sub in below if sub in _LEGACY_HWCAPS)
    return tuple(found)


def ld_so_conf(rootfs: Rootfs, path: str = "/etc/ld.so.conf", depth: int = 0) -> Iterator[str]:
    """The directories that ``ld.so.conf`` names, its ``include`` globs followed (ldconfig(8))."""
    for line in rootfs.read_text(path).splitlines():
        words = line.partition("#")[0].replace(",", " ").replace(":", " ").split()
        if not words or words[0] == "hwcap":
            continue
        if words[0] != "include":
            yield from (word.partition("=")[0] for word in words if word.startswith("/"))
            continue
        for pattern in words[1:]:
            full = posixpath.join(posixpath.dirname(path), pattern)
            for entry in rootfs.glob(full) if depth < _MAX_INCLUDES else ():
                yield from ld_so_conf(rootfs, entry.path, depth + 1)


def musl_directories(rootfs: Rootfs) -> tuple[str, ...]:
    """musl's system path: from ``/etc/ld-musl-ARCH.path``, one a line or separated by colons."""
    for name in rootfs.children("/etc"):
        if name.startswith("ld-musl-") and name.endswith(".path"):
            return tuple(rootfs.read_text(f"/etc/{name}").replace(":", "\n").split())
    return MUSL_DIRECTORIES


def has_only_musl(rootfs: Rootfs) -> bool:
    """Whether the image's loader is musl's: the answer for libraries that name no libc."""
    tops = [rootfs.resolve(top).path for top in ("/lib", "/lib64")]
    names = {name for top in tops for name in rootfs.children(top)}
    return any(name.startswith("ld-musl-") for name in names) and not any(
        name.startswith(("ld-linux", "ld64.so", "ld.so.1")) for name in names
    )
