"""The entry point. What only says something about imgslim is answered before anything is imported.

Starting click costs three times what starting Python does; the overview does not need it.
"""

from __future__ import annotations

import gc
import sys

from imgslim import __version__
from imgslim.cli.overview import OVERVIEW

RARE_COLLECTIONS = (100_000, 50, 100)
"""An index of an image is some hundred thousand objects that live to the end, without cycles:
looking through them as often as Python does by default is a fifth of the time of an analysis."""


def main() -> None:
    """Run the command line of this process and exit with its code."""
    arguments = sys.argv[1:]
    if arguments in (["-h"], ["--help"]):
        sys.stdout.write(OVERVIEW)
    elif arguments in (["-V"], ["--version"]):
        sys.stdout.write(f"imgslim {__version__}\n")
    else:
        from imgslim.cli.app import run

        gc.set_threshold(*RARE_COLLECTIONS)
        sys.exit(run(arguments))


if __name__ == "__main__":
    main()
