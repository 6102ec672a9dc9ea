"""From the texts in scripts that may hold paths to the files that are there."""

from __future__ import annotations

from collections.abc import Iterator

from imgslim.commands import word_needs
from imgslim.environment import is_search_path, searched_needs, variable_needs
from imgslim.model import Finding
from imgslim.runtimes.shell.facts import Mention
from imgslim.world import World


class Mentions:
    """Finds what the texts of one image name. A script is walked several times, with arguments and
    variables of which most are the same: each word of it is looked up once a working directory."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: set[tuple[str, str, tuple[str, ...]]] = set()

    def needs(self, mention: Mention) -> Iterator[Finding]:
        """What of it is in the image and was not told before."""
        name, text, because, place = mention.variable, mention.text, mention.script, mention.place
        if name:
            yield from variable_needs(self._world, name, text, because, place)
            if is_search_path(name):
                yield from searched_needs(self._world, name, text, because, place, by="a script")
            return
        keys = {(word, because, place.directories) for word in text.split() or [text]}
        fresh = [key[0] for key in sorted(keys - self._known)]
        self._known |= keys
        yield from word_needs(self._world, fresh, because, place)
