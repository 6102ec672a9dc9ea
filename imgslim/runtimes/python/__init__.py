"""CPython: interpreters and their standard libraries, distributions reached by imports."""

from imgslim.runtimes.python.runtime import PythonRuntime

__all__ = ["PythonRuntime"]
