"""Ruby: interpreters, their library, gems, Bundler's bundles, and what sources load."""

from imgslim.runtimes.ruby.runtime import RubyRuntime

__all__ = ["RubyRuntime"]
