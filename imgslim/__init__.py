"""imgslim: derive what a container image needs at run time, and write the Dockerfile of it."""

__version__ = "0.1.0"
