"""What the user decides about a plan: how much to trust, what to keep or drop anyway."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How far a plan goes, from the most generous to the smallest.

    ``SAFE`` keeps whole packages and standard libraries; ``BALANCED`` leaves out tests, packages
    for development and large parts that nothing reaches; ``TIGHT`` keeps the reached modules alone,
    where imports can be followed, with the spots that cannot be resolved kept whole.
    """

    SAFE = "safe"
    BALANCED = "balanced"
    TIGHT = "tight"

    def reaches(self, other: Level) -> bool:
        """Whether this level leaves out all that ``other`` does."""
        levels = list(Level)
        return levels.index(self) >= levels.index(other)

    @property
    def next(self) -> Level | None:
        """The level that keeps less than this one; None for the last."""
        levels = list(Level)
        after = levels[levels.index(self) + 1 :]
        return after[0] if after else None


@dataclass(frozen=True, slots=True)
class Choices:
    """The user's decisions about one plan.

    ``keep`` and ``drop`` are absolute paths or globs (the patterns of ``globs.glob_regex``), a
    directory standing for all that lies below it, or the keys of packages (``deb:NAME``);
    ``keep_packages`` and ``drop_packages`` are such keys or bare names. ``compose`` and
    ``kubernetes`` are files of this host whose services run the image: those of the names in
    ``services``, else those that name it. ``bytecode`` says whether compiled Python sources
    (``__pycache__``) are kept, None leaves that to the level; without ``sources`` they take the
    place of their sources. With ``strip``, what only debuggers read of ELF files is left out:
    ``strip_on_host`` by this machine's tools, else by the image's own in the build.
    """

    level: Level = Level.BALANCED
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    bytecode: bool | None = None
    strip: bool = False
    strip_on_host: bool = False
    keep_packages: tuple[str, ...] = ()
    drop_packages: tuple[str, ...] = ()
    compose: tuple[str, ...] = ()
    kubernetes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    sources: bool = True

    @property
    def keeps_bytecode(self) -> bool:
        """Whether ``__pycache__`` is kept: Python makes it again, so the smallest level does
        without it."""
        if self.bytecode is None:
            return self.level is not Level.TIGHT or not self.sources
        return self.bytecode
