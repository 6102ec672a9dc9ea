"""Where the CPythons of an image are: installations, environments, search paths.

All of it is found from names alone, once for the whole image. The rules are those of CPython's
Modules/getpath.py (prefix, landmarks, pyvenv.cfg), Lib/site.py (site directories, user site) and
Debian's patches to the latter (dist-packages).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from imgslim.rootfs import Rootfs
from imgslim.world import World

_STDLIB = re.compile(r"(.*)/lib(?:64|32)?/python(\d\.\d+t?)")
_STDLIB_ZIP = re.compile(r"(.*)/lib(?:64|32)?/python(\d)(\d+)(t?)\.zip")
_USER_SITE = re.compile(r".*/\.local/lib/python(\d\.\d+t?)/site-packages")
_VERSION = re.compile(r"\d\.\d+")
_INTERPRETER = re.compile(r"python(?:2|3)?(?:(?<=[23])\.\d+)?[tdm]{0,2}")
_PYPY = re.compile(r"(?:pypy(?:2|3)?(?:\.\d+)?c?|graalpy|jython)")
_LANDMARKS = ("/os.py", "/os.pyc", "/pyvenv.cfg", ".zip", "-packages", "/__pycache__")
_LIB_NAMES = ("lib", "lib64", "lib32")


@dataclass(frozen=True, slots=True)
class Installation:
    """A CPython: its prefix ("" is the root), ``X.Y`` (with the ``t`` of a free-threaded build)
    and the directories of its standard library (two where lib64 is apart)."""

    prefix: str
    version: str
    stdlib: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"CPython {self.version}"


@dataclass(frozen=True, slots=True)
class Environment:
    """What an interpreter sees: an installation's own, or a virtual one (``config`` is then its
    pyvenv.cfg). ``site_paths`` are existing canonical directories in the order of sys.path."""

    prefix: str
    base: Installation
    site_paths: tuple[str, ...]
    config: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """All that an image has of CPython, and the ``__pycache__`` directories of any Python."""

    installations: tuple[Installation, ...]
    environments: tuple[Environment, ...]
    caches: tuple[str, ...]
    home: str

    def virtual_at(self, prefix: str) -> Environment | None:
        return next((e for e in self.environments if e.config and e.prefix == prefix), None)

    def own_of(self, base: Installation) -> Environment:
        return next(e for e in self.environments if not e.config and e.base == base)


def is_interpreter(name: str) -> bool:
    """Whether a file's name is that of a CPython interpreter (``python3.13t``)."""
    return _INTERPRETER.fullmatch(name) is not None


def is_other_python(name: str) -> bool:
    """Whether a file's name is that of another implementation, which this package does not know."""
    return _PYPY.fullmatch(name) is not None


def discover_layout(world: World) -> Layout:
    """Find every installation and environment in the image, by one pass over its paths."""
    marks = [path for path in world.rootfs.entries if path.endswith(_LANDMARKS)]
    installations = tuple(_installations(world.rootfs, marks))
    user_sites = [path for path in marks if _USER_SITE.fullmatch(path)]
    own = [
        Environment(base.prefix, base, tuple(_own_sites(world, base, user_sites)))
        for base in installations
    ]
    configs = [path for path in marks if path.endswith("/pyvenv.cfg")]
    virtual = [v for path in configs if (v := _virtual(world.rootfs, path, own)) is not None]
    caches = tuple(path for path in marks if path.endswith("/__pycache__"))
    home = (world.config.env_value("PYTHONHOME") or "").partition(":")[0].rstrip("/")
    return Layout(installations, (*own, *virtual), caches, home)


def _installations(rootfs: Rootfs, marks: Iterable[str]) -> Iterator[Installation]:
    found: dict[tuple[str, str], list[str]] = {}
    for path in marks:
        directory = path.rpartition("/")[0]
        if path.endswith(("/os.py", "/os.pyc")):
            match = _STDLIB.fullmatch(directory)
            if match:
                directories = found.setdefault((match[1], match[2]), [])
                directories.extend([directory] if directory not in directories else [])
        elif path.endswith(".zip") and (match := _STDLIB_ZIP.fullmatch(path)):
            version = f"{match[2]}.{match[3]}{match[4]}"
            if rootfs.get(f"{directory}/python{version}/lib-dynload"):
                found.setdefault((match[1], version), [])
    for (prefix, version), directories in found.items():
        for lib in _LIB_NAMES:
            path = rootfs.resolve(f"{prefix}/{lib}/python{version}").path
            if rootfs.get(f"{path}/lib-dynload") and path not in directories:
                directories.append(path)
        yield Installation(prefix, version, tuple(directories))


