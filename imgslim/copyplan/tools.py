"""The shell and tools that an image itself has: what its gathered tree can be made with."""

from __future__ import annotations

from dataclasses import dataclass

from imgslim.rootfs import Rootfs

TOOL_DIRECTORIES = (
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/bin",
    "/busybox",
)
"""Where tools are looked for: the usual places, and that of distroless debug images."""

_ALWAYS = ("sh", "mkdir", "rm", "mv", "ln", "chown", "chmod", "touch")

_TAR = """gather() {
  tar -c --no-recursion --numeric-owner -C / -f {place}.tar -- "$@"
  tar -x -p --numeric-owner -C {place} -f {place}.tar
  rm {place}.tar
}"""
"""Through a file, not a pipe: a shell without pipefail would not see the first one fail."""

_CP_FILES = """gather() {
  cp -a --parents -- "$@" {place}/
}"""

_CP_DIRECTORIES = """gather() {
  for path
  do mkdir -p "{place}/$path"
    chown --reference="$path" "{place}/$path"
    chmod --reference="$path" "{place}/$path"
    touch -r "$path" "{place}/$path"
  done
}"""


@dataclass(frozen=True, slots=True)
class Tools:
    """How a stage of this image gathers: its shell, and a function of that shell, in lines.

    ``files`` and ``directories`` define ``gather``, which puts the paths that it is given (with a
    ``./`` before each, from the root) under ``{place}`` with owner, mode, time and hard links;
    parents may be missing there. ``keeps_links`` is false where the tool (busybox) makes
    symbolic links anew: root's, with the time of the build.
    """

    shell: str
    files: str
    directories: str
    keeps_links: bool


def find_tools(rootfs: Rootfs) -> Tools | None:
    """What the image has: tar (GNU or busybox), or else GNU cp; None when a stage cannot gather."""
    found = {name: _find(rootfs, name) for name in (*_ALWAYS, "tar", "cp")}
    shell = next((f"{d}/sh" for d in _shell_order() if _is_program(rootfs, f"{d}/sh")), None)
    if shell is None or not all(found[name] for name in _ALWAYS):
        return None
    if found["tar"]:
        return Tools(shell, _TAR, _TAR, not _is_busybox(found["tar"]))
    if found["cp"] and not _is_busybox(found["cp"]):
        return Tools(shell, _CP_FILES, _CP_DIRECTORIES, True)
    return None


def _shell_order() -> tuple[str, ...]:
    return ("/bin", *TOOL_DIRECTORIES)


def _find(rootfs: Rootfs, name: str) -> str | None:
    """The file behind the first program of that name, links followed."""
    for directory in TOOL_DIRECTORIES:
        entry = rootfs.lookup(f"{directory}/{name}")
        if entry is not None and entry.is_executable:
            return entry.path
    return None


def _is_program(rootfs: Rootfs, path: str) -> bool:
    entry = rootfs.lookup(path)
    return entry is not None and entry.is_executable


def _is_busybox(path: str | None) -> bool:
    return path is not None and path.rpartition("/")[2].startswith(("busybox", "toybox"))
