"""Libraries that a module opens by names which its callers hand over.

``ctypes.util.find_library`` needs ldconfig. A binding generator that looks for whatever its callers
name needs it only where somebody names something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from imgslim.model import Finding
from imgslim.runtimes.python.callouts import library_findings
from imgslim.runtimes.python.source import Call
from imgslim.runtimes.python.tables import hidden
from imgslim.world import World


class HandedLibraries:
    """What calls of ``find_library`` need; those of the table's modules wait for a caller."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._named: set[str] = set()
        self._waiting: dict[str, list[Finding]] = {}

    def findings(self, path: str, calls: Iterable[Call]) -> Iterator[Finding]:
        """What the calls in a source need now."""
        found = list(library_findings(self._world, path, calls))
        function = next((f for tail, f in hidden().handed.items() if path.endswith(tail)), "")
        if not function or function in self._named:
            yield from found
        else:
            self._waiting.setdefault(function, []).extend(found)

    def note(self, path: str, data: bytes) -> Iterator[Finding]:
        """What is needed since one more source hands a name over."""
        for tail, function in hidden().handed.items():
            directory = tail.rpartition("/")[0]
            if function in self._named or f"/{directory}/" in path:
                continue
            # ``dlopen(None)`` is the program itself (dlopen(3)).
            if re.search(rb"\.%b\b(?!\s*\(\s*None\s*[,)])" % function.encode(), data):
                self._named.add(function)
                yield from self._waiting.pop(function, ())
