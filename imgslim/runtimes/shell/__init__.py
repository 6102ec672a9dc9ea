"""Shell scripts and ``sh -c`` strings: what they run, source and read."""

from imgslim.runtimes.shell.runtime import ShellRuntime

__all__ = ["ShellRuntime"]
