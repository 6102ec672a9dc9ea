"""The one list of runtime modules, in the order in which they are asked."""

from __future__ import annotations

from imgslim.runtimes.ambient import AmbientNeeds
from imgslim.runtimes.base import Runtime
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.distro import DistroPackages
from imgslim.runtimes.elf import ElfRuntime
from imgslim.runtimes.git import GitRuntime
from imgslim.runtimes.go import GoRuntime
from imgslim.runtimes.python import PythonRuntime
from imgslim.runtimes.script import ScriptRuntime
from imgslim.runtimes.shell import ShellRuntime
from imgslim.runtimes.unknown import UnknownPrograms
from imgslim.world import World

RUNTIMES: tuple[type[Runtime], ...] = (
    CommandRuntime,
    PythonRuntime,
    GoRuntime,
    ShellRuntime,
    GitRuntime,
    ScriptRuntime,
    ElfRuntime,
    DistroPackages,
    AmbientNeeds,
)
"""In the order in which they are asked: the first to describe a file has the word."""


def start_runtimes(world: World) -> tuple[Runtime, ...]:
    """One instance of each runtime for one analysis."""
    known = tuple(runtime(world) for runtime in RUNTIMES)
    return (*known, UnknownPrograms(world, known))
