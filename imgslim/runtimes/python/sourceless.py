"""Sources left out, their bytecode in their place (PEP 3147, "Case 4"): ``--no-sources``.

CPython imports ``NAME.pyc`` where no ``NAME.py`` is beside it, and ``__pycache__/NAME.TAG.pyc``
never alone; the time and size in it are then not compared (importlib's SourcelessFileLoader). A
source stays where its bytecode is not surely what the fat image runs, or where something may want
its text or its name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imgslim.model import Command, Entry, Keep, Problem, Severity
from imgslim.runtimes.python.layout import Installation, Layout, is_interpreter
from imgslim.runtimes.python.source import candidate_names
from imgslim.runtimes.python.source_readers import reads_sources
from imgslim.runtimes.python.tables import hidden
from imgslim.tables import load_table
from imgslim.world import World

_CACHE = "/__pycache__/"
_NAMES_SHOWN = 3
_INITIALISER = "__init__.py"
_BY_THE_USER = "<keep "
_MAIN = re.compile(rb"""__name__\s*==\s*["']__main__["']""")
_FILE_NAME = re.compile(rb"[\w.-]+\.py\b")
_QUOTED_NAME = re.compile(rb"""([\w.-]+\.py)["']""")
_MODULE = re.compile(r"([A-Za-z_]\w*)(?:\.\w+)*(?::.*)?")
_STANDARD = "<standard library>"
_OWN = ""

_NO_BYTECODE = "the interpreter has no bytecode of them that fits"
_OPTIMISED = "an interpreter is started with -O, which reads other bytecode"
_BY_PATH = "they may be run or read by their path"
_READ = "code beside them reads sources ({})"
_IMPORTER = "they use {}, which reads the sources of what uses it"
_HIDDEN = "they are in a volume, which a build cannot change"
_WANTED = "--keep names them"


def leave_out_sources(
    world: World,
    layout: Layout,
    bases: Collection[Installation],
    keeps: tuple[Keep, ...],
    commands: Iterable[Command],
) -> tuple[tuple[Keep, ...], tuple[Problem, ...]]:
    """``keeps`` with bytecode of the interpreters ``bases`` in place of sources, sorted by
    path, and what to say: what that loses, and which sources stay for which reason."""
    sources = [keep for keep in keeps if keep.entry.is_file and keep.entry.path.endswith(".py")]
    found, stays = _with_bytecode(world, layout, bases, sources, tuple(commands))
    code = _Code(world, layout, sources, set(found))
    for check in (code.by_path(keeps, tuple(commands)), code.readers()):
        for path, why in check:
            if found.pop(path, None) is not None:
                stays[path] = why
    problems = [_left_out(world, found)] if found else []
    problems += _staying(sources, stays)
    return _moved(keeps, found), tuple(problems)


def bytecode_of(world: World, source: Entry, version: str) -> Entry | None:
    """The bytecode of CPython ``version`` (``X.Y``) that the fat image runs for ``source``; None
    where that is compiled anew."""
    directory, _, name = source.path.rpartition("/")
    tag, level = f"cpython-{version.replace('.', '')}", _level(world)
    for each in dict.fromkeys((tag, tag.rstrip("t"))):
        suffix = f".opt-{level}.pyc" if level else ".pyc"
        entry = world.rootfs.get(f"{directory}{_CACHE}{name[:-3]}.{each}{suffix}")
        if entry is not None and entry.is_file and _fits(world, source, entry, version):
            return entry
    return None


def _level(world: World) -> int:
    """PYTHONOPTIMIZE: a number, or 1 for any other text (docs.python.org)."""
    value = world.config.env_value("PYTHONOPTIMIZE") or ""
    if value.isdecimal():
        return min(int(value), 2)
    return 1 if value else 0


def _fits(world: World, source: Entry, bytecode: Entry, version: str) -> bool:
    """PEP 552: a magic number, flags, and the source's time and size, or a hash of it. What is not
    checked at run time is what runs; a hash that is, is trusted unless a later layer has the
    source. Python 3.6 has no flags."""
    head = world.rootfs.read_bytes(bytecode, 16)
    magic = load_table("python-sources")["magic"].get(version.rstrip("t"))
    if len(head) < 16 or magic is None or head[:4] != magic.to_bytes(2, "little") + b"\r\n":
        return False
    words = [int.from_bytes(head[at : at + 4], "little") for at in (4, 8, 12)]
    state = [int(source.mtime) & 0xFFFFFFFF, source.size_bytes & 0xFFFFFFFF]
    if version == "3.6":
        return words[:2] == state
    if words[0] == 0:
        return words[1:] == state
    return words[0] == 1 or (words[0] == 3 and source.layer_index <= bytecode.layer_index)


def _with_bytecode(
    world: World,
    layout: Layout,
    bases: Collection[Installation],
    sources: Iterable[Keep],
    commands: Sequence[Command],
) -> tuple[dict[str, Entry], dict[str, str]]:
    """The bytecode of each source that has some, and for the others why they stay."""
    found: dict[str, Entry] = {}
    stays: dict[str, str] = {}
    versions = _versions(layout, bases)
    volumes = tuple(volume.rstrip("/") + "/" for volume in world.config.volumes)
    optimised = any(map(_is_optimised, commands))
    for keep in sources:
        path = keep.entry.path
        version = versions(path)
        bytecode = bytecode_of(world, keep.entry, version) if version else None
        if keep.because.startswith(_BY_THE_USER):
            stays[path] = _WANTED
        elif bytecode is None or f"{path}c" in world.rootfs.entries:
            stays[path] = _NO_BYTECODE
        elif optimised:
            stays[path] = _OPTIMISED
        elif path.startswith(volumes):
            stays[path] = _HIDDEN
        else:
            found[path] = bytecode
    return found, stays


def _versions(layout: Layout, bases: Collection[Installation]) -> Callable[[str], str]:
    """A function from a source to the one Python that imports it; "" where several may."""
    standard = [(f"{top}/", base.version) for base in bases for top in base.stdlib]
    sites = [
        (f"{site}/", environment.base.version)
        for environment in layout.environments
        if environment.base in bases
        for site in environment.site_paths
    ]
    everywhere = {base.version for base in bases}

    def version_of(path: str) -> str:
        rows = sites if "-packages/" in path else standard
        found = {version for top, version in rows if path.startswith(top)} or everywhere
        return next(iter(found)) if len(found) == 1 else ""

    return version_of


def _is_optimised(command: Command) -> bool:
    if not is_interpreter(posixpath.basename(command.path)):
        return False
    for word in command.argv[1:]:
        if not word.startswith("-") or word.startswith("--"):
            return False
        letters = re.split("[cmWX]", word[1:])[0]
        if "O" in letters:
            return True
        if letters != word[1:]:
            return False
    return False


@dataclass(frozen=True, slots=True)
class _Unit:
    """The kept sources of one distribution, of one system package, or of the user."""

    key: str
    entries: list[Entry]
    tops: tuple[str, ...] = ()


class _Code:
    """What the kept sources say of each other. ``wanted`` are those that could be left out."""

    def __init__(
        self, world: World, layout: Layout, sources: Iterable[Keep], wanted: set[str]
    ) -> None:
        self._world = world
        self._wanted = wanted
        self._stdlib = tuple(f"{top}/" for base in layout.installations for top in base.stdlib)
        self._sites = {site for each in layout.environments for site in each.site_paths}
        self._sites.update(top.rstrip("/") for top in self._stdlib)
        self._units: dict[str, _Unit] = {}
        for keep in sources:
            key = self._key(keep.entry.path)
            self._units.setdefault(key, _Unit(key, [])).entries.append(keep.entry)

    def _key(self, path: str) -> str:
        if path.startswith(self._stdlib) and "-packages/" not in path:
            return _STANDARD
        dist = self._world.packages.distribution_owner(path)
        if dist is not None:
            return dist.key
        package = self._world.packages.owner(path)
        return _OWN if package is None else package.key

    def by_path(
        self, keeps: Iterable[Keep], commands: Iterable[Command]
    ) -> Iterator[tuple[str, str]]:
        """The sources that are programs, that no import can name, or whose file name stands in
        code or settings; of the user's, also those of which no import is known."""
        words = [word for command in commands for word in command.argv]
        words += [value for _, value in self._world.config.env]
        own = self._wanted_of(_OWN)
        texts = list(self._own_texts(keeps)) if own else []
        said = _file_names(word.encode("utf-8", "replace") for word in words)
        names = said | _file_names(texts) - {_INITIALISER}
        asked = {match[1] for word in words if (match := _MODULE.fullmatch(word))}
        for entry in self._units[_OWN].entries if own else ():
            asked |= candidate_names(self._world.rootfs.read_bytes(entry))
        for key, unit in self._units.items():
            wanted = self._wanted_of(key)
            quoted = said if key == _STANDARD else names | (self._quoted(unit) if wanted else set())
            for entry in wanted:
                if self._is_by_path(entry, quoted) or (
                    key == _OWN and not self._is_module(entry, asked)
                ):
                    yield entry.path, _BY_PATH
        yield from ((path, _BY_PATH) for path in self._marked())

    def _wanted_of(self, key: str) -> list[Entry]:
        unit = self._units.get(key)
        return [entry for entry in unit.entries if entry.path in self._wanted] if unit else []

    def _own_texts(self, keeps: Iterable[Keep]) -> Iterator[bytes]:
        limit = hidden().largest_config_bytes
        for keep in keeps:
            entry = keep.entry
            if entry.is_file and entry.size_bytes <= limit and self._key(entry.path) == _OWN:
                yield self._world.rootfs.read_bytes(entry)

    def _quoted(self, unit: _Unit) -> set[str]:
        """The names of files in a distribution's own strings. ``__init__.py`` says nothing: it is
        asked for to tell packages from directories."""
        if unit.key in (_OWN, _STANDARD):
            return set()
        found = {
            name.decode("utf-8", "replace")
            for entry in unit.entries
            for name in _QUOTED_NAME.findall(self._world.rootfs.read_bytes(entry))
        }
        return found - {_INITIALISER}

    def _is_by_path(self, entry: Entry, names: Collection[str]) -> bool:
        directory, _, name = entry.path.rpartition("/")
        if name in names or "." in name[:-3] or name.startswith("."):
            return True
        if posixpath.basename(directory).startswith("."):
            return True
        if entry.is_executable and self._world.rootfs.read_bytes(entry, 2) == b"#!":
            return True
        entries = self._world.rootfs.entries
        in_package = f"{directory}/__init__.py" in entries or f"{directory}/__init__.pyc" in entries
        own = self._key(entry.path) == _OWN
        return not (in_package or directory in self._sites or own)

    def _is_module(self, entry: Entry, asked: Collection[str]) -> bool:
        """Whether one of the user's own files is imported by name: as a module of a package, or by
        an import or a command that says it; not one that is made to be run."""
        directory, _, name = entry.path.rpartition("/")
        if _MAIN.search(self._world.rootfs.read_bytes(entry)):
            return False
        return name[:-3] in asked or f"{directory}/__init__.py" in self._world.rootfs.entries

    def _marked(self) -> Iterator[str]:
        """The sources below a directory that holds a file of ``[[directories]]``."""
        names = {row["marker"] for row in load_table("python-sources")["directories"]}
        marked = tuple(
            f"{posixpath.dirname(path)}/"
            for path in self._world.rootfs.entries
            if path.rpartition("/")[2] in names
        )
        own = (entry.path for entry in self._wanted_of(_OWN))
        yield from (path for path in own if path.startswith(marked))

    def readers(self) -> Iterator[tuple[str, str]]:
        """The sources of what reads sources, and of what uses a distribution of ``[[readers]]``.
        The standard library's own such code is for people (``pdb``, ``trace``), or tells sources
        from bytecode by itself."""
        rows = load_table("python-sources")["readers"]
        tops = dict(self._tops_of({row["distribution"] for row in rows}))
        for key, unit in self._units.items():
            wanted = self._wanted_of(key)
            if key == _STANDARD or not wanted:
                continue
            why = self._why_read(unit, tops)
            yield from ((entry.path, why) for entry in wanted if why)

    def _tops_of(self, names: Collection[str]) -> Iterator[tuple[str, str]]:
        for dist in self._world.packages.distributions:
            if dist.name in names and dist.key in self._units:
                yield from ((top, dist.name) for top in (*dist.top_level, dist.name))

    def _why_read(self, unit: _Unit, tops: Mapping[str, str]) -> str:
        ready = {f"pypi:{row['distribution']}" for row in load_table("python-sources")["ready"]}
        for entry in unit.entries:
            data = self._world.rootfs.read_bytes(entry)
            how = "" if unit.key in ready else reads_sources(data)
            if how:
                return _READ.format(f"{how} in {entry.path}")
            used = [top for top in tops if top.encode() in data]
            if used and (imported := candidate_names(data).intersection(used)):
                return _IMPORTER.format(tops[min(imported)])
        return ""


def _file_names(texts: Iterable[bytes]) -> set[str]:
    return {name.decode("utf-8", "replace") for text in texts for name in _FILE_NAME.findall(text)}


def _moved(keeps: Sequence[Keep], found: Mapping[str, Entry]) -> tuple[Keep, ...]:
    """The kept paths with bytecode in place of the sources in ``found``; caches that hold nothing
    any more are gone."""
    if not found:
        return tuple(keeps)
    names = {path: f"{path}c" for path in found}
    names |= {entry.path: f"{path}c" for path, entry in found.items()}
    rows: dict[str, Keep] = {}
    for keep in keeps:
        path = keep.entry.path
        bytecode = found.get(path)
        if bytecode is not None:
            entry = replace(bytecode, path=f"{path}c")
            rows[entry.path] = replace(keep, entry=entry, moved_from=bytecode.path)
        elif _source_of(path) not in found:
            rows[path] = keep
    used = {path.rpartition("/")[0] for path in rows}
    return tuple(
        replace(keep, because=names.get(keep.because, keep.because))
        for path, keep in sorted(rows.items())
        if not path.endswith("/__pycache__") or path in used or keep.because.startswith("<")
    )


def _source_of(path: str) -> str:
    """The source whose bytecode in a cache, of any interpreter, ``path`` is; "" for others."""
    directory, cache, name = path.rpartition(_CACHE)
    stem = name.partition(".cpython-")[0]
    return f"{directory}/{stem}.py" if cache and name.endswith(".pyc") else ""


def _left_out(world: World, found: Mapping[str, Entry]) -> Problem:
    saved = sum(world.rootfs.entries[path].size_bytes for path in found)
    return Problem(
        "no-sources",
        Severity.WARNING,
        "",
        f"{len(found):,} Python sources are left out, their bytecode is in their place: tracebacks "
        "and logs show no source lines, inspect.getsource and debuggers find nothing",
        "run imgslim without --no-sources to have them; --keep PATH keeps one",
        saved,
    )


def _staying(sources: Iterable[Keep], stays: Mapping[str, str]) -> Iterator[Problem]:
    sizes = {keep.entry.path: keep.entry.size_bytes for keep in sources}
    reasons: dict[str, list[str]] = {}
    for path, why in sorted(stays.items()):
        reasons.setdefault(why, []).append(path)
    for why, paths in sorted(reasons.items()):
        paths.sort(key=lambda path: (-sizes[path], path))
        more = f" and {len(paths) - _NAMES_SHOWN:,} more" if len(paths) > _NAMES_SHOWN else ""
        yield Problem(
            "kept-sources",
            Severity.INFO,
            "",
            f"{len(paths):,} Python sources stay, as {why}: "
            f"{', '.join(paths[:_NAMES_SHOWN])}{more}",
            "kept with their bytecode",
            sum(sizes[path] for path in paths),
        )
