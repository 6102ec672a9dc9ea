"""Commands that run other commands, and the files that a command line names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from imgslim.commands import (
    Argv,
    find_wrapper,
    inner_commands,
    may_be_absent,
    name_of,
    resolve_command,
    tree_needs,
    word_needs,
)
from imgslim.model import Command, Finding, Problem, Severity
from imgslim.runtimes.base import Runtime
from imgslim.world import World


class CommandRuntime(Runtime):
    """Unwraps ``env``, ``tini``, ``gosu``, ``timeout`` …: the one place where that is done."""

    name = "command"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._seen: set[Argv] = set()

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        """The inner commands of a wrapper, resolved, and the paths that the words name."""
        words = tuple(argv)
        if not words or words in self._seen:
            return
        self._seen.add(words)
        if not may_be_absent(words):
            yield from word_needs(self.world, words[1:], because)
        yield from tree_needs(self.world, words, because)
        for inner in inner_commands(words, path):
            yield from self._inner(inner, path, because)

    def _inner(self, inner: Argv, path: str, because: str) -> Iterator[Finding]:
        found = list(resolve_command(self.world, inner, because))
        wrapper = find_wrapper(name_of(path))
        if found:
            yield from found
        elif wrapper is not None and wrapper.applet:
            # A multi-call binary runs its applets itself, whether or not they have links.
            yield Command(inner, path, because)
        elif "$" not in inner[0]:
            of_the_image = because.startswith("<")
            yield Problem(
                "missing-command",
                Severity.WARNING if of_the_image else Severity.INFO,
                because if not of_the_image else "",
                f"{name_of(path)} runs {inner[0]}, which is not in the image",
                "nothing to keep",
            )
