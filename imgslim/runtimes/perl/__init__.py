"""Perl: interpreters, their library, modules, and what sources load."""

from imgslim.runtimes.perl.runtime import PerlRuntime

__all__ = ["PerlRuntime"]
