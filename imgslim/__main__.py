"""``python -m imgslim``."""

from imgslim.cli.main import main

main()
