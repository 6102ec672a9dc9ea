"""Java: homes of virtual machines, command lines of the launcher, and what class files reach."""

from imgslim.runtimes.java.runtime import JavaRuntime

__all__ = ["JavaRuntime"]
