"""The one list of runtime modules, in the order in which they are asked."""

from __future__ import annotations

from imgslim.runtimes.ambient import AmbientNeeds
from imgslim.runtimes.base import Runtime
from imgslim.runtimes.command import CommandRuntime
from imgslim.runtimes.configuration import ConfigurationRuntime
from imgslim.runtimes.distro import DistroPackages
from imgslim.runtimes.elf import ElfRuntime
from imgslim.runtimes.git import GitRuntime
from imgslim.runtimes.go import GoRuntime
from imgslim.runtimes.java import JavaRuntime
from imgslim.runtimes.logins import LoginRuntime
from imgslim.runtimes.node import NodeRuntime
from imgslim.runtimes.perl import PerlRuntime
from imgslim.runtimes.php import PhpRuntime
from imgslim.runtimes.python import PythonRuntime
from imgslim.runtimes.ruby import RubyRuntime
from imgslim.runtimes.script import ScriptRuntime
from imgslim.runtimes.shell import ShellRuntime
from imgslim.runtimes.shims import ShimRuntime
from imgslim.runtimes.supervisors import SupervisorRuntime
from imgslim.runtimes.unknown import UnknownPrograms
from imgslim.world import World

RUNTIMES: tuple[type[Runtime], ...] = (
    CommandRuntime,
    ShimRuntime,
    PythonRuntime,
    GoRuntime,
    NodeRuntime,
    JavaRuntime,
    RubyRuntime,
    PerlRuntime,
    PhpRuntime,
    SupervisorRuntime,
    ShellRuntime,
    GitRuntime,
    LoginRuntime,
    ConfigurationRuntime,
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
