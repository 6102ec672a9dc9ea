"""PHP: its programs and their settings, composer's packages, and what sources name."""

from imgslim.runtimes.php.runtime import PhpRuntime

__all__ = ["PhpRuntime"]
