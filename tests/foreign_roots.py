"""A root of Debian's packages for another architecture than this machine's, and programs of it run.

Nothing of it runs while it is made: packages are unpacked, and dpkg's database is written as dpkg
would. A user-mode emulator (qemu-user(1)) then runs single programs of it in this machine's engine.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import engines
from tests.containers import Answer, command_answer

EMULATOR = "/usr/bin/qemu-aarch64-static"

_UNPACK = r"""
mkdir -p /target/var/lib/dpkg/info
for directory in bin sbin lib; do
  mkdir -p "/target/usr/$directory" && ln -s "usr/$directory" "/target/$directory"
done
for deb in /packages/*.deb; do
  name="$(dpkg-deb --field "$deb" Package)"
  dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C /target
  dpkg-deb --fsys-tarfile "$deb" | tar -t | sed -e 's|^\.||' -e 's|\(.\)/$|\1|' -e 's|^/$|/.|' \
    > "/target/var/lib/dpkg/info/$name.list"
  dpkg-deb --field "$deb" | sed 's/^Package: .*/&\nStatus: install ok installed/' \
    >> /target/var/lib/dpkg/status
  echo >> /target/var/lib/dpkg/status
done
"""

_FETCH = """FROM debian:bookworm
COPY unpack.sh /
RUN apt-get update && apt-get install -y --no-install-recommends qemu-user-static \\
 && mkdir -p /packages/partial && : > /nothing-installed \\
 && printf 'APT::Architecture "%s"; APT::Architectures {{ "%s"; }};' \\
      {architecture} {architecture} > /arch \\
 && export APT_CONFIG=/arch && apt-get update \\
 && apt-get install -y --no-install-recommends --download-only -o Dir::Cache::archives=/packages \\
      -o Dir::State::status=/nothing-installed {packages} \\
 && unset APT_CONFIG && sh -eu /unpack.sh && rm -r /packages
COPY files /target/
CMD ["true"]
"""


def build_root(tag: str, architecture: str, packages: Sequence[str], files: Path) -> None:
    """Make an image with ``packages`` and what they depend on below ``/target``, and ``files`` over
    them."""
    text = _FETCH.format(architecture=architecture, packages=" ".join(packages))
    (files / "unpack.sh").write_text(_UNPACK)
    (files / "Dockerfile").write_text(text)
    engines.docker("build", "--quiet", "--network=host", f"--tag={tag}", str(files))


@contextmanager
def container_of(tag: str) -> Iterator[str]:
    """A container that is never started, until the block ends."""
    container = engines.docker("create", tag).decode().strip()
    try:
        yield container
    finally:
        engines.docker("rm", "--force", container)


def emulated(tag: str, emulator: Path, argv: Sequence[str]) -> Answer:
    """What a program of an image for another architecture answers."""
    mounted = f"--volume={emulator}:/emulator:ro"
    words = ["--rm", "--network=none", mounted, "--entrypoint=/emulator", tag, *argv]
    return command_answer(["run", *words])


def needed_libraries(root: Path, program: str, directories: Sequence[str]) -> set[str]:
    """The paths of all that a program of ``root`` loads, as readelf(1) tells: an outside judge."""
    found: set[str] = set()
    pending = [program]
    while pending:
        shown = subprocess.run(
            ["readelf", "--dynamic", "--wide", str(root / pending.pop().lstrip("/"))],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for line in shown.splitlines():
            if "(NEEDED)" not in line:
                continue
            soname = line.partition("[")[2].rstrip("]")
            path = next(f"{d}/{soname}" for d in directories if (root / d[1:] / soname).exists())
            if path not in found:
                found.add(path)
                pending.append(path)
    return found
