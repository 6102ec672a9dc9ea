"""Java homes: the directories in which a virtual machine, its classes and its tools lie.

JEP 220 (Java 9 and later: ``lib/modules``, ``conf``, ``jmods``), and the layout before it
(``lib/rt.jar`` below ``jre``, or of a JRE by itself).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from imgslim.rootfs import Rootfs

_CLASSES = ("/lib/modules", "/lib/rt.jar")
_MACHINES = ("/lib/server/libjvm.so", "/lib/client/libjvm.so", "/lib/default/libj9vm29.so")
_MACHINE = re.compile(
    r"/lib(?:/[\w-]+)?/(?:server|client|default|minimal|zero|j9vm)/lib(?:jvm|j9vm\d+)\.so"
)
_PROPERTY = re.compile(r'^(\w+)="?([^"\n]*)"?$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class JavaHome:
    """A Java home by its canonical path; ``version`` and ``vendor`` as its ``release`` file has
    them ("" where it has none)."""

    path: str
    version: str = ""
    vendor: str = ""
    modules_path: str = ""
    """The image of its own classes, "" before Java 9."""


def find_homes(rootfs: Rootfs) -> tuple[JavaHome, ...]:
    """Every Java home of an image, wherever it lies: by its classes and a virtual machine."""
    found: dict[str, JavaHome] = {}
    for path in rootfs.entries:
        ending = next((ending for ending in _CLASSES if path.endswith(ending)), None)
        if ending is None:
            continue
        home = path.removesuffix(ending)
        if home and _has_machine(rootfs, home):
            outer = home.removesuffix("/jre")
            is_inner = outer != home and rootfs.lookup(f"{outer}/bin/java") is not None
            home = outer if is_inner else home
            found.setdefault(home, _home(rootfs, home, path if ending == _CLASSES[0] else ""))
    return tuple(found.values())


def _has_machine(rootfs: Rootfs, home: str) -> bool:
    if any(rootfs.lookup(f"{home}{machine}") is not None for machine in _MACHINES):
        return True
    return any(
        _MACHINE.fullmatch(entry.path.removeprefix(home)) for entry in rootfs.walk(f"{home}/lib")
    )


def _home(rootfs: Rootfs, home: str, modules: str) -> JavaHome:
    words = dict(_PROPERTY.findall(rootfs.read_text(f"{home}/release")))
    return JavaHome(home, words.get("JAVA_VERSION", ""), words.get("IMPLEMENTOR", ""), modules)


def home_of(path: str, homes: tuple[JavaHome, ...]) -> JavaHome | None:
    """The innermost home that a canonical path is, or lies in."""
    around = [home for home in homes if f"{path}/".startswith(f"{home.path}/")]
    return max(around, key=lambda home: len(home.path), default=None)


def links_to(rootfs: Rootfs, home: JavaHome) -> Iterator[str]:
    """The links beside a home that lead to it: names under which scripts look for one
    (``/usr/lib/jvm/default-java``)."""
    parent = home.path.rpartition("/")[0]
    for name in rootfs.children(parent):
        entry = rootfs.get(f"{parent}/{name}")
        if entry is not None and entry.is_symlink and rootfs.resolve(entry.path).path == home.path:
            yield entry.path
