"""What programs load when they start, as far as their code says: the modules worth compiled.

Bytecode makes a start quick. A module that only functions of dependencies import, or that they load
by computed names, is compiled when it is first used (PEP 3147, "Flow chart").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgslim.runtimes.python.search import Search

_Module = tuple[Search, str]


class StartUp:
    """Gather what loads what; ``files`` is the closure over it."""

    def __init__(self) -> None:
        self._roots: set[str] = set()
        self._modules: dict[_Module, None] = {}
        self._loads: dict[str, list[_Module]] = {}

    def add_file(self, path: str) -> None:
        """A source that runs, or that the user's own code names."""
        self._roots.add(path)

    def add_module(self, search: Search, module: str) -> None:
        """A module that an interpreter or the user's own code loads."""
        self._modules[search, module] = None

    def note(self, path: str, search: Search, module: str) -> None:
        """The file at ``path`` loads ``module`` whenever it is loaded itself."""
        self._loads.setdefault(path, []).append((search, module))

    def files(self, named: Iterable[str]) -> set[str]:
        """The files of all that is loaded from the roots, and from what else is ``named``, on."""
        found: set[str] = set()
        done: set[_Module] = set()
        pending = [*self._roots, *named]
        for module in self._modules:
            pending += _files_of(*module)
        while pending:
            path = pending.pop()
            if path in found:
                continue
            found.add(path)
            for module in self._loads.get(path, ()):
                if module not in done:
                    done.add(module)
                    pending += _files_of(*module)
        return found


def _files_of(search: Search, module: str) -> Iterator[str]:
    """A module's file and those of the packages around it."""
    yield from search.index.standard(module)
    for target in search.index.resolve(module):
        yield target.path
