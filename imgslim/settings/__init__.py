"""The user's settings file: ``imgslim.toml``, or ``[tool.imgslim]`` of a ``pyproject.toml``.

What the keys are is the command line's affair; here a file is found, read, and asked for the
tables that concern an image.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any

from imgslim.errors import UsageError
from imgslim.sources.location import Transport
from imgslim.sources.reference import canonical, familiar

OWN_FILE = "imgslim.toml"
SHARED_FILE = "pyproject.toml"
_IMAGES = "images"


@dataclass(frozen=True, slots=True)
class Table:
    """Settings for the images whose name matches ``pattern`` (a name or glob); "" for all."""

    pattern: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f'[{_IMAGES}."{self.pattern}"]' if self.pattern else "all images"


@dataclass(frozen=True, slots=True)
class Settings:
    """A settings file: ``path`` as the user would write it, its tables in their order."""

    path: str
    tables: tuple[Table, ...]

    def tables_for(self, image: str) -> tuple[Table, ...]:
        """The tables for an image that is named on the command line like this."""
        names = tuple(_names_of(image))
        return tuple(table for table in self.tables if _matches(table.pattern, names))


def find_settings(folder: Path) -> Settings | None:
    """The settings of a directory; ``imgslim.toml`` goes before ``pyproject.toml``. None where
    there are none. Raises UsageError for a file that cannot be read."""
    for name in (OWN_FILE, SHARED_FILE):
        if (folder / name).is_file():
            settings = _read(str(folder / name), name)
            if settings is not None:
                return settings
    return None


def load_settings(path: str) -> Settings:
    """The settings of the file at ``path``. Raises UsageError for one that has none."""
    settings = _read(path, path)
    if settings is None:
        raise UsageError(f"{path} has no table [tool.imgslim]", hint="add it, or name another file")
    return settings


def _read(path: str, shown: str) -> Settings | None:
    document = _parse(path, shown)
    if PurePath(path).name == SHARED_FILE:
        tool = document.get("tool")
        values = tool.get("imgslim") if isinstance(tool, Mapping) else None
        if values is None:
            return None
    else:
        values = document
    if not isinstance(values, Mapping):
        raise UsageError(f"{shown}: tool.imgslim is no table", hint="write it as [tool.imgslim]")
    images = values.get(_IMAGES, {})
    if not isinstance(images, Mapping) or not all(isinstance(t, Mapping) for t in images.values()):
        raise UsageError(
            f"{shown}: {_IMAGES} is no set of tables", hint=f'write [{_IMAGES}."NAME"] and keys'
        )
    general = Table("", {key: value for key, value in values.items() if key != _IMAGES})
    return Settings(shown, (general, *(Table(name, table) for name, table in images.items())))


def _parse(path: str, shown: str) -> dict[str, Any]:
    hint = "correct it, or leave settings out with --no-config"
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"--config {shown}: there is no such file", hint="check the path"
        ) from None
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}", hint=hint) from error
    except ValueError as error:
        raise UsageError(f"{shown} is no TOML: {error}", hint=hint) from error


def _names_of(image: str) -> Iterator[str]:
    """The names under which a table may mean an image: as it was given, without its transport,
    the path and the reference of an archive, and each with ``:latest`` and without any tag."""
    transport, colon, rest = image.partition(":")
    texts = [image]
    if colon and transport in list(Transport):
        path, _, reference = rest.partition(":")
        texts += [rest] if transport == Transport.DAEMON else [rest, path, reference]
    for text in filter(None, texts):
        head, slash, last = text.partition("@")[0].rpartition("/")
        yield from (text, canonical(text), familiar(head + slash + last.partition(":")[0]))


def _matches(pattern: str, names: tuple[str, ...]) -> bool:
    return not pattern or any(fnmatchcase(name, pattern) for name in names)
