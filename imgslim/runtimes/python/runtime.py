"""The runtime module of CPython: interpreters, standard library, distributions, scripts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from imgslim.choices import Level
from imgslim.model import (
    Claim,
    Command,
    Distribution,
    Entry,
    Finding,
    Group,
    Keep,
    Need,
    Problem,
    Scope,
    Severity,
    unique_size_bytes,
)
from imgslim.runtimes.base import KeptPaths, Runtime
from imgslim.runtimes.python import hints
from imgslim.runtimes.python.bytecode import bytecode_needs, is_compiled
from imgslim.runtimes.python.distributions import DistributionClosure
from imgslim.runtimes.python.doubts import program_doubts
from imgslim.runtimes.python.granular import ModuleClosure
from imgslim.runtimes.python.invoke import (
    PythonCommand,
    archive_sources,
    parse_python_argv,
    shebang_interpreter,
)
from imgslim.runtimes.python.layout import (
    Environment,
    Installation,
    Layout,
    discover_layout,
    environment_of,
    is_interpreter,
    is_other_python,
)
from imgslim.runtimes.python.pickles import pickle_sources
from imgslim.runtimes.python.reach import ImportClosure
from imgslim.runtimes.python.search import Source
from imgslim.runtimes.python.sourceless import leave_out_sources
from imgslim.runtimes.python.stdlib import (
    archive_needs,
    interpreter_needs,
    layout_claims,
    library_links,
    prefix_needs,
    stdlib_needs,
)
from imgslim.runtimes.python.tables import hidden, optional_parts, tight
from imgslim.world import World

_PATCHLEVEL = re.compile(r'#define\s+PY_VERSION\s+"([^"]+)"')
_CODE_SUFFIXES = (".py", ".so")
_ASSET_SUFFIXES = (".js", ".css", ".map", ".svg", ".gz", ".png", ".jpg", ".ico", ".woff2", ".mo")
"""Files that name no Python module."""
_SKIPPED_VARIABLES = frozenset(("PATH", "LD_LIBRARY_PATH", "MANPATH", "GPG_KEY", "PYTHON_VERSION"))


class PythonRuntime(Runtime):
    """What Python programs need: derived from their imports, at the granularity of
    distributions."""

    name = "python"
    understands = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._granular = world.choices.level is Level.TIGHT
        closure = ModuleClosure if self._granular else DistributionClosure
        self._closure: ImportClosure = closure(world)
        self._bases: dict[Installation, str] = {}
        self._started = False
        self._parts_given = 0

    @cached_property
    def _layout(self) -> Layout:
        return discover_layout(self.world)

    @cached_property
    def _stdlib_prefixes(self) -> tuple[str, ...]:
        return tuple(f"{path}/" for base in self._layout.installations for path in base.stdlib)

    @property
    def has_levels(self) -> bool:
        return bool(self._bases)

    def claims(self) -> Iterable[Claim]:
        return layout_claims(self.world, self._layout)

    def needs(self, entry: Entry) -> Iterable[Finding]:
        if entry.is_directory:
            return
        name = entry.path.rpartition("/")[2]
        if name.endswith(".py") and (not self._granular or self._is_own(entry.path)):
            yield from bytecode_needs(self.world, entry.path)
        if is_interpreter(name) and (entry.is_symlink or entry.is_executable):
            yield from self._interpreter(entry)
        elif not entry.is_file:
            return
        elif is_other_python(name) and entry.is_executable:
            yield from self._other_python(entry)
        elif name.endswith(".py") or is_compiled(entry.path):
            self._take_source(entry)
        elif self._layout.installations:
            yield from self._take_other_file(entry, name)

    def _take_other_file(self, entry: Entry, name: str) -> Iterator[Finding]:
        own = not name.endswith(_ASSET_SUFFIXES) and self._is_own(entry.path)
        if own and entry.size_bytes <= hidden().largest_config_bytes:
            self._closure.note_text(self.world.rootfs.read_bytes(entry))
        for source in pickle_sources(self.world.rootfs, entry, own=own):
            self._closure.examine(source)
        if entry.is_executable and "." not in name.removesuffix(".pyz").removesuffix(".pex"):
            yield from self._take_script(entry)
        elif name.endswith(".so"):
            self._closure.reach_owner(entry.path, entry.path)
            self._closure.take_native(entry)
        elif name.startswith("libpython") and ".so" in name:
            yield from self._library(entry)
        elif name.endswith(hidden().config_suffixes) and self._is_own(entry.path):
            self._take_config(entry)

    def _take_source(self, entry: Entry) -> None:
        path = entry.path
        if self._is_standard(path):
            if self._granular:
                self._closure.take_file(entry, own=False, environment=None)
            return
        interpreter = shebang_interpreter(self.world, entry) if entry.is_executable else None
        environment = self._activate_for(interpreter) if interpreter else None
        self._closure.reach_owner(path, path)
        self._closure.take_file(entry, own=self._is_own(path), environment=environment)

    def _take_script(self, entry: Entry) -> Iterator[Need]:
        """A script without a suffix whose first line names a Python; also a zip application."""
        interpreter = shebang_interpreter(self.world, entry)
        if interpreter is None:
            return
        yield Need(interpreter, Group.PROGRAM, "interpreters of scripts", entry.path, optional=True)
        environment = self._activate_for(interpreter)
        self._closure.reach_owner(entry.path, entry.path)
        self._take_program(entry, environment)

    def _take_program(self, entry: Entry, environment: Environment | None) -> None:
        own = self._is_own(entry.path)
        data = self.world.rootfs.read_bytes(entry)
        for module in hints.entry_point_modules(data, self.world.packages.distributions):
            self._closure.hint(module, entry.path)
        inner = list(archive_sources(data))
        for text in inner:
            self._closure.examine(Source(entry.path, None, text, own, environment))
        if not inner:
            self._closure.examine(Source(entry.path, entry, b"", own, environment))

    def _take_config(self, entry: Entry) -> None:
        if 0 < entry.size_bytes <= hidden().largest_config_bytes:
            data = self.world.rootfs.read_bytes(entry)
            names = hints.dotted_names(data)
            names.update(hints.url_modules(data.decode("utf-8", "replace")))
            for module in sorted(names):
                self._closure.hint(module, entry.path)

    def _is_standard(self, path: str) -> bool:
        return path.startswith(self._stdlib_prefixes) and "-packages/" not in path

    def _is_own(self, path: str) -> bool:
        packages = self.world.packages
        return (
            not self._is_standard(path)
            and packages.owner(path) is None
            and packages.distribution_owner(path) is None
        )

    def _interpreter(self, entry: Entry) -> Iterator[Finding]:
        """The standard library, and the environment at once where it is a virtual one: what a
        link in there leads to runs for it alone."""
        environment = environment_of(self.world.rootfs, self._layout, entry.path)
        if environment is None:
            return
        yield from self._base(environment.base, entry.path)
        if environment.config:
            yield from interpreter_needs(self.world, environment, entry.path)
            self._closure.activate(environment, entry.path)
        elif not entry.is_symlink:
            yield from interpreter_needs(self.world, environment, entry.path)

    def _base(self, base: Installation, because: str) -> Iterator[Need]:
        if base not in self._bases:
            self._bases[base] = because
            yield from self._stdlib(base, because)

    def _stdlib(self, base: Installation, because: str) -> Iterator[Need]:
        wanted = list(self._closure.wanted_parts)
        if self.world.choices.level is Level.SAFE:
            wanted += [part for part in optional_parts() if not part.tests]
        if self._granular:
            yield from archive_needs(self.world, base, because)
        else:
            yield from stdlib_needs(self.world, base, wanted, because)
        yield from prefix_needs(self.world, base, wanted, because)

    def _library(self, entry: Entry) -> Iterator[Need]:
        """A libpython that some program embeds needs its standard library as well."""
        for base in self._layout.installations:
            if any(target == entry.path for _, target in library_links(self.world, base)):
                yield from self._base(base, entry.path)

    def _other_python(self, entry: Entry) -> Iterator[Finding]:
        prefix = posixpath.dirname(posixpath.dirname(entry.path))
        rootfs = self.world.rootfs
        trees = [prefix]
        if prefix in ("", "/", "/usr", "/usr/local"):
            lib = rootfs.resolve(f"{prefix}/lib").path
            trees = [f"{lib}/{child}" for child in rootfs.children(lib) if is_other_python(child)]
        for tree in trees:
            yield Need(tree, Group.RUNTIME, "PyPy", entry.path, Scope.TREE, optional=True)
        yield Problem(
            "python-implementation",
            Severity.WARNING,
            entry.path,
            "is a Python other than CPython, which no module understands yet",
            "its tree is kept whole, with every distribution in it",
            sum(unique_size_bytes(rootfs.walk(tree)) for tree in trees),
        )

    def _activate_for(self, interpreter: str) -> Environment | None:
        environment = environment_of(self.world.rootfs, self._layout, interpreter)
        if environment is not None:
            self._closure.activate(environment, interpreter)
        return environment

    def command_needs(self, argv: Sequence[str], path: str, because: str) -> Iterable[Finding]:
        entry = self.world.rootfs.get(path)
        if not argv or entry is None or not self._layout.installations:
            return
        invoked = self._invoked(argv[0], path)
        if is_interpreter(posixpath.basename(path)):
            environment = self._activate_for(invoked)
            if environment is not None:
                yield from self._python(parse_python_argv(argv), environment, because)
            return
        interpreter = shebang_interpreter(self.world, entry)
        owner = self.world.packages.distribution_owner(path)
        if interpreter is not None:
            self._activate_for(interpreter)
        elif owner is not None:
            self._activate_owners(owner, path)
        else:
            return
        self._closure.reach_owner(path, because)
        self._hint_words(argv[1:], because)

    def _activate_owners(self, dist: Distribution, because: str) -> None:
        """A native command of a distribution runs in the environments that hold it."""
        for environment in self._layout.environments:
            if dist.site_path in environment.site_paths:
                self._closure.activate(environment, because)

    def _invoked(self, word: str, path: str) -> str:
        """The path, links unresolved, by which a command reaches ``path``."""
        rootfs = self.world.rootfs
        found = self.world.which(word)
        return found if found is not None and rootfs.resolve(found).path == path else path

    def _python(
        self, command: PythonCommand, environment: Environment, because: str
    ) -> Iterator[Finding]:
        self._hint_words(command.arguments, because)
        if command.code:
            text = command.code.encode("utf-8", "surrogateescape")
            self._closure.examine(Source(because, None, text, True, environment))
        elif command.module:
            yield from self._module(command.module, environment, because)
        elif command.script:
            yield from self._script(command.script, environment, because)
        elif self._granular:
            # A prompt: Lib/site.py, register_readline.
            names = ", ".join(sorted(tight().prompt)).encode()
            self._closure.examine(Source(because, None, b"import " + names, True, environment))

    def _script(self, script: str, environment: Environment, because: str) -> Iterator[Finding]:
        resolved = self.world.rootfs.resolve(script, base=self.world.working_dir)
        entry = resolved.entry
        if entry is None:
            return
        scope = Scope.TREE if entry.is_directory else Scope.PATH
        yield Need(resolved.path, Group.PROGRAM, "Python programs", because, scope)
        if entry.is_file:
            self._take_program(entry, environment)

    def _module(self, module: str, environment: Environment, because: str) -> Iterator[Finding]:
        """``-m``: the working directory comes first on the search path."""
        stem = f"{self.world.working_dir.rstrip('/')}/{module.replace('.', '/')}"
        here = [p for p in (f"{stem}.py", stem) if self.world.rootfs.lookup(p) is not None]
        for path in here:
            yield Need(path, Group.PROGRAM, "Python programs", because, Scope.TREE)
        found = self._closure.run_module(environment, module, because)
        if not here and not found:
            yield Problem(
                "module-not-found",
                Severity.WARNING,
                "",
                f"{because} runs python -m {module}, which is in no directory of the search path",
                "nothing to keep",
            )

    def _hint_words(self, words: Iterable[str], because: str) -> None:
        for word in words:
            self._closure.note_text(word.encode("utf-8", "surrogateescape"))
            for module in (*hints.word_references(word), *hints.url_modules(word)):
                self._closure.hint(module, because)

    def settle(self, kept: KeptPaths) -> Iterable[Finding]:
        if not self._bases:
            return
        if not self._started:
            self._started = True
            for name, value, because in self.world.variables:
                if name not in _SKIPPED_VARIABLES:
                    self._hint_words([value], because)
        self._activate_unclaimed()
        found = list(self._closure.drain())
        yield from found
        yield from self._newly_wanted()
        for base in self._bases:
            for link, target in library_links(self.world, base):
                if target in kept:
                    yield Need(link, Group.RUNTIME, f"{base.label} interpreter", target)
        if not found:
            for path in sorted(self._closure.loaded_at_start()):
                yield from bytecode_needs(self.world, path)
            yield from program_doubts(self.world, self._closure.programs, kept)
            yield from self._closure.doubts()

    def arrange(
        self, keeps: tuple[Keep, ...], commands: Iterable[Command]
    ) -> tuple[tuple[Keep, ...], tuple[Problem, ...]]:
        if self.world.choices.sources or not self._bases:
            return keeps, ()
        return leave_out_sources(self.world, self._layout, tuple(self._bases), keeps, commands)

    def _activate_unclaimed(self) -> None:
        """An interpreter that is kept, but for no environment that is known to run, runs for its
        own one."""
        active = {environment.base for environment in self._closure.environments}
        for base, because in self._bases.items():
            if base not in active:
                self._closure.activate(self._layout.own_of(base), because)

    def _newly_wanted(self) -> Iterator[Need]:
        wanted = self._closure.wanted_parts
        if len(wanted) > self._parts_given:
            self._parts_given = len(wanted)
            because = next(reversed(wanted.values()))
            for base in self._bases:
                yield from self._stdlib(base, because)

    def _distribution_of_script(self, path: str) -> Distribution | None:
        """The distribution with a console script of that name: its RECORD need not list the
        script (``pip install --target`` writes another place)."""
        name = posixpath.basename(path)
        owner = self.world.packages.distribution_owner(path)
        candidates = self.world.packages.distributions if owner is None else (owner,)
        for dist in candidates:
            if any(p.group == "console_scripts" and p.name == name for p in dist.entry_points):
                return dist
        return None

    def describe(self, entry: Entry) -> str | None:
        name = posixpath.basename(entry.path)
        if is_other_python(name) and entry.is_executable:
            return "Python other than CPython, not understood"
        if is_interpreter(name) and entry.is_executable:
            environment = environment_of(self.world.rootfs, self._layout, entry.path)
            return self._where(environment) if environment else None
        interpreter = shebang_interpreter(self.world, entry) if entry.is_file else None
        if interpreter is None and not name.endswith(".py"):
            return None
        dist = self._distribution_of_script(entry.path)
        if dist is None or interpreter is None:
            return "Python script"
        environment = environment_of(self.world.rootfs, self._layout, interpreter)
        where = f", {self._where(environment)}" if environment else ""
        return f"console script {name} of distribution {dist.name} {dist.version}{where}"

    def _where(self, environment: Environment) -> str:
        base = environment.base
        header = f"{base.prefix}/include/python{base.version}/patchlevel.h"
        full = _PATCHLEVEL.search(self.world.rootfs.read_text(header))
        version = full[1] if full else base.version
        return f"CPython {version} in {environment.prefix or '/'}"
