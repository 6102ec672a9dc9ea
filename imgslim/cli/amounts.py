"""Types of options for amounts, on the command line and in a settings file."""

from __future__ import annotations

from collections.abc import Callable

import click

from imgslim.quantities import parse_percent, parse_ratio, parse_size


class Amount(click.ParamType):  # type: ignore[type-arg] # generic since click 8.4
    """An amount with a unit; in a settings file a number or a string."""

    def __init__(self, name: str, parse: Callable[[str | float], float], expected: str) -> None:
        self.name = name
        self._parse = parse
        self._expected = expected

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The amount as a number."""
        try:
            return self._parse(value)
        except ValueError:
            self.fail(f"{value!r} is not {self._expected}", param, ctx)


SIZE = Amount("size", parse_size, "a size such as 300MB, 1.5GiB or 20000")
PERCENT = Amount("percent", parse_percent, "a number of per cent such as 5 or 2.5")
RATIO = Amount("ratio", parse_ratio, "a ratio such as 0.95 or 95%")