def _own_sites(world: World, base: Installation, user_sites: Sequence[str]) -> Iterator[str]:
    """site.getsitepackages(), Debian's additions to it, and the user sites (site.py)."""
    prefix, version = base.prefix, base.version
    users = [path for path in user_sites if path.endswith(f"/python{version}/site-packages")]
    user_base = world.config.env_value("PYTHONUSERBASE")
    if user_base:
        users.append(f"{user_base}/lib/python{version}/site-packages")
    places = [*users, *_site_packages(prefix, version)]
    if prefix == "/usr":
        places += [
            f"/usr/local/lib/python{version}/dist-packages",
            "/usr/lib/python3/dist-packages",
            f"/usr/lib/python{version}/dist-packages",
            f"/usr/local/lib/python{version}/site-packages",
        ]
    yield from _existing(world.rootfs, places)


def _site_packages(prefix: str, version: str) -> list[str]:
    return [f"{prefix}/{lib}/python{version}/site-packages" for lib in _LIB_NAMES]


def _existing(rootfs: Rootfs, places: Iterable[str]) -> Iterator[str]:
    found = (rootfs.lookup(place) for place in places)
    yield from dict.fromkeys(entry.path for entry in found if entry and entry.is_directory)


def _virtual(rootfs: Rootfs, config: str, own: Sequence[Environment]) -> Environment | None:
    """The environment of a pyvenv.cfg: getpath.py's ``home`` leads to the installation; where
    that is not in the image, the links behind the environment's own ``python`` do."""
    prefix = config.rpartition("/")[0]
    settings = parse_venv_config(rootfs.read_text(config))
    versions = {name[6:] for lib in _LIB_NAMES for name in rootfs.children(f"{prefix}/{lib}")}
    written = settings.get("version") or settings.get("version_info", "")
    named = _VERSION.match(written)
    wanted = [v for v in versions if _VERSION.match(v)] or ([named[0]] if named else [])
    starts = [settings["home"]] if "home" in settings else []
    for name in ("python", "python3"):
        starts.append(posixpath.dirname(rootfs.resolve(f"{prefix}/bin/{name}").path))
    for start in starts:
        base = find_base(rootfs, start, [e.base for e in own], wanted)
        if base is None:
            continue
        sites = list(_existing(rootfs, _site_packages(prefix, base.version)))
        if settings.get("include-system-site-packages", "false").lower() == "true":
            sites += next(e for e in own if e.base == base).site_paths
        return Environment(prefix, base, tuple(dict.fromkeys(sites)), config)
    return None


def parse_venv_config(text: str) -> dict[str, str]:
    """The settings of a pyvenv.cfg: keys in lower case (getpath.py, site.py: venv)."""
    rows = (line.partition("=") for line in text.splitlines())
    return {key.strip().lower(): value.strip() for key, equals, value in rows if equals}


def find_base(
    rootfs: Rootfs, directory: str, installations: Iterable[Installation], versions: Sequence[str]
) -> Installation | None:
    """The installation that a search upwards from an interpreter's directory finds (getpath.py,
    search_up); of several there, one of the wanted versions, if any is wanted."""
    known = list(installations)
    for start in dict.fromkeys((directory, rootfs.resolve(directory).path)):
        here = start.rstrip("/")
        while True:
            there = [base for base in known if base.prefix == here]
            fitting = [base for base in there if base.version in versions]
            if fitting or (there and not versions):
                return (fitting or there)[0]
            if not here:
                break
            here = here.rpartition("/")[0]
    return None


def environment_of(rootfs: Rootfs, layout: Layout, interpreter: str) -> Environment | None:
    """The environment that an interpreter runs in when started by the path ``interpreter``.

    pyvenv.cfg is looked for beside the path as written and one directory up, the installation
    from where its links end (getpath.py); PYTHONHOME overrides both.
    """
    directory = posixpath.dirname(rootfs.canonical(interpreter))
    real = rootfs.resolve(interpreter).path
    versions = _VERSION.findall(posixpath.basename(real))
    versions += [f"{version}t" for version in versions]
    if layout.home:
        fixed = [base for base in layout.installations if base.prefix == layout.home]
        base = find_base(rootfs, layout.home, fixed, versions)
        if base is not None:
            return layout.own_of(base)
    for prefix in (posixpath.dirname(directory), directory):
        virtual = layout.virtual_at(prefix)
        if virtual is not None:
            return virtual
    base = find_base(rootfs, posixpath.dirname(real), layout.installations, versions)
    if base is None:
        same = [i for i in layout.installations if i.version in versions]
        base = same[0] if len(same) == 1 else None
    return None if base is None else layout.own_of(base)
