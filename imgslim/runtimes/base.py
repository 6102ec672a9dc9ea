"""What a runtime module provides. A new one is a file here and a line in the registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from imgslim.model import Claim, Command, Entry, Finding, Keep, Problem
from imgslim.world import World


class KeptPaths(Protocol):
    """The plan so far, as a detector may ask it."""

    def __contains__(self, path: object, /) -> bool:
        """Whether a canonical path is kept."""

    def entries(self) -> Iterable[Entry]:
        """All kept entries so far."""

    @property
    def all_shown(self) -> bool:
        """Whether every kept entry has been shown to the runtimes."""


class Runtime:
    """One kind of thing that knows what its files need. The base answers nothing to everything.

    An instance lives for one analysis and may remember what it has already said. All answers are
    derived from ``world``; no file of the host is read and nothing of the image is run.
    """

    name: str = ""
    understands: bool = False
    """Whether a file that this runtime describes is known in full: what it needs is derived, not
    kept for lack of knowledge."""

    def __init__(self, world: World) -> None:
        self.world = world

    def restarted(self, world: World, others: Sequence[Runtime]) -> Runtime:
        """The same for another world, knowing nothing yet; ``others`` are those before it in the
        registry, restarted already."""
        return type(self)(world)

    @property
    def has_levels(self) -> bool:
        """Whether, after what it was shown, another level (choices.py) would change its needs."""
        return False

    def claims(self) -> Iterable[Claim]:
        """Trees and files that this runtime's installation put there: not the user's."""
        return ()

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        """What running ``argv`` needs beyond the file ``path`` (canonical, links resolved).

        Called once for every command that the image runs, and for every one that a script runs.
        """
        return ()

    def needs(self, entry: Entry) -> Iterable[Finding]:
        """What one more kept entry needs. Called exactly once an entry, in worklist order."""
        return ()

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        """More needs when the worklist is empty: what depends on the whole of what is kept.

        Called again until no runtime has anything new; yielding a need twice is harmless.
        """
        return ()

    def arrange(
        self, keeps: tuple[Keep, ...], commands: Iterable[Command]
    ) -> tuple[tuple[Keep, ...], tuple[Problem, ...]]:
        """``keeps``, sorted by path, as they lie in the slim image (``Keep.moved_from``), and
        what to say of that. ``commands`` are all that run. Called once, when all is decided."""
        return keeps, ()

    def conclude(self, kept: KeptPaths) -> Iterable[Problem]:
        """What to say once all is decided, such as what was left out and what keeping it costs.

        Called once, when no runtime has anything new.
        """
        return ()

    def describe(self, entry: Entry) -> str | None:
        """What a program's file is, in a few words for people, or None when not of this kind."""
        return None
